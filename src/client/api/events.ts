import type { GapReason } from '../../protocol/requests.js';

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
export type On<E extends Readonly<Record<string, string>>> = (
  eventName: E[keyof E],
  // biome-ignore lint/suspicious/noExplicitAny: payloads differ by event, as in KafkaJS's own types
  listener: (event: InstrumentationEvent<any>) => unknown,
) => RemoveInstrumentationEventListener;

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

/** Records that were lost to damage of the stored data: the consumer goes on behind them. */
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
  /** *Ours*: `{ topic, partition, offset, error }`: the records there need a key that the consumer has not. */
  PARTITION_UNREADABLE: 'consumer.partition_unreadable',
  REBALANCING: 'consumer.rebalancing',
  RECEIVED_UNSUBSCRIBED_TOPICS: 'consumer.received_unsubscribed_topics',
  /** *Ours*, with a `GapEventPayload`. */
  GAP: 'consumer.gap',
  /** *Ours*, with an `EndEventPayload`, after each such fetch (librdkafka's `enable.partition.eof`). */
  PARTITION_EOF: 'consumer.partition_eof',
} as const;
export type ConsumerEvents = typeof CONSUMER_EVENTS;
