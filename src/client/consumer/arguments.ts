import type { TopicPartitions } from '../api/consumer.js';
import { KafkaJSNonRetriableError } from '../errors.js';

/** A place in a log: an offset, or one of the two ends, looked up when first needed. */
export type Position = number | 'earliest' | 'latest';

export function notRunning(): KafkaJSNonRetriableError {
  return new KafkaJSNonRetriableError('Consumer group was not initialized, consumer#run must be called first');
}

export function assertTopicPartition(topic: unknown, partition: unknown): void {
  if (!topic || typeof topic !== 'string') throw new KafkaJSNonRetriableError(`Invalid topic ${topic}`);
  partitionNumber(partition);
}

/** Text from a form is one, too, as in KafkaJS. */
export function partitionNumber(partition: unknown): number {
  const number = Number(partition);
  if (partition !== null && Number.isInteger(number) && number >= 0) return number;
  throw new KafkaJSNonRetriableError(`Invalid partition, expected a number received ${partition}`);
}

/** An offset, `-1` the end or `-2` the beginning. */
export function positionOf(offset: unknown): Position {
  const number = offsetNumber(offset);
  if (number === -1) return 'latest';
  if (number === -2) return 'earliest';
  if (number < 0) throw new KafkaJSNonRetriableError('Offset must not be a negative number');
  return number;
}

export function offsetNumber(offset: unknown): number {
  const text = String(offset);
  const number = Number(text);
  if (/^-?\d+$/.test(text) && Number.isSafeInteger(number)) return number;
  throw new KafkaJSNonRetriableError(`Invalid offset, expected a long received ${offset}`);
}

export function assertTopicPartitions(entry: TopicPartitions, pause: boolean): void {
  if (!entry?.topic) throw new KafkaJSNonRetriableError(`Invalid topic ${entry?.topic ?? entry}`);
  const { partitions } = entry;
  if (
    partitions === undefined ||
    (Array.isArray(partitions) && !partitions.some((number) => Number.isNaN(Number(number))))
  )
    return;
  throw new KafkaJSNonRetriableError(
    `Array of valid partitions required to ${pause ? 'pause' : 'resume'} specific partitions instead of ${partitions}`,
  );
}
