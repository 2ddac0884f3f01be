import { expect, test } from 'vitest';
import type { Admin, Consumer, Producer } from '../../src/index.js';
import { deferred } from '../../src/util/signal.js';
import { kafka, producer, topic, useCluster } from './client-cluster.js';

useCluster();

test('fetch events name the broker that the metadata names', async () => {
  await topic('t');
  const admin = kafka.admin();
  const { brokers } = await admin.describeCluster();
  const consumer = kafka.consumer();
  const nodeIds: unknown[] = [];
  const fetched = deferred();
  consumer.on(consumer.events.FETCH_START, ({ payload }) => nodeIds.push(payload.nodeId));
  consumer.on(consumer.events.FETCH, ({ payload }) => {
    nodeIds.push(payload.nodeId);
    fetched.resolve();
  });
  await consumer.assign([{ topic: 't', partition: 0, offset: '0' }]);
  await consumer.run({ eachMessage: async () => {} });
  await producer.send({ topic: 't', messages: [{ value: 'v' }] });
  await fetched.promise;
  expect(new Set(nodeIds)).toEqual(new Set(brokers.map(({ nodeId }) => nodeId)));
});

test('request events name the broker by the address that the metadata gives', async () => {
  const admin = kafka.admin();
  await admin.connect();
  const told: { broker: string }[] = [];
  admin.on(admin.events.REQUEST, ({ payload }) => told.push(payload));
  const { brokers } = await admin.describeCluster();
  expect(told.map(({ broker }) => broker)).toEqual(brokers.map(({ host, port }) => `${host}:${port}`));
});

// Goal: who waits for CONNECT hears of it, as in KafkaJS, also where another call has opened the connection.
test.each([
  ['an admin', () => kafka.admin(), (client: unknown) => (client as Admin).listTopics()],
  [
    'a consumer',
    () => kafka.consumer({ groupId: 'g' }),
    (client: unknown) => (client as Consumer).subscribe({ topic: 't' }),
  ],
  [
    'a producer',
    () => kafka.producer(),
    (client: unknown) => (client as Producer).send({ topic: 't', messages: [{ value: '' }] }),
  ],
] as const)(
  '%s tells once that it is connected, and once that it no longer is, whoever opened the connection',
  async (_, make, call) => {
    const client = make();
    const told: string[] = [];
    const on = client.on as (name: string, listener: (event: { type: string }) => void) => void;
    for (const name of [client.events.CONNECT, client.events.DISCONNECT])
      on(name, ({ type }) => told.push(type.split('.')[1]!));
    await call(client);
    await client.connect();
    expect(told).toEqual(['connect']);
    await client.disconnect();
    await client.disconnect();
    await client.connect();
    await client.connect();
    await client.disconnect();
    expect(told).toEqual(['connect', 'disconnect', 'connect', 'disconnect']);
  },
);
