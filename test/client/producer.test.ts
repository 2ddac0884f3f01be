import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import { CompressionTypes, type KafkaMessage, serdes } from '../../src/index.js';
import { seededRandom } from '../../src/runtime/seeded-random.js';
import { kafka, useKafka } from './client-cluster.js';
import { readAll } from './read-all.js';

useKafka({ 'num.partitions': '1' });

async function topic(name: string, numPartitions = 1, configs: Record<string, string> = {}): Promise<void> {
  await using admin = kafka.admin();
  const configEntries = Object.entries(configs).map(([key, value]) => ({ name: key, value }));
  await admin.createTopics({ topics: [{ topic: name, numPartitions, configEntries }] });
}

const text = (message: KafkaMessage): string | undefined => message.value?.toString();

test('a send is answered with the offset of its first record in each partition', async () => {
  await topic('orders', 2);
  await using producer = kafka.producer();
  await producer.connect();
  const messages = [
    { partition: 0, value: 'a' },
    { partition: 1, value: 'b' },
    { partition: 0, value: 'c' },
  ];
  await producer.send({ topic: 'orders', messages });
  const results = await producer.send({ topic: 'orders', messages });
  expect(results).toEqual([
    { topicName: 'orders', partition: 0, errorCode: 0, baseOffset: '2', logAppendTime: '-1', logStartOffset: '0' },
    { topicName: 'orders', partition: 1, errorCode: 0, baseOffset: '1', logAppendTime: '-1', logStartOffset: '0' },
  ]);
});

test('bytes of another realm, such as a frame, are bytes', async () => {
  await topic('orders');
  const foreign = (...bytes: number[]): Uint8Array => runInNewContext(`Uint8Array.of(${bytes})`) as Uint8Array;
  expect(foreign(1) instanceof Uint8Array).toBe(false);
  await using producer = kafka.producer();
  await producer.send({
    topic: 'orders',
    messages: [{ key: foreign(1), value: foreign(2, 3), headers: { h: foreign(4) } }],
  });
  await using asBytes = kafka.producer({ valueSerde: serdes.bytes });
  await asBytes.send({ topic: 'orders', messages: [{ value: foreign(5) }] });
  const [first, second] = await readAll(kafka, 'orders');
  expect(
    [first?.key, first?.value, first?.headers['h'], second?.value].map((field) => [...(field as Uint8Array)]),
  ).toEqual([[1], [2, 3], [4], [5]]);
});

test.each([
  ['other typed arrays', runInNewContext('Int8Array.of(1)')],
  ['views', runInNewContext('new DataView(new ArrayBuffer(1))')],
  ['what only calls itself so', { [Symbol.toStringTag]: 'Uint8Array', length: 1 }],
])('of another realm, %s are none', async (_what, value) => {
  await topic('orders');
  await using producer = kafka.producer();
  const sent = producer.send({ topic: 'orders', messages: [{ value: value as Uint8Array }] });
  await expect(sent).rejects.toMatchObject({ type: 'INVALID_RECORD' });
});

test('key, value, headers with repeated keys, timestamp and nulls come back as they were sent', async () => {
  await topic('orders');
  await using producer = kafka.producer();
  await producer.connect();
  await producer.send({
    topic: 'orders',
    messages: [
      {
        key: 'k',
        value: 'Grüße 🚀',
        headers: { one: 'a', many: ['b', new Uint8Array([1, 2])] },
        timestamp: '1500000000000',
      },
      { key: null, value: null },
      { key: '', value: '' },
      { key: new Uint8Array([0]), value: new Uint8Array([255, 0]) },
    ],
  });
  const [first, tombstone, empty, bytes] = await readAll(kafka, 'orders');
  expect(first!.key!.toString()).toBe('k');
  expect(text(first!)).toBe('Grüße 🚀');
  expect(first!.timestamp).toBe('1500000000000');
  expect(first!.headers['one']!.toString()).toBe('a');
  expect(first!.headerEntries.map(([key]) => key)).toEqual(['one', 'many', 'many']);
  expect((first!.headers['many'] as Uint8Array[]).map((value) => [...value])).toEqual([[98], [1, 2]]);
  expect([tombstone!.key, tombstone!.value]).toEqual([null, null]);
  expect([empty!.key!.length, empty!.value!.length]).toEqual([0, 0]);
  expect([...bytes!.value!]).toEqual([255, 0]);
});

test('64 concurrent sends of one record go in few requests, and their offsets are dense and in the order of the calls', async () => {
  await topic('orders');
  await using producer = kafka.producer();
  await producer.connect();
  await producer.send({ topic: 'orders', messages: [{ value: 'warm' }] });
  let requests = 0;
  producer.on(producer.events.REQUEST, ({ payload }) => {
    if (payload.apiName === 'Produce') requests++;
  });
  const results = await Promise.all(
    Array.from({ length: 64 }, (_, i) => producer.send({ topic: 'orders', messages: [{ value: `v${i}` }] })),
  );
  expect(results.map(([result]) => Number(result!.baseOffset))).toEqual(Array.from({ length: 64 }, (_, i) => i + 1));
  expect(requests).toBeLessThanOrEqual(2);
});

test('a send larger than many batches keeps its order and is answered once', async () => {
  await topic('big');
  await using producer = kafka.producer();
  await producer.connect();
  const messages = Array.from({ length: 20_000 }, (_, i) => ({ value: `${i}`.padStart(100, '.') }));
  const results = await producer.send({ topic: 'big', messages });
  expect(results.map(({ baseOffset }) => baseOffset)).toEqual(['0']);
  const values = (await readAll(kafka, 'big')).map(text);
  expect(values).toEqual(messages.map(({ value }) => value));
});

test('batches of one partition share requests', async () => {
  await topic('big');
  await using producer = kafka.producer({ batchSize: 10_000 });
  await producer.connect();
  await producer.send({ topic: 'big', messages: [{ value: 'first' }] });
  let requests = 0;
  producer.on(producer.events.REQUEST, () => requests++);
  const messages = Array.from({ length: 500 }, (_, i) => ({ value: `${i}`.padStart(1000, '.') }));
  await producer.send({ topic: 'big', messages });
  expect(requests).toBeLessThanOrEqual(6);
  expect((await readAll(kafka, 'big')).slice(1).map(text)).toEqual(messages.map(({ value }) => value));
});

test('a record that is larger than a batch gets one of its own', async () => {
  await topic('big');
  await using producer = kafka.producer();
  await producer.connect();
  const large = 'x'.repeat(300_000);
  await producer.send({ topic: 'big', messages: [{ value: 'before' }, { value: large }, { value: 'after' }] });
  expect((await readAll(kafka, 'big')).map((message) => text(message)!.length)).toEqual([6, 300_000, 5]);
});

test('gzip batches come back as they were sent', async () => {
  await topic('zipped');
  await using producer = kafka.producer();
  await producer.connect();
  const messages = Array.from({ length: 3000 }, (_, i) => ({ value: `value number ${i}` }));
  await producer.send({ topic: 'zipped', messages, compression: CompressionTypes.GZIP });
  await producer.send({ topic: 'zipped', messages: [{ value: 'plain' }] });
  const values = (await readAll(kafka, 'zipped')).map(text);
  expect(values).toEqual([...messages.map(({ value }) => value), 'plain']);
});

test('sendBatch merges entries of one topic, and an empty send is answered with nothing', async () => {
  await topic('a');
  await topic('b');
  await using producer = kafka.producer();
  await producer.connect();
  const results = await producer.sendBatch({
    topicMessages: [
      { topic: 'a', messages: [{ value: '1' }] },
      { topic: 'b', messages: [{ value: '2' }] },
      { topic: 'a', messages: [{ value: '3' }] },
    ],
  });
  expect(results.map(({ topicName, baseOffset }) => [topicName, baseOffset])).toEqual([
    ['a', '0'],
    ['b', '0'],
  ]);
  expect((await readAll(kafka, 'a')).map(text)).toEqual(['1', '3']);
  expect(await producer.send({ topic: 'a', messages: [] })).toEqual([]);
});

test('acks 0 is answered at once with nothing, acks 1 with offsets; who asks for idempotence gets neither', async () => {
  await topic('a');
  await using producer = kafka.producer({ idempotent: false });
  await producer.connect();
  expect(producer.isIdempotent()).toBe(false);
  expect(await producer.send({ topic: 'a', acks: 0, messages: [{ value: '0' }] })).toEqual([]);
  const [result] = await producer.send({ topic: 'a', acks: 1, messages: [{ value: '1' }] });
  expect(result!.baseOffset).toBe('1');
  await using idempotent = kafka.producer({ idempotent: true });
  await idempotent.connect();
  await expect(idempotent.send({ topic: 'a', acks: 1, messages: [{ value: '1' }] })).rejects.toMatchObject({
    name: 'KafkaJSNonRetriableError',
    message: "Not requiring ack for all messages invalidates the idempotent producer's EoS guarantees",
  });
});

test('flush sends what lingers, disconnect too', async () => {
  await topic('a');
  const producer = kafka.producer({ linger: 1e8 });
  await producer.connect();
  const first = producer.send({ topic: 'a', messages: [{ value: '1' }] });
  await producer.flush();
  expect((await first)[0]!.baseOffset).toBe('0');
  const second = producer.send({ topic: 'a', messages: [{ value: '2' }] });
  await producer.disconnect();
  expect((await second)[0]!.baseOffset).toBe('1');
});

test.each([
  { name: 'that connects by itself', connects: false },
  { name: 'whose connection nobody waited for', connects: true },
])('flush waits for the first send of a producer $name', async ({ connects }) => {
  const producer = kafka.producer({ linger: 1e8 });
  const connected = connects ? producer.connect() : undefined;
  let isSent = false;
  const sent = producer.send({ topic: 't', messages: [{ value: '1' }] }).then(() => (isSent = true));
  await producer.flush();
  expect(isSent).toBe(true);
  await Promise.all([connected, sent]);
});

// Goal: sends keep their order from the first one on. Method: some of them can be aborted, which takes more turns to wait for.
test.each([
  { name: 'that connects by itself', connects: false },
  { name: 'whose connection nobody waited for', connects: true },
])('the first sends of a producer $name keep their order, and their end is waited for', async ({ connects }) => {
  const producer = kafka.producer();
  const connected = connects ? producer.connect() : undefined;
  const { signal } = new AbortController();
  const sends = Array.from({ length: 6 }, (_, i) =>
    producer.send({ topic: 't', messages: [{ value: '' }], ...(i % 2 === 0 && { signal }) }),
  );
  await producer.disconnect();
  const answers = (await Promise.all(sends)).flat();
  expect(answers.map(({ baseOffset }) => baseOffset)).toEqual(['0', '1', '2', '3', '4', '5']);
  await connected;
});

test('whoever disconnects a producer once more waits for the same end, and connects it again behind that', async () => {
  const producer = kafka.producer();
  await producer.connect();
  const done: string[] = [];
  const sent = producer.send({ topic: 't', messages: [{ value: '1' }] }).then(() => done.push('sent'));
  const first = producer.disconnect();
  await producer.disconnect();
  done.push('disconnected');
  await Promise.all([sent, first]);
  expect(done).toEqual(['sent', 'disconnected']);
  await producer.connect();
  await Promise.all([producer.disconnect(), producer.connect()]);
  await producer.send({ topic: 't', messages: [{ value: '2' }] });
  await Promise.all([producer.disconnect(), producer.connect(), producer.disconnect()]);
  await expect(producer.send({ topic: 't', messages: [{ value: '3' }] })).rejects.toThrow('disconnected');
});

test('typed serdes turn values into bytes and back', async () => {
  await topic('orders');
  interface Order {
    readonly amount: number;
  }
  await using producer = kafka.producer({ keySerde: serdes.int32, valueSerde: serdes.json<Order>() });
  await producer.connect();
  await producer.send({ topic: 'orders', messages: [{ key: 7, value: { amount: 3 } }] });
  const consumer = kafka.consumer({ keySerde: serdes.int32, valueSerde: serdes.json<Order>() });
  await consumer.assign([{ topic: 'orders', partition: 0, offset: '0' }]);
  for await (const { key, value } of consumer) {
    const amount: number = value!.amount;
    expect([key, amount]).toEqual([7, 3]);
    break;
  }
  await expect(
    producer.send({ topic: 'orders', messages: [{ key: 1.5, value: { amount: 1 } }] }),
  ).rejects.toMatchObject({
    name: 'KafkaJSNonRetriableError',
    type: 'INVALID_RECORD',
  });
});

describe('bad input', () => {
  const cases: readonly [string, unknown, object][] = [
    ['a number as value', { value: 1 }, { name: 'KafkaJSNonRetriableError', type: 'INVALID_RECORD' }],
    ['an object as value', { value: {} }, { name: 'KafkaJSNonRetriableError', type: 'INVALID_RECORD' }],
    ['an object as key', { key: {}, value: '' }, { name: 'KafkaJSNonRetriableError', type: 'INVALID_RECORD' }],
    [
      'a number as header',
      { value: '', headers: { a: 1 } },
      { name: 'KafkaJSNonRetriableError', type: 'INVALID_RECORD' },
    ],
    ['no value', { key: 'a' }, { message: 'Invalid message without value for topic "orders": {"key":"a"}' }],
    ['a timestamp that is none', { value: '', timestamp: 'now' }, { type: 'INVALID_TIMESTAMP' }],
    [
      'a partition out of range',
      { value: '', partition: 9 },
      { type: 'UNKNOWN_TOPIC_OR_PARTITION', name: 'KafkaJSProtocolError' },
    ],
    ['a negative partition', { value: '', partition: -1 }, { type: 'UNKNOWN_TOPIC_OR_PARTITION' }],
    ['a record above max.message.bytes', { value: 'x'.repeat(5000) }, { type: 'MESSAGE_TOO_LARGE' }],
  ];

  test.each(cases)(
    '%s fails its send as a whole, and the sends beside it are stored',
    async (_name, message, error) => {
      await topic('orders', 1, { 'max.message.bytes': '2000' });
      await using producer = kafka.producer();
      await producer.connect();
      const before = producer.send({ topic: 'orders', messages: [{ value: 'before' }] });
      const bad = producer.send({ topic: 'orders', messages: [{ value: 'beside' }, message as { value: string }] });
      const after = producer.send({ topic: 'orders', messages: [{ value: 'after' }] });
      await expect(bad).rejects.toMatchObject(error);
      await before;
      await after;
      const values = (await readAll(kafka, 'orders')).map(text);
      expect(values.filter((value) => value !== 'beside')).toEqual(['before', 'after']);
    },
  );

  test('records that only together are above max.message.bytes are split', async () => {
    await topic('orders', 1, { 'max.message.bytes': '2000' });
    await using producer = kafka.producer();
    await producer.connect();
    const sends = Array.from({ length: 40 }, (_, i) =>
      producer.send({ topic: 'orders', messages: [{ value: `${i}`.padEnd(300) }] }),
    );
    const offsets = (await Promise.all(sends)).map(([result]) => Number(result!.baseOffset));
    expect(offsets).toEqual(Array.from({ length: 40 }, (_, i) => i));
    expect((await readAll(kafka, 'orders')).map((message) => text(message)!.trim())).toEqual(offsets.map(String));
  });

  test('compressed ones, too', async () => {
    await topic('orders', 1, { 'max.message.bytes': '4000' });
    await using producer = kafka.producer();
    await producer.connect();
    const random = seededRandom(3);
    const noise = (): string => Array.from({ length: 300 }, () => String.fromCharCode(33 + random.below(90))).join('');
    const values = Array.from({ length: 60 }, noise);
    const settings = { topic: 'orders', compression: CompressionTypes.GZIP };
    const sends = values.map((value) => producer.send({ ...settings, messages: [{ value }] }));
    const offsets = (await Promise.all(sends)).map(([result]) => Number(result!.baseOffset));
    expect(offsets).toEqual(values.map((_, i) => i));
    expect((await readAll(kafka, 'orders')).map(text)).toEqual(values);
  });

  test('an unknown topic is created, or refused where that is not allowed', async () => {
    await using producer = kafka.producer({ allowAutoTopicCreation: false });
    await producer.connect();
    await expect(producer.send({ topic: 'nope', messages: [{ value: '' }] })).rejects.toMatchObject({
      name: 'KafkaJSProtocolError',
      type: 'UNKNOWN_TOPIC_OR_PARTITION',
    });
    await using creating = kafka.producer();
    await creating.connect();
    expect(await creating.send({ topic: 'yes', messages: [{ value: '' }] })).toHaveLength(1);
  });

  test('an illegal topic name, no messages, a bad acks value and a closed client are refused', async () => {
    const producer = kafka.producer();
    await producer.connect();
    await expect(producer.send({ topic: 'a b', messages: [{ value: '' }] })).rejects.toMatchObject({
      type: 'INVALID_TOPIC_EXCEPTION',
    });
    await expect(producer.send({ topic: '', messages: [] })).rejects.toThrow('Invalid topic');
    await expect(producer.send({ topic: 'a', messages: undefined as never })).rejects.toThrow(
      'Invalid messages array [undefined] for topic "a"',
    );
    await expect(producer.send({ topic: 'a', acks: 2, messages: [] })).rejects.toMatchObject({
      type: 'INVALID_REQUIRED_ACKS',
    });
    await producer.disconnect();
    await expect(producer.send({ topic: 'a', messages: [{ value: '' }] })).rejects.toMatchObject({
      name: 'KafkaJSError',
      message: 'The producer is disconnected',
    });
  });
});

test('an aborted send ends at once and does not disturb others', async () => {
  await topic('a');
  await using producer = kafka.producer({ linger: 1e8 });
  await producer.connect();
  const controller = new AbortController();
  const aborted = producer.send({ topic: 'a', messages: [{ value: '1' }], signal: controller.signal });
  controller.abort(new Error('enough'));
  await expect(aborted).rejects.toThrow('enough');
  await producer.flush();
});

test('many sends at once, more than is encoded ahead, are all stored, in their order', async () => {
  await using producer = kafka.producer();
  await producer.connect();
  const tail = 'x'.repeat(50_000);
  const sends = Array.from({ length: 100 }, (_, i) =>
    producer.send({ topic: 't', messages: [{ value: `${i} ${tail}` }] }),
  );
  const offsets = (await Promise.all(sends)).map(([answer]) => Number(answer?.baseOffset));
  expect(offsets).toEqual(Array.from({ length: 100 }, (_, i) => i));
  const values = (await readAll(kafka, 't')).map((message) => Number.parseInt(text(message) ?? '', 10));
  expect(values).toEqual(offsets);
});

// Goal: callers that each wait for their answer share requests, however they began (linger 0).
// Method: 16 loops of one record each, begun one turn after the other.
test('senders of one record each that wait for their answers go together', async () => {
  await topic('one');
  await using producer = kafka.producer();
  await producer.connect();
  await producer.send({ topic: 'one', messages: [{ value: 'first' }] });
  let requests = 0;
  producer.on(producer.events.REQUEST, ({ payload }) => {
    if ((payload as { apiName: string }).apiName === 'Produce') requests++;
  });
  const rounds = 10;
  const loop = async (): Promise<void> => {
    for (let i = 0; i < rounds; i++) await producer.send({ topic: 'one', messages: [{ value: 'x' }] });
  };
  const loops: Promise<void>[] = [];
  for (let i = 0; i < 16; i++) {
    loops.push(loop());
    await Promise.resolve();
  }
  await Promise.all(loops);
  expect(requests).toBeLessThanOrEqual(rounds + 2);
  expect(await readAll(kafka, 'one')).toHaveLength(1 + 16 * rounds);
});
