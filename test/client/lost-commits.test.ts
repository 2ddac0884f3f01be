import { expect, test } from 'vitest';
import { KafkaJSGapError } from '../../src/index.js';
import { MemoryLogStore } from '../../src/storage/memory-log-store.js';
import { cluster, kafka, useKafka } from './client-cluster.js';

// Goal: a group whose commits are lost to damage goes on with what survives, and its consumers are told. Method: of two
// commits of a group the second is damaged while no tab is open.

useKafka();

const GAP = { topic: '__consumer_offsets', partition: 0, reason: 'corrupt' };

test('a consumer goes on at an older commit, and says that newer ones are lost', async () => {
  await damagedCommits();
  const consumer = kafka.consumer({ groupId: 'packing' });
  const gaps: unknown[] = [];
  consumer.on(consumer.events.GAP, ({ payload }) => gaps.push(payload));
  expect(await firstValue(consumer)).toBe('order 1');
  expect(gaps).toEqual([expect.objectContaining(GAP)]);
  await kafka.admin().setOffsets({ groupId: 'packing', topic: 'orders', partitions: [{ partition: 0, offset: '4' }] });
  const again = kafka.consumer({ groupId: 'packing' });
  again.on(again.events.GAP, ({ payload }) => gaps.push(payload));
  expect(await firstValue(again)).toBe('order 4');
  expect(gaps).toHaveLength(1);
});

test('a consumer that is to fail does so before it reads, and reads once offsets are set', async () => {
  await damagedCommits();
  const failing = { groupId: 'packing', onGap: 'fail' } as const;
  const failure = await firstValue(kafka.consumer(failing)).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(KafkaJSGapError);
  expect(failure).toMatchObject({
    topic: GAP.topic,
    partition: 0,
    retriable: false,
    message: expect.stringContaining('packing'),
  });
  await kafka.admin().setOffsets({ groupId: 'packing', topic: 'orders', partitions: [{ partition: 0, offset: '3' }] });
  expect(await firstValue(kafka.consumer(failing))).toBe('order 3');
});

async function damagedCommits(): Promise<void> {
  const producer = kafka.producer();
  await producer.connect();
  const messages = Array.from({ length: 5 }, (_, i) => ({ value: `order ${i}` }));
  await producer.send({ topic: 'orders', messages });
  await producer.disconnect();
  const admin = kafka.admin();
  await admin.connect();
  for (const offset of ['1', '3']) {
    await admin.setOffsets({ groupId: 'packing', topic: 'orders', partitions: [{ partition: 0, offset }] });
  }
  await admin.disconnect();
  await cluster.close(); // what is in memory goes
  const store = await MemoryLogStore.open(cluster.disk, { newIncarnationId: 'test' });
  const raw = await store.raw();
  const log = (await raw.logs()).at(-1)!;
  const { lastOffset = -1 } = await store.ends(log);
  const last = (await raw.chunks(log, lastOffset, 1))[0]!;
  last.bytes[last.bytes.length - 1]! ^= 1;
  await raw.apply({ log, putChunks: [last] }, (await store.leadership()).epoch);
  await store.close();
}

async function firstValue(consumer: ReturnType<typeof kafka.consumer>): Promise<string | undefined> {
  try {
    await consumer.connect();
    await consumer.subscribe({ topics: ['orders'], fromBeginning: true });
    for await (const message of consumer) return String(message.value);
    return undefined;
  } finally {
    await consumer.disconnect();
  }
}
