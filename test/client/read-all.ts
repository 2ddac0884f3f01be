import type { ConsumedMessage, Kafka } from '../../src/index.js';

/** All records of a topic, partition after partition, read without a group. */
export async function readAll(kafka: Kafka, topic: string): Promise<ConsumedMessage[]> {
  const admin = kafka.admin();
  const ends = await admin.fetchTopicOffsets(topic);
  await admin.disconnect();
  const messages: ConsumedMessage[] = [];
  for (const { partition, low, high } of ends) {
    let left = Number(high) - Number(low);
    if (left === 0) continue;
    const consumer = kafka.consumer();
    await consumer.assign([{ topic, partition, offset: low }]);
    for await (const message of consumer) {
      messages.push(message);
      left--;
      if (Number(message.offset) === Number(high) - 1) break;
    }
    await consumer.disconnect();
  }
  return messages;
}
