import { KafkaError } from '../protocol/errors.js';
import { isEncrypted } from '../record/batch-encryption.js';
import { readBatchHeader } from '../record/batch-header.js';
import type { BatchKeys } from './batch-keys.js';
import { rewriteClosed } from './log-upkeep.js';
import type { PartitionLog } from './partition-log.js';
import {
  type BatchTransform,
  batchesOf,
  type ClosedSegments,
  isSound,
  rewriteSegments,
  type StoredBatch,
} from './rewrite-segments.js';

/**
 * Brings batches under the key that is in use: the same offsets, times, sequences and records, encrypted anew. What is
 * under a key that is not here, or not sound, passes as it is.
 */
export function rotation(keys: BatchKeys): BatchTransform {
  return async function* rotate(batches) {
    for await (const group of batches) {
      const rotated: StoredBatch[] = [];
      for (const batch of group) rotated.push((await rotatedBatch(batch, keys)) ?? batch);
      yield rotated;
    }
  };
}

/**
 * Rewrites, of what is sealed, each segment that holds a batch under a key that is no longer in use. Reads the sealed log
 * once. Resolves when no such batch is left, or with the signal.
 * @throws KafkaError as `rewriteSegments`; NOT_LEADER_OR_FOLLOWER
 */
export async function rotateSealedSegments(log: PartitionLog, keys: BatchKeys, signal: AbortSignal): Promise<void> {
  let end = 0;
  for (let next: number | undefined = 0; next !== undefined && !signal.aborted; ) {
    end = next;
    next = await rewriteClosed(log, (closed) => rotateNext(closed, { from: end, keys, signal }));
  }
  log.inside.rewritten(end); // also what a leader rotated that died before it could tell
}

/** The first sealed segment at or behind `from`; resolves to where the next begins, undefined: there is none. */
async function rotateNext(
  closed: ClosedSegments,
  { from, keys, signal }: { readonly from: number; readonly keys: BatchKeys; readonly signal: AbortSignal },
): Promise<number | undefined> {
  const { store, log, leaderEpoch, logStartOffset, sealedEndOffset } = closed;
  const row = closed.rows.find(({ baseOffset, nextOffset }) => {
    return baseOffset >= from && nextOffset > logStartOffset && nextOffset <= sealedEndOffset;
  });
  if (row === undefined) return undefined;
  const segment = { ...closed, rows: [row] };
  try {
    if (await holdsOutdated(segment, keys, signal)) {
      await rewriteSegments(segment, [rotation(keys)], signal);
      closed.rewritten(row.nextOffset);
      await store.sweepSealed(log, leaderEpoch);
    }
  } catch (error) {
    // What is damaged stays as it is, to be seen.
    if (!(error instanceof KafkaError) || error.type !== 'CORRUPT_MESSAGE') throw error;
  }
  return row.nextOffset;
}

async function holdsOutdated(closed: ClosedSegments, keys: BatchKeys, signal: AbortSignal): Promise<boolean> {
  for await (const group of batchesOf(closed, signal)) {
    for (const batch of group) if (await rotatedBatch(batch, keys)) return true;
  }
  return false;
}

/** undefined: it stays as it is. */
async function rotatedBatch(batch: StoredBatch, keys: BatchKeys): Promise<StoredBatch | undefined> {
  // Its checksum is made anew: what was wrong with the old one must stay to be seen.
  if (!isEncrypted(batch.header) || !keys.isOutdated(batch.bytes, 0) || !isSound(batch)) return undefined;
  const opened = await keys.open(batch.bytes, 0);
  if (opened === undefined || opened.isCurrent) return undefined;
  const bytes = await opened.seal(opened.clear);
  return { header: readBatchHeader(bytes), bytes };
}
