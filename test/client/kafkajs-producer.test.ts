import { describe, expect, test } from 'vitest';
import { kafkaOn, logLevel, type PartitionerArgs, Partitioners } from '../../src/index.js';
import { deferred } from '../../src/util/signal.js';
import { cluster, kafka, topic, useCluster } from './client-cluster.js';
import { faultyPlatform } from './faulty-platform.js';
import { readAll } from './read-all.js';

// Goal: what KafkaJS's own specs expect of a producer, and code written for it therefore relies on, is so here. Cases that other
// files here have are not repeated.

useCluster();

describe('a producer that says nothing of idempotence', () => {
  test('takes acks 1, and acks 0, which is answered at once; what cannot be sent is refused all the same', async () => {
    await topic('t');
    const own = kafka.producer();
    await own.connect();
    const [result] = await own.send({ topic: 't', acks: 1, messages: [{ value: '0' }] });
    expect(result).toMatchObject({ topicName: 't', partition: 0, errorCode: 0, baseOffset: '0' });
    expect(await own.send({ topic: 't', acks: 0, messages: [{ value: '1' }] })).toEqual([]);
    expect(await own.sendBatch({ acks: 0, topicMessages: [{ topic: 't', messages: [{ value: '2' }] }] })).toEqual([]);
    await expect(own.send({ topic: 't', acks: 0, messages: [{} as never] })).rejects.toThrow('without value');
    await expect(own.send({ topic: 'a b', acks: 0, messages: [{ value: '' }] })).rejects.toMatchObject({
      type: 'INVALID_TOPIC_EXCEPTION',
    });
    await own.disconnect(); // sends what nobody waits for
    expect((await readAll(kafka, 't')).map(({ value }) => String(value))).toEqual(['0', '1', '2']);
  });

  test('may want no retries', async () => {
    await topic('t');
    const own = kafka.producer({ retry: { retries: 0 } });
    expect(own.isIdempotent()).toBe(false);
    expect(await own.send({ topic: 't', acks: 0, messages: [{ value: '0' }] })).toEqual([]);
    expect(kafka.producer().isIdempotent()).toBe(true);
    expect(() => kafka.producer({ idempotent: true, retry: { retries: 0 } })).toThrow(
      'Idempotent producer must allow retries to protect against transient errors',
    );
  });
});

// Goal: who asks a Kafka for few retries is told soon by its producers, too, and gets none at all where that is asked for.
// Method: no request to produce arrives; after the first another is sent at once, for there may be a new leader.
test.each([
  [{ retries: 1 }, {}, { requests: 3, isIdempotent: true }],
  [{ retries: 0 }, {}, { requests: 1, isIdempotent: false }],
  [{ retries: 0 }, { retry: { retries: 2 } }, { requests: 4, isIdempotent: true }],
])('the retries of a Kafka, %j, count for a producer with %j', async (retry, config, expected) => {
  await topic('t');
  let requests = 0;
  const Client = kafkaOn(
    faultyPlatform(cluster, (api) => (api === 'Produce' && requests++ < 9 ? 'lost request' : 'none')),
  );
  const soon = { initialRetryTime: 1, maxRetryTime: 1, factor: 0 };
  const unlucky = new Client({ logLevel: logLevel.NOTHING, retry: { ...soon, ...retry } });
  const own = unlucky.producer(config);
  await expect(own.send({ topic: 't', messages: [{ value: '' }] })).rejects.toMatchObject({
    name: 'KafkaJSNumberOfRetriesExceeded',
    outcomeUnknown: true,
  });
  expect({ requests, isIdempotent: own.isIdempotent() }).toEqual(expected);
  await unlucky.close();
});

describe.each(['DefaultPartitioner', 'LegacyPartitioner', 'JavaCompatiblePartitioner'] as const)(
  '%s, asked',
  (name) => {
    const partitions = [1, 2, 0].map((partitionId) => {
      return { partitionId, leader: partitionId, partitionErrorCode: 0, replicas: [], isr: [], offlineReplicas: [] };
    });
    const asked = (
      times: number,
      { topics = ['t'], partitionMetadata = partitions } = {},
    ): Record<string, number[]> => {
      const place = Partitioners[name]();
      const placed = Object.fromEntries(topics.map((of) => [of, [] as number[]]));
      for (let i = 0; i < times; i++) {
        for (const of of topics) placed[of]!.push(place({ topic: of, partitionMetadata, message: { value: '' } }));
      }
      return placed;
    };

    test('goes round robin without keys, in each topic for itself', () => {
      const { t, u } = asked(4, { topics: ['t', 'u'], partitionMetadata: partitions.slice(0, 2) });
      expect(t!.sort()).toEqual([1, 1, 2, 2]);
      expect(u!.sort()).toEqual([1, 1, 2, 2]);
    });

    test('leaves out partitions that nobody leads, if there are others', () => {
      const partitionMetadata = partitions.map((entry) => ({ ...entry, leader: entry.partitionId === 1 ? -1 : 1 }));
      expect(asked(4, { partitionMetadata })['t']!.sort()).toEqual([0, 0, 2, 2]);
      expect(
        asked(3, { partitionMetadata: partitions.map((entry) => ({ ...entry, leader: -1 })) })['t']!.sort(),
      ).toEqual([0, 1, 2]);
    });

    test('places a number as its text, and does as the message says', () => {
      const place = Partitioners[name]();
      const args = { topic: 't', partitionMetadata: partitions };
      expect(place({ ...args, message: { key: 128 as never, value: '' } })).toBe(
        place({ ...args, message: { key: '128', value: '' } }),
      );
      expect(place({ ...args, message: { key: '1', partition: 0, value: '' } })).toBe(0);
      expect(place({ ...args, message: { key: '1', partition: 99, value: '' } })).toBe(99);
    });
  },
);

test('a message may have null for a timestamp, which is now, and its partition as text', async () => {
  await topic('t', 3);
  const before = Date.now();
  const odd = { value: '', timestamp: null, partition: '2' } as never;
  const [result] = await kafka.producer().send({ topic: 't', messages: [odd] });
  expect(result?.partition).toBe(2);
  const [read] = await readAll(kafka, 't');
  expect(Number(read!.timestamp)).toBeGreaterThanOrEqual(before);
  for (const partition of ['', '3', 'x', '-1', '1.5', {}, true, 1n]) {
    const message = { value: '', partition } as never;
    await expect(kafka.producer().send({ topic: 't', messages: [message] })).rejects.toThrow('does not exist');
  }
});

test('a transaction is refused by an error that says so', async () => {
  const refused = { name: 'KafkaJSNotImplemented', message: 'Transactions are not implemented yet', retriable: false };
  await expect(kafka.producer().transaction()).rejects.toMatchObject(refused);
  expect(() => kafka.producer({ transactionalId: 'id' })).toThrow(refused.message);
});

test('a message that was read may be sent on as it is: it is placed anew, with its key, headers and timestamp', async () => {
  await topic('from', 3);
  await topic('to', 1);
  const asked: PartitionerArgs['message'][] = [];
  const own = kafka.producer();
  const placing = kafka.producer({
    createPartitioner: () => {
      return ({ message }) => {
        asked.push(message);
        return 0;
      };
    },
  });
  const sent = { key: 'k', value: 'v', headers: { again: '1' }, timestamp: '5' };
  await own.send({ topic: 'from', messages: [{ ...sent, partition: 2 }] });
  const consumer = kafka.consumer({ groupId: 'g' });
  await consumer.subscribe({ topic: 'from', fromBeginning: true });
  const done = deferred();
  await consumer.run({
    eachMessage: async ({ message }) => {
      expect(message).toMatchObject({ magicByte: 2, attributes: 0, offset: '0' });
      await own.send({ topic: 'to', messages: [message] });
      await placing.send({ topic: 'to', messages: [message] });
      done.resolve();
    },
  });
  await done.promise;
  for (const { key, value, headers, timestamp } of [...(await readAll(kafka, 'to')), ...asked]) {
    expect([key, value, headers?.['again'], timestamp].map(String)).toEqual(['k', 'v', '1', '5']);
  }
  expect(asked).toHaveLength(1);
});
