import { beforeEach, describe, expect, test } from 'vitest';
import {
  type Admin,
  ConfigResourceTypes,
  KafkaJSAggregateError,
  type KafkaJSProtocolError,
  logLevel,
} from '../../src/index.js';
import { InProcessCluster } from '../../src/testing/index.js';
import { cluster, kafka, useKafka } from './client-cluster.js';
import { readAll } from './read-all.js';

// Goal: bad input is refused with a typed error, Kafka's name where it has one, and a text that says what was expected
// and found; what stands beside it is stored. (Bad records: producer.test.ts.)

let admin: Admin;

useKafka({
  'num.partitions': '1',
  'group.initial.rebalance.delay.ms': '0',
  'auto.create.topics.enable': 'false',
});

beforeEach(async () => {
  admin = kafka.admin();
  await admin.createTopics({ topics: [{ topic: 'orders', numPartitions: 2 }] });
});

describe('what a bad record is told', () => {
  test.each([
    ['a number', 5, /expected .*(string|bytes|null).*found.*(5|number)/i],
    ['a boolean', true, /expected .*(string|bytes|null).*found.*(true|boolean)/i],
    ['a function', () => {}, /expected .*(string|bytes|null).*found.*function/i],
    ['an object', { a: 1 }, /expected .*(string|bytes|null).*found.*object/i],
    ['a list', ['a'], /expected .*(string|bytes|null).*found/i],
    ['a symbol', Symbol('value'), /expected .*(string|bytes|null).*found.*symbol/i],
  ])('%s as value', async (_name, value, message) => {
    const producer = kafka.producer();
    const bad = producer.send({ topic: 'orders', messages: [{ value: value as never, partition: 0 }] });
    const good = producer.send({ topic: 'orders', messages: [{ value: 'good', partition: 0 }] });
    await expect(bad).rejects.toMatchObject({
      name: 'KafkaJSNonRetriableError',
      type: 'INVALID_RECORD',
      message: expect.stringMatching(message),
    });
    expect((await good)[0]?.baseOffset).toBe('0');
  });

  test('a partition out of range, with the number of partitions that there are', async () => {
    await expect(
      kafka.producer().send({ topic: 'orders', messages: [{ value: '', partition: 2 }] }),
    ).rejects.toMatchObject({
      type: 'UNKNOWN_TOPIC_OR_PARTITION',
      message: expect.stringMatching(/2/),
    });
  });

  test('a record above max.message.bytes, with both sizes; the batch of the other partition is stored', async () => {
    const producer = kafka.producer();
    const sent = producer.send({
      topic: 'orders',
      messages: [
        { value: 'small', partition: 0 },
        { value: 'x'.repeat(2_000_000), partition: 1 },
      ],
    });
    await expect(sent).rejects.toMatchObject({
      name: 'KafkaJSProtocolError',
      type: 'MESSAGE_TOO_LARGE',
      message: expect.stringMatching(/1048588.*20000\d\d|20000\d\d.*1048588/),
    });
    expect((await readAll(kafka, 'orders')).map(({ value }) => String(value))).toEqual(['small']);
  });
});

test('records that only together are above segment.bytes are sent in more batches; one that is alone is refused', async () => {
  const configEntries = [{ name: 'segment.bytes', value: '4096' }];
  await admin.createTopics({ topics: [{ topic: 'short', numPartitions: 1, configEntries }] });
  const producer = kafka.producer();
  const values = Array.from({ length: 40 }, (_, index) => `${index} `.padEnd(500));
  await Promise.all(values.map((value) => producer.send({ topic: 'short', messages: [{ value }] })));
  await producer.send({ topic: 'short', messages: values.map((value) => ({ value })) });
  expect((await readAll(kafka, 'short')).map(({ value }) => String(value))).toEqual([...values, ...values]);
  const large = producer.send({ topic: 'short', messages: [{ value: 'x'.repeat(5000) }] });
  await expect(large).rejects.toMatchObject({ type: 'RECORD_LIST_TOO_LARGE' });
});

test('an unknown topic is refused by every client where the broker creates none', async () => {
  const error = { type: 'UNKNOWN_TOPIC_OR_PARTITION', message: expect.stringContaining('nope') };
  const quick = { retry: { retries: 1, initialRetryTime: 1 } };
  const sent = kafka.producer(quick).send({ topic: 'nope', messages: [{ value: '' }] });
  await expect(sent).rejects.toMatchObject(error);
  await expect(kafka.consumer({ groupId: 'g', ...quick }).subscribe({ topics: ['nope'] })).rejects.toMatchObject(error);
  await expect(admin.fetchTopicOffsets('nope')).rejects.toMatchObject(error);
  await expect(admin.deleteTopics({ topics: ['nope'] })).rejects.toMatchObject(error);
  expect(await admin.listTopics()).toEqual(['orders']);
});

test.each([
  ['', /Invalid topic|topic name "" is illegal: expected 1 to 249 characters/],
  ['.', /'\.'|"\."/],
  ['..', /'\.\.'|"\.\."/],
  ['a b', /a b/],
  ['ü', /ü/],
  ['x'.repeat(250), /249/],
])('the illegal topic name %j is refused by every client', async (topic, message) => {
  const refused = async (work: Promise<unknown>): Promise<void> => {
    const reason = await work.then(
      () => undefined,
      (caught) => caught,
    );
    const error = reason instanceof KafkaJSAggregateError ? (reason.errors[0] as KafkaJSProtocolError) : reason;
    expect(error).toBeInstanceOf(Error);
    expect(error.message).toMatch(message);
    if (topic !== '') expect(error.type).toBe('INVALID_TOPIC_EXCEPTION');
  };
  await refused(admin.createTopics({ topics: [{ topic }] }));
  await refused(kafka.producer().send({ topic, messages: [{ value: '' }] }));
});

test('unknown and impossible configs are refused by name, and the topic beside is made', async () => {
  const entries = (name: string, value: string) => [{ name, value }];
  await expect(
    admin.createTopics({
      topics: [
        { topic: 'good' },
        { topic: 'unknown', configEntries: entries('no.such.config', '1') },
        { topic: 'impossible', configEntries: entries('retention.ms', 'soon') },
      ],
    }),
  ).rejects.toMatchObject({
    errors: [
      { topic: 'unknown', type: 'INVALID_CONFIG', message: expect.stringContaining('no.such.config') },
      { topic: 'impossible', type: 'INVALID_CONFIG', message: expect.stringMatching(/retention\.ms.*soon/) },
    ],
  });
  expect((await admin.listTopics()).sort()).toEqual(['good', 'orders']);
  await expect(
    admin.alterConfigs({
      resources: [{ type: ConfigResourceTypes.TOPIC, name: 'orders', configEntries: entries('retention.ms', '-7') }],
    }),
  ).rejects.toMatchObject({ type: 'INVALID_CONFIG', message: expect.stringMatching(/retention\.ms.*-7/) });
});

test.each([
  ['no.such.config', '1', 'unknown broker config "no.such.config"'],
  ['num.partitions', 'many', 'num.partitions: expected an integer'],
])('a cluster does not open with the broker config %s=%s', async (name, value, message) => {
  const strange = new InProcessCluster({ brokerConfig: { [name]: value } });
  const strangeKafka = new strange.Kafka({ logLevel: logLevel.NOTHING });
  await expect(strangeKafka.admin().listTopics()).rejects.toMatchObject({
    name: 'KafkaJSConnectionError',
    type: 'INVALID_CONFIG',
    message: expect.stringContaining(message),
    retriable: false,
  });
  await strange.close();
});

describe('a negative offset', () => {
  const negative = { message: expect.stringContaining('must not be a negative number') };

  test('to seek, to assign and to commit', async () => {
    const consumer = kafka.consumer({ groupId: 'g' });
    await consumer.subscribe({ topics: ['orders'] });
    await consumer.run({ eachMessage: async () => {} });
    const place = { topic: 'orders', partition: 0 };
    expect(() => consumer.seek({ ...place, offset: '-3' })).toThrow('must not be a negative number');
    await expect(consumer.commitOffsets([{ ...place, offset: '-1' }])).rejects.toMatchObject(negative);
    await expect(kafka.consumer().assign([{ ...place, offset: '-3' }])).rejects.toMatchObject(negative);
  });

  test('to set as a group’s and to delete before', async () => {
    const partitions = [{ partition: 0, offset: '-3' }];
    await expect(admin.setOffsets({ groupId: 'g', topic: 'orders', partitions })).rejects.toMatchObject(negative);
    await expect(admin.deleteTopicRecords({ topic: 'orders', partitions })).rejects.toMatchObject({
      name: 'KafkaJSDeleteTopicRecordsError',
      partitions: [
        {
          partition: 0,
          offset: '-3',
          error: { type: 'OFFSET_OUT_OF_RANGE', message: expect.stringMatching(/-3.*expected 0 to 0/) },
        },
      ],
    });
  });
});

test('a closed client refuses everything that needs it open', async () => {
  const producer = kafka.producer();
  await producer.connect();
  const consumer = kafka.consumer({ groupId: 'g' });
  await consumer.subscribe({ topics: ['orders'] });
  await consumer.run({ eachMessage: async () => {} });
  await kafka.close();
  await expect(producer.send({ topic: 'orders', messages: [{ value: '' }] })).rejects.toMatchObject({
    name: 'KafkaJSError',
    message: 'The producer is disconnected',
  });
  expect(() => consumer.seek({ topic: 'orders', partition: 0, offset: '0' })).toThrow(
    'consumer#run must be called first',
  );
  await expect(consumer.commitOffsets([{ topic: 'orders', partition: 0, offset: '0' }])).rejects.toThrow(
    'consumer#run must be called first',
  );
});

describe('numbers in the configs of clients', () => {
  test.each(['5', Number.NaN, -1, 5n, {}, true])('%s is none', async (value) => {
    const given = value as number;
    const refused = { name: 'KafkaJSNonRetriableError', message: expect.stringContaining(`received ${String(value)}`) };
    const thrown = (make: () => unknown): unknown => {
      try {
        return make();
      } catch (error) {
        return error;
      }
    };
    expect(thrown(() => new cluster.Kafka({ requestTimeout: given }))).toMatchObject(refused);
    expect(thrown(() => kafka.admin({ retry: { retries: given } }))).toMatchObject(refused);
    expect(thrown(() => kafka.producer({ bufferMemory: given }))).toMatchObject(refused);
    expect(thrown(() => kafka.consumer({ maxWaitTimeInMs: given }))).toMatchObject(refused);
    const sent = kafka.producer().send({ topic: 'orders', timeout: given, messages: [{ value: '' }] });
    await expect(sent).rejects.toMatchObject(refused);
  });

  test('a producer that would linger beyond its delivery timeout is refused, for it would send nothing', () => {
    expect(() => kafka.producer({ linger: 2, deliveryTimeout: 1 })).toThrow(
      'expected at most deliveryTimeout 1, received 2',
    );
  });
});

// Such a consumer would ask again and again without a pause, and nothing else would run in its thread.
test.each([{ maxWaitTimeInMs: 0 }, { minBytes: 0 }])(
  'a consumer with %o does not keep its thread busy',
  async (config) => {
    await using consumer = kafka.consumer(config);
    let fetches = 0;
    consumer.on(consumer.events.FETCH_START, () => {
      if (++fetches > 5000) throw new Error('it asks without a pause');
    });
    await consumer.assign([{ topic: 'orders', partition: 0, offset: '0' }]);
    await consumer.run({ eachMessage: async () => {} });
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(fetches).toBeLessThan(100);
  },
);

test('any number of partitions may be asked for at once', async () => {
  await using consumer = kafka.consumer({ groupId: 'g' });
  await consumer.subscribe({ topic: 'orders', fromBeginning: true });
  const seen = new Promise<void>((resolve) => {
    const config = { partitionsConsumedConcurrently: Number.MAX_SAFE_INTEGER, eachMessage: async () => resolve() };
    void consumer.run(config);
  });
  await kafka.producer().send({ topic: 'orders', messages: [{ value: 'v' }] });
  await seen;
});
