const MAX_VARINT_BYTES = 5;
export const MAX_VARLONG_BYTES = 10;

/**
 * Reads varints one after another from `at` on. It does not know where its input ends: behind the end of `bytes` it
 * reads zeros, and the caller compares `at` with its own bound.
 * @throws RangeError an integer that is longer than its type allows
 */
export class VarintReader {
  readonly bytes: Uint8Array;
  at: number;

  constructor(bytes: Uint8Array, at: number) {
    this.bytes = bytes;
    this.at = at;
  }

  /** A signed 32-bit integer. */
  varint(): number {
    const zigzag = this.unsignedVarint();
    return (zigzag >>> 1) ^ -(zigzag & 1);
  }

  /** An unsigned integer of 32 bits. */
  unsignedVarint(): number {
    const { bytes } = this;
    let byte = bytes[this.at++]!;
    if (byte < 0x80) return byte;
    let bits = byte & 0x7f;
    for (let shift = 7; shift < 7 * MAX_VARINT_BYTES; shift += 7) {
      byte = bytes[this.at++]!;
      bits |= (byte & 0x7f) << shift;
      if (!(byte & 0x80)) return bits >>> 0;
    }
    throw new RangeError(`expected a varint of at most ${MAX_VARINT_BYTES} bytes before position ${this.at}`);
  }

  /** A signed 64-bit integer: exact where safe; one that is not safe stays recognisable as such. */
  varlong(): number {
    const { bytes } = this;
    let byte = bytes[this.at++]!;
    const negative = byte & 1;
    let bits = (byte & 0x7f) >> 1;
    let scale = 0x40;
    for (let size = 1; byte & 0x80; size++) {
      if (size === MAX_VARLONG_BYTES) throw tooLong(this.at);
      byte = bytes[this.at++]!;
      bits += (byte & 0x7f) * scale;
      scale *= 0x80;
    }
    return negative ? -bits - 1 : bits;
  }
}

export function tooLong(at: number): RangeError {
  return new RangeError(`expected a varlong of at most ${MAX_VARLONG_BYTES} bytes before position ${at}`);
}
