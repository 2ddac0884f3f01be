import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  CompressionTypes,
  type Consumer,
  type EncryptionConfig,
  type Kafka,
  KafkaJSEncryptionError,
  logLevel,
} from '../../src/index.js';
import { InProcessCluster } from '../../src/testing/index.js';
import { deferred } from '../../src/util/signal.js';

const TOPIC = 'letters';

let cluster: InProcessCluster;
const opened: Kafka[] = [];

beforeEach(() => {
  cluster = new InProcessCluster({ brokerConfig: { 'num.partitions': '1', 'group.initial.rebalance.delay.ms': '0' } });
});

afterEach(async () => {
  await Promise.all(opened.splice(0).map((kafka) => kafka.close()));
  await cluster.close();
});

function open(encryption?: EncryptionConfig): Kafka {
  const kafka = new cluster.Kafka({ clientId: 'test', logLevel: logLevel.NOTHING, ...(encryption && { encryption }) });
  opened.push(kafka);
  return kafka;
}

function newKey(usages: KeyUsage[] = ['encrypt', 'decrypt']): Promise<CryptoKey> {
  return crypto.subtle.generateKey({ name: 'AES-GCM', length: 256 }, false, usages) as Promise<CryptoKey>;
}

async function send(kafka: Kafka, values: readonly string[], settings = {}, topic = TOPIC): Promise<void> {
  const producer = kafka.producer();
  await producer.connect();
  await producer.send({
    topic,
    messages: values.map((value) => ({ key: 'k', value, headers: { h: value } })),
    ...settings,
  });
  await producer.disconnect();
}

async function read(kafka: Kafka, count: number, topic = TOPIC): Promise<string[]> {
  const consumer = kafka.consumer();
  await consumer.assign([{ topic, partition: 0, offset: '0' }]);
  const values: string[] = [];
  for await (const { value, headers } of consumer) {
    expect(String(headers['h'])).toBe(String(value));
    if (values.push(String(value)) === count) break;
  }
  await consumer.disconnect();
  return values;
}

function stored(): string {
  return Buffer.concat(Array.from({ length: 20 }, (_, log) => cluster.disk.read(log, 0, 1e6, 1e6)).flat()).toString(
    'latin1',
  );
}

test('what lies on the disk is encrypted, compressed or not, and mixes with what is clear', async () => {
  const keys = { k1: await newKey() };
  const kafka = open({ keyId: 'k1', keys });
  await send(kafka, ['first secret']);
  await send(kafka, ['second secret', 'third secret'], { compression: CompressionTypes.GZIP });
  await send(open(), ['in clear']);
  expect(stored()).toContain('in clear');
  expect(stored()).not.toContain('secret');
  expect(stored()).toContain('k1');
  expect(await read(kafka, 4)).toEqual(['first secret', 'second secret', 'third secret', 'in clear']);
});

test('keys are rotated: old records are read with old keys, by a look-up, too', async () => {
  const [k1, k2] = [await newKey(), await newKey()];
  await send(open({ keyId: 'k1', keys: { k1 } }), ['old']);
  await send(open({ keyId: 'k2', keys: { k1, k2 } }), ['new']);
  const asked: string[] = [];
  const keys = async (keyId: string): Promise<CryptoKey | undefined> => {
    asked.push(keyId);
    return { k1, k2 }[keyId];
  };
  expect(await read(open({ keyId: 'k2', keys }), 2)).toEqual(['old', 'new']);
  expect(asked).toEqual(['k1', 'k2']);
});

test('many small sends in flight keep their order and are stored once', async () => {
  const kafka = open({ keyId: 'k1', keys: { k1: await newKey() } });
  const producer = kafka.producer();
  await producer.connect();
  const values = Array.from({ length: 300 }, (_, i) => `${i}`.repeat(1 + (i % 40)));
  await Promise.all(
    values.map((value) => producer.send({ topic: TOPIC, messages: [{ key: 'k', value, headers: { h: value } }] })),
  );
  expect(await read(kafka, values.length)).toEqual(values);
});

test.each([
  ['without any key', async () => undefined, /expected a key with the id "k1", found keys none/],
  [
    'with another key of that id',
    async () => ({ keyId: 'k1', keys: { k1: await newKey() } }),
    /another key of that id/,
  ],
])('a reader %s gets an error that names the key', async (_what, encryption, text) => {
  await send(open({ keyId: 'k1', keys: { k1: await newKey() } }), ['secret']);
  const error = await read(open(await encryption()), 1).then(
    () => undefined,
    (caught: unknown) => caught,
  );
  expect(error).toBeInstanceOf(KafkaJSEncryptionError);
  expect(error).toMatchObject({ keyId: 'k1', retriable: false, message: expect.stringMatching(text) });
});

test('what is readable comes first, and other topics go on', async () => {
  await send(open(), ['clear 1', 'clear 2']);
  await send(open({ keyId: 'k1', keys: { k1: await newKey() } }), ['secret']);
  await send(open(), ['other 1'], {}, 'other');
  const consumer = open().consumer({ groupId: 'g' });
  await consumer.subscribe({ topics: [TOPIC, 'other'], fromBeginning: true });
  const unreadable = deferred<object>();
  consumer.on(consumer.events.PARTITION_UNREADABLE, ({ payload }) => unreadable.resolve(payload));
  const { values, until } = collecting(consumer);
  await until(3);
  expect(await unreadable.promise).toMatchObject({ topic: TOPIC, partition: 0, offset: '2', error: { keyId: 'k1' } });
  await send(open(), ['other 2'], {}, 'other');
  await until(4);
  expect([...values].sort()).toEqual(['clear 1', 'clear 2', 'other 1', 'other 2']);
  await send(open(), ['behind it'], {}, TOPIC);
  consumer.seek({ topic: TOPIC, partition: 0, offset: '3' });
  await until(5);
  expect(values.at(-1)).toBe('behind it');
  await consumer.disconnect();
});

function collecting(consumer: Consumer): { values: string[]; until(count: number): Promise<void> } {
  const values: string[] = [];
  let wake = deferred();
  void consumer.run({
    eachMessage: ({ message }) => {
      values.push(String(message.value));
      wake.resolve();
      wake = deferred();
    },
  });
  return {
    values,
    until: async (count) => {
      while (values.length < count) await wake.promise;
    },
  };
}

test('a producer without its current key, or with one that may not encrypt, sends nothing', async () => {
  const kafka = open({ keyId: 'k2', keys: { k1: await newKey() } });
  await expect(send(kafka, ['secret'])).rejects.toMatchObject({ name: 'KafkaJSEncryptionError', keyId: 'k2' });
  const readOnly = open({ keyId: 'k1', keys: { k1: await newKey(['decrypt']) } });
  await expect(send(readOnly, ['secret'])).rejects.toThrow('expected key "k1" to be an AES-GCM key that may encrypt');
  expect(stored()).not.toContain('secret');
});

test('a look-up by time answers the beginning of the batch: never a record too far', async () => {
  const kafka = open({ keyId: 'k1', keys: { k1: await newKey() } });
  const producer = kafka.producer();
  await producer.connect();
  for (const from of [1_000, 2_000]) {
    const messages = [0, 1, 2].map((i) => ({ key: 'k', value: 'secret', timestamp: String(from + i) }));
    await producer.send({ topic: TOPIC, messages });
  }
  const admin = kafka.admin();
  const offsetAt = async (timestampMs: number): Promise<string | undefined> =>
    (await admin.fetchTopicOffsetsByTimestamp(TOPIC, timestampMs))[0]?.offset;
  expect(await offsetAt(1_001)).toBe('0');
  expect(await offsetAt(1_003)).toBe('3');
  expect(await offsetAt(2_002)).toBe('3');
});

test.each([
  ['', CompressionTypes.None],
  [', compressed before', CompressionTypes.GZIP],
])('encrypted records that only together are above max.message.bytes are split%s', async (_, compression) => {
  const [k1, k2] = [await newKey(), await newKey()];
  const kafka = open({ keyId: 'k1', keys: { k1, k2 } });
  const configEntries = [{ name: 'max.message.bytes', value: '3000' }];
  await kafka.admin().createTopics({ topics: [{ topic: TOPIC, configEntries }] });
  const producer = kafka.producer();
  await producer.connect();
  const values = Array.from({ length: 40 }, (__, i) => {
    return `${i} ${Array.from({ length: i % 2 ? 3 : 9 }, () => crypto.randomUUID())}`; // does not compress well
  });
  const sends = values.map((value) =>
    producer.send({ topic: TOPIC, compression, messages: [{ key: 'k', value, headers: { h: value } }] }),
  );
  const offsets = (await Promise.all(sends)).map(([result]) => Number(result?.baseOffset));
  expect(offsets).toEqual(values.map((__, i) => i));
  expect(await read(kafka, values.length)).toEqual(values);
});

test('a single encrypted record that is too large is refused', async () => {
  const kafka = open({ keyId: 'k1', keys: { k1: await newKey() } });
  const configEntries = [{ name: 'max.message.bytes', value: '1000' }];
  await kafka.admin().createTopics({ topics: [{ topic: TOPIC, configEntries }] });
  await expect(send(kafka, ['x'.repeat(2000)])).rejects.toMatchObject({ type: 'MESSAGE_TOO_LARGE' });
});

describe('a compacted topic', () => {
  const configEntries = [{ name: 'cleanup.policy', value: 'compact' }];

  test('refuses what is encrypted where its keys stay with the page: nobody could tell what replaces what', async () => {
    const key = await newKey();
    const kafka = open({ keyId: 'k1', keys: () => key });
    await kafka.admin().createTopics({ topics: [{ topic: TOPIC, configEntries }] });
    await expect(send(kafka, ['secret'])).rejects.toMatchObject({
      type: 'INVALID_RECORD',
      message: expect.stringContaining('a key that the leading tab has not'),
    });
  });

  test('takes it where the leading tab has the keys, and stores it encrypted', async () => {
    const kafka = open({ keyId: 'k1', keys: { k1: await newKey() } });
    await kafka.admin().createTopics({ topics: [{ topic: TOPIC, configEntries }] });
    await send(kafka, ['secret']);
    expect(stored()).not.toContain('secret');
    expect(await read(kafka, 1)).toEqual(['secret']);
  });
});

test('the keys in use are named by a check of the logs, topic by topic', async () => {
  const [k1, k2] = [await newKey(), await newKey()];
  const kafka = open({ keyId: 'k1', keys: { k1 } });
  await send(kafka, ['old']);
  await send(open({ keyId: 'k2', keys: { k1, k2 } }), ['new']);
  await send(open({ keyId: 'k2', keys: { k2 } }), ['other'], {}, 'others');
  await send(open(), ['clear'], {}, 'in-clear');
  expect((await kafka.admin().checkLogs()).keyIds).toEqual({ [TOPIC]: ['k1', 'k2'], others: ['k2'] });
});

test('old records come under the new key by themselves once their segment has closed', async () => {
  const [k1, k2] = [await newKey(), await newKey()];
  const first = open({ keyId: 'k1', keys: { k1 } });
  const configEntries = [{ name: 'segment.bytes', value: '1024' }];
  await first.admin().createTopics({ topics: [{ topic: TOPIC, configEntries }] });
  for (let i = 0; i < 6; i++) await send(first, [`old ${i} `.padEnd(300, '.')]);
  await first.close();
  await cluster.close(); // the last tab is closed; another is opened
  const kafka = open({ keyId: 'k2', keys: { k1, k2 } });
  await send(kafka, ['new '.padEnd(300, '.')]); // closes what is old
  const inUse = async () => (await kafka.admin().checkLogs({ topics: [TOPIC] })).keyIds[TOPIC];
  await vi.waitFor(async () => expect(await inUse()).toEqual(['k2']), { timeout: 15_000, interval: 200 });
  const values = await read(open({ keyId: 'k2', keys: { k2 } }), 7);
  expect(values.map((value) => value.replaceAll('.', '').trim())).toEqual([
    ...[0, 1, 2, 3, 4, 5].map((i) => `old ${i}`),
    'new',
  ]);
}, 30_000);
