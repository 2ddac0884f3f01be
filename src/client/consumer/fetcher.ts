import { errorOf, type KafkaError } from '../../protocol/errors.js';
import type { FetchResponse, PartitionGap } from '../../protocol/requests.js';
import { type TopicPartition, topicPartitionText } from '../../protocol/topic-partition.js';
import type { Serde } from '../../record/serdes.js';
import { type Deferred, deferred, linkedController, OVER, onAbort } from '../../util/signal.js';
import type { EncryptionConfig, RetryOptions } from '../api/kafka.js';
import type { Connection } from '../connection.js';
import { KafkaJSNonRetriableError, KafkaJSNumberOfRetriesExceeded, toKafkaJSError } from '../errors.js';
import { isRetriable, retryDelayMs } from '../retry.js';
import type { Position } from './arguments.js';
import { listEnds } from './list-ends.js';
import { readMessages, type StoredMessage } from './message.js';

/** Records of one partition as one fetch brought them: what a handler gets. */
export interface FetchedBatch<K, V> {
  readonly slot: PartitionSlot<K, V>;
  readonly messages: readonly StoredMessage<K, V>[];
  readonly nextOffset: number;
  readonly highWatermark: number;
  readonly sizeInBytes: number;
  /** `slot.version` when it was fetched: a seek since then makes it stale. */
  readonly version: number;
  /** A handler has failed at it. */
  failed?: true;
}

/** One assigned partition. It is replaced, not reused, when partitions are assigned anew: what it still gets is late mail. */
export interface PartitionSlot<K, V> extends TopicPartition {
  readonly assignmentId: number;
  /** Where to fetch next: behind what is buffered. */
  position: Position;
  /** Whose positions these are; undefined: of that which is read first. */
  log: number | undefined;
  /** Records from there on were fetched before. */
  goesOn: boolean;
  /** Of the log, as the last answer said. */
  endOffset: number;
  version: number;
  dropped: boolean;
  paused: boolean;
  /** The fetch under way for it; a seek makes that one void. */
  fetch: AbortController | undefined;
  buffered: FetchedBatch<K, V> | undefined;
  /** What comes there cannot be decrypted: nothing is fetched until a seek. */
  unreadable: boolean;
  failures: number;
  retryAtMs: number;
}

interface FetcherOptions<K, V> {
  readonly connection: Connection;
  readonly retry: Required<RetryOptions>;
  readonly maxWaitMs: number;
  readonly minBytes: number;
  readonly maxBytes: number;
  readonly maxBytesPerPartition: number;
  readonly isolationLevel: 0 | 1;
  readonly encryption: EncryptionConfig | undefined;
  readonly keySerde: Serde<K> | undefined;
  readonly valueSerde: Serde<V> | undefined;
  /** Where to go on after an offset that the log does not have. */
  readonly resetPosition: (topic: string) => Position;
  readonly onFetchStart: () => void;
  /** The duration is in ms, as in KafkaJS's event. */
  readonly onFetch: (result: { numberOfBatches: number; duration: number }) => void;
  /** The fetcher has given up and stopped. */
  readonly onFailure: (error: unknown) => void;
  readonly onStaleTopic: (topic: string) => void;
  /** A partition is held back: what comes there needs a key that is not given. */
  readonly onUnreadable: (slot: PartitionSlot<K, V>, error: Error) => void;
  /** Records are lost. Returns whether to go on behind them. */
  readonly onGap: (partition: TopicPartition, gap: PartitionGap, error: KafkaError) => boolean;
  /** There was nothing more to read, where one fetch has waited for it. */
  readonly onEnd: (slot: PartitionSlot<K, V>, highWatermark: number) => void;
  /** An end of the log was asked for, and `position` is where that was. */
  readonly onPositioned: (slot: PartitionSlot<K, V>) => void;
  /** The topic of a partition was made anew: its positions are of a log that is no more. */
  readonly onMadeAnew: (slot: PartitionSlot<K, V>) => void;
  /** The site's data was cleared: all positions are of a log that is no more. */
  readonly onDataLost: () => void;
}

/** What a partition's first fetch asks for: one row of the log, so that its first record is there soon. */
const FIRST_FETCH_BYTES = 64 * 1024;

/** In place of a time: once its handler is done. */
const BEHIND_HANDLER = Number.POSITIVE_INFINITY;

/** Fetches under way at most; beyond, the longest waiting one is cut short and its partitions join the next. */
const MAX_FETCHES = 4;
/** One that is not known to be at the end of its logs is read, and not cut short, for so long: to ask again would be slower. */
const READING_MS = 100;

/**
 * Reads ahead: while a handler has one batch of a partition, the next one is fetched, no more. A fetch asks for all
 * partitions that want data and waits at the broker for the first to have some; a partition that comes to want data
 * meanwhile gets a fetch of its own, so that idle partitions never hold up busy ones.
 */
export class Fetcher<K, V> {
  readonly #options: FetcherOptions<K, V>;
  #slots = new Map<string, PartitionSlot<K, V>>();
  #takers: Deferred<FetchedBatch<K, V>>[] = [];
  /** Partitions of which a handler has a batch, be it of an earlier assignment. */
  readonly #busy = new Set<string>();
  /** In the order in which they were sent, and when that was. */
  readonly #fetches = new Map<AbortController, number>();
  #isPumpPlanned = false;
  #bufferedBytes = 0;
  /** Which data the positions belong to; a promise: that was asked before they were used. */
  #incarnationId: string | Promise<string> | undefined;
  #stopped = new AbortController();

  constructor(options: FetcherOptions<K, V>) {
    this.#options = options;
  }

  /**
   * Replaces the assignment: positions in the data of that incarnation. Batches of before are stale. While a
   * promised incarnation is not known, what is fetched is held back. It must not reject.
   */
  assign(
    assignmentId: number,
    partitions: readonly (TopicPartition & { position: Position; log?: number | undefined; paused: boolean })[],
    incarnationId?: string | Promise<string>,
  ): void {
    for (const slot of this.#slots.values()) this.#drop(slot);
    this.#slots = new Map();
    this.#incarnationId = incarnationId;
    for (const { topic, partition, position, log, paused } of partitions) {
      this.#slots.set(topicPartitionText({ topic, partition }), {
        topic,
        partition,
        assignmentId,
        position,
        log,
        goesOn: false,
        endOffset: Infinity,
        version: 0,
        dropped: false,
        paused,
        fetch: undefined,
        buffered: undefined,
        unreadable: false,
        failures: 0,
        retryAtMs: 0,
      });
    }
    for (const fetch of this.#fetches.keys()) fetch.abort();
    this.#pump();
  }

  /** Whose positions these are, once that is known. */
  get incarnationId(): string | undefined {
    return typeof this.#incarnationId === 'string' ? this.#incarnationId : undefined;
  }

  slot(partition: TopicPartition): PartitionSlot<K, V> | undefined {
    return this.#slots.get(topicPartitionText(partition));
  }

  get slots(): Iterable<PartitionSlot<K, V>> {
    return this.#slots.values();
  }

  /** The next batch of a partition that no handler is busy with; give it back by `release`. */
  take(signal: AbortSignal): Promise<FetchedBatch<K, V>> {
    const taker = deferred<FetchedBatch<K, V>>();
    const forget = onAbort(signal, () => {
      this.#takers = this.#takers.filter((other) => other !== taker);
      taker.reject(signal.reason);
    });
    taker.promise.then(forget, forget);
    this.#takers.push(taker);
    this.#offer();
    return taker.promise;
  }

  release(batch: FetchedBatch<K, V>): void {
    const key = topicPartitionText(batch.slot);
    const slot = this.#slots.get(key);
    this.#busy.delete(key);
    if (slot?.retryAtMs === BEHIND_HANDLER) slot.retryAtMs = 0;
    this.#offer();
  }

  /** Goes on from elsewhere; what was fetched before is stale. */
  seek(slot: PartitionSlot<K, V>, position: Position): void {
    this.#moveTo(slot, position);
    this.#pump();
  }

  /** Goes on with the rest of a batch, from its message `index` on, after `delayMs`. */
  putBack(batch: FetchedBatch<K, V>, index: number, delayMs: number): void {
    const { slot } = batch;
    if (isStale(batch)) return;
    this.#moveTo(slot, batch.messages[index]!.offsetNumber);
    this.#holdBack(slot, delayMs);
  }

  setPaused(slot: PartitionSlot<K, V>, paused: boolean): void {
    slot.paused = paused;
    if (paused) return;
    this.#offer();
    this.#pump();
  }

  /** Ends all fetches; nothing is handed out any more. */
  stop(): void {
    this.#stopped.abort();
    for (const slot of this.#slots.values()) this.#drop(slot);
    this.#slots = new Map();
  }

  #moveTo(slot: PartitionSlot<K, V>, position: Position): void {
    const { fetch } = slot;
    slot.position = position;
    slot.goesOn = false;
    slot.version++;
    slot.fetch = undefined;
    // Where it was for nobody else: its host then reads no further there, and what is wanted now need not wait.
    if (![...this.#slots.values()].some((other) => other.fetch === fetch)) fetch?.abort();
    slot.unreadable = false;
    this.#discard(slot);
  }

  #drop(slot: PartitionSlot<K, V>): void {
    slot.dropped = true;
    this.#discard(slot);
  }

  #discard(slot: PartitionSlot<K, V>): void {
    this.#bufferedBytes -= slot.buffered?.sizeInBytes ?? 0;
    slot.buffered = undefined;
  }

  #offer(): void {
    this.#handOut();
    this.#pump();
  }

  /** Hands buffered batches to those who wait, the partition served longest ago first. */
  #handOut(): void {
    for (const [key, slot] of this.#slots) {
      if (this.#takers.length === 0) break;
      const { buffered } = slot;
      if (buffered === undefined || slot.paused || this.#busy.has(key)) continue;
      this.#discard(slot);
      this.#busy.add(key);
      this.#slots.delete(key);
      this.#slots.set(key, slot);
      this.#takers.shift()!.resolve(buffered);
    }
  }

  /** Fetches for all partitions that want data and have no fetch under way. */
  #pump(): void {
    // While somebody waits, what is buffered is of paused or busy partitions, and no reason to let the others starve.
    const isFull = this.#bufferedBytes > this.#options.maxBytes && this.#takers.length === 0;
    if (this.#stopped.signal.aborted || isFull) return;
    const nowMs = this.#options.connection.runtime.clock.monotonicMs();
    const wanting: PartitionSlot<K, V>[] = [];
    for (const slot of this.#slots.values()) {
      if (
        slot.fetch !== undefined ||
        (slot.paused && typeof slot.position === 'number') || // the end of the log is that of now, not of when it is resumed
        slot.unreadable ||
        slot.buffered !== undefined ||
        slot.retryAtMs > nowMs
      )
        continue;
      wanting.push(slot);
    }
    if (wanting.length === 0) return;
    if (this.#fetches.size >= MAX_FETCHES) {
      const reading = new Set<AbortController | undefined>();
      for (const slot of this.#slots.values()) if (!isAtEnd(slot)) reading.add(slot.fetch);
      for (const [fetch, sentAtMs] of this.#fetches) {
        // It ends at once, pumps again, and its partitions are then among those that want data.
        if (!reading.has(fetch) || nowMs - sentAtMs >= READING_MS) return fetch.abort();
      }
      return this.#pumpSoon(); // or when one of them ends
    }
    void this.#fetch(wanting);
  }

  #pumpSoon(): void {
    if (this.#isPumpPlanned) return;
    this.#isPumpPlanned = true;
    const { clock } = this.#options.connection.runtime;
    clock.sleep(READING_MS, this.#stopped.signal).then(
      () => {
        this.#isPumpPlanned = false;
        this.#pump();
      },
      () => {}, // stopped
    );
  }

  async #fetch(slots: readonly PartitionSlot<K, V>[]): Promise<void> {
    const controller = linkedController(this.#stopped.signal);
    this.#fetches.set(controller, this.#options.connection.runtime.clock.monotonicMs());
    for (const slot of slots) slot.fetch = controller;
    const asked = slots.map((slot) => ({ slot, version: slot.version }));
    try {
      // Without a position to look up it goes out in this very turn: in the next one a handler may run for long.
      const ends = asked.filter(({ slot }) => typeof slot.position !== 'number');
      if (ends.length > 0) await this.#lookUpPositions(ends, controller.signal);
      for (const { slot } of ends) if (slot.paused && slot.fetch === controller) slot.fetch = undefined;
      const wanted = asked.filter((entry) => isCurrent(entry) && entry.slot.fetch === controller);
      await this.#fetchOnce(wanted, controller);
    } catch (error) {
      if (!controller.signal.aborted)
        this.#failed(
          asked.filter(isCurrent).map(({ slot }) => slot),
          toKafkaJSError(error),
        );
    } finally {
      this.#fetches.delete(controller);
      controller.abort(OVER);
      for (const slot of slots) if (slot.fetch === controller) slot.fetch = undefined;
      this.#offer();
    }
  }

  async #fetchOnce(asked: readonly Asked<K, V>[], controller: AbortController): Promise<void> {
    const { connection, maxWaitMs, minBytes, maxBytes, maxBytesPerPartition, isolationLevel } = this.#options;
    if (asked.length === 0) return;
    const { clock } = connection.runtime;
    const sentAtMs = clock.monotonicMs();
    const firstBytes = Math.min(maxBytesPerPartition, Math.max(FIRST_FETCH_BYTES, 2 * minBytes));
    this.#options.onFetchStart();
    const topics = byTopic(asked.map(({ slot }) => slot)).map(({ topic, slots }) => ({
      topic,
      partitions: slots.map(({ partition, position, goesOn }) => ({
        partition,
        fetchOffset: position as number,
        partitionMaxBytes: goesOn ? maxBytesPerPartition : firstBytes,
      })),
    }));
    const request = { maxWaitMs, minBytes, maxBytes, isolationLevel, topics };
    const response = await connection.request('Fetch', request, { signal: controller.signal, waitMs: maxWaitMs });
    this.#fetches.delete(controller); // what follows keeps no other from being sent
    const { incarnationId } = response;
    const expectedId = (await this.#incarnationId) ?? incarnationId;
    if (!asked.some(isCurrent)) return; // it says nothing of the positions of now
    this.#incarnationId = incarnationId;
    if (incarnationId !== expectedId) {
      this.#options.onDataLost();
      return;
    }
    const answers = new Map<string, FetchResponse['responses'][number]['partitions'][number]>();
    for (const { topic, partitions } of response.responses) {
      for (const answer of partitions) {
        answers.set(topicPartitionText({ topic, partition: answer.partitionIndex }), answer);
      }
    }
    let numberOfBatches = 0;
    const isEmpty = response.responses.every(({ partitions }) =>
      partitions.every(({ records }) => records.length === 0),
    );
    for (const { slot, version } of asked) {
      const answer = answers.get(topicPartitionText(slot));
      if (answer === undefined || !isCurrent({ slot, version })) continue;
      const { log = slot.log } = answer;
      const isAnother = slot.log !== undefined && slot.log !== log;
      slot.log = log;
      slot.endOffset = answer.highWatermark;
      const error = errorOf(answer);
      if (isAnother) this.#madeAnew(slot);
      else if (error !== undefined) this.#partitionFailed(slot, error, answer.gap);
      else if (isEmpty) {
        slot.failures = 0;
        this.#options.onEnd(slot, answer.highWatermark);
      } else {
        const buffering = this.#buffer(slot, version, answer);
        if (await buffering.catch((failure) => this.#unreadable(slot, version, failure))) numberOfBatches++;
      }
    }
    this.#options.onFetch({ numberOfBatches, duration: clock.monotonicMs() - sentAtMs });
  }

  async #buffer(
    slot: PartitionSlot<K, V>,
    version: number,
    answer: FetchResponse['responses'][number]['partitions'][number],
  ): Promise<boolean> {
    const { topic, partition } = slot;
    const { keySerde, valueSerde, encryption } = this.#options;
    const fetchOffset = slot.position as number;
    const { messages, nextOffset } = await readMessages(answer.records, fetchOffset, {
      topic,
      partition,
      keySerde,
      valueSerde,
      encryption,
      abortedTransactions: answer.abortedTransactions,
    });
    slot.failures = 0;
    if (!isCurrent({ slot, version }) || nextOffset === fetchOffset) return false;
    slot.position = nextOffset;
    slot.goesOn = true;
    const sizeInBytes = answer.records.reduce((sum, chunk) => sum + chunk.length, 0);
    const { highWatermark } = answer;
    slot.buffered = { slot, messages, nextOffset, highWatermark, sizeInBytes, version };
    this.#bufferedBytes += sizeInBytes;
    if (isAtEnd(slot)) {
      // To ask for what is not there yet would hold the handler up: later, together with the others.
      this.#handOut();
      return true;
    }
    slot.fetch = undefined; // so that the next one is under way before a handler gets this
    this.#offer();
    return true;
  }

  /** Others go on where one partition cannot be read. Where it needs another key and nothing else is to read, it is the end. */
  #unreadable(slot: PartitionSlot<K, V>, version: number, failure: unknown): false {
    if (!isCurrent({ slot, version })) return false;
    const error = toKafkaJSError(failure);
    if (!(error instanceof KafkaJSNonRetriableError)) {
      this.#failed([slot], error);
      return false;
    }
    slot.unreadable = true;
    this.#options.onUnreadable(slot, error);
    if ([...this.#slots.values()].every(({ unreadable }) => unreadable)) this.#options.onFailure(error);
    return false;
  }

  /** Turns `earliest` and `latest` into offsets. */
  async #lookUpPositions(ends: readonly Asked<K, V>[], signal: AbortSignal): Promise<void> {
    const { connection, isolationLevel } = this.#options;
    const queries = ends.map(({ slot }) => slot);
    for (const found of await listEnds(connection, queries, { isolationLevel, signal })) {
      const end = ends.find(({ slot }) => slot.topic === found.topic && slot.partition === found.partition);
      if (end === undefined || !isCurrent(end)) continue;
      end.slot.position = found.offset;
      this.#options.onPositioned(end.slot);
    }
  }

  #madeAnew(slot: PartitionSlot<K, V>): void {
    this.#options.onMadeAnew(slot);
    this.seek(slot, this.#options.resetPosition(slot.topic));
  }

  #partitionFailed(slot: PartitionSlot<K, V>, error: KafkaError, gap: PartitionGap | undefined): void {
    if (gap !== undefined) {
      if (this.#options.onGap(slot, gap, error)) slot.position = gap.nextOffset;
      return;
    }
    if (error.type === 'OFFSET_OUT_OF_RANGE') {
      // To go elsewhere would make what a handler has stale.
      if (this.#busy.has(topicPartitionText(slot))) slot.retryAtMs = BEHIND_HANDLER;
      else this.seek(slot, this.#options.resetPosition(slot.topic));
      return;
    }
    if (error.type === 'UNKNOWN_TOPIC_OR_PARTITION') this.#options.onStaleTopic(slot.topic);
    this.#failed([slot], toKafkaJSError(error));
  }

  /** Tries again later, or gives up. */
  #failed(slots: readonly PartitionSlot<K, V>[], error: unknown): void {
    const { connection, retry } = this.#options;
    let delayMs = 0;
    for (const slot of slots) {
      const retryCount = slot.failures++;
      delayMs = retryDelayMs(error, { retryCount, options: retry, random: connection.runtime.random });
      const counted = delayMs >= retry.initialRetryTime * (1 - retry.factor);
      if (!isRetriable(error) || (counted && retryCount >= retry.retries + FAILOVER_ATTEMPTS)) {
        const exceeded = isRetriable(error) && error instanceof Error;
        this.#options.onFailure(
          exceeded ? new KafkaJSNumberOfRetriesExceeded(error, { retryCount, retryTime: delayMs }) : error,
        );
        return;
      }
      this.#holdBack(slot, delayMs);
    }
  }

  #holdBack(slot: PartitionSlot<K, V>, delayMs: number): void {
    const { clock } = this.#options.connection.runtime;
    slot.retryAtMs = clock.monotonicMs() + delayMs;
    if (delayMs <= 0) return this.#pump();
    clock.sleep(delayMs, this.#stopped.signal).then(
      () => {
        slot.retryAtMs = 0;
        this.#pump();
      },
      () => {}, // stopped
    );
  }
}

interface Asked<K, V> {
  readonly slot: PartitionSlot<K, V>;
  readonly version: number;
}

/** Quick attempts while a leader is replaced come before those that `retries` counts. */
const FAILOVER_ATTEMPTS = 5;

/** True once a seek, a new assignment or the end has made a batch void. */
export function isStale<K, V>(batch: FetchedBatch<K, V>): boolean {
  return !isCurrent(batch);
}

function isCurrent<K, V>({ slot, version }: Asked<K, V>): boolean {
  return !slot.dropped && slot.version === version;
}

/** So that a fetch of it waits for what is not there yet. */
function isAtEnd<K, V>({ position, endOffset }: PartitionSlot<K, V>): boolean {
  return typeof position === 'number' && position >= endOffset;
}

function byTopic<K, V>(slots: readonly PartitionSlot<K, V>[]): { topic: string; slots: PartitionSlot<K, V>[] }[] {
  const topics = new Map<string, PartitionSlot<K, V>[]>();
  for (const slot of slots) {
    const known = topics.get(slot.topic);
    if (known === undefined) topics.set(slot.topic, [slot]);
    else known.push(slot);
  }
  return Array.from(topics, ([topic, list]) => ({ topic, slots: list }));
}
