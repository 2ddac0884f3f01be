/**
 * Kafka's variable-length integers: seven bits a byte, least significant first; signed ones are zig-zag encoded, so that
 * small negative ones are short too (Kafka's record format; the encoding of Protocol Buffers). How they are written;
 * `varint-reader.ts` reads them.
 */

/** Writes a signed 32-bit varint; returns the position behind it. */
export function writeVarint(out: Uint8Array, at: number, value: number): number {
  return writeUnsignedVarint(out, at, (value << 1) ^ (value >> 31));
}

/** Writes 32 bits as an unsigned varint; returns the position behind it. */
export function writeUnsignedVarint(out: Uint8Array, at: number, value: number): number {
  let rest = value;
  while (rest & ~0x7f) {
    out[at++] = rest | 0x80;
    rest >>>= 7;
  }
  out[at++] = rest;
  return at;
}
