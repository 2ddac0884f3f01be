import type { ConsumedMessage, Kafka } from '../../src/index.js';

/**
 * Reads a topic once, from its beginning to where it ended at the time of the call. Every record comes exactly once,
 * in offset order within its partition. Returns how many there were.
 */
export async function scan(
  kafka: Kafka,
  topic: string,
  onRecord: (record: Pick<ConsumedMessage, 'partition' | 'offset' | 'key' | 'value' | 'headers'>) => void,
): Promise<number> {
  const left = await unreadPartitions(kafka, topic);
  if (left.size === 0) return 0;
  let count = 0;
  const consumer = kafka.consumer();
  try {
    await consumer.connect();
    await consumer.assign([...left.keys()].map((partition) => ({ topic, partition, offset: '-2' })));
    await new Promise<void>((resolve, reject) => {
      consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error));
      consumer
        .run({
          eachBatch: ({ batch }) => {
            const end = left.get(batch.partition);
            if (end === undefined) return;
            for (const message of batch.messages) {
              if (Number(message.offset) >= end) break;
              onRecord({ ...pick(message), partition: batch.partition });
              count++;
            }
            if (Number(batch.lastOffset()) + 1 >= end) left.delete(batch.partition);
            if (left.size === 0) resolve();
          },
        })
        .catch(reject);
    });
  } finally {
    await consumer.disconnect();
  }
  return count;
}

/** End offsets of the partitions that hold anything. */
async function unreadPartitions(kafka: Kafka, topic: string): Promise<Map<number, number>> {
  const admin = kafka.admin();
  try {
    const offsets = await admin.fetchTopicOffsets(topic);
    const filled = offsets.filter(({ low, high }) => low !== high);
    return new Map(filled.map(({ partition, high }) => [partition, Number(high)]));
  } finally {
    await admin.disconnect();
  }
}

function pick(message: ConsumedMessage | Omit<ConsumedMessage, 'topic' | 'partition'>) {
  const { offset, key, value, headers } = message;
  return { offset, key, value, headers };
}
