import { KafkaError } from './errors.js';

export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

/** `orders-3`, as Kafka writes it; unambiguous, because the number is what follows the last dash. */
export function topicPartitionText({ topic, partition }: TopicPartition): string {
  return `${topic}-${partition}`;
}

const LEGAL_NAME = /^[a-zA-Z0-9._-]{1,249}$/;

/**
 * Refuses a name that Kafka refuses: empty, `.`, `..`, over 249 characters, or other characters than ASCII
 * letters, digits, `.`, `_` and `-`.
 * @throws KafkaError INVALID_TOPIC_EXCEPTION
 */
export function assertLegalTopicName(topic: string): void {
  if (typeof topic === 'string' && LEGAL_NAME.test(topic) && topic !== '.' && topic !== '..') return;
  throw new KafkaError(
    'INVALID_TOPIC_EXCEPTION',
    `topic name ${JSON.stringify(topic)} is illegal: expected 1 to 249 characters of a-z, A-Z, 0-9, '.', '_' and '-', other than '.' and '..'`,
  );
}

export const GROUP_OFFSETS_TOPIC = '__consumer_offsets';

/** Internal topics are Kafka's own: clients read them, only the broker writes. */
export function isInternalTopic(topic: string): boolean {
  return topic === GROUP_OFFSETS_TOPIC || topic === '__transaction_state' || topic === '__share_group_state';
}
