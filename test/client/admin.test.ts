import { beforeEach, expect, test } from 'vitest';
import { type Admin, AssignerProtocol, ConfigResourceTypes, kafkaOn, logLevel } from '../../src/index.js';
import type { ApiName, Requests, Responses } from '../../src/protocol/requests.js';
import { deferred } from '../../src/util/signal.js';
import { cluster, kafka, useKafka } from './client-cluster.js';
import { type Fault, faultyPlatform } from './faulty-platform.js';

let admin: Admin;

useKafka();

beforeEach(async () => {
  admin = kafka.admin();
  await admin.connect();
});

async function produce(topic: string, timestamps: readonly number[]): Promise<void> {
  const producer = kafka.producer();
  await producer.connect();
  const messages = timestamps.map((timestamp) => ({ value: 'v', partition: 0, timestamp: String(timestamp) }));
  await producer.send({ topic, messages });
  await producer.disconnect();
}

test('topics are created once, listed, described and deleted', async () => {
  const topics = [{ topic: 'a', numPartitions: 3, configEntries: [{ name: 'retention.ms', value: '1000' }] }];
  expect(await admin.createTopics({ topics, validateOnly: true })).toBe(true);
  expect(await admin.listTopics()).toEqual([]);
  expect(await admin.createTopics({ topics })).toBe(true);
  expect(await admin.createTopics({ topics })).toBe(false);
  expect(await admin.listTopics()).toEqual(['a']);
  const { topics: described } = await admin.fetchTopicMetadata({ topics: ['a'] });
  expect(described[0]!.partitions).toEqual(
    [0, 1, 2].map((partitionId) => ({
      partitionErrorCode: 0,
      partitionId,
      leader: expect.any(Number),
      replicas: [expect.any(Number)],
      isr: [expect.any(Number)],
      offlineReplicas: [],
    })),
  );
  expect(await admin.createPartitions({ topicPartitions: [{ topic: 'a', count: 5 }] })).toBe(true);
  expect((await admin.fetchTopicMetadata()).topics[0]!.partitions).toHaveLength(5);
  await expect(admin.createPartitions({ topicPartitions: [{ topic: 'a', count: 2 }] })).rejects.toMatchObject({
    type: 'INVALID_PARTITIONS',
  });
  await admin.deleteTopics({ topics: ['a'] });
  expect(await admin.listTopics()).toEqual([]);
  await expect(admin.fetchTopicMetadata({ topics: ['a'] })).rejects.toMatchObject({
    type: 'UNKNOWN_TOPIC_OR_PARTITION',
  });
  await expect(admin.deleteTopics({ topics: ['a'] })).rejects.toMatchObject({ type: 'UNKNOWN_TOPIC_OR_PARTITION' });
});

test('bad topics are refused, by name', async () => {
  await expect(admin.createTopics({ topics: [{ topic: 'a/b' }] })).rejects.toMatchObject({
    errors: [{ type: 'INVALID_TOPIC_EXCEPTION' }],
  });
  await expect(admin.createTopics({ topics: 'a' as never })).rejects.toThrow('Invalid topics array a');
  await expect(admin.createTopics({ topics: [{ topic: 'a' }, { topic: 'a' }] })).rejects.toThrow(
    'Invalid topics array, it cannot have multiple entries for the same topic',
  );
  const configEntries = [{ name: 'no.such.config', value: '1' }];
  await expect(admin.createTopics({ topics: [{ topic: 'a', configEntries }] })).rejects.toMatchObject({
    name: 'KafkaJSAggregateError',
    errors: [{ name: 'KafkaJSCreateTopicError', type: 'INVALID_CONFIG', topic: 'a' }],
  });
  await expect(admin.createTopics({ topics: [{ topic: 'a', replicationFactor: 3 }] })).rejects.toMatchObject({
    errors: [{ type: 'INVALID_REPLICATION_FACTOR' }],
  });
  expect(() => new cluster.Kafka({ brokers: 3 })).toThrow('expected 1, found 3');
});

/** The answer to the first request of this kind is lost, and what came of it is asked for with another. */
function adminThatLosesTheAnswerTo(api: ApiName): Admin {
  let isLost = false;
  const platform = faultyPlatform(cluster, (asked) => {
    if (asked !== api || isLost) return 'none';
    isLost = true;
    return 'lost answer';
  });
  return new (kafkaOn(platform))({ logLevel: logLevel.NOTHING, retry: { initialRetryTime: 1 } }).admin();
}

test('what is refused after an attempt whose answer was lost may have been done: the error says so', async () => {
  const inDoubt = { retriable: expect.any(Boolean), outcomeUnknown: true };
  const refused = { ...inDoubt, type: 'UNKNOWN_TOPIC_OR_PARTITION' };
  await admin.createTopics({ topics: [{ topic: 'a' }] });
  await using creating = adminThatLosesTheAnswerTo('CreateTopics');
  expect(await creating.createTopics({ topics: [{ topic: 'b' }] })).toBe(false);
  await using growing = adminThatLosesTheAnswerTo('CreatePartitions');
  const growth = growing.createPartitions({ topicPartitions: [{ topic: 'b', count: 2 }] });
  await expect(growth).rejects.toMatchObject({ ...inDoubt, type: 'INVALID_PARTITIONS' });
  await using deleting = adminThatLosesTheAnswerTo('DeleteTopics');
  await expect(deleting.deleteTopics({ topics: ['b'] })).rejects.toMatchObject(refused);
  await expect(deleting.deleteTopics({ topics: ['b'] })).rejects.toMatchObject({ ...refused, outcomeUnknown: false });
  expect(await admin.listTopics()).not.toContain('b');

  await admin.setOffsets({ groupId: 'g', topic: 'a', partitions: [{ partition: 0, offset: '1' }] });
  await using ofGroups = adminThatLosesTheAnswerTo('DeleteGroups');
  await expect(ofGroups.deleteGroups(['g'])).rejects.toMatchObject({
    name: 'KafkaJSDeleteGroupsError',
    retriable: false,
    groups: [{ groupId: 'g', error: { type: 'GROUP_ID_NOT_FOUND', outcomeUnknown: true } }],
  });
  await using ofRecords = adminThatLosesTheAnswerTo('DeleteRecords');
  await produce('a', [1]);
  await ofRecords.deleteTopicRecords({ topic: 'a', partitions: [{ partition: 0, offset: '1' }] });
});

test('attempts that run out in doubt end in doubt, whatever the last of them met', async () => {
  const faults: Fault[] = ['lost answer', 'not leader'];
  const platform = faultyPlatform(cluster, (api) =>
    api === 'AlterConfigs' ? (faults.shift() ?? 'not leader') : 'none',
  );
  const retry = { initialRetryTime: 1, retries: 2 };
  await using altering = new (kafkaOn(platform))({ logLevel: logLevel.NOTHING, retry }).admin();
  await admin.createTopics({ topics: [{ topic: 'a' }] });
  const resources = [{ type: ConfigResourceTypes.TOPIC, name: 'a', configEntries: [] }];
  await expect(altering.alterConfigs({ resources })).rejects.toMatchObject({
    name: 'KafkaJSNumberOfRetriesExceeded',
    type: 'NOT_LEADER_OR_FOLLOWER',
    outcomeUnknown: true,
  });
});

test('offsets of a topic: both ends, by time, and after records were deleted', async () => {
  await admin.createTopics({ topics: [{ topic: 'a' }] });
  await produce('a', [1000, 2000, 3000, 4000]);
  expect(await admin.fetchTopicOffsets('a')).toEqual([{ partition: 0, offset: '4', high: '4', low: '0' }]);
  expect(await admin.fetchTopicOffsetsByTimestamp('a', 2500)).toEqual([{ partition: 0, offset: '2' }]);
  expect(await admin.fetchTopicOffsetsByTimestamp('a', 9999)).toEqual([{ partition: 0, offset: '4' }]);
  expect(await admin.fetchTopicOffsetsByTimestamp('a')).toEqual([{ partition: 0, offset: '4' }]);
  await admin.deleteTopicRecords({ topic: 'a', partitions: [{ partition: 0, offset: '3' }] });
  expect(await admin.fetchTopicOffsets('a')).toMatchObject([{ high: '4', low: '3' }]);
  await expect(
    admin.deleteTopicRecords({ topic: 'a', partitions: [{ partition: 0, offset: '9' }] }),
  ).rejects.toMatchObject({
    name: 'KafkaJSDeleteTopicRecordsError',
    partitions: [{ partition: 0, offset: '9', error: { type: 'OFFSET_OUT_OF_RANGE' } }],
  });
  await admin.deleteTopicRecords({ topic: 'a', partitions: [{ partition: 0, offset: '-1' }] });
  expect(await admin.fetchTopicOffsets('a')).toMatchObject([{ high: '4', low: '4' }]);
});

test('offsets of a group are set, reset and resolved, but not while it runs', async () => {
  await admin.createTopics({ topics: [{ topic: 'a' }] });
  await produce('a', [1, 2, 3, 4]);
  const offset = async (resolveOffsets = false): Promise<string> => {
    const [found] = await admin.fetchOffsets({ groupId: 'g', topics: ['a'], resolveOffsets });
    return found!.partitions[0]!.offset;
  };
  expect(await offset()).toBe('-1');
  expect(await offset(true)).toBe('4');
  await admin.setOffsets({ groupId: 'g', topic: 'a', partitions: [{ partition: 0, offset: '2' }] });
  expect(await offset()).toBe('2');
  await admin.resetOffsets({ groupId: 'g', topic: 'a' });
  expect(await offset()).toBe('4');
  await admin.resetOffsets({ groupId: 'g', topic: 'a', earliest: true });
  expect(await offset()).toBe('0');
  const consumer = kafka.consumer({ groupId: 'g' });
  await consumer.subscribe({ topic: 'a' });
  await consumer.run({ eachMessage: async () => {} });
  await expect(admin.resetOffsets({ groupId: 'g', topic: 'a' })).rejects.toThrow(
    'The consumer group must have no running instances, current state: Stable',
  );
  await consumer.disconnect();
});

test('where some of the offsets cannot be set the others are, and the error says which', async () => {
  await admin.createTopics({ topics: [{ topic: 'a', numPartitions: 2 }] });
  const partitions = [0, 7, 1, 9].map((partition) => ({ partition, offset: '3' }));
  const setting = kafka.admin({ retry: { retries: 0 } }).setOffsets({ groupId: 'g', topic: 'a', partitions });
  const message = 'partition a-7 does not exist; partition a-9 does not exist';
  await expect(setting).rejects.toMatchObject({ type: 'UNKNOWN_TOPIC_OR_PARTITION', message });
  const [found] = await admin.fetchOffsets({ groupId: 'g', topics: ['a'] });
  expect(found!.partitions.map(({ offset }) => offset)).toEqual(['3', '3']);
});

test('of a group that its coordinator cannot tell of it is asked again, rather than called dead', async () => {
  await admin.createTopics({ topics: [{ topic: 'a' }] });
  await admin.setOffsets({ groupId: 'g', topic: 'a', partitions: [{ partition: 0, offset: '1' }] });
  const channel = await cluster.connect();
  let asked = 0;
  const send: typeof channel.send = async (api, request, options) => {
    if (api !== 'DescribeGroups' || asked++ > 0) return channel.send(api, request, options);
    const failed = { errorCode: 16, errorMessage: null, groupState: 'Dead', protocolType: '', protocolData: '' };
    return { groups: [{ ...failed, groupId: 'g', members: [] }] } as never; // NOT_COORDINATOR
  };
  const platform = { runtime: cluster.runtime, connect: async () => ({ send, close: () => channel.close() }) };
  await using other = new (kafkaOn(platform))({ logLevel: logLevel.NOTHING }).admin();
  expect((await other.describeGroups(['g'])).groups).toMatchObject([{ groupId: 'g', errorCode: 0, state: 'Empty' }]);
  expect(asked).toBe(2);
});

/** An admin that hears, instead of what became of a part of its first request of an API, that another host leads. */
async function adminThatHearsOfAnother(
  api: ApiName,
  carriedOut: (request: never) => unknown,
  refused: (response: never) => unknown,
): Promise<{ readonly admin: Admin; readonly requests: unknown[] }> {
  const channel = await cluster.connect();
  const requests: unknown[] = [];
  const send = (async (name: ApiName, request: never, options: never) => {
    if (name !== api) return channel.send(name, request, options);
    requests.push(request);
    if (requests.length > 1) return channel.send(name, request, options);
    return refused((await channel.send(name, carriedOut(request) as never, options)) as never);
  }) as typeof channel.send;
  const platform = { runtime: cluster.runtime, connect: async () => ({ send, close: () => channel.close() }) };
  return { admin: new (kafkaOn(platform))({ logLevel: logLevel.NOTHING }).admin(), requests };
}

const NOT_COORDINATOR = 16;
const NOT_LEADER_OR_FOLLOWER = 6;

test('of groups that are deleted while another host comes to lead each is deleted once, and none called unknown', async () => {
  await admin.createTopics({ topics: [{ topic: 'a' }] });
  for (const groupId of ['g', 'h']) {
    await admin.setOffsets({ groupId, topic: 'a', partitions: [{ partition: 0, offset: '1' }] });
  }
  const { admin: deleting, requests } = await adminThatHearsOfAnother(
    'DeleteGroups',
    ({ groupsNames }: Requests['DeleteGroups']) => ({ groupsNames: groupsNames.slice(0, 1) }),
    ({ results }: Responses['DeleteGroups']) => ({
      results: [...results, { groupId: 'h', errorCode: NOT_COORDINATOR, errorMessage: null }],
    }),
  );
  expect(await deleting.deleteGroups(['g', 'h'])).toEqual([
    { groupId: 'g', errorCode: 0 },
    { groupId: 'h', errorCode: 0 },
  ]);
  expect(requests).toEqual([{ groupsNames: ['g', 'h'] }, { groupsNames: ['h'] }]);
  expect((await admin.listGroups()).groups).toEqual([]);
  await deleting.disconnect();
});

test('a group that is named twice is deleted once', async () => {
  await admin.createTopics({ topics: [{ topic: 'a' }] });
  await admin.setOffsets({ groupId: 'g', topic: 'a', partitions: [{ partition: 0, offset: '1' }] });
  expect(await admin.deleteGroups(['g', 'g'])).toEqual([{ groupId: 'g', errorCode: 0 }]);
});

test('all records of a partition are those of when it was asked, however many attempts their deletion takes', async () => {
  await admin.createTopics({ topics: [{ topic: 'a', numPartitions: 2 }] });
  await produce('a', [1]);
  const { admin: deleting } = await adminThatHearsOfAnother(
    'DeleteRecords',
    (request: Requests['DeleteRecords']) => ({
      ...request,
      topics: request.topics.map((topic) => ({ ...topic, partitions: topic.partitions.slice(0, 1) })),
    }),
    async ({ topics }: Responses['DeleteRecords']) => {
      await produce('a', [2]);
      const failed = { partitionIndex: 1, errorCode: NOT_LEADER_OR_FOLLOWER, errorMessage: null, lowWatermark: -1 };
      return { topics: topics.map((topic) => ({ ...topic, partitions: [...topic.partitions, failed] })) };
    },
  );
  const partitions = [0, 1].map((partition) => ({ partition, offset: '-1' }));
  await deleting.deleteTopicRecords({ topic: 'a', partitions });
  expect(await admin.fetchTopicOffsets('a')).toMatchObject([{ low: '1', high: '2' }, { low: '0' }]);
  await deleting.disconnect();
});

test('groups are listed, described with their members, and deleted when empty', async () => {
  await admin.createTopics({ topics: [{ topic: 'a' }] });
  const consumer = kafka.consumer({ groupId: 'g' });
  await consumer.subscribe({ topic: 'a', fromBeginning: true });
  const done = deferred();
  await consumer.run({ eachMessage: async () => done.resolve() });
  await produce('a', [1]);
  await done.promise;
  expect((await admin.listGroups()).groups).toEqual([{ groupId: 'g', protocolType: 'consumer', state: 'Stable' }]);
  const { groups } = await admin.describeGroups(['g', 'nobody']);
  expect(groups[0]).toMatchObject({
    groupId: 'g',
    state: 'Stable',
    protocol: 'RoundRobinAssigner',
    protocolType: 'consumer',
  });
  const [member] = groups[0]!.members;
  expect(member!.clientId).toBe('test');
  expect(AssignerProtocol.MemberAssignment.decode(member!.memberAssignment)!.assignment).toEqual({ a: [0] });
  expect(groups[1]).toMatchObject({ groupId: 'nobody', state: 'Dead', members: [] });
  await expect(admin.deleteGroups(['g'])).rejects.toMatchObject({
    name: 'KafkaJSDeleteGroupsError',
    groups: [{ groupId: 'g', error: { type: 'NON_EMPTY_GROUP' } }],
  });
  await consumer.disconnect();
  expect(await admin.deleteGroups(['g'])).toEqual([{ groupId: 'g', errorCode: 0 }]);
  expect((await admin.listGroups()).groups).toEqual([]);
});

test('configs are described and altered', async () => {
  await admin.createTopics({ topics: [{ topic: 'a' }] });
  const type = ConfigResourceTypes.TOPIC;
  const value = async (): Promise<unknown> => {
    const { resources } = await admin.describeConfigs({
      resources: [{ type, name: 'a', configNames: ['retention.ms'] }],
    });
    const [entry] = resources[0]!.configEntries;
    return [entry!.configName, entry!.configValue, entry!.isDefault];
  };
  expect(await value()).toEqual(['retention.ms', '604800000', true]);
  await admin.alterConfigs({
    resources: [{ type, name: 'a', configEntries: [{ name: 'retention.ms', value: '5000' }] }],
  });
  expect(await value()).toEqual(['retention.ms', '5000', false]);
  const bad = [{ type, name: 'a', configEntries: [{ name: 'nope', value: '1' }] }];
  await expect(admin.alterConfigs({ resources: bad })).rejects.toMatchObject({ type: 'INVALID_CONFIG' });
  await expect(admin.describeConfigs({ resources: [] })).rejects.toThrow('Resources array cannot be empty');
});

test('the cluster knows its broker, its hosts and the size of its logs', async () => {
  await admin.createTopics({ topics: [{ topic: 'a' }] });
  await produce('a', [1, 2]);
  const { brokers, controller, hosts } = await admin.describeCluster();
  expect(brokers.map(({ nodeId }) => nodeId)).toEqual([controller]);
  expect(hosts).toHaveLength(1);
  expect(hosts[0]).toMatchObject({ self: true, controller: true });
  const [log] = await admin.describeLogs({ topics: ['a'] });
  expect(log).toMatchObject({ topic: 'a', partitions: [{ partition: 0, logStartOffset: '0', highWatermark: '2' }] });
});
