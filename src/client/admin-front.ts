import type { Admin, AdminConfig } from './api/admin.js';
import { ADMIN_EVENTS } from './api/events.js';
import { assertNumbers } from './assert-numbers.js';
import { ASYNC_DISPOSE } from './async-dispose.js';
import type { ClientContext } from './client-context.js';
import { clientShell, connecting, ending, forwarding, LazyPart } from './client-front.js';

/** An admin whose code is loaded when it is first used. */
export function adminFront(context: ClientContext, config: AdminConfig): Admin {
  assertNumbers({ ...config.retry });
  const shell = clientShell(context, { name: 'Admin', client: 'admin', events: ADMIN_EVENTS });
  const disconnect = (): Promise<void> => ending(part, (body) => body.disconnect());
  const make = async () => (await context.parts.admin()).makeAdmin(context, shell, config);
  const part = new LazyPart(make, context.track(disconnect));
  return {
    connect: connecting(part, context.shared),
    ...forwarding(part, [
      'listTopics',
      'createTopics',
      'deleteTopics',
      'createPartitions',
      'fetchTopicMetadata',
      'fetchTopicOffsets',
      'fetchTopicOffsetsByTimestamp',
      'fetchOffsets',
      'setOffsets',
      'resetOffsets',
      'deleteOffsets',
      'describeCluster',
      'describeLogs',
      'checkLogs',
      'importPartition',
      'listGroups',
      'describeGroups',
      'deleteGroups',
      'deleteTopicRecords',
      'describeConfigs',
      'alterConfigs',
    ]),
    async *exportPartition(options) {
      yield* (await part.load()).exportPartition(options);
    },
    disconnect,
    ...shell.api,
    [ASYNC_DISPOSE]: disconnect,
  };
}
