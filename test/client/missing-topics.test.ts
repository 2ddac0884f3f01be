import { expect, test } from 'vitest';
import { type Admin, type Consumer, kafkaOn, logLevel } from '../../src/index.js';
import { deferred } from '../../src/util/signal.js';
import { cluster, kafka, useKafka } from './client-cluster.js';

useKafka({ 'auto.create.topics.enable': 'false' });

/** Topics by name, with their partition counts. */
async function create(admin: Admin, counts: Readonly<Record<string, number>>): Promise<void> {
  const topics = Object.entries(counts).map(([topic, numPartitions]) => ({ topic, numPartitions }));
  await admin.createTopics({ topics });
}

/** Resolves when the consumer has joined with so many partitions of each topic, and of no other. */
async function assigned(consumer: Consumer, expected: Readonly<Record<string, number>>): Promise<void> {
  const { promise, resolve } = deferred();
  const look = (): void => {
    const found: Record<string, number> = {};
    for (const { topic } of consumer.assignment()) found[topic] = (found[topic] ?? 0) + 1;
    if (JSON.stringify(found) === JSON.stringify(expected)) resolve();
  };
  const stopLooking = consumer.on(consumer.events.GROUP_JOIN, look);
  look();
  await promise;
  stopLooking();
}

test('a topic that is deleted leaves the assignment of its group, and is back when it is made anew', async () => {
  await using admin = kafka.admin();
  await using producer = kafka.producer();
  await create(admin, { a: 2, b: 3 });
  await using consumer = kafka.consumer({ groupId: 'g', heartbeatInterval: 10 });
  const crashes: Error[] = [];
  consumer.on(consumer.events.CRASH, ({ payload }) => crashes.push(payload.error));
  await consumer.subscribe({ topics: ['a', 'b'], fromBeginning: true });
  const seen = new Map(['b goes on', 'a is back'].map((value) => [value, deferred()]));
  await consumer.run({ eachMessage: ({ message }) => seen.get(String(message.value))?.resolve() });
  await assigned(consumer, { a: 2, b: 3 });

  await admin.deleteTopics({ topics: ['a'] });
  await assigned(consumer, { b: 3 });
  await producer.send({ topic: 'b', messages: [{ value: 'b goes on' }] });
  await seen.get('b goes on')!.promise;

  await admin.deleteTopics({ topics: ['b'] });
  await assigned(consumer, {});
  await create(admin, { a: 1 });
  await assigned(consumer, { a: 1 });
  await producer.send({ topic: 'a', messages: [{ value: 'a is back' }] });
  await seen.get('a is back')!.promise;
  expect(crashes).toEqual([]);
});

test('a member that joins later gets its share of what there is, though one of its topics was deleted', async () => {
  await using admin = kafka.admin();
  await create(admin, { a: 2, b: 2 });
  await using first = kafka.consumer({ groupId: 'g', heartbeatInterval: 10 });
  await using second = kafka.consumer({ groupId: 'g', heartbeatInterval: 10 });
  for (const consumer of [first, second]) await consumer.subscribe({ topics: ['a', 'b'] });
  await first.run();
  await admin.deleteTopics({ topics: ['a'] });
  await second.run();
  await Promise.all([assigned(first, { b: 1 }), assigned(second, { b: 1 })]);
});

test.each([true, false])(
  'a topic that is deleted while a member joins holds up none of the others (fromBeginning: %s)',
  async (fromBeginning) => {
    await using admin = kafka.admin();
    await create(admin, { a: 2, b: 2 });
    const channel = await cluster.connect();
    let wasDeleted = false;
    const send: typeof channel.send = async (api, request, options) => {
      if (api === 'OffsetFetch' && !wasDeleted) {
        wasDeleted = true; // behind its assignment, before it looks where to begin
        await admin.deleteTopics({ topics: ['a'] });
      }
      return channel.send(api, request, options);
    };
    const platform = { runtime: cluster.runtime, connect: async () => ({ send, close: () => channel.close() }) };
    await using other = new (kafkaOn(platform))({ logLevel: logLevel.NOTHING });
    const consumer = other.consumer({ groupId: 'g', heartbeatInterval: 10 });
    const crashes: Error[] = [];
    consumer.on(consumer.events.CRASH, ({ payload }) => crashes.push(payload.error));
    await consumer.subscribe({ topics: ['a', 'b'], fromBeginning });
    const seen = deferred();
    await consumer.run({
      eachMessage: ({ topic, message }) => void (topic === 'a' && String(message.value) === 'new' && seen.resolve()),
    });
    await assigned(consumer, { b: 2 });
    await create(admin, { a: 1 });
    await assigned(consumer, { a: 1, b: 2 });
    await using producer = kafka.producer();
    await producer.send({ topic: 'a', messages: [{ value: 'new' }] });
    await seen.promise;
    expect(crashes).toEqual([]);
  },
);

// The coordinator knows the topics better than whoever commits: to ask again and again took ten seconds of each stop.
test('what was handled of a topic that is gone is not committed again and again, and what was of others is', async () => {
  await using admin = kafka.admin();
  await using producer = kafka.producer();
  await create(admin, { a: 1, b: 1 });
  for (const topic of ['a', 'b']) await producer.send({ topic, messages: [{ value: topic }] });
  const consumer = kafka.consumer({ groupId: 'g', heartbeatInterval: 20_000 }); // hears of topics late
  const crashes: Error[] = [];
  consumer.on(consumer.events.CRASH, ({ payload }) => crashes.push(payload.error));
  let commits = 0;
  consumer.on(consumer.events.REQUEST, ({ payload }) => {
    if (payload.apiName === 'OffsetCommit') commits++;
  });
  await consumer.subscribe({ topics: ['a', 'b'], fromBeginning: true });
  const handled = deferred();
  let count = 0;
  await consumer.run({
    autoCommitInterval: 600_000,
    eachMessage: () => {
      if (++count === 2) handled.resolve();
    },
  });
  await handled.promise;
  await admin.deleteTopics({ topics: ['a'] });
  commits = 0;
  const committing = consumer.commitOffsets([{ topic: 'a', partition: 0, offset: '1' }]);
  await expect(committing).rejects.toMatchObject({ type: 'UNKNOWN_TOPIC_OR_PARTITION' });
  expect(commits).toBeLessThanOrEqual(2); // this one, and that of what was handled
  await consumer.disconnect();
  expect(commits).toBeLessThanOrEqual(4); // once more where the group shares out anew, once at the end
  expect(crashes).toEqual([]);
  const [b] = await admin.fetchOffsets({ groupId: 'g', topics: ['b'] });
  expect(b?.partitions).toMatchObject([{ offset: '1' }]);
});

test('an automatic commit for a topic that is gone lets the consumer go on', async () => {
  await using admin = kafka.admin();
  await using producer = kafka.producer();
  await create(admin, { a: 1, b: 1 });
  await producer.send({ topic: 'a', messages: [{ value: 'a' }] });
  await using consumer = kafka.consumer({ groupId: 'g', heartbeatInterval: 20_000 }); // hears of topics with the commit
  const crashes: Error[] = [];
  consumer.on(consumer.events.CRASH, ({ payload }) => crashes.push(payload.error));
  await consumer.subscribe({ topics: ['a', 'b'], fromBeginning: true });
  const handled = deferred();
  await consumer.run({
    eachMessage: async ({ topic }) => {
      if (topic === 'a') await admin.deleteTopics({ topics: ['a'] });
      else handled.resolve();
    },
  });
  await assigned(consumer, { b: 1 });
  await producer.send({ topic: 'b', messages: [{ value: 'b' }] });
  await handled.promise;
  expect(crashes).toEqual([]);
});
