import { beforeEach, describe, expect, test } from 'vitest';
import {
  type AssignedPartition,
  type Consumer,
  type ConsumerConfig,
  KafkaJSNumberOfRetriesExceeded,
  kafkaOn,
  logLevel,
} from '../../src/index.js';
import { KafkaError } from '../../src/protocol/errors.js';
import type { FetchRequest } from '../../src/protocol/requests.js';
import { sealBatch } from '../../src/record/batch-checksum.js';
import { RecordBatchBuilder } from '../../src/record/record-batch-builder.js';
import { countingRuntime } from '../../src/runtime/counting-runtime.js';
import { inProcessRuntime } from '../../src/runtime/node-runtime.js';
import type { Clock } from '../../src/runtime/runtime.js';
import { Simulation } from '../../src/runtime/simulation.js';
import { InProcessCluster } from '../../src/testing/index.js';
import { deferred } from '../../src/util/signal.js';
import { finishBatch } from '../record/finish-batch.js';
import { cluster, kafka, produceValues as produce, topic, useCluster } from './client-cluster.js';
import { faultyPlatform } from './faulty-platform.js';

// Goal: what KafkaJS code does to a consumer that runs, or is about to: seek, pause, commit, stop, whenever it likes.

useCluster();

async function groupConsumer(config: object = {}): Promise<Consumer> {
  const consumer = kafka.consumer({ groupId: 'g', ...config });
  await consumer.subscribe({ topic: 't', fromBeginning: true });
  return consumer;
}

/** A consumer whose fetches go out after `before`. */
function fetching(
  before: (request: FetchRequest, signal: AbortSignal | undefined) => Promise<void>,
  config: ConsumerConfig = {},
  on: InProcessCluster = cluster,
): Consumer {
  const Client = kafkaOn({
    runtime: on.runtime,
    async connect() {
      const channel = await on.connect();
      return {
        close: () => channel.close(),
        send: async (api, request, options) => {
          if (api === 'Fetch') await before(request as FetchRequest, options?.signal);
          return channel.send(api, request, options);
        },
      };
    },
  });
  return new Client({ logLevel: logLevel.NOTHING }).consumer(config);
}

function builderOf(values: readonly string[]): RecordBatchBuilder {
  const builder = new RecordBatchBuilder();
  for (const value of values) builder.append({ key: null, value, timestampMs: 0 });
  return builder;
}

/** A consumer for which no time passes. */
function timeless(config: ConsumerConfig = {}): Consumer {
  const sleep = (_ms: number, signal?: AbortSignal): Promise<never> =>
    new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)));
  const clock: Clock = { monotonicMs: () => 0, wallMs: () => 0, sleep };
  const Client = kafkaOn({ runtime: { ...cluster.runtime, clock }, connect: () => cluster.connect() });
  return new Client({ logLevel: logLevel.NOTHING }).consumer(config);
}

/** From the beginning. */
function allOf(partitions: number): AssignedPartition[] {
  return Array.from({ length: partitions }, (_, partition) => ({ topic: 't', partition, offset: '0' }));
}

async function committed(partition = 0): Promise<{ offset: string; metadata: string | null }> {
  await using admin = kafka.admin();
  const [answer] = await admin.fetchOffsets({ groupId: 'g', topics: ['t'] });
  const { offset, metadata } = answer!.partitions.find((entry) => entry.partition === partition)!;
  return { offset, metadata };
}

// KafkaJS's own example: "you don't need to await consumer#run".
test('seek right after a run that nobody awaits: reading begins there', async () => {
  await topic('t');
  await produce('t', [0, 1, 2, 3, 4]);
  const consumer = await groupConsumer();
  const seen: string[] = [];
  const done = deferred();
  const running = consumer.run({
    eachMessage: async ({ message }) => {
      seen.push(message.offset);
      if (message.offset === '4') done.resolve();
    },
  });
  consumer.seek({ topic: 't', partition: 0, offset: '1' });
  consumer.seek({ topic: 't', partition: 0, offset: '3' });
  consumer.seek({ topic: 'not ours', partition: 0, offset: '3' });
  await running;
  await done.promise;
  expect(seen).toEqual(['3', '4']);
});

// What waits for a handler stands behind what failed: to process it would commit both.
test.each(['eachBatch', 'eachMessage'] as const)('what %s fails at for good is not passed over', async (handler) => {
  await topic('t');
  for (const value of [0, 1]) await produce('t', [value]);
  const consumer = await groupConsumer({ maxBytesPerPartition: 1 });
  const isBuffered = deferred();
  let batches = 0;
  consumer.on(consumer.events.FETCH, ({ payload }) => {
    batches += payload.numberOfBatches;
    if (batches === 2) isBuffered.resolve();
  });
  const crashed = new Promise((resolve) => consumer.on(consumer.events.CRASH, resolve));
  let calls = 0;
  const handle = async (): Promise<void> => {
    if (++calls > 1) return;
    await isBuffered.promise;
    throw new TypeError('a mistake');
  };
  await consumer.run({ partitionsConsumedConcurrently: 2, [handler]: handle });
  await crashed;
  expect(calls).toBe(1);
  expect((await committed()).offset).toBe('-1');
});

// Goal: a host reads on for a fetch as long as somebody waits for it, and what is sought stands behind that.
test.each([
  [1, true],
  [2, false],
])(
  'a seek in one of %i partitions that wait in one fetch: that this is given up is %s',
  async (partitions, isGivenUp) => {
    await topic('t', partitions);
    const fetches: AbortSignal[] = [];
    const waiting = deferred();
    const consumer = fetching(async (_request, signal) => {
      if (signal) fetches.push(signal);
      waiting.resolve();
    });
    await consumer.assign(allOf(partitions));
    await consumer.run({ eachMessage: async () => {} });
    await waiting.promise;
    expect(fetches.map(({ aborted }) => aborted)).toEqual([false]);
    consumer.seek({ topic: 't', partition: 0, offset: '0' });
    expect(fetches.map(({ aborted }) => aborted)).toEqual([isGivenUp, false]);
    await consumer.disconnect();
  },
);

// Goal: many partitions are fetched once each, and together, while handlers are quicker than fetches. Method: sixteen of
// them with three batches each, fetches that take a while, and a count of what is asked for; in virtual time, where a slow
// machine makes no fetch a slow one.
test('no fetch that may be reading is given up for another', async () => {
  const partitions = 16;
  const simulation = new Simulation({ seed: 1 });
  const simulated = new InProcessCluster({ runtime: simulation.tab('a').runtime });
  const asked = new Map<string, number>();
  const consumer = fetching(
    async ({ topics }, signal) => {
      for (const { partition, fetchOffset } of topics[0]!.partitions) {
        asked.set(`${partition}/${fetchOffset}`, (asked.get(`${partition}/${fetchOffset}`) ?? 0) + 1);
      }
      await simulated.runtime.clock.sleep(10, signal);
    },
    { maxBytesPerPartition: 1 },
    simulated,
  );
  const read = async (): Promise<void> => {
    const client = new simulated.Kafka({ logLevel: logLevel.NOTHING });
    await client.admin().createTopics({ topics: [{ topic: 't', numPartitions: partitions }] });
    const producer = client.producer();
    for (let round = 0; round < 3; round++) {
      for (let partition = 0; partition < partitions; partition++) {
        await producer.send({ topic: 't', messages: [{ value: String(round), partition }] });
      }
    }
    await consumer.assign(allOf(partitions));
    let left = 3 * partitions;
    const done = deferred();
    await consumer.run({
      eachBatch: async ({ batch }) => {
        left -= batch.messages.length;
        if (left === 0) done.resolve();
      },
    });
    await done.promise;
    await consumer.disconnect();
    await client.close();
    await simulated.close();
  };
  await simulation.drive(read());
  const reads = [...asked].filter(([place]) => !place.endsWith('/3')); // at the end they wait
  expect(reads.map(([, times]) => times)).toEqual(Array(3 * partitions).fill(1));
});

// Goal: among many partitions at whose ends one waits, a record is heard of at once, however often one comes. Method: a client
// for which no time passes.
test('a record in one of many idle partitions waits for no timer', async () => {
  const partitions = 8;
  await topic('t', partitions);
  const consumer = timeless({ maxWaitTimeInMs: 60_000 });
  await consumer.assign(allOf(partitions));
  let heard = deferred<string>();
  await consumer.run({ eachMessage: async ({ message }) => heard.resolve(String(message.value)) });
  for (let i = 0; i < 3 * partitions; i++) {
    heard = deferred();
    await produce('t', [i], (3 * i) % partitions);
    expect(await heard.promise).toBe(String(i));
  }
  await consumer.disconnect();
});

// Goal: records that are fetched and cannot be handed out hold up no other partition, however many they are. Method: one
// partition is read ahead beyond what a consumer takes, and is then paused, or its handler does not end.
test.each(['is paused', 'has a handler that does not end'])('others go on where a partition %s', async (what) => {
  await topic('t', 2);
  for (const value of [0, 1, 2]) await produce('t', [value]);
  const consumer = fetching(async () => {}, { maxBytes: 1, maxBytesPerPartition: 1 });
  const begun = deferred();
  const ending = deferred();
  const heard: string[] = [];
  const done = deferred();
  await consumer.assign(allOf(2));
  await consumer.run({
    partitionsConsumedConcurrently: 2,
    eachMessage: async ({ partition, message, pause }) => {
      if (partition === 1) {
        if (heard.push(String(message.value)) === 3) done.resolve();
        return;
      }
      if (what === 'is paused') pause();
      begun.resolve();
      if (what !== 'is paused') await ending.promise;
    },
  });
  await begun.promise;
  for (const value of ['a', 'b', 'c']) await produce('t', [value], 1);
  await done.promise;
  expect(heard).toEqual(['a', 'b', 'c']);
  ending.resolve();
  await consumer.disconnect();
});

// Goal: one partition that cannot be read keeps nothing of the others back, and is not silent. Method: a batch whose checksum is right and whose records
// are not, as a foreign client may write it, in the first of two partitions; and no time passes.
describe('where the records of a partition cannot be read', () => {
  beforeEach(async () => {
    await topic('t', 2);
    const records = finishBatch(builderOf(['x'.repeat(50)]));
    records.fill(0xff, 70);
    sealBatch(records, 0, records.length);
    const channel = await cluster.connect();
    const topicData = [{ name: 't', partitionData: [{ index: 0, records, incarnationId: undefined, log: undefined }] }];
    const request = { transactionalId: null, acks: -1, timeoutMs: 1000, checksums: 'given', topicData } as const;
    const { responses } = await channel.send('Produce', request);
    expect(responses[0]?.partitionResponses[0]).toMatchObject({ errorCode: 0 });
    await channel.close();
    await produce('t', ['other'], 1);
  });

  test('others go on', async () => {
    const consumer = timeless();
    await consumer.assign(allOf(2));
    const heard = deferred<string>();
    await consumer.run({ eachMessage: async ({ message }) => heard.resolve(String(message.value)) });
    expect(await heard.promise).toBe('other');
    await consumer.disconnect();
  });

  test('the consumer says so in the end', async () => {
    const retry = { initialRetryTime: 1, retries: 1, restartOnFailure: async () => false };
    const consumer = kafka.consumer({ retry });
    const crashed = deferred<Error>();
    consumer.on(consumer.events.CRASH, ({ payload }) => crashed.resolve(payload.error));
    await consumer.assign(allOf(2));
    await consumer.run({ eachMessage: async () => {} });
    expect(await crashed.promise).toMatchObject({
      name: 'KafkaJSNumberOfRetriesExceeded',
      cause: { type: 'CORRUPT_MESSAGE' },
    });
    await consumer.disconnect();
  });
});

// Goal: what is refused of an earlier stay in a group does not end the present one (KAFKA-13563 and the like). Method: a commit
// is on its way while its member is removed, and is refused once the consumer has joined anew.
test('a commit of a member that is no more is refused, and the one that took its place stays', async () => {
  await topic('t');
  const sent = deferred<{ memberId: string }>();
  const released = deferred();
  let commits = 0;
  const Client = kafkaOn({
    runtime: cluster.runtime,
    async connect() {
      const channel = await cluster.connect();
      return {
        close: () => channel.close(),
        async send(api, request, options) {
          if (api === 'OffsetCommit' && ++commits === 1) {
            sent.resolve(request as { memberId: string });
            await released.promise;
          }
          return channel.send(api, request, options);
        },
      };
    },
  });
  const consumer = new Client({ logLevel: logLevel.NOTHING }).consumer({ groupId: 'g', heartbeatInterval: 100 });
  let revocations = 0;
  let joined = deferred();
  consumer.on(consumer.events.GROUP_JOIN, () => joined.resolve());
  consumer.on(consumer.events.REBALANCING, () => {
    revocations++;
  });
  await consumer.subscribe({ topic: 't', fromBeginning: true });
  await consumer.run({ autoCommit: false, eachMessage: async () => {} });
  joined = deferred();
  const old = consumer.commitOffsets([{ topic: 't', partition: 0, offset: '1' }]).catch((error: unknown) => error);
  const { memberId } = await sent.promise;
  const channel = await cluster.connect();
  await channel.send('LeaveGroup', { groupId: 'g', members: [{ memberId, groupInstanceId: null }] });
  await joined.promise;
  released.resolve();
  expect(await old).toMatchObject({ type: 'UNKNOWN_MEMBER_ID' });
  await consumer.commitOffsets([{ topic: 't', partition: 0, offset: '2' }]);
  expect(await committed()).toMatchObject({ offset: '2' });
  expect(revocations).toBe(1);
  await channel.close();
  await consumer.disconnect();
});

// Goal: a consumer that begins anew after a crash goes on behind what its handlers have finished, be there no group to remember
// it, and loses nothing that was written meanwhile. Method: its handler fails once, at the second of three records.
test.each(['0', '-1', '-2'])(
  'one with an assignment (offset %s) that restarts goes on where it was',
  async (offset) => {
    await topic('t');
    const retry = { initialRetryTime: 1, retries: 0 };
    const consumer = kafka.consumer({ retry });
    const seen: string[] = [];
    const done = deferred();
    await consumer.assign([{ topic: 't', partition: 0, offset }]);
    await consumer.run({
      eachMessage: async ({ message }) => {
        const value = String(message.value);
        seen.push(value);
        if (value === 'b' && seen.length === 2) throw new Error('once');
        if (value === 'c') done.resolve();
      },
    });
    await produce('t', ['a', 'b', 'c']);
    await done.promise;
    expect(seen).toEqual(['a', 'b', 'b', 'c']);
    await consumer.disconnect();
  },
);

// Goal: the end that a seek goes to is the end of then. Method: a seek in a consumer that is paused, or that crashes at the first record
// behind it; nobody but the fetcher knows where that was.
describe('what is written behind a seek to the end comes', () => {
  /** Resolves once the consumer knows where that is. */
  async function seekToEnd(consumer: Consumer): Promise<void> {
    const found = deferred();
    consumer.on(consumer.events.REQUEST, ({ payload }) => {
      if (payload.apiName === 'ListOffsets') found.resolve();
    });
    consumer.seek({ topic: 't', partition: 0, offset: '-1' });
    await found.promise;
  }

  test('to a partition that is paused, once it is resumed', async () => {
    await topic('t');
    await produce('t', ['a']);
    let fetched = deferred();
    const consumer = fetching(async () => fetched.resolve());
    await consumer.assign([{ topic: 't', partition: 0, offset: '0' }]);
    const seen: string[] = [];
    let waiting = deferred();
    await consumer.run({
      eachMessage: async ({ message }) => {
        seen.push(String(message.value));
        waiting.resolve();
      },
    });
    await waiting.promise;
    consumer.pause([{ topic: 't' }]);
    await seekToEnd(consumer);
    await produce('t', ['b']);
    fetched = deferred();
    waiting = deferred();
    consumer.resume([{ topic: 't' }]);
    await fetched.promise;
    await produce('t', ['c']); // else nothing might come at all
    await waiting.promise;
    expect(seen.slice(0, 2)).toEqual(['a', 'b']);
    await consumer.disconnect();
  });

  test('to a consumer that crashes before the first is handled', async () => {
    await topic('t');
    await produce('t', ['a']);
    const consumer = kafka.consumer({ retry: { initialRetryTime: 1, retries: 0 } });
    await consumer.assign([{ topic: 't', partition: 0, offset: '0' }]);
    const seen: string[] = [];
    const [first, done] = [deferred(), deferred()];
    await consumer.run({
      eachMessage: async ({ message }) => {
        seen.push(String(message.value));
        first.resolve();
        if (seen.length === 2) throw new Error('once');
        if (seen.length === 3) done.resolve();
      },
    });
    await first.promise;
    await seekToEnd(consumer);
    await produce('t', ['b']);
    await done.promise;
    expect(seen).toEqual(['a', 'b', 'b']);
    await consumer.disconnect();
  });
});

// Goal: what was fetched is handled, though the log does not have it any more, as in Kafka. Method: while a handler is at the first of
// three records, what the next fetch asks for is deleted.
test('a handler gets all that was fetched before the log began elsewhere', async () => {
  await topic('t');
  await produce('t', [0, 1, 2]);
  const [first, go, deleted, done] = [deferred(), deferred(), deferred(), deferred()];
  let fetches = 0;
  const consumer = fetching(async () => {
    if (++fetches === 2) await go.promise;
  });
  const seen: string[] = [];
  await consumer.assign(allOf(1));
  await consumer.run({
    eachMessage: async ({ message }) => {
      seen.push(message.offset);
      first.resolve();
      if (message.offset === '0') await deleted.promise;
      if (message.offset === '5') done.resolve();
    },
  });
  await first.promise;
  await produce('t', [3, 4, 5]);
  await using admin = kafka.admin();
  await admin.deleteTopicRecords({ topic: 't', partitions: [{ partition: 0, offset: '5' }] });
  consumer.on(consumer.events.FETCH, () => deleted.resolve());
  go.resolve();
  await done.promise;
  expect(seen).toEqual(['0', '1', '2', '5']);
  await consumer.disconnect();
});

// Goal: the records of a partition are handled one after the other, also over a new assignment. Method: the handler of one that is
// assigned again does not end, and another could run beside it.
test('a partition that is assigned again waits for its handler', async () => {
  await topic('t');
  await produce('t', ['a']);
  const consumer = kafka.consumer();
  await consumer.assign(allOf(1));
  const seen: string[] = [];
  const [first, go, done] = [deferred(), deferred(), deferred()];
  await consumer.run({
    partitionsConsumedConcurrently: 2,
    eachMessage: async ({ message }) => {
      seen.push(String(message.value));
      if (seen.length === 2) done.resolve();
      first.resolve();
      await go.promise;
    },
  });
  await first.promise;
  const fetched = deferred();
  consumer.on(consumer.events.FETCH, ({ payload }) => {
    if (payload.numberOfBatches === 1) fetched.resolve();
  });
  await consumer.assign(allOf(1));
  await fetched.promise;
  await committed(); // some turns, in which it would be handled
  expect(seen).toEqual(['a']);
  go.resolve();
  await done.promise;
  expect(seen).toEqual(['a', 'a']);
  await consumer.disconnect();
});

test('commits that nobody has waited for are done when the consumer is stopped', async () => {
  await topic('t');
  const consumer = await groupConsumer();
  await consumer.run({ autoCommit: false, eachMessage: async () => {} });
  const commits = ['1', '2', '3'].map((offset) => consumer.commitOffsets([{ topic: 't', partition: 0, offset }]));
  await Promise.all([consumer.disconnect(), ...commits]);
  expect(await committed()).toMatchObject({ offset: '3' });
});

// Goal: who waits for a commit is not told that it is done when it is not. Method: while one commit is out the handler asks twice for
// another, which is refused.
test('of two who wait for the same commit each hears that it failed', async () => {
  await topic('t');
  await produce('t', [0, 1, 2]);
  const out = deferred();
  const asked = deferred();
  let commits = 0;
  const Kafka = kafkaOn({
    runtime: cluster.runtime,
    async connect() {
      const channel = await cluster.connect();
      return {
        close: () => channel.close(),
        send: async (api, request, options) => {
          const nth = api === 'OffsetCommit' ? commits++ : -1;
          if (nth === 0) out.resolve();
          if (nth === 0) await asked.promise;
          if (nth === 1) throw new KafkaError('OFFSET_METADATA_TOO_LARGE', 'injected');
          return channel.send(api, request, options);
        },
      };
    },
  });
  const consumer = new Kafka({ logLevel: logLevel.NOTHING }).consumer({ groupId: 'g' });
  await consumer.subscribe({ topic: 't', fromBeginning: true });
  const outcomes = deferred<string[]>();
  await consumer.run({
    autoCommitThreshold: 1,
    async eachBatch({ batch, resolveOffset, commitOffsetsIfNecessary }) {
      if (commits > 0) return;
      const waiting: Promise<void>[] = [];
      for (const { offset } of batch.messages) {
        resolveOffset(offset);
        waiting.push(commitOffsetsIfNecessary());
        await out.promise;
      }
      asked.resolve();
      outcomes.resolve((await Promise.allSettled(waiting)).map(({ status }) => status));
    },
  });
  expect(await outcomes.promise).toEqual(['fulfilled', 'rejected', 'rejected']);
  await consumer.disconnect();
  expect(await committed()).toMatchObject({ offset: '3' });
});

test('pause right after a run that nobody awaits: nothing comes until it is resumed', async () => {
  await topic('t');
  await produce('t', [0]);
  const consumer = await groupConsumer();
  const seen: string[] = [];
  const done = deferred();
  const running = consumer.run({
    eachMessage: async ({ message }) => {
      seen.push(message.offset);
      done.resolve();
    },
  });
  consumer.pause([{ topic: 't' }]);
  await running;
  expect(consumer.paused()).toEqual([{ topic: 't', partitions: [0] }]);
  expect(seen).toEqual([]);
  consumer.resume([{ topic: 't' }]);
  await done.promise;
  expect(seen).toEqual(['0']);
});

test('a second run while the first begins is refused with a warning, as one while it runs', async () => {
  await topic('t');
  const warnings: string[] = [];
  const logged = new cluster.Kafka({
    logLevel: logLevel.WARN,
    logCreator: () => (entry) => void warnings.push(entry.log.message),
  });
  const consumer = logged.consumer({ groupId: 'g' });
  await consumer.subscribe({ topic: 't' });
  let joins = 0;
  consumer.on(consumer.events.GROUP_JOIN, () => joins++);
  await Promise.all([consumer.run({}), consumer.run({})]);
  await consumer.run({});
  expect(warnings).toEqual(Array(2).fill('consumer#run was called, but the consumer is already running'));
  expect(joins).toBe(1);
  await logged.close();
});

test.each([
  ['stop', (consumer: Consumer): Promise<void> => consumer.stop()],
  ['disconnect', (consumer: Consumer): Promise<void> => consumer.disconnect()],
])('%s right after a run that nobody awaits ends it', async (_, end) => {
  const { runtime, open } = countingRuntime(inProcessRuntime());
  const own = new InProcessCluster({ runtime, brokerConfig: { 'group.initial.rebalance.delay.ms': '0' } });
  const client = new own.Kafka({ logLevel: logLevel.NOTHING });
  await client.producer().send({ topic: 't', messages: [{ value: 'v' }] });
  const member = client.consumer({ groupId: 'g' });
  await member.subscribe({ topic: 't', fromBeginning: true });
  const alone = client.consumer();
  await alone.assign([{ topic: 't', partition: 0, offset: '0' }]);
  for (const consumer of [member, alone]) {
    let handled = 0;
    const eachMessage = async (): Promise<void> => void handled++;
    const running = consumer.run({ eachMessage });
    await end(consumer);
    await running;
    expect(consumer.assignment()).toEqual([]);
    expect(handled).toBe(0);
    expect(() => consumer.seek({ topic: 't', partition: 0, offset: '0' })).toThrow('consumer#run must be called first');
  }
  await client.close();
  await own.close();
  await Promise.resolve();
  expect(open()).toEqual({ timers: 0, locks: 0, channels: 0 });
});

test('a signal that is aborted while the consumer begins ends it', async () => {
  await topic('t');
  await produce('t', [0]);
  const consumer = await groupConsumer();
  const controller = new AbortController();
  let handled = 0;
  const running = consumer.run({ signal: controller.signal, eachMessage: async () => void handled++ });
  controller.abort();
  await expect(running).rejects.toBe(controller.signal.reason);
  expect(consumer.assignment()).toEqual([]);
  expect(handled).toBe(0);
});

test('stop while the group is still gathering is no crash', async () => {
  const slow = new InProcessCluster({ brokerConfig: { 'group.initial.rebalance.delay.ms': '10000' } });
  const client = new slow.Kafka({ logLevel: logLevel.NOTHING });
  const consumer = client.consumer({ groupId: 'g' });
  await consumer.subscribe({ topic: 't' });
  const told: string[] = [];
  const joining = deferred();
  consumer.on(consumer.events.CRASH, () => told.push('CRASH'));
  consumer.on(consumer.events.STOP, () => told.push('STOP'));
  consumer.on(consumer.events.REQUEST, ({ payload }) => {
    if (payload.apiName === 'FindCoordinator' || payload.apiName === 'Metadata') joining.resolve();
  });
  const running = consumer.run({});
  await Promise.race([joining.promise, client.admin().listTopics()]);
  await consumer.stop();
  await running;
  expect(told).toEqual(['STOP']);
  await client.close();
  await slow.close();
});

test('a loop over a consumer ends by stop, also where that comes while it begins or waits to restart', async () => {
  await topic('t');
  await produce('t', [0]);
  const loop = async (consumer: Consumer): Promise<void> => {
    for await (const _ of consumer) throw new Error('a record, though it was stopped');
  };
  const beginning = await groupConsumer();
  const ended = loop(beginning);
  await beginning.connect(); // the loop is at run, which is at the group
  await beginning.stop();
  await ended;

  const failing = kafkaOn(faultyPlatform(cluster, (api) => (api === 'Fetch' ? 'not leader' : 'none')));
  const client = new failing({ logLevel: logLevel.NOTHING });
  const asked = deferred();
  const answer = deferred<boolean>();
  const restartOnFailure = (): Promise<boolean> => {
    asked.resolve();
    return answer.promise;
  };
  const crashing = client.consumer({
    groupId: 'g',
    retry: { retries: 0, initialRetryTime: 1, restartOnFailure },
  });
  await crashing.subscribe({ topic: 't', fromBeginning: true });
  const crashed = loop(crashing);
  await asked.promise;
  await crashing.stop();
  answer.resolve(true);
  await crashed;
  await client.close();
});

// It has nothing to seek in, and what it was told then must not move a partition that it gets much later.
test('seek by a member that has no partition does nothing, also not once it gets one', async () => {
  await topic('t');
  await produce('t', [0, 1, 2]);
  // Their ids begin with these, and partitions are dealt out in the order of ids.
  const [owner, idle] = ['a', 'b'].map((clientId) =>
    new cluster.Kafka({ clientId, logLevel: logLevel.NOTHING }).consumer({ groupId: 'g' }),
  ) as [Consumer, Consumer];
  const handled = deferred();
  const next = deferred();
  const seen: string[] = [];
  for (const consumer of [owner, idle]) await consumer.subscribe({ topic: 't', fromBeginning: true });
  await owner.run({
    eachMessage: async ({ message }) => {
      if (message.offset === '2') handled.resolve();
    },
  });
  await handled.promise;
  await idle.run({
    eachMessage: async ({ message }) => {
      seen.push(message.offset);
      if (message.offset === '3') next.resolve();
    },
  });
  expect(idle.assignment()).toEqual([]);
  idle.seek({ topic: 't', partition: 0, offset: '1' });
  await owner.disconnect();
  await produce('t', [3]);
  await next.promise;
  expect(seen).toEqual(['3']);
  await idle.disconnect();
});

test('seek within a handler: the rest of the batch is void, and where it went is committed', async () => {
  await topic('t');
  await produce('t', [0, 1, 2, 3, 4]);
  const consumer = await groupConsumer();
  const seen: string[] = [];
  const done = deferred();
  await consumer.run({
    eachMessage: async ({ message }) => {
      seen.push(message.offset);
      if (seen.length === 2) consumer.seek({ topic: 't', partition: 0, offset: '4' });
      if (message.offset === '4') done.resolve();
    },
  });
  await done.promise;
  await consumer.stop();
  expect(seen).toEqual(['0', '1', '4']);
  expect(await committed()).toEqual({ offset: '5', metadata: null });
});

test('of several offsets of a partition that are committed at once the last counts, with its own metadata', async () => {
  await topic('t');
  await produce('t', [0, 1, 2]);
  const consumer = await groupConsumer();
  await consumer.run({ autoCommit: false, eachMessage: async () => {} });
  const place = { topic: 't', partition: 0 };
  await consumer.commitOffsets([
    { ...place, offset: '1', metadata: 'one' },
    { ...place, offset: '2', metadata: 'two' },
  ]);
  expect(await committed()).toEqual({ offset: '2', metadata: 'two' });
});

test('a batch that was moved by seek is stale for its handler, and what it resolves then does not count', async () => {
  await topic('t');
  await produce('t', [0, 1, 2]);
  const consumer = await groupConsumer();
  const stale: boolean[] = [];
  const again = deferred<string | null>();
  await consumer.run({
    eachBatchAutoResolve: false,
    eachBatch: async ({ batch, resolveOffset, isStale, uncommittedOffsets }) => {
      if (stale.length > 0) return again.resolve(batch.firstOffset());
      stale.push(isStale());
      consumer.seek({ topic: 't', partition: 0, offset: '1' });
      stale.push(isStale());
      resolveOffset('2');
      expect(uncommittedOffsets().topics).toEqual([{ topic: 't', partitions: [{ partition: 0, offset: '1' }] }]);
    },
  });
  expect(await again.promise).toBe('1');
  expect(stale).toEqual([false, true]);
});

test('pause and resume of single partitions of a paused topic; paused() tells what is left', async () => {
  await topic('t', 3);
  const consumer = await groupConsumer();
  await consumer.run({ eachMessage: async () => {} });
  const steps: [() => void, number[]][] = [
    [() => consumer.pause([{ topic: 't' }]), [0, 1, 2]],
    [() => consumer.resume([{ topic: 't', partitions: [1] }]), [0, 2]],
    [() => consumer.pause([{ topic: 't', partitions: [1, 1] }]), [0, 1, 2]],
    [() => consumer.resume([{ topic: 't', partitions: [0, 1] }]), [2]],
    [() => consumer.pause([{ topic: 't' }]), [0, 1, 2]],
  ];
  for (const [step, partitions] of steps) {
    step();
    expect(consumer.paused()).toEqual([{ topic: 't', partitions }]);
  }
  consumer.resume([{ topic: 't' }]);
  expect(consumer.paused()).toEqual([]);
  expect(() => consumer.pause([{ topic: 't', partitions: ['x'] as never }])).toThrow(
    'Array of valid partitions required',
  );
});

test('what is paused stays paused over stop and run', async () => {
  await topic('t');
  await produce('t', [0]);
  const consumer = await groupConsumer();
  let handled = 0;
  const done = deferred();
  const eachMessage = async (): Promise<void> => {
    handled++;
    done.resolve();
  };
  const running = consumer.run({ eachMessage });
  consumer.pause([{ topic: 't' }]);
  await running;
  await consumer.stop();
  await consumer.run({ eachMessage });
  expect(consumer.paused()).toEqual([{ topic: 't', partitions: [0] }]);
  expect(handled).toBe(0);
  consumer.resume([{ topic: 't' }]);
  await done.promise;
});

test('commitOffsets commits just what it is given, with its metadata, and autoCommit: false nothing else', async () => {
  await topic('t');
  await produce('t', [0, 1, 2]);
  const consumer = await groupConsumer();
  await expect(consumer.commitOffsets([{ topic: 't', partition: 0, offset: '1' }])).rejects.toThrow(
    'consumer#run must be called first',
  );
  const done = deferred();
  await consumer.run({
    autoCommit: false,
    eachMessage: async ({ message }) => {
      if (message.offset === '2') done.resolve();
    },
  });
  await done.promise;
  expect(await committed()).toEqual({ offset: '-1', metadata: null });
  await consumer.commitOffsets([{ topic: 't', partition: 0, offset: '2', metadata: 'as far as that' }]);
  await consumer.disconnect();
  expect(await committed()).toEqual({ offset: '2', metadata: 'as far as that' });
});

test('eachBatchAutoResolve: false: what the handler did not resolve comes again, behind what it did', async () => {
  await topic('t');
  await produce('t', [0, 1, 2, 3]);
  const consumer = await groupConsumer();
  const batches: string[][] = [];
  const done = deferred();
  await consumer.run({
    eachBatchAutoResolve: false,
    eachBatch: async ({ batch: { messages }, resolveOffset }) => {
      batches.push(messages.map(({ offset }) => offset));
      if (batches.length === 1) return resolveOffset('1');
      if (batches.length === 2) return; // nothing
      resolveOffset('3');
      done.resolve();
    },
  });
  await done.promise;
  await consumer.disconnect();
  expect(batches).toEqual([
    ['0', '1', '2', '3'],
    ['2', '3'],
    ['2', '3'],
  ]);
  expect(await committed()).toEqual({ offset: '4', metadata: null });
});

test('heartbeat within eachBatch sends one when it is due, and throws once the group rebalances', async () => {
  await topic('t', 2);
  await produce('t', [0], 0);
  await produce('t', [1], 1);
  const first = await groupConsumer({ heartbeatInterval: 10, rebalanceTimeout: 5_000 });
  const refused = deferred<unknown>();
  const begun = deferred();
  await first.run({
    eachBatch: async ({ heartbeat, isRunning }) => {
      begun.resolve();
      while (isRunning()) {
        try {
          await heartbeat();
        } catch (error) {
          refused.resolve(error);
          throw error;
        }
        await new Promise((resolve) => setTimeout(resolve, 1)); // work
      }
    },
  });
  await begun.promise;
  const second = await groupConsumer({ heartbeatInterval: 10 });
  const handled = deferred();
  const running = second.run({ eachMessage: async () => handled.resolve() });
  expect(await refused.promise).toMatchObject({ name: 'KafkaJSProtocolError', type: 'REBALANCE_IN_PROGRESS' });
  await running;
  await handled.promise;
  expect(first.assignment()).toHaveLength(1);
  expect(second.assignment()).toHaveLength(1);
});

test('stop waits for the record that a handler is at, commits it, and hands out no other', async () => {
  await topic('t');
  await produce('t', [0, 1, 2]);
  const consumer = await groupConsumer();
  const order: string[] = [];
  const begun = deferred();
  const finish = deferred();
  consumer.on(consumer.events.STOP, () => order.push('STOP'));
  await consumer.run({
    eachMessage: async ({ message }) => {
      begun.resolve();
      await finish.promise;
      order.push(`finished ${message.offset}`);
    },
  });
  await begun.promise;
  const stopped = Promise.all([consumer.stop(), consumer.stop()]).then(() => order.push('stopped'));
  await kafka.admin().listTopics(); // time enough for what does not wait
  expect(order).toEqual([]);
  finish.resolve();
  await stopped;
  expect(order).toEqual(['finished 0', 'STOP', 'stopped']);
  expect(await committed()).toEqual({ offset: '1', metadata: null });
  await using admin = kafka.admin();
  expect((await admin.describeGroups(['g'])).groups[0]).toMatchObject({ state: 'Empty', members: [] });

  const seen: string[] = [];
  const done = deferred();
  await consumer.run({
    eachMessage: async ({ message }) => {
      seen.push(message.offset);
      if (message.offset === '2') done.resolve();
    },
  });
  await done.promise;
  expect(seen).toEqual(['1', '2']);
});

test('stop waits for a handler that sends heartbeats, and these do not end it', async () => {
  await topic('t');
  await produce('t', [0, 1]);
  const consumer = await groupConsumer();
  const begun = deferred();
  const stopping = deferred();
  await consumer.run({
    eachMessage: async ({ heartbeat }) => {
      begun.resolve();
      await stopping.promise;
      await heartbeat();
    },
  });
  await begun.promise;
  const stopped = consumer.stop();
  stopping.resolve();
  await stopped;
  expect(await committed()).toEqual({ offset: '1', metadata: null });
});

test('what a handler throws is logged, also where it has moved its partition', async () => {
  await topic('t');
  await produce('t', [0, 1]);
  const logged = deferred<object>();
  const consumer = new cluster.Kafka({
    logLevel: logLevel.ERROR,
    logCreator:
      () =>
      ({ log }) =>
        logged.resolve(log),
  }).consumer({ groupId: 'g' });
  await consumer.subscribe({ topic: 't', fromBeginning: true });
  const moved = deferred();
  await consumer.run({
    eachMessage: async ({ message }) => {
      if (message.offset === '1') return moved.resolve();
      consumer.seek({ topic: 't', partition: 0, offset: '1' });
      throw new Error('not this one');
    },
  });
  await moved.promise;
  await consumer.disconnect();
  logged.resolve({});
  expect(await logged.promise).toMatchObject({
    message: 'Error when calling eachMessage',
    offset: '0',
    error: { message: 'not this one' },
  });
});

test('eachBatch hears by isRunning that the consumer stops; what it resolved is committed, the rest comes again', async () => {
  await topic('t');
  await produce('t', [0, 1, 2]);
  const consumer = await groupConsumer();
  const begun = deferred();
  const stopping = deferred();
  await consumer.run({
    eachBatch: async ({ batch, resolveOffset, isRunning }) => {
      for (const { offset } of batch.messages) {
        if (!isRunning()) return;
        resolveOffset(offset);
        begun.resolve();
        await stopping.promise;
      }
    },
  });
  await begun.promise;
  const stopped = consumer.stop();
  stopping.resolve();
  await stopped;
  expect(await committed()).toEqual({ offset: '1', metadata: null });
});

test('retry of a consumer: waits grow by the multiplier, to the maximum; retries: 0 crashes at the first failure', async () => {
  await topic('t');
  await produce('t', [0]);
  const crash = async (retry: object): Promise<{ retryCount: number; retryTime: number; calls: number }> => {
    const consumer = kafka.consumer({
      groupId: 'g',
      retry: { factor: 0, restartOnFailure: async () => false, ...retry },
    });
    await consumer.subscribe({ topic: 't', fromBeginning: true });
    const crashed = deferred<Error>();
    consumer.on(consumer.events.CRASH, ({ payload }) => crashed.resolve(payload.error));
    let calls = 0;
    await consumer.run({
      eachMessage: async () => {
        calls++;
        throw new Error('never');
      },
    });
    const error = await crashed.promise;
    if (!(error instanceof KafkaJSNumberOfRetriesExceeded)) throw error;
    await consumer.disconnect();
    return { retryCount: error.retryCount, retryTime: error.retryTime, calls };
  };
  expect(await crash({ initialRetryTime: 2, retries: 0 })).toEqual({ retryCount: 0, retryTime: 2, calls: 1 });
  expect(await crash({ initialRetryTime: 2, multiplier: 3, retries: 2 })).toEqual({
    retryCount: 2,
    retryTime: 18,
    calls: 3,
  });
  expect(await crash({ initialRetryTime: 2, multiplier: 3, retries: 3, maxRetryTime: 5 })).toEqual({
    retryCount: 3,
    retryTime: 5,
    calls: 4,
  });
});

test('whatever was called before in the same turn, a consumer that is stopped after a run is stopped', async () => {
  await topic('t');
  for (const before of ['stop', 'disconnect'] as const) {
    const consumer = await groupConsumer();
    const seen: string[] = [];
    const ended = consumer[before](); // it has nothing to do
    const running = consumer.run({ eachMessage: async ({ message }) => void seen.push(message.offset) });
    await consumer[before]();
    await Promise.all([ended, running]);
    expect(consumer.assignment()).toEqual([]);
    await using admin = kafka.admin();
    expect((await admin.describeGroups(['g'])).groups).toMatchObject([{ members: [] }]);
  }
});

// Its first heartbeats are refused meanwhile, since another member has come: two things fail, and one consumer with them.
test('a consumer whose positions cannot be looked up while it joins begins anew once, and is one member', async () => {
  await topic('t');
  const channel = await cluster.connect();
  const REBALANCE_IN_PROGRESS = { errorCode: 27, errorMessage: null };
  const REQUEST_TIMED_OUT = { errorCode: 7, errorMessage: null };
  let lookUps = 0;
  const send: typeof channel.send = async (api, request, options) => {
    const isJoining = lookUps < 2;
    if (api === 'Heartbeat' && isJoining) return { ...REBALANCE_IN_PROGRESS } as never;
    if (api !== 'ListOffsets' || !isJoining) return channel.send(api, request, options);
    lookUps++;
    const partition = { ...REQUEST_TIMED_OUT, partitionIndex: 0, timestamp: -1, offset: -1, leaderEpoch: -1 };
    return { topics: [{ name: 't', partitions: [partition] }] } as never;
  };
  const platform = { runtime: cluster.runtime, connect: async () => ({ send, close: () => channel.close() }) };
  const retry = { initialRetryTime: 60, retries: 1 };
  const other = new (kafkaOn(platform))({ logLevel: logLevel.NOTHING, retry });
  const consumer = other.consumer({ groupId: 'g', heartbeatInterval: 5 });
  await consumer.subscribe({ topic: 't', fromBeginning: true });
  let crashes = 0;
  consumer.on(consumer.events.CRASH, () => void crashes++);
  await consumer.run({ eachMessage: () => {} });
  await using admin = kafka.admin();
  const members = async (): Promise<number> => (await admin.describeGroups(['g'])).groups[0]!.members.length;
  expect({ crashes, members: await members() }).toEqual({ crashes: 1, members: 1 });
  await consumer.disconnect();
  expect(await members()).toBe(0);
  await other.close();
});

// Kafka's clients name topics by id for this (KIP-516).
test.each(['by hand', 'in a group'])(
  'a topic that is made anew under a handler is read from its beginning (%s)',
  async (how) => {
    await topic('t');
    await produce('t', ['old 0', 'old 1', 'old 2']);
    const soon = { maxWaitTimeInMs: 20 };
    const consumer = how === 'by hand' ? kafka.consumer(soon) : await groupConsumer(soon);
    if (how === 'by hand') await consumer.assign([{ topic: 't', partition: 0, offset: '-2' }]);
    const seen: string[] = [];
    const [holding, held, done] = [deferred(), deferred(), deferred()];
    await consumer.run({
      eachMessage: async ({ message }) => {
        seen.push(String(message.value));
        if (seen.length === 3) holding.resolve();
        if (seen.length === 3) await held.promise;
        if (String(message.value) === 'new 4') done.resolve();
      },
    });
    await holding.promise;
    await using admin = kafka.admin();
    await admin.deleteTopics({ topics: ['t'] });
    await topic('t');
    await produce(
      't',
      [0, 1, 2, 3, 4].map((n) => `new ${n}`),
    );
    held.resolve();
    await done.promise;
    expect(seen.slice(3)).toEqual([0, 1, 2, 3, 4].map((n) => `new ${n}`));
    await consumer.disconnect();
    if (how === 'in a group') expect((await committed()).offset).toBe('5');
  },
);

describe('a static member that is back', () => {
  const config = {
    groupInstanceId: 'i',
    metadataMaxAge: 20,
    heartbeatInterval: 10,
    retry: { initialRetryTime: 5, retries: 2 },
  };

  /** It was there, and is not now; its group waits for it. */
  async function gone(): Promise<void> {
    const consumer = await groupConsumer(config);
    await consumer.run();
    await consumer.disconnect();
  }

  /** Resolves once it has its partitions, to what resolves once a record of this one has come. */
  async function reads(consumer: Consumer, partition: number): Promise<{ readonly come: Promise<void> }> {
    const done = deferred();
    await consumer.run({ eachMessage: async (payload) => void (payload.partition === partition && done.resolve()) });
    return { come: done.promise };
  }

  test('whose partitions were deleted meanwhile has the group share out what there is', async () => {
    await topic('t', 3);
    await gone();
    await using admin = kafka.admin();
    await admin.deleteTopics({ topics: ['t'] });
    await topic('t', 1);
    await produce('t', [0]);
    await (await reads(await groupConsumer(config), 0)).come;
  });

  test('reads partitions that were added meanwhile', async () => {
    await topic('t', 1);
    await gone();
    await using admin = kafka.admin();
    await admin.createPartitions({ topicPartitions: [{ topic: 't', count: 2 }] });
    const { come } = await reads(await groupConsumer({ ...config, metadataMaxAge: 300_000 }), 1);
    await produce('t', [0], 1);
    await come;
  });

  test('reads partitions that are added later', async () => {
    await topic('t', 1);
    await gone();
    const { come } = await reads(await groupConsumer(config), 1);
    await using admin = kafka.admin();
    await admin.createPartitions({ topicPartitions: [{ topic: 't', count: 2 }] });
    await produce('t', [0], 1);
    await come;
  });
});
