/** Words of a digest. */
export const DIGEST_WORDS = 4;

const C1 = 0x239b961b;
const C2 = 0xab0e9789;
const C3 = 0x38b34ae5;
const C4 = 0xa1e38b93;
const BLOCK_BYTES = 16;

/**
 * Writes the 128-bit digest of the bytes from `from` to `to` (exclusive) into the first four words of `out`:
 * MurmurHash3_x86_128 with seed 0 (Austin Appleby, public domain).
 *
 * Every step is a bijection of the state and of each block, so that different keys of one length up to 16 bytes, and of
 * any lengths up to 12, never share a digest. Among n other keys some two share one with a chance of about n² / 2^129:
 * for ten million, 2 in 10^25. It does not resist who looks for two such keys; nor does Kafka's MD5.
 */
export function keyDigest(bytes: Uint8Array, from: number, to: number, out: Int32Array): void {
  let h1 = 0;
  let h2 = 0;
  let h3 = 0;
  let h4 = 0;
  let at = from;
  for (; to - at >= BLOCK_BYTES; at += BLOCK_BYTES) {
    h1 = Math.imul(rotated(h1 ^ mixed(wordAt(bytes, at), C1, 15, C2), 19) + h2, 5) + 0x561ccd1b;
    h2 = Math.imul(rotated(h2 ^ mixed(wordAt(bytes, at + 4), C2, 16, C3), 17) + h3, 5) + 0x0bcaa747;
    h3 = Math.imul(rotated(h3 ^ mixed(wordAt(bytes, at + 8), C3, 17, C4), 15) + h4, 5) + 0x96cd1c35;
    h4 = Math.imul(rotated(h4 ^ mixed(wordAt(bytes, at + 12), C4, 18, C1), 13) + h1, 5) + 0x32ac3b17;
  }
  // A word of zeros changes nothing.
  h1 ^= mixed(partOfWord(bytes, at, to), C1, 15, C2);
  h2 ^= mixed(partOfWord(bytes, at + 4, to), C2, 16, C3);
  h3 ^= mixed(partOfWord(bytes, at + 8, to), C3, 17, C4);
  h4 ^= mixed(partOfWord(bytes, at + 12, to), C4, 18, C1);

  const length = to - from;
  h1 ^= length;
  h2 ^= length;
  h3 ^= length;
  h4 ^= length;
  h1 = (h1 + h2 + h3 + h4) | 0;
  h2 = avalanche((h2 + h1) | 0);
  h3 = avalanche((h3 + h1) | 0);
  h4 = avalanche((h4 + h1) | 0);
  h1 = avalanche(h1);
  h1 = (h1 + h2 + h3 + h4) | 0;
  out[0] = h1;
  out[1] = h2 + h1;
  out[2] = h3 + h1;
  out[3] = h4 + h1;
}

function mixed(word: number, before: number, bits: number, after: number): number {
  return Math.imul(rotated(Math.imul(word, before), bits), after);
}

function rotated(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}

function avalanche(word: number): number {
  const first = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  const second = Math.imul(first ^ (first >>> 13), 0xc2b2ae35);
  return second ^ (second >>> 16);
}

/** Little-endian, as MurmurHash3 reads. */
function wordAt(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}

/** The word at `at` as far as the key goes: zeros behind it. */
function partOfWord(bytes: Uint8Array, at: number, to: number): number {
  if (to - at >= 4) return wordAt(bytes, at);
  let word = 0;
  for (let i = at; i < to; i++) word |= bytes[i]! << (8 * (i - at));
  return word;
}
