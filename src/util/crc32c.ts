/** The Castagnoli polynomial, bits reversed (RFC 3720, appendix B.4). */
const POLYNOMIAL = 0x82f63b78;

/** TABLES[k][b]: what byte b, followed by k zero bytes, does to the register: sixteen bytes are one exclusive or. */
const TABLES: readonly Int32Array[] = makeTables(16);
const [T0, T1, T2, T3, T4, T5, T6, T7, T8, T9, T10, T11, T12, T13, T14, T15] = TABLES as readonly [
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
];

/** Below this a view of words costs more than it saves. */
const WORDS_FROM = 64;
const LITTLE_ENDIAN = new Uint8Array(Int32Array.of(1).buffer)[0] === 1;

/**
 * The CRC-32C (Castagnoli) of `bytes` from `from` to `to` (exclusive), unsigned: the checksum of Kafka's record batches.
 * Slices of sixteen bytes, loaded as four words where memory is aligned. `before`: of the bytes that come before these,
 * where all of them together are asked for.
 */
export function crc32c(bytes: Uint8Array, from = 0, to: number = bytes.length, before = 0): number {
  if (!LITTLE_ENDIAN || to - from < WORDS_FROM) return (byBytes(bytes, from, to, ~before) ^ -1) >>> 0;
  const start = from + (-(bytes.byteOffset + from) & 3);
  const end = start + ((to - start) & ~15);
  const words = new Int32Array(bytes.buffer, bytes.byteOffset + start, (end - start) >> 2);
  const crc = byWords(words, byBytes(bytes, from, start, ~before));
  return (byBytes(bytes, end, to, crc) ^ -1) >>> 0;
}

function byBytes(bytes: Uint8Array, from: number, to: number, crc: number): number {
  let c = crc;
  for (let i = from; i < to; i++) c = T0[(c ^ bytes[i]!) & 255]! ^ (c >>> 8);
  return c;
}

/**
 * `words.length` is a multiple of four. What does not depend on the register comes first: the processor then looks it up
 * while it still waits for the sixteen bytes before (a tenth to a half faster than in the order of the bytes).
 */
function byWords(words: Int32Array, crc: number): number {
  let c = crc;
  for (let i = 0; i < words.length; i += 4) {
    const y = words[i + 1]!;
    const z = words[i + 2]!;
    const u = words[i + 3]!;
    const behind =
      T11[y & 255]! ^
      T10[(y >>> 8) & 255]! ^
      T9[(y >>> 16) & 255]! ^
      T8[y >>> 24]! ^
      T7[z & 255]! ^
      T6[(z >>> 8) & 255]! ^
      T5[(z >>> 16) & 255]! ^
      T4[z >>> 24]! ^
      T3[u & 255]! ^
      T2[(u >>> 8) & 255]! ^
      T1[(u >>> 16) & 255]! ^
      T0[u >>> 24]!;
    const x = c ^ words[i]!;
    c = T15[x & 255]! ^ T14[(x >>> 8) & 255]! ^ (T13[(x >>> 16) & 255]! ^ T12[x >>> 24]!) ^ behind;
  }
  return c;
}

/** Every module that checks or writes batches waits for this as it starts, before it is compiled well: few steps. */
function makeTables(count: number): Int32Array[] {
  const tables = Array.from({ length: count }, () => new Int32Array(256));
  const first = tables[0]!;
  // The sum of two bytes does to the register what both of them do: only single bits are worked out.
  for (let bit = 128, c = 1; bit > 0; bit >>>= 1) {
    c = c & 1 ? (c >>> 1) ^ POLYNOMIAL : c >>> 1;
    for (let byte = 0; byte < 256; byte += 2 * bit) first[byte + bit] = c ^ first[byte]!;
  }
  for (let byte = 0; byte < 256; byte++) {
    let c = first[byte]!;
    for (let k = 1; k < count; k++) {
      c = first[c & 255]! ^ (c >>> 8);
      tables[k]![byte] = c;
    }
  }
  return tables;
}
