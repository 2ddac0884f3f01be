import { expect, test } from 'vitest';
import { type ClientPlatform, kafkaOn, logLevel, type Producer } from '../../src/index.js';
import type { ProduceRequest } from '../../src/protocol/requests.js';
import { readBatchHeader } from '../../src/record/batch-header.js';
import { InProcessCluster } from '../../src/testing/index.js';

interface SentBatch {
  readonly recordCount: number;
  readonly size: number;
  readonly buffer: ArrayBufferLike;
  /** As it was sent: the broker takes the memory. */
  readonly bufferSize: number;
}

/** A producer with a first record acknowledged in each partition, and the batches of each Produce request from then on. */
async function watched(
  cluster: InProcessCluster,
  { partitions = 1, batchSize }: { partitions?: number; batchSize?: number },
): Promise<{ producer: Producer; requests: SentBatch[][] }> {
  const requests: SentBatch[][] = [];
  const connect: ClientPlatform['connect'] = async () => {
    const { send, close } = await cluster.connect();
    return {
      send: (api, request, options) => {
        if (api === 'Produce') requests.push(batchesOf(request as ProduceRequest));
        return send(api, request, options);
      },
      close,
    };
  };
  const kafka = new (kafkaOn({ runtime: cluster.runtime, connect }))({ logLevel: logLevel.NOTHING });
  await using admin = kafka.admin();
  await admin.createTopics({ topics: [{ topic: 't', numPartitions: partitions }] });
  const producer = kafka.producer(batchSize === undefined ? {} : { batchSize });
  await producer.connect();
  await producer.send({ topic: 't', messages: Array.from({ length: partitions }, (_, partition) => of(1, partition)) });
  requests.length = 0;
  return { producer, requests };
}

function batchesOf({ topicData }: ProduceRequest): SentBatch[] {
  return topicData.flatMap(({ partitionData }) =>
    partitionData.map(({ records }) => ({
      recordCount: readBatchHeader(records).recordCount,
      size: records.byteLength,
      buffer: records.buffer,
      bufferSize: records.buffer.byteLength,
    })),
  );
}

function of(size: number, partition = 0): { value: string; partition: number } {
  return { value: 'x'.repeat(size), partition };
}

test('where nothing is out a full batch goes at once, and what is begun waits for company', async () => {
  await using cluster = new InProcessCluster();
  const { producer, requests } = await watched(cluster, { batchSize: 10_000 });
  const sends = Array.from({ length: 12 }, () => producer.send({ topic: 't', messages: [of(1000)] }));
  const offsets = (await Promise.all(sends)).map(([answer]) => answer?.baseOffset);
  expect(requests.map((batches) => batches.map(({ recordCount }) => recordCount))).toEqual([[9], [3]]);
  expect(offsets).toEqual(Array.from({ length: 12 }, (_, i) => String(i + 1)));
  await producer.disconnect();
});

test('batches that are not full go together, and the small ones in one buffer', async () => {
  await using cluster = new InProcessCluster();
  const { producer, requests } = await watched(cluster, { partitions: 4 });
  const messages = [of(100, 0), of(200, 1), of(20_000, 2), of(300, 3)];
  await producer.send({ topic: 't', messages });
  expect(requests).toHaveLength(1);
  const [first, second, large, third] = requests[0] as [SentBatch, SentBatch, SentBatch, SentBatch];
  expect(new Set([first.buffer, second.buffer, third.buffer]).size).toBe(1);
  expect(first.bufferSize).toBe(first.size + second.size + third.size);
  expect(large.buffer).not.toBe(first.buffer);
  expect(large.bufferSize).toBe(large.size);
  await producer.disconnect();
});
