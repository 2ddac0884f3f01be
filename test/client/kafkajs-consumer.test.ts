import { describe, expect, test } from 'vitest';
import { AssignerProtocol, type Consumer, type EachMessagePayload, serdes } from '../../src/index.js';
import { deferred } from '../../src/util/signal.js';
import { kafka, produceValues as produce, topic, useCluster } from './client-cluster.js';

// Goal: what KafkaJS's own specs expect of a consumer, and code written for it therefore relies on, is so here. Cases that other
// files here have are not repeated.

useCluster();

test('of two handlers eachMessage is called', async () => {
  await topic('t');
  await produce('t', [0]);
  const consumer = await subscribed();
  const called = deferred<string>();
  await consumer.run({
    eachBatch: async () => called.resolve('eachBatch'),
    eachMessage: async () => called.resolve('eachMessage'),
  });
  expect(await called.promise).toBe('eachMessage');
});

test('a subscription counts for a run that follows at once, and none is taken while the run begins', async () => {
  await topic('t');
  const consumer = kafka.consumer({ groupId: 'g' });
  const joined = deferred<object>();
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => joined.resolve(payload.memberAssignment));
  const subscribing = consumer.subscribe({ topic: 't' });
  const running = consumer.run({ eachMessage: async () => {} });
  await expect(consumer.subscribe({ topic: 'u' })).rejects.toThrow(
    'Cannot subscribe to topic while consumer is running',
  );
  await Promise.all([subscribing, running]);
  expect(await joined.promise).toEqual({ t: [0] });
});

test('offsets may be committed right after the call of run, and while the consumer stops', async () => {
  await topic('t');
  await produce('t', [0, 1]);
  const consumer = await subscribed();
  const commit = (offset: string): Promise<void> => consumer.commitOffsets([{ topic: 't', partition: 0, offset }]);
  const committed = async (): Promise<unknown> => (await kafka.admin().fetchOffsets({ groupId: 'g' }))[0]?.partitions;
  const [called, stopping] = [deferred(), deferred()];
  const running = consumer.run({
    autoCommit: false,
    eachMessage: async () => {
      called.resolve();
      await stopping.promise;
      await commit('2');
    },
  });
  await commit('1');
  expect(await committed()).toEqual([{ partition: 0, offset: '1', metadata: null }]);
  await running;
  await called.promise;
  const stopped = consumer.stop();
  stopping.resolve();
  await stopped;
  expect(await committed()).toEqual([{ partition: 0, offset: '2', metadata: null }]);
  await expect(commit('3')).rejects.toThrow('consumer#run must be called first');
});

test('a subscription that is refused does not count', async () => {
  await topic('t');
  const consumer = kafka.consumer({ groupId: 'g', allowAutoTopicCreation: false });
  await consumer.subscribe({ topic: 't' });
  await expect(consumer.subscribe({ topics: ['none', 't'] })).rejects.toMatchObject({
    type: 'UNKNOWN_TOPIC_OR_PARTITION',
  });
  await consumer.run({ eachMessage: async () => {} });
  const { members } = await consumer.describeGroup();
  expect(AssignerProtocol.MemberMetadata.decode(members[0]!.memberMetadata)!.topics).toEqual(['t']);
});

describe('paused()', () => {
  test('tells of partitions that are ours, and of none once the consumer has stopped', async () => {
    await topic('t', 2);
    const consumer = await subscribed();
    await consumer.run({ eachMessage: async () => {} });
    consumer.pause([{ topic: 'other' }, { topic: 't', partitions: [1, 7] }]);
    expect(consumer.paused()).toEqual([{ topic: 't', partitions: [1] }]);
    await consumer.stop();
    expect(consumer.paused()).toEqual([]);
  });

  test('a topic that is paused before there are partitions stays so but for those that are resumed', async () => {
    await topic('t', 3);
    for (let partition = 0; partition < 3; partition++) await produce('t', [partition], partition);
    const consumer = await subscribed();
    const seen: number[] = [];
    const read = deferred();
    const running = consumer.run({
      eachMessage: async ({ partition }) => {
        seen.push(partition);
        read.resolve();
      },
    });
    consumer.pause([{ topic: 't' }]);
    consumer.resume([{ topic: 't', partitions: [1] }]);
    await running;
    await read.promise;
    expect(consumer.paused()).toEqual([{ topic: 't', partitions: [0, 2] }]);
    expect(seen).toEqual([1]);
  });
});

// Goal: to KafkaJS an interval of 0 means a heartbeat whenever a record was handled; here, too, others get their turn. Method: a
// timer is awaited; a consumer that left it none would beat so often before.
test('a handler may commit with a partition as text and metadata, and what is no offset is refused', async () => {
  await topic('t');
  await produce('t', [0, 1]);
  const consumer = kafka.consumer({ groupId: 'g' });
  await consumer.subscribe({ topic: 't', fromBeginning: true });
  const refusal = deferred<unknown>();
  await consumer.run({
    autoCommit: false,
    eachBatch: async ({ commitOffsetsIfNecessary }) => {
      const commit = (given: object): Promise<void> =>
        commitOffsetsIfNecessary({ topics: [{ topic: 't', partitions: [given as never] }] });
      await commit({ partition: '0', offset: '1', metadata: 'half' });
      refusal.resolve(await commit({ partition: '0', offset: 'two' }).catch((error) => error));
    },
  });
  expect(await refusal.promise).toMatchObject({ message: 'Invalid offset, expected a long received two' });
  const [offsets] = await kafka.admin().fetchOffsets({ groupId: 'g', topics: ['t'] });
  expect(offsets?.partitions).toMatchObject([{ partition: 0, offset: '1', metadata: 'half' }]);
});

test('partitions are paused and resumed, be they named by text', async () => {
  await topic('t', 2);
  const consumer = kafka.consumer({ groupId: 'g' });
  await consumer.subscribe({ topic: 't' });
  await consumer.run();
  const named = (...partitions: unknown[]): { topic: string; partitions: number[] }[] => [
    { topic: 't', partitions: partitions as number[] },
  ];
  consumer.pause(named('0', '1'));
  consumer.resume(named('1'));
  expect(consumer.paused()).toEqual(named(0));
});

test('what no handler was there for is not committed', async () => {
  await topic('t');
  await produce('t', [0, 1]);
  const consumer = kafka.consumer({ groupId: 'g' });
  await consumer.subscribe({ topic: 't', fromBeginning: true });
  const read = deferred();
  consumer.on(consumer.events.END_BATCH_PROCESS, () => read.resolve());
  await consumer.run();
  await read.promise;
  await consumer.stop();
  const [offsets] = await kafka.admin().fetchOffsets({ groupId: 'g', topics: ['t'] });
  expect(offsets?.partitions).toMatchObject([{ partition: 0, offset: '-1' }]);
});

test('a heartbeatInterval of 0 leaves time for others', async () => {
  await topic('t');
  const consumer = kafka.consumer({ groupId: 'g', heartbeatInterval: 0 });
  const often = deferred<string>();
  let beats = 0;
  consumer.on(consumer.events.HEARTBEAT, () => {
    if (++beats === 2000) void consumer.disconnect().then(() => often.resolve('only heartbeats'));
  });
  await consumer.subscribe({ topic: 't' });
  await consumer.run({ eachMessage: async () => {} });
  const timer = new Promise((resolve) => setTimeout(resolve, 20, 'a timer'));
  expect(await Promise.race([timer, often.promise])).toBe('a timer');
  await consumer.disconnect();
});

test('an assignor reads what members say of themselves as text', () => {
  const { MemberMetadata, MemberAssignment } = AssignerProtocol;
  const userData = new TextEncoder().encode('zone ö');
  const metadata = MemberMetadata.decode(MemberMetadata.encode({ version: 1, topics: ['t'], userData }))!;
  expect(metadata.userData.toString('utf8')).toBe('zone ö');
  const assignment = MemberAssignment.decode(MemberAssignment.encode({ version: 1, assignment: {}, userData }))!;
  expect(assignment.userData.toString()).toBe('zone ö');
});

async function subscribed(): Promise<Consumer> {
  const consumer = kafka.consumer({ groupId: 'g' });
  await consumer.subscribe({ topic: 't', fromBeginning: true });
  return consumer;
}

describe('a message that a handler gets alone', () => {
  const source = { key: 'k', value: 'v', headers: { h: 'x' }, timestamp: '5', partition: 1 };

  async function first(): Promise<EachMessagePayload> {
    await topic('t', 2);
    await kafka.producer().send({ topic: 't', messages: [source] });
    const consumer = kafka.consumer({ groupId: 'g' });
    await consumer.subscribe({ topic: 't', fromBeginning: true });
    const payload = await new Promise<EachMessagePayload>((resolve) => {
      void consumer.run({ eachMessage: async (given) => resolve(given) });
    });
    await consumer.disconnect();
    return payload;
  }

  test('has fields of its own: it can be spread, changed and compared', async () => {
    const { message } = await first();
    const spread = { ...message };
    expect(Object.keys(spread).sort()).toEqual(
      ['attributes', 'headers', 'key', 'magicByte', 'offset', 'size', 'timestamp', 'value'].sort(),
    );
    expect([spread.key?.toString(), spread.value?.toString(), spread.offset, spread.timestamp]).toEqual([
      'k',
      'v',
      '0',
      '5',
    ]);
    expect(message.value).toBe(message.value);
    const changed = Object.assign(message, { topic: 'other', partition: 7, value: 'text' });
    expect([changed.topic, changed.partition, changed.value, changed.key?.toString()]).toEqual([
      'other',
      7,
      'text',
      'k',
    ]);
  });

  test('is sent on, spread, to where its key belongs, and to the partition that is asked for', async () => {
    const { message } = await first();
    await topic('copies', 5);
    const [keyed] = await kafka.producer().send({ topic: 'copies', messages: [{ ...message }] });
    const [again] = await kafka.producer().send({ topic: 'copies', messages: [{ key: 'k', value: '' }] });
    expect(keyed?.partition).toBe(again?.partition);
    const asked = (again!.partition + 1) % 5;
    const [placed] = await kafka.producer().send({ topic: 'copies', messages: [{ ...message, partition: asked }] });
    expect(placed?.partition).toBe(asked);
    const [set] = await kafka
      .producer()
      .send({ topic: 'copies', messages: [Object.assign(message, { partition: asked })] });
    expect(set?.partition).toBe(asked);
  });

  test('is iterated over as it is handled', async () => {
    await first();
    const consumer = kafka.consumer();
    await consumer.assign([{ topic: 't', partition: 1, offset: '0' }]);
    for await (const message of consumer) {
      expect({ ...message }.value?.toString()).toBe('v');
      expect([message.topic, message.partition]).toEqual(['t', 1]);
      expect(JSON.parse(JSON.stringify(message))).toMatchObject({ topic: 't', partition: 1, offset: '0' });
      break;
    }
  });

  test('with a serde is looked at by the handler, which can skip what is malformed', async () => {
    await topic('t');
    await kafka.producer().send({ topic: 't', messages: [{ value: '{' }, { value: '7' }] });
    const consumer = kafka.consumer({ groupId: 'g', valueSerde: serdes.json<number>() });
    await consumer.subscribe({ topic: 't', fromBeginning: true });
    const seen: unknown[] = [];
    await new Promise<void>((resolve) => {
      void consumer.run({
        eachMessage: async ({ message }) => {
          try {
            seen.push(message.value);
            resolve();
          } catch {
            seen.push('skipped');
          }
        },
      });
    });
    await consumer.disconnect();
    expect(seen).toEqual(['skipped', 7]);
  });
});
