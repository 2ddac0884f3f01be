import { describe, expect, test } from 'vitest';
import { handleListOffsets } from '../../src/broker/handle-list-offsets.js';
import { metadataBatches } from '../../src/broker/metadata-batches.js';
import { applyMetadataRecords, EMPTY_IMAGE } from '../../src/broker/metadata-image.js';
import { METADATA_LOG, metadataRecordsIn } from '../../src/broker/metadata-records.js';
import { errorCode, errorName, type KafkaError } from '../../src/protocol/errors.js';
import { ConfigResourceType, MAX_PRODUCER_BATCHES_IN_FLIGHT } from '../../src/protocol/requests.js';
import { parseTopicConfig } from '../../src/protocol/topic-config.js';
import { concatBytes } from '../../src/util/bytes.js';
import { leader } from '../log/harness.js';
import {
  batch,
  createTopic,
  fetchRequest,
  newTopic,
  produce,
  settled,
  startBroker,
  type TestBroker,
  TestClock,
  valuesIn,
} from './harness.js';

const ok = { errorCode: 0, errorMessage: null };

describe('producing', () => {
  test('records get dense offsets and are there after the broker was opened anew', async () => {
    const first = await startBroker();
    await createTopic(first, 'orders');
    expect(await produce(first, 'orders', batch(['a', 'b']))).toMatchObject({ ...ok, baseOffset: 0 });
    expect(await produce(first, 'orders', batch(['c']))).toMatchObject({ ...ok, baseOffset: 2, logAppendTimeMs: -1 });
    await first.broker.close();
    const second = await startBroker({ disk: first.disk });
    expect(await produce(second, 'orders', batch(['d']))).toMatchObject({ ...ok, baseOffset: 3 });
    expect(valuesIn(await second.fetch(fetchRequest({ orders: [[0, 0]] })))).toEqual({
      'orders-0': ['a', 'b', 'c', 'd'],
    });
  });

  test('the batch beside a bad one is stored', async () => {
    const broker = await startBroker();
    await createTopic(broker, 'orders', { numPartitions: 2 });
    const damaged = batch(['x']);
    damaged[62] = (damaged[62] ?? 0) ^ 1;
    const { responses } = await broker.send('Produce', {
      transactionalId: null,
      acks: 1,
      timeoutMs: 1000,
      topicData: [
        {
          name: 'orders',
          partitionData: [
            { index: 0, records: damaged },
            { index: 1, records: batch(['y']) },
            { index: 7, records: batch(['z']) },
          ],
        },
        { name: 'nowhere', partitionData: [{ index: 0, records: batch(['z']) }] },
      ],
    });
    const names = responses.flatMap((topic) => topic.partitionResponses.map((p) => errorName(p.errorCode)));
    expect(names).toEqual(['CORRUPT_MESSAGE', 'NONE', 'UNKNOWN_TOPIC_OR_PARTITION', 'UNKNOWN_TOPIC_OR_PARTITION']);
    expect(
      valuesIn(
        await broker.fetch(
          fetchRequest({
            orders: [
              [0, 0],
              [1, 0],
            ],
          }),
        ),
      ),
    ).toEqual({ 'orders-0': [], 'orders-1': ['y'] });
  });

  test('records sent in one turn keep their order', async () => {
    const broker = await startBroker();
    await createTopic(broker, 'orders');
    const sends = Array.from({ length: 50 }, (_, i) => produce(broker, 'orders', batch([String(i)])));
    expect((await Promise.all(sends)).map((outcome) => outcome?.baseOffset)).toEqual(sends.map((_, i) => i));
    const { 'orders-0': values } = valuesIn(await broker.fetch(fetchRequest({ orders: [[0, 0]] })));
    expect(values).toEqual(sends.map((_, i) => String(i)));
  });

  test('several batches of a partition in one request are appends in their order, each with its outcome', async () => {
    const broker = await startBroker();
    await createTopic(broker, 'orders');
    const damaged = batch(['x']);
    damaged[62] = (damaged[62] ?? 0) ^ 1;
    const outcomes = await produceEach(broker, [batch(['a', 'b']), damaged, batch(['c']), batch(['d'])]);
    expect(outcomes.map(({ error, baseOffset }) => [error, baseOffset])).toEqual([
      ['NONE', 0],
      ['CORRUPT_MESSAGE', -1],
      ['NONE', 2],
      ['NONE', 3],
    ]);
    const { 'orders-0': values } = valuesIn(await broker.fetch(fetchRequest({ orders: [[0, 0]] })));
    expect(values).toEqual(['a', 'b', 'c', 'd']);
  });

  test('a repeated request of many batches is known, also to the next leader, and stores nothing twice', async () => {
    const first = await startBroker();
    await createTopic(first, 'orders');
    const sequences = Array.from({ length: MAX_PRODUCER_BATCHES_IN_FLIGHT }, (_, i) => i);
    const batches = () => sequences.map((sequence) => idempotent([String(sequence)], sequence));
    const expected = sequences.map((baseOffset) => ({ error: 'NONE', baseOffset }));
    expect(await produceEach(first, batches())).toEqual(expected);
    expect(await produceEach(first, batches())).toEqual(expected);
    await first.broker.close();
    const second = await startBroker({ disk: first.disk });
    expect(await produceEach(second, batches())).toEqual(expected);
    expect(await produceEach(second, [idempotent(['last'], sequences.length)])).toMatchObject([
      { error: 'NONE', baseOffset: sequences.length },
    ]);
  });

  test('behind a bad batch of a producer id the later ones of the request are refused until it comes', async () => {
    const broker = await startBroker();
    await createTopic(broker, 'orders');
    await produceEach(broker, [idempotent(['a'], 0)]);
    const damaged = idempotent(['b'], 1);
    damaged[62] = (damaged[62] ?? 0) ^ 1;
    const refused = await produceEach(broker, [damaged, idempotent(['c'], 2), idempotent(['d'], 3)]);
    expect(refused.map(({ error }) => error)).toEqual([
      'CORRUPT_MESSAGE',
      'OUT_OF_ORDER_SEQUENCE_NUMBER',
      'OUT_OF_ORDER_SEQUENCE_NUMBER',
    ]);
    const taken = await produceEach(broker, [
      idempotent(['b'], 1),
      idempotent(['c'], 2),
      idempotent(['a'], 0),
      idempotent(['d'], 3),
    ]);
    expect(taken.map(({ baseOffset }) => baseOffset)).toEqual([1, 2, 0, 3]);
  });

  test('acks 0 is answered with nothing, and the records come all the same', async () => {
    const broker = await startBroker();
    await createTopic(broker, 'orders');
    expect(await produce(broker, 'orders', batch(['a']), { acks: 0 })).toBeUndefined();
    await settled();
    expect(valuesIn(await broker.fetch(fetchRequest({ orders: [[0, 0]] })))).toEqual({ 'orders-0': ['a'] });
  });

  test('other acks, internal topics and too few replicas are refused with Kafka names', async () => {
    const broker = await startBroker();
    await createTopic(broker, 'orders', { configs: [{ name: 'min.insync.replicas', value: '2' }] });
    await expect(produce(broker, 'orders', batch(['a']), { acks: 2 as 1 })).rejects.toMatchObject({
      type: 'INVALID_REQUIRED_ACKS',
    });
    expect(errorName((await produce(broker, 'orders', batch(['a'])))?.errorCode ?? 0)).toBe('NOT_ENOUGH_REPLICAS');
    expect(await produce(broker, 'orders', batch(['a']), { acks: 1 })).toMatchObject(ok);
    await broker.send('Metadata', { topics: [{ name: '__consumer_offsets' }], allowAutoTopicCreation: true });
    const internal = await produce(broker, '__consumer_offsets', batch(['a']));
    expect(errorName(internal?.errorCode ?? 0)).toBe('INVALID_TOPIC_EXCEPTION');
  });

  test('a leader that was deposed in its sleep refuses nothing for what it has not heard of', async () => {
    const old = await startBroker();
    await createTopic(old, 'a');
    const next = await startBroker({ disk: old.disk, clock: old.clock });
    await createTopic(next, 'b');
    const topics = [{ name: 'b', count: 2, assignments: null }];
    const growth = old.send('CreatePartitions', { timeoutMs: 1, validateOnly: false, topics });
    await expect(growth).rejects.toMatchObject({ type: 'NOT_CONTROLLER' });
    expect(old.broker.deposed.aborted).toBe(true);
  });

  test('nor does it tell what was, or take for deleted what it has not heard of', async () => {
    const topics = [{ name: 'a', partitions: [{ partitionIndex: 0, offset: -1 }] }];
    const deletion = { timeoutMs: 1, topics };
    const resources = [{ resourceType: ConfigResourceType.TOPIC, resourceName: 'b', configurationKeys: null }];
    const asks: readonly ((old: TestBroker) => Promise<unknown>)[] = [
      (old) => old.send('DeleteRecords', deletion),
      (old) => old.send('DescribeLogDirs', { topics: [{ topic: 'a', partitions: [0] }] }),
      (old) => old.send('DescribeConfigs', { includeSynonyms: false, resources }),
    ];
    for (const ask of asks) {
      const old = await startBroker();
      await createTopic(old, 'a');
      await old.send('DeleteRecords', deletion);
      const next = await startBroker({ disk: old.disk, clock: old.clock });
      await createTopic(next, 'b');
      await produce(next, 'a', batch(['x']));
      await expect(ask(old)).rejects.toMatchObject({ type: 'NOT_CONTROLLER' });
      expect(old.broker.deposed.aborted).toBe(true);
    }
  });

  test('a leader that was deposed in its sleep takes no log of what was made since for one that no topic has', async () => {
    const old = await startBroker();
    await createTopic(old, 'a');
    const next = await startBroker({ disk: old.disk, clock: old.clock });
    await createTopic(next, 'b');
    await produce(next, 'b', batch(['x']));
    const request = { topics: [{ name: '', partitions: [-1] }], repair: false };
    await expect(old.send('CheckLogs', request)).rejects.toMatchObject({ type: 'NOT_CONTROLLER' });
    expect(old.broker.deposed.aborted).toBe(true);
    const { topics } = await next.send('CheckLogs', request);
    expect(topics[0]?.partitions).toMatchObject([{ errorCode: 0, findings: [] }]);
  });

  test('a leader that was deposed writes nothing, says so, and its signal aborts', async () => {
    const old = await startBroker();
    await createTopic(old, 'orders');
    const next = await startBroker({ disk: old.disk });
    expect(errorName((await produce(old, 'orders', batch(['zombie'])))?.errorCode ?? 0)).toBe('NOT_LEADER_OR_FOLLOWER');
    expect(old.broker.deposed.aborted).toBe(true);
    await expect(createTopic(old, 'more')).rejects.toMatchObject({ type: 'NOT_CONTROLLER' });
    expect(await produce(next, 'orders', batch(['a']))).toMatchObject({ ...ok, baseOffset: 0 });
  });

  test('a storage failure is the producer’s to know, and the next record goes well', async () => {
    const broker = await startBroker();
    await createTopic(broker, 'orders');
    broker.disk.failNextAppend();
    expect(errorName((await produce(broker, 'orders', batch(['a'])))?.errorCode ?? 0)).toBe('KAFKA_STORAGE_ERROR');
    expect(await produce(broker, 'orders', batch(['b']))).toMatchObject({ ...ok, baseOffset: 0 });
    broker.disk.failNextAppend();
    await expect(createTopic(broker, 'more')).rejects.toMatchObject({ type: 'KAFKA_STORAGE_ERROR' });
    expect(await createTopic(broker, 'more')).toBe('NONE');
  });

  test('producer ids are given once, also over leaders', async () => {
    const request = { transactionalId: null, transactionTimeoutMs: 0, producerId: -1, producerEpoch: -1 };
    const first = await startBroker();
    const ids = await Promise.all(Array.from({ length: 1500 }, () => first.send('InitProducerId', request)));
    const second = await startBroker({ disk: first.disk });
    ids.push(await second.send('InitProducerId', request));
    expect(new Set(ids.map(({ producerId }) => producerId)).size).toBe(1501);
    const transactional = await second.send('InitProducerId', { ...request, transactionalId: 't' });
    expect(errorName(transactional.errorCode)).toBe('UNSUPPORTED_VERSION');
  });
});

describe('topics', () => {
  test('topics are created with partitions and configs, or refused with what is wrong, each for itself', async () => {
    const broker = await startBroker({ configs: { 'num.partitions': '3' } });
    expect(await createTopic(broker, 'a.b')).toBe('NONE');
    expect(broker.broker.image.topics.get('a.b')?.partitions).toHaveLength(3);
    expect(await createTopic(broker, 'a.b')).toBe('TOPIC_ALREADY_EXISTS');
    expect(await createTopic(broker, 'a_b')).toBe('INVALID_TOPIC_EXCEPTION');
    expect(await createTopic(broker, 'no spaces')).toBe('INVALID_TOPIC_EXCEPTION');
    expect(await createTopic(broker, '__consumer_offsets')).toBe('INVALID_TOPIC_EXCEPTION');
    expect(await createTopic(broker, 'zero', { numPartitions: 0 })).toBe('INVALID_PARTITIONS');
    expect(await createTopic(broker, 'three', { replicationFactor: 3 })).toBe('INVALID_REPLICATION_FACTOR');
    expect(await createTopic(broker, 'conf', { configs: [{ name: 'nonsense', value: '1' }] })).toBe('INVALID_CONFIG');
    expect(await createTopic(broker, 'conf', { configs: [{ name: 'retention.ms', value: 'x' }] })).toBe(
      'INVALID_CONFIG',
    );
    const assigned = (brokerIds: number[][]) => ({
      assignments: brokerIds.map((ids, partitionIndex) => ({ partitionIndex, brokerIds: ids })),
    });
    expect(await createTopic(broker, 'elsewhere', assigned([[9]]))).toBe('INVALID_REPLICA_ASSIGNMENT');
    expect(await createTopic(broker, 'both', { numPartitions: 1, ...assigned([[1]]) })).toBe('INVALID_REQUEST');
    expect(await createTopic(broker, 'assigned', assigned([[1], [1]]))).toBe('NONE');
    expect([...broker.broker.image.topics.keys()]).toEqual(['a.b', 'assigned']);
  });

  test('validateOnly checks and creates nothing', async () => {
    const broker = await startBroker();
    const validated = await broker.send('CreateTopics', { timeoutMs: 1, validateOnly: true, topics: [newTopic('a')] });
    expect(validated.topics[0]).toMatchObject({ ...ok, numPartitions: 1, replicationFactor: 1 });
    expect(broker.broker.image.topics.size).toBe(0);
  });

  test('what is named twice in one request is refused, and nothing is done to it', async () => {
    const broker = await startBroker();
    const names = (answers: readonly { errorCode: number }[]) => answers.map(({ errorCode }) => errorName(errorCode));
    const expected = ['INVALID_REQUEST', 'NONE', 'INVALID_REQUEST'];
    const topics = ['b', 'a', 'b'].map((name) => newTopic(name));
    const created = await broker.send('CreateTopics', { timeoutMs: 1, validateOnly: false, topics });
    expect(names(created.topics)).toEqual(expected);
    expect([...broker.broker.image.topics.keys()]).toEqual(['a']);
    await createTopic(broker, 'b');

    const resources = ['b', 'a', 'b'].map((resourceName, i) => {
      const configs = [{ name: ['retention.ms', 'retention.bytes', 'segment.ms'][i]!, value: '1000' }];
      return { resourceType: 2, resourceName, configs };
    });
    const altered = await broker.send('AlterConfigs', { validateOnly: false, resources });
    expect(names(altered.responses)).toEqual(expected);
    expect(broker.broker.image.topics.get('b')?.configs).toEqual({});

    const deleted = await broker.send('DeleteTopics', { timeoutMs: 1, topicNames: ['b', 'a', 'b'] });
    expect(names(deleted.responses)).toEqual(expected);
    expect([...broker.broker.image.topics.keys()]).toEqual(['b']);
  });

  test('metadata creates a missing topic where both the request and the broker allow it', async () => {
    const broker = await startBroker();
    const ask = async (name: string, allowAutoTopicCreation: boolean) => {
      const { topics } = await broker.send('Metadata', { topics: [{ name }], allowAutoTopicCreation });
      return errorName(topics[0]?.errorCode ?? 0);
    };
    expect(await ask('a', false)).toBe('UNKNOWN_TOPIC_OR_PARTITION');
    expect(await ask('not legal', true)).toBe('INVALID_TOPIC_EXCEPTION');
    expect(await ask('a.x', true)).toBe('NONE');
    expect(await ask('a_x', true)).toBe('INVALID_TOPIC_EXCEPTION');
    const twice = [{ name: 'a.x' }, { name: 'c' }, { name: 'c' }];
    const both = await broker.send('Metadata', { topics: twice, allowAutoTopicCreation: true });
    expect(both.topics).toMatchObject([
      { ...ok, name: 'a.x' },
      { ...ok, name: 'c' },
    ]);
    const all = await broker.send('Metadata', { topics: null, allowAutoTopicCreation: true });
    expect(all).toMatchObject({ clusterId: 'test', incarnationId: 'incarnation', controllerId: 1 });
    expect(all.topics.map(({ name }) => name)).toEqual(['a.x', 'c']);
    const strict = await startBroker({ configs: { 'auto.create.topics.enable': 'false' } });
    const { topics } = await strict.send('Metadata', { topics: [{ name: 'a' }], allowAutoTopicCreation: true });
    expect(errorName(topics[0]?.errorCode ?? 0)).toBe('UNKNOWN_TOPIC_OR_PARTITION');
  });

  test('two hosts that ask for the same missing topic at once both get it', async () => {
    const broker = await startBroker();
    const request = { topics: [{ name: 'a' }], allowAutoTopicCreation: true };
    const answers = await Promise.all([broker.send('Metadata', request), broker.send('Metadata', request)]);
    expect(answers.map(({ topics }) => topics[0]?.errorCode)).toEqual([0, 0]);
    expect(answers[0]?.topics[0]?.topicId).toBe(answers[1]?.topics[0]?.topicId);
  });

  test('partitions are added, never taken away', async () => {
    const broker = await startBroker();
    await createTopic(broker, 'a', { numPartitions: 2 });
    const grow = async (name: string, count: number, assignments: { brokerIds: number[] }[] | null = null) => {
      const request = { timeoutMs: 1, validateOnly: false, topics: [{ name, count, assignments }] };
      return errorName((await broker.send('CreatePartitions', request)).results[0]?.errorCode ?? 0);
    };
    expect(await grow('a', 2)).toBe('INVALID_PARTITIONS');
    expect(await grow('a', 3, [])).toBe('INVALID_REPLICA_ASSIGNMENT');
    expect(await grow('a', 3, [{ brokerIds: [2] }])).toBe('INVALID_REPLICA_ASSIGNMENT');
    expect(await grow('b', 3)).toBe('UNKNOWN_TOPIC_OR_PARTITION');
    expect(await grow('a', 4)).toBe('NONE');
    expect(await produce(broker, 'a', batch(['x']), { index: 3 })).toMatchObject(ok);
  });

  test('a topic deleted and made again shares nothing with the old one, and its data goes', async () => {
    const broker = await startBroker();
    await createTopic(broker, 'a');
    await produce(broker, 'a', batch(['old']));
    const before = broker.disk.sizeInBytes;
    const deleted = await broker.send('DeleteTopics', { timeoutMs: 1, topicNames: ['a', 'b', '__consumer_offsets'] });
    const names = deleted.responses.map((topic) => errorName(topic.errorCode));
    expect(names).toEqual(['NONE', 'UNKNOWN_TOPIC_OR_PARTITION', 'UNKNOWN_TOPIC_OR_PARTITION']);
    await settled();
    expect(broker.broker.image.removedLogs.size).toBe(0);
    await createTopic(broker, 'a');
    expect(valuesIn(await broker.fetch(fetchRequest({ a: [[0, 0]] })))).toEqual({ 'a-0': [] });
    expect(await produce(broker, 'a', batch(['new']))).toMatchObject({ ...ok, baseOffset: 0 });
    expect(before).toBeGreaterThan(0);
  });

  test('what a dead leader left of a deleted topic the next one deletes', async () => {
    const first = await startBroker();
    await createTopic(first, 'a');
    await produce(first, 'a', batch(['x'.repeat(10_000)]));
    const deletion = first.send('DeleteTopics', { timeoutMs: 1, topicNames: ['a'] });
    while (first.broker.image.topics.has('a')) await Promise.resolve();
    first.store.kill();
    void deletion.catch(() => {});
    const second = await startBroker({ disk: first.disk });
    await settled();
    expect(second.broker.image.removedLogs.size).toBe(0);
    expect(second.disk.sizeInBytes).toBeLessThan(10_000);
  });

  test('a thousand partitions open at once and take records', async () => {
    const broker = await startBroker();
    await createTopic(broker, 'wide', { numPartitions: 1000 });
    const next = await startBroker({ disk: broker.disk });
    expect(next.broker.image.topics.get('wide')?.partitions).toHaveLength(1000);
    const outcomes = await Promise.all(
      Array.from({ length: 1000 }, (_, index) => produce(next, 'wide', batch(['x']), { index })),
    );
    expect(outcomes.every((outcome) => outcome?.errorCode === 0)).toBe(true);
  });

  test('metadata records fold to the same image in one go, one by one, and through the log', () => {
    const records = [
      { type: 'TopicRecord', name: 'a', topicId: '1' },
      { type: 'PartitionRecord', topicId: '1', partitionId: 0, log: 4 },
      { type: 'ConfigRecord', resourceType: 2, resourceName: 'a', name: 'retention.ms', value: '5' },
      { type: 'TopicRecord', name: 'b', topicId: '2' },
      { type: 'PartitionRecord', topicId: '2', partitionId: 0, log: 5 },
      { type: 'RemoveTopicRecord', topicId: '2' },
      { type: 'ConfigRecord', resourceType: 4, resourceName: '1', name: 'num.partitions', value: '5' },
      { type: 'ProducerIdsRecord', nextProducerId: 1000 },
    ] as const;
    const whole = applyMetadataRecords(EMPTY_IMAGE, records);
    const single = records.reduce((image, record) => applyMetadataRecords(image, [record]), EMPTY_IMAGE);
    expect(single).toEqual(whole);
    expect(applyMetadataRecords(EMPTY_IMAGE, metadataRecordsIn(metadataBatches(records, 0)))).toEqual(whole);
    expect(whole.topics.get('a')?.config.retentionMs).toBe(5);
    expect(whole).toMatchObject({ nextLogId: 6, nextProducerId: 1000, brokerConfigs: { 'num.partitions': '5' } });
    expect(whole.removedLogs).toEqual(new Set([5]));
  });
});

describe('configs', () => {
  const TOPIC = 2;
  const BROKER = 4;

  test('a config tells its value, where it comes from, and what would hold without', async () => {
    const broker = await startBroker();
    await createTopic(broker, 'a', { configs: [{ name: 'cleanup.policy', value: 'compact' }] });
    const { results } = await broker.send('DescribeConfigs', {
      includeSynonyms: true,
      resources: [
        { resourceType: TOPIC, resourceName: 'a', configurationKeys: ['cleanup.policy', 'retention.ms', 'nonsense'] },
        { resourceType: TOPIC, resourceName: 'b', configurationKeys: null },
        { resourceType: TOPIC, resourceName: 'b!', configurationKeys: null },
        { resourceType: BROKER, resourceName: '7', configurationKeys: null },
        { resourceType: 9, resourceName: 'x', configurationKeys: null },
      ],
    });
    expect(results[0]?.configs).toEqual([
      {
        ...{
          name: 'cleanup.policy',
          value: 'compact',
          readOnly: false,
          isDefault: false,
          configSource: 1,
          isSensitive: false,
        },
        synonyms: [
          { name: 'cleanup.policy', value: 'compact', source: 1 },
          { name: 'log.cleanup.policy', value: 'delete', source: 5 },
        ],
      },
      {
        ...{
          name: 'retention.ms',
          value: '604800000',
          readOnly: false,
          isDefault: true,
          configSource: 5,
          isSensitive: false,
        },
        synonyms: [{ name: 'log.retention.ms', value: '604800000', source: 5 }],
      },
    ]);
    const names = results.map((result) => errorName(result.errorCode));
    const unknown = ['UNKNOWN_TOPIC_OR_PARTITION', 'INVALID_TOPIC_EXCEPTION', 'INVALID_REQUEST', 'INVALID_REQUEST'];
    expect(names).toEqual(['NONE', ...unknown]);
  });

  test('records may be compacted no later than they must be', async () => {
    const broker = await startBroker();
    const lags = (leastMs: string, mostMs: string) => [
      { name: 'min.compaction.lag.ms', value: leastMs },
      { name: 'max.compaction.lag.ms', value: mostMs },
    ];
    const alter = async (configs: ReturnType<typeof lags>) => {
      const resources = [{ resourceType: TOPIC, resourceName: 'a', configs }];
      const { responses } = await broker.send('AlterConfigs', { validateOnly: false, resources });
      return errorName(responses[0]?.errorCode ?? 0);
    };
    expect(await createTopic(broker, 'a', { configs: lags('101', '100') })).toBe('INVALID_CONFIG');
    expect(await createTopic(broker, 'a', { configs: lags('100', '100') })).toBe('NONE');
    expect(await alter(lags('300', '299'))).toBe('INVALID_CONFIG');
    expect(await alter(lags('300', '300'))).toBe('NONE'); // though the least alone is above what was the most
    const { config } = broker.broker.image.topics.get('a') ?? {};
    expect(config).toMatchObject({ minCompactionLagMs: 300, maxCompactionLagMs: 300 });
  });

  test.each(['max.message.bytes', 'min.insync.replicas', 'segment.bytes'])(
    '%s is at most what 32 bits hold, as in Kafka',
    async (name) => {
      const broker = await startBroker();
      const configs = (value: string) => ({ configs: [{ name, value }] });
      expect(await createTopic(broker, 'a', configs('2147483648'))).toBe('INVALID_CONFIG');
      expect(await createTopic(broker, 'a', configs('9223372036854775807'))).toBe('INVALID_CONFIG');
      expect(await createTopic(broker, 'a', configs('2147483647'))).toBe('NONE');
    },
  );

  test.each([
    ['producer', 'NONE'],
    ['uncompressed', 'NONE'],
    ['gzip', 'NONE'],
    // No browser has a codec for it.
    ['snappy', 'INVALID_CONFIG'],
    ['lz4', 'INVALID_CONFIG'],
    ['zstd', 'INVALID_CONFIG'],
  ])('a topic may ask for compression.type %s: %s', async (value, expected) => {
    const broker = await startBroker();
    const configs = [{ name: 'compression.type', value }];
    expect(await createTopic(broker, 'a', { configs })).toBe(expected);
    await createTopic(broker, 'b', {});
    const resources = [{ resourceType: TOPIC, resourceName: 'b', configs }];
    const { responses } = await broker.send('AlterConfigs', { validateOnly: false, resources });
    expect(errorName(responses[0]?.errorCode ?? 0)).toBe(expected);
  });

  test('altered configs replace all that were set, hold at once, and are there for the next leader', async () => {
    const broker = await startBroker({ configs: { 'num.partitions': '2' } });
    await createTopic(broker, 'a', { configs: [{ name: 'retention.ms', value: '1' }] });
    const alter = async (
      resourceType: number,
      resourceName: string,
      name: string,
      value: string,
      validateOnly = false,
    ) => {
      const resources = [{ resourceType, resourceName, configs: [{ name, value }] }];
      return errorName((await broker.send('AlterConfigs', { validateOnly, resources })).responses[0]?.errorCode ?? 0);
    };
    expect(await alter(TOPIC, 'a', 'max.message.bytes', '200')).toBe('NONE');
    expect(await alter(TOPIC, 'a', 'max.message.bytes', '9', true)).toBe('NONE');
    expect(await alter(TOPIC, 'a', 'nonsense', '9')).toBe('INVALID_CONFIG');
    expect(await alter(TOPIC, 'b', 'retention.ms', '9')).toBe('UNKNOWN_TOPIC_OR_PARTITION');
    expect(broker.broker.image.topics.get('a')?.configs).toEqual({ 'max.message.bytes': '200' });
    expect(errorName((await produce(broker, 'a', batch(['x'.repeat(300)])))?.errorCode ?? 0)).toBe('MESSAGE_TOO_LARGE');
    expect(await alter(BROKER, '1', 'num.partitions', '5')).toBe('NONE');
    const next = await startBroker({ disk: broker.disk, configs: { 'num.partitions': '2' } });
    await createTopic(next, 'five');
    expect(next.broker.image.topics.get('five')?.partitions).toHaveLength(5);
    const { results } = await next.send('DescribeConfigs', {
      includeSynonyms: true,
      resources: [{ resourceType: BROKER, resourceName: '1', configurationKeys: ['num.partitions'] }],
    });
    expect(results[0]?.configs[0]).toMatchObject({ value: '5', configSource: 2, isDefault: false });
    expect(results[0]?.configs[0]?.synonyms.map(({ value }) => value)).toEqual(['5', '2', '1']);
  });

  test('a stored config that this version does not know, or not so, leaves the rest in force, and is kept', async () => {
    const { disk } = await startBroker();
    const ofTomorrow = [
      { type: 'TopicRecord', name: 'a', topicId: '1' },
      { type: 'ConfigRecord', resourceType: TOPIC, resourceName: 'a', name: 'of.tomorrow', value: '1' },
      { type: 'ConfigRecord', resourceType: TOPIC, resourceName: 'a', name: 'retention.ms', value: 'for.ever' },
      { type: 'ConfigRecord', resourceType: TOPIC, resourceName: 'a', name: 'segment.ms', value: '7' },
      { type: 'ConfigRecord', resourceType: BROKER, resourceName: '1', name: 'of.tomorrow', value: '1' },
      { type: 'ConfigRecord', resourceType: BROKER, resourceName: '1', name: 'num.partitions', value: '2' },
    ] as const;
    const log = await (await leader(disk)).open({ log: METADATA_LOG });
    await log.append(metadataBatches(ofTomorrow, 0), 'coordinator');
    const broker = await startBroker({ disk });
    expect(await createTopic(broker, 'b')).toBe('NONE');
    const { topics } = broker.broker.image;
    expect(topics.get('b')?.partitions).toHaveLength(2);
    expect(topics.get('a')?.config).toEqual(parseTopicConfig({ 'segment.ms': '7' }));
    expect(topics.get('a')?.configs).toMatchObject({ 'of.tomorrow': '1', 'retention.ms': 'for.ever' });
  });

  test('a broker does not start with a config that it does not know', async () => {
    await expect(startBroker({ configs: { 'num.partition': '1' } })).rejects.toMatchObject({ type: 'INVALID_CONFIG' });
  });
});

describe('reading', () => {
  test('a fetch waits for the first record and no longer, and leaves nothing behind', async () => {
    const broker = await startBroker();
    await createTopic(broker, 'a');
    await settled();
    const timers = broker.clock.sleeperCount;
    const fetching = broker.fetch(fetchRequest({ a: [[0, 0]] }, { maxWaitMs: 5000 }));
    await settled();
    expect(broker.clock.sleeperCount).toBe(timers + 1);
    await produce(broker, 'a', batch(['x']));
    expect(valuesIn(await fetching)).toEqual({ 'a-0': ['x'] });
    expect(broker.clock.sleeperCount).toBe(timers);
    expect(broker.views.waiterCount).toBe(0);
  });

  test('a fetch answers with nothing when its time is over, and rejects when it is aborted', async () => {
    const broker = await startBroker();
    await createTopic(broker, 'a');
    const fetching = broker.fetch(fetchRequest({ a: [[0, 0]] }, { maxWaitMs: 5000 }));
    await broker.clock.advance(5000);
    expect(valuesIn(await fetching)).toEqual({ 'a-0': [] });
    const abort = new AbortController();
    const aborted = broker.fetch(fetchRequest({ a: [[0, 0]] }, { maxWaitMs: 5000 }), abort.signal);
    await settled();
    abort.abort(new Error('gone'));
    await expect(aborted).rejects.toThrow('gone');
    expect(broker.views.waiterCount).toBe(0);
  });

  test('a fetch waits for minBytes', async () => {
    const broker = await startBroker();
    await createTopic(broker, 'a');
    await produce(broker, 'a', batch(['x']));
    let isDone = false;
    const fetching = broker.fetch(fetchRequest({ a: [[0, 0]] }, { maxWaitMs: 5000, minBytes: 150 }));
    void fetching.then(() => (isDone = true));
    await settled();
    expect(isDone).toBe(false);
    await produce(broker, 'a', batch(['y'.repeat(100)]));
    expect(valuesIn(await fetching)['a-0']).toHaveLength(2);
  });

  test('an offset outside the log is out of range, and the answer says what the log holds', async () => {
    const broker = await startBroker();
    await createTopic(broker, 'a');
    for (const value of ['x', 'y', 'z']) await produce(broker, 'a', batch([value]));
    const deleted = await broker.send('DeleteRecords', {
      timeoutMs: 1,
      topics: [
        {
          name: 'a',
          partitions: [
            { partitionIndex: 0, offset: 2 },
            { partitionIndex: 3, offset: 0 },
          ],
        },
      ],
    });
    const outcomes = deleted.topics[0]?.partitions.map((p) => [errorName(p.errorCode), p.lowWatermark]);
    expect(outcomes).toEqual([
      ['NONE', 2],
      ['UNKNOWN_TOPIC_OR_PARTITION', -1],
    ]);
    for (const offset of [0, 1, 4, -1]) {
      const { responses } = await broker.fetch(fetchRequest({ a: [[0, offset]] }, { maxWaitMs: 5000 }));
      expect(responses[0]?.partitions[0]?.errorCode).toBe(errorCode('OFFSET_OUT_OF_RANGE'));
      expect(responses[0]?.partitions[0]?.errorMessage).toContain('offsets 2 to 3');
    }
    expect(valuesIn(await broker.fetch(fetchRequest({ a: [[0, 2]] })))).toEqual({ 'a-0': ['z'] });
  });

  test('records of compacted and of internal topics are not deleted on request, beside others that are', async () => {
    const broker = await startBroker();
    await createTopic(broker, 'plain');
    await createTopic(broker, 'table', { configs: [{ name: 'cleanup.policy', value: 'compact' }] });
    await createTopic(broker, 'both', { configs: [{ name: 'cleanup.policy', value: 'compact,delete' }] });
    await broker.send('Metadata', { topics: [{ name: '__consumer_offsets' }], allowAutoTopicCreation: true });
    await produce(broker, 'plain', batch(['x']));
    const names = ['plain', 'table', 'both', '__consumer_offsets'];
    const topics = names.map((name) => ({ name, partitions: [{ partitionIndex: 0, offset: -1 }] }));
    const deleted = await broker.send('DeleteRecords', { timeoutMs: 1, topics });
    const answers = deleted.topics.flatMap(({ partitions }) => partitions);
    expect(answers.map((answer) => [errorName(answer.errorCode), answer.lowWatermark])).toEqual([
      ['NONE', 1],
      ['POLICY_VIOLATION', -1],
      ['NONE', 0],
      ['INVALID_TOPIC_EXCEPTION', -1],
    ]);
  });

  test('an offset that the leader gave is in range also where this host’s view lags', async () => {
    const leader = await startBroker();
    await createTopic(leader, 'a');
    await produce(leader, 'a', batch(['x']));
    await leader.fetch(fetchRequest({ a: [[0, 0]] })); // opens the view
    leader.views.announce = () => {};
    await produce(leader, 'a', batch(['y']));
    const { responses } = await leader.fetch(fetchRequest({ a: [[0, 2]] }));
    expect(responses[0]?.partitions[0]).toMatchObject({ ...ok, records: [] });
  });

  test('what does not exist is an error of its own partition', async () => {
    const broker = await startBroker();
    await createTopic(broker, 'a');
    await produce(broker, 'a', batch(['x']));
    const response = await broker.fetch(
      fetchRequest(
        {
          a: [
            [0, 0],
            [1, 0],
          ],
          b: [[0, 0]],
        },
        { maxWaitMs: 5000 },
      ),
    );
    const codes = response.responses.flatMap(({ partitions }) => partitions.map((p) => errorName(p.errorCode)));
    expect(codes).toEqual(['NONE', 'UNKNOWN_TOPIC_OR_PARTITION', 'UNKNOWN_TOPIC_OR_PARTITION']);
    expect(valuesIn(response)['a-0']).toEqual(['x']);
  });

  test('a response keeps to maxBytes, but a batch that is larger still comes', async () => {
    const broker = await startBroker();
    await createTopic(broker, 'a', { numPartitions: 3 });
    for (let index = 0; index < 3; index++) await produce(broker, 'a', batch(['x'.repeat(1000)]), { index });
    const request = fetchRequest(
      {
        a: [
          [0, 0],
          [1, 0],
          [2, 0],
        ],
      },
      { maxBytes: 100, partitionMaxBytes: 100 },
    );
    const seen = new Set<string>();
    for (let i = 0; i < 3; i++) {
      const full = Object.entries(valuesIn(await broker.fetch(request))).filter(([, values]) => values.length > 0);
      expect(full).toHaveLength(1);
      seen.add(full[0]?.[0] ?? '');
    }
    expect(seen.size).toBe(3); // they take turns
  });

  test('a partition keeps to partitionMaxBytes, of a chunk of many batches too', async () => {
    const broker = await startBroker();
    await createTopic(broker, 'a');
    const all = Array.from({ length: 10 }, (_, i) => `${i}`.repeat(300));
    await produce(broker, 'a', concatBytes(all.map((value) => batch([value])))); // one chunk
    const seen: string[] = [];
    while (seen.length < all.length) {
      const answer = await broker.fetch(fetchRequest({ a: [[0, seen.length]] }, { partitionMaxBytes: 1000 }));
      const values = valuesIn(answer)['a-0'] ?? [];
      expect(values).toHaveLength(Math.min(2, all.length - seen.length));
      seen.push(...values);
    }
    expect(seen).toEqual(all);
  });

  test('offsets are listed by end, start and time, also by a host that does not lead', async () => {
    const broker = await startBroker();
    await createTopic(broker, 'a');
    for (const timestampMs of [1000, 3000, 2000]) await produce(broker, 'a', batch(['x', 'y'], { timestampMs }));
    const list = async (timestamp: number, partitionIndex = 0) => {
      const request = {
        isolationLevel: 0 as const,
        topics: [{ name: 'a', partitions: [{ partitionIndex, timestamp }] }],
      };
      const { topics } = await handleListOffsets(broker.reads, request);
      const { errorCode: code, offset, timestamp: found } = topics[0]!.partitions[0]!;
      return code === 0 ? [offset, found] : errorName(code);
    };
    expect(await list(-1)).toEqual([6, -1]);
    expect(await list(-2)).toEqual([0, -1]);
    expect(await list(1500)).toEqual([2, 3000]);
    expect(await list(-3)).toEqual([2, 3000]);
    expect(await list(4000)).toEqual([-1, -1]);
    expect(await list(-9)).toBe('INVALID_REQUEST');
    expect(await list(0, 5)).toBe('UNKNOWN_TOPIC_OR_PARTITION');
  });

  test('log directories tell bytes and bounds of what exists', async () => {
    const broker = await startBroker();
    await createTopic(broker, 'a', { numPartitions: 2 });
    const records = batch(['x', 'y']);
    const { byteLength } = records;
    await produce(broker, 'a', records, { index: 1 });
    const { topics } = await broker.send('DescribeLogDirs', {
      topics: [
        { topic: 'a', partitions: [1, 9] },
        { topic: 'b', partitions: [0] },
      ],
    });
    expect(topics).toEqual([
      {
        name: 'a',
        partitions: [{ partitionIndex: 1, partitionSize: byteLength, logStartOffset: 0, highWatermark: 2 }],
      },
    ]);
  });
});

describe('life of a broker', () => {
  test('retention deletes by itself, every now and then', async () => {
    const broker = await startBroker({ configs: { 'log.retention.check.interval.ms': '1000' } });
    await createTopic(broker, 'a', { configs: [{ name: 'retention.ms', value: '500' }] });
    await produce(broker, 'a', batch(['x'], { timestampMs: broker.clock.nowMs }));
    await broker.clock.advance(1100);
    const { responses } = await broker.fetch(fetchRequest({ a: [[0, 1]] }));
    expect(responses[0]?.partitions[0]).toMatchObject({ ...ok, logStartOffset: 1, highWatermark: 1 });
  });

  // Pages that are left after a minute, as on a site of many: no leader sees the end of the interval.
  test('retention deletes also where no leader lives for its interval, and no more often than that', async () => {
    const clock = new TestClock();
    const broker = await startBroker({ clock });
    await createTopic(broker, 'a', { configs: [{ name: 'retention.ms', value: '600000' }] });
    const { disk } = broker;
    const retainedAt = new Set<number | undefined>();
    const ledFor = async ({ broker }: TestBroker, ms: number): Promise<void> => {
      await clock.advance(ms);
      retainedAt.add(disk.leadership().retainedMs);
      await broker.close();
    };
    await produce(broker, 'a', batch(['x'], { timestampMs: clock.nowMs }));
    await ledFor(broker, 60_000);
    for (let minute = 1; minute < 16; minute++) await ledFor(await startBroker({ disk, clock }), 60_000);
    const last = await startBroker({ disk, clock });
    const { responses } = await last.fetch(fetchRequest({ a: [[0, 1]] }));
    expect(responses[0]?.partitions[0]).toMatchObject({ ...ok, logStartOffset: 1, highWatermark: 1 });
    expect(retainedAt.size).toBe(4); // half a minute, then each five minutes
  });

  test.each(['delete', 'compact'])('a producer that is silent for a day is forgotten: policy %s', async (value) => {
    const broker = await startBroker({ configs: { 'log.retention.check.interval.ms': '3600000' } });
    await createTopic(broker, 'a', { configs: [{ name: 'cleanup.policy', value }] });
    const send = async (baseSequence: number): Promise<string> => {
      const records = batch(['v'], { key: 'k', producerId: 7, producerEpoch: 0, baseSequence });
      return errorName((await produce(broker, 'a', records))?.errorCode ?? 0);
    };
    expect(await send(0)).toBe('NONE');
    await broker.clock.advance(23 * 3_600_000);
    expect(await send(5)).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER');
    await broker.clock.advance(2 * 3_600_000);
    expect(await send(5)).toBe('NONE');
  });

  test('a closed broker leaves no timer, refuses requests, and closes twice', async () => {
    const broker = await startBroker();
    await createTopic(broker, 'a');
    await settled();
    await Promise.all([broker.broker.close(), broker.broker.close()]);
    expect(broker.clock.sleeperCount).toBe(0);
    const refused: KafkaError = await createTopic(broker, 'b').then(
      () => Promise.reject(new Error('taken')),
      (error) => error,
    );
    expect(refused.type).toBe('NOT_CONTROLLER');
  });

  test('an idle broker wakes only for its checks', async () => {
    const broker = await startBroker();
    await settled();
    let wakes = 0;
    const { sleep } = broker.clock;
    broker.clock.sleep = (ms, signal) => {
      wakes++;
      return sleep.call(broker.clock, ms, signal);
    };
    await broker.clock.advance(3_600_000);
    expect(wakes).toBeLessThan(30);
  });
});

function idempotent(values: readonly string[], baseSequence: number): Uint8Array {
  return batch(values, { producerId: 7, producerEpoch: 0, baseSequence });
}

/** One request with an entry for each of `batches`, all of one partition. */
async function produceEach(
  { send }: TestBroker,
  batches: readonly Uint8Array[],
): Promise<{ error: string; baseOffset: number }[]> {
  const partitionData = batches.map((records) => ({ index: 0, records }));
  const topicData = [{ name: 'orders', partitionData }];
  const { responses } = await send('Produce', { transactionalId: null, acks: -1, timeoutMs: 1000, topicData });
  return (responses[0]?.partitionResponses ?? []).map((outcome) => ({
    error: errorName(outcome.errorCode),
    baseOffset: outcome.baseOffset,
  }));
}
