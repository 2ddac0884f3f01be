import { errorName } from '../protocol/errors.js';
import type { GroupDescription } from './api/consumer.js';
import type { Connection } from './connection.js';

/** Groups in KafkaJS's form. A group that does not exist is `Dead`, as in Kafka. */
export async function describeGroups(connection: Connection, groupIds: readonly string[]): Promise<GroupDescription[]> {
  const { groups } = await connection.request('DescribeGroups', { groups: groupIds });
  return groups.map(({ groupId, groupState, protocolType, protocolData, errorCode, members }) => ({
    errorCode: errorName(errorCode) === 'GROUP_ID_NOT_FOUND' ? 0 : errorCode,
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
