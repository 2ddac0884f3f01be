import { expect, test } from 'vitest';
import type { BrokerParts } from '../../src/broker/broker-parts.js';
import { STATIC_PARTS } from '../../src/broker/static-parts.js';
import { KafkaError } from '../../src/protocol/errors.js';
import { batch, startBroker } from './harness.js';

function counted(): { readonly asked: string[]; readonly parts: BrokerParts } {
  const asked: string[] = [];
  const part = <T>(name: string, load: () => Promise<T>): (() => Promise<T>) => {
    return () => {
      asked.push(name);
      return load();
    };
  };
  return {
    asked,
    parts: {
      groups: part('groups', STATIC_PARTS.groups),
      topics: part('topics', STATIC_PARTS.topics),
      admin: part('admin', STATIC_PARTS.admin),
      sealing: part('sealing', STATIC_PARTS.sealing),
      integrity: part('integrity', STATIC_PARTS.integrity),
      room: part('room', STATIC_PARTS.room),
      timestamps: part('timestamps', STATIC_PARTS.timestamps),
      transactions: part('transactions', STATIC_PARTS.transactions),
    },
  };
}

const COMMIT = {
  groupId: 'g',
  generationIdOrMemberEpoch: -1,
  memberId: '',
  groupInstanceId: null,
  topics: [
    {
      name: 'orders',
      partitions: [{ partitionIndex: 0, committedOffset: 1, committedLeaderEpoch: -1, committedMetadata: null }],
    },
  ],
};

test('to take up a cluster and append needs no further part, a first topic is prepared for', async () => {
  const first = counted();
  const { broker, disk, clock, send } = await startBroker({ parts: first.parts });
  expect(first.asked).toEqual(['topics']); // an empty cluster will soon make a topic
  await send('Metadata', { topics: [{ name: 'orders' }], allowAutoTopicCreation: true });
  expect(new Set(first.asked)).toEqual(new Set(['topics']));
  await broker.close();

  const second = counted();
  const next = await startBroker({ disk, clock, parts: second.parts });
  await next.send('Metadata', { topics: [{ name: 'orders' }], allowAutoTopicCreation: true });
  const records = batch(['a']);
  const topicData = [{ name: 'orders', partitionData: [{ index: 0, records }] }];
  const { responses } = await next.send('Produce', { transactionalId: null, acks: -1, timeoutMs: 1000, topicData });
  expect(responses[0]?.partitionResponses[0]).toMatchObject({ errorCode: 0, baseOffset: 0 });
  await next.broker.close();
  expect(second.asked).toEqual([]);
});

test('a broker that takes over groups reads them at once, one that has none when somebody asks', async () => {
  const first = counted();
  const { broker, disk, clock, send } = await startBroker({ parts: first.parts });
  await send('Metadata', { topics: [{ name: 'orders' }], allowAutoTopicCreation: true });
  expect(first.asked).not.toContain('groups');
  await send('OffsetCommit', COMMIT);
  expect(first.asked).toContain('groups');
  await broker.close();

  const second = counted();
  const next = await startBroker({ disk, clock, parts: second.parts });
  expect(second.asked).toEqual(['groups']);
  const { topics } = await next.send('OffsetFetch', { groupId: 'g', topics: null });
  expect(topics[0]?.partitions[0]?.committedOffset).toBe(1);
  await next.broker.close();
});

test('a part that cannot be loaded fails the request as one that may be tried again', async () => {
  let attempts = 0;
  const groups: BrokerParts['groups'] = async () => {
    if (++attempts === 1) throw new KafkaError('COORDINATOR_NOT_AVAILABLE', 'offline');
    return STATIC_PARTS.groups();
  };
  const { broker, send } = await startBroker({ parts: { ...STATIC_PARTS, groups } });
  const ask = () => send('ListGroups', { statesFilter: [] });
  await expect(ask()).rejects.toMatchObject({ type: 'COORDINATOR_NOT_AVAILABLE', retriable: true });
  expect(await ask()).toMatchObject({ errorCode: 0, groups: [] });
  await broker.close();
});

test('a topic that cannot be made for want of code is made when it is asked for again', async () => {
  let attempts = 0;
  const topics: BrokerParts['topics'] = async () => {
    if (++attempts <= 2) throw new KafkaError('COORDINATOR_NOT_AVAILABLE', 'offline'); // at the start, and when asked
    return STATIC_PARTS.topics();
  };
  const { broker, send } = await startBroker({ parts: { ...STATIC_PARTS, topics } });
  const ask = () => send('Metadata', { topics: [{ name: 'orders' }], allowAutoTopicCreation: true });
  await expect(ask()).rejects.toMatchObject({ type: 'COORDINATOR_NOT_AVAILABLE', retriable: true });
  expect((await ask()).topics[0]).toMatchObject({ errorCode: 0, name: 'orders' });
  await broker.close();
});

test('a broker closes while a part is still being loaded', async () => {
  const groups: BrokerParts['groups'] = () => new Promise(() => {});
  const { broker, send } = await startBroker({ parts: { ...STATIC_PARTS, groups } });
  const asked = send('ListGroups', { statesFilter: [] });
  const refused = expect(asked).rejects.toMatchObject({ type: 'NOT_CONTROLLER' });
  await broker.close();
  await refused;
});
