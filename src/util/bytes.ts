/**
 * Big-endian integers in a byte array, as Kafka writes them. No DataView: making one costs more than the few reads.
 * Callers have checked that the bytes are there. 64-bit integers are numbers where exact: see `int64At`.
 */
const TWO_TO_32 = 0x1_0000_0000;

export function int16At(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16)) >> 16;
}

export function int32At(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
}

export function uint32At(bytes: Uint8Array, at: number): number {
  return int32At(bytes, at) >>> 0;
}

/** Exact where the result is a safe integer; an integer that is not safe stays recognisable as such. */
export function int64At(bytes: Uint8Array, at: number): number {
  return int32At(bytes, at) * TWO_TO_32 + uint32At(bytes, at + 4);
}

/** Always exact. */
export function bigInt64At(bytes: Uint8Array, at: number): bigint {
  return (BigInt(int32At(bytes, at)) << 32n) | BigInt(uint32At(bytes, at + 4));
}

export function setInt16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >> 8;
  bytes[at + 1] = value;
}

export function setInt32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >> 24;
  bytes[at + 1] = value >> 16;
  bytes[at + 2] = value >> 8;
  bytes[at + 3] = value;
}

/** `value` is a safe integer, or a bigint of at most 64 bits. */
export function setInt64(bytes: Uint8Array, at: number, value: number | bigint): void {
  if (typeof value === 'bigint') {
    setInt32(bytes, at, Number(BigInt.asIntN(32, value >> 32n)));
    setInt32(bytes, at + 4, Number(BigInt.asIntN(32, value)));
  } else {
    setInt32(bytes, at, Math.floor(value / TWO_TO_32));
    setInt32(bytes, at + 4, value | 0);
  }
}

/** Whether it is a Uint8Array, also one of another realm: a frame's, or Node's own where a test has a DOM beside it. */
export function isBytes(value: unknown): value is Uint8Array {
  if (value instanceof Uint8Array) return true;
  return ArrayBuffer.isView(value) && (value as Partial<Uint8Array>)[Symbol.toStringTag] === 'Uint8Array';
}

/** The arrays one after another in a new buffer. */
export function concatBytes(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  let size = 0;
  for (const part of parts) size += part.length;
  const joined = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}
