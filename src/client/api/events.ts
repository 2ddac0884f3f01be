import type { GapReason } from '../../protocol/requests.js';
import type { Offsets } from './consumer.js';

/** What a listener of `client.on(client.events.X, …)` gets, as in KafkaJS ("Instrumentation Events"). */
export interface InstrumentationEvent<T = unknown> {
  readonly id: string;
  readonly type: string;
  /** Milliseconds since the epoch. */
  readonly timestamp: number;
  readonly payload: T;
}

export type RemoveInstrumentationEventListener = () => void;

/** Registers a listener; the result removes it. An unknown event name throws `KafkaJSNonRetriableError`. */
export type On<E extends Readonly<Record<string, keyof EventPayloads>>> = <N extends E[keyof E]>(
  eventName: N,
  listener: (event: InstrumentationEvent<EventPayloads[N]>) => unknown,
) => RemoveInstrumentationEventListener;

/** What each event carries. */
export interface EventPayloads
  extends NetworkPayloads<'producer'>,
    NetworkPayloads<'consumer'>,
    NetworkPayloads<'admin'> {
  readonly 'consumer.heartbeat': {
    readonly groupId: string;
    readonly memberId: string;
    readonly groupGenerationId: number;
  };
  readonly 'consumer.commit_offsets': EventPayloads['consumer.heartbeat'] & Offsets;
  readonly 'consumer.group_join': {
    /** Milliseconds since there was no assignment. */
    readonly duration: number;
    readonly groupId: string;
    readonly isLeader: boolean;
    readonly leaderId: string;
    readonly groupProtocol: string;
    readonly memberId: string;
    readonly memberAssignment: IMemberAssignment;
  };
  readonly 'consumer.fetch_start': { readonly nodeId: number };
  readonly 'consumer.fetch': { readonly numberOfBatches: number; readonly duration: number; readonly nodeId: number };
  readonly 'consumer.start_batch_process': BatchEventPayload;
  readonly 'consumer.end_batch_process': BatchEventPayload & { readonly duration: number };
  readonly 'consumer.stop': null;
  /** `groupId`: undefined for a consumer without a group. */
  readonly 'consumer.crash': { readonly error: Error; readonly groupId: string | undefined; readonly restart: boolean };
  readonly 'consumer.partition_unreadable': UnreadableEventPayload;
  readonly 'consumer.rebalancing': { readonly groupId: string; readonly memberId: string };
  readonly 'consumer.received_unsubscribed_topics': {
    readonly groupId: string;
    readonly generationId: number;
    readonly memberId: string;
    readonly assignedTopics: string[];
    readonly topicsSubscribed: string[];
    readonly topicsNotSubscribed: string[];
  };
  readonly 'consumer.gap': GapEventPayload;
  readonly 'consumer.partition_eof': EndEventPayload;
}

type NetworkPayloads<C extends string> = {
  readonly [N in `${C}.connect` | `${C}.disconnect`]: null;
} & {
  readonly [N in `${C}.network.request`]: RequestEventPayload;
} & {
  readonly [N in `${C}.network.request_timeout`]: Omit<RequestEventPayload, 'duration'>;
} & {
  readonly [N in `${C}.network.request_queue_size`]: {
    readonly broker: string;
    readonly clientId: string;
    readonly queueSize: number;
  };
};

/**
 * As in KafkaJS, without its `apiKey`, `apiVersion` and `size`: a request goes to the worker as it is, neither encoded nor
 * in versions, and `apiName` says what it is.
 */
export interface RequestEventPayload {
  readonly apiName: string;
  readonly clientId: string;
  readonly correlationId: number;
  readonly createdAt: number;
  readonly sentAt: number;
  readonly pendingDuration: number;
  /** Milliseconds from sending to the answer. */
  readonly duration: number;
  readonly broker: string;
}

/** Topics with the numbers of their partitions. */
export interface IMemberAssignment {
  readonly [topic: string]: number[];
}

/** The batch that a handler gets, as KafkaJS describes it. */
export interface BatchEventPayload {
  readonly topic: string;
  readonly partition: number;
  readonly highWatermark: string;
  readonly offsetLag: string;
  readonly offsetLagLow: string;
  readonly batchSize: number;
  /** null: no handler gets it, since it holds markers or what compaction left. */
  readonly firstOffset: string | null;
  readonly lastOffset: string;
}

/** The records there need a key that the consumer has not, or are not what was encrypted. */
export interface UnreadableEventPayload {
  readonly topic: string;
  readonly partition: number;
  readonly offset: string;
  readonly error: Error;
}

/**
 * Records that were lost to damage of the stored data: the consumer goes on behind them. With the topic `__consumer_offsets`
 * it is commits that were lost, newer ones of this group perhaps: it goes on at older offsets, or as it was told to begin.
 */
export interface GapEventPayload {
  readonly topic: string;
  readonly partition: number;
  readonly fromOffset: string;
  /** Exclusive: the next record that may be there. */
  readonly nextOffset: string;
  readonly reason: GapReason;
}

/** A fetch has waited, and found nothing more to read. */
export interface EndEventPayload {
  readonly topic: string;
  readonly partition: number;
  /** Where the next record will be, or behind it: what is before has been fetched, or reported as a gap. */
  readonly offset: string;
  /** Above `offset` where the rest is in a transaction that is still open, or compaction has left nothing of it. */
  readonly highWatermark: string;
}

const networkEvents = <const P extends string>(client: P) =>
  ({
    CONNECT: `${client}.connect`,
    DISCONNECT: `${client}.disconnect`,
    REQUEST: `${client}.network.request`,
    REQUEST_TIMEOUT: `${client}.network.request_timeout`,
    /** Never fires: a request goes to the worker at once, so that there is no queue (in KafkaJS one of each connection). */
    REQUEST_QUEUE_SIZE: `${client}.network.request_queue_size`,
  }) as const;

export const PRODUCER_EVENTS = networkEvents('producer');
export type ProducerEvents = typeof PRODUCER_EVENTS;

export const ADMIN_EVENTS = networkEvents('admin');
export type AdminEvents = typeof ADMIN_EVENTS;

export const CONSUMER_EVENTS = {
  ...networkEvents('consumer'),
  HEARTBEAT: 'consumer.heartbeat',
  COMMIT_OFFSETS: 'consumer.commit_offsets',
  GROUP_JOIN: 'consumer.group_join',
  FETCH_START: 'consumer.fetch_start',
  FETCH: 'consumer.fetch',
  START_BATCH_PROCESS: 'consumer.start_batch_process',
  END_BATCH_PROCESS: 'consumer.end_batch_process',
  STOP: 'consumer.stop',
  CRASH: 'consumer.crash',
  /** *Ours*, with an `UnreadableEventPayload`. */
  PARTITION_UNREADABLE: 'consumer.partition_unreadable',
  REBALANCING: 'consumer.rebalancing',
  RECEIVED_UNSUBSCRIBED_TOPICS: 'consumer.received_unsubscribed_topics',
  /** *Ours*, with a `GapEventPayload`. */
  GAP: 'consumer.gap',
  /** *Ours*, with an `EndEventPayload`, after each such fetch (librdkafka's `enable.partition.eof`). */
  PARTITION_EOF: 'consumer.partition_eof',
} as const;
export type ConsumerEvents = typeof CONSUMER_EVENTS;

type EventOf<N extends keyof EventPayloads> = InstrumentationEvent<EventPayloads[N]>;

// The events by the names that KafkaJS's types give them.
export type ConnectEvent = EventOf<'consumer.connect'>;
export type DisconnectEvent = EventOf<'consumer.disconnect'>;
export type RequestEvent = EventOf<'consumer.network.request'>;
export type RequestTimeoutEvent = EventOf<'consumer.network.request_timeout'>;
export type RequestQueueSizeEvent = EventOf<'consumer.network.request_queue_size'>;
export type ConsumerHeartbeatEvent = EventOf<'consumer.heartbeat'>;
export type ConsumerCommitOffsetsEvent = EventOf<'consumer.commit_offsets'>;
export type ConsumerGroupJoinEvent = EventOf<'consumer.group_join'>;
export type ConsumerFetchStartEvent = EventOf<'consumer.fetch_start'>;
export type ConsumerFetchEvent = EventOf<'consumer.fetch'>;
export type ConsumerStartBatchProcessEvent = EventOf<'consumer.start_batch_process'>;
export type ConsumerEndBatchProcessEvent = EventOf<'consumer.end_batch_process'>;
export type ConsumerCrashEvent = EventOf<'consumer.crash'>;
export type ConsumerRebalancingEvent = EventOf<'consumer.rebalancing'>;
/** Spelt as KafkaJS spells it. */
export type ConsumerReceivedUnsubcribedTopicsEvent = EventOf<'consumer.received_unsubscribed_topics'>;
