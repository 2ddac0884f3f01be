import { deleteRecordsBefore } from '../log/log-upkeep.js';
import { errorFields, KafkaError, NO_ERROR } from '../protocol/errors.js';
import type { DeleteRecordsRequest, DeleteRecordsResponse } from '../protocol/requests.js';
import { internal } from './create-topics.js';
import { unknownPartition } from './handle-metadata.js';
import type { ProduceContext } from './handle-produce.js';

/** Moves log starts up; each partition for itself. A log that is only compacted keeps the last record of every key. */
export async function handleDeleteRecords(
  { image, open }: ProduceContext,
  request: DeleteRecordsRequest,
): Promise<DeleteRecordsResponse> {
  const topics = request.topics.map(async ({ name, partitions }) => ({
    name,
    partitions: await Promise.all(
      partitions.map(async ({ partitionIndex, offset }) => {
        try {
          const topic = image().topics.get(name);
          const partition = topic?.partitions[partitionIndex];
          if (topic === undefined || partition === undefined) throw unknownPartition(topic, name, partitionIndex);
          if (topic.isInternal) throw internal(name);
          if (!topic.config.cleanupPolicy.delete) {
            const text = `topic ${name}: expected a cleanup.policy with delete, found compact alone`;
            throw new KafkaError('POLICY_VIOLATION', text);
          }
          const lowWatermark = await deleteRecordsBefore(await open(topic, partition), offset);
          return { partitionIndex, ...NO_ERROR, lowWatermark };
        } catch (error) {
          return { partitionIndex, ...errorFields(error), lowWatermark: -1 };
        }
      }),
    ),
  }));
  return { topics: await Promise.all(topics) };
}
