/**
 * Kafka's variable-length integers: seven bits a byte, least significant first; signed ones are zig-zag encoded, so that
 * small negative ones are short too (Kafka's record format; the encoding of Protocol Buffers). How they are written;
 * `varint-reader.ts` reads them.
 */

/** Bytes of a signed 32-bit varint. */
export function varintSize(value: number): number {
  const zigzag = ((value << 1) ^ (value >> 31)) >>> 0;
  if (zigzag < 0x80) return 1;
  if (zigzag < 0x4000) return 2;
  if (zigzag < 0x20_0000) return 3;
  return zigzag < 0x1000_0000 ? 4 : 5;
}

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

/** Bytes of a signed varlong; `value` is a safe integer. */
export function varlongSize(value: number): number {
  if (value === (value | 0)) return varintSize(value);
  let size = 1;
  for (let rest = Math.floor(magnitude(value) / 0x40); rest > 0; rest = Math.floor(rest / 0x80)) size++;
  return size;
}

/** Writes a signed 64-bit varlong; returns the position behind it. `value` is a safe integer. */
export function writeVarlong(out: Uint8Array, at: number, value: number): number {
  if (value === (value | 0)) return writeVarint(out, at, value);
  // Zig-zag is the magnitude with the sign as its lowest bit: six bits go beside the sign, seven into each further byte.
  const bits = magnitude(value);
  let rest = Math.floor(bits / 0x40);
  out[at++] = 0x80 | ((bits % 0x40) << 1) | (value < 0 ? 1 : 0); // beyond 32 bits a second byte always follows
  while (rest >= 0x80) {
    out[at++] = 0x80 | (rest % 0x80);
    rest = Math.floor(rest / 0x80);
  }
  out[at++] = rest;
  return at;
}

/** What zig-zag shifts: n for n >= 0, and -n - 1 for the negative. */
function magnitude(value: number): number {
  return value < 0 ? -value - 1 : value;
}
