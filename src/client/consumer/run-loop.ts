import { KafkaError } from '../../protocol/errors.js';
import { topicPartitionText } from '../../protocol/topic-partition.js';
import type { ClientRuntime } from '../../runtime/runtime.js';
import type { ConsumerRunConfig, EachBatchPayload, Offsets } from '../api/consumer.js';
import { type BatchEventPayload, CONSUMER_EVENTS, type ConsumerEvents } from '../api/events.js';
import type { RetryOptions } from '../api/kafka.js';
import type { Logger } from '../api/logger.js';
import {
  KafkaJSError,
  KafkaJSNonRetriableError,
  KafkaJSNumberOfRetriesExceeded,
  KafkaJSProtocolError,
} from '../errors.js';
import type { Instrumentation } from '../instrumentation.js';
import { retryDelayMs } from '../retry.js';
import { ConsumerBatch } from './batch.js';
import { type FetchedBatch, type Fetcher, isStale } from './fetcher.js';
import { type OffsetStore, toOffsets } from './offsets.js';

export interface RunLoopOptions<K, V> {
  readonly runtime: ClientRuntime;
  readonly fetcher: Fetcher<K, V>;
  readonly offsets: OffsetStore;
  readonly config: ConsumerRunConfig<K, V>;
  readonly autoCommit: boolean;
  readonly retry: Required<RetryOptions>;
  readonly logger: Logger;
  readonly instrumentation: Instrumentation<ConsumerEvents>;
  /** Sends a heartbeat if one is due. */
  readonly heartbeat: () => Promise<void>;
  readonly pause: (topic: string, partition: number) => () => void;
  readonly commitOffsets: (offsets: Offsets) => Promise<void>;
  /** A commit that nobody waits for. */
  readonly commitSoon: () => void;
  readonly isRunning: () => boolean;
  readonly onFailure: (error: unknown) => void;
}

/** Each waits for a batch; code that wants all partitions at once may ask for any number. */
const MAX_WORKERS = 1000;

const MISTAKE = /^(Range|Reference|Syntax|Type)Error$/;

/**
 * Takes batches and calls the handlers, at most `partitionsConsumedConcurrently` at a time and never two for one
 * partition. A handler that fails gets the same record again after a back-off, as in KafkaJS, and the consumer crashes
 * when it goes on failing.
 */
export class RunLoop<K, V> {
  readonly #options: RunLoopOptions<K, V>;
  readonly #handlers = new Set<Promise<void>>();
  /** How often the handler failed at one place. */
  readonly #failures = new Map<string, { offset: number; count: number }>();

  constructor(options: RunLoopOptions<K, V>) {
    this.#options = options;
  }

  start(signal: AbortSignal): void {
    const workers = Math.min(this.#options.config.partitionsConsumedConcurrently ?? 1, MAX_WORKERS);
    for (let i = 0; i < workers; i++) {
      this.#work(signal).catch((error) => {
        if (!signal.aborted) this.#options.onFailure(error);
      });
    }
  }

  /** Resolves when no handler runs. New batches must have been cut off before. */
  async idle(): Promise<void> {
    while (this.#handlers.size > 0) await Promise.allSettled([...this.#handlers]);
  }

  async #work(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const batch = await this.#options.fetcher.take(signal);
      const handled = this.#handle(batch);
      this.#handlers.add(handled);
      try {
        await handled;
      } finally {
        this.#handlers.delete(handled);
      }
      this.#options.fetcher.release(batch); // what failed for good is not: what is behind it would be processed, and both committed
    }
  }

  async #handle(batch: FetchedBatch<K, V>): Promise<void> {
    const { config, instrumentation, runtime, autoCommit, commitSoon } = this.#options;
    if (isStale(batch)) return;
    const shown = new ConsumerBatch(batch);
    const startedMs = runtime.clock.monotonicMs();
    instrumentation.emit(CONSUMER_EVENTS.START_BATCH_PROCESS, eventPayload(shown));
    // What no handler was there for is not processed; of markers, aborted records, or what compaction left none hears.
    if (config.eachMessage || config.eachBatch) {
      if (batch.messages.length === 0) this.#resolve(batch, batch.nextOffset, 0);
      else if (config.eachMessage) await this.#eachMessage(batch);
      else await this.#eachBatch(batch, shown);
    }
    if (!batch.failed) {
      const duration = runtime.clock.monotonicMs() - startedMs;
      instrumentation.emit(CONSUMER_EVENTS.END_BATCH_PROCESS, { ...eventPayload(shown), duration });
    }
    if (autoCommit && !batch.slot.dropped) commitSoon();
  }

  async #eachMessage(batch: FetchedBatch<K, V>): Promise<void> {
    const { config, offsets, autoCommit, commitSoon, isRunning } = this.#options;
    const { topic, partition } = batch.slot;
    const eachMessage = config.eachMessage!;
    const heartbeat = (): Promise<void> => this.#heartbeat(batch);
    const pause = (): (() => void) => this.#options.pause(topic, partition);
    for (let i = 0; i < batch.messages.length; i++) {
      if (isStale(batch) || !isRunning()) return;
      const message = batch.messages[i]!;
      // Paused by its own handler: the rest comes again after resume.
      if (batch.slot.paused) return this.#options.fetcher.putBack(batch, i, 0);
      try {
        const result = eachMessage({ topic, partition, message: message.alone(), heartbeat, pause });
        if (result !== undefined) await result;
      } catch (error) {
        return this.#handlerFailed(batch, i, error, 'eachMessage');
      }
      this.#resolve(batch, message.offsetNumber + 1, 1);
      if (autoCommit && offsets.isCommitDue()) commitSoon();
    }
    this.#resolve(batch, batch.nextOffset, 0);
    this.#failures.delete(topicPartitionText(batch.slot));
  }

  async #eachBatch(batch: FetchedBatch<K, V>, shown: ConsumerBatch<K, V>): Promise<void> {
    const { config, offsets, autoCommit } = this.#options;
    const { topic, partition } = batch.slot;
    const { messages } = batch;
    let resolvedCount = 0;
    let toldToEnd = false;
    const payload: EachBatchPayload<K, V> = {
      batch: shown,
      resolveOffset: (offset) => {
        const nextOffset = Number(offset) + 1;
        const before = resolvedCount;
        while (resolvedCount < messages.length && messages[resolvedCount]!.offsetNumber < nextOffset) resolvedCount++;
        this.#resolve(batch, nextOffset, resolvedCount - before);
      },
      heartbeat: () => this.#heartbeat(batch),
      pause: () => this.#options.pause(topic, partition),
      commitOffsetsIfNecessary: async (given) => {
        if (given) await this.#options.commitOffsets(given);
        else if (offsets.isCommitDue()) await offsets.commit();
      },
      uncommittedOffsets: () => toOffsets(offsets.uncommitted()),
      isRunning: () => {
        toldToEnd ||= !this.#options.isRunning();
        return this.#options.isRunning();
      },
      isStale: () => {
        toldToEnd ||= isStale(batch);
        return isStale(batch);
      },
    };
    try {
      await config.eachBatch!(payload);
    } catch (error) {
      return this.#handlerFailed(batch, resolvedCount, error, 'eachBatch');
    }
    this.#failures.delete(topicPartitionText(batch.slot));
    // Who was told to end may have left records out: only what it resolved itself counts then.
    if (toldToEnd) return;
    if (config.eachBatchAutoResolve ?? true) this.#resolve(batch, batch.nextOffset, messages.length - resolvedCount);
    else if (resolvedCount < messages.length) this.#options.fetcher.putBack(batch, resolvedCount, 0);
    else if (autoCommit) this.#resolve(batch, batch.nextOffset, 0);
  }

  /** Also counts while the partition is being given up: what was finished then is committed with the rest. */
  #resolve({ slot, version }: FetchedBatch<K, V>, nextOffset: number, count: number): void {
    if (slot.version === version) this.#options.offsets.resolve(slot, nextOffset, count);
  }

  async #heartbeat(batch: FetchedBatch<K, V>): Promise<void> {
    await this.#options.heartbeat();
    // Whoever stops waits for handlers to finish.
    if (!batch.slot.dropped || !this.#options.isRunning()) return;
    throw new KafkaJSProtocolError(new KafkaError('REBALANCE_IN_PROGRESS', 'The group is rebalancing'));
  }

  #handlerFailed(batch: FetchedBatch<K, V>, index: number, error: unknown, handler: string): void {
    const { retry, runtime, logger, fetcher, autoCommit, commitSoon, isRunning } = this.#options;
    batch.failed = true;
    const { topic, partition } = batch.slot;
    const at = Math.min(index, batch.messages.length - 1);
    const offset = batch.messages[at]!.offsetNumber;
    if (!(error instanceof KafkaJSError)) {
      const stack = error instanceof Error ? error.stack : String(error);
      logger.error(`Error when calling ${handler}`, { topic, partition, offset: String(offset), stack, error });
    }
    // Its partition is no longer ours, or was moved: what failed is void.
    if (isStale(batch) || !isRunning()) return;
    if (autoCommit) commitSoon();
    const key = topicPartitionText(batch.slot);
    const known = this.#failures.get(key);
    const count = known?.offset === offset ? known.count + 1 : 1;
    this.#failures.set(key, { offset, count });
    const delayMs = retryDelayMs(undefined, {
      retryCount: count - 1,
      options: retry,
      random: runtime.random,
    });
    const cause = error instanceof Error ? error : new Error(String(error));
    if (!isWorthRetrying(cause)) {
      throw cause instanceof KafkaJSError ? cause : new KafkaJSNonRetriableError(cause, { cause });
    }
    if (count > retry.retries) {
      throw new KafkaJSNumberOfRetriesExceeded(cause, { retryCount: count - 1, retryTime: delayMs });
    }
    if (index < batch.messages.length) fetcher.putBack(batch, at, delayMs); // else it has resolved them all
  }
}

/** As KafkaJS judges: what says no, and mistakes in the program, would fail again. */
function isWorthRetrying({ name, retriable }: Error & { retriable?: boolean }): boolean {
  return retriable !== false && !MISTAKE.test(name);
}

function eventPayload<K, V>(batch: ConsumerBatch<K, V>): BatchEventPayload {
  const { topic, partition, highWatermark, messages } = batch;
  return {
    topic,
    partition,
    highWatermark,
    offsetLag: batch.offsetLag(),
    offsetLagLow: batch.offsetLagLow(),
    batchSize: messages.length,
    firstOffset: batch.firstOffset(),
    lastOffset: batch.lastOffset(),
  };
}
