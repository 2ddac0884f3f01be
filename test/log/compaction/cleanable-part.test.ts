import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type CompactionRules,
  cleanablePart,
  dirtyRatio,
  isDue,
  type LogToCheck,
} from '../../../src/log/compaction/cleanable-part.js';
import { segmentGroups } from '../../../src/log/compaction/segment-groups.js';

const RULES: CompactionRules = {
  maxCompactionLagMs: Number.POSITIVE_INFINITY,
  minCleanableDirtyRatio: 0.5,
  minCompactionLagMs: 0,
};

/** Segments of ten offsets each, with these bytes and times. */
function segments(...sizes: readonly (readonly [byteCount: number, maxTimestampMs: number])[]) {
  return sizes.map(([byteCount, maxTimestampMs], index) => ({
    baseOffset: 10 * index,
    nextOffset: 10 * index + 10,
    byteCount,
    maxTimestampMs,
  }));
}

function logOf(fields: Partial<LogToCheck> = {}): LogToCheck {
  const closed = segments([100, 1], [100, 2], [100, 3]);
  return { segments: closed, logStartOffset: 0, stableOffset: 30, cleanedOffset: undefined, ...fields };
}

describe('cleanablePart', () => {
  test('is at first all closed segments', () => {
    expect(cleanablePart(logOf(), RULES, 1000)).toEqual({
      firstDirtyOffset: 0,
      endOffset: 30,
      cleanBytes: 0,
      dirtyBytes: 300,
    });
  });

  test('begins where the last pass ended, also within a segment, which then counts as clean and as dirty', () => {
    const part = cleanablePart(logOf({ cleanedOffset: 15 }), RULES, 1000);
    expect(part).toEqual({ firstDirtyOffset: 15, endOffset: 30, cleanBytes: 200, dirtyBytes: 200 });
    expect(dirtyRatio(part)).toBe(0.5);
  });

  test('begins at the start of a log that was cut at either end', () => {
    expect(cleanablePart(logOf({ logStartOffset: 20, cleanedOffset: 10 }), RULES, 1).firstDirtyOffset).toBe(20);
    expect(cleanablePart(logOf({ cleanedOffset: 31 }), RULES, 1).firstDirtyOffset).toBe(0);
  });

  test('ends before the segment of the first unstable offset', () => {
    expect(cleanablePart(logOf({ stableOffset: 29 }), RULES, 1000)).toMatchObject({ endOffset: 20, dirtyBytes: 200 });
    expect(cleanablePart(logOf({ stableOffset: 3 }), RULES, 1000)).toMatchObject({ endOffset: 0, dirtyBytes: 0 });
  });

  test('ends before the first dirty segment younger than min.compaction.lag.ms', () => {
    const rules = { ...RULES, minCompactionLagMs: 8 };
    expect(cleanablePart(logOf(), rules, 10)).toMatchObject({ endOffset: 20, dirtyBytes: 200 });
    expect(cleanablePart(logOf(), rules, 11)).toMatchObject({ endOffset: 30, dirtyBytes: 300 });
    expect(cleanablePart(logOf({ cleanedOffset: 30 }), rules, 5)).toMatchObject({ endOffset: 30, dirtyBytes: 0 });
  });
});

describe('a pass is due', () => {
  const young = { nowMs: 1000, oldestDirtyMs: 990 };

  test('above min.cleanable.dirty.ratio, not at it', () => {
    const part = { firstDirtyOffset: 10, endOffset: 20, cleanBytes: 100, dirtyBytes: 100 };
    expect(isDue(part, RULES, young)).toBe(false);
    expect(isDue({ ...part, dirtyBytes: 101 }, RULES, young)).toBe(true);
    expect(isDue(part, { ...RULES, minCleanableDirtyRatio: 0 }, young)).toBe(true);
    expect(isDue({ ...part, dirtyBytes: 0 }, { ...RULES, minCleanableDirtyRatio: 0 }, young)).toBe(false);
  });

  test('when the oldest dirty batch is older than max.compaction.lag.ms', () => {
    const part = { firstDirtyOffset: 10, endOffset: 20, cleanBytes: 100, dirtyBytes: 1 };
    expect(isDue(part, { ...RULES, maxCompactionLagMs: 10 }, young)).toBe(false);
    expect(isDue(part, { ...RULES, maxCompactionLagMs: 9 }, young)).toBe(true);
    expect(isDue({ ...part, dirtyBytes: 0 }, { ...RULES, maxCompactionLagMs: 9 }, young)).toBe(false);
    expect(isDue(part, { ...RULES, maxCompactionLagMs: 9 }, { nowMs: 1000, oldestDirtyMs: undefined })).toBe(false);
  });
});

describe('segmentGroups', () => {
  test('holds every segment once, in order, and joins neighbours as far as segment.bytes allows', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 150 })), (sizes) => {
        const rows = segments(...sizes.map((size) => [size, 0] as const));
        const groups = segmentGroups(rows, 100);
        expect(groups.flat()).toEqual(rows);
        const bytes = groups.map((group) => group.reduce((sum, { byteCount }) => sum + byteCount, 0));
        for (const [index, group] of groups.entries()) {
          if (group.length > 1) expect(bytes[index]).toBeLessThanOrEqual(100);
          const next = groups[index + 1]?.[0];
          if (next) expect(bytes[index]! + next.byteCount).toBeGreaterThan(100);
        }
      }),
    );
  });

  test('spans no more than 2^31 offsets, unless a single segment does', () => {
    const at = (baseOffset: number, nextOffset: number) => ({ baseOffset, nextOffset, byteCount: 1 });
    const far = [at(0, 2 ** 31), at(2 ** 31, 2 ** 31 + 1), at(2 ** 31 + 1, 2 ** 32)];
    expect(segmentGroups(far, 100)).toEqual([[far[0]], [far[1], far[2]]]);
  });
});
