import { expect, test } from 'vitest';
import { type Kafka, KafkaJSConnectionError, kafkaOn, logLevel } from '../../src/index.js';
import { KafkaError } from '../../src/protocol/errors.js';
import { countingRuntime } from '../../src/runtime/counting-runtime.js';
import { inProcessRuntime } from '../../src/runtime/node-runtime.js';
import { InProcessCluster } from '../../src/testing/index.js';
import { deferred } from '../../src/util/signal.js';

test('a client that was used and closed leaves no timer, lock or channel', async () => {
  const { runtime, open } = countingRuntime(inProcessRuntime());
  const cluster = new InProcessCluster({ runtime, brokerConfig: { 'group.initial.rebalance.delay.ms': '0' } });
  const kafka = new cluster.Kafka({ logLevel: logLevel.NOTHING });
  const producer = kafka.producer({ linger: 5 });
  await producer.connect();
  await producer.send({ topic: 't', messages: [{ value: '1' }] });
  const consumer = kafka.consumer({ groupId: 'g' });
  await consumer.subscribe({ topic: 't', fromBeginning: true });
  const received = deferred();
  await consumer.run({ eachMessage: async () => received.resolve() });
  await received.promise;
  await kafka.admin().listTopics();
  expect(open().timers).toBeGreaterThan(0);
  await kafka.close();
  await cluster.close();
  await Promise.resolve();
  expect(open()).toEqual({ timers: 0, locks: 0, channels: 0 });
});

test('a client may be used again after it was disconnected', async () => {
  await using cluster = new InProcessCluster();
  const kafka = new cluster.Kafka({ logLevel: logLevel.NOTHING });
  const producer = kafka.producer();
  for (const expected of ['0', '1']) {
    await producer.connect();
    const [result] = await producer.send({ topic: 't', messages: [{ value: 'v' }] });
    expect(result!.baseOffset).toBe(expected);
    await producer.disconnect();
  }
  await kafka.close();
});

test('a client that is disconnected while it connects holds nothing afterwards', async () => {
  const { runtime, open } = countingRuntime(inProcessRuntime());
  const cluster = new InProcessCluster({ runtime });
  const kafka = new cluster.Kafka({ logLevel: logLevel.NOTHING });
  for (const client of [kafka.admin(), kafka.consumer(), kafka.producer()]) {
    const connecting = client.connect();
    await client.disconnect();
    await connecting;
    await Promise.resolve();
    expect(open()).toEqual({ timers: 0, locks: 0, channels: 0 });
  }
  await cluster.close();
});

test('a producer that cannot connect holds nothing afterwards, whenever it tries', async () => {
  const { runtime, open } = countingRuntime(inProcessRuntime());
  let closeCount = 0;
  const send = async (): Promise<never> => {
    throw new KafkaError('INVALID_REQUEST', 'no ids');
  };
  const Kafka = kafkaOn({ runtime, connect: () => ({ send, close: async () => void closeCount++ }) });
  const producer = new Kafka({ logLevel: logLevel.NOTHING }).producer();
  for (const attempt of [1, 2]) {
    await expect(producer.connect()).rejects.toThrow('no ids');
    expect([open().timers, closeCount]).toEqual([0, attempt]);
  }
});

test('an attempt that waits for its turn ends when its client is disconnected', async () => {
  const { runtime, open } = countingRuntime(inProcessRuntime());
  const refused = deferred();
  const send = async (): Promise<never> => {
    refused.resolve();
    throw new KafkaError('LEADER_NOT_AVAILABLE', 'nobody leads');
  };
  const channel = { send, close: async () => {} };
  const Kafka = kafkaOn({ runtime, connect: () => channel });
  const consumer = new Kafka({ logLevel: logLevel.NOTHING }).consumer({ groupId: 'g' });
  const subscribing = consumer.subscribe({ topic: 't' });
  subscribing.catch(() => {});
  await refused.promise;
  await Promise.resolve();
  await consumer.disconnect();
  await expect(subscribing).rejects.toThrow();
  expect(open().timers).toBe(0);
});

/** What it fails with, heard of from now on. */
function outcomeOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => 'done',
    (error: unknown) => error,
  );
}

// Goal: `Kafka.close` leaves nothing of whatever is under way. Method: each public object is closed in the midst of its work.
const UNDER_WAY: readonly {
  readonly name: string;
  readonly begin: (kafka: Kafka) => Promise<() => Promise<unknown>>;
}[] = [
  {
    name: 'a consumer that reads ahead',
    begin: async (kafka) => {
      const consumer = kafka.consumer();
      await consumer.assign(ALL);
      const reading = deferred();
      const over = deferred();
      let count = 0;
      const eachMessage = async (): Promise<void> => {
        if (++count < 40) return;
        reading.resolve();
        await over.promise;
      };
      await consumer.run({ partitionsConsumedConcurrently: 2, eachMessage });
      await reading.promise;
      return async () => over.resolve();
    },
  },
  {
    name: 'a member of a group that joins',
    begin: async (kafka) => {
      const consumer = kafka.consumer({ groupId: 'g' });
      const joining = consumer.subscribe({ topic: 't', fromBeginning: true }).then(() => consumer.run());
      return () => joining.catch((error: unknown) => expect(error).toBeInstanceOf(KafkaJSConnectionError));
    },
  },
  {
    name: 'a loop over a consumer that waits at the end',
    begin: async (kafka) => {
      const consumer = kafka.consumer();
      await consumer.assign(ALL);
      const reachedEnd = deferred();
      const loop = async (): Promise<void> => {
        let count = 0;
        for await (const _ of consumer) if (++count === RECORDS) reachedEnd.resolve();
      };
      const looping = loop();
      await reachedEnd.promise;
      return () => looping;
    },
  },
  {
    name: 'a loop over a consumer that was left',
    begin: async (kafka) => {
      const consumer = kafka.consumer();
      await consumer.assign(ALL);
      for await (const _ of consumer) break;
      return async () => {};
    },
  },
  {
    name: 'a watch of the storage',
    begin: async (kafka) => {
      const changes = kafka.storage.changes()[Symbol.asyncIterator]();
      await changes.next();
      const next = changes.next();
      return async () => expect((await next).done).toBe(true);
    },
  },
  {
    name: 'a watch of the storage that was left',
    begin: async (kafka) => {
      for await (const _ of kafka.storage.changes()) break;
      return async () => {};
    },
  },
  {
    name: 'a check of the logs',
    begin: async (kafka) => {
      const begun = deferred();
      const checking = kafka.admin().checkLogs({ onProgress: () => begun.resolve() });
      const outcome = outcomeOf(checking);
      await begun.promise;
      return async () => expect(await outcome).toBeInstanceOf(KafkaJSConnectionError);
    },
  },
  {
    name: 'an export',
    begin: async (kafka) => {
      const producer = kafka.producer();
      // More than one request brings.
      for (let i = 0; i < 6; i++) {
        await producer.send({ topic: 'large', messages: [{ partition: 0, value: 'x'.repeat(900_000) }] });
      }
      const files = kafka.admin().exportPartition({ topic: 'large', partition: 0, segmentBytes: 500_000 });
      const iterator = files[Symbol.asyncIterator]();
      await iterator.next();
      return async () => {
        const rest = async (): Promise<void> => {
          while (!(await iterator.next()).done);
        };
        await expect(rest()).rejects.toBeInstanceOf(KafkaJSConnectionError);
      };
    },
  },
  {
    name: 'an import',
    begin: async (kafka) => {
      const admin = kafka.admin();
      await admin.createTopics({ topics: [{ topic: 'copy' }] });
      const segments: Blob[] = [];
      for await (const { log } of admin.exportPartition({ topic: 't', partition: 0, segmentBytes: 2000 })) {
        segments.push(log);
      }
      const begun = deferred();
      admin.on(admin.events.REQUEST, ({ payload }) => payload.apiName === 'ImportLog' && begun.resolve());
      const importing = admin.importPartition({ topic: 'copy', partition: 0, segments });
      const outcome = outcomeOf(importing);
      await begun.promise;
      return async () => expect(await outcome).toBeInstanceOf(KafkaJSConnectionError);
    },
  },
  {
    name: 'a producer whose sends linger',
    begin: async (kafka) => {
      const producer = kafka.producer({ linger: 60_000 });
      await producer.connect();
      const sending = producer.send({ topic: 't', messages: [{ value: 'late' }] });
      return async () => expect(await sending).toHaveLength(1);
    },
  },
  {
    name: 'clients that connect',
    begin: async (kafka) => {
      const connecting = [kafka.admin(), kafka.consumer(), kafka.producer()].map((client) => client.connect());
      return () => Promise.all(connecting);
    },
  },
];

const ALL = [0, 1].map((partition) => ({ topic: 't', partition, offset: '0' }));
const RECORDS = 120;

test.each(
  UNDER_WAY.flatMap((work) => [
    { ...work, title: work.name, isShared: false },
    { ...work, title: `${work.name}, encrypted, beside a second host`, isShared: true },
  ]),
)('$title, holds nothing once its Kafka is closed', async ({ begin, isShared }) => {
  const { runtime, open } = countingRuntime(inProcessRuntime());
  const cluster = new InProcessCluster({ runtime, brokerConfig: { 'group.initial.rebalance.delay.ms': '0' } });
  if (isShared) await cluster.addHost();
  const key = await crypto.subtle.generateKey({ name: 'AES-GCM', length: 256 }, false, ['encrypt', 'decrypt']);
  const encryption = !isShared ? undefined : { keyId: 'k', keys: { k: key as CryptoKey } };
  const kafka = new cluster.Kafka({ logLevel: logLevel.NOTHING, ...(encryption && { encryption }) });
  await kafka.admin().createTopics({ topics: [{ topic: 't', numPartitions: 2 }] });
  const producer = kafka.producer();
  for (let round = 0; round < RECORDS / 20; round++) {
    const messages = Array.from({ length: 20 }, (_, i) => ({ partition: i % 2, value: `${round} ${i}`.padEnd(500) }));
    await producer.send({ topic: 't', messages });
  }
  const outcome = await begin(kafka);
  const closed = kafka.close();
  await outcome();
  await closed;
  if (isShared) await cluster.close();
  await new Promise((resolve) => setImmediate(resolve));
  expect(open()).toEqual({ timers: 0, locks: 0, channels: 0 });
});

test('a client whose host does not start stops trying when its Kafka is closed', async () => {
  const { runtime, open } = countingRuntime(inProcessRuntime());
  const refused = deferred();
  const connect = (): never => {
    refused.resolve();
    throw new KafkaError('LEADER_NOT_AVAILABLE', 'not yet');
  };
  const Kafka = kafkaOn({ runtime, connect });
  const kafka = new Kafka({ logLevel: logLevel.NOTHING, retry: { initialRetryTime: 60_000 } });
  const listing = kafka.admin().listTopics();
  const outcome = expect(listing).rejects.toBeInstanceOf(KafkaJSConnectionError);
  await refused.promise;
  await new Promise((resolve) => setImmediate(resolve));
  expect(open().timers).toBe(1);
  await kafka.close();
  await outcome;
  expect(open().timers).toBe(0);
});
