import { afterEach, beforeEach, expect, test } from 'vitest';
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

test('a compacted topic refuses what is encrypted: nobody could tell which record replaces which', async () => {
  const kafka = open({ keyId: 'k1', keys: { k1: await newKey() } });
  const configEntries = [{ name: 'cleanup.policy', value: 'compact' }];
  await kafka.admin().createTopics({ topics: [{ topic: TOPIC, configEntries }] });
  await expect(send(kafka, ['secret'])).rejects.toMatchObject({ type: 'INVALID_RECORD' });
});
