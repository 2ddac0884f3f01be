import type { PartitionLog } from '../log/partition-log.js';
import { sealClosedSegments } from '../log/segment-sealer.js';
import { KafkaError } from '../protocol/errors.js';
import type { LogId, LogStore } from '../storage/log-store.js';
import { abortable } from '../util/signal.js';

export interface SealingContext {
  readonly store: LogStore;
  readonly leaderEpoch: number;
  /** All logs that this broker leads now, and how to open each. */
  readonly logs: () => ReadonlyMap<LogId, () => Promise<PartitionLog>>;
  /** Resolves, perhaps to none, when segments have closed, and now and then; each log is told of once. */
  readonly segmentsClosed: () => Promise<ReadonlySet<LogId>>;
  /** Called each time when that has been dealt with: of these logs, at first of all, segments may have closed. */
  readonly sealed: (logs: ReadonlySet<LogId> | undefined) => Promise<void>;
  readonly signal: AbortSignal;
}

/**
 * Seals what is closed, log after log, until the signal aborts: at first what earlier leaders left, then whatever closes.
 * A log that fails is left for the next time.
 */
export async function keepSealed(context: SealingContext): Promise<void> {
  const { signal, segmentsClosed } = context;
  try {
    const failed = new Set<LogId>();
    for (const [log, open] of context.logs()) {
      if (await failsTo(() => sealLeftOver(context, log, open), signal)) failed.add(log);
    }
    await context.sealed(undefined);
    for (;;) {
      const closed = await abortable(segmentsClosed(), signal);
      for (const log of closed) failed.add(log);
      const logs = context.logs();
      for (const log of [...failed]) {
        failed.delete(log);
        const open = logs.get(log);
        if (open && (await failsTo(async () => sealClosedSegments(await open(), signal), signal))) failed.add(log);
      }
      if (closed.size > 0) await context.sealed(closed);
    }
  } catch (error) {
    if (!signal.aborted || error !== signal.reason) throw error;
  }
}

/** Does not open a log that has nothing to seal. */
async function sealLeftOver(
  { store, leaderEpoch, signal }: SealingContext,
  log: LogId,
  open: () => Promise<PartitionLog>,
): Promise<void> {
  const { lastSegment, sealedEndOffset, logStartOffset } = await store.ends(log);
  const isClosed = lastSegment !== undefined && lastSegment.nextOffset > Math.max(sealedEndOffset, logStartOffset);
  if (isClosed) await sealClosedSegments(await open(), signal);
  else if (sealedEndOffset > 0) await store.sweepSealed(log, leaderEpoch);
}

/** Whether `work` met an expected failure. */
async function failsTo(work: () => Promise<void>, signal: AbortSignal): Promise<boolean> {
  signal.throwIfAborted();
  try {
    await work();
    return false;
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof KafkaError) return true;
    throw error;
  }
}
