import type { EncryptionKeys } from '../protocol/encryption-keys.js';
import { KafkaError } from '../protocol/errors.js';
import type { RequestChannel } from '../protocol/request-channel.js';
import type { RecordBytes } from '../record/record-bytes.js';
import type { ClientRuntime } from '../runtime/runtime.js';
import { adminFront } from './admin-front.js';
import type { Admin, AdminConfig } from './api/admin.js';
import type { Consumer, ConsumerConfig } from './api/consumer.js';
import type { EncryptionConfig, Kafka, KafkaConfig, RetryOptions } from './api/kafka.js';
import type { Logger } from './api/logger.js';
import type { Producer, ProducerConfig, RecordInput } from './api/producer.js';
import type { StorageWatch } from './api/storage.js';
import { assertNumbers } from './assert-numbers.js';
import { ASYNC_DISPOSE } from './async-dispose.js';
import type { ClientContext } from './client-context.js';
import { type ClientParts, LOADED_PARTS } from './client-parts.js';
import { ClusterMetadata } from './cluster-metadata.js';
import { SharedChannel } from './connection.js';
import { consumerFront } from './consumer/consumer-front.js';
import { KafkaJSNonRetriableError, KafkaJSProtocolError } from './errors.js';
import { makeLogger } from './logger.js';
import { producerFront } from './producer/producer-front.js';
import { DEFAULT_RETRY } from './retry.js';
import { shown } from './shown.js';
import { storageFront } from './storage-front.js';

export type { Kafka, KafkaConfig } from './api/kafka.js';

/** What a client stands on: the browser with its host worker, or a cluster in this very thread (`tabstream/testing`). */
export interface ClientPlatform {
  readonly runtime: ClientRuntime;
  /** The code of the clients; by default it is loaded when first used. */
  readonly parts?: ClientParts;
  /**
   * Joins the cluster, starting a host where there is none yet. The channel is the caller's to close.
   * @throws KafkaError BROKER_NOT_AVAILABLE where the platform cannot run a host (no IndexedDB, no workers).
   */
  connect(options: {
    readonly clusterName: string;
    readonly brokerConfig: Readonly<Record<string, string>>;
    /** What a person may call this client. */
    readonly label: string;
    readonly worker?: KafkaConfig['worker'];
    readonly memoryIfDenied: boolean;
    /** For the host that it starts or finds in this page. */
    readonly keys: EncryptionKeys | undefined;
  }): Promise<RequestChannel> | RequestChannel;
}

export type KafkaConstructor = new (config?: KafkaConfig) => Kafka;

const DEFAULT_REQUEST_TIMEOUT_MS = 30_000;

/** The KafkaJS class over a platform. Nothing is touched before a client connects: importing is free of effects. */
export function kafkaOn(platform: ClientPlatform): KafkaConstructor {
  const { parts = LOADED_PARTS } = platform;
  return class KafkaOnPlatform implements Kafka {
    readonly #context: ClientContext;
    /** As asked for, without defaults: those of a producer are others. */
    readonly #retry: RetryOptions | undefined;
    /** How to disconnect the clients that are open. */
    readonly #open = new Set<() => Promise<void>>();

    constructor(config: KafkaConfig = {}) {
      assertBrokers(config.brokers);
      assertNumbers({ ...config.retry, ...config });
      const { clientId = 'tabstream', cluster = 'default', worker, storage, encryption } = config;
      const memoryIfDenied = storage === 'memory-if-denied';
      const { name, config: brokerConfig = {} } = typeof cluster === 'string' ? { name: cluster } : cluster;
      if (typeof name !== 'string' || name === '') {
        throw new KafkaJSNonRetriableError(`Invalid cluster name ${shown(name)}, expected a non-empty string`);
      }
      this.#retry = config.retry;
      this.#context = {
        get runtime() {
          return platform.runtime;
        },
        parts,
        shared: new SharedChannel(() =>
          platform.connect({
            clusterName: name,
            brokerConfig,
            label: clientId,
            memoryIfDenied,
            keys: isForHost(encryption) ? encryption : undefined,
            ...(worker && { worker }),
          }),
        ),
        newMetadata: (options) => new ClusterMetadata(options),
        clientId,
        encryption,
        requestTimeoutMs:
          config.enforceRequestTimeout === false
            ? Number.POSITIVE_INFINITY
            : (config.requestTimeout ?? DEFAULT_REQUEST_TIMEOUT_MS),
        retry: { ...DEFAULT_RETRY, ...config.retry },
        logger: makeLogger({
          level: config.logLevel,
          creator: config.logCreator,
          wallMs: () => platform.runtime.clock.wallMs(),
        }),
        track: (disconnect) => ({
          onOpen: () => void this.#open.add(disconnect),
          onClosed: () => void this.#open.delete(disconnect),
        }),
      };
    }

    producer<K = RecordInput, V = RecordInput>(config: ProducerConfig<K, V> = {}): Producer<K, V> {
      return producerFront(this.#context, { ...config, retry: { ...this.#retry, ...config.retry } });
    }

    consumer<K = RecordBytes, V = RecordBytes>(config: ConsumerConfig<K, V> = {}): Consumer<K, V> {
      return consumerFront(this.#context, config);
    }

    admin(config: AdminConfig = {}): Admin {
      return adminFront(this.#context, config);
    }

    get storage(): StorageWatch {
      return storageFront(this.#context, parts.storage);
    }

    logger(): Logger {
      return this.#context.logger;
    }

    async close(): Promise<void> {
      await Promise.all([...this.#open].map((disconnect) => disconnect()));
    }

    [ASYNC_DISPOSE](): Promise<void> {
      return this.close();
    }
  };
}

/** A look-up stays with the page, and the host does without. */
function isForHost(encryption: EncryptionConfig | undefined): encryption is EncryptionKeys {
  return typeof encryption?.keys === 'object';
}

/** Addresses mean nothing in a browser; a number is a wish, and only the wish for one broker can be granted. */
function assertBrokers(brokers: KafkaConfig['brokers']): void {
  if (brokers === undefined || brokers === 1 || Array.isArray(brokers) || typeof brokers === 'function') return;
  if (typeof brokers === 'number') {
    const text = `brokers: expected 1, found ${brokers}: a cluster has one broker, so nothing can be replicated`;
    throw new KafkaJSProtocolError(new KafkaError('INVALID_REPLICATION_FACTOR', text));
  }
  throw new KafkaJSNonRetriableError(`brokers: expected a list, a function or 1, found ${shown(brokers)}`);
}
