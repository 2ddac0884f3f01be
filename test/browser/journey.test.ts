import { assert } from 'chai';
import { type Consumer, Kafka, logLevel, serdes } from '../../src/index.js';
import { deleteClusterDatabase, locksOf, newClusterName, until } from './cluster.js';

// The public API in a page, over its real worker and IndexedDB.
describe('a journey of records', function () {
  this.timeout(60_000);
  const opened: Kafka[] = [];

  function open(cluster: string): Kafka {
    const config = { 'num.partitions': '1', 'group.initial.rebalance.delay.ms': '0' };
    const kafka = new Kafka({ clientId: 'journey', cluster: { name: cluster, config }, logLevel: logLevel.NOTHING });
    opened.push(kafka);
    return kafka;
  }

  afterEach(async () => {
    await Promise.all(opened.splice(0).map((kafka) => kafka.close()));
  });

  it('leads from a producer to a consumer, byte for byte', async () => {
    const kafka = open(newClusterName());
    const producer = kafka.producer();
    await producer.connect();
    const bytes = Uint8Array.of(0, 255, 128, 1);
    const [sent] = await producer.send({
      topic: 'orders',
      messages: [
        { key: 'order-1', value: 'zwei Teekännchen', headers: { from: 'shop', twice: ['a', 'b'] }, timestamp: '1000' },
        { key: null, value: bytes },
        { key: 'order-1', value: null },
      ],
    });
    assert.include(sent, { topicName: 'orders', partition: 0, errorCode: 0, baseOffset: '0' });

    const consumer = kafka.consumer();
    await consumer.assign([{ topic: 'orders', partition: 0, offset: '-2' }]);
    const [first, second, third] = await take(consumer, 3);
    assert.strictEqual(first?.key?.toString(), 'order-1');
    assert.strictEqual(first?.value?.toString(), 'zwei Teekännchen');
    assert.strictEqual(first?.timestamp, '1000');
    assert.deepEqual(
      first?.headerEntries.map(([name, value]) => [name, value?.toString()]),
      [
        ['from', 'shop'],
        ['twice', 'a'],
        ['twice', 'b'],
      ],
    );
    assert.isNull(second?.key);
    assert.deepEqual([...(second?.value ?? [])], [...bytes]);
    assert.isNull(third?.value);
  });

  it('finds everything again after close: records, the place of a group, configs', async () => {
    const cluster = newClusterName();
    const before = open(cluster);
    await before.admin().createTopics({
      topics: [{ topic: 'events', numPartitions: 3, configEntries: [{ name: 'retention.ms', value: '5000000' }] }],
    });
    const producer = before.producer();
    await producer.connect();
    for (let partition = 0; partition < 3; partition++) {
      const messages = Array.from({ length: 100 }, (_, i) => ({ value: `${partition}/${i}`, partition }));
      await producer.send({ topic: 'events', messages });
    }
    assert.lengthOf(await readInGroup(before, 200), 200);
    await before.close();

    const after = open(cluster);
    const admin = after.admin();
    assert.deepEqual(
      (await admin.fetchTopicOffsets('events')).map(({ low, high }) => [low, high]),
      [
        ['0', '100'],
        ['0', '100'],
        ['0', '100'],
      ],
    );
    const { resources } = await admin.describeConfigs({
      resources: [{ type: 2, name: 'events', configNames: ['retention.ms'] }],
    });
    assert.strictEqual(resources[0]?.configEntries[0]?.configValue, '5000000');
    assert.lengthOf(await readInGroup(after, 100), 100);
    const [group] = (await admin.describeGroups(['readers'])).groups;
    assert.strictEqual(group?.state, 'Empty');
    const [committed] = await admin.fetchOffsets({ groupId: 'readers', topics: ['events'] });
    assert.deepEqual(
      committed?.partitions.map(({ offset }) => offset),
      ['100', '100', '100'],
    );
  });

  /** Exactly `count` records, each committed. */
  async function readInGroup(kafka: Kafka, count: number): Promise<string[]> {
    const consumer = kafka.consumer({ groupId: 'readers' });
    const values: string[] = [];
    const ended = new AbortController();
    await consumer.subscribe({ topics: ['events'], fromBeginning: true });
    for await (const message of consumer.messages({ signal: ended.signal })) {
      values.push(String(message.value));
      if (values.length === count) ended.abort();
    }
    await consumer.disconnect();
    return values;
  }

  it('is shared by two members of a group', async () => {
    const kafka = open(newClusterName());
    await kafka.admin().createTopics({ topics: [{ topic: 'work', numPartitions: 4 }] });
    const counts = [0, 0];
    const members = counts.map(() => kafka.consumer({ groupId: 'workers' }));
    for (const [i, member] of members.entries()) {
      await member.subscribe({ topics: ['work'], fromBeginning: true });
      await member.run({
        eachMessage: async () => {
          counts[i] = (counts[i] ?? 0) + 1;
        },
      });
    }
    await until('each has two partitions', () => members.every((member) => member.assignment().length === 2));
    const producer = kafka.producer();
    await producer.connect();
    const messages = Array.from({ length: 80 }, (_, i) => ({ value: String(i), partition: i % 4 }));
    await producer.send({ topic: 'work', messages });
    await until('all is read', () => counts.every((count) => count === 40));
    const [group] = (await kafka.admin().describeGroups(['workers'])).groups;
    assert.strictEqual(group?.state, 'Stable');
    assert.lengthOf(group?.members ?? [], 2);
  });

  it('carries typed keys and values', async () => {
    const kafka = open(newClusterName());
    const producer = kafka.producer({ keySerde: serdes.int64, valueSerde: serdes.json<{ amount: number }>() });
    await producer.connect();
    await producer.send({ topic: 'typed', messages: [{ key: 2n ** 60n + 1n, value: { amount: 1.5 } }] });
    const consumer = kafka.consumer({ keySerde: serdes.int64, valueSerde: serdes.json<{ amount: number }>() });
    await consumer.assign([{ topic: 'typed', partition: 0, offset: '-2' }]);
    for await (const { key, value } of consumer) {
      assert.strictEqual(key, 2n ** 60n + 1n);
      assert.deepEqual(value, { amount: 1.5 });
      break;
    }
  });

  it('compresses with gzip', async () => {
    const kafka = open(newClusterName());
    const producer = kafka.producer();
    await producer.connect();
    const value = 'tea '.repeat(10_000);
    await producer.send({ topic: 'zipped', compression: 1, messages: [{ value }] });
    const [log] = await kafka.admin().describeLogs({ topics: ['zipped'] });
    assert.isBelow(log?.partitions[0]?.sizeInBytes ?? Infinity, 2000);
    const consumer = kafka.consumer();
    await consumer.assign([{ topic: 'zipped', partition: 0, offset: '-2' }]);
    const [message] = await take(consumer, 1);
    assert.strictEqual(message?.value?.toString(), value);
  });

  it('ends without trace: no lock, no worker, and the database can be deleted at once', async () => {
    const cluster = newClusterName();
    const kafka = open(cluster);
    const producer = kafka.producer();
    await producer.connect();
    await producer.send({ topic: 'last', messages: [{ value: 'words' }] });
    const consumer = kafka.consumer({ groupId: 'g' });
    await consumer.subscribe({ topics: ['last'], fromBeginning: true });
    let received = 0;
    await consumer.run({
      eachMessage: async () => {
        received++;
      },
    });
    await until('the record is read', () => received === 1);
    assert.isNotEmpty(await locksOf(cluster)); // one of them is held by the worker while it lives

    await kafka.close();
    await until('all locks are free', async () => (await locksOf(cluster)).length === 0);
    assert.deepEqual(await deleteClusterDatabase(cluster), { wasOpen: false });
  });

  it('may be written with await using, where the engine knows it', async function () {
    if (!('asyncDispose' in Symbol)) this.skip();
    const cluster = newClusterName();
    const kafka = open(cluster);
    const producer = kafka.producer();
    await producer.connect();
    await producer.send({ topic: 'disposed', messages: [{ value: '1' }] });
    await kafka[Symbol.asyncDispose]();
    await until('all locks are free', async () => (await locksOf(cluster)).length === 0);
  });
});

async function take(consumer: Consumer, count: number) {
  const messages = [];
  for await (const message of consumer) if (messages.push(message) === count) break;
  return messages;
}
