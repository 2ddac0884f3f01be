import type { Requests, Responses } from '../protocol/requests.js';
import { alterConfigs, describeConfigs } from './config-changes.js';
import type { Controller } from './controller.js';
import type { TopicCreation } from './create-topics.js';
import { handleDeleteRecords } from './handle-delete-records.js';
import { handleLogDirs } from './handle-log-dirs.js';
import type { ProduceContext } from './handle-produce.js';
import { createPartitions, createRequestedTopics, deleteTopics } from './topic-changes.js';

/** What people ask of a broker. */
export type AdminApi =
  | 'CreateTopics'
  | 'DeleteRecords'
  | 'DescribeLogDirs'
  | 'CreatePartitions'
  | 'DeleteTopics'
  | 'AlterConfigs'
  | 'DescribeConfigs';

export interface AdminContext {
  readonly partitions: ProduceContext;
  readonly controller: Controller;
  readonly creation: () => TopicCreation;
  readonly staticConfigs: Readonly<Record<string, string>>;
}

type AdminHandlers = { readonly [A in AdminApi]: (request: Requests[A]) => Promise<Responses[A]> };

export function adminHandlers({ partitions, controller, creation, staticConfigs }: AdminContext): AdminHandlers {
  /** What may be answered without a write, which would tell that another leads: a change of nothing asks who does. */
  const asLeader =
    <Q, R>(work: (request: Q) => Promise<R>) =>
    async (request: Q): Promise<R> => {
      await controller.change(() => ({ records: [], answer: undefined }));
      return work(request);
    };
  return {
    CreateTopics: (request) => controller.change((image) => createRequestedTopics(image, request, creation())),
    DeleteRecords: asLeader((request) => handleDeleteRecords(partitions, request)),
    DescribeLogDirs: asLeader((request) => handleLogDirs(partitions, request)),
    CreatePartitions: (request) => controller.change((image) => createPartitions(image, request)),
    DeleteTopics: (request) => controller.change((image) => deleteTopics(image, request)),
    AlterConfigs: (request) => controller.change((image) => alterConfigs(image, request)),
    DescribeConfigs: asLeader(async (request) => describeConfigs(controller.image, staticConfigs, request)),
  };
}
