import { expect, test } from 'vitest';
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
