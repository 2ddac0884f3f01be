import { describe, expect, test } from 'vitest';
import {
  type ConsumerCrashEvent,
  type ConsumerRunConfig,
  KafkaJSError,
  KafkaJSNonRetriableError,
  type KafkaMessage,
  type LogEntry,
  logLevel,
  type RetryOptions,
} from '../../src/index.js';
import { deferred } from '../../src/util/signal.js';
import { cluster, kafka, produceValues as produce, topic, useCluster } from './client-cluster.js';

// Goal: what KafkaJS's own specs expect of a consumer whose handler fails, and code written for it therefore relies on, is so here. Cases that other
// files here have are not repeated.

useCluster();

interface Crashed {
  readonly calls: number;
  readonly events: readonly string[];
  readonly payload: ConsumerCrashEvent['payload'];
}

/** What becomes of a consumer whose handler fails so at its first record, once. */
async function crashOf(error: unknown, retry: RetryOptions = {}, of = kafka): Promise<Crashed> {
  await topic('t');
  await produce('t', [0]);
  const consumer = of.consumer({ groupId: 'g', retry: { initialRetryTime: 1, retries: 2, ...retry } });
  const events: string[] = [];
  const { CONNECT, DISCONNECT, STOP, CRASH } = consumer.events;
  for (const name of [CONNECT, DISCONNECT, STOP, CRASH] as const) {
    consumer.on(name, ({ type }) => events.push(type.replace('consumer.', '')));
  }
  const crashed = deferred<Crashed['payload']>();
  consumer.on(CRASH, ({ payload }) => crashed.resolve(payload));
  await consumer.connect();
  await consumer.subscribe({ topic: 't', fromBeginning: true });
  let calls = 0;
  await consumer.run({
    eachMessage: async () => {
      calls++;
      throw error;
    },
  });
  const payload = await crashed.promise;
  const before = { calls, events: [...events] };
  await consumer.disconnect();
  return { ...before, payload };
}

describe('a handler that fails', () => {
  test.each([
    ['a TypeError', () => new TypeError('a mistake')],
    ['a SyntaxError', () => new SyntaxError('a mistake')],
    ['an error that says so', () => Object.assign(new Error('a mistake'), { retriable: false })],
  ])('by %s is not called again: the consumer crashes for good, and is disconnected', async (_, make) => {
    const error = make();
    const { calls, events, payload } = await crashOf(error);
    expect(calls).toBe(1);
    expect(payload).toMatchObject({ groupId: 'g', restart: false });
    expect(payload.error).toMatchObject({ name: 'KafkaJSNonRetriableError', message: 'a mistake', cause: error });
    expect(events).toEqual(['connect', 'stop', 'disconnect', 'crash']);
  });

  test('by an error made from one that may pass has the consumer restart', async () => {
    const cause = new KafkaJSError('passing', { retriable: true });
    const { calls, events, payload } = await crashOf(new KafkaJSNonRetriableError(cause, { cause }));
    expect(calls).toBe(1);
    expect(payload.restart).toBe(true);
    expect(events).toEqual(['connect', 'stop', 'crash']);
  });

  test.each([
    ['says no without a promise', () => false as never, false],
    ['does not answer', async () => undefined as never, false],
    ['is null', null as never, true],
    ['throws', () => Promise.reject(new Error('unsure')), true],
    [
      'throws at once',
      () => {
        throw new Error('unsure');
      },
      true,
    ],
  ])('too often: a restartOnFailure that %s is heard', async (_, restartOnFailure, restart) => {
    const { payload } = await crashOf(new Error('down'), { retries: 0, restartOnFailure });
    expect(payload).toMatchObject({ error: { name: 'KafkaJSNumberOfRetriesExceeded' }, restart });
  });

  test('too often: a restartOnFailure of the Kafka is heard', async () => {
    const strict = new cluster.Kafka({ logLevel: logLevel.NOTHING, retry: { restartOnFailure: async () => false } });
    const { payload } = await crashOf(new Error('down'), { retries: 0 }, strict);
    expect(payload.restart).toBe(false);
  });

  test('is logged with its error', async () => {
    const entries: LogEntry[] = [];
    const logged = new cluster.Kafka({ logCreator: () => (entry) => void entries.push(entry) });
    await topic('t');
    await produce('t', [0]);
    const consumer = logged.consumer({ groupId: 'g', retry: { retries: 0, restartOnFailure: async () => false } });
    const crashed = deferred();
    consumer.on(consumer.events.CRASH, () => crashed.resolve());
    await consumer.subscribe({ topic: 't', fromBeginning: true });
    const error = new Error('down');
    await consumer.run({ eachMessage: () => Promise.reject(error) });
    await crashed.promise;
    const errors = entries.filter(({ level }) => level === logLevel.ERROR);
    const stack = expect.stringContaining('down');
    expect(errors.map(({ log }) => log)).toMatchObject([
      { message: 'Error when calling eachMessage', topic: 't', partition: 0, offset: '0', stack, error },
      { message: 'Crash: KafkaJSNumberOfRetriesExceeded: down', groupId: 'g', retryCount: 0, stack },
    ]);
    await logged.close();
  });
});

test('a listener of CRASH may run the consumer again', async () => {
  await topic('t');
  await produce('t', [0]);
  const consumer = kafka.consumer({ groupId: 'g', retry: { retries: 0, restartOnFailure: async () => false } });
  await consumer.subscribe({ topic: 't', fromBeginning: true });
  const done = deferred();
  let calls = 0;
  const config: ConsumerRunConfig = {
    eachMessage: async () => {
      if (calls++ === 0) throw new Error('once');
      done.resolve();
    },
  };
  consumer.on(consumer.events.CRASH, () => consumer.run(config));
  await consumer.run(config);
  await done.promise;
  await consumer.disconnect();
});

test('a handler may take messages out of its batch, and what it has not resolved comes again', async () => {
  await topic('t');
  await produce('t', [0, 1, 2]);
  const consumer = kafka.consumer({ groupId: 'g' });
  await consumer.subscribe({ topic: 't', fromBeginning: true });
  const seen: string[] = [];
  const done = deferred();
  const take = (messages: KafkaMessage[]): KafkaMessage | undefined => messages.shift();
  await consumer.run({
    eachBatchAutoResolve: false,
    eachBatch: async ({ batch: { messages }, resolveOffset }) => {
      resolveOffset(messages[0]!.offset);
      for (let message = take(messages); message !== undefined; message = take(messages)) seen.push(message.offset);
      if (seen.length > 5) done.resolve();
    },
  });
  await done.promise;
  expect(seen).toEqual(['0', '1', '2', '1', '2', '2']);
  await consumer.disconnect();
});

test('a batch that was resolved as a whole before its handler failed does not come again', async () => {
  await topic('t');
  await produce('t', [0, 1]);
  const consumer = kafka.consumer({ groupId: 'g', retry: { initialRetryTime: 1 } });
  await consumer.subscribe({ topic: 't', fromBeginning: true });
  const seen: string[] = [];
  const done = deferred();
  await consumer.run({
    eachBatch: async ({ batch, resolveOffset }) => {
      seen.push(...batch.messages.map(({ offset }) => offset));
      resolveOffset(batch.lastOffset());
      if (seen.length > 2) return done.resolve();
      throw new Error('behind the end');
    },
  });
  await produce('t', [2]);
  await done.promise;
  expect(seen).toEqual(['0', '1', '2']);
  await consumer.disconnect();
});
