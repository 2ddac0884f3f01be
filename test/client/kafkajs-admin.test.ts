import { describe, expect, test } from 'vitest';
import { type LogEntry, logLevel } from '../../src/index.js';
import { cluster, kafka, produceValues as produce, topic, useCluster } from './client-cluster.js';

// Goal: what KafkaJS's own specs expect of an admin, and code written for it therefore relies on, is so here. Cases that other
// files here have are not repeated.

useCluster();

describe('an admin', () => {
  const TOPIC = 2;

  test.each([
    ['createPartitions', { topicPartitions: null }, 'Invalid topic partitions array null'],
    ['createPartitions', { topicPartitions: 'text' }, 'Invalid topic partitions array text'],
    ['fetchOffsets', { groupId: 'g', topics: 't' }, 'Expected topics array to be set'],
    ['setOffsets', { groupId: 'g', topic: 't', partitions: null }, 'Invalid partitions'],
    ['resetOffsets', { groupId: 'g', topic: null }, 'Invalid topic null'],
    ['fetchTopicMetadata', { topics: [null] }, 'Invalid topic null'],
    ['fetchTopicMetadata', { topics: [0] }, 'Invalid topic 0'],
    ['deleteTopicRecords', { topic: null }, 'Invalid topic "null"'],
    ['describeConfigs', { resources: [{ type: TOPIC }, { type: 99 }] }, 'Invalid resource type 99: {"type":99}'],
    [
      'alterConfigs',
      {
        resources: [
          { type: TOPIC, name: 't', configEntries: [] },
          { type: TOPIC, name: 'u', configEntries: 1 },
        ],
      },
      'Invalid resource configEntries 1: {"type":2,"name":"u","configEntries":1}',
    ],
  ] as const)('%s(%j) is refused in the words of KafkaJS', async (method, argument, message) => {
    const call = kafka.admin()[method] as (argument: unknown) => Promise<unknown>;
    await expect(call(argument)).rejects.toMatchObject({ name: 'KafkaJSNonRetriableError', message });
  });

  test('that is given null for a list of topics asks for all', async () => {
    await topic('t');
    const admin = kafka.admin();
    const { topics } = await admin.fetchTopicMetadata({ topics: null as never });
    expect(topics.map(({ name }) => name)).toEqual(['t']);
    expect(await admin.fetchOffsets({ groupId: 'g', topics: null as never })).toEqual([]);
  });

  test('hears of each topic that is refused, its name too, and the others are made', async () => {
    const admin = kafka.admin();
    await expect(admin.createTopics({ topics: [{ topic: 'a b' }, { topic: 'good' }] })).rejects.toMatchObject({
      name: 'KafkaJSAggregateError',
      errors: [{ name: 'KafkaJSCreateTopicError', topic: 'a b', type: 'INVALID_TOPIC_EXCEPTION' }],
    });
    expect(await admin.listTopics()).toEqual(['good']);
  });

  test('hears of a topic that exists beside one that is refused', async () => {
    await topic('t');
    const making = kafka.admin().createTopics({ topics: [{ topic: 't' }, { topic: 'a b' }] });
    await expect(making).rejects.toMatchObject({
      errors: [
        { topic: 't', type: 'TOPIC_ALREADY_EXISTS' },
        { topic: 'a b', type: 'INVALID_TOPIC_EXCEPTION' },
      ],
    });
  });

  test('that is given an empty list where it could be left out does as if it were', async () => {
    await topic('t');
    const admin = kafka.admin();
    const resource = { type: TOPIC, name: 't' };
    const all = await admin.describeConfigs({ resources: [resource] });
    expect(await admin.describeConfigs({ resources: [{ ...resource, configNames: [] }] })).toEqual(all);
    await admin.createTopics({ topics: [{ topic: 'u', numPartitions: 2, replicaAssignment: [], configEntries: [] }] });
    await admin.createPartitions({ topicPartitions: [{ topic: 'u', count: 3, assignments: [] }] });
    expect(await admin.fetchTopicOffsets('u')).toHaveLength(3);
  });

  test('may delete records that are gone already: a warning, and the other partitions do it', async () => {
    const entries: LogEntry[] = [];
    const admin = new cluster.Kafka({ logCreator: () => (entry) => void entries.push(entry) }).admin();
    await topic('t', 2);
    for (const partition of [0, 1]) await produce('t', [0, 1, 2], partition);
    await admin.deleteTopicRecords({ topic: 't', partitions: [{ partition: 1, offset: '2' }] });
    const partitions = [
      { partition: 0, offset: '1' },
      { partition: 1, offset: '1' },
    ];
    await admin.deleteTopicRecords({ topic: 't', partitions });
    expect((await admin.fetchTopicOffsets('t')).map(({ low }) => low)).toEqual(['1', '2']);
    const warnings = entries.filter(({ level }) => level === logLevel.WARN);
    expect(warnings.map(({ log }) => log)).toMatchObject([{ topic: 't', partition: 1, offset: '1' }]);
    await admin.disconnect();
  });

  test('that deletes records of a partition that is not there is told not to try again', async () => {
    await topic('t');
    const partitions = [{ partition: 7, offset: '5' }];
    await expect(kafka.admin().deleteTopicRecords({ topic: 't', partitions })).rejects.toMatchObject({
      name: 'KafkaJSDeleteTopicRecordsError',
      retriable: false,
      partitions: [{ partition: 7, offset: '5', error: { retriable: false } }],
    });
  });

  test('resolves the offsets of a group that has none to the ends', async () => {
    await topic('t');
    await produce('t', [0, 1, 2]);
    const [found] = await kafka.admin().fetchOffsets({ groupId: 'g', topics: ['t'], resolveOffsets: true });
    expect(found!.partitions).toEqual([{ partition: 0, offset: '3', metadata: null }]);
  });

  test('may name partitions and times by text, as messages and forms have them', async () => {
    await topic('t', 2);
    for (const partition of [0, 1]) await produce('t', [0, 1, 2], partition);
    const admin = kafka.admin();
    const one = '1' as unknown as number;
    await admin.setOffsets({ groupId: 'g', topic: 't', partitions: [{ partition: one, offset: '2' }] });
    const none = { partition: 0, offset: '-1', metadata: null };
    const committed = async () => (await admin.fetchOffsets({ groupId: 'g', topics: ['t'] }))[0]?.partitions;
    expect(await committed()).toEqual([none, { partition: 1, offset: '2', metadata: null }]);
    await admin.setOffsets({ groupId: 'g', topic: 't', partitions: [{ partition: one, offset: '-1' }] });
    expect(await committed()).toEqual([none, { partition: 1, offset: '3', metadata: null }]);
    await admin.deleteOffsets({ groupId: 'g', topics: [{ topic: 't', partitions: [one] }] });
    expect(await committed()).toEqual([none, { ...none, partition: 1 }]);

    await admin.deleteTopicRecords({ topic: 't', partitions: [{ partition: one, offset: '2' }] });
    expect((await admin.fetchTopicOffsets('t')).map(({ low }) => low)).toEqual(['0', '2']);
    const time = '5' as unknown as number;
    const found = await admin.fetchTopicOffsetsByTimestamp('t', time);
    expect(found.map(({ offset }) => offset)).toEqual(['0', '2']);
  });
});
