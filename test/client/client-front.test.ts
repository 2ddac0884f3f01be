import { expect, test } from 'vitest';
import { type ClientParts, LOADED_PARTS } from '../../src/client/client-parts.js';
import type { ClientPlatform } from '../../src/client/kafka.js';
import { STATIC_CLIENT_PARTS } from '../../src/client/static-client-parts.js';
import {
  type Kafka,
  KafkaJSConnectionError,
  type KafkaJSNonRetriableError,
  kafkaOn,
  logLevel,
} from '../../src/index.js';
import { KafkaError } from '../../src/protocol/errors.js';
import { InProcessCluster } from '../../src/testing/index.js';

interface Fixture {
  readonly kafka: Kafka;
  /** The parts that were asked for, in order. */
  readonly asked: string[];
}

function open(
  cluster: InProcessCluster,
  parts: Partial<ClientParts> = {},
  connect: ClientPlatform['connect'] = () => cluster.connect(),
): Fixture {
  const asked: string[] = [];
  const counted = <T>(name: string, load: () => Promise<T>): (() => Promise<T>) => {
    return () => {
      asked.push(name);
      return load();
    };
  };
  const all: Required<ClientParts> = { ...STATIC_CLIENT_PARTS, ...parts };
  const Client = kafkaOn({
    runtime: cluster.runtime,
    connect,
    parts: {
      producer: counted('producer', all.producer),
      recovery: counted('recovery', all.recovery),
      consumer: counted('consumer', all.consumer),
      group: counted('group', all.group),
      iteration: counted('iteration', all.iteration),
      admin: counted('admin', all.admin),
      storage: counted('storage', all.storage),
    },
  });
  return { kafka: new Client({ logLevel: logLevel.NOTHING }), asked };
}

test('a client loads its code once, when it is first used, and nothing else', async () => {
  await using cluster = new InProcessCluster();
  const { kafka, asked } = open(cluster);
  const producer = kafka.producer();
  kafka.consumer({ groupId: 'g' });
  kafka.admin();
  expect(asked).toEqual([]);
  await producer.connect();
  expect(asked).toEqual(['producer']);
  await producer.send({ topic: 'orders', messages: [{ value: 'a' }] });
  await producer.send({ topic: 'orders', messages: [{ value: 'b' }] });
  expect(asked).toEqual(['producer', 'recovery']); // what failures would need, behind the first answer
  await kafka.close();
});

test('a consumer without a group loads nothing of groups', async () => {
  await using cluster = new InProcessCluster();
  const { kafka, asked } = open(cluster);
  await kafka.consumer().assign([{ topic: 'orders', partition: 0 }]);
  expect(asked).toEqual(['consumer']);
  await kafka.consumer({ groupId: 'g' }).connect();
  expect(asked.slice(1).sort()).toEqual(['consumer', 'group']);
  await kafka.close();
});

test('a consumer in a group whose code is not all there says so, and asks for it again', async () => {
  await using cluster = new InProcessCluster();
  let attempts = 0;
  const { kafka } = open(cluster, {
    group: async () => {
      if (++attempts === 1) throw new TypeError('offline');
      return STATIC_CLIENT_PARTS.group();
    },
  });
  const consumer = kafka.consumer({ groupId: 'g' });
  const error = await consumer.connect().catch((caught: unknown) => caught);
  expect(error).toMatchObject({ name: 'KafkaJSConnectionError', retriable: true });
  await consumer.connect();
  await kafka.close();
});

test('what was never used is ended without being loaded', async () => {
  await using cluster = new InProcessCluster();
  const { kafka, asked } = open(cluster);
  const consumer = kafka.consumer({ groupId: 'g' });
  await Promise.all([kafka.producer().flush(), kafka.producer().disconnect(), kafka.admin().disconnect()]);
  await Promise.all([consumer.stop(), consumer.disconnect(), kafka.close()]);
  expect(asked).toEqual([]);
});

test('before it is loaded a consumer judges arguments and answers as one that does not run', async () => {
  await using cluster = new InProcessCluster();
  const { kafka, asked } = open(cluster);
  const consumer = kafka.consumer({ groupId: 'g' });
  const target = { topic: 'orders', partition: 0, offset: '1' };
  expect(() => consumer.seek({ ...target, topic: '' })).toThrow('Invalid topic');
  expect(() => consumer.seek({ ...target, offset: '-5' })).toThrow('Offset must not be a negative number');
  expect(() => consumer.seek(target)).toThrow('consumer#run must be called first');
  expect(() => consumer.pause([{ topic: '' }])).toThrow('Invalid topic');
  expect(() => consumer.pause([{ topic: 'orders' }])).toThrow('consumer#run must be called first');
  expect(() => consumer.resume([{ topic: 'orders' }])).toThrow('consumer#run must be called first');
  expect(consumer.paused()).toEqual([]);
  expect(consumer.assignment()).toEqual([]);
  expect(asked).toEqual([]);
});

test('only who iterates over a consumer loads what that needs, and hears where it cannot be loaded', async () => {
  await using cluster = new InProcessCluster();
  let isThere = false;
  const { kafka, asked } = open(cluster, {
    iteration: async () => {
      if (!isThere) throw new TypeError('not there');
      return STATIC_CLIENT_PARTS.iteration();
    },
  });
  await kafka.producer().send({ topic: 'orders', messages: [{ value: 'a' }] });
  const byHandler = kafka.consumer();
  await byHandler.assign([{ topic: 'orders', partition: 0, offset: '-2' }]);
  const handled = await new Promise<string | undefined>((resolve, reject) => {
    byHandler.run({ eachMessage: async ({ message }) => resolve(message.value?.toString()) }).catch(reject);
  });
  expect(handled).toBe('a');
  expect(asked).not.toContain('iteration');

  const consumer = kafka.consumer();
  await consumer.assign([{ topic: 'orders', partition: 0, offset: '-2' }]);
  await expect(firstOf(consumer.messages())).rejects.toMatchObject({ name: 'KafkaJSConnectionError', retriable: true });
  isThere = true;
  expect((await firstOf(consumer.messages()))?.value?.toString()).toBe('a');
  await kafka.close();
});

async function firstOf<T>(items: AsyncIterable<T>): Promise<T | undefined> {
  for await (const item of items) return item;
  return undefined;
}

test('calls made while the code is loaded keep their order, and later ones do not overtake them', async () => {
  await using cluster = new InProcessCluster();
  let arrive!: () => void;
  const arrived = new Promise<void>((resolve) => {
    arrive = resolve;
  });
  const { kafka } = open(cluster, { producer: () => arrived.then(STATIC_CLIENT_PARTS.producer) });
  const producer = kafka.producer();
  const send = (value: string) => producer.send({ topic: 'orders', messages: [{ value }] });
  const sends = [send('0'), send('1'), send('2')];
  arrive();
  for (let i = 3; i < 20; i++) {
    await Promise.resolve();
    sends.push(send(String(i)));
  }
  const offsets = (await Promise.all(sends)).map(([answer]) => answer?.baseOffset);
  expect(offsets).toEqual(sends.map((_, i) => String(i)));
  await kafka.close();
});

test('listeners that come before the code hear of the connection', async () => {
  await using cluster = new InProcessCluster();
  const { kafka } = open(cluster);
  const producer = kafka.producer();
  const heard: string[] = [];
  producer.on(producer.events.CONNECT, ({ type }) => heard.push(type));
  producer.on(producer.events.DISCONNECT, ({ type }) => heard.push(type));
  await producer.connect();
  await producer.disconnect();
  expect(heard).toEqual(['producer.connect', 'producer.disconnect']);
});

test('code that cannot be loaded fails the call, says why, and is asked for again', async () => {
  await using cluster = new InProcessCluster();
  let attempts = 0;
  const { kafka } = open(cluster, {
    admin: async () => {
      if (++attempts === 1) throw new TypeError('offline');
      return STATIC_CLIENT_PARTS.admin();
    },
  });
  const admin = kafka.admin();
  const error = await admin.listTopics().catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(KafkaJSConnectionError);
  expect((error as KafkaJSConnectionError).message).toContain('offline');
  expect(await admin.listTopics()).toEqual([]);
  await kafka.close();
});

// A busy page loads code later than its worker answers: the refusal is older than the code then, and counts as it is.
test.each(['producer', 'consumer', 'admin'] as const)(
  'a host that does not start while the code of a %s is loaded is not started again by the same connect',
  async (kind) => {
    await using cluster = new InProcessCluster();
    const refused = new KafkaError('KAFKA_STORAGE_ERROR', 'denied');
    let attempts = 0;
    let isDenied = true;
    let arrive!: () => void;
    const arrived = new Promise<void>((resolve) => {
      arrive = resolve;
    });
    const { kafka } = open(
      cluster,
      {
        [kind]: async () => {
          await arrived;
          return STATIC_CLIENT_PARTS[kind]();
        },
      },
      async () => {
        attempts++;
        if (isDenied) throw refused;
        return cluster.connect();
      },
    );
    const client = kafka[kind]();
    const outcome = client.connect().catch((caught: unknown) => caught);
    await cluster.runtime.clock.sleep(1);
    arrive();
    expect(await outcome).toMatchObject({ name: 'KafkaJSConnectionError', type: 'KAFKA_STORAGE_ERROR' });
    expect(attempts).toBe(1);
    isDenied = false;
    await client.connect();
    expect(attempts).toBe(2);
    await kafka.close();
  },
);

test('arguments of a client are refused at once', () => {
  const { kafka } = open(new InProcessCluster());
  const refusal = (make: () => unknown): string => {
    try {
      make();
    } catch (error) {
      return (error as KafkaJSNonRetriableError).message;
    }
    return 'none';
  };
  expect(refusal(() => kafka.consumer({ groupId: '' }))).toContain('groupId');
  expect(refusal(() => kafka.consumer({ heartbeatInterval: 9, sessionTimeout: 8 }))).toContain('heartbeatInterval (9)');
  expect(refusal(() => kafka.producer({ maxInFlightRequests: 0 }))).toContain('Invalid maxInFlightRequests');
  expect(refusal(() => kafka.producer({ transactionalId: 't' }))).toContain('Transactions');
});

test('loaded and static parts are the same code', async () => {
  const [producer, consumer, admin] = await Promise.all([
    LOADED_PARTS.producer(),
    LOADED_PARTS.consumer(),
    LOADED_PARTS.admin(),
  ]);
  expect(producer.makeProducer).toBe((await STATIC_CLIENT_PARTS.producer()).makeProducer);
  expect(consumer.makeConsumer).toBe((await STATIC_CLIENT_PARTS.consumer()).makeConsumer);
  expect(admin.makeAdmin).toBe((await STATIC_CLIENT_PARTS.admin()).makeAdmin);
});
