import { expect, test } from 'vitest';
import { PendingSend } from '../../src/client/producer/pending-send.js';
import {
  type BatchSettings,
  type ClosedBatch,
  NO_IDENTITY,
  type PartitionQueue,
  RecordAccumulator,
} from '../../src/client/producer/record-accumulator.js';
import { type ClientPlatform, kafkaOn, logLevel, type Producer } from '../../src/index.js';
import type { ProduceRequest } from '../../src/protocol/requests.js';
import { readBatchHeader } from '../../src/record/batch-header.js';
import type { RecordBatchBuilder } from '../../src/record/record-batch-builder.js';
import type { ClientRuntime } from '../../src/runtime/runtime.js';
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

const SETTINGS: BatchSettings = { acks: -1, timeoutMs: 1000, compression: 0 };

function of(size: number, partition = 0): { value: string; partition: number } {
  return { value: 'x'.repeat(size), partition };
}

function accumulatorOver(runtime: ClientRuntime): RecordAccumulator {
  return new RecordAccumulator({
    runtime,
    batchSize: 60 * 1024,
    deliveryTimeoutMs: 1000,
    identity: () => NO_IDENTITY,
    onReady: () => {},
    onFailure: () => {},
    encrypt: undefined,
  });
}

function append(accumulator: RecordAccumulator, queue: PartitionQueue, size: number): void {
  const record = { key: null, value: 'x'.repeat(size), timestampMs: 0 };
  accumulator.append(queue, { recordAt: () => record, from: 0, to: 1 }, new PendingSend(), SETTINGS);
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

test('behind a batch that was filled the next one has all its memory at once', () => {
  const { runtime } = new InProcessCluster();
  const accumulator = accumulatorOver(runtime);
  const [queue] = accumulator.queuesOf('t', 1) as [PartitionQueue];
  const capacities = [100, 59_000, 100, 100].map((recordSize) => {
    append(accumulator, queue, recordSize);
    const capacity = queue.open?.builder.capacity;
    accumulator.close(queue);
    return capacity;
  });
  expect(capacities[0]).toBeLessThan(4096);
  expect(capacities[2]).toBe(60 * 1024);
  expect(capacities[3]).toBeLessThan(4096);
});

// Goal: who sends to many partitions again and again makes no memory for it each time, and who has sent much keeps little.
test.each([
  { batches: 64, recordSize: 100, kept: 64 },
  { batches: 12, recordSize: 60_000, kept: 4 },
])('of $batches batches of $recordSize B the memory of $kept serves the next ones', ({ batches, recordSize, kept }) => {
  const { runtime } = new InProcessCluster();
  const done: ClosedBatch[] = [];
  const accumulator = accumulatorOver(runtime);
  const queues = accumulator.queuesOf('t', batches);
  const round = (): Set<RecordBatchBuilder | undefined> => {
    for (const queue of queues) append(accumulator, queue, recordSize);
    accumulator.closeAll();
    for (const { closed } of queues) done.push(...closed.splice(0));
    const builders = new Set(done.map(({ builder }) => builder));
    for (const batch of done.splice(0)) accumulator.release(batch);
    return builders;
  };
  const first = round();
  expect(first.size).toBe(batches);
  expect(first.intersection(round()).size).toBe(kept);
});

// Goal: a batch that is not full does not wait for a pause in what is sent elsewhere. Method: more is always sent to all partitions
// but one than may be on its way, and answers take a while.
test('a record goes soon, whatever is sent to other partitions', async () => {
  await using cluster = new InProcessCluster();
  const busy = 18;
  const most = 150;
  let requests = 0;
  let isSent = false;
  const connect: ClientPlatform['connect'] = async () => {
    const { send, close } = await cluster.connect();
    return {
      async send(api, request, options) {
        const answer = await send(api, request, options);
        if (api !== 'Produce' || requests++ === 0) return answer;
        const { partitionData } = (request as ProduceRequest).topicData[0]!;
        isSent ||= requests >= most || partitionData.some(({ index }) => index === busy);
        await new Promise((resolve) => setTimeout(resolve, 3));
        return answer;
      },
      close,
    };
  };
  await using kafka = new (kafkaOn({ runtime: cluster.runtime, connect }))({ logLevel: logLevel.NOTHING });
  await using admin = kafka.admin();
  await admin.createTopics({ topics: [{ topic: 't', numPartitions: busy + 1 }] });
  const producer = kafka.producer();
  const messages = Array.from({ length: 2 * busy }, (_, i) => of(61_000, i % busy));
  await producer.send({ topic: 't', messages: messages.slice(0, busy) });
  const loop = async (): Promise<void> => {
    while (!isSent) await producer.send({ topic: 't', messages });
  };
  const loops = Array.from({ length: 3 }, loop);
  const sent = producer.send({ topic: 't', messages: [of(1, busy)] });
  await Promise.all([sent, ...loops]);
  expect(requests).toBeLessThan(most);
});
