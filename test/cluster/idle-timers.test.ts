import { expect, test, vi } from 'vitest';
import { type Kafka, logLevel } from '../../src/index.js';
import type { Runtime } from '../../src/runtime/runtime.js';
import { Simulation } from '../../src/runtime/simulation.js';
import { InProcessCluster } from '../../src/testing/index.js';

// Goal: a partition at rest costs nothing, however many there are. Method: what sleeps in a cluster of many partitions, and
// how often it wakes in ten minutes, beside the same in a cluster of one; in virtual time, where both are exact.

const MANY = 1000;
/** Until what follows a start or a write is over: reserve, seals, checkpoints, what was cached. */
const SETTLE_MS = 15 * 60_000;
/** A consumer's fetches at a time, each of many partitions, and how long each waits for records. */
const MAX_FETCHES = 4;
/** No other timer's, and long: each fetch costs real time. */
const MAX_WAIT_MS = 47_000;
const REST_MS = 10 * 60_000;
/** Real time that tells a hang from a machine that has other things to do: nothing here takes more than a few seconds. */
const HANG_MS = 120_000;
vi.setConfig({ testTimeout: HANG_MS });

interface Rest {
  /** How long each of those that sleep was told to, in order. */
  readonly sleepsMs: readonly number[];
  /** Sleeps begun while nobody did anything. */
  readonly begun: number;
}

type Use = (kafka: Kafka, partitions: number) => Promise<void>;

async function atRest(partitions: number, use: Use): Promise<Rest> {
  const simulation = new Simulation({ seed: 1 });
  const { runtime, sleepsMs, begun } = watched(simulation.tab('a').runtime);
  const cluster = new InProcessCluster({ runtime, brokerConfig: { 'group.initial.rebalance.delay.ms': '0' } });
  const kafka = new cluster.Kafka({ logLevel: logLevel.NOTHING });
  const started = async (): Promise<void> => {
    const admin = kafka.admin();
    await admin.connect();
    await admin.createTopics({ topics: [{ topic: 'wide', numPartitions: partitions }] });
    await use(kafka, partitions);
  };
  await simulation.drive(started());
  await simulation.run({ maxMs: SETTLE_MS });
  const before = begun();
  await simulation.run({ maxMs: REST_MS });
  const rest = { sleepsMs: sleepsMs(), begun: begun() - before };
  await simulation.drive(kafka.close().then(() => cluster.close()));
  expect(sleepsMs()).toEqual([]);
  return rest;
}

function watched(inner: Runtime): {
  readonly runtime: Runtime;
  readonly sleepsMs: () => readonly number[];
  readonly begun: () => number;
} {
  const open = new Map<object, number>();
  let begun = 0;
  const sleep: Runtime['clock']['sleep'] = async (ms, signal) => {
    const sleeper = {};
    open.set(sleeper, ms);
    begun++;
    await inner.clock.sleep(ms, signal).finally(() => open.delete(sleeper));
  };
  const clock = { wallMs: () => inner.clock.wallMs(), monotonicMs: () => inner.clock.monotonicMs(), sleep };
  return {
    runtime: { ...inner, clock },
    sleepsMs: () => [...open.values()].sort((a, b) => a - b),
    begun: () => begun,
  };
}

const produce: Use = async (kafka, partitions) => {
  const producer = kafka.producer();
  await producer.connect();
  const messages = Array.from({ length: partitions }, (_, partition) => ({ partition, value: `v${partition}` }));
  for (let round = 0; round < 2; round++) await producer.send({ topic: 'wide', messages });
};

const consume: Use = async (kafka, partitions) => {
  await produce(kafka, partitions);
  const consumer = kafka.consumer({ maxWaitTimeInMs: MAX_WAIT_MS });
  await consumer.assign(
    Array.from({ length: partitions }, (_, partition) => ({ topic: 'wide', partition, offset: '0' })),
  );
  let left = 2 * partitions;
  await new Promise<void>((resolve) => {
    void consumer.run({
      eachMessage: async () => {
        if (--left === 0) resolve();
      },
    });
  });
};

test.each([
  ['untouched', async () => {}],
  ['written to', produce],
] satisfies [string, Use][])('%s, a thousand partitions hold the timers of one', async (_what, use) => {
  const one = await atRest(1, use);
  expect(one.sleepsMs.length).toBeGreaterThan(0);
  expect(await atRest(MANY, use)).toEqual(one);
});

test('waited for by a consumer, a thousand partitions hold the timers of one, and those of a few fetches more', async () => {
  const [one, many] = [await atRest(1, consume), await atRest(MANY, consume)];
  const fetches = many.sleepsMs.filter((ms) => ms === MAX_WAIT_MS).length;
  expect(fetches).toBeLessThanOrEqual(1 + MAX_FETCHES);
  expect(many.sleepsMs.length).toBeLessThan(one.sleepsMs.length + MAX_FETCHES);
  expect(many.begun).toBeLessThanOrEqual(one.begun + ((MAX_FETCHES - 1) * REST_MS) / MAX_WAIT_MS);
});
