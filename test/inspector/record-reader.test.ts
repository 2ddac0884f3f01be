import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Kafka, logLevel } from '../../src/index.js';
import { type RecordPage, readPage, type StartAt } from '../../src/inspector/record-reader.js';
import { lastOffsetOf, readBatchHeader } from '../../src/record/batch-header.js';
import { MemoryLogStore } from '../../src/storage/memory-log-store.js';
import { SealedSegmentBuilder } from '../../src/storage/sealed-segment.js';
import { InProcessCluster } from '../../src/testing/index.js';
import { batch } from '../log/harness.js';
import { ODD_ENDINGS } from './odd-endings.js';

// Goal: a page ends, whatever the partition ends with, and has all records below its end. Method: segments of Kafka are
// imported, or rows changed beside the running cluster; a page that did not end would run into the time of the test.

const TOPIC = 'orders';
const LOG = 1; // the first topic's only partition
let cluster: InProcessCluster;
let kafka: Kafka;

beforeEach(async () => {
  cluster = new InProcessCluster();
  kafka = new cluster.Kafka({ clientId: 'test', logLevel: logLevel.NOTHING });
  await kafka.admin().createTopics({ topics: [{ topic: TOPIC, numPartitions: 1 }] });
});

afterEach(async () => {
  await kafka.close();
  await cluster.close();
});

/** What is in memory goes. */
async function restarted(): Promise<void> {
  await kafka.close();
  await cluster.close();
  kafka = new cluster.Kafka({ clientId: 'test', logLevel: logLevel.NOTHING });
}

async function page(start: StartAt, count = 100): Promise<RecordPage> {
  return readPage(kafka, { topic: TOPIC, partition: 0, start, count }, new AbortController().signal);
}

function valuesOf({ records }: RecordPage): string[] {
  return records.map(({ value }) => String(value));
}

test.each(ODD_ENDINGS)('a page ends where the partition ends with $name', async ({ segment, values, high }) => {
  await kafka.admin().importPartition({ topic: TOPIC, partition: 0, segments: [new Blob([segment])] });
  for (const start of [{ at: 'beginning' }, { at: 'newest' }, { at: 'offset', offset: 0 }] as const) {
    const read = await page(start);
    expect(valuesOf(read)).toEqual(values);
    expect(read).toMatchObject({ low: 0, high, from: 0, gaps: [] });
  }
  expect(valuesOf(await page({ at: 'offset', offset: high - 1 }))).toEqual(values.slice(high - 1));
  expect(valuesOf(await page({ at: 'beginning' }, 1))).toEqual(values.slice(0, 1));
});

test('a page ends where compaction left nothing of what the partition ends with', async () => {
  await restarted();
  const store = await MemoryLogStore.open(cluster.disk, { newIncarnationId: 'test' });
  const { epoch } = await store.leadership();
  const builder = new SealedSegmentBuilder(LOG, 0);
  const bytes = batch(['a', 'b']);
  builder.add(bytes);
  const range = { log: LOG, baseOffset: 0, nextOffset: 10 };
  const staged = await store.stageSealed(builder.finish(range.nextOffset), epoch);
  await store.publishSealed({ ...range, sealed: [staged], segments: [] }, epoch);
  await store.close();
  expect(lastOffsetOf(readBatchHeader(bytes))).toBe(1);
  const read = await page({ at: 'newest' });
  expect(valuesOf(read)).toEqual(['a', 'b']);
  expect(read).toMatchObject({ low: 0, high: 10, gaps: [] });
  expect(valuesOf(await page({ at: 'offset', offset: 5 }))).toEqual([]);
});

test('a page that ends in lost records has those before them', async () => {
  const producer = kafka.producer();
  for (let i = 0; i < 5; i++) await producer.send({ topic: TOPIC, messages: [{ value: `order ${i}` }] });
  await restarted();
  const store = await MemoryLogStore.open(cluster.disk, { newIncarnationId: 'test' });
  const raw = await store.raw();
  const [row] = await raw.chunks(LOG, 4, 1);
  row!.bytes[row!.bytes.length - 1]! ^= 1;
  await raw.apply({ log: LOG, putChunks: [row!] }, (await store.leadership()).epoch);
  await store.close();
  const read = await page({ at: 'beginning' });
  expect(valuesOf(read)).toEqual(['order 0', 'order 1', 'order 2', 'order 3']);
  expect(read.gaps).toMatchObject([{ fromOffset: '4', nextOffset: '5', reason: 'corrupt' }]);
});

test('a page of a partition that grows ends where it ended when it was asked for', async () => {
  const producer = kafka.producer();
  await producer.send({ topic: TOPIC, messages: [{ value: 'a' }, { value: 'b' }] });
  const reading = page({ at: 'beginning' });
  for (let i = 0; i < 20; i++) await producer.send({ topic: TOPIC, messages: [{ value: `later ${i}` }] });
  const read = await reading;
  expect(valuesOf(read)).toHaveLength(read.high);
  await producer.disconnect();
});
