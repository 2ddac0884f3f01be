import { expect, test } from 'vitest';
import { assertCommit, baseOffsetOf, rowsToAsk, takeChunks } from '../../src/storage/chunk.js';
import { type Chunk, MAX_ROW_BYTES } from '../../src/storage/log-store.js';

const MIB = 1024 * 1024;

/** Bytes that begin like batches of `batchBytes` each. */
function chunk(baseOffset: number, size: number, batchBytes = size): Chunk {
  const bytes = new Uint8Array(size);
  new DataView(bytes.buffer).setBigInt64(0, BigInt(baseOffset));
  new DataView(bytes.buffer).setInt32(8, batchBytes - 12);
  return { log: 1, baseOffset, lastOffset: baseOffset + 1, bytes };
}

test('the base offset is read from the bytes up to the largest safe integer', () => {
  for (const offset of [0, 1, 2 ** 31, 2 ** 32 + 5, Number.MAX_SAFE_INTEGER]) {
    expect(baseOffsetOf(chunk(offset, 20).bytes)).toBe(offset);
  }
});

test('a row above MAX_ROW_BYTES is a single batch, a stamp fits, or the writer has a bug', () => {
  const check = (one: Chunk) => () => assertCommit({ leaderEpoch: 1, chunks: [one] });
  expect(check(chunk(5, MAX_ROW_BYTES, 100))).not.toThrow();
  expect(check(chunk(5, MAX_ROW_BYTES + 1))).not.toThrow();
  expect(check(chunk(5, MAX_ROW_BYTES + 1, 100))).toThrow('MAX_ROW_BYTES');
  expect(check({ ...chunk(5, 100), baseOffset: 4 })).toThrow('stamped');
  expect(check({ ...chunk(5, 100), lastOffset: 4 })).toThrow('holds an offset');
});

test('a read takes full rows up to maxBytes and never asks for many times of it, however wrong the guess', () => {
  expect(rowsToAsk(MIB, MIB, MAX_ROW_BYTES)).toBe(17);
  expect(rowsToAsk(1, 1, MAX_ROW_BYTES)).toBe(1);
  for (const rowBytes of [1, 61, 1000, MAX_ROW_BYTES, 10 * MIB]) {
    for (const maxBytes of [1, 1000, MIB, 50 * MIB]) {
      const rows = rowsToAsk(maxBytes, maxBytes, rowBytes);
      expect(rows).toBeGreaterThanOrEqual(1);
      expect(rows * MAX_ROW_BYTES).toBeLessThanOrEqual(Math.max(16 * MAX_ROW_BYTES, 8 * maxBytes + MAX_ROW_BYTES));
    }
  }
});

test('what is taken fits in maxBytes with what there is, save for the first chunk', () => {
  const rows = [chunk(0, 100), chunk(2, 100), chunk(4, 100)].map(({ bytes }) => bytes);
  const count = (takenBytes: number, maxBytes: number, endOffset = Infinity): number =>
    takeChunks(rows, { takenBytes, maxBytes, endOffset }).length;
  expect([count(0, 0), count(0, 200), count(0, 299), count(100, 299), count(100, 150)]).toEqual([1, 2, 2, 1, 0]);
  expect([count(0, 900, 0), count(0, 900, 2), count(0, 900, 3), count(0, 900, 5)]).toEqual([0, 1, 2, 3]);
});
