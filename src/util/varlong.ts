import { writeVarint } from './varint.js';
import { magnitude } from './varint-size.js';

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
