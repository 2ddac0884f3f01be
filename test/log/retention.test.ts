import { expect, test } from 'vitest';
import { addBatch, closedRow, emptySegment, isFull } from '../../src/log/active-segment.js';
import { expiredSegmentCount } from '../../src/log/retention.js';

const DELETE = { compact: false, delete: true };
const segments = [10, 30, 20, 40].map((maxTimestampMs) => ({ byteCount: 100, maxTimestampMs }));

test.each([
  ['nothing where there are no limits', { retentionMs: -1, retentionBytes: -1 }, 0],
  ['the oldest ones whose largest timestamp is older than retention.ms', { retentionMs: 70, retentionBytes: -1 }, 1],
  ['none behind one that is young enough, however old it is', { retentionMs: 75, retentionBytes: -1 }, 1],
  ['all where all are old', { retentionMs: 50, retentionBytes: -1 }, 4],
  ['while the rest is retention.bytes or more', { retentionMs: -1, retentionBytes: 200 }, 2],
  ['not where the rest would be less', { retentionMs: -1, retentionBytes: 201 }, 1],
  ['all for retention.bytes=0', { retentionMs: -1, retentionBytes: 0 }, 4],
])('retention drops %s', (_what, rules, count) => {
  expect(expiredSegmentCount(segments, { cleanupPolicy: DELETE, ...rules }, 100)).toBe(count);
});

test('retention leaves a log alone that is only compacted, and an empty active segment', () => {
  const rules = { retentionMs: 0, retentionBytes: 0 };
  expect(expiredSegmentCount(segments, { cleanupPolicy: { compact: true, delete: false }, ...rules }, 100)).toBe(0);
  const withEmpty = [...segments, { byteCount: 0, maxTimestampMs: -1 }];
  expect(expiredSegmentCount(withEmpty, { cleanupPolicy: DELETE, ...rules }, 100)).toBe(4);
});

test('a segment is full by bytes, or by time since its first batch, and never while it is empty', () => {
  const rules = { segmentBytes: 1000, segmentMs: 50 };
  const append = { sizeInBytes: 2000, maxTimestampMs: 10_000 };
  expect(isFull(emptySegment(0, 0), append, rules)).toBe(false);
  const segment = addBatch(emptySegment(0, 0), { baseOffset: 0, sizeInBytes: 600, maxTimestampMs: 100 });
  expect(isFull(segment, { sizeInBytes: 400, maxTimestampMs: 150 }, rules)).toBe(false);
  expect(isFull(segment, { sizeInBytes: 401, maxTimestampMs: 150 }, rules)).toBe(true);
  expect(isFull(segment, { sizeInBytes: 400, maxTimestampMs: 151 }, rules)).toBe(true);
});

test('the time index of a segment of any size is small, ascending, and never promises too much', () => {
  let segment = emptySegment(0, 0);
  const maxBefore: number[] = [];
  for (let offset = 0; offset < 5000; offset++) {
    maxBefore.push(segment.maxTimestampMs);
    segment = addBatch(segment, { baseOffset: offset, sizeInBytes: 60_000, maxTimestampMs: (offset * 7919) % 10_000 });
  }
  const { timeIndex } = closedRow(1, segment, 5000);
  expect(timeIndex.length).toBeGreaterThan(100);
  expect(timeIndex.length).toBeLessThanOrEqual(256);
  for (const [i, entry] of timeIndex.entries()) {
    expect(entry.maxTimestampMs).toBe(maxBefore[entry.offset]);
    if (i > 0) expect(entry.offset).toBeGreaterThan(timeIndex[i - 1]?.offset ?? 0);
  }
});
