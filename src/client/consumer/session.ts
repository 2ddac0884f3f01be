import { BROKER_ID } from '../../protocol/broker-node.js';
import type { KafkaError } from '../../protocol/errors.js';
import type { IsolationLevel, PartitionGap } from '../../protocol/requests.js';
import { type TopicPartition, topicPartitionText } from '../../protocol/topic-partition.js';
import type { Serde } from '../../record/serdes.js';
import type { ClientRuntime } from '../../runtime/runtime.js';
import { abortable, deferred } from '../../util/signal.js';
import type { ConsumerRunConfig } from '../api/consumer.js';
import { CONSUMER_EVENTS, type ConsumerEvents, type EndEventPayload, type GapEventPayload } from '../api/events.js';
import type { EncryptionConfig, RetryOptions } from '../api/kafka.js';
import type { Logger } from '../api/logger.js';
import type { Connection } from '../connection.js';
import { KafkaJSNonRetriableError, toKafkaJSError } from '../errors.js';
import { KafkaJSGapError } from '../gap-error.js';
import type { Instrumentation } from '../instrumentation.js';
import type { Position } from './arguments.js';
import { Fetcher, type PartitionSlot } from './fetcher.js';
import type { Committed, GroupHost, GroupSession, NewGroupSession } from './group-session.js';
import { listEnds } from './list-ends.js';
import { OffsetStore, type OffsetToCommit, offsetToCommit, toOffsets } from './offsets.js';
import { RunLoop } from './run-loop.js';

export interface AssignedPosition extends TopicPartition {
  readonly position: Position;
}

/** Where reading goes on. */
export interface Place {
  readonly positions: readonly (AssignedPosition & Pick<OffsetToCommit, 'log'>)[];
  /** The data that they are of. */
  readonly incarnationId?: string | undefined;
}

export interface SessionSettings<K, V> {
  readonly maxBytesPerPartition: number;
  readonly minBytes: number;
  readonly maxBytes: number;
  readonly maxWaitMs: number;
  readonly isolationLevel: IsolationLevel;
  readonly encryption: EncryptionConfig | undefined;
  readonly rebalanceTimeoutMs: number;
  readonly keySerde: Serde<K> | undefined;
  readonly valueSerde: Serde<V> | undefined;
  readonly failOnGap: boolean;
}

interface SessionOptions<K, V> {
  readonly runtime: ClientRuntime;
  readonly connection: Connection;
  readonly retry: Required<RetryOptions>;
  readonly logger: Logger;
  readonly instrumentation: Instrumentation<ConsumerEvents>;
  /** What is read: as a member of a group, or by explicit choice. */
  readonly reads: NewGroupSession | Place;
  /** What was sought while nothing was assigned: the next assignment begins there, and empties it. */
  readonly sought: Map<string, AssignedPosition>;
  readonly settings: SessionSettings<K, V>;
  readonly config: ConsumerRunConfig<K, V>;
  /** Shared by all sessions of a consumer: what the user paused stays paused. */
  readonly isPaused: (partition: TopicPartition) => boolean;
  readonly setPaused: (partition: TopicPartition, paused: boolean) => void;
  /** Called once, when the session cannot go on; it is then to be stopped. */
  readonly onCrash: (error: unknown) => void;
}

/** One run of a consumer, from `run` to `stop` or a crash: membership, fetching, handlers and commits joined. */
export class ConsumerSession<K, V> {
  readonly #options: SessionOptions<K, V>;
  readonly #fetcher: Fetcher<K, V>;
  readonly #offsets: OffsetStore;
  readonly #runLoop: RunLoop<K, V>;
  readonly #group: GroupSession | undefined;
  readonly #workers = new AbortController();
  readonly #stopping = new AbortController();
  readonly #autoCommit: boolean;
  #assignmentId = 0;
  /** Where reading began, or was sent to since: by `topicPartitionText`. */
  readonly #begins = new Map<string, Position>();
  /** What was assigned last, also while the group shares out anew. */
  adopted: readonly TopicPartition[] = [];
  /** False before the first assignment, while the group shares out anew, and in the end. */
  isAssigned = false;
  #running = true;
  #crashed = false;

  constructor(options: SessionOptions<K, V>) {
    this.#options = options;
    const { connection, retry, runtime, settings, config, reads, instrumentation, logger } = options;
    this.#group = typeof reads === 'function' ? reads(this.#groupHost()) : undefined;
    this.#autoCommit = this.#group !== undefined && (config.autoCommit ?? true);
    this.#fetcher = new Fetcher({
      connection,
      retry,
      ...settings,
      resetPosition: (topic) => this.#resetPosition(topic),
      onFetchStart: () => instrumentation.emit(CONSUMER_EVENTS.FETCH_START, { nodeId: BROKER_ID }),
      onFetch: (result) => {
        instrumentation.emit(CONSUMER_EVENTS.FETCH, { ...result, nodeId: BROKER_ID });
        // Background tabs get few timers, but answers arrive: let them carry what is due.
        this.#tick();
      },
      onFailure: (error) => this.#crash(error),
      onStaleTopic: () => this.#group?.checkTopics(),
      onUnreadable: (slot, error) => this.#unreadable(slot, error),
      onGap: (partition, gap, error) => this.#gap(partition, gap, error),
      onEnd: ({ topic, partition, position }, highWatermark) => {
        const payload = { topic, partition, offset: String(position), highWatermark: String(highWatermark) };
        instrumentation.emit(CONSUMER_EVENTS.PARTITION_EOF, payload satisfies EndEventPayload);
      },
      onPositioned: (slot) => {
        this.#begins.set(topicPartitionText(slot), slot.position);
        if (this.#autoCommit) this.#commitBegins([slot]);
      },
      onMadeAnew: (slot) => {
        this.#offsets.forgetLog(slot);
        this.#begins.set(topicPartitionText(slot), this.#resetPosition(slot.topic));
      },
      onDataLost: () => this.#dataLost(),
    });
    this.#offsets = new OffsetStore({
      runtime,
      autoCommitIntervalMs: config.autoCommitInterval ?? null,
      autoCommitThreshold: config.autoCommitThreshold ?? null,
      commit: async (offsets) => {
        if (this.#group === undefined) {
          throw new KafkaJSNonRetriableError('Offsets can only be committed by a consumer with a groupId');
        }
        await this.#group.commit(offsets, toOffsets(offsets));
      },
    });
    this.#runLoop = new RunLoop({
      runtime,
      retry,
      logger,
      instrumentation,
      config,
      fetcher: this.#fetcher,
      offsets: this.#offsets,
      autoCommit: this.#autoCommit,
      heartbeat: async () => this.#group?.heartbeatIfDue(),
      pause: (topic, partition) => this.#pause({ topic, partition }),
      commitOffsets: ({ topics }) =>
        this.commitOffsets(
          topics.flatMap(({ topic, partitions }) => partitions.map((entry) => offsetToCommit({ topic, ...entry }))),
        ),
      commitSoon: () => this.#commitSoon(),
      isRunning: () => this.#running,
      onFailure: (error) => this.#crash(error),
    });
  }

  /** Resolves once there is an assignment. */
  async start(): Promise<void> {
    const { reads } = this.#options;
    this.#runLoop.start(this.#workers.signal);
    if (typeof reads === 'function') await this.#group!.join();
    else await this.assign(reads);
  }

  /**
   * Lets handlers finish the record they are at, commits, leaves the group, and waits for either answer only as long as is
   * reasonable. Never rejects.
   */
  async stop(): Promise<void> {
    this.#running = false;
    this.#stopping.abort();
    await this.#group?.leave();
    this.isAssigned = false;
    this.#fetcher.stop();
    this.#workers.abort(new KafkaJSNonRetriableError('The consumer was stopped'));
    await this.#runLoop.idle();
  }

  /** Reads exactly these from now on. */
  async assign({ positions: partitions, incarnationId: known }: Place): Promise<void> {
    if (
      known === undefined &&
      this.#assignmentId === 0 &&
      partitions.every(({ position }) => typeof position === 'number')
    ) {
      // Asked behind the first fetch: what is cleared before the answer was cleared before the positions were given.
      const { promise, resolve } = deferred<string>();
      this.#adopt(partitions, promise);
      return resolve(await this.#incarnation()); // else the session ends, with what was fetched
    }
    const [incarnationId, positioned] = await Promise.all([this.#incarnation(), this.#lookUp(partitions)]);
    if (this.#running) this.#adopt(positioned, known ?? incarnationId);
  }

  seek(target: AssignedPosition): void {
    const { position } = target;
    const slot = this.#fetcher.slot(target);
    if (slot === undefined) return;
    this.#fetcher.seek(slot, position);
    this.#begins.set(topicPartitionText(target), position);
    this.#offsets.forget(target);
    if (typeof position !== 'number') return;
    this.#offsets.resolve(slot, position, 0);
    if (this.#autoCommit) this.#commitSoon();
  }

  /** Applies what the user has paused or resumed. */
  pausedChanged(): void {
    for (const slot of [...this.#fetcher.slots]) {
      const paused = this.#options.isPaused(slot);
      if (slot.paused !== paused) this.#fetcher.setPaused(slot, paused);
    }
  }

  assignment(): TopicPartition[] {
    return Array.from(this.#fetcher.slots, ({ topic, partition }) => ({ topic, partition })).sort((a, b) =>
      a.topic === b.topic ? a.partition - b.partition : a.topic < b.topic ? -1 : 1,
    );
  }

  /** Where another session with this assignment goes on; undefined: nothing was assigned. */
  place(): Place | undefined {
    if (this.#assignmentId === 0) return undefined;
    const positions = this.adopted.map(({ topic, partition }) => {
      const key = topicPartitionText({ topic, partition });
      const { resolved, log } = this.#offsets.processed(key) ?? {};
      return { topic, partition, log, position: resolved ?? this.#begins.get(key) ?? 'earliest' };
    });
    return { positions, incarnationId: this.#fetcher.incarnationId };
  }

  async commitOffsets(offsets: readonly OffsetToCommit[]): Promise<void> {
    await this.#offsets.commitOffsets(offsets);
  }

  #groupHost(): GroupHost {
    return {
      signal: this.#workers.signal,
      isRunning: () => this.#running,
      lookUp: (partitions) => this.#lookUp(partitions, true),
      incarnation: () => this.#incarnation(),
      adopt: (partitions, incarnationId) => this.#adopt(partitions, incarnationId),
      giveUp: (commits) => this.#giveUp(commits),
      tick: () => this.#tick(),
      onGap: (partition, gap, error) => this.#gap(partition, gap, error),
      onFailure: (error) => this.#crash(error),
    };
  }

  /** To be asked together with positions: should the data be cleared before they are used, they are known to be old. */
  async #incarnation(): Promise<string> {
    const { connection, retry } = this.#options;
    const { signal } = this.#workers;
    const request = { topics: [], allowAutoTopicCreation: false };
    const asked = connection.retry({ options: retry, signal }, () =>
      connection.request('Metadata', request, { signal }),
    );
    return (await asked).incarnationId;
  }

  /**
   * Offsets for the ends of logs: from here on a record that is written is a record that is read. Of partitions that are not
   * there, and may not be, all records will be new.
   */
  async #lookUp<P extends AssignedPosition>(partitions: readonly P[], skipsUnknown = false): Promise<P[]> {
    const { connection, retry, settings } = this.#options;
    const { isolationLevel } = settings;
    const { signal } = this.#workers;
    const found = await connection.retry({ options: retry, signal }, () =>
      listEnds(connection, partitions, { isolationLevel, signal, skipsUnknown }),
    );
    const offsets = new Map(found.map((entry) => [topicPartitionText(entry), entry.offset]));
    return partitions.map((entry) => ({
      ...entry,
      position: typeof entry.position === 'number' ? entry.position : (offsets.get(topicPartitionText(entry)) ?? 0),
    }));
  }

  /**
   * Handlers finish the record they are at; what they finished is committed unless it is somebody else's by now, or the user's to
   * commit: such commits that are under way are waited for.
   */
  async #giveUp(commits: boolean): Promise<void> {
    const { connection, settings, runtime, logger } = this.#options;
    this.isAssigned = false;
    this.#fetcher.assign(this.#assignmentId, []);
    const limit = new AbortController();
    const timeout = runtime.clock.sleep(settings.rebalanceTimeoutMs, limit.signal).catch(() => {});
    await Promise.race([this.#runLoop.idle(), timeout]);
    limit.abort();
    if (commits) {
      const committed = this.#autoCommit ? this.#offsets.commit() : this.#offsets.idle();
      const answered = committed.catch((error) => logger.warn('Offsets were not committed', { error: String(error) }));
      await abortable(answered, this.#stopping.signal).catch(() => connection.lastAnswer(answered)); // stopped
    }
    this.#offsets.assign(++this.#assignmentId, []);
  }

  #adopt(
    partitions: readonly (AssignedPosition & Partial<Committed>)[],
    incarnationId: string | Promise<string>,
  ): void {
    const id = ++this.#assignmentId;
    const { isPaused, sought } = this.#options;
    const adopted = partitions.map((entry) => ({ committed: -1, ...entry, paused: isPaused(entry) }));
    this.adopted = adopted;
    this.isAssigned = true;
    for (const entry of adopted) this.#begins.set(topicPartitionText(entry), entry.position);
    this.#offsets.assign(id, adopted);
    this.#fetcher.assign(id, adopted, incarnationId);
    if (this.#autoCommit) this.#commitBegins(adopted.filter(({ beginsAtEnd }) => beginsAtEnd));
    for (const entry of sought.values()) this.seek(entry);
    sought.clear();
  }

  /**
   * A group that begins at the end, or is sent there, begins there for good, as with Kafka's auto-commit: whoever gets the
   * partition next would else begin at its end of then, and what is written meanwhile be nobody's.
   */
  #commitBegins(partitions: readonly AssignedPosition[]): void {
    if (partitions.length === 0) return;
    for (const { position, ...partition } of partitions) {
      const slot = this.#fetcher.slot(partition);
      if (slot !== undefined && typeof position === 'number') this.#offsets.resolve(slot, position, 0);
    }
    const { logger } = this.#options;
    this.#offsets.commit().catch((error) => logger.debug('Begins were not committed', { error: String(error) })); // as yet
  }

  #commitSoon(): void {
    this.#offsets.commit().catch((error) => {
      if (this.#group?.isRefused(error)) return; // it joins again
      if (this.#running) this.#crash(error);
    });
  }

  #pause(partition: TopicPartition): () => void {
    this.#options.setPaused(partition, true);
    return () => this.#options.setPaused(partition, false);
  }

  /** What is due by the clock, whoever comes by. */
  #tick(): void {
    if (!this.#running) return;
    this.#group?.heartbeatIfDue().catch((error) => this.#crash(error));
    if (this.#autoCommit && this.#offsets.isCommitDue()) this.#commitSoon();
    this.#group?.checkTopicsIfDue();
  }

  /** All that the new data holds is new to us; a group that it does not know has to be joined again. */
  #dataLost(): void {
    this.#options.logger.warn('The stored data was cleared: going on with what was written since');
    if (this.#group !== undefined) {
      this.#fetcher.assign(this.#assignmentId, []);
      this.#group.forgotten();
      return;
    }
    for (const { topic, partition } of [...this.#fetcher.slots]) this.seek({ topic, partition, position: 'earliest' });
  }

  #resetPosition(topic: string): Position {
    return this.#group?.resetPosition(topic) ?? 'earliest';
  }

  #gap(
    { topic, partition }: TopicPartition,
    { fromOffset, nextOffset, reason }: PartitionGap,
    error: KafkaError,
  ): boolean {
    const { instrumentation, logger, settings } = this.#options;
    const payload: GapEventPayload = {
      topic,
      partition,
      fromOffset: String(fromOffset),
      nextOffset: String(nextOffset),
      reason,
    };
    logger.warn('Records are lost', payload);
    instrumentation.emit(CONSUMER_EVENTS.GAP, payload);
    if (!settings.failOnGap) return true;
    this.#crash(new KafkaJSGapError(error, payload));
    return false;
  }

  #unreadable({ topic, partition, position }: PartitionSlot<K, V>, error: Error): void {
    const payload = { topic, partition, offset: String(position), error };
    this.#options.logger.error(`A partition cannot be read on: ${error.message}`, payload);
    this.#options.instrumentation.emit(CONSUMER_EVENTS.PARTITION_UNREADABLE, payload);
  }

  #crash(error: unknown): void {
    if (this.#crashed || !this.#running) return;
    this.#crashed = true;
    this.#options.onCrash(toKafkaJSError(error));
  }
}
