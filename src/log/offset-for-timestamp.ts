import { KafkaError } from '../protocol/errors.js';
import { MAX_TIMESTAMP } from '../protocol/requests.js';
import { openBatch } from '../record/batch-compression.js';
import { type BatchAt, batchesIn, lastOffsetOf, timestampType } from '../record/batch-header.js';
import type { LogEnds, LogId, LogStore, SegmentRow } from '../storage/log-store.js';
import { assert } from '../util/assert.js';
import { asLogSnapshot } from './log-snapshot.js';
import { readAgainWhereDeleted } from './read-again.js';
import { soundChunks } from './sound-batches.js';

const READ_BYTES = 256 * 1024;

export interface TimestampQuery {
  readonly store: LogStore;
  readonly log: LogId;
  readonly logStartOffset: number;
  /** Exclusive: the high watermark. */
  readonly endOffset: number;
  /** 0 or above, or MAX_TIMESTAMP. */
  readonly timestampMs: number;
}

export interface TimestampedOffset {
  readonly offset: number;
  readonly timestampMs: number;
  readonly leaderEpoch: number;
}

/** A part of a log about which something is known without reading it. */
interface Stretch {
  readonly baseOffset: number;
  /** Exclusive. */
  readonly nextOffset: number;
  /** Infinity where nothing is known. */
  readonly maxTimestampMs: number;
  readonly timeIndex: SegmentRow['timeIndex'];
}

/**
 * The first record, in offset order, whose timestamp is at or after the one asked, also where timestamps are out of
 * order; for MAX_TIMESTAMP (KIP-734) the first of those with the greatest timestamp. undefined where there is none.
 * Reads the segments' rows, then a bounded stretch of the log; needs no leader. What is damaged is passed over. A batch that cannot be decompressed
 * here stands for its records: the answer is then its first offset, never one too far.
 */
export async function offsetForTimestamp(query: TimestampQuery): Promise<TimestampedOffset | undefined> {
  const { timestampMs } = query;
  assert(timestampMs >= 0 || timestampMs === MAX_TIMESTAMP, `${timestampMs} is a timestamp or MAX_TIMESTAMP`);
  return readAgainWhereDeleted(() => lookUp(query));
}

async function lookUp(asked: TimestampQuery): Promise<TimestampedOffset | undefined> {
  const { store, log, timestampMs } = asked;
  // Before the rows: a segment that closes in between is then known twice, not never.
  const ends = await store.ends(log);
  const query = { ...asked, logStartOffset: Math.max(asked.logStartOffset, ends.logStartOffset) };
  const stretches = await stretchesOf(query, ends);
  if (timestampMs !== MAX_TIMESTAMP) return firstAtOrAfter(query, stretches, timestampMs);
  const found = await firstAtOrAfter(query, stretches, await maxTimestamp(query, stretches));
  if (found !== undefined) return found;
  // The rows count batches, too, that compaction has emptied.
  const unknown = stretches.map((stretch) => ({ ...stretch, maxTimestampMs: Number.POSITIVE_INFINITY }));
  return firstAtOrAfter(query, unknown, await maxTimestamp(query, unknown));
}

/** Closed segments, then what the checkpoint knows of the active one, then the rest; cut to what the query may see. */
async function stretchesOf(
  { store, log, logStartOffset, endOffset }: TimestampQuery,
  ends: LogEnds,
): Promise<Stretch[]> {
  const closed = await store.segments(log);
  const stretches: Stretch[] = [...closed];
  let knownOffset = closed.at(-1)?.nextOffset ?? 0;
  const snapshot = asLogSnapshot(ends.checkpoint?.snapshot);
  if (snapshot && snapshot.segment.baseOffset >= knownOffset) {
    knownOffset = snapshot.producers.offset;
    stretches.push({ ...snapshot.segment, nextOffset: knownOffset });
  }
  stretches.push({ baseOffset: knownOffset, nextOffset: Infinity, maxTimestampMs: Infinity, timeIndex: [] });
  return stretches.filter(({ baseOffset, nextOffset }) => nextOffset > logStartOffset && baseOffset < endOffset);
}

async function firstAtOrAfter(
  query: TimestampQuery,
  stretches: readonly Stretch[],
  timestampMs: number,
): Promise<TimestampedOffset | undefined> {
  for (const stretch of stretches) {
    if (stretch.maxTimestampMs < timestampMs) continue;
    const indexed = stretch.timeIndex.findLast((entry) => entry.maxTimestampMs < timestampMs);
    const from = Math.max(indexed?.offset ?? stretch.baseOffset, query.logStartOffset);
    for await (const { batch, chunk } of batches(query, from, stretch.nextOffset)) {
      if (batch.header.recordCount === 0 || batch.header.maxTimestampMs < timestampMs) continue;
      const records = await visibleRecords(query, chunk, batch);
      const found = records.find((record) => record.timestampMs >= timestampMs);
      if (found) return { ...found, leaderEpoch: batch.header.partitionLeaderEpoch };
    }
  }
  return undefined;
}

/** Of the visible records. What the rows do not tell is read: heads, and records where a bound cuts a batch. */
async function maxTimestamp(query: TimestampQuery, stretches: readonly Stretch[]): Promise<number> {
  const { logStartOffset, endOffset } = query;
  let max = 0;
  for (const { baseOffset, nextOffset, maxTimestampMs } of stretches) {
    if (maxTimestampMs <= max) continue;
    if (maxTimestampMs !== Infinity && baseOffset >= logStartOffset && nextOffset <= endOffset) {
      max = maxTimestampMs;
      continue;
    }
    for await (const { batch, chunk } of batches(query, Math.max(baseOffset, logStartOffset), nextOffset)) {
      const { header } = batch;
      if (header.recordCount === 0 || header.maxTimestampMs <= max) continue;
      const whole = header.baseOffset >= logStartOffset && lastOffsetOf(header) < endOffset;
      const records = whole ? [{ timestampMs: header.maxTimestampMs }] : await visibleRecords(query, chunk, batch);
      for (const { timestampMs } of records) max = Math.max(max, timestampMs);
    }
  }
  return max;
}

/** The batches with an offset in [from, to) that the query may see, in order. */
async function* batches(
  { store, log, endOffset }: TimestampQuery,
  from: number,
  to: number,
): AsyncGenerator<{ readonly chunk: Uint8Array; readonly batch: BatchAt }, void, undefined> {
  const end = Math.min(to, endOffset);
  const read = { log, offset: from, maxBytes: READ_BYTES, endOffset: end };
  for await (const chunk of soundChunks(store, read, ignore)) {
    for (const batch of batchesIn(chunk)) {
      if (batch.header.baseOffset >= end) return;
      if (lastOffsetOf(batch.header) >= from) yield { chunk, batch };
    }
  }
}

async function visibleRecords(
  { logStartOffset, endOffset }: TimestampQuery,
  chunk: Uint8Array,
  { header, at }: BatchAt,
): Promise<{ offset: number; timestampMs: number }[]> {
  const first = { offset: Math.max(header.baseOffset, logStartOffset), timestampMs: header.maxTimestampMs };
  if (timestampType(header) === 'LogAppendTime') return [first];
  try {
    const visible = [];
    const cursor = await openBatch(chunk, at);
    while (cursor.next()) {
      const { offset, timestampMs } = cursor;
      if (offset >= logStartOffset && offset < endOffset) visible.push({ offset, timestampMs });
    }
    return visible;
  } catch (error) {
    if (error instanceof KafkaError && error.type === 'UNSUPPORTED_COMPRESSION_TYPE') return [first];
    throw error;
  }
}

function ignore(): void {}
