import { sizeInBytes } from '../log/log-upkeep.js';
import { NO_ERROR } from '../protocol/errors.js';
import type { DescribeLogDirsRequest, DescribeLogDirsResponse } from '../protocol/requests.js';
import type { ProduceContext } from './handle-produce.js';

/** Bytes and bounds of the logs asked for; as in Kafka, what does not exist is left out. */
export async function handleLogDirs(
  { image, open }: ProduceContext,
  request: DescribeLogDirsRequest,
): Promise<DescribeLogDirsResponse> {
  const { topics } = image();
  const wanted = request.topics ?? [...topics.keys()].map((topic) => ({ topic, partitions: undefined }));
  const described = wanted.map(async ({ topic: name, partitions: indexes }) => {
    const topic = topics.get(name);
    const partitions = topic?.partitions.filter(({ partitionId }) => indexes?.includes(partitionId) ?? true) ?? [];
    return {
      name,
      partitions: await Promise.all(
        partitions.map(async (partition) => {
          const log = await open(topic as NonNullable<typeof topic>, partition); // it has this partition
          const { logStartOffset, logEndOffset: highWatermark } = log;
          const { partitionId: partitionIndex } = partition;
          return { partitionIndex, partitionSize: await sizeInBytes(log), logStartOffset, highWatermark };
        }),
      ),
    };
  });
  return { ...NO_ERROR, topics: (await Promise.all(described)).filter(({ partitions }) => partitions.length > 0) };
}
