import type { BatchKeys } from './batch-keys.js';
import { rewriteClosed } from './log-upkeep.js';
import type { PartitionLog } from './partition-log.js';
import { type ClosedSegments, rewriteSegments } from './rewrite-segments.js';
import { rollUp } from './roll-up.js';
import { rotation } from './rotate-segments.js';

/**
 * Seals the closed segments of a log, oldest first, each for itself, and deletes their rows: see `LogStore.stageSealed`.
 * What an earlier leader began, it ends. With `keys`, what is encrypted comes under the one in use. Resolves when nothing is left, or with the signal.
 * @throws KafkaError as `rewriteSegments`; NOT_LEADER_OR_FOLLOWER
 */
export async function sealClosedSegments(log: PartitionLog, signal: AbortSignal, keys?: BatchKeys): Promise<void> {
  for (let isMore = true; isMore && !signal.aborted; )
    isMore = await rewriteClosed(log, (closed) => sealNext(closed, { keys, signal }));
}

/** Resolves to whether there is more to seal. */
async function sealNext(
  closed: ClosedSegments,
  { keys, signal }: { readonly keys: BatchKeys | undefined; readonly signal: AbortSignal },
): Promise<boolean> {
  const { store, log, leaderEpoch, logStartOffset, sealedEndOffset } = closed;
  const unsealed = closed.rows.filter(({ nextOffset }) => nextOffset > Math.max(sealedEndOffset, logStartOffset));
  const next = unsealed[0];
  // Rows of an earlier pass, and sealed segments below the log start, go before anything is put behind them.
  await store.sweepSealed(log, leaderEpoch);
  if (next === undefined) return false;
  const rotates = keys?.rotates === true;
  await rewriteSegments({ ...closed, rows: [next] }, rotates ? [rotation(keys), rollUp] : [rollUp], signal);
  if (rotates) closed.rewritten(next.nextOffset);
  await store.sweepSealed(log, leaderEpoch);
  return unsealed.length > 1;
}
