import { KafkaError } from '../protocol/errors.js';
import { batchesIn, lastOffsetOf, verifyBatch } from '../record/batch-header.js';
import type { BatchHeader } from '../record/record.js';
import type { LogId, LogStore, SealedSegment, SegmentRow } from '../storage/log-store.js';
import { SealedSegmentBuilder } from '../storage/sealed-segment.js';
import { present } from '../util/assert.js';
import { WholeStretch } from './whole-stretch.js';

/** The rows of about two chunks a read: appends wait no longer for it than for a chunk's write. */
const READ_BYTES = 128 * 1024;
/** What one sealed segment holds at most, save for a single batch: a pass keeps about twice as much in memory. */
const SEALED_BYTES = 8 * 1024 * 1024;

/** One whole batch. */
export interface StoredBatch {
  readonly header: BatchHeader;
  /** Of this batch alone; not to be changed. */
  readonly bytes: Uint8Array;
}

/**
 * A step of a rewrite: takes the batches of closed segments in offset order, some at a time, and gives what becomes of
 * them, in offset order. It may hold some back, until the last.
 */
export type BatchTransform = (batches: AsyncIterable<readonly StoredBatch[]>) => AsyncIterable<readonly StoredBatch[]>;

/** Closed segments of a log that this host leads. */
export interface ClosedSegments {
  readonly store: LogStore;
  readonly log: LogId;
  readonly leaderEpoch: number;
  readonly logStartOffset: number;
  /** Where the sealed part of the log ends: below it, offsets may be missing. */
  readonly sealedEndOffset: number;
  /** One behind the other, oldest first. */
  readonly rows: readonly SegmentRow[];
  /** See `LogInside.rewritten`. */
  readonly rewritten: (endOffset: number) => void;
}

/**
 * Writes closed segments anew, sealed, after all transforms: they become one segment, in as many sealed ones as its size
 * wants. Until the last moment, when all of it is stored and was read back, the log is as it was; whatever fails or dies
 * before leaves it so. The rows that are sealed now go with the next `LogStore.sweepSealed`.
 * @throws KafkaError KAFKA_STORAGE_ERROR. FENCED_LEADER_EPOCH. CORRUPT_MESSAGE: something in the segments cannot be read,
 *   or is missing. The signal's reason.
 */
export async function rewriteSegments(
  closed: ClosedSegments,
  transforms: readonly BatchTransform[],
  signal: AbortSignal,
): Promise<void> {
  const { store, log, leaderEpoch, rows } = closed;
  const first = present(rows[0], 'there is a segment to rewrite');
  const { baseOffset } = first;
  const last = present(rows.at(-1), 'there is a segment to rewrite');
  const { nextOffset } = last;
  const sealed: SealedSegment[] = [];
  try {
    const written = await stageAll(closed, { baseOffset, nextOffset, transforms, sealed }, signal);
    signal.throwIfAborted();
    // It ends where it did among all bytes that were ever written: what follows keeps its place.
    const startPosition = last.startPosition + last.byteCount - written.byteCount;
    const row: SegmentRow = { ...first, ...written, startPosition, nextOffset, timeIndex: joinedTimeIndex(rows) };
    await store.publishSealed({ log, baseOffset, nextOffset, sealed, segments: [row] }, leaderEpoch);
  } catch (error) {
    await store.dropStaged(sealed).catch(() => {}); // else the next leader sweeps it
    throw error;
  }
}

interface Rewrite {
  readonly baseOffset: number;
  readonly nextOffset: number;
  readonly transforms: readonly BatchTransform[];
  /** Takes what has been staged. */
  readonly sealed: SealedSegment[];
}

async function stageAll(
  closed: ClosedSegments,
  { baseOffset, nextOffset, transforms, sealed }: Rewrite,
  signal: AbortSignal,
): Promise<Pick<SegmentRow, 'byteCount' | 'maxTimestampMs'>> {
  const { store, log, leaderEpoch } = closed;
  let builder = new SealedSegmentBuilder(log, baseOffset);
  let byteCount = 0;
  let maxTimestampMs = -1;
  let batches = batchesOf(closed, signal);
  for (const transform of transforms) batches = transform(batches);
  for await (const group of batches) {
    signal.throwIfAborted();
    for (const { header, bytes } of group) {
      if (builder.byteCount > 0 && builder.byteCount + header.sizeInBytes > SEALED_BYTES) {
        sealed.push(await store.stageSealed(builder.finish(header.baseOffset), leaderEpoch));
        builder = new SealedSegmentBuilder(log, header.baseOffset);
      }
      builder.add(bytes);
      byteCount += header.sizeInBytes;
      maxTimestampMs = Math.max(maxTimestampMs, header.maxTimestampMs);
    }
  }
  sealed.push(await store.stageSealed(builder.finish(nextOffset), leaderEpoch));
  return { byteCount, maxTimestampMs };
}

/**
 * The batches of the rows, all of them; what is not sound is passed on as it is.
 * @throws KafkaError CORRUPT_MESSAGE: some are not where they should be, or a sealed segment is not what was written.
 */
export async function* batchesOf(
  { store, log, logStartOffset, sealedEndOffset, rows }: ClosedSegments,
  signal: AbortSignal,
): AsyncIterable<readonly StoredBatch[]> {
  const { baseOffset } = present(rows[0], 'there is a segment to read');
  const { nextOffset } = present(rows.at(-1), 'there is a segment to read');
  const sealed = baseOffset < sealedEndOffset ? await store.sealedSegments(log) : [];
  const start = Math.max(baseOffset, logStartOffset);
  let next = start;
  const whole = new WholeStretch({ log, fromOffset: start, logStartOffset, segmentOffset: baseOffset, sealed });
  while (next < nextOffset) {
    signal.throwIfAborted();
    const before = next;
    const group: StoredBatch[] = [];
    for (const chunk of await store.read(log, next, READ_BYTES, nextOffset)) {
      for (const { header, at } of batchesIn(chunk)) {
        // A row may begin before what is asked for; behind that, nothing is passed over.
        if (lastOffsetOf(header) < (group.length === 0 ? next : start) || header.baseOffset >= nextOffset) continue;
        if (whole.take(header, chunk, at)) group.push({ header, bytes: chunk.subarray(at, at + header.sizeInBytes) });
        next = lastOffsetOf(header) + 1;
      }
    }
    if (next === before) break; // the end of what is sealed was compacted away, if nothing is missing
    if (group.length > 0) yield group;
  }
  whole.end(nextOffset);
}

/** Whether a batch is as it was written. */
export function isSound({ bytes }: StoredBatch): boolean {
  try {
    verifyBatch(bytes);
    return true;
  } catch (error) {
    if (error instanceof KafkaError) return false;
    throw error;
  }
}

/** Of segments that become one: at each entry, of all that is before it in the new one. */
function joinedTimeIndex(rows: readonly SegmentRow[]): SegmentRow['timeIndex'] {
  let maxTimestampMs = -1;
  return rows.flatMap((row, at) => {
    const before = maxTimestampMs;
    maxTimestampMs = Math.max(before, row.maxTimestampMs);
    const entries = row.timeIndex.map((entry) => ({
      ...entry,
      maxTimestampMs: Math.max(before, entry.maxTimestampMs),
    }));
    return at === 0 ? entries : [{ offset: row.baseOffset, maxTimestampMs: before }, ...entries];
  });
}
