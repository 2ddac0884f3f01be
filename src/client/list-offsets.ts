import { errorOf } from '../protocol/errors.js';
import type { IsolationLevel, ListOffsetsResponse } from '../protocol/requests.js';
import type { TopicPartition } from '../protocol/topic-partition.js';
import type { Connection } from './connection.js';

export interface OffsetQuery extends TopicPartition {
  /** Milliseconds, or one of Kafka's special timestamps. */
  readonly timestamp: number;
}

export interface FoundOffset extends TopicPartition {
  /** -1 where no record is that young. */
  readonly offset: number;
  readonly timestamp: number;
}

/**
 * Offsets by time, in one request. Partitions that do not exist are left out where that is asked for.
 * @throws KafkaError of the first partition that failed.
 */
export async function listOffsets(
  connection: Connection,
  queries: readonly OffsetQuery[],
  options: {
    readonly isolationLevel: IsolationLevel;
    readonly signal?: AbortSignal | undefined;
    readonly skipsUnknown?: boolean;
  },
): Promise<FoundOffset[]> {
  if (queries.length === 0) return [];
  const topics = new Map<string, { partitionIndex: number; timestamp: number }[]>();
  for (const { topic, partition, timestamp } of queries) {
    const partitions = topics.get(topic) ?? [];
    partitions.push({ partitionIndex: partition, timestamp });
    topics.set(topic, partitions);
  }
  const response: ListOffsetsResponse = await connection.request(
    'ListOffsets',
    {
      isolationLevel: options.isolationLevel,
      topics: Array.from(topics, ([name, partitions]) => ({ name, partitions })),
    },
    { signal: options.signal },
  );
  return response.topics.flatMap(({ name, partitions }) =>
    partitions.flatMap((answer) => {
      const error = errorOf(answer);
      if (error?.type === 'UNKNOWN_TOPIC_OR_PARTITION' && options.skipsUnknown) return [];
      if (error !== undefined) throw error;
      return { topic: name, partition: answer.partitionIndex, offset: answer.offset, timestamp: answer.timestamp };
    }),
  );
}
