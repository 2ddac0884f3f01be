import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { keyDigest } from '../../../src/log/compaction/key-digest.js';
import { OffsetMap, slotsWithin } from '../../../src/log/compaction/offset-map.js';

const UTF8 = new TextEncoder();

function digestOf(text: string): string {
  const words = new Int32Array(4);
  const key = UTF8.encode(`..${text}.`); // not at the beginning of its buffer, nor at the end
  keyDigest(key, 2, key.length - 1, words);
  return Array.from(words, (word) => (word >>> 0).toString(16).padStart(8, '0')).join('');
}

describe('keyDigest', () => {
  // Known values of MurmurHash3_x86_128 with seed 0, as four words.
  test.each([
    ['', '00000000000000000000000000000000'],
    ['a', 'a794933c5556b01b5556b01b5556b01b'],
    ["I will not buy this tobacconist's, it is scratched.", '9b5b7ba2ef3f7866889adeaf00f3f98e'],
  ])('is MurmurHash3_x86_128: %j', (text, digest) => expect(digestOf(text)).toBe(digest));

  test('tells keys apart that differ in one bit, in their length, or in zeros at the end', () => {
    const keys = Array.from({ length: 60 }, (_, length) => 'k'.repeat(length));
    const variants = keys.flatMap((key) => [key, `${key}\0`, `${key}\0\0`, `${key}j`, `j${key}`]);
    expect(new Set(variants.map(digestOf)).size).toBe(new Set(variants).size);
  });

  test('spreads short keys over a small table', () => {
    const buckets = new Array<number>(64).fill(0);
    for (let i = 0; i < 6400; i++) buckets[Number.parseInt(digestOf(`user-${i}`).slice(0, 8), 16) % 64]!++;
    expect(Math.max(...buckets)).toBeLessThan(150);
  });
});

describe('OffsetMap', () => {
  test('is a Map of keys to offsets for as long as it has room, however often it grows', () => {
    const key = fc.uint8Array({ maxLength: 6 });
    fc.assert(
      fc.property(fc.array(key, { maxLength: 200 }), fc.integer({ min: 2, max: 300 }), (keys, maxSlots) => {
        const map = new OffsetMap(maxSlots);
        const model = new Map<string, number>();
        for (const [offset, bytes] of keys.entries()) {
          expect(map.isFull).toBe(model.size >= Math.floor(maxSlots * 0.75));
          if (map.isFull) break;
          map.put(bytes, 0, bytes.length, offset);
          model.set(bytes.join(), offset);
        }
        expect(map.size).toBe(model.size);
        for (const bytes of keys) expect(map.get(bytes, 0, bytes.length)).toBe(model.get(bytes.join()) ?? -1);
      }),
    );
  });

  test('holds half a million keys in 16 MiB', () => {
    const map = new OffsetMap(slotsWithin(16 * 1024 * 1024));
    const key = new Uint8Array(8);
    const words = new Uint32Array(key.buffer);
    for (words[0] = 0; words[0] < 500_000; words[0]++) map.put(key, 0, 8, words[0]);
    expect([map.size, map.isFull]).toEqual([500_000, false]);
    for (words[0] = 0; words[0] < 500_000; words[0] += 1000) expect(map.get(key, 0, 8)).toBe(words[0]);
  });
});
