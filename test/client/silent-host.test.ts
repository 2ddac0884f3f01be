import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Consumer, type Kafka, type KafkaConfig, kafkaOn, logLevel } from '../../src/index.js';
import type { RequestChannel } from '../../src/protocol/request-channel.js';
import type { ApiName } from '../../src/protocol/requests.js';
import { InProcessCluster } from '../../src/testing/index.js';
import { deferred } from '../../src/util/signal.js';
import { SkippingClock } from './skipping-clock.js';

// Goal: a client that closes says the last that it has to say, and does not wait long for a host that has fallen silent.
// Method: requests that are never answered, or late, and a clock that skips over waits.

const VALUES = ['a', 'b', 'c'];
/** What the test itself may take of it. */
const SLACK_MS = 1_000;

let cluster: InProcessCluster;
let clock: SkippingClock;
/** Which requests are never answered. */
let isLost: (api: ApiName) => boolean;
/** How long a host takes to start, by the clock of the client. */
let startMs: number;
/** Channels that are open. */
let channels: number;
/** How long an answer takes, by the clock of the client. */
let answerMs: (api: ApiName) => number;

beforeEach(() => {
  cluster = new InProcessCluster({
    brokerConfig: { 'num.partitions': '1', 'group.initial.rebalance.delay.ms': '0' },
  });
  clock = new SkippingClock(cluster.runtime.clock);
  isLost = () => false;
  answerMs = () => 0;
  startMs = 0;
  channels = 0;
});

afterEach(() => cluster.close());

function open(config: KafkaConfig = {}): Kafka {
  const Client = kafkaOn({
    runtime: { ...cluster.runtime, clock },
    async connect() {
      if (startMs > 0) await clock.sleep(startMs);
      const channel = await cluster.connect();
      channels++;
      const send: RequestChannel['send'] = async (api, request, options) => {
        if (isLost(api)) return new Promise<never>(() => {});
        const response = await channel.send(api, request, options);
        if (answerMs(api) > 0) await clock.sleep(answerMs(api));
        return response;
      };
      const close = (): Promise<void> => {
        channels--;
        return channel.close();
      };
      return { send, close };
    },
  });
  return new Client({ logLevel: logLevel.NOTHING, ...config });
}

test.each([
  ['by default', {}, 10_000],
  ['without request timeouts', { enforceRequestTimeout: false }, 10_000],
  ['with a short request timeout', { requestTimeout: 2_000 }, 2_000],
])('a producer fails what is pending, and is gone, after ten seconds of silence (%s)', async (_, config, limitMs) => {
  const producer = open(config).producer();
  await producer.connect();
  await producer.send({ topic: 'orders', messages: [{ value: 'first' }] });
  isLost = () => true;
  const sends = VALUES.map((value) => producer.send({ topic: 'orders', messages: [{ value }] }));
  const failures = Promise.allSettled(sends);
  expect(await clock.elapsed(producer.disconnect())).toBeLessThan(limitMs + SLACK_MS);
  for (const failure of await failures) {
    expect(failure).toMatchObject({ status: 'rejected', reason: { name: 'KafkaJSConnectionError' } });
  }
});

test('a producer that is still answered sends all that is pending, however long that takes', async () => {
  const kafka = open();
  const producer = kafka.producer({ batchSize: 1000 });
  await producer.connect();
  await producer.send({ topic: 'orders', messages: [{ value: 'first' }] });
  answerMs = (api) => (api === 'Produce' ? 8_000 : 0);
  const value = 'x'.repeat(1000);
  const sends = Array.from({ length: 600 }, () => producer.send({ topic: 'orders', messages: [{ value }] }));
  expect(await clock.elapsed(producer.disconnect())).toBeGreaterThan(30_000);
  const offsets = (await Promise.all(sends)).map(([answer]) => answer?.baseOffset);
  expect(offsets).toEqual(sends.map((_, i) => String(i + 1)));
});

// Goal: Kafka's delivery.timeout.ms: a send settles within it, wherever it waits, and what has failed for sure is not stored after
// all. Method: a host that does not answer what sends wait for, and answers again once they have failed.
describe('a send fails when its time is over', () => {
  /** For an answer that says more. */
  const GRACE_MS = 1_500;
  const TIMEOUT = { type: 'REQUEST_TIMED_OUT' };
  const messages = [{ value: 'x'.repeat(2000), partition: 0 }];

  test.each([true, false])(
    'while it is out, behind others, and waiting for room (request timeouts: %s)',
    async (enforceRequestTimeout) => {
      const kafka = open({ enforceRequestTimeout });
      const producer = kafka.producer({ deliveryTimeout: 3_000, bufferMemory: 6_000, batchSize: 1_500 });
      const send = () => producer.send({ topic: 'orders', messages });
      await send();
      isLost = (api) => api === 'Produce';
      const sends = Array.from({ length: 20 }, send);
      const settled = Promise.allSettled(sends);
      expect(await clock.elapsed(settled)).toBeLessThan(3_000 + GRACE_MS + SLACK_MS);
      const outcomes = (await settled).map((outcome) => (outcome as PromiseRejectedResult).reason);
      expect(outcomes).toMatchObject(outcomes.map(() => TIMEOUT));
      const unknown = outcomes.filter(({ outcomeUnknown }) => outcomeUnknown).length;
      expect([unknown > 0, unknown < 20]).toEqual([true, true]);
      isLost = () => false;
      await clock.skip(60_000);
      await using admin = kafka.admin();
      expect(await admin.fetchTopicOffsets('orders')).toMatchObject([{ high: '1' }]);
      if (!enforceRequestTimeout) return; // what is out for ever holds its partition up
      const [next] = await send();
      expect(next?.baseOffset).toBe('1');
    },
  );

  test('while it waits for the partitions of its topic', async () => {
    const producer = open().producer({ deliveryTimeout: 3_000 });
    await producer.connect();
    isLost = (api) => api === 'Metadata';
    const sends = [0, 1].map(() => producer.send({ topic: 'orders', messages }).catch((error: unknown) => error));
    expect(await clock.elapsed(Promise.all(sends))).toBeLessThan(3_000 + SLACK_MS);
    expect(await Promise.all(sends)).toMatchObject([0, 1].map(() => ({ ...TIMEOUT, outcomeUnknown: false })));
    isLost = () => false;
    expect((await producer.send({ topic: 'orders', messages }))[0]?.baseOffset).toBe('0');
  });
});

test('a producer that is disconnected fails what waits for room, too', async () => {
  const producer = open().producer({ bufferMemory: 6_000, batchSize: 1_500 });
  const send = () => producer.send({ topic: 'orders', messages: [{ value: 'x'.repeat(2000) }] });
  await send();
  isLost = (api) => api === 'Produce';
  const settled = Promise.allSettled(Array.from({ length: 20 }, send));
  await clock.elapsed(producer.disconnect());
  expect(await clock.elapsed(settled)).toBe(0);
  const names = (await settled).map((outcome) => (outcome as PromiseRejectedResult).reason.name);
  expect(new Set(names)).toEqual(new Set(['KafkaJSConnectionError']));
});

test('a producer that nobody answers while it connects can be disconnected', async () => {
  const producer = open().producer();
  isLost = () => true;
  const connecting = producer.connect().catch((error: unknown) => error);
  await clock.sleep(1);
  expect(await clock.elapsed(producer.disconnect())).toBeLessThan(10_000 + SLACK_MS);
  expect(await connecting).toMatchObject({ name: 'KafkaJSConnectionError' });
});

test('sends that wait for each other fail with the first, and open nothing again', async () => {
  const producer = open().producer();
  await producer.connect();
  isLost = (api) => api === 'Metadata';
  const sends = VALUES.map((value) => producer.send({ topic: 'orders', messages: [{ value }] }));
  const failures = Promise.allSettled(sends);
  expect(await clock.elapsed(producer.disconnect())).toBeLessThan(10_000 + SLACK_MS);
  expect(await clock.elapsed(failures)).toBe(0);
  for (const failure of await failures) {
    expect(failure).toMatchObject({ status: 'rejected', reason: { name: 'KafkaJSConnectionError' } });
  }
  expect(channels).toBe(0);
});

test('a producer that is disconnected before its host has started does not come alive behind that', async () => {
  const producer = open().producer();
  startMs = 12_000;
  const connecting = producer.connect().catch((error: unknown) => error);
  await clock.sleep(1);
  await clock.elapsed(producer.disconnect());
  expect(await connecting).toMatchObject({ name: 'KafkaJSConnectionError' });
  await clock.skip(60_000);
  expect(channels).toBe(0);
});

test('a consumer in a group does not wait for long to commit and to leave', async () => {
  const kafka = open();
  const { consumer } = await consuming(kafka);
  isLost = () => true;
  expect(await clock.elapsed(consumer.disconnect())).toBeLessThan(15_000 + SLACK_MS);
});

test('what a handler finished long after the stop is committed', async () => {
  const kafka = open();
  const release = deferred();
  const { consumer } = await consuming(kafka, () => release.promise);
  const disconnected = clock.elapsed(consumer.disconnect());
  await clock.skip(40_000);
  release.resolve();
  await disconnected;
  const [offsets] = await kafka.admin().fetchOffsets({ groupId: 'g', topics: ['orders'] });
  expect(offsets?.partitions).toMatchObject([{ partition: 0, offset: '1' }]);
  await kafka.close();
});

test.each<ApiName>(['JoinGroup', 'SyncGroup', 'OffsetFetch', 'ListOffsets', 'Fetch', 'LeaveGroup', 'OffsetCommit'])(
  'a consumer can be disconnected while it waits for the answer to %s',
  async (api) => {
    const kafka = open();
    await kafka.producer().send({ topic: 'orders', messages: VALUES.map((value) => ({ value })) });
    const consumer = kafka.consumer({ groupId: 'g' });
    await consumer.subscribe({ topic: 'orders', fromBeginning: true });
    const asked = deferred();
    isLost = (sent) => {
      if (sent === api) asked.resolve();
      return sent === api;
    };
    const running = consumer.run({ autoCommitThreshold: 1, eachMessage: async () => {} });
    running.catch(() => {});
    if (api !== 'LeaveGroup') await asked.promise;
    else await running;
    isLost = () => true;
    expect(await clock.elapsed(consumer.disconnect())).toBeLessThan(15_000 + SLACK_MS);
  },
);

// Handlers are waited for, one that waits for a commit of its own only as long as a rebalance would wait for it.
test('a handler that waits for a commit does not hold up the end for long', async () => {
  const kafka = open();
  await kafka.producer().send({ topic: 'orders', messages: [{ value: 'a' }] });
  const consumer = kafka.consumer({ groupId: 'g', rebalanceTimeout: 20_000 });
  await consumer.subscribe({ topic: 'orders', fromBeginning: true });
  const asked = deferred();
  await consumer.run({
    eachMessage: async () => {
      isLost = () => true;
      const committed = consumer.commitOffsets([{ topic: 'orders', partition: 0, offset: '1' }]);
      asked.resolve();
      await committed;
    },
  });
  await asked.promise;
  expect(await clock.elapsed(consumer.disconnect())).toBeLessThan(35_000 + SLACK_MS);
});

test('a Kafka closes all its clients within that time', async () => {
  const kafka = open();
  await consuming(kafka);
  const producer = kafka.producer();
  await producer.connect();
  await kafka.admin().listTopics();
  isLost = () => true;
  const send = producer.send({ topic: 'orders', messages: [{ value: 'a' }] }).catch((error: unknown) => error);
  expect(await clock.elapsed(kafka.close())).toBeLessThan(15_000 + SLACK_MS);
  expect(await send).toMatchObject({ name: 'KafkaJSConnectionError' });
});

/** A consumer that is at its first record. */
async function consuming(kafka: Kafka, handled: () => Promise<void> = async () => {}): Promise<{ consumer: Consumer }> {
  await kafka.producer().send({ topic: 'orders', messages: [{ value: 'a' }] });
  const consumer = kafka.consumer({ groupId: 'g' });
  await consumer.subscribe({ topic: 'orders', fromBeginning: true });
  const received = deferred();
  await consumer.run({
    autoCommitInterval: 3_600_000,
    eachMessage: async () => {
      isLost = (api) => api === 'OffsetCommit';
      received.resolve();
      await handled();
      isLost = () => false;
    },
  });
  await received.promise;
  return { consumer };
}

test('a member that asks for its topics before it joins again does not wait for them when it is disconnected', async () => {
  const kafka = open();
  await kafka.admin().createTopics({ topics: [{ topic: 'orders' }] });
  const consumer = kafka.consumer({ groupId: 'g' });
  await consumer.subscribe({ topic: /^orders/ });
  const joined = deferred<string>();
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => joined.resolve(payload.memberId));
  await consumer.run();
  const asked = deferred();
  isLost = (api) => {
    if (api === 'Metadata') asked.resolve();
    return api === 'Metadata';
  };
  const host = await cluster.addHost();
  await host.send('LeaveGroup', {
    groupId: 'g',
    members: [{ memberId: await joined.promise, groupInstanceId: null }],
  });
  await asked.promise;
  expect(await clock.elapsed(consumer.disconnect())).toBeLessThan(10_000 + SLACK_MS);
});
