export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

/** `orders-3`, as Kafka writes it; unambiguous, because the number is what follows the last dash. */
export function topicPartitionText({ topic, partition }: TopicPartition): string {
  return `${topic}-${partition}`;
}

export const GROUP_OFFSETS_TOPIC = '__consumer_offsets';

/** Internal topics are Kafka's own: clients read them, only the broker writes. */
export function isInternalTopic(topic: string): boolean {
  return topic === GROUP_OFFSETS_TOPIC || topic === '__transaction_state' || topic === '__share_group_state';
}
