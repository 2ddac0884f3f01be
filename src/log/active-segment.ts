import type { BatchHeader } from '../record/record.js';
import type { LogId, SegmentRow } from '../storage/log-store.js';

/** A look-up by time reads about this much, then goes on batch by batch. */
const FIRST_INDEX_INTERVAL_BYTES = 64 * 1024;
/** More entries than this are thinned out to half as many, twice as far apart: the index of any segment is small. */
const MAX_INDEX_ENTRIES = 256;
const NO_TIMESTAMP = -1;

export type TimeIndexEntry = SegmentRow['timeIndex'][number];

/** A segment that still grows, as plain data. */
export interface ActiveSegmentState {
  readonly baseOffset: number;
  /** Bytes of all segments before it that were ever written. */
  readonly startPosition: number;
  readonly byteCount: number;
  /** Of the first batch; -1 while empty, or where that batch has none. */
  readonly firstTimestampMs: number;
  readonly maxTimestampMs: number;
  readonly timeIndex: readonly TimeIndexEntry[];
  readonly indexIntervalBytes: number;
  /** `byteCount` when the last entry of the index was made. */
  readonly indexedBytes: number;
}

/** When a segment is full. */
export interface RollRules {
  readonly segmentBytes: number;
  readonly segmentMs: number;
}

export function emptySegment(baseOffset: number, startPosition: number): ActiveSegmentState {
  return {
    baseOffset,
    startPosition,
    byteCount: 0,
    firstTimestampMs: NO_TIMESTAMP,
    maxTimestampMs: NO_TIMESTAMP,
    timeIndex: [],
    indexIntervalBytes: FIRST_INDEX_INTERVAL_BYTES,
    indexedBytes: 0,
  };
}

/** The segment with one more batch at its end. */
export function addBatch(
  segment: ActiveSegmentState,
  batch: Pick<BatchHeader, 'baseOffset' | 'sizeInBytes' | 'maxTimestampMs'>,
): ActiveSegmentState {
  const indexed = segment.byteCount - segment.indexedBytes >= segment.indexIntervalBytes;
  return {
    ...(indexed ? withIndexEntry(segment, batch.baseOffset) : segment),
    byteCount: segment.byteCount + batch.sizeInBytes,
    firstTimestampMs: segment.byteCount === 0 ? batch.maxTimestampMs : segment.firstTimestampMs,
    maxTimestampMs: Math.max(segment.maxTimestampMs, batch.maxTimestampMs),
  };
}

/** Whether an append of `sizeInBytes` with this timestamp goes into a new segment. */
export function isFull(
  segment: ActiveSegmentState,
  append: { readonly sizeInBytes: number; readonly maxTimestampMs: number },
  rules: RollRules,
): boolean {
  if (segment.byteCount === 0) return false;
  if (segment.byteCount + append.sizeInBytes > rules.segmentBytes) return true;
  return segment.firstTimestampMs >= 0 && append.maxTimestampMs - segment.firstTimestampMs > rules.segmentMs;
}

/** The segment as the row that is written when it closes at `nextOffset`. */
export function closedRow(log: LogId, segment: ActiveSegmentState, nextOffset: number): SegmentRow {
  const { baseOffset, byteCount, startPosition, maxTimestampMs, timeIndex } = segment;
  return { log, baseOffset, nextOffset, byteCount, startPosition, maxTimestampMs, timeIndex };
}

function withIndexEntry(segment: ActiveSegmentState, offset: number): ActiveSegmentState {
  const entries = [...segment.timeIndex, { offset, maxTimestampMs: segment.maxTimestampMs }];
  const thinned = entries.length > MAX_INDEX_ENTRIES;
  return {
    ...segment,
    timeIndex: thinned ? entries.filter((_, index) => index % 2 === 1) : entries,
    indexIntervalBytes: segment.indexIntervalBytes * (thinned ? 2 : 1),
    indexedBytes: segment.byteCount,
  };
}
