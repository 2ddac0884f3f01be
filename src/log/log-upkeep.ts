import { KafkaError } from '../protocol/errors.js';
import type { LogEnds, SegmentRow } from '../storage/log-store.js';
import { isFenced } from '../storage/storage-errors.js';
import type { AbortedTransaction } from './aborted-transactions.js';
import { asLogSnapshot } from './log-snapshot.js';
import type { LogInside, PartitionLog } from './partition-log.js';
import { expiredSegmentCount } from './retention.js';
import type { ClosedSegments } from './rewrite-segments.js';

/*
 * What becomes of the older part of a log that this host leads: it is deleted, measured, rewritten. Appending needs none
 * of it, so that it is loaded later.
 *
 * What deletes or rewrites: @throws KafkaError NOT_LEADER_OR_FOLLOWER: deposed or closed. KAFKA_STORAGE_ERROR.
 */

/** DeleteRecords: everything up to the high watermark. */
const HIGH_WATERMARK = -1;

/**
 * Deletes everything below `offset`, or below the high watermark for -1; what is deleted already is no failure.
 * Resolves to the log start offset.
 * @throws KafkaError OFFSET_OUT_OF_RANGE
 */
export function deleteRecordsBefore(log: PartitionLog, offset: number): Promise<number> {
  return log.inside.turns.run(async () => {
    const { logEndOffset: endOffset } = log;
    const before = offset === HIGH_WATERMARK ? endOffset : offset;
    if (!Number.isSafeInteger(before) || before < 0 || before > endOffset) {
      throw new KafkaError(
        'OFFSET_OUT_OF_RANGE',
        `${log.name}: expected an offset up to the high watermark ${endOffset}, found ${offset}`,
      );
    }
    await deleteBefore(log, before);
    return log.logStartOffset;
  });
}

/**
 * Deletes the oldest segments as `retention.ms`, `retention.bytes` and `cleanup.policy` say, and forgets producers
 * that have expired. To be called every now and then.
 */
export function enforceRetention(log: PartitionLog): Promise<void> {
  const { inside } = log;
  return inside.turns.run(async () => {
    const { store, log: logId, config, clock } = inside.options;
    await inside.recover(); // a full disk waits for us
    const closed = await store.segments(logId);
    if (inside.isStale()) return; // the next append recovers it
    const nowMs = clock.wallMs();
    const { segment, producers } = inside.state();
    producers.removeExpired(nowMs);
    if (log.logStartOffset === log.logEndOffset) return; // nothing is left, be it that of a segment that is still active
    if ((closed.at(-1)?.nextOffset ?? log.logStartOffset) < segment.baseOffset) return; // a row is being written
    const count = expiredSegmentCount([...closed, segment], config(), nowMs);
    if (count > closed.length) await deleteBefore(log, await rollActiveSegment(inside));
    else if (count > 0) await deleteBefore(log, closed[count - 1]?.nextOffset ?? 0);
  });
}

/**
 * Makes room whatever retention says: deletes the oldest segment, or the older half where there is but the active one.
 * Resolves to how many bytes are gone, as near as the segments tell.
 */
export function dropOldest(log: PartitionLog): Promise<number> {
  const { inside } = log;
  return inside.turns.run(async () => {
    const { store, log: logId } = inside.options;
    const [start, end] = [log.logStartOffset, log.logEndOffset];
    if (start === end) return 0;
    const oldest = (await store.segments(logId)).find(({ nextOffset }) => nextOffset > start && nextOffset <= end);
    await deleteBefore(log, oldest?.nextOffset ?? end - Math.floor((end - start) / 2));
    return oldest?.byteCount ?? inside.state().segment.byteCount / 2;
  });
}

/** Bytes of the segments that are not wholly deleted, what is in flight included. */
export async function sizeInBytes(log: PartitionLog): Promise<number> {
  const { inside } = log;
  const segments = await inside.options.store.segments(inside.options.log);
  const { segment, nextOffset: endOffset } = inside.state();
  const { baseOffset, startPosition, byteCount } = segment;
  if (log.logStartOffset >= endOffset) return 0;
  const closed = segments.filter(({ nextOffset }) => nextOffset > log.logStartOffset && nextOffset <= baseOffset);
  const last = closed.at(-1);
  // Closed in memory, and their rows are being written.
  const isClosing = last !== undefined && last.nextOffset < baseOffset;
  const closing = isClosing ? startPosition - last.startPosition - last.byteCount : 0;
  return closed.reduce((bytes, row) => bytes + row.byteCount, closing + byteCount);
}

/**
 * How far what lies in these closed segments is decided, and which transactions were aborted by markers behind them;
 * undefined while what is behind them is not only the active segment.
 */
export function decidedBehind(
  log: PartitionLog,
  closed: readonly SegmentRow[],
): { readonly lastStableOffset: number; readonly aborted: readonly AbortedTransaction[] } | undefined {
  const { inside } = log;
  const { segment, transactions } = inside.state();
  if (inside.isStale() || closed.at(-1)?.nextOffset !== segment.baseOffset) return undefined;
  return { lastStableOffset: log.lastStableOffset, aborted: transactions?.aborted() ?? [] };
}

/**
 * Lets `work` rewrite the closed segments while nothing of the log is deleted. Before, the checkpoint is moved behind
 * them: recovery never reads what a rewrite changes.
 * @throws KafkaError as `work` does
 */
export function rewriteClosed<T>(log: PartitionLog, work: (closed: ClosedSegments) => Promise<T>): Promise<T> {
  const { inside } = log;
  return inside.turns.run(async () => {
    inside.assertLeading();
    const { store, log: logId, leaderEpoch } = inside.options;
    try {
      await store.drain(logId, leaderEpoch); // what is rewritten lies in rows, and stays in them
      const rows = await store.segments(logId);
      const { sealedEndOffset } = await checkpointBehind(inside, rows.at(-1)?.nextOffset ?? 0);
      const { logStartOffset } = log;
      const { rewritten } = inside;
      return await work({ store, log: logId, leaderEpoch, logStartOffset, sealedEndOffset, rows, rewritten });
    } catch (error) {
      throw heardOf(inside, error);
    }
  });
}

async function deleteBefore({ inside, logStartOffset }: PartitionLog, offset: number): Promise<void> {
  if (offset <= logStartOffset) return;
  const { store, log, leaderEpoch } = inside.options;
  inside.assertLeading();
  try {
    await checkpointBehind(inside, offset); // what is deleted cannot be replayed: its producers would be forgotten
    await store.deleteBefore(log, offset, leaderEpoch);
  } catch (error) {
    throw heardOf(inside, error);
  }
  inside.startsAt(offset);
}

/** Resolves once the stored checkpoint is at `offset` or behind. */
async function checkpointBehind(inside: LogInside, offset: number): Promise<LogEnds> {
  const { store, log } = inside.options;
  const ends = await store.ends(log);
  const known = asLogSnapshot(ends.checkpoint?.snapshot) === undefined ? 0 : (ends.checkpoint?.offset ?? 0);
  if (known >= offset) return ends;
  await inside.ready();
  await inside.writeRows({ checkpoint: inside.checkpoint() });
  return ends;
}

/** Closes the active segment where it ends now. Resolves to that offset once the segment's row is durable. */
async function rollActiveSegment(inside: LogInside): Promise<number> {
  const closedSegment = inside.roll();
  await inside.writeRows({ checkpoint: inside.checkpoint(), closedSegment });
  return closedSegment.nextOffset;
}

/** The failure of a write beside the commits. */
function heardOf({ options, asAnswer }: LogInside, error: unknown): unknown {
  if (isFenced(error)) options.groupCommit.fenced(error);
  return asAnswer(error);
}
