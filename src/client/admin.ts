import { errorOf, KafkaError } from '../protocol/errors.js';
import { EARLIEST_TIMESTAMP, LATEST_TIMESTAMP, type MetadataResponse } from '../protocol/requests.js';
import { abortable } from '../util/signal.js';
import {
  KafkaJSAggregateError,
  KafkaJSCreateTopicError,
  KafkaJSDeleteGroupsError,
  KafkaJSDeleteTopicRecordsError,
} from './admin-errors.js';
import type {
  Admin,
  AdminConfig,
  CreateTopicsOptions,
  FetchOffsetsPartition,
  IResourceConfig,
  ITopicConfig,
  ITopicMetadata,
  ResourceConfigQuery,
} from './api/admin.js';
import { ConfigResourceTypes } from './api/admin.js';
import type { PartitionOffset } from './api/consumer.js';
import type { AdminEvents } from './api/events.js';
import { assertShape, type Shape } from './assert-shape.js';
import type { ClientContext, ClientShell } from './client-context.js';
import { partitionMetadata } from './cluster-metadata.js';
import { Connection } from './connection.js';
import { offsetNumber, partitionNumber } from './consumer/arguments.js';
import { describeGroups } from './describe-groups.js';
import { KafkaJSNonRetriableError, KafkaJSProtocolError, toKafkaJSError } from './errors.js';
import { listOffsets } from './list-offsets.js';
import { isRetriable } from './retry.js';
import { shown } from './shown.js';

const DEFAULT_TIMEOUT_MS = 5_000;
const MAX_INT32 = 2 ** 31 - 1;
/** A topic that is asked for by name may be news that has not reached this tab yet. */
const UNKNOWN_TOPIC_RETRIES = 3;

interface Doubt {
  outcomeUnknown?: true;
}

interface Failure {
  readonly errorCode: number;
  readonly errorMessage: string | null;
}

/** What of an admin is loaded when it is first used; `admin-front.ts` is the rest. */
export type AdminBody = Omit<Admin, 'events' | 'on' | 'logger' | typeof Symbol.asyncDispose>;

/** See `Admin`. */
export function makeAdmin(context: ClientContext, shell: ClientShell<AdminEvents>, config: AdminConfig): AdminBody {
  const { runtime } = context;
  const { instrumentation } = shell;
  const connection = new Connection({
    ...context,
    runtime,
    instrumentation,
    ...context.track(() => connection.close()),
  });
  const options = { ...context.retry, ...config.retry };

  /**
   * With retries; `attempt` throws what a response says, and is told whether one before it may have been carried out: then
   * a refusal, too, is in doubt, such as of a topic that is not there to be deleted.
   */
  function retrying<T>(attempt: (doubt: Readonly<Doubt>) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const doubt: Doubt = {};
    return connection.retry(
      {
        options,
        signal,
        retriable: (error) =>
          isRetriable(error) && !(error instanceof KafkaJSProtocolError && error.type === 'UNKNOWN_TOPIC_OR_PARTITION'),
      },
      async () => {
        try {
          return await attempt(doubt);
        } catch (caught) {
          const error = toKafkaJSError(caught);
          if (!(error instanceof KafkaJSProtocolError)) throw error;
          if (error.outcomeUnknown) doubt.outcomeUnknown = true;
          else if (doubt.outcomeUnknown) throw new KafkaJSProtocolError(error.cause as KafkaError, doubt);
          throw error;
        }
      },
    );
  }

  /** Metadata of topics, never creating one. @throws UNKNOWN_TOPIC_OR_PARTITION, after having looked a few times. */
  async function topicMetadata(topics: readonly string[] | null): Promise<MetadataResponse['topics']> {
    const request = { topics: topics?.map((name) => ({ name })) ?? null, allowAutoTopicCreation: false };
    return connection.retry(
      { options: { ...options, initialRetryTime: 25, retries: UNKNOWN_TOPIC_RETRIES } },
      async ({ retryCount }) => {
        const response = await connection.request('Metadata', request);
        for (const topic of response.topics) {
          const error = errorOf(topic);
          if (error === undefined) continue;
          if (retryCount < UNKNOWN_TOPIC_RETRIES && error.retriable) throw error;
          throw new KafkaJSNonRetriableProtocolError(error);
        }
        return response.topics;
      },
    );
  }

  async function partitionsOf(topic: string): Promise<number[]> {
    const [found] = await topicMetadata([topic]);
    return found!.partitions.map(({ partitionIndex }) => partitionIndex).sort((a, b) => a - b);
  }

  /** The same for all partitions of a topic. */
  async function offsetsAt(topic: string, timestamp: number): Promise<{ partition: number; offset: number }[]> {
    const partitions = await partitionsOf(topic);
    const queries = partitions.map((partition) => ({ topic, partition, timestamp }));
    const found = await retrying(() => listOffsets(connection, queries, { isolationLevel: 0 }));
    return found.sort((a, b) => a.partition - b.partition);
  }

  async function createTopics(request: CreateTopicsOptions): Promise<boolean> {
    const { topics, validateOnly = false, timeout = DEFAULT_TIMEOUT_MS } = request;
    assertTopicConfigs(topics);
    // The one broker leads what it has made, and this tab's host knows of it before we hear: there is no leader to wait for.
    return retrying(async (doubt) => {
      const response = await connection.request('CreateTopics', {
        timeoutMs: timeout,
        validateOnly,
        topics: topics.map(newTopic),
      });
      const failed = response.topics.flatMap((topic) => {
        const error = errorOf(topic);
        return error === undefined ? [] : [{ name: topic.name, error }];
      });
      const refused = failed.filter(({ error }) => error.type !== 'TOPIC_ALREADY_EXISTS');
      if (refused.length > 0 && refused.every(({ error }) => error.retriable)) throw refused[0]!.error;
      if (refused.length > 0) {
        const errors = failed.map(({ name, error }) => new KafkaJSCreateTopicError(error, name, doubt));
        throw new KafkaJSAggregateError('Topic creation errors', errors);
      }
      return failed.length === 0;
    });
  }

  async function deleteTopics(request: { topics: readonly string[]; timeout?: number }): Promise<void> {
    const { topics, timeout = DEFAULT_TIMEOUT_MS } = request;
    if (!Array.isArray(topics)) throw new KafkaJSNonRetriableError(`Invalid topics array ${topics}`);
    if (topics.some((topic) => typeof topic !== 'string')) {
      throw new KafkaJSNonRetriableError('Invalid topics array, the names must be a valid string');
    }
    await retrying(async () => {
      const { responses } = await connection.request('DeleteTopics', { timeoutMs: timeout, topicNames: topics });
      throwFirst(responses);
    });
  }

  async function createPartitions(request: Parameters<Admin['createPartitions']>[0]): Promise<boolean> {
    const { topicPartitions, validateOnly = false, timeout = DEFAULT_TIMEOUT_MS } = request;
    if (!Array.isArray(topicPartitions)) {
      throw new KafkaJSNonRetriableError(`Invalid topic partitions array ${topicPartitions}`);
    }
    if (topicPartitions.length === 0) throw new KafkaJSNonRetriableError('Empty topic partitions array');
    assertTopicNames(topicPartitions, 'Invalid topic partitions array');
    await retrying(async () => {
      const { results } = await connection.request('CreatePartitions', {
        timeoutMs: timeout,
        validateOnly,
        topics: topicPartitions.map(({ topic, count, assignments }) => ({
          name: topic,
          count,
          assignments: assignments?.length ? assignments.map((brokerIds: readonly number[]) => ({ brokerIds })) : null,
        })),
      });
      throwFirst(results);
    });
    return true;
  }

  async function fetchTopicMetadata(
    request: { topics?: readonly string[] } = {},
  ): Promise<{ topics: ITopicMetadata[] }> {
    const topics = request.topics ?? [];
    for (const topic of topics) assertTopic(topic);
    const found = await topicMetadata(topics.length === 0 ? null : topics);
    return {
      topics: found.map(({ name, partitions }) => ({
        name,
        partitions: partitions.map(partitionMetadata).sort((a, b) => a.partitionId - b.partitionId),
      })),
    };
  }

  async function fetchTopicOffsets(topic: string): Promise<(PartitionOffset & { high: string; low: string })[]> {
    assertTopic(topic);
    const [high, low] = await Promise.all([offsetsAt(topic, LATEST_TIMESTAMP), offsetsAt(topic, EARLIEST_TIMESTAMP)]);
    const lows = new Map(low.map(({ partition, offset }) => [partition, String(offset)]));
    return high.map(({ partition, offset }) => {
      const text = String(offset);
      return { partition, offset: text, high: text, low: lows.get(partition) ?? '0' };
    });
  }

  async function fetchTopicOffsetsByTimestamp(topic: string, timestamp?: number): Promise<PartitionOffset[]> {
    assertTopic(topic);
    const found = await offsetsAt(topic, Number(timestamp ?? LATEST_TIMESTAMP)); // that of a message is text
    const ends = await offsetsAt(topic, LATEST_TIMESTAMP);
    const endOf = new Map(ends.map(({ partition, offset }) => [partition, offset]));
    return found.map(({ partition, offset }) => ({
      partition,
      offset: String(offset < 0 ? endOf.get(partition) : offset),
    }));
  }

  async function fetchOffsets(
    request: Parameters<Admin['fetchOffsets']>[0],
  ): Promise<{ topic: string; partitions: FetchOffsetsPartition[] }[]> {
    const { groupId, topics, resolveOffsets = false } = request;
    assertGroupId(groupId);
    if (topics && !Array.isArray(topics)) throw new KafkaJSNonRetriableError('Expected topics array to be set');
    for (const topic of topics ?? []) assertTopic(topic);
    const asked =
      !topics || topics.length === 0
        ? null
        : await Promise.all(topics.map(async (name) => ({ name, partitionIndexes: await partitionsOf(name) })));
    const response = await retrying(async () => {
      const answer = await connection.request('OffsetFetch', { groupId, topics: asked });
      throwFirst([answer, ...answer.topics.flatMap(({ partitions }) => partitions)]);
      return answer;
    });
    const committed = response.topics.map(({ name, partitions }) => ({
      topic: name,
      partitions: partitions
        .map(({ partitionIndex, committedOffset, metadata }) => ({
          partition: partitionIndex,
          offset: String(committedOffset),
          metadata: metadata || null,
        }))
        .sort((a, b) => a.partition - b.partition),
    }));
    if (!resolveOffsets) return committed;
    return Promise.all(
      committed.map(async ({ topic, partitions }) => ({ topic, partitions: await resolved(topic, partitions) })),
    );
  }

  /** Without a committed offset the end, as in KafkaJS; which commits it besides, and so refuses a group that runs. */
  async function resolved(
    topic: string,
    partitions: readonly FetchOffsetsPartition[],
  ): Promise<FetchOffsetsPartition[]> {
    if (partitions.every(({ offset }) => offset !== '-1')) return [...partitions];
    const ends = new Map(
      (await offsetsAt(topic, LATEST_TIMESTAMP)).map(({ partition, offset }) => [partition, offset]),
    );
    return partitions.map((entry) =>
      entry.offset === '-1' ? { ...entry, offset: String(ends.get(entry.partition)) } : entry,
    );
  }

  async function setOffsets(request: Parameters<Admin['setOffsets']>[0]): Promise<void> {
    const { groupId, topic } = request;
    assertGroupId(groupId);
    if (!topic) throw new KafkaJSNonRetriableError(`Invalid topic ${topic}`);
    if (!request.partitions?.length) throw new KafkaJSNonRetriableError('Invalid partitions');
    const partitions = request.partitions.map(({ partition, offset }) => ({
      partition: partitionNumber(partition),
      offset: offsetNumber(offset),
    }));
    await assertNotRunning(groupId);
    const ends = partitions.filter(({ offset }) => offset < 0);
    if (ends.some(({ offset }) => offset < -2)) {
      throw new KafkaJSNonRetriableError('Offset must not be a negative number');
    }
    const queries = ends.map(({ partition, offset }) => ({ topic, partition, timestamp: offset }));
    const found = await retrying(() => listOffsets(connection, queries, { isolationLevel: 0 }));
    const offsetOf = new Map(found.map(({ partition, offset }) => [partition, offset]));
    await retrying(async () => {
      const { topics } = await connection.request('OffsetCommit', {
        groupId,
        generationIdOrMemberEpoch: -1,
        memberId: '',
        groupInstanceId: null,
        topics: [
          {
            name: topic,
            partitions: partitions.map(({ partition, offset }) => ({
              partitionIndex: partition,
              committedOffset: offsetOf.get(partition) ?? offset,
              committedLeaderEpoch: -1,
              committedMetadata: null,
            })),
          },
        ],
      });
      throwAll(topics.flatMap((answer) => answer.partitions));
    });
  }

  async function assertNotRunning(groupId: string): Promise<void> {
    const [group] = await retrying(() => describeGroups(connection, [groupId]));
    if (group === undefined || group.state === 'Empty' || group.state === 'Dead') return;
    throw new KafkaJSNonRetriableError(
      `The consumer group must have no running instances, current state: ${group.state}`,
    );
  }

  async function resetOffsets(request: Parameters<Admin['resetOffsets']>[0]): Promise<void> {
    const { groupId, topic, earliest = false } = request;
    assertGroupId(groupId);
    if (!topic) throw new KafkaJSNonRetriableError(`Invalid topic ${topic}`);
    const offset = String(earliest ? EARLIEST_TIMESTAMP : LATEST_TIMESTAMP);
    const partitions = (await partitionsOf(topic)).map((partition) => ({ partition, offset }));
    await setOffsets({ groupId, topic, partitions });
  }

  async function deleteOffsets({ groupId, topics }: Parameters<Admin['deleteOffsets']>[0]): Promise<void> {
    assertGroupId(groupId);
    await retrying(async () => {
      const response = await connection.request('OffsetDelete', {
        groupId,
        topics: topics.map(({ topic, partitions }) => ({
          name: topic,
          partitions: partitions.map((partition) => ({ partitionIndex: partitionNumber(partition) })),
        })),
      });
      throwFirst([response, ...response.topics.flatMap(({ partitions }) => partitions)]);
    });
  }

  async function deleteGroups(groupIds: readonly string[]): Promise<{ groupId: string; errorCode: number }[]> {
    if (!Array.isArray(groupIds)) throw new KafkaJSNonRetriableError(`Invalid groupIds array ${groupIds}`);
    if (groupIds.some((groupId) => typeof groupId !== 'string')) {
      throw new KafkaJSNonRetriableError(
        `Invalid groupId name: ${shown(groupIds.find((id) => typeof id !== 'string'))}`,
      );
    }
    const deleted: { groupId: string; errorCode: number }[] = [];
    let remaining = groupIds;
    return retrying(async (doubt) => {
      const { results } = await connection.request('DeleteGroups', { groupsNames: remaining });
      const failed = results.flatMap(({ groupId, ...outcome }) => {
        const error = errorOf(outcome);
        if (error !== undefined) return [{ groupId, errorCode: error.code, error }];
        deleted.push({ groupId, errorCode: 0 });
        return [];
      });
      remaining = failed.map(({ groupId }) => groupId); // the others would be unknown by now
      if (failed.length > 0 && failed.every(({ error }) => error.retriable)) throw failed[0]!.error;
      if (failed.length > 0) {
        const groups = failed.map((group) => ({ ...group, error: new KafkaJSProtocolError(group.error, doubt) }));
        throw new KafkaJSDeleteGroupsError('Error in DeleteGroups', groups);
      }
      return deleted;
    });
  }

  async function deleteTopicRecords({ topic, partitions }: Parameters<Admin['deleteTopicRecords']>[0]): Promise<void> {
    if (!topic || typeof topic !== 'string') throw new KafkaJSNonRetriableError(`Invalid topic "${topic}"`);
    if (!partitions || partitions.length === 0) throw new KafkaJSNonRetriableError('Invalid partitions');
    const asked = partitions.map(({ partition, offset }) => ({
      partitionIndex: partitionNumber(partition),
      offset: offsetNumber(offset),
    }));
    const bounds = new Map((await fetchTopicOffsets(topic)).map((entry) => [entry.partition, entry]));
    const outOfRange = asked.flatMap(({ partitionIndex: partition, offset }) => {
      const found = bounds.get(partition);
      const error = deletionError(topic, partition, offset, found);
      if (error !== undefined) return [{ partition, offset: String(offset), error }];
      if (offset >= 0 && offset < Number(found?.low)) {
        const text = 'Nothing to delete: the partition begins behind the offset';
        shell.logger.warn(text, { topic, partition, offset: String(offset), low: found?.low });
      }
      return [];
    });
    if (outOfRange.length > 0) throw new KafkaJSDeleteTopicRecordsError(outOfRange);
    // All there is now: what is written before another attempt is not meant.
    const upTo = asked.map(({ partitionIndex, offset }) => ({
      partitionIndex,
      offset: offset < 0 ? Number(bounds.get(partitionIndex)!.high) : offset,
    }));
    await retrying(async (doubt) => {
      const { topics } = await connection.request('DeleteRecords', {
        timeoutMs: DEFAULT_TIMEOUT_MS,
        topics: [{ name: topic, partitions: upTo }],
      });
      const failed = topics.flatMap((answer) =>
        answer.partitions.flatMap((partition) => {
          const error = errorOf(partition);
          const offset = String(
            asked.find(({ partitionIndex }) => partitionIndex === partition.partitionIndex)?.offset,
          );
          const { partitionIndex } = partition;
          return error === undefined
            ? []
            : [{ partition: partitionIndex, offset, error: new KafkaJSProtocolError(error, doubt) }];
        }),
      );
      if (failed.length > 0) throw new KafkaJSDeleteTopicRecordsError(failed);
    });
  }

  const admin: AdminBody = {
    connect: () => connection.open(),
    disconnect: () => connection.close(),
    async listTopics() {
      const found = await topicMetadata(null);
      return found.map(({ name }) => name);
    },
    createTopics,
    deleteTopics,
    createPartitions,
    fetchTopicMetadata,
    fetchTopicOffsets,
    fetchTopicOffsetsByTimestamp,
    fetchOffsets,
    setOffsets,
    resetOffsets,
    deleteOffsets,
    async describeCluster() {
      const { brokers, controllerId, clusterId, hosts } = await retrying(async () => {
        const response = await connection.request('DescribeCluster', {});
        throwFirst([response]);
        return response;
      });
      return {
        brokers: brokers.map(({ brokerId, host, port }) => ({ nodeId: brokerId, host, port })),
        controller: controllerId < 0 ? null : controllerId,
        clusterId,
        hosts,
      };
    },
    async describeLogs({ topics }: { topics?: readonly string[] } = {}) {
      const asked = !topics
        ? null
        : await Promise.all(topics.map(async (topic) => ({ topic, partitions: await partitionsOf(topic) })));
      const response = await retrying(async () => {
        const answer = await connection.request('DescribeLogDirs', { topics: asked });
        throwFirst([answer]);
        return answer;
      });
      return response.topics.map(({ name, partitions }) => ({
        topic: name,
        partitions: partitions.map(({ partitionIndex, partitionSize, logStartOffset, highWatermark }) => ({
          partition: partitionIndex,
          sizeInBytes: partitionSize,
          logStartOffset: String(logStartOffset),
          highWatermark: String(highWatermark),
        })),
      }));
    },
    async checkLogs(options = {}) {
      const { signal } = options;
      signal?.throwIfAborted();
      const topics = options.topics ?? (await abortable(admin.listTopics(), signal));
      const found = topics.map(async (topic) => ({ topic, partitions: await partitionsOf(topic) }));
      const logs = await abortable(Promise.all(found), signal);
      const { checkLogs } = await integrityPart();
      return retrying(() => checkLogs(connection, logs, options), signal);
    },
    async *exportPartition(options) {
      assertShape('', options, {});
      assertTopic(options.topic);
      options.signal?.throwIfAborted();
      const offsets = await abortable(fetchTopicOffsets(options.topic), options.signal);
      const bounds = offsets.find(({ partition }) => partition === options.partition);
      if (bounds === undefined) throw unknownPartition(options.topic, options.partition);
      const { exportPartition } = await integrityPart();
      const numbers = { low: Number(bounds.low), high: Number(bounds.high) };
      yield* exportPartition(connection, numbers, options);
    },
    async importPartition(options) {
      assertTopic(options.topic);
      const { importPartition } = await integrityPart();
      try {
        return await importPartition(connection, options);
      } catch (error) {
        throw toKafkaJSError(error);
      }
    },
    async listGroups() {
      const { groups } = await retrying(async () => {
        const response = await connection.request('ListGroups', { statesFilter: [] });
        throwFirst([response]);
        return response;
      });
      return {
        groups: groups.map(({ groupId, protocolType, groupState }) => ({ groupId, protocolType, state: groupState })),
      };
    },
    async describeGroups(groupIds) {
      if (!Array.isArray(groupIds)) throw new KafkaJSNonRetriableError(`Invalid groupIds array ${groupIds}`);
      return { groups: await retrying(() => describeGroups(connection, groupIds)) };
    },
    deleteGroups,
    deleteTopicRecords,
    async describeConfigs({ resources, includeSynonyms = false }) {
      assertResources(resources);
      for (const resource of resources) {
        const { configNames } = resource;
        if (configNames === undefined || configNames === null || Array.isArray(configNames)) continue;
        throw new KafkaJSNonRetriableError(`Invalid resource configNames ${configNames}: ${shown(resource)}`);
      }
      const response = await retrying(async () => {
        const answer = await connection.request('DescribeConfigs', {
          includeSynonyms,
          resources: resources.map(({ type, name, configNames }) => ({
            resourceType: type,
            resourceName: name,
            configurationKeys: configNames?.length ? configNames : null, // as in KafkaJS, none is all
          })),
        });
        throwFirst(answer.results);
        return answer;
      });
      return {
        resources: response.results.map(({ configs, ...resource }) => ({
          ...resource,
          configEntries: configs.map(({ name, value, synonyms, ...entry }) => ({
            ...entry,
            configName: name,
            configValue: value,
            configSynonyms: synonyms.map((synonym) => ({
              configName: synonym.name,
              configValue: synonym.value,
              configSource: synonym.source,
            })),
          })),
        })),
        throttleTime: 0,
      };
    },
    async alterConfigs({ resources, validateOnly = false }) {
      assertResources(resources);
      assertConfigEntries(resources);
      const response = await retrying(async () => {
        const answer = await connection.request('AlterConfigs', {
          validateOnly,
          resources: resources.map(({ type, name, configEntries }) => ({
            resourceType: type,
            resourceName: name,
            configs: configEntries.map((entry) => ({ name: entry.name, value: entry.value })),
          })),
        });
        throwFirst(answer.responses);
        return answer;
      });
      return { resources: response.responses, throttleTime: 0 };
    },
  };
  return withShapes(admin);
}

/** How far arguments have to be what they should for the methods to walk through them; the rest they look at themselves. */
const SHAPES: { readonly [N in keyof AdminBody]?: Shape } = {
  createTopics: { 'topics!': [{ replicaAssignment: [{ replicas: [0] }] }] },
  deleteTopics: {},
  createPartitions: { topicPartitions: [{ assignments: [[0]] }] },
  fetchTopicMetadata: { topics: [0] },
  fetchOffsets: {},
  setOffsets: { partitions: [{}] },
  resetOffsets: { topic: '' },
  deleteOffsets: { 'topics!': [{ topic: '', 'partitions!': [0] }] },
  describeLogs: { topics: [''] },
  checkLogs: { topics: [''] },
  importPartition: { 'segments!': [{}] },
  deleteTopicRecords: { partitions: [{}] },
  describeConfigs: { 'resources!': [{}] },
  alterConfigs: { 'resources!': [{}] },
};

function withShapes(admin: AdminBody): AdminBody {
  const checked = Object.entries(SHAPES).map(([name, shape]) => {
    const method = admin[name as keyof AdminBody] as (argument?: unknown) => unknown;
    return [
      name,
      async (...[argument]: unknown[]) => {
        // Absent where that is allowed, else the method misses what it needs.
        assertShape('', argument ?? {}, shape);
        return method(argument ?? {});
      },
    ];
  });
  return { ...admin, ...Object.fromEntries(checked) };
}

/** Asked for seldom, and as large as the rest of an admin. */
function integrityPart(): Promise<typeof import('./integrity.js')> {
  return import('./integrity.js').catch((cause: unknown) => {
    throw new KafkaJSNonRetriableError(`A part of the client could not be loaded: ${cause}`, { cause });
  });
}

/** Said by the broker as passing, but asked often enough. */
class KafkaJSNonRetriableProtocolError extends KafkaJSProtocolError {
  override readonly retriable: boolean = false;
}

/** What a broker says without an error text is said in full. */
function throwFirst(outcomes: readonly Failure[]): void {
  for (const outcome of outcomes) {
    const error = errorOf(outcome);
    if (error !== undefined) throw error;
  }
}

/** The first error, and what it says of all parts that failed: the others are done. */
function throwAll(outcomes: readonly Failure[]): void {
  const failed = outcomes.flatMap((outcome) => errorOf(outcome) ?? []);
  if (failed[0] !== undefined) throw new KafkaError(failed[0].type, failed.map(({ message }) => message).join('; '));
}

function newTopic({
  topic,
  numPartitions = -1,
  replicationFactor = -1,
  replicaAssignment = [],
  configEntries,
}: ITopicConfig): {
  name: string;
  numPartitions: number;
  replicationFactor: number;
  assignments: { partitionIndex: number; brokerIds: readonly number[] }[];
  configs: { name: string; value: string }[];
} {
  return {
    name: topic,
    numPartitions,
    replicationFactor,
    assignments: replicaAssignment.map(({ partition, replicas }) => ({
      partitionIndex: partition,
      brokerIds: replicas,
    })),
    configs: configEntries?.map(({ name, value }) => ({ name, value })) ?? [],
  };
}

function assertTopicConfigs(topics: readonly ITopicConfig[]): void {
  assertTopicNames(topics, 'Invalid topics array');
  for (const { topic, configEntries, numPartitions } of topics) {
    if (numPartitions !== undefined && (!Number.isInteger(numPartitions) || numPartitions > MAX_INT32)) {
      const text = `topic ${topic}: expected a whole number of partitions, found ${numPartitions}`;
      throw new KafkaJSProtocolError(new KafkaError('INVALID_PARTITIONS', text));
    }
    if (configEntries === undefined || configEntries === null) continue;
    if (!Array.isArray(configEntries)) {
      throw new KafkaJSNonRetriableError(`Invalid configEntries for topic "${topic}", must be an array`);
    }
    configEntries.forEach((entry: unknown, index) => {
      if (typeof entry !== 'object' || entry === null) {
        throw new KafkaJSNonRetriableError(
          `Invalid configEntries for topic "${topic}". Entry ${index} must be an object`,
        );
      }
      for (const field of ['name', 'value'] as const) {
        if (typeof (entry as Record<string, unknown>)[field] === 'string') continue;
        throw new KafkaJSNonRetriableError(
          `Invalid configEntries for topic "${topic}". Entry ${index} must have a valid "${field}" property`,
        );
      }
    });
  }
}

function assertTopicNames(topics: readonly { readonly topic: string }[], intro: string): void {
  if (topics.some(({ topic }) => typeof topic !== 'string')) {
    throw new KafkaJSNonRetriableError(`${intro}, the topic names have to be a valid string`);
  }
  if (new Set(topics.map(({ topic }) => topic)).size < topics.length) {
    throw new KafkaJSNonRetriableError(`${intro}, it cannot have multiple entries for the same topic`);
  }
}

function assertTopic(topic: string): void {
  if (!topic || typeof topic !== 'string') throw new KafkaJSNonRetriableError(`Invalid topic ${topic}`);
}

function assertGroupId(groupId: string): void {
  if (!groupId || typeof groupId !== 'string') throw new KafkaJSNonRetriableError(`Invalid groupId ${groupId}`);
}

function assertResources(resources: readonly (ResourceConfigQuery | IResourceConfig)[]): void {
  if (resources.length === 0) throw new KafkaJSNonRetriableError('Resources array cannot be empty');
  const types: readonly number[] = Object.values(ConfigResourceTypes);
  for (const resource of resources) {
    if (types.includes(resource.type)) continue;
    throw new KafkaJSNonRetriableError(`Invalid resource type ${resource.type}: ${shown(resource)}`);
  }
  for (const resource of resources) {
    if (resource.name && typeof resource.name === 'string') continue;
    throw new KafkaJSNonRetriableError(`Invalid resource name ${resource.name}: ${shown(resource)}`);
  }
}

function assertConfigEntries(resources: readonly IResourceConfig[]): void {
  for (const resource of resources) {
    const { configEntries } = resource;
    if (!Array.isArray(configEntries)) {
      throw new KafkaJSNonRetriableError(`Invalid resource configEntries ${configEntries}: ${shown(resource)}`);
    }
    if (configEntries.some((entry) => typeof entry?.name !== 'string' || typeof entry.value !== 'string')) {
      throw new KafkaJSNonRetriableError(`Invalid resource config value: ${shown(resource)}`);
    }
  }
}

function unknownPartition(topic: string, partition: number): KafkaJSProtocolError {
  const text = `topic ${topic} has no partition ${partition}`;
  return new KafkaJSNonRetriableProtocolError(new KafkaError('UNKNOWN_TOPIC_OR_PARTITION', text));
}

/** -1 is "all there is"; what is gone already can be deleted once more. */
function deletionError(
  topic: string,
  partition: number,
  offset: number,
  bounds: { high: string; low: string } | undefined,
): KafkaJSProtocolError | undefined {
  if (bounds === undefined) return unknownPartition(topic, partition);
  if (offset >= -1 && offset <= Number(bounds.high)) return undefined;
  const text = `offset ${offset} of ${topic}-${partition}: expected 0 to ${bounds.high}, or -1 for all`;
  return new KafkaJSProtocolError(new KafkaError('OFFSET_OUT_OF_RANGE', text));
}
