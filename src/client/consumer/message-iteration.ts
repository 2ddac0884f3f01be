import { type Deferred, deferred, onAbort } from '../../util/signal.js';
import type { ConsumedMessage, EachBatchPayload, KafkaMessage } from '../api/consumer.js';
import { CONSUMER_EVENTS, type ConsumerEvents } from '../api/events.js';
import type { Instrumentation } from '../instrumentation.js';
import type { ConsumerBody } from './consumer.js';
import type { StoredMessage } from './message.js';

/** See `Consumer.messages`. Loaded by the first who asks for it: handlers need none of this. */
export async function* iterateMessages<K, V>(
  consumer: Pick<ConsumerBody<K, V>, 'run' | 'stop' | 'isPaused' | 'isRestarting'>,
  instrumentation: Instrumentation<ConsumerEvents>,
  options: { signal?: AbortSignal; autoCommit?: boolean } = {},
): AsyncGenerator<ConsumedMessage<K, V>> {
  const { signal, autoCommit = true } = options;
  const handOver = new HandOver<EachBatchPayload<K, V>>();
  const forgetCrash = instrumentation.on(CONSUMER_EVENTS.CRASH, ({ payload }) => {
    if (!payload.restart) handOver.end(payload.error);
  });
  const forgetStop = instrumentation.on(CONSUMER_EVENTS.STOP, () => {
    if (!consumer.isRestarting()) handOver.end();
  });
  const forgetAbort = onAbort(signal, () => handOver.end());
  try {
    if (signal?.aborted) return;
    const eachBatch = (payload: EachBatchPayload<K, V>): Promise<void> => handOver.give(payload);
    const running = consumer.run({ autoCommit, eachBatchAutoResolve: false, eachBatch, ...(signal && { signal }) });
    await running.catch((error: unknown) => {
      if (!signal?.aborted) throw error;
    });
    for (let payload = await handOver.take(); payload !== undefined; payload = await handOver.take()) {
      for (const message of payload.batch.messages as readonly KafkaMessage<K, V>[] as readonly StoredMessage<K, V>[]) {
        if (!payload.isRunning() || payload.isStale() || signal?.aborted || consumer.isPaused(message)) break;
        yield message.alone();
        payload.resolveOffset(message.offset);
      }
    }
  } finally {
    forgetCrash();
    forgetStop();
    forgetAbort();
    const stopped = consumer.stop();
    handOver.end();
    handOver.release();
    await stopped;
  }
}

/** Passes batches from the handlers to the loop, one at a time: a handler ends when the loop asks for the next. */
class HandOver<T> {
  readonly #given: { readonly item: T; readonly done: Deferred<void> }[] = [];
  #current: Deferred<void> | undefined;
  #asked: Deferred<T | undefined> | undefined;
  #ended: { readonly error: unknown } | undefined;

  async give(item: T): Promise<void> {
    if (this.#ended !== undefined) return;
    const done = deferred();
    this.#given.push({ item, done });
    this.#next();
    await done.promise;
  }

  /** undefined at the end. */
  take(): Promise<T | undefined> {
    this.release();
    this.#asked = deferred();
    const { promise } = this.#asked;
    this.#next();
    return promise;
  }

  /** Lets the handler of what was taken last end. */
  release(): void {
    this.#current?.resolve();
    this.#current = undefined;
  }

  end(error?: unknown): void {
    this.#ended ??= { error };
    for (const { done } of this.#given.splice(0)) done.resolve();
    this.#next();
  }

  #next(): void {
    const asked = this.#asked;
    if (asked === undefined) return;
    const given = this.#given.shift();
    if (given === undefined && this.#ended === undefined) return;
    this.#asked = undefined;
    this.#current = given?.done;
    if (given !== undefined) asked.resolve(given.item);
    else if (this.#ended?.error === undefined) asked.resolve(undefined);
    else asked.reject(this.#ended.error);
  }
}
