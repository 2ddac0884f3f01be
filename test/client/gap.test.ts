import { beforeEach, expect, test } from 'vitest';
import { type Consumer, KafkaJSGapError } from '../../src/index.js';
import { MemoryLogStore } from '../../src/storage/memory-log-store.js';
import { cluster, kafka, useKafka } from './client-cluster.js';

// Goal: stored records that are damaged are never handed out and never left out in silence. Method: one row of a log that
// a consumer has not read is damaged under the running cluster.

const LOG = 1; // the first topic's only partition
const LATER_MS = Date.now() + 1_800_000;

useKafka({});

beforeEach(async () => {
  const producer = kafka.producer();
  await producer.connect();
  for (let i = 0; i < 5; i++) await producer.send({ topic: 'orders', messages: [{ value: `order ${i}` }] });
  await producer.disconnect();
  await cluster.close(); // what is in memory goes
  await damageRow(2);
});

test('a consumer goes on behind what is lost, and says so', async () => {
  const consumer = kafka.consumer();
  const gaps: unknown[] = [];
  consumer.on(consumer.events.GAP, ({ payload }) => gaps.push(payload));
  expect(await readUpTo(consumer, 'order 4')).toEqual(['order 0', 'order 1', 'order 3', 'order 4']);
  expect(gaps).toEqual([{ topic: 'orders', partition: 0, fromOffset: '2', nextOffset: '3', reason: 'corrupt' }]);
});

test('a consumer that is to fail fails once it has handed out what lies before', async () => {
  const consumer = kafka.consumer({ onGap: 'fail' });
  const read: string[] = [];
  const failure = await readUpTo(consumer, 'order 4', read).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(KafkaJSGapError);
  expect(failure).toMatchObject({ topic: 'orders', partition: 0, fromOffset: '2', nextOffset: '3', retriable: false });
  expect(read).toEqual(['order 0', 'order 1']);
});

test('a wrong setting is refused', () => {
  expect(() => kafka.consumer({ onGap: 'ignore' as 'skip' })).toThrow(/onGap/);
});

test('producers go on where the log ended, and times are found', async () => {
  const producer = kafka.producer();
  await producer.connect();
  const [sent] = await producer.send({
    topic: 'orders',
    messages: [{ value: 'order 5', timestamp: String(LATER_MS) }],
  });
  expect(sent?.baseOffset).toBe('5');
  const [found] = await kafka.admin().fetchTopicOffsetsByTimestamp('orders', LATER_MS);
  expect(found?.offset).toBe('5');
});

async function readUpTo(consumer: Consumer, last: string, read: string[] = []): Promise<string[]> {
  try {
    await consumer.assign([{ topic: 'orders', partition: 0, offset: '0' }]);
    for await (const message of consumer) {
      read.push(String(message.value));
      if (String(message.value) === last) break;
    }
    return read;
  } finally {
    await consumer.disconnect();
  }
}

async function damageRow(offset: number): Promise<void> {
  const store = await MemoryLogStore.open(cluster.disk, { newIncarnationId: 'test' });
  const raw = await store.raw();
  const [row] = await raw.chunks(LOG, offset, 1);
  row!.bytes[row!.bytes.length - 1]! ^= 1;
  await raw.apply({ log: LOG, putChunks: [row!] }, (await store.leadership()).epoch);
  await store.close();
}
