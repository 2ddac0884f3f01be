import { expect, test } from 'vitest';
import { type Consumer, type Kafka, logLevel } from '../../src/index.js';
import { InProcessCluster } from '../../src/testing/index.js';
import { deferred } from '../../src/util/signal.js';

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

async function withCluster(body: (kafka: Kafka, wipe: () => void) => Promise<void>): Promise<void> {
  const cluster = new InProcessCluster({ brokerConfig: { 'group.initial.rebalance.delay.ms': '0' } });
  const kafka = new cluster.Kafka({ clientId: 'test', logLevel: logLevel.NOTHING });
  await body(kafka, () => cluster.disk.wipe());
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
