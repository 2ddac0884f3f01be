import { expect, test } from 'vitest';
import { ConfigResourceTypes } from '../../src/index.js';
import { InProcessCluster } from '../../src/testing/index.js';
import { deferred } from '../../src/util/signal.js';
import { kafka, producer, useCluster } from './client-cluster.js';
import { readAll } from './read-all.js';

// Goal: whatever is legal as a name is only a name. Method: those that each JavaScript object has a property of.

useCluster();

const NAMES = ['__proto__', 'constructor', 'toString', 'hasOwnProperty'];

test.each(NAMES)('a topic, a group, a key and a header named %s', async (name) => {
  const admin = kafka.admin();
  await admin.createTopics({ topics: [{ topic: name, numPartitions: 2 }] });
  const headers = Object.fromEntries([
    [name, ['one', 'two']],
    ['other', 'three'],
  ]);
  await producer.send({ topic: name, messages: [{ key: name, value: 'v', headers, partition: 1 }] });
  const [message] = await readAll(kafka, name);
  expect(message?.key?.toString()).toBe(name);
  const read = Object.entries(message!.headers).map(([key, value]) => [key, [value].flat().map(String)]);
  expect(read).toEqual([
    [name, ['one', 'two']],
    ['other', ['three']],
  ]);

  const seen = deferred<string>();
  const consumer = kafka.consumer({ groupId: name });
  const assigned = deferred<unknown>();
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => assigned.resolve(Object.entries(payload.memberAssignment)));
  consumer.on(consumer.events.CRASH, ({ payload }) => seen.reject(payload.error));
  await consumer.subscribe({ topic: name, fromBeginning: true });
  await consumer.run({
    eachMessage: async ({ topic, partition, message: { offset } }) => seen.resolve(`${topic}-${partition}@${offset}`),
  });
  expect(await seen.promise).toBe(`${name}-1@0`);
  expect(await assigned.promise).toEqual([[name, [0, 1]]]);
  await consumer.disconnect();
  expect(await admin.fetchOffsets({ groupId: name, topics: [name] })).toEqual([
    {
      topic: name,
      partitions: [expect.objectContaining({ partition: 0 }), expect.objectContaining({ partition: 1, offset: '1' })],
    },
  ]);
  expect((await admin.describeGroups([name])).groups[0]?.state).toBe('Empty');
  expect((await admin.checkLogs()).findings).toEqual([]);
  await admin.deleteGroups([name]);
  await admin.deleteTopics({ topics: [name] });
  expect(await admin.listTopics()).not.toContain(name);
});

test.each(NAMES)('a config named %s is unknown', async (name) => {
  const admin = kafka.admin();
  const configEntries = [{ name, value: '1' }];
  const refused = { type: 'INVALID_CONFIG', message: expect.stringContaining(`"${name}"`) };
  const created = admin.createTopics({ topics: [{ topic: 't', configEntries }] });
  await expect(created).rejects.toMatchObject({ errors: [refused] });
  await admin.createTopics({ topics: [{ topic: 't' }] });
  const resource = { type: ConfigResourceTypes.TOPIC, name: 't' };
  await expect(admin.alterConfigs({ resources: [{ ...resource, configEntries }] })).rejects.toMatchObject(refused);
  const described = await admin.describeConfigs({ resources: [{ ...resource, configNames: [name] }] });
  expect(described.resources[0]?.configEntries).toEqual([]);
  await using other = new InProcessCluster({ brokerConfig: Object.fromEntries([[name, '1']]) });
  await expect(new other.Kafka({ retry: { retries: 0 } }).admin().listTopics()).rejects.toThrow(`"${name}"`);
});
