import { expect, test } from 'vitest';
import {
  AssignerProtocol,
  type Kafka,
  type KafkaConfig,
  kafkaOn,
  logLevel,
  type PartitionAssigner,
  PartitionAssigners,
  type PartitionerArgs,
} from '../../src/index.js';
import { InProcessCluster } from '../../src/testing/index.js';
import { deferred } from '../../src/util/signal.js';
import { cluster, kafka, produceValues as produce, topic, useCluster } from './client-cluster.js';
import { readAll } from './read-all.js';

// Goal: options and events that KafkaJS documents do here what they do there.

useCluster();

test('partitionsConsumedConcurrently: so many handlers at once, never two for one partition, each in order', async () => {
  await topic('t', 4);
  for (let partition = 0; partition < 4; partition++) await produce('t', [0, 1, 2], partition);
  const consumer = kafka.consumer({ groupId: 'g' });
  await consumer.subscribe({ topic: 't', fromBeginning: true });
  const running = new Set<number>();
  const seen: string[] = [];
  let most = 0;
  const three = deferred();
  const done = deferred();
  await consumer.run({
    partitionsConsumedConcurrently: 3,
    eachMessage: async ({ partition, message }) => {
      expect(running.has(partition)).toBe(false);
      running.add(partition);
      most = Math.max(most, running.size);
      if (running.size === 3) three.resolve();
      await three.promise; // the first to come go on only together
      running.delete(partition);
      if (seen.push(`${partition}:${message.value}`) === 12) done.resolve();
    },
  });
  await done.promise;
  expect(most).toBe(3);
  for (let partition = 0; partition < 4; partition++) {
    const own = seen.filter((text) => text.startsWith(`${partition}:`));
    expect(own).toEqual([0, 1, 2].map((value) => `${partition}:${value}`));
  }
});

test.each([0, -1, 1.5])('partitionsConsumedConcurrently: %d is refused', async (partitionsConsumedConcurrently) => {
  const consumer = kafka.consumer({ groupId: 'g' });
  await expect(consumer.run({ partitionsConsumedConcurrently, eachMessage: async () => {} })).rejects.toThrow(
    `Invalid partitionsConsumedConcurrently, expected at least 1, received ${partitionsConsumedConcurrently}`,
  );
});

test('autoCommitThreshold: commits after so many records, within the batch', async () => {
  await topic('t');
  await produce('t', [0, 1, 2, 3, 4]);
  const consumer = kafka.consumer({ groupId: 'g' });
  await consumer.subscribe({ topic: 't', fromBeginning: true });
  const commits: string[] = [];
  let committed = deferred();
  consumer.on(consumer.events.COMMIT_OFFSETS, ({ payload }) => {
    commits.push(payload.topics[0]!.partitions[0]!.offset);
    committed.resolve();
  });
  const committedBefore: string[][] = [];
  const last = deferred();
  await consumer.run({
    autoCommitThreshold: 2,
    eachMessage: async ({ message }) => {
      const offset = Number(message.offset);
      if (offset > 0 && offset % 2 === 0) await committed.promise; // the one that the record before has asked for
      committed = deferred();
      committedBefore.push([...commits]);
      if (offset === 4) last.resolve();
    },
  });
  await last.promise;
  await consumer.disconnect();
  expect(committedBefore).toEqual([[], [], ['2'], ['2'], ['2', '4']]);
  expect(commits).toEqual(['2', '4', '5']); // and at the end of the batch
});

test('logCreator: is asked once for what writes all entries, which come with namespace, level, label and fields', async () => {
  const levels: number[] = [];
  const entries: object[] = [];
  const config: KafkaConfig = {
    logLevel: logLevel.INFO,
    logCreator: (level) => {
      levels.push(level);
      return (entry) => void entries.push(entry);
    },
  };
  const logged = new cluster.Kafka(config);
  const consumer = logged.consumer({ groupId: 'g' });
  logged.logger().info('mine', { extra: 1 });
  logged.logger().debug('below the level');
  consumer.logger().warn('of the consumer');
  consumer.logger().setLogLevel(logLevel.ERROR);
  consumer.logger().warn('no more');
  expect(levels).toEqual([logLevel.INFO]);
  const common = { timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/), logger: 'tabstream' };
  expect(entries).toEqual([
    { namespace: '', level: logLevel.INFO, label: 'INFO', log: { ...common, message: 'mine', extra: 1 } },
    { namespace: 'Consumer', level: logLevel.WARN, label: 'WARN', log: { ...common, message: 'of the consumer' } },
  ]);
});

test('createPartitioner: is made once a producer, is asked for each message, and its answer counts', async () => {
  await topic('t', 3);
  const asked: PartitionerArgs[] = [];
  let made = 0;
  const own = kafka.producer({
    createPartitioner: () => {
      made++;
      return (args) => {
        asked.push(args);
        return Number(args.message.headers?.['to']);
      };
    },
  });
  for (const to of ['2', '0', '1', '2']) {
    await own.send({ topic: 't', messages: [{ key: 'same', value: `to ${to}`, headers: { to } }] });
  }
  expect(made).toBe(1);
  expect(asked.map(({ topic: name, message }) => `${name} ${message.value}`)).toEqual(
    ['2', '0', '1', '2'].map((to) => `t to ${to}`),
  );
  expect(asked[0]!.partitionMetadata).toMatchObject([0, 1, 2].map((partitionId) => ({ partitionId, leader: 1 })));
  const [offsets] = [await kafka.admin().fetchTopicOffsets('t')];
  expect(offsets.map(({ partition, high }) => `${partition}: ${high}`).sort()).toEqual(['0: 1', '1: 1', '2: 2']);
  await expect(own.send({ topic: 't', messages: [{ value: 'v', headers: { to: '3' } }] })).rejects.toThrow(
    'partition 3 of topic "t" does not exist: expected 0 to 2',
  );
  expect(await readAll(kafka, 't')).toHaveLength(4);
});

/** All to the member whose metadata says so, as an application's own placement would. */
const allToOne: PartitionAssigner = ({ cluster: metadata, groupId }) => ({
  name: 'AllToOne',
  version: 1,
  async assign({ members, topics }) {
    const [chosen] = members.map(({ memberId }) => memberId).sort();
    const assignment = Object.fromEntries(
      topics.map((name) => [name, metadata.findTopicPartitionMetadata(name).map(({ partitionId }) => partitionId)]),
    );
    return members.map(({ memberId }) => ({
      memberId,
      memberAssignment: AssignerProtocol.MemberAssignment.encode({
        version: this.version,
        assignment: memberId === chosen ? assignment : {},
      }),
    }));
  },
  protocol({ topics }) {
    const userData = new TextEncoder().encode(groupId);
    return {
      name: this.name,
      metadata: AssignerProtocol.MemberMetadata.encode({ version: this.version, topics, userData }),
    };
  },
});

test('partitionAssigners: the group uses one that all members know, and describeGroup shows what it said', async () => {
  await topic('t', 3);
  const consumers = [0, 1].map(() =>
    kafka.consumer({
      groupId: 'g',
      heartbeatInterval: 10,
      partitionAssigners: [allToOne, PartitionAssigners.roundRobin],
    }),
  );
  const joined = deferred();
  const protocols = new Set<string>();
  for (const consumer of consumers) {
    await consumer.subscribe({ topic: 't' });
    consumer.on(consumer.events.GROUP_JOIN, async ({ payload }) => {
      protocols.add(payload.groupProtocol);
      const { members } = await consumer.describeGroup();
      if (members.length === 2 && members.every(({ memberAssignment }) => memberAssignment.length > 0))
        joined.resolve();
    });
  }
  for (const consumer of consumers) await consumer.run({ eachMessage: async () => {} });
  await joined.promise;
  expect(protocols).toEqual(new Set(['AllToOne']));
  const { members, ...group } = await consumers[0]!.describeGroup();
  expect(group).toEqual({
    errorCode: 0,
    groupId: 'g',
    protocol: 'AllToOne',
    protocolType: 'consumer',
    state: 'Stable',
  });
  const shown = members.map(({ clientId, clientHost, memberMetadata, memberAssignment }) => ({
    clientId,
    clientHost,
    metadata: AssignerProtocol.MemberMetadata.decode(memberMetadata)!,
    assignment: AssignerProtocol.MemberAssignment.decode(memberAssignment)?.assignment ?? {},
  }));
  expect(shown.map(({ assignment }) => assignment)).toEqual(expect.arrayContaining([{ t: [0, 1, 2] }, {}]));
  for (const { clientId, clientHost, metadata } of shown) {
    expect([clientId, clientHost, metadata.topics]).toEqual(['test', expect.stringMatching(/^\/tabstream\/./), ['t']]);
    expect(new TextDecoder().decode(metadata.userData)).toBe('g');
  }
});

test('describeGroup: a group that nobody has joined yet is dead; a consumer without a group has none', async () => {
  expect(await kafka.consumer({ groupId: 'nobody' }).describeGroup()).toMatchObject({ state: 'Dead', members: [] });
  await expect(kafka.consumer().describeGroup()).rejects.toThrow('Consumer groupId must be a non-empty string.');
});

test('REBALANCING: is told to a member that has to give its partitions up for another to join', async () => {
  await topic('t', 2);
  const [first, second] = [0, 1].map(() => kafka.consumer({ groupId: 'g', heartbeatInterval: 10 })) as [
    ReturnType<Kafka['consumer']>,
    ReturnType<Kafka['consumer']>,
  ];
  const order: string[] = [];
  const memberIds: string[] = [];
  const rejoined = deferred();
  const payloads: object[] = [];
  first.on(first.events.REBALANCING, ({ payload }) => {
    order.push('rebalancing');
    payloads.push(payload);
  });
  first.on(first.events.GROUP_JOIN, ({ payload }) => {
    order.push('joined');
    memberIds.push(payload.memberId);
    if (order.length === 3) rejoined.resolve();
  });
  for (const consumer of [first, second]) {
    await consumer.subscribe({ topic: 't' });
    await consumer.run({ eachMessage: async () => {} });
  }
  await rejoined.promise;
  expect(order).toEqual(['joined', 'rebalancing', 'joined']);
  expect(payloads).toEqual([{ groupId: 'g', memberId: memberIds[0] }]);
});

test('GROUP_JOIN: tells how long it took', async () => {
  const slow = new InProcessCluster({ brokerConfig: { 'group.initial.rebalance.delay.ms': '40' } });
  const own = new slow.Kafka({ logLevel: logLevel.NOTHING });
  const consumer = own.consumer({ groupId: 'g' });
  await consumer.subscribe({ topic: 't' });
  const joined = deferred<number>();
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => joined.resolve(payload.duration));
  await consumer.run({ eachMessage: async () => {} });
  expect(await joined.promise).toBeGreaterThanOrEqual(39);
  await own.close();
  await slow.close();
});

test('RECEIVED_UNSUBSCRIBED_TOPICS: a topic that an assignor gave and nobody asked for is told, and not read', async () => {
  await topic('wanted');
  await topic('unwanted');
  await produce('unwanted', ['x']);
  await produce('wanted', ['y']);
  const generous: PartitionAssigner = () => ({
    ...PartitionAssigners.roundRobin({
      cluster: { findTopicPartitionMetadata: () => [] },
      groupId: 'g',
      logger: kafka.logger(),
    }),
    assign: ({ members }) =>
      members.map(({ memberId }) => ({
        memberId,
        memberAssignment: AssignerProtocol.MemberAssignment.encode({
          version: 1,
          assignment: { wanted: [0], unwanted: [0] },
        }),
      })),
  });
  const consumer = kafka.consumer({ groupId: 'g', partitionAssigners: [generous] });
  await consumer.subscribe({ topic: 'wanted', fromBeginning: true });
  const told = deferred<object>();
  const joined = deferred<object>();
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => joined.resolve(payload.memberAssignment));
  consumer.on(consumer.events.RECEIVED_UNSUBSCRIBED_TOPICS, ({ payload }) => told.resolve(payload));
  const read = deferred<string>();
  await consumer.run({ eachMessage: async ({ message }) => read.resolve(String(message.value)) });
  expect(await told.promise).toEqual({
    groupId: 'g',
    generationId: 1,
    memberId: expect.any(String),
    assignedTopics: ['wanted', 'unwanted'],
    topicsSubscribed: ['wanted'],
    topicsNotSubscribed: ['unwanted'],
  });
  expect(await joined.promise).toEqual({ wanted: [0] });
  expect(await read.promise).toBe('y');
  expect(consumer.assignment()).toEqual([{ topic: 'wanted', partition: 0 }]);
});

test('START_BATCH_PROCESS and END_BATCH_PROCESS: stand before and behind the handlers of a batch', async () => {
  await topic('t');
  await produce('t', [0, 1, 2]);
  const consumer = kafka.consumer({ groupId: 'g' });
  await consumer.subscribe({ topic: 't', fromBeginning: true });
  const told: unknown[] = [];
  const ended = deferred();
  consumer.on(consumer.events.START_BATCH_PROCESS, ({ type, payload }) => told.push({ type, ...payload }));
  consumer.on(consumer.events.END_BATCH_PROCESS, ({ type, payload }) => {
    told.push({ type, ...payload });
    ended.resolve();
  });
  await consumer.run({ eachMessage: async ({ message }) => void told.push(message.offset) });
  await ended.promise;
  const batch = {
    topic: 't',
    partition: 0,
    highWatermark: '3',
    offsetLag: '0',
    offsetLagLow: '2',
    batchSize: 3,
    firstOffset: '0',
    lastOffset: '2',
  };
  expect(told).toEqual([
    { type: 'consumer.start_batch_process', ...batch },
    '0',
    '1',
    '2',
    { type: 'consumer.end_batch_process', ...batch, duration: expect.any(Number) },
  ]);
});

test.each(['eachMessage', 'eachBatch'] as const)(
  'END_BATCH_PROCESS: a batch whose %s failed has not been processed',
  async (name) => {
    await topic('t');
    await produce('t', [0, 1]);
    const consumer = kafka.consumer({ groupId: 'g', retry: { initialRetryTime: 1 } });
    await consumer.subscribe({ topic: 't', fromBeginning: true });
    const told: string[] = [];
    const ended = deferred();
    consumer.on(consumer.events.START_BATCH_PROCESS, () => told.push('start'));
    consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload }) => {
      told.push(`end ${payload.firstOffset}`);
      ended.resolve();
    });
    let failures = 1;
    const handler = async (): Promise<void> => {
      if (failures-- > 0) throw new Error('not yet');
    };
    await consumer.run({ [name]: handler });
    await ended.promise;
    expect(told).toEqual(['start', 'start', 'end 0']);
  },
);

test('REQUEST_TIMEOUT: tells of the request that got no answer in time; enforceRequestTimeout: false waits on', async () => {
  let isSilent = false;
  const Client = kafkaOn({
    runtime: cluster.runtime,
    async connect() {
      const channel = await cluster.connect();
      return {
        send: (api, request, options) =>
          isSilent && api === 'ListGroups' ? new Promise<never>(() => {}) : channel.send(api, request, options),
        close: () => channel.close(),
      };
    },
  });
  const config: KafkaConfig = {
    clientId: 'test',
    logLevel: logLevel.NOTHING,
    requestTimeout: 20,
    retry: { retries: 0 },
  };
  const hasty = new Client(config).admin();
  await hasty.connect();
  isSilent = true;
  const told: { apiName: string }[] = [];
  hasty.on(hasty.events.REQUEST_TIMEOUT, ({ payload }) => told.push(payload));
  const error = await hasty.listGroups().catch((caught: unknown) => caught);
  expect(String(error)).toMatch(/ListGroups\(correlationId: \d+\) timed out: no answer within 20 ms/);
  expect((error as Error).cause).toMatchObject({ name: 'KafkaJSRequestTimeoutError', ...told[0] });
  expect(told).toEqual([
    {
      apiName: 'ListGroups',
      clientId: 'test',
      broker: 'tabstream:0',
      correlationId: expect.any(Number),
      createdAt: expect.any(Number),
      sentAt: expect.any(Number),
      pendingDuration: 0,
    },
  ]);
  await hasty.disconnect();

  const patient = new Client({ ...config, enforceRequestTimeout: false }).admin();
  await patient.connect();
  const outcome = await Promise.race([
    patient.listGroups().catch((caught: Error) => caught.message),
    cluster.runtime.clock.sleep(60).then(() => 'still waiting'),
  ]);
  expect(outcome).toBe('still waiting');
  await patient.disconnect();
});

test('REQUEST_QUEUE_SIZE and rackId: are accepted, and mean nothing here', async () => {
  await topic('t');
  await produce('t', [0]);
  const consumer = kafka.consumer({ groupId: 'g', rackId: 'rack' });
  const sizes: unknown[] = [];
  const stopListening = consumer.on(consumer.events.REQUEST_QUEUE_SIZE, (event) => sizes.push(event));
  await consumer.subscribe({ topic: 't', fromBeginning: true });
  const read = deferred<string>();
  await consumer.run({ eachMessage: async ({ message }) => read.resolve(String(message.value)) });
  expect(await read.promise).toBe('0');
  expect(sizes).toEqual([]);
  stopListening();
});
