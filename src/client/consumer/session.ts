import { errorOf, KafkaError } from '../../protocol/errors.js';
import { EARLIEST_TIMESTAMP, type IsolationLevel, LATEST_TIMESTAMP } from '../../protocol/requests.js';
import { type TopicPartition, topicPartitionText } from '../../protocol/topic-partition.js';
import type { Serde } from '../../record/serdes.js';
import type { Runtime } from '../../runtime/runtime.js';
import type { Assigner, ConsumerRunConfig, GroupMember, GroupMemberAssignment, Offsets } from '../api/consumer.js';
import { CONSUMER_EVENTS, type ConsumerEvents } from '../api/events.js';
import type { RetryOptions } from '../api/kafka.js';
import type { Logger } from '../api/logger.js';
import type { ClusterMetadata } from '../cluster-metadata.js';
import type { Connection } from '../connection.js';
import { KafkaJSNonRetriableError, KafkaJSProtocolError, toKafkaJSError } from '../errors.js';
import type { Instrumentation } from '../instrumentation.js';
import { listOffsets } from '../list-offsets.js';
import type { Position } from './arguments.js';
import { AssignerProtocol } from './assigner-protocol.js';
import { Fetcher } from './fetcher.js';
import { GroupMembership, type JoinedGroup } from './membership.js';
import { OffsetStore, type OffsetToCommit, toOffsets } from './offsets.js';
import { RunLoop } from './run-loop.js';

/** What is read: as a member of a group, or by explicit choice. */
export type Subscription =
  | {
      readonly kind: 'group';
      readonly groupId: string;
      readonly groupInstanceId: string | null;
      /** Topic → whether to begin at its beginning where nothing is committed. */
      readonly topics: ReadonlyMap<string, boolean>;
      /** What the patterns stand for now. */
      readonly refreshTopics: () => Promise<ReadonlyMap<string, boolean>>;
    }
  | { readonly kind: 'assigned'; readonly partitions: readonly AssignedPosition[] };

export interface AssignedPosition extends TopicPartition {
  readonly position: Position;
}

export interface SessionSettings<K, V> {
  readonly assigners: readonly Assigner[];
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  readonly heartbeatIntervalMs: number;
  readonly maxBytesPerPartition: number;
  readonly minBytes: number;
  readonly maxBytes: number;
  readonly maxWaitMs: number;
  readonly metadataMaxAgeMs: number;
  readonly isolationLevel: IsolationLevel;
  readonly keySerde: Serde<K> | undefined;
  readonly valueSerde: Serde<V> | undefined;
}

interface SessionOptions<K, V> {
  readonly runtime: Runtime;
  readonly connection: Connection;
  readonly metadata: ClusterMetadata;
  readonly retry: Required<RetryOptions>;
  readonly logger: Logger;
  readonly instrumentation: Instrumentation<ConsumerEvents>;
  readonly subscription: Subscription;
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
  readonly #membership: GroupMembership | undefined;
  readonly #workers = new AbortController();
  readonly #autoCommit: boolean;
  #topics: ReadonlyMap<string, boolean>;
  #metadataCheckedMs: number;
  /** As leader: the partition counts that the assignment was made from. */
  #assignedCounts = new Map<string, number>();
  #assignmentId = 0;
  #running = true;
  #crashed = false;

  constructor(options: SessionOptions<K, V>) {
    this.#options = options;
    const { connection, retry, runtime, settings, config, subscription, instrumentation, logger } = options;
    this.#topics = subscription.kind === 'group' ? subscription.topics : new Map();
    this.#autoCommit = subscription.kind === 'group' && (config.autoCommit ?? true);
    this.#metadataCheckedMs = runtime.clock.monotonicMs();
    this.#fetcher = new Fetcher({
      connection,
      retry,
      ...settings,
      resetPosition: (topic) => this.#resetPosition(topic),
      onFetchStart: () => instrumentation.emit(CONSUMER_EVENTS.FETCH_START, { nodeId: 0 }),
      onFetch: ({ numberOfBatches, durationMs }) => {
        instrumentation.emit(CONSUMER_EVENTS.FETCH, { numberOfBatches, duration: durationMs, nodeId: 0 });
        // Background tabs get few timers, but answers arrive: let them carry what is due.
        this.#tick();
      },
      onFailure: (error) => this.#crash(error),
      onStaleTopic: () => this.#checkTopics(),
      onDataLost: () => this.#dataLost(),
    });
    this.#offsets = new OffsetStore({
      runtime,
      autoCommitIntervalMs: config.autoCommitInterval ?? null,
      autoCommitThreshold: config.autoCommitThreshold ?? null,
      commit: (offsets) => this.#commit(offsets),
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
      heartbeat: () => this.#membership?.heartbeatIfDue() ?? Promise.resolve(),
      pause: (topic, partition) => this.#pause({ topic, partition }),
      commitOffsets: ({ topics }) => this.commitOffsets(topics.flatMap(fromOffsets)),
      commitSoon: () => this.#commitSoon(),
      isRunning: () => this.#running,
      onFailure: (error) => this.#crash(error),
    });
    this.#membership = subscription.kind === 'group' ? this.#newMembership(subscription) : undefined;
  }

  /** Resolves once there is an assignment. */
  async start(): Promise<void> {
    const { subscription } = this.#options;
    this.#runLoop.start(this.#workers.signal);
    if (subscription.kind === 'assigned') await this.assign(subscription.partitions);
    else await this.#membership!.join();
  }

  /** Lets handlers finish the record they are at, commits, leaves the group. Never rejects. */
  async stop(): Promise<void> {
    this.#running = false;
    await this.#membership?.leave();
    this.#fetcher.stop();
    this.#workers.abort(new KafkaJSNonRetriableError('The consumer was stopped'));
    await this.#runLoop.idle();
  }

  /** Reads exactly these from now on. */
  async assign(partitions: readonly AssignedPosition[]): Promise<void> {
    const [incarnationId, positioned] = await Promise.all([this.#incarnation(), this.#lookUp(partitions)]);
    if (!this.#running) return;
    this.#adopt(positioned, new Map(), incarnationId);
  }

  seek(partition: TopicPartition, position: Position): void {
    const slot = this.#fetcher.slot(partition);
    if (slot === undefined) return;
    this.#fetcher.seek(slot, position);
    this.#offsets.forget(partition);
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
      a.topic < b.topic ? -1 : a.topic > b.topic ? 1 : a.partition - b.partition,
    );
  }

  async commitOffsets(offsets: readonly OffsetToCommit[]): Promise<void> {
    await this.#offsets.commitOffsets(offsets);
  }

  #newMembership({ groupId, groupInstanceId }: Subscription & { kind: 'group' }): GroupMembership {
    const { connection, retry, settings, instrumentation } = this.#options;
    return new GroupMembership({
      connection,
      retry,
      groupId,
      groupInstanceId,
      sessionTimeoutMs: settings.sessionTimeoutMs,
      rebalanceTimeoutMs: settings.rebalanceTimeoutMs,
      heartbeatIntervalMs: settings.heartbeatIntervalMs,
      protocols: () => settings.assigners.map((assigner) => assigner.protocol({ topics: [...this.#topics.keys()] })),
      assign: (protocol, members) => this.#assignAsLeader(protocol, members),
      onAssigned: (assignment, group) => this.#onAssigned(assignment, group),
      onRevoked: ({ lost }) => this.#onRevoked(lost),
      onHeartbeat: ({ memberId, generationId }) => {
        instrumentation.emit(CONSUMER_EVENTS.HEARTBEAT, { groupId, memberId, groupGenerationId: generationId });
        this.#tick();
      },
      onFailure: (error) => this.#crash(error),
    });
  }

  async #assignAsLeader(protocol: string, members: readonly GroupMember[]): Promise<readonly GroupMemberAssignment[]> {
    const assigner = this.#options.settings.assigners.find(({ name }) => name === protocol);
    if (assigner === undefined) {
      const text = `expected one of our assignors, found ${JSON.stringify(protocol)}`;
      throw new KafkaJSProtocolError(new KafkaError('INCONSISTENT_GROUP_PROTOCOL', text));
    }
    const topics = new Set(this.#topics.keys());
    for (const { memberMetadata } of members) {
      for (const topic of AssignerProtocol.MemberMetadata.decode(memberMetadata)?.topics ?? []) topics.add(topic);
    }
    this.#assignedCounts = await this.#partitionCounts([...topics]);
    return assigner.assign({ members, topics: [...this.#assignedCounts.keys()].sort() });
  }

  /** Of the topics that exist. */
  async #partitionCounts(topics: readonly string[]): Promise<Map<string, number>> {
    const counts = new Map<string, number>();
    for (const topic of topics) {
      try {
        counts.set(topic, (await this.#options.metadata.load([topic])).get(topic)!.length);
      } catch (error) {
        if (!(error instanceof KafkaJSProtocolError) || error.type !== 'UNKNOWN_TOPIC_OR_PARTITION') throw error;
      }
    }
    return counts;
  }

  async #onAssigned(bytes: Uint8Array, group: JoinedGroup): Promise<void> {
    const { instrumentation, logger, subscription } = this.#options;
    if (group.memberId !== group.leaderId) this.#assignedCounts.clear();
    const given = AssignerProtocol.MemberAssignment.decode(bytes)?.assignment ?? {};
    const groupId = subscription.kind === 'group' ? subscription.groupId : '';
    const unsubscribed = Object.keys(given).filter((topic) => !this.#topics.has(topic));
    if (unsubscribed.length > 0) {
      const payload = {
        groupId,
        generationId: this.#membership!.member.generationId,
        memberId: group.memberId,
        assignedTopics: Object.keys(given),
        topicsSubscribed: [...this.#topics.keys()],
        topicsNotSubscribed: unsubscribed,
      };
      instrumentation.emit(CONSUMER_EVENTS.RECEIVED_UNSUBSCRIBED_TOPICS, payload);
      logger.warn('Consumer group received unsubscribed topics', payload);
    }
    const partitions = Object.entries(given).flatMap(([topic, numbers]) =>
      this.#topics.has(topic) ? numbers.map((partition) => ({ topic, partition })) : [],
    );
    const [incarnationId, committed] = await Promise.all([
      this.#incarnation(),
      this.#fetchCommitted(groupId, partitions),
    ]);
    const positioned = await this.#lookUp(
      partitions.map((partition) => {
        const offset = committed.get(topicPartitionText(partition)) ?? -1;
        return { ...partition, position: offset >= 0 ? offset : this.#resetPosition(partition.topic) };
      }),
    );
    if (!this.#running) return;
    this.#adopt(positioned, committed, incarnationId);
    const payload = {
      groupId,
      memberId: group.memberId,
      leaderId: group.leaderId,
      isLeader: group.memberId === group.leaderId,
      memberAssignment: given,
      groupProtocol: group.groupProtocol,
      duration: 0,
    };
    instrumentation.emit(CONSUMER_EVENTS.GROUP_JOIN, payload);
    logger.info('Consumer has joined the group', payload);
  }

  /** To be asked together with positions: should the data be cleared before they are used, they are known to be old. */
  async #incarnation(): Promise<string> {
    const { connection, retry } = this.#options;
    const { signal } = this.#workers;
    const request = { topics: [], allowAutoTopicCreation: false };
    const asked = connection.retry({ options: retry, signal }, () => connection.request('Metadata', request));
    return (await asked).incarnationId;
  }

  async #fetchCommitted(groupId: string, partitions: readonly TopicPartition[]): Promise<Map<string, number>> {
    const committed = new Map<string, number>();
    if (partitions.length === 0) return committed;
    const { connection, retry } = this.#options;
    const topics = [...new Set(partitions.map(({ topic }) => topic))].map((name) => ({
      name,
      partitionIndexes: partitions.filter(({ topic }) => topic === name).map(({ partition }) => partition),
    }));
    const { signal } = this.#workers;
    const response = await connection.retry({ options: retry, signal }, async () => {
      const answer = await connection.request('OffsetFetch', { groupId, topics });
      const error = errorOf(answer) ?? firstError(answer.topics);
      if (error !== undefined) throw error;
      return answer;
    });
    for (const { name, partitions: answers } of response.topics) {
      for (const { partitionIndex, committedOffset } of answers) {
        committed.set(topicPartitionText({ topic: name, partition: partitionIndex }), committedOffset);
      }
    }
    return committed;
  }

  /** Offsets for the ends of logs: from here on a record that is written is a record that is read. */
  async #lookUp(partitions: readonly AssignedPosition[]): Promise<AssignedPosition[]> {
    const { connection, retry, settings } = this.#options;
    const queries = partitions.flatMap(({ topic, partition, position }) =>
      typeof position === 'number'
        ? []
        : [{ topic, partition, timestamp: position === 'earliest' ? EARLIEST_TIMESTAMP : LATEST_TIMESTAMP }],
    );
    const { signal } = this.#workers;
    const found = await connection.retry({ options: retry, signal }, () =>
      listOffsets(connection, queries, { isolationLevel: settings.isolationLevel }),
    );
    const offsets = new Map(found.map((entry) => [topicPartitionText(entry), entry.offset]));
    return partitions.map((entry) => ({
      ...entry,
      position: offsets.get(topicPartitionText(entry)) ?? entry.position,
    }));
  }

  /** Handlers finish the record they are at; what they finished is committed unless it is somebody else's by now. */
  async #onRevoked(lost: boolean): Promise<void> {
    const { instrumentation, settings, runtime, subscription, logger } = this.#options;
    const groupId = subscription.kind === 'group' ? subscription.groupId : '';
    if (this.#running) {
      instrumentation.emit(CONSUMER_EVENTS.REBALANCING, { groupId, memberId: this.#membership!.member.memberId });
    }
    this.#fetcher.assign(this.#assignmentId, []);
    const limit = new AbortController();
    const timeout = runtime.clock.sleep(settings.rebalanceTimeoutMs, limit.signal).catch(() => {});
    await Promise.race([this.#runLoop.idle(), timeout]);
    limit.abort();
    if (!lost && this.#autoCommit) {
      await this.#offsets
        .commit()
        .catch((error) => logger.warn('Offsets were not committed', { error: String(error) }));
    }
    this.#offsets.assign(++this.#assignmentId, []);
  }

  #adopt(partitions: readonly AssignedPosition[], committed: ReadonlyMap<string, number>, incarnationId: string): void {
    const id = ++this.#assignmentId;
    const { isPaused } = this.#options;
    this.#offsets.assign(
      id,
      partitions.map((partition) => ({ ...partition, committed: committed.get(topicPartitionText(partition)) ?? -1 })),
    );
    this.#fetcher.assign(
      id,
      partitions.map((partition) => ({ ...partition, paused: isPaused(partition) })),
      incarnationId,
    );
  }

  /** Sends a commit for the present generation. */
  async #commit(offsets: readonly OffsetToCommit[]): Promise<void> {
    const { connection, retry, subscription, instrumentation } = this.#options;
    if (subscription.kind !== 'group') {
      throw new KafkaJSNonRetriableError('Offsets can only be committed by a consumer with a groupId');
    }
    const { groupId, groupInstanceId } = subscription;
    const { memberId, generationId } = this.#membership!.member;
    const topics = toOffsets(offsets).topics;
    const request = {
      groupId,
      memberId,
      groupInstanceId,
      generationIdOrMemberEpoch: generationId,
      topics: topics.map(({ topic, partitions }) => ({
        name: topic,
        partitions: partitions.map(({ partition, offset }) => ({
          partitionIndex: partition,
          committedOffset: Number(offset),
          committedLeaderEpoch: -1,
          committedMetadata:
            offsets.find((entry) => entry.topic === topic && entry.partition === partition)?.metadata ?? null,
        })),
      })),
    };
    try {
      const { signal } = this.#workers; // a stopped consumer does not try again
      await connection.retry({ options: retry, signal }, async () => {
        const error = firstError((await connection.request('OffsetCommit', request)).topics);
        if (error !== undefined) throw error;
      });
    } catch (error) {
      if (error instanceof KafkaJSProtocolError) this.#membership!.refused(error.type);
      throw error;
    }
    const payload = { groupId, memberId, groupGenerationId: generationId, topics };
    instrumentation.emit(CONSUMER_EVENTS.COMMIT_OFFSETS, payload);
  }

  #commitSoon(): void {
    this.#offsets.commit().catch((error) => {
      if (error instanceof KafkaJSProtocolError && this.#membership?.refused(error.type)) return; // it joins again
      if (this.#running) this.#crash(error);
    });
  }

  #pause(partition: TopicPartition): () => void {
    this.#options.setPaused(partition, true);
    return () => this.#options.setPaused(partition, false);
  }

  #resetPosition(topic: string): Position {
    return (this.#topics.get(topic) ?? true) ? 'earliest' : 'latest';
  }

  /** What is due by the clock, whoever comes by. */
  #tick(): void {
    if (!this.#running) return;
    this.#membership?.heartbeatIfDue().catch((error) => this.#crash(error));
    if (this.#autoCommit && this.#offsets.isCommitDue()) this.#commitSoon();
    const nowMs = this.#options.runtime.clock.monotonicMs();
    if (nowMs - this.#metadataCheckedMs >= this.#options.settings.metadataMaxAgeMs) this.#checkTopics();
  }

  /** Topics may have come to match a pattern, or have got partitions: then the group has to share out anew. */
  #checkTopics(): void {
    const { subscription, runtime, logger } = this.#options;
    if (subscription.kind !== 'group' || !this.#running) return;
    this.#metadataCheckedMs = runtime.clock.monotonicMs();
    const check = async (): Promise<void> => {
      const topics = await subscription.refreshTopics();
      const counts = await this.#partitionCounts([...this.#assignedCounts.keys()]);
      const changed =
        topics.size !== this.#topics.size ||
        [...this.#assignedCounts].some(([topic, count]) => counts.get(topic) !== count);
      this.#topics = topics;
      if (changed && this.#running) this.#membership!.rejoin();
    };
    check().catch((error) => logger.debug('Topics could not be looked up', { error: String(error) }));
  }

  /** All that the new data holds is new to us; a group that it does not know has to be joined again. */
  #dataLost(): void {
    this.#options.logger.warn('The stored data was cleared: going on with what was written since');
    if (this.#membership !== undefined) {
      this.#fetcher.assign(this.#assignmentId, []);
      this.#membership.refused('UNKNOWN_MEMBER_ID');
      return;
    }
    for (const slot of [...this.#fetcher.slots]) this.#fetcher.seek(slot, 'earliest');
  }

  #crash(error: unknown): void {
    if (this.#crashed || !this.#running) return;
    this.#crashed = true;
    this.#options.onCrash(toKafkaJSError(error));
  }
}

function firstError(
  topics: readonly { readonly partitions: readonly { errorCode: number; errorMessage: string | null }[] }[],
): KafkaError | undefined {
  for (const { partitions } of topics) {
    for (const partition of partitions) {
      const error = errorOf(partition);
      if (error !== undefined) return error;
    }
  }
  return undefined;
}

function fromOffsets({ topic, partitions }: Offsets['topics'][number]): OffsetToCommit[] {
  return partitions.map(({ partition, offset }) => ({ topic, partition, offset: Number(offset) }));
}
