import { describe, expect, test } from 'vitest';
import { type Consumer, KafkaJSNonRetriableError, kafkaOn, logLevel } from '../../src/index.js';
import { deferred } from '../../src/util/signal.js';
import { cluster, kafka, producer, topic, useCluster } from './client-cluster.js';
import { faultyPlatform } from './faulty-platform.js';

useCluster();

async function produce(name: string, from: number, to: number, partition?: number): Promise<void> {
  const messages = Array.from({ length: to - from }, (_, i) => ({
    value: String(from + i),
    partition: partition ?? 0,
  }));
  await producer.send({ topic: name, messages });
}

/** Runs a consumer until `count` messages came. */
async function collect(consumer: Consumer, count: number, options = {}): Promise<string[]> {
  const values: string[] = [];
  const done = deferred();
  await consumer.run({
    ...options,
    eachMessage: async ({ message }) => {
      values.push(message.value!.toString());
      if (values.length === count) done.resolve();
    },
  });
  await done.promise;
  return values;
}

const numbers = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, i) => String(from + i));

test('a group goes on where its last member stopped', async () => {
  await topic('t');
  await produce('t', 0, 10);
  const first = kafka.consumer({ groupId: 'g' });
  await first.subscribe({ topics: ['t'], fromBeginning: true });
  expect(await collect(first, 10)).toEqual(numbers(0, 10));
  await first.disconnect();
  await produce('t', 10, 15);
  const second = kafka.consumer({ groupId: 'g' });
  await second.subscribe({ topics: ['t'], fromBeginning: true });
  expect(await collect(second, 5)).toEqual(numbers(10, 15));
  await second.disconnect();
});

test('without fromBeginning a new group reads what is written after run', async () => {
  await topic('t');
  await produce('t', 0, 10);
  const consumer = kafka.consumer({ groupId: 'g' });
  await consumer.subscribe({ topic: 't' });
  const values = collect(consumer, 2);
  const joined = deferred();
  consumer.on(consumer.events.GROUP_JOIN, () => joined.resolve());
  await joined.promise;
  await produce('t', 10, 12);
  expect(await values).toEqual(['10', '11']);
});

// Goal: a group that begins at the end misses nothing that is written behind that, as with Kafka's auto-commit. Method: its first
// member reads nothing and leaves, and a record comes before the next one does.
test('a group that began at the end goes on there, whoever reads next', async () => {
  await topic('t');
  await produce('t', 0, 10);
  const first = kafka.consumer({ groupId: 'g' });
  await first.subscribe({ topic: 't' });
  const committed = deferred();
  first.on(first.events.COMMIT_OFFSETS, () => committed.resolve());
  await first.run({ eachMessage: async () => {} });
  await committed.promise; // at once: its tab may go without a word
  await first.disconnect();
  await produce('t', 10, 11);
  const second = kafka.consumer({ groupId: 'g' });
  await second.subscribe({ topic: 't' });
  expect(await collect(second, 1)).toEqual(['10']);
  await second.disconnect();
});

test('a group that commits by itself decides where it begins', async () => {
  await topic('t');
  await produce('t', 0, 10);
  const consumer = kafka.consumer({ groupId: 'g' });
  await consumer.subscribe({ topic: 't' });
  await consumer.run({ autoCommit: false, eachMessage: async () => {} });
  await consumer.disconnect();
  const [found] = await kafka.admin().fetchOffsets({ groupId: 'g', topics: ['t'] });
  expect(found?.partitions).toMatchObject([{ offset: '-1' }]);
});

test('a pattern subscribes to the topics that match, and to no other', async () => {
  for (const name of ['orders-a', 'orders-b', 'other']) {
    await topic(name);
    await producer.send({ topic: name, messages: [{ value: name }] });
  }
  const consumer = kafka.consumer({ groupId: 'g' });
  await consumer.subscribe({ topics: [/^orders-.*/g], fromBeginning: true });
  expect((await collect(consumer, 2)).sort()).toEqual(['orders-a', 'orders-b']);
  expect(consumer.assignment()).toEqual([
    { topic: 'orders-a', partition: 0 },
    { topic: 'orders-b', partition: 0 },
  ]);
});

test('two members share the partitions; when one leaves the other gets them all, and no record is lost or doubled', async () => {
  await topic('t', 4);
  const seen = new Map<string, number>();
  const all = deferred();
  const enough = 400;
  const handle = async ({ message }: { message: { value: Uint8Array | null } }): Promise<void> => {
    const value = message.value!.toString();
    seen.set(value, (seen.get(value) ?? 0) + 1);
    if (seen.size === enough) all.resolve();
  };
  const [a, b] = [
    kafka.consumer({ groupId: 'g', heartbeatInterval: 20 }),
    kafka.consumer({ groupId: 'g', heartbeatInterval: 20 }),
  ];
  const shared = deferred();
  for (const consumer of [a, b]) {
    await consumer.subscribe({ topic: 't', fromBeginning: true });
    consumer.on(consumer.events.GROUP_JOIN, () => {
      if (a.assignment().length === 2 && b.assignment().length === 2) shared.resolve();
    });
  }
  await a.run({ eachMessage: handle });
  expect(a.assignment()).toHaveLength(4);
  await b.run({ eachMessage: handle });
  await shared.promise;
  const taken = [...a.assignment(), ...b.assignment()].map(({ partition }) => partition).sort();
  expect(taken).toEqual([0, 1, 2, 3]);
  for (let i = 0; i < 200; i += 50)
    for (let p = 0; p < 4; p++) await produce('t', p * 1000 + i, p * 1000 + i + 50 - 25, p);
  const left = deferred();
  a.on(a.events.GROUP_JOIN, () => {
    if (a.assignment().length === 4) left.resolve();
  });
  await b.disconnect();
  await left.promise;
  for (let p = 0; p < 4; p++) await produce('t', 5000 + p * 100, 5000 + p * 100, p);
  await all.promise;
  expect([...seen.values()].every((count) => count === 1)).toBe(true);
  await a.disconnect();
});

test('a group that rebalances waits for nobody’s next heartbeat', async () => {
  await topic('t', 2);
  // Should one be waited for, this test does not end.
  const config = { groupId: 'g', heartbeatInterval: 600_000, sessionTimeout: 1_800_000 };
  const [a, b] = [kafka.consumer(config), kafka.consumer(config)];
  const alone = deferred();
  await a.subscribe({ topic: 't' });
  await b.subscribe({ topic: 't' });
  await a.run();
  await b.run();
  expect([...a.assignment(), ...b.assignment()].map(({ partition }) => partition).sort()).toEqual([0, 1]);
  a.on(a.events.GROUP_JOIN, () => {
    if (a.assignment().length === 2) alone.resolve();
  });
  await b.disconnect();
  await alone.promise;
  await a.disconnect();
});

test('heartbeats do not wait for handlers: a handler longer than the session keeps its partition', async () => {
  await topic('t');
  await produce('t', 0, 1);
  const consumer = kafka.consumer({ groupId: 'g', sessionTimeout: 6000, heartbeatInterval: 10 });
  await consumer.subscribe({ topic: 't', fromBeginning: true });
  const started = deferred();
  const finish = deferred();
  let beats = 0;
  const enough = deferred();
  await consumer.run({
    eachMessage: async () => {
      started.resolve();
      await finish.promise;
    },
  });
  await started.promise;
  consumer.on(consumer.events.HEARTBEAT, () => {
    if (++beats === 5) enough.resolve();
  });
  await enough.promise;
  finish.resolve();
  await consumer.disconnect();
});

test('a handler that fails gets the same record again, and goes on behind it', async () => {
  await topic('t');
  await produce('t', 0, 5);
  const consumer = kafka.consumer({ groupId: 'g', retry: { initialRetryTime: 1 } });
  await consumer.subscribe({ topic: 't', fromBeginning: true });
  const values: string[] = [];
  const done = deferred();
  let failures = 2;
  await consumer.run({
    eachMessage: async ({ message }) => {
      const value = message.value!.toString();
      if (value === '2' && failures-- > 0) throw new Error('not yet');
      values.push(value);
      if (value === '4') done.resolve();
    },
  });
  await done.promise;
  expect(values).toEqual(numbers(0, 5));
  await consumer.disconnect();
});

test('a handler that goes on failing crashes the consumer, which restarts only if it is wanted', async () => {
  await topic('t');
  await produce('t', 0, 1);
  const errors: string[] = [];
  const consumer = kafka.consumer({
    groupId: 'g',
    retry: {
      initialRetryTime: 1,
      retries: 2,
      restartOnFailure: async (error) => {
        errors.push(error.name);
        return errors.length < 2;
      },
    },
  });
  await consumer.subscribe({ topic: 't', fromBeginning: true });
  const crashed = deferred();
  const crashes: boolean[] = [];
  consumer.on(consumer.events.CRASH, ({ payload }) => {
    crashes.push(payload.restart);
    expect(payload.error.cause).toMatchObject({ message: 'never' });
    if (!payload.restart) crashed.resolve();
  });
  let calls = 0;
  await consumer.run({
    eachMessage: async () => {
      calls++;
      throw new Error('never');
    },
  });
  await crashed.promise;
  expect(errors).toEqual(['KafkaJSNumberOfRetriesExceeded', 'KafkaJSNumberOfRetriesExceeded']);
  expect(crashes).toEqual([true, false]);
  expect(calls).toBe(6);
});

test('eachBatch sees offsets and lag, and commits what it resolved', async () => {
  await topic('t');
  await produce('t', 0, 10);
  const consumer = kafka.consumer({ groupId: 'g' });
  await consumer.subscribe({ topic: 't', fromBeginning: true });
  const done = deferred<object>();
  await consumer.run({
    eachBatchAutoResolve: false,
    eachBatch: async ({
      batch,
      resolveOffset,
      uncommittedOffsets,
      commitOffsetsIfNecessary,
      isRunning,
      isStale,
      heartbeat,
    }) => {
      await heartbeat();
      const shape = {
        offsets: [batch.firstOffset(), batch.lastOffset(), batch.highWatermark],
        lag: [batch.offsetLag(), batch.offsetLagLow()],
        flags: [batch.isEmpty(), isRunning(), isStale()],
      };
      resolveOffset('3');
      const uncommitted = uncommittedOffsets();
      await commitOffsetsIfNecessary(uncommitted);
      done.resolve({ ...shape, uncommitted });
      consumer.pause([{ topic: 't' }]);
    },
  });
  expect(await done.promise).toEqual({
    offsets: ['0', '9', '10'],
    lag: ['0', '9'],
    flags: [false, true, false],
    uncommitted: { topics: [{ topic: 't', partitions: [{ partition: 0, offset: '4' }] }] },
  });
  await consumer.disconnect();
  const admin = kafka.admin();
  expect(await admin.fetchOffsets({ groupId: 'g', topics: ['t'] })).toEqual([
    { topic: 't', partitions: [{ partition: 0, offset: '4', metadata: null }] },
  ]);
});

test('seek goes to an offset, to the beginning and to the end; beyond the end it begins anew', async () => {
  await topic('t');
  await produce('t', 0, 5);
  const consumer = kafka.consumer({ groupId: 'g' });
  await consumer.subscribe({ topic: 't', fromBeginning: true });
  const seen: string[] = [];
  let waiting = deferred();
  let until = '4';
  await consumer.run({
    eachMessage: async ({ message }) => {
      seen.push(message.value!.toString());
      if (seen.at(-1) === until) waiting.resolve();
    },
  });
  await waiting.promise;
  for (const [offset, from] of [
    ['3', 3],
    ['-2', 0],
    ['1000', 0],
  ] as const) {
    seen.length = 0;
    waiting = deferred();
    consumer.seek({ topic: 't', partition: 0, offset });
    await waiting.promise;
    expect(seen).toEqual(numbers(from, 5));
  }
  seen.length = 0;
  waiting = deferred();
  until = '6';
  consumer.seek({ topic: 't', partition: 0, offset: '-1' });
  const fetched = deferred();
  consumer.on(consumer.events.FETCH_START, () => fetched.resolve());
  await fetched.promise;
  await produce('t', 5, 7);
  await waiting.promise;
  expect(seen).toEqual(['5', '6']);
  await consumer.disconnect();
});

test('a paused partition gives nothing until it is resumed; others go on', async () => {
  await topic('t', 2);
  const consumer = kafka.consumer({ groupId: 'g' });
  await consumer.subscribe({ topic: 't', fromBeginning: true });
  const seen: string[] = [];
  let next = deferred();
  await consumer.run({
    eachMessage: async ({ message, partition }) => {
      seen.push(`${partition}:${message.value}`);
      next.resolve();
    },
  });
  consumer.pause([{ topic: 't', partitions: [0] }]);
  expect(consumer.paused()).toEqual([{ topic: 't', partitions: [0] }]);
  await produce('t', 0, 1, 0);
  await produce('t', 0, 1, 1);
  await next.promise;
  expect(seen).toEqual(['1:0']);
  next = deferred();
  consumer.resume([{ topic: 't', partitions: [0] }]);
  await next.promise;
  expect(seen).toEqual(['1:0', '0:0']);
  expect(consumer.paused()).toEqual([]);
  await consumer.disconnect();
});

test('a handler may pause its own partition; the rest of the batch comes after resume', async () => {
  await topic('t');
  await produce('t', 0, 3);
  const consumer = kafka.consumer({ groupId: 'g' });
  await consumer.subscribe({ topic: 't', fromBeginning: true });
  const seen: string[] = [];
  const paused = deferred<() => void>();
  const done = deferred();
  await consumer.run({
    eachMessage: async ({ message, pause }) => {
      seen.push(message.value!.toString());
      if (seen.length === 1) paused.resolve(pause());
      if (seen.length === 3) done.resolve();
    },
  });
  const resume = await paused.promise;
  expect(seen).toEqual(['0']);
  resume();
  await done.promise;
  expect(seen).toEqual(numbers(0, 3));
  await consumer.disconnect();
});

test('without a group, assigned partitions are read from where one likes, and reassigned while running', async () => {
  await topic('t', 2);
  await produce('t', 0, 5, 0);
  await produce('t', 10, 15, 1);
  const consumer = kafka.consumer();
  await consumer.assign([{ topic: 't', partition: 0, offset: '3' }]);
  const seen: string[] = [];
  let waiting = deferred();
  await consumer.run({
    eachMessage: async ({ message }) => {
      seen.push(message.value!.toString());
      if (seen.at(-1) === '4' || seen.at(-1) === '14') waiting.resolve();
    },
  });
  await waiting.promise;
  expect(seen).toEqual(['3', '4']);
  waiting = deferred();
  await consumer.assign([{ topic: 't', partition: 1, offset: '-2' }]);
  await waiting.promise;
  expect(seen.slice(2)).toEqual(numbers(10, 15));
  await expect(consumer.commitOffsets([{ topic: 't', partition: 0, offset: '1' }])).rejects.toThrow('groupId');
  await consumer.disconnect();
});

test('a partition that is assigned twice, once by text, is one, and begins where it was said last', async () => {
  await topic('t');
  await produce('t', 0, 3);
  const consumer = kafka.consumer();
  await consumer.assign([
    { topic: 't', partition: 0, offset: '2' },
    { topic: 't', partition: '0' as unknown as number, offset: '1' },
  ]);
  const first = deferred<unknown>();
  await consumer.run({ eachMessage: async ({ partition, message }) => first.resolve([partition, message.offset]) });
  expect(await first.promise).toEqual([0, '1']);
  expect(consumer.assignment()).toEqual([{ topic: 't', partition: 0 }]);
  consumer.pause([{ topic: 't' }]);
  expect(consumer.paused()).toEqual([{ topic: 't', partitions: [0] }]);
  await consumer.disconnect();
});

test('a loop over a consumer commits what its body has finished, and ends with its signal', async () => {
  await topic('t');
  await produce('t', 0, 5);
  const consumer = kafka.consumer({ groupId: 'g' });
  await consumer.subscribe({ topic: 't', fromBeginning: true });
  const controller = new AbortController();
  const seen: string[] = [];
  for await (const { value, topic: name, partition } of consumer.messages({ signal: controller.signal })) {
    seen.push(`${name}-${partition} ${value}`);
    if (seen.length === 3) controller.abort();
  }
  expect(seen).toEqual(['t-0 0', 't-0 1', 't-0 2']);
  const admin = kafka.admin();
  const [committed] = await admin.fetchOffsets({ groupId: 'g', topics: ['t'] });
  expect(committed!.partitions[0]!.offset).toBe('3');
});

test('a loop that is left by break has not finished its last record', async () => {
  await topic('t');
  await produce('t', 0, 5);
  const consumer = kafka.consumer({ groupId: 'g' });
  await consumer.subscribe({ topic: 't', fromBeginning: true });
  const seen: string[] = [];
  for await (const { value } of consumer) {
    seen.push(String(value));
    if (seen.length === 3) break;
  }
  for await (const { value } of consumer) {
    seen.push(String(value));
    if (seen.length === 6) break;
  }
  expect(seen).toEqual(['0', '1', '2', '2', '3', '4']);
});

test('partitions that a topic gets later are shared out too, and new topics that match a pattern', async () => {
  await topic('t-1');
  const consumer = kafka.consumer({ groupId: 'g', metadataMaxAge: 5, heartbeatInterval: 10 });
  await consumer.subscribe({ topics: [/^t-/], fromBeginning: true });
  const grown = deferred();
  const found = deferred();
  consumer.on(consumer.events.GROUP_JOIN, () => {
    if (consumer.assignment().length === 3) grown.resolve();
    if (consumer.assignment().length === 4) found.resolve();
  });
  await consumer.run({ eachMessage: async () => {} });
  await kafka.admin().createPartitions({ topicPartitions: [{ topic: 't-1', count: 3 }] });
  await grown.promise;
  await topic('t-2');
  await found.promise;
  await consumer.disconnect();
});

test('and they are heard of with the next heartbeat, not when metadata is too old', async () => {
  await topic('orders-a');
  const consumer = kafka.consumer({ groupId: 'g', heartbeatInterval: 10, metadataMaxAge: 600_000 });
  await consumer.subscribe({ topic: /^orders-/, fromBeginning: true });
  const values: string[] = [];
  const seen = new Map(['new topic', 'new partition'].map((value) => [value, deferred()]));
  await consumer.run({
    eachMessage: async ({ message }) => {
      values.push(String(message.value));
      seen.get(String(message.value))?.resolve();
    },
  });
  await topic('orders-b');
  await producer.send({ topic: 'orders-b', messages: [{ value: 'new topic' }] });
  await seen.get('new topic')!.promise;
  await using admin = kafka.admin();
  await admin.createPartitions({ topicPartitions: [{ topic: 'orders-a', count: 2 }] });
  await producer.send({ topic: 'orders-a', messages: [{ value: 'new partition', partition: 1 }] });
  await seen.get('new partition')!.promise;
  expect(values).toEqual(['new topic', 'new partition']);
  await consumer.disconnect();
});

// Goal: who could not look at the topics looks again soon, not when metadata is too old. Method: once a topic has got a partition, the
// first looks of the group fail, and no request is tried twice.
test('and again, where the topics could not be looked up', async () => {
  await topic('orders');
  let failing = 0;
  const platform = faultyPlatform(cluster, (api) =>
    api === 'Metadata' && failing > 0 && failing-- > 0 ? 'lost answer' : 'none',
  );
  const client = new (kafkaOn(platform))({ logLevel: logLevel.NOTHING, retry: { retries: 0 } });
  const consumer = client.consumer({ groupId: 'g', heartbeatInterval: 10, metadataMaxAge: 600_000 });
  await consumer.subscribe({ topic: 'orders', fromBeginning: true });
  await consumer.run({ eachMessage: async () => {} });
  const grown = deferred();
  consumer.on(consumer.events.GROUP_JOIN, () => {
    if (consumer.assignment().length === 2) grown.resolve();
  });
  const beats = deferred();
  consumer.on(consumer.events.HEARTBEAT, () => beats.resolve());
  await beats.promise; // with it it has looked once
  failing = 2;
  await kafka.admin().createPartitions({ topicPartitions: [{ topic: 'orders', count: 2 }] });
  await grown.promise;
  await client.close();
});

test('after deleted records a consumer goes on at the new beginning', async () => {
  await topic('t');
  await produce('t', 0, 10);
  const admin = kafka.admin();
  await admin.deleteTopicRecords({ topic: 't', partitions: [{ partition: 0, offset: '7' }] });
  const consumer = kafka.consumer({ groupId: 'g' });
  await admin.setOffsets({ groupId: 'g', topic: 't', partitions: [{ partition: 0, offset: '2' }] });
  await consumer.subscribe({ topic: 't', fromBeginning: true });
  expect(await collect(consumer, 3)).toEqual(['7', '8', '9']);
  await consumer.disconnect();
});

// Goal: as with Kafka's auto-commit, a position that was reset to an end of the log counts from then on: what is written behind it is
// somebody's, whoever reads next. Method: a member that is sent to the end reads nothing and leaves, and a record comes before the
// next one does.
describe('a group that is sent to the end goes on there, whoever reads next:', () => {
  async function commits(consumer: Consumer): Promise<void> {
    const committed = deferred();
    consumer.on(consumer.events.COMMIT_OFFSETS, ({ payload }) => {
      if (payload.topics[0]?.partitions[0]?.offset === '10') committed.resolve();
    });
    await committed.promise;
  }

  async function next(): Promise<string[]> {
    await produce('t', 10, 11);
    const consumer = kafka.consumer({ groupId: 'g' });
    await consumer.subscribe({ topic: 't' });
    const values = await collect(consumer, 1);
    await consumer.disconnect();
    return values;
  }

  test('where what was committed is out of range', async () => {
    await topic('t');
    await produce('t', 0, 10);
    const admin = kafka.admin();
    await admin.deleteTopicRecords({ topic: 't', partitions: [{ partition: 0, offset: '7' }] });
    await admin.setOffsets({ groupId: 'g', topic: 't', partitions: [{ partition: 0, offset: '2' }] });
    const consumer = kafka.consumer({ groupId: 'g' });
    await consumer.subscribe({ topic: 't' });
    const committed = commits(consumer);
    await consumer.run({ eachMessage: async () => {} });
    await committed;
    await consumer.disconnect();
    expect(await next()).toEqual(['10']);
  });

  test('by seek, also where the partition is paused', async () => {
    await topic('t');
    await produce('t', 0, 10);
    const consumer = kafka.consumer({ groupId: 'g' });
    await consumer.subscribe({ topic: 't', fromBeginning: true });
    await kafka.admin().setOffsets({ groupId: 'g', topic: 't', partitions: [{ partition: 0, offset: '2' }] });
    const running = consumer.run({ eachMessage: async () => {} });
    await consumer.connect();
    consumer.pause([{ topic: 't' }]);
    await running;
    const committed = commits(consumer);
    consumer.seek({ topic: 't', partition: 0, offset: '-1' });
    await committed;
    await consumer.disconnect();
    expect(await next()).toEqual(['10']);
  });
});

test('bad arguments are refused in the words of KafkaJS', async () => {
  expect(() => kafka.consumer({ groupId: '' })).toThrow('Consumer groupId must be a non-empty string.');
  expect(() => kafka.consumer({ groupId: 'g', heartbeatInterval: 10, sessionTimeout: 10 })).toThrow(
    'Consumer heartbeatInterval (10) must be lower than sessionTimeout (10)',
  );
  const consumer = kafka.consumer({ groupId: 'g' });
  await expect(consumer.subscribe({} as never)).rejects.toThrow('Missing required argument "topics"');
  await expect(consumer.subscribe({ topics: 'a' } as never)).rejects.toThrow('Argument "topics" must be an array');
  await expect(consumer.subscribe({ topics: [1] } as never)).rejects.toThrow(
    'Invalid topic 1 (number), the topic name has to be a String or a RegExp',
  );
  const notRunning = 'Consumer group was not initialized, consumer#run must be called first';
  expect(() => consumer.seek({ topic: 't', partition: 0, offset: '1' })).toThrow(notRunning);
  expect(() => consumer.seek({ topic: '', partition: 0, offset: '1' })).toThrow('Invalid topic ');
  expect(() => consumer.seek({ topic: 't', partition: 0, offset: '-3' })).toThrow(
    'Offset must not be a negative number',
  );
  expect(() => consumer.seek({ topic: 't', partition: 0, offset: 'x' })).toThrow(
    'Invalid offset, expected a long received x',
  );
  expect(() => consumer.pause([{ topic: 't' }])).toThrow(notRunning);
  expect(() => consumer.pause([null as never])).toThrow('Invalid topic null');
  expect(() => consumer.on('nope' as never, () => {})).toThrow(KafkaJSNonRetriableError);
  await expect(consumer.commitOffsets([{ topic: 't', partition: 0, offset: '-1' }])).rejects.toThrow(
    'Offset must not be a negative number',
  );
});

// Goal: page and worker do not take turns. Method: a log of many rows; fetches are counted when a handler begins.
test('the next fetch is under way before a handler gets the records of the last, save at the end; the first is small', async () => {
  await topic('t');
  const value = 'x'.repeat(5000);
  await producer.send({ topic: 't', messages: Array.from({ length: 100 }, () => ({ value })) });
  const consumer = kafka.consumer();
  await consumer.assign([{ topic: 't', partition: 0, offset: '0' }]);
  let fetches = 0;
  consumer.on(consumer.events.FETCH_START, () => fetches++);
  const seen: { fetches: number; records: number }[] = [];
  let left = 100;
  const done = deferred();
  await consumer.run({
    eachBatch: async ({ batch: { messages } }) => {
      seen.push({ fetches, records: messages.length });
      left -= messages.length;
      if (left === 0) done.resolve();
    },
  });
  await done.promise;
  // Behind the last there is nothing yet: there the handler comes first.
  expect(seen.map((batch) => batch.fetches)).toEqual(seen.map((_, i) => (i < seen.length - 1 ? i + 2 : i + 1)));
  expect(seen.length).toBeGreaterThan(1);
  expect(seen[0]?.records).toBeLessThan(15);
  expect(seen[1]?.records).toBeGreaterThan(50);
  await consumer.disconnect();
});
