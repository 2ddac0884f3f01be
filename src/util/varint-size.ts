/** Bytes of a signed 32-bit varint. */
export function varintSize(value: number): number {
  const zigzag = ((value << 1) ^ (value >> 31)) >>> 0;
  if (zigzag < 0x80) return 1;
  if (zigzag < 0x4000) return 2;
  if (zigzag < 0x20_0000) return 3;
  return zigzag < 0x1000_0000 ? 4 : 5;
}

/** Bytes of a signed varlong; `value` is a safe integer. */
export function varlongSize(value: number): number {
  if (value === (value | 0)) return varintSize(value);
  let size = 1;
  for (let rest = Math.floor(magnitude(value) / 0x40); rest > 0; rest = Math.floor(rest / 0x80)) size++;
  return size;
}

/** What zig-zag shifts: n for n >= 0, and -n - 1 for the negative. */
export function magnitude(value: number): number {
  return value < 0 ? -value - 1 : value;
}
