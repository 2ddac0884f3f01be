import { ConfigResourceType, type HostDescription } from '../../protocol/requests.js';
import type { KafkaJSProtocolError } from '../errors.js';
import type { ConsumerGroupState, GroupDescriptions, PartitionOffset } from './consumer.js';
import type { AdminEvents, On } from './events.js';
import type {
  CheckLogsOptions,
  ExportPartitionOptions,
  ImportPartitionOptions,
  LogCheck,
  SegmentFile,
} from './integrity.js';
import type { RetryOptions } from './kafka.js';
import type { Logger } from './logger.js';
import type { PartitionMetadata } from './producer.js';

export interface AdminConfig {
  readonly retry?: RetryOptions;
}

export interface ReplicaAssignment {
  readonly partition: number;
  readonly replicas: readonly number[];
}

export interface IResourceConfigEntry {
  readonly name: string;
  readonly value: string;
}

export interface ITopicConfig {
  readonly topic: string;
  /** Default -1: the broker's `num.partitions`. */
  readonly numPartitions?: number;
  /** Default -1: the broker's `default.replication.factor`. */
  readonly replicationFactor?: number;
  readonly replicaAssignment?: readonly ReplicaAssignment[];
  readonly configEntries?: readonly IResourceConfigEntry[];
}

export interface CreateTopicsOptions {
  readonly validateOnly?: boolean;
  /** Accepted and without meaning: the one broker leads a topic as soon as it is there. */
  readonly waitForLeaders?: boolean;
  readonly timeout?: number;
  readonly topics: readonly ITopicConfig[];
}

export interface ITopicPartitionConfig {
  readonly topic: string;
  /** The new total. */
  readonly count: number;
  readonly assignments?: readonly (readonly number[])[];
}

export interface CreatePartitionsOptions {
  readonly validateOnly?: boolean;
  readonly timeout?: number;
  readonly topicPartitions: readonly ITopicPartitionConfig[];
}

export interface ITopicMetadata {
  readonly name: string;
  readonly partitions: PartitionMetadata[];
}

/** KafkaJS's numbers: what a config belongs to is counted otherwise (`ConfigResourceTypes`). */
export const ResourceTypes = {
  UNKNOWN: 0,
  ANY: 1,
  TOPIC: 2,
  GROUP: 3,
  CLUSTER: 4,
  TRANSACTIONAL_ID: 5,
  DELEGATION_TOKEN: 6,
} as const;

export { ConfigSource } from '../../protocol/config-source.js';
export const ConfigResourceTypes = ConfigResourceType;
export type ConfigResourceTypes = (typeof ConfigResourceTypes)[keyof typeof ConfigResourceTypes];

export interface ResourceConfigQuery {
  readonly type: number;
  readonly name: string;
  readonly configNames?: readonly string[];
}

export interface IResourceConfig {
  readonly type: number;
  readonly name: string;
  readonly configEntries: readonly IResourceConfigEntry[];
}

export interface ConfigSynonyms {
  readonly configName: string;
  readonly configValue: string | null;
  readonly configSource: number;
}

export interface ConfigEntries {
  readonly configName: string;
  readonly configValue: string | null;
  readonly isDefault: boolean;
  readonly configSource: number;
  readonly isSensitive: boolean;
  readonly readOnly: boolean;
  readonly configSynonyms: ConfigSynonyms[];
}

export interface DescribeConfigResponse {
  readonly resources: {
    readonly configEntries: ConfigEntries[];
    readonly errorCode: number;
    readonly errorMessage: string | null;
    readonly resourceName: string;
    readonly resourceType: number;
  }[];
  readonly throttleTime: number;
}

export interface AlterConfigResponse {
  readonly resources: readonly {
    readonly errorCode: number;
    readonly errorMessage: string | null;
    readonly resourceName: string;
    readonly resourceType: number;
  }[];
  readonly throttleTime: number;
}

export interface FetchOffsetsPartition extends PartitionOffset {
  readonly metadata: string | null;
}

export interface GroupOverview {
  readonly groupId: string;
  readonly protocolType: string;
  /** *Ours*, of ListGroups since its version 4. */
  readonly state: ConsumerGroupState;
}

export interface DeleteGroupsResult {
  readonly groupId: string;
  readonly errorCode: number;
  /** Of the groups of a `KafkaJSDeleteGroupsError`; what `deleteGroups` resolves to was deleted. */
  readonly error?: KafkaJSProtocolError;
}

export interface ClusterDescription {
  readonly brokers: { readonly nodeId: number; readonly host: string; readonly port: number }[];
  readonly controller: number | null;
  readonly clusterId: string;
  /** *Ours*: the live tabs, and which of them leads. */
  readonly hosts: readonly HostDescription[];
}

/** *Ours*: sizes and bounds of the logs. */
export interface LogDescription {
  readonly topic: string;
  readonly partitions: readonly {
    readonly partition: number;
    readonly sizeInBytes: number;
    readonly logStartOffset: string;
    readonly highWatermark: string;
  }[];
}

/**
 * Topics, configs, groups and offsets, as KafkaJS's admin client. What fails has done nothing, unless its error, or one of
 * those in it, says `outcomeUnknown`: a tab may have died that had been asked, and another attempt have been refused since.
 */
export interface Admin {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  listTopics(): Promise<string[]>;
  /** True when created; false when a topic of the name exists. */
  createTopics(options: CreateTopicsOptions): Promise<boolean>;
  deleteTopics(options: { readonly topics: readonly string[]; readonly timeout?: number }): Promise<void>;
  createPartitions(options: CreatePartitionsOptions): Promise<boolean>;
  fetchTopicMetadata(options?: { readonly topics?: readonly string[] }): Promise<{ topics: ITopicMetadata[] }>;
  fetchTopicOffsets(topic: string): Promise<(PartitionOffset & { readonly high: string; readonly low: string })[]>;
  /** The first offsets at or after the time; the end where there is none. */
  fetchTopicOffsetsByTimestamp(topic: string, timestamp?: number): Promise<PartitionOffset[]>;
  /** Committed offsets, `'-1'` where none is; with `resolveOffsets` the place where a consumer would begin. */
  fetchOffsets(options: {
    readonly groupId: string;
    readonly topics?: readonly string[];
    readonly resolveOffsets?: boolean;
  }): Promise<{ topic: string; partitions: FetchOffsetsPartition[] }[]>;
  setOffsets(options: {
    readonly groupId: string;
    readonly topic: string;
    readonly partitions: readonly PartitionOffset[];
  }): Promise<void>;
  resetOffsets(options: {
    readonly groupId: string;
    readonly topic: string;
    readonly earliest?: boolean;
  }): Promise<void>;
  /** Removes committed offsets of a group (Kafka's OffsetDelete, KIP-496). */
  deleteOffsets(options: {
    readonly groupId: string;
    readonly topics: readonly { readonly topic: string; readonly partitions: readonly number[] }[];
  }): Promise<void>;
  describeCluster(): Promise<ClusterDescription>;
  describeLogs(options?: { readonly topics?: readonly string[] }): Promise<LogDescription[]>;
  /**
   * *Ours*: reads all logs through and names what is damaged; with `repair` also mends it as far as that is possible.
   * What is sound is never touched, and records that are lost stay lost: their place is marked.
   */
  checkLogs(options?: CheckLogsOptions): Promise<LogCheck>;
  /** *Ours*: the records of a partition as files that Kafka can read, one after another. What is lost is left out. */
  exportPartition(options: ExportPartitionOptions): AsyncIterable<SegmentFile>;
  /**
   * *Ours*: fills an empty partition with segments, which keep their bytes and offsets. Resolves to the bounds of the log.
   * Throws INVALID_REQUEST where records are there already or offsets do not fit, CORRUPT_MESSAGE or INVALID_RECORD where
   * a file holds no sound v2 batches; what came before in the order of the files is then imported.
   */
  importPartition(options: ImportPartitionOptions): Promise<{ low: string; high: string }>;
  listGroups(): Promise<{ groups: GroupOverview[] }>;
  describeGroups(groupIds: readonly string[]): Promise<GroupDescriptions>;
  deleteGroups(groupIds: readonly string[]): Promise<DeleteGroupsResult[]>;
  deleteTopicRecords(options: {
    readonly topic: string;
    /** Everything below `offset` goes; `'-1'` is all there is. */
    readonly partitions: readonly PartitionOffset[];
  }): Promise<void>;
  describeConfigs(options: {
    readonly resources: readonly ResourceConfigQuery[];
    readonly includeSynonyms?: boolean;
  }): Promise<DescribeConfigResponse>;
  alterConfigs(options: {
    readonly validateOnly?: boolean;
    readonly resources: readonly IResourceConfig[];
  }): Promise<AlterConfigResponse>;
  readonly events: AdminEvents;
  readonly on: On<AdminEvents>;
  logger(): Logger;
  [Symbol.asyncDispose](): Promise<void>;
}
