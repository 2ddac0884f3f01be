import { expect, test } from 'vitest';
import { kafkaOn, logLevel } from '../../src/index.js';
import { KafkaError } from '../../src/protocol/errors.js';
import { countingRuntime } from '../../src/runtime/counting-runtime.js';
import { inProcessRuntime } from '../../src/runtime/node-runtime.js';
import { InProcessCluster } from '../../src/testing/index.js';
import { deferred } from '../../src/util/signal.js';

test('a client that was used and closed leaves no timer, lock or channel', async () => {
  const { runtime, open } = countingRuntime(inProcessRuntime());
  const cluster = new InProcessCluster({ runtime, brokerConfig: { 'group.initial.rebalance.delay.ms': '0' } });
  const kafka = new cluster.Kafka({ logLevel: logLevel.NOTHING });
  const producer = kafka.producer({ linger: 5 });
  await producer.connect();
  await producer.send({ topic: 't', messages: [{ value: '1' }] });
  const consumer = kafka.consumer({ groupId: 'g' });
  await consumer.subscribe({ topic: 't', fromBeginning: true });
  const received = deferred();
  await consumer.run({ eachMessage: async () => received.resolve() });
  await received.promise;
  await kafka.admin().listTopics();
  expect(open().timers).toBeGreaterThan(0);
  await kafka.close();
  await cluster.close();
  await Promise.resolve();
  expect(open()).toEqual({ timers: 0, locks: 0, channels: 0 });
});

test('a client may be used again after it was disconnected', async () => {
  await using cluster = new InProcessCluster();
  const kafka = new cluster.Kafka({ logLevel: logLevel.NOTHING });
  const producer = kafka.producer();
  for (const expected of ['0', '1']) {
    await producer.connect();
    const [result] = await producer.send({ topic: 't', messages: [{ value: 'v' }] });
    expect(result!.baseOffset).toBe(expected);
    await producer.disconnect();
  }
  await kafka.close();
});

test('a client that is disconnected while it connects holds nothing afterwards', async () => {
  const { runtime, open } = countingRuntime(inProcessRuntime());
  const cluster = new InProcessCluster({ runtime });
  const kafka = new cluster.Kafka({ logLevel: logLevel.NOTHING });
  for (const client of [kafka.admin(), kafka.consumer(), kafka.producer()]) {
    const connecting = client.connect();
    await client.disconnect();
    await connecting;
    await Promise.resolve();
    expect(open()).toEqual({ timers: 0, locks: 0, channels: 0 });
  }
  await cluster.close();
});

test('a producer that cannot connect holds nothing afterwards, whenever it tries', async () => {
  const { runtime, open } = countingRuntime(inProcessRuntime());
  let closeCount = 0;
  const send = async (): Promise<never> => {
    throw new KafkaError('INVALID_REQUEST', 'no ids');
  };
  const Kafka = kafkaOn({ runtime, connect: () => ({ send, close: async () => void closeCount++ }) });
  const producer = new Kafka({ logLevel: logLevel.NOTHING }).producer();
  for (const attempt of [1, 2]) {
    await expect(producer.connect()).rejects.toThrow('no ids');
    expect([open().timers, closeCount]).toEqual([0, attempt]);
  }
});

test('an attempt that waits for its turn ends when its client is disconnected', async () => {
  const { runtime, open } = countingRuntime(inProcessRuntime());
  const refused = deferred();
  const send = async (): Promise<never> => {
    refused.resolve();
    throw new KafkaError('LEADER_NOT_AVAILABLE', 'nobody leads');
  };
  const channel = { send, close: async () => {} };
  const Kafka = kafkaOn({ runtime, connect: () => channel });
  const consumer = new Kafka({ logLevel: logLevel.NOTHING }).consumer({ groupId: 'g' });
  const subscribing = consumer.subscribe({ topic: 't' });
  subscribing.catch(() => {});
  await refused.promise;
  await Promise.resolve();
  await consumer.disconnect();
  await expect(subscribing).rejects.toThrow();
  expect(open().timers).toBe(0);
});
