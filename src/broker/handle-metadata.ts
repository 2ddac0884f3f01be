import { BROKER_ID, BROKER_NODE } from '../protocol/broker-node.js';
import { errorFields, KafkaError, NO_ERROR } from '../protocol/errors.js';
import type { MetadataRequest, MetadataResponse } from '../protocol/requests.js';
import { assertLegalTopicName } from '../protocol/topic-name.js';
import type { TopicImage } from './metadata-image.js';
import type { ReadContext } from './read-context.js';

type TopicMetadata = MetadataResponse['topics'][number];

/**
 * The topics asked for, from the image; creates none (the leader's broker does, see broker.ts). A topic that is not
 * there is UNKNOWN_TOPIC_OR_PARTITION, one that could not be INVALID_TOPIC_EXCEPTION.
 */
export function handleMetadata(
  context: Pick<ReadContext, 'clusterId' | 'image' | 'leaderEpoch'> & {
    readonly store: { readonly incarnationId: string };
  },
  request: MetadataRequest,
): MetadataResponse {
  const { topics, gap } = context.image();
  const leaderEpoch = context.leaderEpoch();
  const described =
    request.topics === null
      ? [...topics.values()].map((topic) => describe(topic, leaderEpoch))
      : [...new Set(request.topics.map(({ name }) => name))].map((name) => {
          const topic = topics.get(name);
          return topic === undefined ? absent(name) : describe(topic, leaderEpoch);
        });
  return {
    clusterId: context.clusterId,
    controllerId: BROKER_ID,
    incarnationId: context.store.incarnationId,
    brokers: [BROKER_NODE],
    topics: described,
    ...(gap?.reason !== 'removed' && { gap }), // of what a repair has taken out, its user was told
  };
}

function describe({ name, topicId, isInternal, partitions }: TopicImage, leaderEpoch: number): TopicMetadata {
  return {
    ...NO_ERROR,
    name,
    topicId,
    isInternal,
    partitions: partitions.map(({ partitionId }) => ({
      ...NO_ERROR,
      partitionIndex: partitionId,
      leaderId: BROKER_ID,
      leaderEpoch,
      replicaNodes: [BROKER_ID],
      isrNodes: [BROKER_ID],
      offlineReplicas: [],
    })),
  };
}

function absent(name: string): TopicMetadata {
  return { ...errorFields(reasonOfAbsence(name)), name, topicId: '', isInternal: false, partitions: [] };
}

export function reasonOfAbsence(name: string): KafkaError {
  try {
    assertLegalTopicName(name);
  } catch (error) {
    if (error instanceof KafkaError) return error;
    throw error;
  }
  return unknownTopic(name);
}

export function unknownTopic(name: string): KafkaError {
  return new KafkaError('UNKNOWN_TOPIC_OR_PARTITION', `topic ${JSON.stringify(name)} does not exist`);
}

/** Says which of the two, topic or partition, is not there. */
export function unknownPartition(topic: TopicImage | undefined, name: string, partition: number): KafkaError {
  if (topic === undefined) return unknownTopic(name);
  const text = `topic ${name} has partitions 0 to ${topic.partitions.length - 1}, found ${partition}`;
  return new KafkaError('UNKNOWN_TOPIC_OR_PARTITION', text);
}
