import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Kafka, logLevel } from '../../src/index.js';
import { MemoryLogStore } from '../../src/storage/memory-log-store.js';
import type { RawLogStore } from '../../src/storage/raw-log-store.js';
import { InProcessCluster } from '../../src/testing/index.js';
import { readAll } from './read-all.js';

// Goal: the check and the repair hold while the cluster lives: producers, consumers and groups go on. Method: rows of a
// running cluster are damaged from beside.

let cluster: InProcessCluster;
let kafka: Kafka;

beforeEach(async () => {
  cluster = new InProcessCluster({ brokerConfig: { 'group.initial.rebalance.delay.ms': '0' } });
  kafka = new cluster.Kafka({ clientId: 'test', logLevel: logLevel.NOTHING });
  await kafka.admin().createTopics({ topics: [{ topic: 'orders', numPartitions: 2 }, { topic: 'other' }] });
});

afterEach(async () => {
  await kafka.close();
  await cluster.close();
});

test('a whole cluster is found whole', async () => {
  await send(5);
  const check = await kafka.admin().checkLogs();
  expect(check).toMatchObject({ findings: [], gaps: [], checkedLogs: 5 });
  expect(check.checkedBytes).toBeGreaterThan(500);
});

test('damage is named, mended once it is asked for, and producers go on', async () => {
  const admin = kafka.admin();
  const producer = kafka.producer({ idempotent: true });
  await producer.connect();
  for (let i = 0; i < 4; i++) await producer.send({ topic: 'orders', messages: [{ value: `v${i}`, partition: 0 }] });
  await damage(async (raw, epoch) => {
    const [row] = await raw.chunks(1, 1, 1);
    row!.bytes[65]! ^= 8;
    await raw.apply({ log: 1, putChunks: [row!] }, epoch);
  });
  const [found] = (await admin.checkLogs({ topics: ['orders'] })).findings;
  const expected = { topic: 'orders', partition: 0, log: 1, kind: 'corrupt', fromOffset: '1', nextOffset: '2' };
  expect(found).toMatchObject({ ...expected, repaired: false });
  const progress: number[] = [];
  const repair = await admin.checkLogs({ repair: true, onProgress: ({ checkedLogs }) => progress.push(checkedLogs) });
  expect(repair.findings.every(({ repaired }) => repaired)).toBe(true);
  expect(repair.findings[0]).toMatchObject({ ...expected, repaired: true });
  expect(progress).toEqual([0, 1, 2, 3, 4, 5]);

  const [sent] = await producer.send({ topic: 'orders', messages: [{ value: 'v4', partition: 0 }] });
  expect(sent?.baseOffset).toBe('4');
  const again = await admin.checkLogs();
  expect(again.findings).toEqual([]);
  expect(again.gaps).toEqual([{ topic: 'orders', partition: 0, fromOffset: '1', nextOffset: '2' }]);
  expect((await readAll(kafka, 'orders')).map(({ value }) => String(value))).toEqual(['v0', 'v2', 'v3', 'v4']);
});

test('a log that no topic has is dropped, unless the metadata log is damaged', async () => {
  await send(2);
  const admin = kafka.admin();
  await damage(async (raw, epoch) => {
    const [row] = await raw.chunks(1, 0, 1);
    await raw.apply({ log: 2, putChunks: [row!] }, epoch);
  });
  await admin.deleteTopics({ topics: ['other'] });
  await admin.checkLogs({ repair: true });
  await damage(async (raw, epoch) => {
    expect(await raw.logs()).not.toContain(3);
    const [row] = await raw.chunks(1, 0, 1);
    await raw.apply({ log: 3, putChunks: [row!] }, epoch); // as if its deletion had been lost
  });
  const repaired = await admin.checkLogs({ repair: true });
  expect(repaired.findings).toMatchObject([{ topic: null, log: 3, kind: 'orphan', repaired: true }]);
  await damage(async (raw, epoch) => {
    expect(await raw.logs()).not.toContain(3);
    const [row] = await raw.chunks(1, 0, 1);
    await raw.apply({ log: 3, putChunks: [row!] }, epoch);
    const [metadata] = await raw.chunks(0, 0, 1);
    metadata!.bytes[70]! ^= 1;
    await raw.apply({ log: 0, putChunks: [metadata!] }, epoch);
  });
  const kept = await admin.checkLogs({ repair: true });
  expect(kept.findings).toContainEqual(expect.objectContaining({ log: 3, kind: 'orphan', repaired: false }));
});

test('a cluster whose metadata log is damaged opens, and gives no log id twice', async () => {
  await send(3);
  await kafka.admin().createTopics({ topics: [{ topic: 'last' }] });
  await send(1, 'last');
  await damageMetadataOf('last');
  kafka = new cluster.Kafka({ clientId: 'test', logLevel: logLevel.NOTHING });
  expect((await readAll(kafka, 'orders')).map(({ value }) => String(value))).toEqual(['v0', 'v1', 'v2']);
  const admin = kafka.admin();
  expect(await admin.listTopics()).not.toContain('last');
  await admin.createTopics({ topics: [{ topic: 'new' }] });
  expect(await readAll(kafka, 'new')).toEqual([]);
});

// Once for each producer, whatever it sends, and no more once a repair has left its note.
test('clients warn of metadata that is lost', async () => {
  await send(1);
  await kafka.admin().createTopics({ topics: [{ topic: 'last' }] });
  await damageMetadataOf('last');
  const warnings: unknown[] = [];
  const newKafka = () =>
    new cluster.Kafka({
      clientId: 'test',
      logLevel: logLevel.WARN,
      logCreator: () => (entry) => warnings.push(entry.log),
    });
  kafka = newKafka();
  await send(2);
  expect(warnings).toEqual([expect.objectContaining({ message: 'Topics may be lost', reason: 'corrupt' })]);
  await send(1);
  expect(warnings).toHaveLength(2);
  await kafka.admin().checkLogs({ repair: true });
  await kafka.close();
  await cluster.close();
  kafka = newKafka();
  await send(1);
  expect(warnings).toHaveLength(2);
});

test('a check can be stopped', async () => {
  await send(1);
  const stop = new AbortController();
  const check = kafka.admin().checkLogs({
    signal: stop.signal,
    onProgress: ({ checkedLogs }) => checkedLogs === 2 && stop.abort(new Error('enough')),
  });
  await expect(check).rejects.toThrow('enough');
});

async function send(count: number, topic = 'orders'): Promise<void> {
  const producer = kafka.producer();
  await producer.connect();
  for (let i = 0; i < count; i++) await producer.send({ topic, messages: [{ value: `v${i}`, partition: 0 }] });
  await producer.disconnect();
}

async function damage(work: (raw: RawLogStore, epoch: number) => Promise<void>): Promise<void> {
  const store = await MemoryLogStore.open(cluster.disk, { newIncarnationId: 'test' });
  await work(await store.raw(), (await store.leadership()).epoch);
  await store.close();
}

/** Closes the cluster, and damages what its metadata log says of a topic. */
async function damageMetadataOf(topic: string): Promise<void> {
  await kafka.close();
  await cluster.close();
  await damage(async (raw, epoch) => {
    const rows = await raw.chunks(0, 0, 100);
    const last = rows.findLast(({ bytes }) => new TextDecoder().decode(bytes).includes(`"${topic}"`))!;
    last.bytes[80]! ^= 1;
    await raw.apply({ log: 0, putChunks: [last] }, epoch);
  });
}
