import type { BatchKeys } from '../log/batch-keys.js';
import type { PartitionLog } from '../log/partition-log.js';
import { rotateSealedSegments } from '../log/rotate-segments.js';
import { sealClosedSegments } from '../log/segment-sealer.js';
import { KafkaError } from '../protocol/errors.js';
import type { LogId } from '../storage/log-store.js';
import { abortable } from '../util/signal.js';
import { TopicCleaner, type TopicCleanerOptions } from './topic-cleaner.js';

export interface SealingContext extends TopicCleanerOptions {
  /** All logs that this broker leads now, and how to open each. */
  readonly logs: () => ReadonlyMap<LogId, () => Promise<PartitionLog>>;
  /** Resolves, perhaps to none, when segments have closed, and now and then; each log is told of once. */
  readonly segmentsClosed: () => Promise<ReadonlySet<LogId>>;
  readonly signal: AbortSignal;
}

/**
 * Seals what is closed, log after log, until the signal aborts: at first what earlier leaders left, then whatever closes;
 * and compacts what needs it, after that. With keys, old ones are rotated out on the way. A log that fails is left for the next time.
 */
export async function keepSealed(context: SealingContext): Promise<void> {
  const { signal, segmentsClosed } = context;
  try {
    const failed = new Set<LogId>();
    for (const [log, open] of context.logs()) {
      if (await failsTo(() => sealLeftOver(context, log, open), signal)) failed.add(log);
    }
    const rotator = new KeyRotator(context);
    await rotator.rotate();
    const cleaner = new TopicCleaner(context);
    await cleaner.clean(undefined, signal);
    for (;;) {
      const closed = await abortable(segmentsClosed(), signal);
      for (const log of closed) failed.add(log);
      const logs = context.logs();
      for (const log of [...failed]) {
        failed.delete(log);
        const open = logs.get(log);
        if (open && (await failsTo(() => seal(context, open), signal))) failed.add(log);
      }
      await rotator.rotate();
      await cleaner.clean(closed.size > 0 ? closed : undefined, signal);
    }
  } catch (error) {
    if (!signal.aborted || error !== signal.reason) throw error;
  }
}

/** Does not open a log that has nothing to seal. */
async function sealLeftOver(context: SealingContext, log: LogId, open: () => Promise<PartitionLog>): Promise<void> {
  const { store, leaderEpoch } = context;
  const { lastSegment, sealedEndOffset, logStartOffset } = await store.ends(log);
  const isClosed = lastSegment !== undefined && lastSegment.nextOffset > Math.max(sealedEndOffset, logStartOffset);
  if (isClosed) await seal(context, open);
  else if (sealedEndOffset > 0) await store.sweepSealed(log, leaderEpoch);
}

async function seal({ batchKeys, signal }: SealingContext, open: () => Promise<PartitionLog>): Promise<void> {
  await sealClosedSegments(await open(), signal, await batchKeys?.());
}

/** Brings what was sealed before under the key that is in use: each log once, and again when there are other keys. */
class KeyRotator {
  readonly #context: SealingContext;
  #keys: BatchKeys | undefined;
  #rotated = new Set<LogId>();

  constructor(context: SealingContext) {
    this.#context = context;
  }

  /** A log that fails is left for the next time. */
  async rotate(): Promise<void> {
    const { batchKeys, logs, signal } = this.#context;
    let keys: BatchKeys | undefined;
    if (await failsTo(async () => void (keys = await batchKeys?.()), signal)) return;
    if (keys !== this.#keys) this.#rotated = new Set();
    this.#keys = keys;
    if (!keys?.rotates) return;
    for (const [log, open] of logs()) await this.#rotateLog(log, open, keys);
  }

  async #rotateLog(log: LogId, open: () => Promise<PartitionLog>, keys: BatchKeys): Promise<void> {
    const { store, signal } = this.#context;
    if (this.#rotated.has(log)) return;
    const work = async (): Promise<void> => {
      const { sealedEndOffset, logStartOffset } = await store.ends(log);
      if (sealedEndOffset > logStartOffset) await rotateSealedSegments(await open(), keys, signal);
    };
    if (!(await failsTo(work, signal))) this.#rotated.add(log);
  }
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
