/**
 * One request and one response type per API, named and shaped as in Kafka's protocol messages (the JSON schemas of
 * Apache Kafka's `clients/src/main/resources/common/message`), in camel case. Differences, all on purpose:
 *
 * - Offsets and timestamps are `number` (safe integers). Records are whole v2 batches as bytes.
 * - A fetch answers a list of byte chunks, each of whole batches, so that nothing is copied to join them.
 * - `-1` stands for "none" exactly where Kafka's messages use it.
 * - What has no counterpart in Kafka is marked *ours*.
 */
import type { StorageFigures, StorageState, StorageStatus } from './storage-state.js';

/** An item of a response that failed or not; `errorCode` 0 is success. */
interface Outcome {
  readonly errorCode: number;
  readonly errorMessage: string | null;
  /** *Ours*: with errors for want of space. */
  readonly storage?: StorageFigures | undefined;
}

// ---------------------------------------------------------------- records

/** acks: 0 no answer awaited, 1 leader, -1 all in-sync replicas. */
export type Acks = 0 | 1 | -1;

/**
 * *Ours*: missing: those of the batches are still to be written. A page leaves that to the worker of its tab: if that
 * leads, the append writes them instead of looking at them; else it writes them before another tab gets the request,
 * which then says nothing of the kind. Default: given; they are verified.
 */
export type Checksums = 'given' | 'missing';

export interface ProduceRequest {
  readonly checksums?: Checksums | undefined;
  readonly transactionalId: string | null;
  readonly acks: Acks;
  readonly timeoutMs: number;
  readonly topicData: readonly {
    readonly name: string;
    /**
     * *Ours*: a partition may be named again, to carry several batches at once. Each entry is an append for itself, in
     * the order given, and the response has one outcome for each, in the same order.
     */
    readonly partitionData: readonly {
      readonly index: number;
      /** *Ours*: of the data that the producer id is known to; to other data the batches are not appended. */
      readonly incarnationId?: string | undefined;
      /** *Ours*: to which log. UNKNOWN_TOPIC_ID where it is not the partition's any more, and nothing is appended. */
      readonly log?: number | undefined;
      /** Whole v2 batches back to back, at least one; base offsets are 0, the leader stamps them in place. */
      readonly records: Uint8Array;
    }[];
  }[];
}

/**
 * *Ours*: so many batches of one producer id may be on their way to one partition, where Kafka has five. That many are
 * remembered there, so that a repeated one is known for what it is.
 */
export const MAX_PRODUCER_BATCHES_IN_FLIGHT: number = 96;

export interface ProduceResponse {
  readonly responses: readonly {
    readonly name: string;
    readonly partitionResponses: readonly (Outcome & {
      readonly index: number;
      /** Offset of the first record; -1 on failure. */
      readonly baseOffset: number;
      /** Broker time where the topic uses LogAppendTime, else -1. */
      readonly logAppendTimeMs: number;
      readonly logStartOffset: number;
      /** *Ours*: which log the records are in. */
      readonly log?: number | undefined;
    })[];
  }[];
}

/** 0 read_uncommitted, 1 read_committed. */
export type IsolationLevel = 0 | 1;

export interface FetchRequest {
  readonly maxWaitMs: number;
  readonly minBytes: number;
  readonly maxBytes: number;
  readonly isolationLevel: IsolationLevel;
  readonly topics: readonly {
    readonly topic: string;
    readonly partitions: readonly {
      readonly partition: number;
      readonly fetchOffset: number;
      readonly partitionMaxBytes: number;
      /** Epoch of the last fetched batch, -1 unknown. */
      readonly lastFetchedEpoch?: number;
    }[];
  }[];
}

export interface FetchResponse {
  /** *Ours*: of the data that was read. Another one than before: the site's data was cleared, and offsets began anew. */
  readonly incarnationId: string;
  readonly responses: readonly {
    readonly topic: string;
    readonly partitions: readonly (Outcome & {
      readonly partitionIndex: number;
      readonly highWatermark: number;
      readonly lastStableOffset: number;
      readonly logStartOffset: number;
      readonly abortedTransactions: readonly { readonly producerId: number; readonly firstOffset: number }[];
      /** *Ours*: which log was read. Another one than before: the topic was made anew, and offsets began anew (KIP-516). */
      readonly log?: number | undefined;
      /** *Ours*: with CORRUPT_MESSAGE: what of the log is lost, from `fetchOffset` on. The reader goes on behind it. */
      readonly gap?: PartitionGap;
      /** Chunks of whole batches in offset order. The first may begin before `fetchOffset`: the reader skips. */
      readonly records: readonly Uint8Array[];
    })[];
  }[];
}

/**
 * *Ours*: why records cannot be read. corrupt: what is there is no sound batch. missing: nothing is there. unreadable: the
 * browser does not give the bytes. removed: a repair took out what was damaged and left a note of it.
 */
export type GapReason = 'corrupt' | 'missing' | 'unreadable' | 'removed';

/** *Ours*. */
export interface PartitionGap {
  readonly fromOffset: number;
  /** Exclusive: what can be read goes on here. */
  readonly nextOffset: number;
  readonly reason: GapReason;
}

/**
 * *Ours*: what a check finds. corrupt: bytes that are no sound batch. missing: offsets without a row. unreadable: a sealed
 * segment whose bytes the browser does not give. overlap: offsets that are there twice. wrong-offset: a batch that says
 * another offset than its place does. wrong-key: a row under another key than its last offset. sealed-segment,
 * segment-row, checkpoint: what is kept of the batches does not agree with them. leftover: what a deletion or a sealing
 * that was cut short left behind. orphan: a log that no topic has.
 */
export type FindingKind =
  | 'corrupt'
  | 'missing'
  | 'unreadable'
  | 'overlap'
  | 'wrong-offset'
  | 'wrong-key'
  | 'sealed-segment'
  | 'segment-row'
  | 'checkpoint'
  | 'leftover'
  | 'orphan';

/** *Ours*. */
export interface LogFinding {
  readonly kind: FindingKind;
  readonly fromOffset: number;
  /** Exclusive. */
  readonly nextOffset: number;
  /** What was expected and what was found, for a person. */
  readonly detail: string;
}

/** *Ours*: looks for damage in the logs of these partitions. */
export interface CheckLogsRequest {
  /** Empty name: the metadata log, as partition 0, and logs that no topic has, as -1. */
  readonly topics: readonly { readonly name: string; readonly partitions: readonly number[] }[];
  readonly repair: boolean;
}

/** *Ours*. */
export interface CheckLogsResponse {
  readonly topics: readonly {
    readonly name: string;
    readonly partitions: readonly (Outcome & {
      readonly partitionIndex: number;
      readonly checkedBytes: number;
      readonly findings: readonly (LogFinding & { readonly log: number; readonly repaired: boolean })[];
      /** What earlier repairs took out: no damage any more, and no records. */
      readonly gaps: readonly PartitionGap[];
      /** Of the keys under which batches are encrypted. */
      readonly keyIds: readonly string[];
    })[];
  }[];
}

/** *Ours*: puts batches, as they are, behind a log that is empty or was imported so far. */
export interface ImportLogRequest {
  readonly name: string;
  readonly partitionIndex: number;
  /** Whole v2 batches in offset order. They keep their offsets, which need not follow each other. */
  readonly records: Uint8Array;
  /** The first of a file may begin an empty log anywhere; the others go on where the one before ended. */
  readonly isFirst: boolean;
  /** Nothing more follows: what is kept of the batches is made now. */
  readonly isLast: boolean;
}

/** *Ours*. */
export interface ImportLogResponse extends Outcome {
  readonly logStartOffset: number;
  readonly logEndOffset: number;
}

/** Special timestamps of ListOffsets (KIP-734). */
export const LATEST_TIMESTAMP: number = -1;
export const EARLIEST_TIMESTAMP: number = -2;
export const MAX_TIMESTAMP: number = -3;

export interface ListOffsetsRequest {
  readonly isolationLevel: IsolationLevel;
  readonly topics: readonly {
    readonly name: string;
    readonly partitions: readonly { readonly partitionIndex: number; readonly timestamp: number }[];
  }[];
}

export interface ListOffsetsResponse {
  readonly topics: readonly {
    readonly name: string;
    readonly partitions: readonly (Outcome & {
      readonly partitionIndex: number;
      /** Timestamp of the found record; -1 for earliest and latest, and where none was found. */
      readonly timestamp: number;
      /** First offset whose timestamp is at or after the one asked; -1 where none is. */
      readonly offset: number;
      readonly leaderEpoch: number;
    })[];
  }[];
}

export interface DeleteRecordsRequest {
  readonly timeoutMs: number;
  readonly topics: readonly {
    readonly name: string;
    /** Everything below `offset` goes; -1 stands for the high watermark. */
    readonly partitions: readonly { readonly partitionIndex: number; readonly offset: number }[];
  }[];
}

export interface DeleteRecordsResponse {
  readonly topics: readonly {
    readonly name: string;
    readonly partitions: readonly (Outcome & { readonly partitionIndex: number; readonly lowWatermark: number })[];
  }[];
}

export interface InitProducerIdRequest {
  readonly transactionalId: string | null;
  readonly transactionTimeoutMs: number;
  /** -1 for a new one. */
  readonly producerId: number;
  readonly producerEpoch: number;
}

export interface InitProducerIdResponse extends Outcome {
  readonly producerId: number;
  readonly producerEpoch: number;
  /** *Ours*: of the data that knows it. */
  readonly incarnationId?: string | undefined;
}

/** A transaction coordinator to the leaders of the partitions in which a transaction ends (KIP-98). */
export interface WriteTxnMarkersRequest {
  readonly markers: readonly {
    readonly producerId: number;
    readonly producerEpoch: number;
    /** true: commit. */
    readonly transactionResult: boolean;
    readonly coordinatorEpoch: number;
    readonly topics: readonly { readonly name: string; readonly partitionIndexes: readonly number[] }[];
  }[];
}

export interface WriteTxnMarkersResponse {
  readonly markers: readonly {
    readonly producerId: number;
    readonly topics: readonly {
      readonly name: string;
      readonly partitions: readonly (Outcome & { readonly partitionIndex: number })[];
    }[];
  }[];
}

// ---------------------------------------------------------------- topics

export interface MetadataRequest {
  /** null: all topics. */
  readonly topics: readonly { readonly name: string }[] | null;
  readonly allowAutoTopicCreation: boolean;
}

export interface MetadataResponse {
  readonly clusterId: string;
  readonly controllerId: number;
  /** *Ours*: what is lost of the metadata log to damage, the last of it: topics, or their configs, may be. */
  readonly gap?: PartitionGap | undefined;
  /** *Ours*: changes whenever the data was wiped; then offsets from before mean nothing. */
  readonly incarnationId: string;
  readonly brokers: readonly { readonly nodeId: number; readonly host: string; readonly port: number }[];
  readonly topics: readonly (Outcome & {
    readonly name: string;
    readonly topicId: string;
    readonly isInternal: boolean;
    readonly partitions: readonly (Outcome & {
      readonly partitionIndex: number;
      readonly leaderId: number;
      readonly leaderEpoch: number;
      readonly replicaNodes: readonly number[];
      readonly isrNodes: readonly number[];
      readonly offlineReplicas: readonly number[];
    })[];
  })[];
}

export interface CreateTopicsRequest {
  readonly timeoutMs: number;
  readonly validateOnly: boolean;
  readonly topics: readonly {
    readonly name: string;
    /** -1: the broker's `num.partitions`. */
    readonly numPartitions: number;
    /** -1: the broker's `default.replication.factor`. */
    readonly replicationFactor: number;
    readonly assignments: readonly { readonly partitionIndex: number; readonly brokerIds: readonly number[] }[];
    readonly configs: readonly { readonly name: string; readonly value: string | null }[];
  }[];
}

export interface CreateTopicsResponse {
  readonly topics: readonly (Outcome & {
    readonly name: string;
    readonly topicId: string;
    readonly numPartitions: number;
    readonly replicationFactor: number;
  })[];
}

export interface DeleteTopicsRequest {
  readonly timeoutMs: number;
  readonly topicNames: readonly string[];
}

export interface DeleteTopicsResponse {
  readonly responses: readonly (Outcome & { readonly name: string })[];
}

export interface CreatePartitionsRequest {
  readonly timeoutMs: number;
  readonly validateOnly: boolean;
  readonly topics: readonly {
    readonly name: string;
    /** The new total. */
    readonly count: number;
    readonly assignments: readonly { readonly brokerIds: readonly number[] }[] | null;
  }[];
}

export interface CreatePartitionsResponse {
  readonly results: readonly (Outcome & { readonly name: string })[];
}

/** Kafka's resource types; only topics and brokers have configs here. */
export const ConfigResourceType = { UNKNOWN: 0, TOPIC: 2, BROKER: 4, BROKER_LOGGER: 8 } as const;

export interface DescribeConfigsRequest {
  readonly includeSynonyms: boolean;
  readonly resources: readonly {
    readonly resourceType: number;
    readonly resourceName: string;
    /** null: all. */
    readonly configurationKeys: readonly string[] | null;
  }[];
}

export interface DescribeConfigsResponse {
  readonly results: readonly (Outcome & {
    readonly resourceType: number;
    readonly resourceName: string;
    readonly configs: readonly {
      readonly name: string;
      readonly value: string | null;
      readonly readOnly: boolean;
      readonly isDefault: boolean;
      readonly configSource: number;
      readonly isSensitive: boolean;
      readonly synonyms: readonly { readonly name: string; readonly value: string | null; readonly source: number }[];
    }[];
  })[];
}

/** Replaces all set configs of a resource (Kafka's AlterConfigs, which KafkaJS uses). */
export interface AlterConfigsRequest {
  readonly validateOnly: boolean;
  readonly resources: readonly {
    readonly resourceType: number;
    readonly resourceName: string;
    readonly configs: readonly { readonly name: string; readonly value: string | null }[];
  }[];
}

export interface AlterConfigsResponse {
  readonly responses: readonly (Outcome & { readonly resourceType: number; readonly resourceName: string })[];
}

export interface DescribeClusterResponse extends Outcome {
  readonly clusterId: string;
  readonly controllerId: number;
  readonly brokers: readonly { readonly brokerId: number; readonly host: string; readonly port: number }[];
  /** *Ours*: the live workers, one per tab, and which of them hosts the brokers. */
  readonly hosts: readonly HostDescription[];
}

/** *Ours*. */
export interface HostDescription {
  readonly hostId: string;
  /** What the tab calls itself: its title and path, or the client id. */
  readonly label: string;
  readonly controller: boolean;
  /** The epoch that the controller was elected with; 0 for the others. */
  readonly controllerEpoch: number;
  /** The host that answered: "this tab". */
  readonly self: boolean;
  readonly visible: boolean;
  readonly joinedAtMs: number;
  readonly storage: StorageStatus;
}

/** *Ours*: how the storage of this tab's host is. Answered once there is a change that the asker does not know. */
export interface DescribeStorageRequest {
  /** Of the last answer, with its version; '' and -1 at first, which is answered at once. */
  readonly host: string;
  readonly version: number;
}

export interface DescribeStorageResponse extends Outcome {
  readonly host: string;
  readonly version: number;
  /** Oldest first, at least one. */
  readonly changes: readonly StorageChange[];
}

export interface StorageChange {
  readonly state: StorageState;
  /** When it began, by the wall clock. */
  readonly atMs: number;
}

export interface DescribeLogDirsRequest {
  /** null: all topics. */
  readonly topics: readonly { readonly topic: string; readonly partitions: readonly number[] }[] | null;
}

export interface DescribeLogDirsResponse extends Outcome {
  readonly topics: readonly {
    readonly name: string;
    readonly partitions: readonly {
      readonly partitionIndex: number;
      /** Bytes of batches in the log, by our own count. */
      readonly partitionSize: number;
      readonly logStartOffset: number;
      readonly highWatermark: number;
    }[];
  }[];
}

// ---------------------------------------------------------------- groups

export interface FindCoordinatorRequest {
  readonly key: string;
  /** 0 group, 1 transaction. */
  readonly keyType: number;
}

export interface FindCoordinatorResponse extends Outcome {
  readonly nodeId: number;
  readonly host: string;
  readonly port: number;
}

export interface JoinGroupRequest {
  readonly groupId: string;
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  /** '' for a new member: it is answered MEMBER_ID_REQUIRED with an id, and joins again (KIP-394). */
  readonly memberId: string;
  readonly groupInstanceId: string | null;
  readonly protocolType: string;
  readonly protocols: readonly { readonly name: string; readonly metadata: Uint8Array }[];
  /** *Ours* to name in groups' descriptions; Kafka has them in the request header. */
  readonly clientId: string;
  /** A slash and the lock of its worker, as its host writes in: where that is free, the member is dead. */
  readonly clientHost: string;
}

export interface JoinGroupResponse extends Outcome {
  readonly generationId: number;
  readonly protocolType: string | null;
  readonly protocolName: string | null;
  readonly leader: string;
  readonly memberId: string;
  /** For the leader: all members; for the others none. */
  readonly members: readonly {
    readonly memberId: string;
    readonly groupInstanceId: string | null;
    readonly metadata: Uint8Array;
  }[];
}

export interface SyncGroupRequest {
  readonly groupId: string;
  readonly generationId: number;
  readonly memberId: string;
  readonly groupInstanceId: string | null;
  readonly assignments: readonly { readonly memberId: string; readonly assignment: Uint8Array }[];
}

export interface SyncGroupResponse extends Outcome {
  readonly assignment: Uint8Array;
}

export interface HeartbeatRequest {
  readonly groupId: string;
  readonly generationId: number;
  readonly memberId: string;
  readonly groupInstanceId: string | null;
  /** *Ours*: answered so much later, or as soon as the group rebalances or the member is out. */
  readonly waitMs?: number;
}

export interface HeartbeatResponse extends Outcome {
  /** *Ours*, of the member's own host: how much of the metadata it knows. Where that is more than before, topics may be others. */
  readonly metadataOffset?: number;
}

export interface LeaveGroupRequest {
  readonly groupId: string;
  readonly members: readonly { readonly memberId: string; readonly groupInstanceId: string | null }[];
}

export interface LeaveGroupResponse extends Outcome {
  readonly members: readonly (Outcome & { readonly memberId: string; readonly groupInstanceId: string | null })[];
}

export interface OffsetCommitRequest {
  readonly groupId: string;
  /** -1 and '' outside group membership ("simple" consumers, admin). */
  readonly generationIdOrMemberEpoch: number;
  readonly memberId: string;
  readonly groupInstanceId: string | null;
  readonly topics: readonly {
    readonly name: string;
    readonly partitions: readonly {
      readonly partitionIndex: number;
      /** The next offset to read. */
      readonly committedOffset: number;
      readonly committedLeaderEpoch: number;
      readonly committedMetadata: string | null;
      /** *Ours*: in which log that is. UNKNOWN_TOPIC_ID where it is not the partition's any more, and nothing is stored. */
      readonly log?: number | undefined;
    }[];
  }[];
}

export interface OffsetCommitResponse {
  readonly topics: readonly {
    readonly name: string;
    readonly partitions: readonly (Outcome & { readonly partitionIndex: number })[];
  }[];
}

export interface OffsetFetchRequest {
  readonly groupId: string;
  /** null: all partitions with a committed offset. */
  readonly topics: readonly { readonly name: string; readonly partitionIndexes: readonly number[] }[] | null;
}

export interface OffsetFetchResponse extends Outcome {
  /**
   * *Ours*: what was lost of `__consumer_offsets` when the coordinator read it, where something newer than what is answered
   * may have been among it.
   */
  readonly gap?: (PartitionGap & { readonly topic: string; readonly partition: number }) | undefined;
  readonly topics: readonly {
    readonly name: string;
    readonly partitions: readonly (Outcome & {
      readonly partitionIndex: number;
      /** -1 where none is committed. */
      readonly committedOffset: number;
      readonly committedLeaderEpoch: number;
      readonly metadata: string | null;
      /** *Ours*: the log that the partition has now. */
      readonly log?: number | undefined;
    })[];
  }[];
}

export interface OffsetDeleteRequest {
  readonly groupId: string;
  readonly topics: readonly {
    readonly name: string;
    readonly partitions: readonly { readonly partitionIndex: number }[];
  }[];
}

export interface OffsetDeleteResponse extends Outcome {
  readonly topics: readonly {
    readonly name: string;
    readonly partitions: readonly (Outcome & { readonly partitionIndex: number })[];
  }[];
}

export interface ListGroupsRequest {
  /** Empty: all. */
  readonly statesFilter: readonly string[];
}

export interface ListGroupsResponse extends Outcome {
  readonly groups: readonly {
    readonly groupId: string;
    readonly protocolType: string;
    readonly groupState: GroupStateName;
  }[];
}

export type GroupStateName = 'PreparingRebalance' | 'CompletingRebalance' | 'Stable' | 'Dead' | 'Empty';

export interface DescribeGroupsRequest {
  readonly groups: readonly string[];
}

export interface DescribeGroupsResponse {
  readonly groups: readonly (Outcome & {
    readonly groupId: string;
    readonly groupState: GroupStateName;
    readonly protocolType: string;
    readonly protocolData: string;
    readonly members: readonly {
      readonly memberId: string;
      readonly groupInstanceId: string | null;
      readonly clientId: string;
      readonly clientHost: string;
      readonly memberMetadata: Uint8Array;
      readonly memberAssignment: Uint8Array;
    }[];
  })[];
}

export interface DeleteGroupsRequest {
  readonly groupsNames: readonly string[];
}

export interface DeleteGroupsResponse {
  readonly results: readonly (Outcome & { readonly groupId: string })[];
}

// ---------------------------------------------------------------- the table

interface Apis {
  Produce: [ProduceRequest, ProduceResponse];
  Fetch: [FetchRequest, FetchResponse];
  ListOffsets: [ListOffsetsRequest, ListOffsetsResponse];
  Metadata: [MetadataRequest, MetadataResponse];
  CreateTopics: [CreateTopicsRequest, CreateTopicsResponse];
  DeleteTopics: [DeleteTopicsRequest, DeleteTopicsResponse];
  CreatePartitions: [CreatePartitionsRequest, CreatePartitionsResponse];
  DeleteRecords: [DeleteRecordsRequest, DeleteRecordsResponse];
  InitProducerId: [InitProducerIdRequest, InitProducerIdResponse];
  WriteTxnMarkers: [WriteTxnMarkersRequest, WriteTxnMarkersResponse];
  DescribeConfigs: [DescribeConfigsRequest, DescribeConfigsResponse];
  AlterConfigs: [AlterConfigsRequest, AlterConfigsResponse];
  DescribeCluster: [Record<string, never>, DescribeClusterResponse];
  CheckLogs: [CheckLogsRequest, CheckLogsResponse];
  ImportLog: [ImportLogRequest, ImportLogResponse];
  DescribeStorage: [DescribeStorageRequest, DescribeStorageResponse];
  DescribeLogDirs: [DescribeLogDirsRequest, DescribeLogDirsResponse];
  FindCoordinator: [FindCoordinatorRequest, FindCoordinatorResponse];
  JoinGroup: [JoinGroupRequest, JoinGroupResponse];
  SyncGroup: [SyncGroupRequest, SyncGroupResponse];
  Heartbeat: [HeartbeatRequest, HeartbeatResponse];
  LeaveGroup: [LeaveGroupRequest, LeaveGroupResponse];
  OffsetCommit: [OffsetCommitRequest, OffsetCommitResponse];
  OffsetFetch: [OffsetFetchRequest, OffsetFetchResponse];
  OffsetDelete: [OffsetDeleteRequest, OffsetDeleteResponse];
  ListGroups: [ListGroupsRequest, ListGroupsResponse];
  DescribeGroups: [DescribeGroupsRequest, DescribeGroupsResponse];
  DeleteGroups: [DeleteGroupsRequest, DeleteGroupsResponse];
}

export type ApiName = keyof Apis;
export type Requests = { readonly [A in ApiName]: Apis[A][0] };
export type Responses = { readonly [A in ApiName]: Apis[A][1] };
