import { errorOf } from '../protocol/errors.js';
import type { GroupDescription } from './api/consumer.js';
import type { Connection } from './connection.js';

/**
 * Groups in KafkaJS's form. A group that does not exist is `Dead`, as in Kafka.
 * @throws KafkaError of the first of which the coordinator cannot tell.
 */
export async function describeGroups(connection: Connection, groupIds: readonly string[]): Promise<GroupDescription[]> {
  const { groups } = await connection.request('DescribeGroups', { groups: groupIds });
  for (const group of groups) {
    const error = errorOf(group);
    if (error !== undefined && error.type !== 'GROUP_ID_NOT_FOUND') throw error;
  }
  return groups.map(({ groupId, groupState, protocolType, protocolData, members }) => ({
    errorCode: 0,
    groupId,
    protocol: protocolData,
    protocolType,
    state: groupState,
    members: members.map(({ memberId, clientId, clientHost, memberAssignment, memberMetadata }) => ({
      memberId,
      clientId,
      clientHost,
      memberAssignment,
      memberMetadata,
    })),
  }));
}
