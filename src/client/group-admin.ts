import { errorOf } from '../protocol/errors.js';
import { EARLIEST_TIMESTAMP, LATEST_TIMESTAMP } from '../protocol/requests.js';
import { offsetNumber, throwFirst } from './admin.js';
import { KafkaJSDeleteGroupsError } from './admin-errors.js';
import type { Admin, FetchOffsetsPartition } from './api/admin.js';
import type { Connection } from './connection.js';
import { describeGroups } from './describe-groups.js';
import { KafkaJSNonRetriableError, KafkaJSProtocolError } from './errors.js';
import { listOffsets } from './list-offsets.js';

/** What an admin lends to its part for groups. */
interface GroupAdminOptions {
  readonly connection: Connection;
  readonly retrying: <T>(attempt: () => Promise<T>) => Promise<T>;
  readonly partitionsOf: (topic: string) => Promise<number[]>;
  readonly offsetsAt: (topic: string, timestamp: number) => Promise<{ partition: number; offset: number }[]>;
}

type GroupAdmin = Pick<
  Admin,
  'fetchOffsets' | 'setOffsets' | 'resetOffsets' | 'deleteOffsets' | 'listGroups' | 'describeGroups' | 'deleteGroups'
>;

/** What of an admin is loaded when it first has to do with groups and their offsets. */
export function groupAdmin({ connection, retrying, partitionsOf, offsetsAt }: GroupAdminOptions): GroupAdmin {
  async function fetchOffsets(
    request: Parameters<Admin['fetchOffsets']>[0],
  ): Promise<{ topic: string; partitions: FetchOffsetsPartition[] }[]> {
    const { groupId, topics, resolveOffsets = false } = request;
    assertGroupId(groupId);
    if (topics !== undefined && !Array.isArray(topics)) {
      throw new KafkaJSNonRetriableError('Expected topics array to be set');
    }
    const asked =
      topics === undefined || topics.length === 0
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

  /** Where a group without a committed offset would begin when it reads from the beginning, as KafkaJS resolves it. */
  async function resolved(
    topic: string,
    partitions: readonly FetchOffsetsPartition[],
  ): Promise<FetchOffsetsPartition[]> {
    if (partitions.every(({ offset }) => offset !== '-1')) return [...partitions];
    const lows = new Map(
      (await offsetsAt(topic, EARLIEST_TIMESTAMP)).map(({ partition, offset }) => [partition, offset]),
    );
    return partitions.map((entry) =>
      entry.offset === '-1' ? { ...entry, offset: String(lows.get(entry.partition)) } : entry,
    );
  }

  async function setOffsets(request: Parameters<Admin['setOffsets']>[0]): Promise<void> {
    const { groupId, topic, partitions } = request;
    assertGroupId(groupId);
    if (!topic) throw new KafkaJSNonRetriableError(`Invalid topic ${topic}`);
    if (!partitions || partitions.length === 0) throw new KafkaJSNonRetriableError('Invalid partitions');
    await assertNotRunning(groupId);
    const ends = partitions.filter(({ offset }) => Number(offset) < 0);
    for (const { offset } of ends) {
      if (Number(offset) < -2) throw new KafkaJSNonRetriableError('Offset must not be a negative number');
    }
    const queries = ends.map(({ partition, offset }) => ({ topic, partition, timestamp: Number(offset) }));
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
              committedOffset: offsetOf.get(partition) ?? offsetNumber(offset),
              committedLeaderEpoch: -1,
              committedMetadata: null,
            })),
          },
        ],
      });
      throwFirst(topics.flatMap((answer) => answer.partitions));
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
          partitions: partitions.map((partitionIndex) => ({ partitionIndex })),
        })),
      });
      throwFirst([response, ...response.topics.flatMap(({ partitions }) => partitions)]);
    });
  }

  async function deleteGroups(groupIds: readonly string[]): Promise<{ groupId: string; errorCode: number }[]> {
    if (!Array.isArray(groupIds)) throw new KafkaJSNonRetriableError(`Invalid groupIds array ${groupIds}`);
    if (groupIds.some((groupId) => typeof groupId !== 'string')) {
      throw new KafkaJSNonRetriableError(
        `Invalid groupId name: ${JSON.stringify(groupIds.find((id) => typeof id !== 'string'))}`,
      );
    }
    const { results } = await retrying(async () => {
      const response = await connection.request('DeleteGroups', { groupsNames: groupIds });
      const errors = response.results.flatMap((result) => errorOf(result) ?? []);
      if (errors.length > 0 && errors.every(({ retriable }) => retriable)) throw errors[0];
      return response;
    });
    const failed = results.flatMap(({ groupId, ...outcome }) => {
      const error = errorOf(outcome);
      return error === undefined ? [] : [{ groupId, errorCode: error.code, error: new KafkaJSProtocolError(error) }];
    });
    if (failed.length > 0) throw new KafkaJSDeleteGroupsError('Error in DeleteGroups', failed);
    return results.map(({ groupId, errorCode }) => ({ groupId, errorCode }));
  }

  return {
    fetchOffsets,
    setOffsets,
    resetOffsets,
    deleteOffsets,
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
  };
}

function assertGroupId(groupId: string): void {
  if (!groupId || typeof groupId !== 'string') throw new KafkaJSNonRetriableError(`Invalid groupId ${groupId}`);
}
