import type { GroupStateName } from '../../protocol/requests.js';
import type { RecordBytes } from '../../record/record-bytes.js';
import type { Serde } from '../../record/serdes.js';
import type { ConsumerEvents, On } from './events.js';
import type { RetryOptions } from './kafka.js';
import type { Logger } from './logger.js';

/** Header values by key, in KafkaJS's form: a list where a key came more than once. */
export interface MessageHeaders {
  [key: string]: RecordBytes | null | (RecordBytes | null)[];
}

/**
 * A record as read. Bytes are views of the fetched batch. Those of `eachBatch`, and all with serdes, decode nothing before
 * it is looked at: they have no fields of their own to spread or to set.
 */
export interface KafkaMessage<K = RecordBytes, V = RecordBytes> {
  readonly key: K | null;
  readonly value: V | null;
  /** Milliseconds since the epoch, as text. */
  readonly timestamp: string;
  readonly attributes: number;
  readonly offset: string;
  readonly headers: MessageHeaders;
  /** Bytes of key and value. */
  readonly size: number;
  /** All headers in their order, duplicates included. */
  readonly headerEntries: readonly (readonly [key: string, value: RecordBytes | null])[];
}

/** What `for await` yields: a message that knows where it came from. */
export interface ConsumedMessage<K = RecordBytes, V = RecordBytes> extends KafkaMessage<K, V> {
  readonly topic: string;
  readonly partition: number;
}

export interface Batch<K = RecordBytes, V = RecordBytes> {
  readonly topic: string;
  readonly partition: number;
  readonly highWatermark: string;
  readonly messages: KafkaMessage<K, V>[];
  isEmpty(): boolean;
  firstOffset(): string | null;
  lastOffset(): string;
  /** Records between the last of this batch and the high watermark. */
  offsetLag(): string;
  /** Records between the first of this batch and the high watermark. */
  offsetLagLow(): string;
}

export interface PartitionOffset {
  readonly partition: number;
  readonly offset: string;
}

/** KafkaJS's name of it where positions are given. */
export type SeekEntry = PartitionOffset;

export interface TopicOffsets {
  readonly topic: string;
  readonly partitions: PartitionOffset[];
}

export interface Offsets {
  readonly topics: TopicOffsets[];
}

export type OffsetsByTopicPartition = Offsets;

export interface TopicPartitions {
  readonly topic: string;
  /** Absent: all partitions of the topic. */
  readonly partitions?: readonly number[];
}

export interface TopicPartitionOffset {
  readonly topic: string;
  readonly partition: number;
  readonly offset: string;
}

export interface TopicPartitionOffsetAndMetadata extends TopicPartitionOffset {
  readonly metadata?: string | null;
}

export interface EachMessagePayload<K = RecordBytes, V = RecordBytes> {
  readonly topic: string;
  readonly partition: number;
  readonly message: KafkaMessage<K, V>;
  /** Kept for KafkaJS code: heartbeats do not wait for handlers here. Throws when the group rebalances. */
  heartbeat(): Promise<void>;
  /** Pauses this partition; the result resumes it. */
  pause(): () => void;
}

export interface EachBatchPayload<K = RecordBytes, V = RecordBytes> {
  readonly batch: Batch<K, V>;
  /** Marks the record of this offset, and all before it, as processed. */
  resolveOffset(offset: string): void;
  heartbeat(): Promise<void>;
  pause(): () => void;
  commitOffsetsIfNecessary(offsets?: Offsets): Promise<void>;
  uncommittedOffsets(): OffsetsByTopicPartition;
  isRunning(): boolean;
  /** True once a seek or a rebalance has made the rest of the batch void. */
  isStale(): boolean;
}

export type EachMessageHandler<K = RecordBytes, V = RecordBytes> = (
  payload: EachMessagePayload<K, V>,
) => Promise<void> | void;
export type EachBatchHandler<K = RecordBytes, V = RecordBytes> = (
  payload: EachBatchPayload<K, V>,
) => Promise<void> | void;
// The older names of the same.
export type ConsumerEachMessagePayload = EachMessagePayload;
export type ConsumerEachBatchPayload = EachBatchPayload;

/** Without a handler records are read and none is committed. */
export interface ConsumerRunConfig<K = RecordBytes, V = RecordBytes> {
  readonly autoCommit?: boolean;
  /** Milliseconds; null: after each batch only. */
  readonly autoCommitInterval?: number | null;
  /** Resolved records. */
  readonly autoCommitThreshold?: number | null;
  readonly eachBatchAutoResolve?: boolean;
  readonly partitionsConsumedConcurrently?: number;
  readonly eachBatch?: EachBatchHandler<K, V>;
  readonly eachMessage?: EachMessageHandler<K, V>;
  /** Aborting stops the consumer; where it still begins, `run` rejects with the reason. */
  readonly signal?: AbortSignal;
}

export interface ConsumerSubscribeTopics {
  readonly topics: readonly (string | RegExp)[];
  /**
   * Where a group begins for which nothing is committed: at the beginning, or (default) at the end, which is committed at once
   * unless `autoCommit` is false.
   */
  readonly fromBeginning?: boolean;
}

export interface ConsumerSubscribeTopic {
  readonly topic: string | RegExp;
  readonly fromBeginning?: boolean;
}

export interface AssignedPartition {
  readonly topic: string;
  readonly partition: number;
  /** Where to begin: an offset, `'-1'` the end, `'-2'` the beginning. Default: as committed, else the end. */
  readonly offset?: string;
}

export interface GroupMember {
  readonly memberId: string;
  readonly memberMetadata: Uint8Array;
  readonly groupInstanceId?: string | null;
}

export interface GroupMemberAssignment {
  readonly memberId: string;
  readonly memberAssignment: Uint8Array;
}

/** What an assignor may ask of the cluster. */
export interface AssignerCluster {
  findTopicPartitionMetadata(topic: string): readonly { readonly partitionId: number }[];
}

/** What a member says of itself to one assignor of its group. */
export interface GroupState {
  readonly name: string;
  readonly metadata: Uint8Array;
}

export interface Assigner {
  readonly name: string;
  readonly version: number;
  assign(group: {
    members: GroupMember[];
    topics: string[];
  }): Promise<GroupMemberAssignment[]> | GroupMemberAssignment[];
  protocol(subscription: { topics: string[] }): GroupState;
}

export type PartitionAssigner = (config: { cluster: AssignerCluster; groupId: string; logger: Logger }) => Assigner;

export interface ConsumerConfig<K = RecordBytes, V = RecordBytes> {
  /** Absent: no group; partitions are chosen by `assign`, and nothing is committed. */
  readonly groupId?: string;
  readonly partitionAssigners?: readonly PartitionAssigner[];
  /** Changes of topics are heard of with heartbeats; without, at least so often. Default: 300,000 ms. */
  readonly metadataMaxAge?: number;
  /** For members in frozen tabs, and static ones: those in tabs that are closed or crash are out at once. Default: 30,000 ms. */
  readonly sessionTimeout?: number;
  readonly rebalanceTimeout?: number;
  readonly heartbeatInterval?: number;
  readonly maxBytesPerPartition?: number;
  readonly minBytes?: number;
  readonly maxBytes?: number;
  readonly maxWaitTimeInMs?: number;
  readonly retry?: RetryOptions;
  readonly allowAutoTopicCreation?: boolean;
  readonly maxInFlightRequests?: number | null;
  readonly readUncommitted?: boolean;
  /** Accepted and without meaning: the one broker leads every partition, so that there is no nearer replica (KIP-392). */
  readonly rackId?: string;
  /** A static member (KIP-345): leaving and coming back within the session moves no partition. */
  readonly groupInstanceId?: string;
  readonly keySerde?: Serde<K>;
  readonly valueSerde?: Serde<V>;
  /**
   * *Ours*: what to do where stored records are lost to damage. skip (default): go on behind them, with the event
   * `consumer.events.GAP` and a warning. fail: crash with a `KafkaJSGapError`, which is not retriable; whoever wants to
   * go on seeks to its `nextOffset`. Where it is commits of the group that may be lost (topic `__consumer_offsets`), whoever
   * wants to go on sets them with `admin.setOffsets`.
   */
  readonly onGap?: 'skip' | 'fail';
}

export interface MemberDescription {
  readonly clientHost: string;
  readonly clientId: string;
  readonly memberId: string;
  readonly memberAssignment: Uint8Array;
  readonly memberMetadata: Uint8Array;
}

export type ConsumerGroupState = GroupStateName;

export interface GroupDescription {
  readonly errorCode: number;
  readonly groupId: string;
  readonly members: MemberDescription[];
  readonly protocol: string;
  readonly protocolType: string;
  readonly state: ConsumerGroupState;
}

export interface GroupDescriptions {
  readonly groups: GroupDescription[];
}

/** Reads records, alone (`assign`) or as a member of a group (`subscribe`), as KafkaJS's consumer. */
export interface Consumer<K = RecordBytes, V = RecordBytes> extends AsyncIterable<ConsumedMessage<K, V>> {
  connect(): Promise<void>;
  /**
   * Stops, leaves the group, closes. Handlers finish the record they are at. The last commit is waited for 10 s at most (or
   * `requestTimeout`, where that is less), the group's goodbye 5 s; what is not committed then is read again, by whoever
   * is next.
   */
  disconnect(): Promise<void>;
  subscribe(subscription: ConsumerSubscribeTopics | ConsumerSubscribeTopic): Promise<void>;
  /** Reads exactly these partitions; without a group. Replaces the earlier assignment, also while running. */
  assign(partitions: readonly AssignedPartition[]): Promise<void>;
  run(config?: ConsumerRunConfig<K, V>): Promise<void>;
  stop(): Promise<void>;
  /**
   * Records one by one. The next is handed out when the loop asks for it, which also marks the one before as
   * processed; marked offsets are committed as `run` commits them. Leaving the loop stops the consumer.
   */
  messages(options?: {
    readonly signal?: AbortSignal;
    readonly autoCommit?: boolean;
  }): AsyncIterable<ConsumedMessage<K, V>>;
  commitOffsets(offsets: readonly TopicPartitionOffsetAndMetadata[]): Promise<void>;
  seek(target: TopicPartitionOffset): void;
  pause(topics: readonly TopicPartitions[]): void;
  resume(topics: readonly TopicPartitions[]): void;
  paused(): { topic: string; partitions: number[] }[];
  /** The partitions that are ours now. */
  assignment(): { topic: string; partition: number }[];
  describeGroup(): Promise<GroupDescription>;
  readonly events: ConsumerEvents;
  readonly on: On<ConsumerEvents>;
  logger(): Logger;
  [Symbol.asyncDispose](): Promise<void>;
}
