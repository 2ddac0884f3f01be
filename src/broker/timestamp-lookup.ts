import { decodeBatch } from '../record/batch-compression.js';
import { batchesIn, lastOffsetOf } from '../record/batch-header.js';
import type { LogId, LogStore, SegmentRow } from '../storage/log-store.js';
import { chunksFrom } from './log-replay.js';

type Reads = Pick<LogStore, 'segments' | 'read'>;

/** The first record at or after `logStartOffset` whose timestamp is at or after `timestampMs`; undefined: none is. */
export async function offsetForTimestamp(
  store: Reads,
  log: LogId,
  logStartOffset: number,
  timestampMs: number,
): Promise<{ readonly offset: number; readonly timestampMs: number; readonly leaderEpoch: number } | undefined> {
  const start = Math.max(logStartOffset, scanStart(await store.segments(log), timestampMs));
  for await (const chunk of chunksFrom(store, log, start)) {
    for (const { header, at } of batchesIn(chunk)) {
      if (header.maxTimestampMs < timestampMs || lastOffsetOf(header) < logStartOffset) continue;
      for (const record of await decodeBatch(chunk, at)) {
        if (record.offset < logStartOffset || record.timestampMs < timestampMs) continue;
        const { offset, timestampMs: foundMs } = record;
        return { offset, timestampMs: foundMs, leaderEpoch: header.partitionLeaderEpoch };
      }
    }
  }
  return undefined;
}

/** The greatest timestamp in the log; undefined where it is empty. Reads the heads since the last closed segment. */
export async function maxTimestampOf(store: Reads, log: LogId, logStartOffset: number): Promise<number | undefined> {
  const segments = (await store.segments(log)).filter(({ nextOffset }) => nextOffset > logStartOffset);
  let greatest: number | undefined;
  const raise = (timestampMs: number): void => void (greatest = Math.max(greatest ?? timestampMs, timestampMs));
  for (const { maxTimestampMs } of segments) raise(maxTimestampMs);
  for await (const chunk of chunksFrom(store, log, Math.max(logStartOffset, segments.at(-1)?.nextOffset ?? 0))) {
    for (const { header } of batchesIn(chunk)) if (lastOffsetOf(header) >= logStartOffset) raise(header.maxTimestampMs);
  }
  return greatest;
}

/** All before the answer is older than `timestampMs`, as far as the segments tell. */
function scanStart(segments: readonly SegmentRow[], timestampMs: number): number {
  const segment = segments.find(({ maxTimestampMs }) => maxTimestampMs >= timestampMs);
  if (segment === undefined) return segments.at(-1)?.nextOffset ?? 0;
  const index = segment.timeIndex.findLast(({ maxTimestampMs }) => maxTimestampMs < timestampMs);
  return index?.offset ?? segment.baseOffset;
}
