import { MAX_VARLONG_BYTES, tooLong, type VarintReader } from './varint-reader.js';

/** As `writeVarlong`, of any 64-bit integer. */
export function writeBigVarlong(out: Uint8Array, at: number, value: bigint): number {
  let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n));
  for (; rest > 0x7fn; rest >>= 7n) out[at++] = Number(rest & 0x7fn) | 0x80;
  out[at++] = Number(rest);
  return at;
}

/** As `VarintReader.varlong`, always exact. @throws RangeError */
export function readBigVarlong(reader: VarintReader): bigint {
  let zigzag = 0n;
  for (let shift = 0n; shift < 7 * MAX_VARLONG_BYTES; shift += 7n) {
    const byte = reader.bytes[reader.at++] ?? 0;
    zigzag |= BigInt(byte & 0x7f) << shift;
    if (!(byte & 0x80)) return BigInt.asIntN(64, (BigInt.asUintN(64, zigzag) >> 1n) ^ -(zigzag & 1n));
  }
  throw tooLong(reader.at);
}
