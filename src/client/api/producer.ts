import type { CompressionType } from '../../record/compression-types.js';
import type { Serde } from '../../record/serdes.js';
import type { On, ProducerEvents } from './events.js';
import type { RetryOptions } from './kafka.js';
import type { Logger } from './logger.js';

/** What a key, value or header may be without a serde. A string is written as UTF-8. */
export type RecordInput = Uint8Array | string;

/** Header values; a list writes the key once for each value. */
export interface IHeaders {
  readonly [key: string]: RecordInput | null | undefined | readonly (RecordInput | null)[];
}

export interface Message<K = RecordInput, V = RecordInput> {
  readonly key?: K | null;
  /** null is a tombstone. */
  readonly value: V | null;
  readonly partition?: number;
  readonly headers?: IHeaders;
  /** Milliseconds since the epoch, as text (KafkaJS) or number. Default: now. */
  readonly timestamp?: string | number;
}

/** -1 all in-sync replicas, 1 the leader, 0 no answer. */
export type ProducerAcks = -1 | 0 | 1;

interface SendSettings {
  /** Default -1. With `idempotent: true` no other; where it is idempotent by default 1 is -1, and 0 is answered at once. */
  readonly acks?: ProducerAcks | number;
  /** How long the broker may wait for replicas, in ms. Default 30000. */
  readonly timeout?: number;
  readonly compression?: CompressionType;
  /**
   * Ends the wait. What is already in a batch is sent all the same: after an abort the outcome is unknown.
   */
  readonly signal?: AbortSignal;
}

export interface ProducerRecord<K = RecordInput, V = RecordInput> extends SendSettings {
  readonly topic: string;
  readonly messages: readonly Message<K, V>[];
}

export interface TopicMessages<K = RecordInput, V = RecordInput> {
  readonly topic: string;
  readonly messages: readonly Message<K, V>[];
}

export interface ProducerBatch<K = RecordInput, V = RecordInput> extends SendSettings {
  readonly topicMessages?: readonly TopicMessages<K, V>[];
}

/** One entry for each partition that records of the send went to. */
export interface RecordMetadata {
  readonly topicName: string;
  readonly partition: number;
  readonly errorCode: number;
  /** Offset of the first record of this send in the partition. */
  readonly baseOffset: string;
  /** `'-1'` unless the topic uses LogAppendTime. */
  readonly logAppendTime: string;
  readonly logStartOffset: string;
  /** In KafkaJS, of the requests of old brokers; absent here. */
  readonly offset?: string;
  /** As `offset`. */
  readonly timestamp?: string;
}

export interface PartitionMetadata {
  readonly partitionErrorCode: number;
  readonly partitionId: number;
  readonly leader: number;
  readonly replicas: number[];
  readonly isr: number[];
  readonly offlineReplicas: number[];
}

export interface PartitionerArgs {
  readonly topic: string;
  readonly partitionMetadata: PartitionMetadata[];
  readonly message: Message<RecordInput, RecordInput>;
}

export type ICustomPartitioner = () => (args: PartitionerArgs) => number;
export type DefaultPartitioner = ICustomPartitioner;
export type LegacyPartitioner = ICustomPartitioner;

export interface ProducerConfig<K = RecordInput, V = RecordInput> {
  readonly createPartitioner?: ICustomPartitioner;
  readonly retry?: RetryOptions;
  /** Default 300000 ms. */
  readonly metadataMaxAge?: number;
  /** Default true. */
  readonly allowAutoTopicCreation?: boolean;
  /** Default true, unlike KafkaJS and like Kafka since 3.0; false with `retry: { retries: 0 }`, be it of the `Kafka`. */
  readonly idempotent?: boolean;
  readonly transactionalId?: string;
  readonly transactionTimeout?: number;
  /** Default and greatest value for the idempotent producer: 5. */
  readonly maxInFlightRequests?: number | null;
  /** How long an unfilled batch waits for company, in ms. Default 0; while a request is out, sends gather anyway. */
  readonly linger?: number;
  /** A batch is closed at so many bytes. Default 61440: rows beyond 64 KiB are slower in IndexedDB. */
  readonly batchSize?: number;
  /** Bytes that may wait to be acknowledged; beyond, `send` waits. Default 32 MiB. */
  readonly bufferMemory?: number;
  /**
   * A record not acknowledged so many ms after `send` fails (Kafka's `delivery.timeout.ms`). Default 120000, or more where
   * `linger` asks for it; given, it must be at least `linger`.
   */
  readonly deliveryTimeout?: number;
  readonly keySerde?: Serde<K>;
  readonly valueSerde?: Serde<V>;
}

/**
 * Writes records, as KafkaJS's producer.
 *
 * A send with one bad message is refused as a whole before anything is sent; other sends are not affected. Records of
 * one producer to one partition keep the order of the `send` calls, also through retries.
 */
export interface Producer<K = RecordInput, V = RecordInput> {
  connect(): Promise<void>;
  /**
   * Sends what is waiting, then closes; later sends are refused. It goes on for as long as sends are acknowledged. Once
   * nothing was for 10 s (or `requestTimeout`, where that is less) the rest fails with `KafkaJSConnectionError`, and may be
   * stored or not. Who wants to wait for all that is to be delivered calls `flush` before.
   */
  disconnect(): Promise<void>;
  /**
   * Resolves when the records are acknowledged; with acks 0 at once, with `[]`.
   * @throws KafkaJSNonRetriableError for bad arguments, KafkaJSProtocolError with Kafka's error type,
   *   KafkaJSNumberOfRetriesExceeded. Where `outcomeUnknown` is true the records may have been written.
   */
  send(record: ProducerRecord<K, V>): Promise<RecordMetadata[]>;
  sendBatch(batch: ProducerBatch<K, V>): Promise<RecordMetadata[]>;
  /** Sends every open batch now and resolves when all that was sent before is answered; failures do not reject it. */
  flush(): Promise<void>;
  isIdempotent(): boolean;
  /** @throws KafkaJSNotImplemented, always: this version has no transactional producers. */
  transaction(): Promise<never>;
  readonly events: ProducerEvents;
  readonly on: On<ProducerEvents>;
  logger(): Logger;
  [Symbol.asyncDispose](): Promise<void>;
}
