import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { logLevel, type SegmentFile } from '../../src/index.js';
import { markerBatch } from '../../src/log/log-transactions.js';
import { readBatchHeader } from '../../src/record/batch-header.js';
import { emptiedBatch } from '../../src/record/rewritten-batch.js';
import { InProcessCluster } from '../../src/testing/index.js';
import { batch } from '../log/harness.js';
import { kafka, useKafka } from './client-cluster.js';
import { readAll } from './read-all.js';

interface Vector {
  readonly name: string;
  readonly bytes: string;
  readonly batches: readonly { readonly head: Readonly<Record<string, unknown>> }[];
}

const fixture = new URL('../fixtures/records/batches.json', import.meta.url);
const { vectors } = JSON.parse(readFileSync(fixture, 'utf8')) as { readonly vectors: readonly Vector[] };

useKafka({});

// Goal: a file of Kafka comes in and goes out byte for byte. Method: each segment of the fixtures, which other
// implementations wrote, into an empty partition and out again. What is beyond the safe integers is refused.
describe('the segments of other implementations', () => {
  test.each(vectors)('$name', async ({ bytes: hex, batches }) => {
    const bytes = Buffer.from(hex, 'hex');
    const admin = kafka.admin();
    await admin.createTopics({ topics: [{ topic: 'copy' }] });
    const imported = admin.importPartition({ topic: 'copy', partition: 0, segments: [new Blob([bytes])] });
    const isUnsafe = batches.some(({ head }) =>
      Object.values(head).some((field) => !Number.isSafeInteger(Number(field)) && /^-?\d+$/.test(String(field))),
    );
    if (isUnsafe) {
      await expect(imported).rejects.toMatchObject({ type: 'INVALID_RECORD' });
      return;
    }
    const { baseOffset } = readBatchHeader(bytes);
    expect((await imported).low).toBe(String(baseOffset));
    const [file] = await filesOf('copy');
    expect(file?.name).toBe(`${String(baseOffset).padStart(20, '0')}.log`);
    expect(Buffer.from(await file!.log.arrayBuffer()).toString('hex')).toBe(hex);
    expect((await admin.checkLogs()).findings).toEqual([]);
  });
});

test('an export whose topic is deleted under it fails with an error of KafkaJS', async () => {
  const producer = kafka.producer();
  for (let i = 0; i < 3; i++) await producer.send({ topic: 'orders', messages: [{ value: 'x'.repeat(400) }] });
  const admin = kafka.admin();
  const files = admin.exportPartition({ topic: 'orders', partition: 0, segmentBytes: 500 });
  const reading = (async (): Promise<void> => {
    for await (const _ of files) expect.fail('it was deleted before');
  })();
  await Promise.all([
    admin.deleteTopics({ topics: ['orders'] }),
    expect(reading).rejects.toMatchObject({ name: 'KafkaJSProtocolError', type: 'UNKNOWN_TOPIC_OR_PARTITION' }),
  ]);
});

test('a partition moves to another cluster in several segments, and goes on there', async () => {
  const producer = kafka.producer();
  await producer.connect();
  for (let i = 0; i < 30; i++)
    await producer.send({ topic: 'orders', messages: [{ key: `k${i}`, value: 'x'.repeat(400) }] });
  const admin = kafka.admin();
  await admin.deleteTopicRecords({ topic: 'orders', partitions: [{ partition: 0, offset: '7' }] });
  const files = await filesOf('orders', { segmentBytes: 4096 });
  expect(files.length).toBeGreaterThan(2);
  expect(files.map(({ baseOffset }) => baseOffset)).toEqual([
    '7',
    ...files.slice(0, -1).map(({ nextOffset }) => nextOffset),
  ]);

  await using other = new InProcessCluster();
  const there = new other.Kafka({ clientId: 'test', logLevel: logLevel.NOTHING });
  const otherAdmin = there.admin();
  await otherAdmin.createTopics({ topics: [{ topic: 'orders' }] });
  const segments = files.map(({ log }) => log);
  expect(await otherAdmin.importPartition({ topic: 'orders', partition: 0, segments })).toEqual({
    low: '7',
    high: '30',
  });
  const read = await readAll(there, 'orders');
  expect(read.map(({ offset, key }) => `${offset} ${key}`)).toEqual(
    Array.from({ length: 23 }, (_, i) => `${i + 7} k${i + 7}`),
  );
  const otherProducer = there.producer();
  await otherProducer.connect();
  const [sent] = await otherProducer.send({ topic: 'orders', messages: [{ value: 'next' }] });
  expect(sent?.baseOffset).toBe('30');
  expect((await otherAdmin.checkLogs()).findings).toEqual([]);
  await there.close();
});

// Goal: what compaction leaves of the last marker of a producer, its head, is read as any other batch. Method: a segment that
// begins with a record and ends with such a marker comes into an empty partition, which goes on behind it.
test('a segment of a compacted topic may have markers of which only the head is left', async () => {
  const marker = markerBatch({ type: 'commit', producerId: 7, producerEpoch: 0, coordinatorEpoch: 0 }, 1000);
  const emptied = emptiedBatch({ ...readBatchHeader(marker), baseOffset: 3 });
  const admin = kafka.admin();
  await admin.createTopics({ topics: [{ topic: 'copy', numPartitions: 1 }] });
  const segments = [new Blob([batch(['first']), emptied])];
  expect(await admin.importPartition({ topic: 'copy', partition: 0, segments })).toEqual({ low: '0', high: '4' });
  const [sent] = await kafka.producer().send({ topic: 'copy', messages: [{ value: 'next' }] });
  expect(sent?.baseOffset).toBe('4');
  expect((await readAll(kafka, 'copy')).map(({ value }) => String(value))).toEqual(['first', 'next']);
});

test('what does not fit is refused by name, and nothing is changed', async () => {
  const producer = kafka.producer();
  await producer.connect();
  for (let i = 0; i < 3; i++) await producer.send({ topic: 'orders', messages: [{ value: `v${i}` }] });
  const [file] = await filesOf('orders');
  const admin = kafka.admin();
  const into = (topic: string, ...segments: Blob[]) => admin.importPartition({ topic, partition: 0, segments });
  await expect(into('orders', file!.log)).rejects.toMatchObject({ type: 'INVALID_REQUEST' });
  await admin.createTopics({ topics: [{ topic: 'copy' }] });
  const bytes = new Uint8Array(await file!.log.arrayBuffer());
  await expect(into('copy', new Blob([bytes.slice(0, -5)]))).rejects.toMatchObject({ type: 'CORRUPT_MESSAGE' });
  const damaged = bytes.slice();
  damaged[100]! ^= 1;
  await expect(into('copy', new Blob([damaged]))).rejects.toMatchObject({ type: 'CORRUPT_MESSAGE' });
  expect(await admin.fetchTopicOffsets('copy')).toMatchObject([{ low: '0', high: '0' }]);
  expect(await into('copy', file!.log)).toEqual({ low: '0', high: '3' });
  await expect(into('copy', file!.log)).rejects.toMatchObject({ type: 'INVALID_REQUEST' });
  await expect(into('nowhere', file!.log)).rejects.toMatchObject({ type: 'UNKNOWN_TOPIC_OR_PARTITION' });
});

// Goal: what a damaged head claims costs no more than one look at the file. Method: files that count what is read of them,
// with a batch of 9 MiB, more than a request carries, between two small ones, and with a head that claims too much.
describe('a segment is read once', () => {
  /** Its bytes, and how many were read. */
  function counted(parts: BlobPart[]): { readonly segment: Blob; read(): number } {
    const segment = new Blob(parts);
    const slice = segment.slice.bind(segment);
    let bytes = 0;
    segment.slice = (start = 0, end = segment.size) => {
      bytes += Math.min(end, segment.size) - start;
      return slice(start, end);
    };
    return { segment, read: () => bytes };
  }

  function claiming(size: number): Uint8Array<ArrayBuffer> {
    const head = new Uint8Array(61);
    new DataView(head.buffer).setInt32(8, size - 12);
    head[16] = 2;
    return head;
  }

  test('with a batch that is larger than a request', async () => {
    const admin = kafka.admin();
    const configEntries = ['max.message.bytes', 'segment.bytes'].map((name) => ({ name, value: '20000000' }));
    await admin.createTopics({ topics: [{ topic: 'orders', configEntries }, { topic: 'copy' }] });
    const producer = kafka.producer({ batchSize: 20_000_000 });
    const values = [1, 9 * 2 ** 20, 1].map((size) => 'x'.repeat(size));
    for (const value of values) await producer.send({ topic: 'orders', messages: [{ value }] });
    const [file] = await filesOf('orders');
    const { segment, read } = counted([file!.log]);
    const imported = admin.importPartition({ topic: 'copy', partition: 0, segments: [segment] });
    expect(await imported).toEqual({ low: '0', high: '3' });
    expect(read()).toBeLessThan(3 * segment.size);
    const copied = await readAll(kafka, 'copy');
    expect(copied.map(({ value }) => value!.length)).toEqual(values.map(({ length }) => length));
  });

  test.each([
    ['more than there is', 40 * 2 ** 20, 500_000_000],
    ['more than any request carries', 200 * 2 ** 20, 150_000_000],
  ])('whose head claims %s', async (_what, size, claimed) => {
    const admin = kafka.admin();
    await admin.createTopics({ topics: [{ topic: 'copy' }] });
    const { segment, read } = counted([claiming(claimed), new Uint8Array(size)]);
    const imported = admin.importPartition({ topic: 'copy', partition: 0, segments: [segment] });
    await expect(imported).rejects.toMatchObject({
      type: 'CORRUPT_MESSAGE',
      message: `copy-0, byte 0 of the segment: expected a batch of at most ${Math.min(size + 61, 104_857_600)} bytes, found ${claimed}`,
    });
    expect(read()).toBe(8 * 2 ** 20);
  });
});

test('the indexes are those of Kafka: last offset and position about every 4 KiB, greatest times', async () => {
  const producer = kafka.producer();
  await producer.connect();
  for (let i = 0; i < 12; i++) {
    await producer.send({ topic: 'orders', messages: [{ value: 'x'.repeat(1500), timestamp: String(1000 + i) }] });
  }
  const [file] = await filesOf('orders');
  const size = file!.log.size / 12;
  const index = new DataView(await file!.index.arrayBuffer());
  const entries = Array.from({ length: index.byteLength / 8 }, (_, i) => [
    index.getInt32(i * 8),
    index.getInt32(i * 8 + 4),
  ]);
  expect(entries).toEqual([
    [3, 3 * size],
    [6, 6 * size],
    [9, 9 * size],
  ]);
  const times = new DataView(await file!.timeIndex.arrayBuffer());
  const all = Array.from({ length: times.byteLength / 12 }, (_, i) => [
    Number(times.getBigInt64(i * 12)),
    times.getInt32(i * 12 + 8),
  ]);
  expect(all).toEqual([
    [1003, 3],
    [1006, 6],
    [1009, 9],
    [1011, 11],
  ]);
});

async function filesOf(topic: string, options: { segmentBytes?: number } = {}): Promise<SegmentFile[]> {
  const files: SegmentFile[] = [];
  for await (const file of kafka.admin().exportPartition({ topic, partition: 0, ...options })) files.push(file);
  return files;
}
