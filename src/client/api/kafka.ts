/// <reference lib="esnext.disposable" preserve="true" />

import type { RecordBytes } from '../../record/record-bytes.js';
import type { Admin, AdminConfig } from './admin.js';
import type { Consumer, ConsumerConfig } from './consumer.js';
import type { Logger, LogLevel, logCreator } from './logger.js';
import type { Producer, ProducerConfig, RecordInput } from './producer.js';
import type { StorageWatch } from './storage.js';

/** Exponential back-off between attempts; defaults as KafkaJS: 300 ms, factor 0.2, multiplier 2, 5 retries, 30 s. */
export interface RetryOptions {
  /** Longest wait between two attempts, in ms. */
  readonly maxRetryTime?: number;
  readonly initialRetryTime?: number;
  /** Share of the wait that is random, 0 to 1. */
  readonly factor?: number;
  readonly multiplier?: number;
  readonly retries?: number;
  /** For consumers: whether one that crashed by what may pass is to start again. Default: it is. */
  readonly restartOnFailure?: (error: Error) => Promise<boolean>;
}

/**
 * AES-GCM keys of the application, which may be non-extractable. As an object they go to the page's worker, too, which
 * keeps them in memory: the leading tab then brings old records under `keyId`, and compacts. As a look-up they do not
 * leave the page.
 */
export interface EncryptionConfig {
  /** Of the key that producers encrypt with from now on; stands in clear in each batch. At most 255 bytes of UTF-8. */
  readonly keyId: string;
  /** All keys that may be needed, by id, or a look-up; older ones are kept as long as records under them are read. */
  readonly keys:
    | Readonly<Record<string, CryptoKey>>
    | ((keyId: string) => CryptoKey | undefined | Promise<CryptoKey | undefined>);
}

export type BrokersFunction = () => readonly string[] | Promise<readonly string[]>;

export interface KafkaConfig {
  readonly clientId?: string;
  /** Tabs of one origin that name the same cluster share it. Default `'default'`. */
  readonly cluster?: string | { readonly name: string; readonly config?: Readonly<Record<string, string>> };
  /**
   * Accepted so that KafkaJS code runs unchanged: a list of addresses, a function that gives one, or the number of
   * brokers. Addresses mean nothing here. A number above 1 is refused: one broker is what this release runs.
   */
  readonly brokers?: readonly string[] | BrokersFunction | number;
  /**
   * `'memory-if-denied'`: where IndexedDB is denied or missing, this tab runs over memory, alone, and forgets all at its
   * end; `kafka.storage` then says `degraded-memory`. Without it, clients fail there with a typed error.
   */
  readonly storage?: 'memory-if-denied';
  /**
   * What makes the host worker, for bundlers that do not follow `new Worker(new URL(…))`; or the worker itself, which then
   * serves once: when it has failed, or the page was frozen or in the back/forward cache, only a function makes another.
   */
  readonly worker?: Worker | (() => Worker);
  /**
   * Keys, values and headers of what producers send are encrypted before they leave the page, and decrypted by consumers
   * that have the key. Topic names, timestamps, sizes and offsets stay in clear. For compacted topics the leading
   * tab must have been given the keys as an object.
   */
  readonly encryption?: EncryptionConfig;
  /** After so many ms without answer a request fails with `KafkaJSRequestTimeoutError`. Default 30000. */
  readonly requestTimeout?: number;
  readonly enforceRequestTimeout?: boolean;
  readonly connectionTimeout?: number;
  /** For all clients; each may say otherwise. `retries` here count for producers, too. */
  readonly retry?: RetryOptions;
  readonly logLevel?: LogLevel;
  readonly logCreator?: logCreator;
  /** Accepted and without meaning: there is no network between a tab and its worker. */
  readonly ssl?: unknown;
  readonly sasl?: unknown;
  readonly authenticationTimeout?: number;
  readonly reauthenticationThreshold?: number;
  readonly socketFactory?: unknown;
}

/** One client of a cluster. Nothing is opened before the first `connect()`, `send()`, `run()` …; see `kafkaOn`. */
export interface Kafka {
  producer<K = RecordInput, V = RecordInput>(config?: ProducerConfig<K, V>): Producer<K, V>;
  consumer<K = RecordBytes, V = RecordBytes>(config?: ConsumerConfig<K, V>): Consumer<K, V>;
  admin(config?: AdminConfig): Admin;
  /** *Ours*: full, lost, wiped, outdated storage, as it happens. */
  readonly storage: StorageWatch;
  logger(): Logger;
  /**
   * Disconnects every producer, consumer and admin made here, all at once and each as its `disconnect` says, then lets go of
   * the worker. Idempotent.
   */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}
