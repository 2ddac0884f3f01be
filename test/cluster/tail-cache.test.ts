import { describe, expect, test } from 'vitest';
import { CHUNK_OVERHEAD_BYTES, MAX_TAIL_BYTES, type TailBudget, TailCache } from '../../src/cluster/tail-cache.js';
import { seededRandom } from '../../src/runtime/seeded-random.js';

const chunk = (baseOffset: number, count: number, size = 10) => ({
  baseOffset,
  lastOffset: baseOffset + count - 1,
  bytes: new Uint8Array(size).fill(baseOffset),
});

describe('a tail cache', () => {
  test('reads from the chunk that holds the offset, up to the bytes asked for, at least one chunk', () => {
    const cache = new TailCache({ bytes: 0 });
    for (let i = 0; i < 10; i++) cache.append(chunk(i * 5, 5));
    expect(cache.read(12, 1, 50)?.map((bytes) => bytes[0])).toEqual([10]);
    expect(cache.read(12, 25, 50)?.map((bytes) => bytes[0])).toEqual([10, 15]);
    expect(cache.read(40, 1000, 50)?.map((bytes) => bytes[0])).toEqual([40, 45]);
    expect(cache.read(40, 1000, 45)?.map((bytes) => bytes[0])).toEqual([40]);
    expect(cache.read(50, 1000, 50)).toBeUndefined();
  });

  test('gives away copies: what the caller does to them does not come back', () => {
    const cache = new TailCache({ bytes: 0 });
    cache.append(chunk(7, 1));
    cache.read(7, 100, 8)![0]!.fill(0);
    expect(cache.read(7, 100, 8)![0]![0]).toBe(7);
  });

  // Method: chunks come in order, doubled, or are lost; each carries its number, so that a skipped one shows.
  test('never reads across a gap, never an old chunk for a new offset (200 seeds)', () => {
    for (let seed = 0; seed < 200; seed++) {
      const random = seededRandom(seed);
      const budget: TailBudget = { bytes: 0 };
      const cache = new TailCache(budget);
      const firstOffsets: number[] = [];
      let next = 0;
      for (let i = 0; i < 100; i++) {
        const count = 1 + random.below(5);
        const told = { baseOffset: next, lastOffset: next + count - 1, bytes: Uint8Array.of(i) };
        firstOffsets.push(next);
        next += count;
        if (random.next() < 0.1) continue; // lost
        cache.append(told);
        if (random.next() < 0.1) cache.append(told); // doubled

        const from = random.below(next);
        const found = cache.read(from, 1 + random.below(10), next);
        if (found === undefined) continue;
        const numbers = found.map((bytes) => bytes[0]!);
        expect(firstOffsets.findLastIndex((offset) => offset <= from)).toBe(numbers[0]);
        expect(numbers).toEqual(numbers.map((_, at) => numbers[0]! + at));
      }
      cache.clear();
      expect(budget.bytes).toBe(0);
    }
  });

  test('keeps the newest within its bound', () => {
    const budget: TailBudget = { bytes: 0 };
    const cache = new TailCache(budget);
    for (let i = 0; i < 100; i++) cache.append(chunk(i, 1, 128 * 1024));
    expect(budget.bytes).toBeLessThanOrEqual(MAX_TAIL_BYTES);
    expect(cache.read(99, 1, 100)).toHaveLength(1);
    expect(cache.read(0, 1, 100)).toBeUndefined();
  });

  // Records that are sent one by one are chunks of 80 bytes: 50,000 of them in 4 MiB would take 30 MB of memory.
  test('counts what small chunks take beside their bytes', () => {
    const cache = new TailCache({ bytes: 0 });
    const count = MAX_TAIL_BYTES / 80;
    for (let i = 0; i < count; i++) cache.append(chunk(i, 1, 80));
    const most = Math.floor(MAX_TAIL_BYTES / (80 + CHUNK_OVERHEAD_BYTES));
    expect(cache.holds(Math.ceil(count) - most)).toBe(true);
    expect(cache.holds(Math.ceil(count) - most - 1)).toBe(false);
  });
});
