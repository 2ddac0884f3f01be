import { BROKER_ID } from '../protocol/broker-node.js';
import { type ErrorFields, errorFields, KafkaError, NO_ERROR } from '../protocol/errors.js';
import type { Requests, Responses } from '../protocol/requests.js';
import type { BrokerConfig } from './broker-config.js';
import {
  type Change,
  createTopics,
  DEFAULT,
  internal,
  MAX_PARTITIONS,
  type NewTopic,
  partitionCount,
  partitionRecords,
  repeated,
  type TopicCreation,
  withRepetitions,
} from './create-topics.js';
import { checkTopicConfigs, givenConfigs } from './given-configs.js';
import { unknownTopic } from './handle-metadata.js';
import type { MetadataImage } from './metadata-image.js';
import type { MetadataRecord } from './metadata-records.js';

/** What CreateTopics does. Each topic is created or refused for itself. */
export function createRequestedTopics(
  image: MetadataImage,
  request: Requests['CreateTopics'],
  creation: TopicCreation,
): Change<Responses['CreateTopics']> {
  return createTopics(image, request, creation, checkedCount);
}

/** What DeleteTopics does. The data is deleted afterwards: see `MetadataImage.removedLogs`. */
export function deleteTopics(
  image: MetadataImage,
  request: Requests['DeleteTopics'],
): Change<Responses['DeleteTopics']> {
  const records: MetadataRecord[] = [];
  const responses = withRepetitions(request.topicNames, (name) => name).map(({ item: name, isRepeated }) => {
    return outcome({ name }, () => {
      const topic = image.topics.get(name);
      if (isRepeated) throw repeated(name);
      if (topic === undefined) throw unknownTopic(name);
      if (topic.isInternal) throw internal(name);
      records.push({ type: 'RemoveTopicRecord', topicId: topic.topicId });
    });
  });
  return { records, answer: { responses } };
}

/** What CreatePartitions does: `count` is the new total, which must be greater than the present one. */
export function createPartitions(
  image: MetadataImage,
  request: Requests['CreatePartitions'],
): Change<Responses['CreatePartitions']> {
  const records: MetadataRecord[] = [];
  let nextLog = image.nextLogId;
  const results = withRepetitions(request.topics, ({ name }) => name).map(({ item, isRepeated }) => {
    const { name, count, assignments } = item;
    return outcome({ name }, () => {
      const topic = image.topics.get(name);
      if (isRepeated) throw repeated(name);
      if (topic === undefined) throw unknownTopic(name);
      if (topic.isInternal) throw internal(name);
      const { topicId, partitions } = topic;
      const present = partitions.length;
      if (!Number.isSafeInteger(count) || count <= present || count > MAX_PARTITIONS) {
        const expected = `expected more than its ${present}, at most ${MAX_PARTITIONS}`;
        throw new KafkaError('INVALID_PARTITIONS', `topic ${name}: ${expected} partitions, found ${count}`);
      }
      if (assignments !== null && assignments.length !== count - present) {
        const text = `topic ${name}: expected replicas of ${count - present} new partitions, found ${assignments.length}`;
        throw new KafkaError('INVALID_REPLICA_ASSIGNMENT', text);
      }
      for (const { brokerIds } of assignments ?? []) checkReplicas(name, brokerIds);
      if (request.validateOnly) return;
      records.push(...partitionRecords({ topicId, from: present, to: count, nextLog }));
      nextLog += count - present;
    });
  });
  return { records, answer: { results } };
}

function outcome<T extends object>(item: T, work: () => void): T & ErrorFields {
  try {
    work();
    return { ...item, ...NO_ERROR };
  } catch (error) {
    return { ...item, ...errorFields(error) };
  }
}

/** As `partitionCount`, of a topic that may name its replicas and configs: these are checked. */
function checkedCount(topic: NewTopic, config: BrokerConfig): number {
  const count = topic.assignments.length > 0 ? assignedCount(topic) : partitionCount(topic, config);
  checkTopicConfigs(givenConfigs(topic.configs));
  return count;
}

function assignedCount({ name, numPartitions, replicationFactor, assignments }: NewTopic): number {
  if (numPartitions !== DEFAULT || replicationFactor !== DEFAULT) {
    const text = `topic ${name}: expected assignments, or partitions and replication factor, found both`;
    throw new KafkaError('INVALID_REQUEST', text);
  }
  const ids = assignments.map(({ partitionIndex }) => partitionIndex).sort((a, b) => a - b);
  if (ids.some((id, i) => id !== i)) {
    const text = `topic ${name}: expected assignments of partitions 0 to ${ids.length - 1}, found ${ids.join(', ')}`;
    throw new KafkaError('INVALID_REPLICA_ASSIGNMENT', text);
  }
  for (const { brokerIds } of assignments) checkReplicas(name, brokerIds);
  return ids.length;
}

function checkReplicas(name: string, brokerIds: readonly number[]): void {
  if (brokerIds.length === 1 && brokerIds[0] === BROKER_ID) return;
  const text = `topic ${name}: expected replicas on broker ${BROKER_ID}, the only one, found [${brokerIds.join(', ')}]`;
  throw new KafkaError('INVALID_REPLICA_ASSIGNMENT', text);
}
