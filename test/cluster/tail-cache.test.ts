import { describe, expect, test } from 'vitest';
import {
  CHUNK_OVERHEAD_BYTES,
  MAX_TAIL_BYTES,
  MAX_TAILS_BYTES,
  TailCache,
  TailCaches,
  type TailNews,
} from '../../src/cluster/tail-cache.js';
import { seededRandom } from '../../src/runtime/seeded-random.js';

const chunk = (baseOffset: number, count: number, size = 10) => ({
  baseOffset,
  lastOffset: baseOffset + count - 1,
  bytes: new Uint8Array(size).fill(baseOffset),
});

describe('a tail cache', () => {
  test('reads from the chunk that holds the offset, up to the bytes asked for, at least one chunk', () => {
    const cache = new TailCache();
    for (let i = 0; i < 10; i++) cache.append(chunk(i * 5, 5));
    expect(cache.read(12, 1, 50)?.map((bytes) => bytes[0])).toEqual([10]);
    expect(cache.read(12, 25, 50)?.map((bytes) => bytes[0])).toEqual([10, 15]);
    expect(cache.read(40, 1000, 50)?.map((bytes) => bytes[0])).toEqual([40, 45]);
    expect(cache.read(40, 1000, 45)?.map((bytes) => bytes[0])).toEqual([40]);
    expect(cache.read(50, 1000, 50)).toBeUndefined();
  });

  test('gives away copies: what the caller does to them does not come back', () => {
    const cache = new TailCache();
    cache.append(chunk(7, 1));
    cache.read(7, 100, 8)![0]!.fill(0);
    expect(cache.read(7, 100, 8)![0]![0]).toBe(7);
  });

  // Method: chunks come in order, doubled, or are lost; each carries its number, so that a skipped one shows.
  test('never reads across a gap, never an old chunk for a new offset (200 seeds)', () => {
    for (let seed = 0; seed < 200; seed++) {
      const random = seededRandom(seed);
      const cache = new TailCache();
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
      expect(cache.bytes).toBe(0);
    }
  });

  test('keeps the newest within its bound', () => {
    const cache = new TailCache();
    for (let i = 0; i < 400; i++) cache.append(chunk(i, 1, 128 * 1024));
    expect(cache.bytes).toBeLessThanOrEqual(MAX_TAIL_BYTES);
    expect(cache.read(399, 1, 400)).toHaveLength(1);
    expect(cache.read(0, 1, 400)).toBeUndefined();
  });

  // Records that are sent one by one are chunks of 80 bytes: 200,000 of them in 16 MiB would take 120 MB of memory.
  test('counts what small chunks take beside their bytes', () => {
    const cache = new TailCache();
    const count = MAX_TAIL_BYTES / 80;
    for (let i = 0; i < count; i++) cache.append(chunk(i, 1, 80));
    const most = Math.floor(MAX_TAIL_BYTES / (80 + CHUNK_OVERHEAD_BYTES));
    expect(cache.holds(Math.ceil(count) - most)).toBe(true);
    expect(cache.holds(Math.ceil(count) - most - 1)).toBe(false);
  });
});

describe('the tails of a host', () => {
  const MIB = 1024 * 1024;
  let nowMs = 0;
  const tails = () => new TailCaches({ monotonicMs: () => nowMs });
  const news = (log: number, baseOffset: number, size = 10): TailNews => {
    const chunks = [chunk(baseOffset, 1, size)];
    return { log, logStartOffset: 0, highWatermark: baseOffset + 1, chunks };
  };

  test('keep no more than their bound together: the longest gives', () => {
    const caches = tails();
    for (let i = 0; i < 20; i++) caches.take(news(1, i, MIB / 2));
    for (const log of [2, 3, 4]) for (let i = 0; i < 60; i++) caches.take(news(log, i, MIB / 8));
    for (let i = 0; i < 60; i++) caches.take(news(5, i, MIB / 8));
    expect(caches.bytes).toBeLessThanOrEqual(MAX_TAILS_BYTES);
    expect(caches.bytes).toBeGreaterThan(MAX_TAILS_BYTES / 2);
    for (const [log, last] of [
      [1, 19],
      [2, 59],
      [5, 59],
    ] as const) {
      expect(caches.holds(log, last)).toBe(true);
    }
    expect(caches.holds(1, 0)).toBe(false);
    expect(caches.holds(5, 30)).toBe(true);
    caches.dropAllBut(new Map());
    expect(caches.bytes).toBe(0);
  });

  test('give back the memory of what they drop', () => {
    const caches = tails();
    const taken = news(1, 0);
    caches.take(taken);
    caches.drop(1);
    expect(taken.chunks[0]!.bytes.buffer.byteLength).toBe('transfer' in ArrayBuffer.prototype ? 0 : 10);
  });

  test('forget what was neither written nor read for a while', () => {
    const caches = tails();
    nowMs = 0;
    for (const log of [1, 2, 3]) caches.take(news(log, 0));
    nowMs = 20;
    caches.read(1, 0, 100, 1);
    caches.take(news(2, 1));
    caches.dropIdle(10);
    expect([1, 2, 3].map((log) => caches.holds(log, 0))).toEqual([true, true, false]);
  });

  test('hold nothing of a log that went on unheard', () => {
    const caches = tails();
    caches.take(news(1, 0));
    caches.take({ log: 1, logStartOffset: 0, highWatermark: 5, chunks: [] });
    expect(caches.holds(1, 0)).toBe(false);
    expect(caches.bytes).toBe(0);
  });

  test('hold nothing below the start of a log, nor what was written anew', () => {
    const caches = tails();
    for (let i = 0; i < 10; i++) caches.take(news(1, i));
    caches.take({ log: 1, logStartOffset: 3, highWatermark: 10, chunks: [] });
    expect([2, 3].map((offset) => caches.holds(1, offset))).toEqual([false, true]);
    caches.take({ log: 1, logStartOffset: 3, highWatermark: 10, chunks: [], rewrittenOffset: 6 });
    expect([5, 6].map((offset) => caches.holds(1, offset))).toEqual([false, true]);
  });
});
