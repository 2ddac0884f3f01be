import { errorOf, KafkaError } from '../protocol/errors.js';
import type { MetadataResponse } from '../protocol/requests.js';
import type { RetryOptions } from './api/kafka.js';
import type { Logger } from './api/logger.js';
import type { PartitionMetadata } from './api/producer.js';
import type { Connection } from './connection.js';
import { KafkaJSProtocolError } from './errors.js';

interface TopicEntry {
  readonly partitions: readonly PartitionMetadata[];
  readonly loadedAtMs: number;
}

/** Without auto-creation an unknown topic may only be news that has not reached this tab yet: ask a few times, quickly. */
const UNKNOWN_TOPIC_RETRY = { initialRetryTime: 25, retries: 3 };

export interface ClusterMetadataOptions {
  readonly connection: Connection;
  readonly retry: Required<RetryOptions>;
  readonly maxAgeMs: number;
  readonly allowAutoTopicCreation: boolean;
  readonly logger: Logger;
}

/** What one client knows of topics and their partitions, and when it asks again. */
export class ClusterMetadata {
  readonly #connection: Connection;
  readonly #retry: Required<RetryOptions>;
  readonly #maxAgeMs: number;
  readonly #allowAutoTopicCreation: boolean;
  readonly #logger: Logger;
  #isGapTold = false;
  readonly #topics = new Map<string, TopicEntry>();

  constructor({ connection, retry, maxAgeMs, allowAutoTopicCreation, logger }: ClusterMetadataOptions) {
    this.#connection = connection;
    this.#retry = retry;
    this.#maxAgeMs = maxAgeMs;
    this.#logger = logger;
    this.#allowAutoTopicCreation = allowAutoTopicCreation;
  }

  /** What is known, in partition order; undefined where the topic has to be loaded first. Old news is renewed behind. */
  cached(topic: string): readonly PartitionMetadata[] | undefined {
    const entry = this.#topics.get(topic);
    if (entry === undefined) return undefined;
    const nowMs = this.#connection.runtime.clock.monotonicMs();
    if (nowMs - entry.loadedAtMs > this.#maxAgeMs) {
      this.#topics.set(topic, { ...entry, loadedAtMs: nowMs });
      this.load([topic]).catch(() => {}); // what is known stays good enough until the topic itself fails
    }
    return entry.partitions;
  }

  async partitions(topic: string, signal?: AbortSignal): Promise<readonly PartitionMetadata[]> {
    return this.cached(topic) ?? (await this.load([topic], signal)).get(topic)!;
  }

  forget(topic: string): void {
    this.#topics.delete(topic);
  }

  /**
   * Asks for these topics, which creates them where that is allowed; again after failures that are `retriable`.
   * @throws KafkaJSProtocolError UNKNOWN_TOPIC_OR_PARTITION, INVALID_TOPIC_EXCEPTION: of the first topic that failed.
   */
  async load(
    topics: readonly string[],
    signal?: AbortSignal,
    retriable?: (error: unknown) => boolean,
  ): Promise<ReadonlyMap<string, readonly PartitionMetadata[]>> {
    const creates = this.#allowAutoTopicCreation;
    const options = creates ? this.#retry : { ...this.#retry, ...UNKNOWN_TOPIC_RETRY };
    let unknown: KafkaJSProtocolError | undefined;
    const loaded = await this.#connection.retry({ options, signal, retriable }, async ({ retryCount }) => {
      const response = await this.#request(topics, signal);
      const found = new Map<string, readonly PartitionMetadata[]>();
      for (const topic of response.topics) {
        const error = errorOf(topic);
        if (error !== undefined) {
          if (error.type === 'UNKNOWN_TOPIC_OR_PARTITION' && !creates && retryCount === UNKNOWN_TOPIC_RETRY.retries) {
            const text = `topic ${JSON.stringify(topic.name)} does not exist and may not be created by this client`;
            unknown = new KafkaJSProtocolError(new KafkaError(error.type, text, { cause: error }));
            return found;
          }
          throw error;
        }
        found.set(
          topic.name,
          topic.partitions.map(partitionMetadata).sort((a, b) => a.partitionId - b.partitionId),
        );
      }
      return found;
    });
    if (unknown !== undefined) throw unknown;
    const loadedAtMs = this.#connection.runtime.clock.monotonicMs();
    for (const [topic, partitions] of loaded) this.#topics.set(topic, { partitions, loadedAtMs });
    return loaded;
  }

  async #request(topics: readonly string[], signal: AbortSignal | undefined): Promise<MetadataResponse> {
    const request = { topics: topics.map((name) => ({ name })), allowAutoTopicCreation: this.#allowAutoTopicCreation };
    const response = await this.#connection.request('Metadata', request, { signal });
    if (response.gap && !this.#isGapTold) this.#logger.warn('Topics may be lost', response.gap);
    this.#isGapTold = response.gap !== undefined;
    return response;
  }
}

/** A partition in KafkaJS's form. */
export function partitionMetadata(
  partition: MetadataResponse['topics'][number]['partitions'][number],
): PartitionMetadata {
  return {
    partitionErrorCode: partition.errorCode,
    partitionId: partition.partitionIndex,
    leader: partition.leaderId,
    replicas: [...partition.replicaNodes],
    isr: [...partition.isrNodes],
    offlineReplicas: [...partition.offlineReplicas],
  };
}
