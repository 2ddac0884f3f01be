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
      admin: part('admin', STATIC_PARTS.admin),
      room: part('room', STATIC_PARTS.room),
      timestamps: part('timestamps', STATIC_PARTS.timestamps),
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

test('to take up a new cluster, create a topic by asking for it and append needs no further part', async () => {
  const { asked, parts } = counted();
  const { broker, send } = await startBroker({ parts });
  await send('Metadata', { topics: [{ name: 'orders' }], allowAutoTopicCreation: true });
  const records = batch(['a']);
  const topicData = [{ name: 'orders', partitionData: [{ index: 0, records }] }];
  const { responses } = await send('Produce', { transactionalId: null, acks: -1, timeoutMs: 1000, topicData });
  expect(responses[0]?.partitionResponses[0]).toMatchObject({ errorCode: 0, baseOffset: 0 });
  await broker.close();
  expect(asked).toEqual([]);
});

test('a broker that takes over groups reads them at once, one that has none when somebody asks', async () => {
  const first = counted();
  const { broker, disk, clock, send } = await startBroker({ parts: first.parts });
  await send('Metadata', { topics: [{ name: 'orders' }], allowAutoTopicCreation: true });
  expect(first.asked).toEqual([]);
  await send('OffsetCommit', COMMIT);
  expect(first.asked).toEqual(['groups']);
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

test('a broker closes while a part is still being loaded', async () => {
  const groups: BrokerParts['groups'] = () => new Promise(() => {});
  const { broker, send } = await startBroker({ parts: { ...STATIC_PARTS, groups } });
  const asked = send('ListGroups', { statesFilter: [] });
  const refused = expect(asked).rejects.toMatchObject({ type: 'NOT_CONTROLLER' });
  await broker.close();
  await refused;
});
