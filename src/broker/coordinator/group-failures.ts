import type { ErrorFields } from '../../protocol/errors.js';
import type { ApiName, Requests, Responses } from '../../protocol/requests.js';

/** The APIs that the group coordinator answers. */
export type GroupApi = Extract<
  ApiName,
  | 'JoinGroup'
  | 'SyncGroup'
  | 'Heartbeat'
  | 'LeaveGroup'
  | 'OffsetCommit'
  | 'OffsetFetch'
  | 'OffsetDelete'
  | 'ListGroups'
  | 'DescribeGroups'
  | 'DeleteGroups'
>;

type Failures = { readonly [A in GroupApi]: (request: Requests[A], error: ErrorFields) => Responses[A] };

/** The response that says of a whole request that it failed, wherever the API has room for that. */
export const FAILED_RESPONSE: Failures = {
  JoinGroup: ({ memberId }, error) => {
    return { ...error, generationId: -1, protocolType: null, protocolName: null, leader: '', memberId, members: [] };
  },
  SyncGroup: (_, error) => ({ ...error, assignment: new Uint8Array() }),
  Heartbeat: (_, error) => error,
  LeaveGroup: (_, error) => ({ ...error, members: [] }),
  OffsetCommit: ({ topics }, error) => ({
    topics: topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, ...error })),
    })),
  }),
  OffsetFetch: (_, error) => ({ ...error, topics: [] }),
  OffsetDelete: (_, error) => ({ ...error, topics: [] }),
  ListGroups: (_, error) => ({ ...error, groups: [] }),
  DescribeGroups: ({ groups }, error) => ({
    groups: groups.map((groupId) => {
      return { ...error, groupId, groupState: 'Dead', protocolType: '', protocolData: '', members: [] };
    }),
  }),
  DeleteGroups: ({ groupsNames }, error) => ({ results: groupsNames.map((groupId) => ({ groupId, ...error })) }),
};
