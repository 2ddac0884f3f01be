import { expect, test } from 'vitest';
import { kafkaOn } from '../../src/client/kafka.js';
import { STATIC_CLIENT_PARTS } from '../../src/client/static-client-parts.js';
import { type Consumer, type Kafka, logLevel } from '../../src/index.js';
import { errorName } from '../../src/protocol/errors.js';
import type { RequestChannel } from '../../src/protocol/request-channel.js';
import { RecordBatchBuilder } from '../../src/record/record-batch-builder.js';
import { InProcessCluster } from '../../src/testing/index.js';
import { deferred } from '../../src/util/signal.js';
import { finishBatch } from '../record/finish-batch.js';
import { readAll } from './read-all.js';

// Goal: when the site's data is cleared under running clients, the cluster begins anew, and no offset of before is taken
// for a place in the new log. Method: the new log is longer than the old one before the consumer looks again.

const OLD = 5;
const NEW = 20;

test('an assigned consumer goes on at the beginning of what was written since', async () => {
  await withCluster(async (kafka, wipe) => {
    const consumer = kafka.consumer();
    await consumer.assign([{ topic: 'orders', partition: 0, offset: '-2' }]);
    await expectsNewLog(kafka, consumer, wipe);
  });
});

test('a group is joined again, and goes on at the beginning of what was written since', async () => {
  await withCluster(async (kafka, wipe) => {
    const consumer = kafka.consumer({ groupId: 'packing' });
    await consumer.subscribe({ topics: ['orders'], fromBeginning: true });
    await expectsNewLog(kafka, consumer, wipe);
    const [committed] = await kafka.admin().fetchOffsets({ groupId: 'packing', topics: ['orders'] });
    expect(committed?.partitions[0]?.offset).toBe(String(NEW));
  });
});

test('a position that was looked up before the data was cleared, and not used yet, is used no more', async () => {
  await withCluster(async (kafka, wipe, cluster) => {
    await produce(kafka, 'old', OLD);
    await kafka.admin().setOffsets({
      groupId: 'packing',
      topic: 'orders',
      partitions: [{ partition: 0, offset: String(OLD) }],
    });
    let isDue = true;
    const connect = async (): Promise<RequestChannel> => {
      const channel = await cluster.connect();
      const send: RequestChannel['send'] = async (api, request, options) => {
        if (api === 'Fetch' && isDue) {
          isDue = false;
          wipe();
          await produce(kafka, 'new', NEW);
        }
        return channel.send(api, request, options);
      };
      return { send, close: () => channel.close() };
    };
    const Unlucky = kafkaOn({ runtime: cluster.runtime, parts: STATIC_CLIENT_PARTS, connect });
    const unlucky = new Unlucky({ clientId: 'unlucky', logLevel: logLevel.NOTHING });
    const consumer = unlucky.consumer({ groupId: 'packing' });
    await consumer.subscribe({ topics: ['orders'], fromBeginning: true });
    const read: string[] = [];
    for await (const { value, offset } of consumer) {
      read.push(`${value}@${offset}`);
      if (value?.toString() === `new ${NEW - 1}`) break;
    }
    expect(read).toEqual(Array.from({ length: NEW }, (_, i) => `new ${i}@${i}`));
    await unlucky.close();
  });
});

test('a position that was given is fetched from at once, and void if the data is cleared before the answer', async () => {
  await withCluster(async (kafka, wipe, cluster) => {
    await produce(kafka, 'old', OLD);
    const asked: string[] = [];
    const known = deferred();
    const connect = async (): Promise<RequestChannel> => {
      const channel = await cluster.connect();
      const send: RequestChannel['send'] = async (api, request, options) => {
        asked.push(api);
        if (api !== 'Fetch' || asked.length > 1) {
          const answer = await channel.send(api, request, options);
          if (api === 'Metadata') known.resolve();
          return answer;
        }
        await known.promise;
        wipe();
        await produce(kafka, 'new', NEW);
        return channel.send(api, request, options);
      };
      return { send, close: () => channel.close() };
    };
    const Unlucky = kafkaOn({ runtime: cluster.runtime, parts: STATIC_CLIENT_PARTS, connect });
    const unlucky = new Unlucky({ clientId: 'unlucky', logLevel: logLevel.NOTHING });
    const consumer = unlucky.consumer();
    await consumer.assign([{ topic: 'orders', partition: 0, offset: String(OLD) }]);
    const read: string[] = [];
    for await (const { value, offset } of consumer) {
      read.push(`${value}@${offset}`);
      if (value?.toString() === `new ${NEW - 1}`) break;
    }
    expect(read).toEqual(Array.from({ length: NEW }, (_, i) => `new ${i}@${i}`));
    expect(asked.slice(0, 2)).toEqual(['Fetch', 'Metadata']);
    await unlucky.close();
  });
});

test('a batch of a producer of before is not appended under its old sequence, whatever comes first', async () => {
  await withCluster(async (kafka, wipe, cluster) => {
    const producer = kafka.producer();
    await producer.send({ topic: 'orders', messages: [{ value: 'old' }] });
    const channel = await cluster.connect();
    const identity = await channel.send('InitProducerId', {
      transactionalId: null,
      transactionTimeoutMs: 1_000,
      producerId: -1,
      producerEpoch: -1,
    });
    wipe();
    await producer.send({ topic: 'orders', messages: [{ value: 'new' }] });
    const builder = new RecordBatchBuilder();
    builder.append({ key: null, value: 'late', timestampMs: 0 });
    const { producerId, producerEpoch, incarnationId } = identity;
    const records = finishBatch(builder, { producerId, producerEpoch, baseSequence: 7 });
    const topicData = [{ name: 'orders', partitionData: [{ index: 0, records, incarnationId }] }];
    const answer = await channel.send('Produce', { transactionalId: null, acks: -1, timeoutMs: 1_000, topicData });
    expect(errorName(answer.responses[0]?.partitionResponses[0]?.errorCode ?? 0)).toBe('UNKNOWN_PRODUCER_ID');
    expect((await readAll(kafka, 'orders')).map(({ value }) => String(value))).toEqual(['new']);
    await channel.close();
  });
});

async function withCluster(
  body: (kafka: Kafka, wipe: () => void, cluster: InProcessCluster) => Promise<void>,
): Promise<void> {
  const cluster = new InProcessCluster({ brokerConfig: { 'group.initial.rebalance.delay.ms': '0' } });
  const kafka = new cluster.Kafka({ clientId: 'test', logLevel: logLevel.NOTHING });
  await body(kafka, () => cluster.disk.wipe(), cluster);
  await kafka.close();
  await cluster.close();
}

async function expectsNewLog(kafka: Kafka, consumer: Consumer, wipe: () => void): Promise<void> {
  await produce(kafka, 'old', OLD);
  const read: string[] = [];
  const [oldRead, newRead] = [deferred(), deferred()];
  await consumer.run({
    eachMessage: async ({ message }) => {
      read.push(`${message.value}@${message.offset}`);
      if (message.value?.toString() === `old ${OLD - 1}`) oldRead.resolve();
      if (message.value?.toString() === `new ${NEW - 1}`) newRead.resolve();
    },
  });
  await oldRead.promise;
  consumer.pause([{ topic: 'orders' }]);
  wipe();
  await produce(kafka, 'new', NEW);
  consumer.resume([{ topic: 'orders' }]);
  await newRead.promise;
  await consumer.disconnect();
  expect(read.slice(0, OLD)).toEqual(Array.from({ length: OLD }, (_, i) => `old ${i}@${i}`));
  expect(read.slice(OLD)).toEqual(Array.from({ length: NEW }, (_, i) => `new ${i}@${i}`));
}

async function produce(kafka: Kafka, name: string, count: number): Promise<void> {
  const producer = kafka.producer();
  const messages = Array.from({ length: count }, (_, i) => ({ value: `${name} ${i}` }));
  await producer.send({ topic: 'orders', messages });
  await producer.disconnect();
}
