import { expect, test } from 'vitest';
import { type Consumer, type Kafka, KafkaJSError, logLevel, type Producer } from '../../src/index.js';
import { countingRuntime } from '../../src/runtime/counting-runtime.js';
import { inProcessRuntime } from '../../src/runtime/node-runtime.js';
import type { Random } from '../../src/runtime/runtime.js';
import { seededRandom } from '../../src/runtime/seeded-random.js';
import { InProcessCluster } from '../../src/testing/index.js';

// Goal: methods may be called in any order, without waiting for one another: each call ends, with a typed error at most,
// what was acknowledged is there once, nobody stays in the group, and nothing stays open. Method: random calls of three
// producers, two consumers of a group, an admin, and their `Kafka`; then all of them are closed.

/** Other ones: ANY_ORDER=5000 npx vitest run --project unit test/client/any-order.test.ts */
const FIRST_SEED = Number(process.env['ANY_ORDER'] ?? 0);
const SEEDS = 80;
const TOPIC = 't';

test.each(Array.from({ length: SEEDS }, (_, i) => FIRST_SEED + i))('seed %i', async (seed) => {
  const uncaught: unknown[] = [];
  const note = (error: unknown): void => void uncaught.push(error);
  process.on('unhandledRejection', note);
  const { runtime, open } = countingRuntime(inProcessRuntime());
  const cluster = new InProcessCluster({
    runtime,
    brokerConfig: { 'num.partitions': '2', 'group.initial.rebalance.delay.ms': '0' },
  });
  const run = new Run(cluster, seededRandom(seed));
  try {
    await run.randomCalls();
    await run.expectAcknowledgedOnce();
    await run.expectGroupGoesOn();
    await run.close();
    await cluster.close();
    await new Promise((resolve) => setTimeout(resolve, 1));
    expect([...uncaught, ...run.untyped]).toEqual([]);
    expect(open()).toEqual({ timers: 0, locks: 0, channels: 0 });
  } catch (error) {
    throw new Error(`${String(error)}\n${run.calls.join(', ')}`, { cause: error });
  } finally {
    process.off('unhandledRejection', note);
  }
});

class Run {
  readonly #kafka;
  /** Of somebody else, so that the host goes on when all of the others are closed. */
  readonly #onlooker;
  readonly calls: string[] = [];
  readonly untyped: unknown[] = [];
  readonly #random: Random;
  readonly #producers;
  readonly #consumers: readonly Consumer[];
  readonly #admin;
  readonly #pending: Promise<unknown>[] = [];
  readonly #acknowledged: string[] = [];

  constructor(cluster: InProcessCluster, random: Random) {
    const kafka = new cluster.Kafka({ clientId: 'test', logLevel: logLevel.NOTHING });
    this.#kafka = kafka;
    this.#onlooker = new cluster.Kafka({ clientId: 'onlooker', logLevel: logLevel.NOTHING });
    this.#random = random;
    this.#producers = [kafka.producer(), kafka.producer({ idempotent: false }), kafka.producer({ linger: 3 })];
    this.#consumers = [newConsumer(kafka), newConsumer(kafka)];
    this.#admin = kafka.admin();
  }

  /** The last of them close all clients, in the same turn as those before. */
  async randomCalls(): Promise<void> {
    await this.#ends(); // there is a topic
    for (let left = 10 + this.#random.below(30); left > 0; left--) {
      if (this.#oneOf(14) === 0) await new Promise((resolve) => setTimeout(resolve, this.#oneOf(8)));
      else this.#randomCall();
    }
    for (const client of [...this.#consumers, ...this.#producers, this.#admin]) {
      this.#call('disconnect at the end', () => client.disconnect());
    }
    const late = setTimeout(() => this.untyped.push(`still pending: ${this.calls.join(', ')}`), 15_000);
    await Promise.all(this.#pending);
    clearTimeout(late);
  }

  async expectAcknowledgedOnce(): Promise<void> {
    const values: string[] = [];
    const ends = await this.#ends();
    let left = ends.reduce((sum, { high }) => sum + Number(high), 0);
    if (left > 0) {
      await using reader = this.#onlooker.consumer();
      await reader.assign(ends.map(({ partition }) => ({ topic: TOPIC, partition, offset: '0' })));
      for await (const message of reader) {
        values.push(String(message.value));
        if (--left === 0) break;
      }
    }
    expect(this.#acknowledged.filter((value) => values.filter((other) => other === value).length !== 1)).toEqual([]);
  }

  /** Whoever joins it now gets all partitions, and what is written to them: none of the others is left in it. */
  async expectGroupGoesOn(): Promise<void> {
    await using consumer = newConsumer(this.#onlooker);
    await consumer.subscribe({ topic: TOPIC });
    const joined = new Promise((resolve) => {
      consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => resolve(payload.memberAssignment));
    });
    await consumer.run();
    expect(await joined).toEqual({ [TOPIC]: [0, 1] });
  }

  async close(): Promise<void> {
    await Promise.all([this.#kafka.close(), this.#onlooker.close()]);
  }

  #randomCall(): void {
    const producer = this.#producers[this.#oneOf(3)]!;
    const consumer = this.#consumers[this.#oneOf(2)]!;
    const partition = this.#oneOf(2);
    const call = (what: string, make: () => unknown): void => this.#call(what, make);
    const ofConsumers: readonly (() => void)[] = [
      () => call('connect', () => consumer.connect()),
      () => call('subscribe', () => consumer.subscribe({ topic: TOPIC, fromBeginning: true })),
      () => call('run', () => consumer.run({ eachMessage: () => this.#handle() })),
      () => call('run', () => consumer.run({ eachMessage: () => this.#handle() })),
      () => call('run with batches', () => consumer.run({ eachBatch: ({ heartbeat }) => heartbeat() })),
      () => call('stop', () => consumer.stop()),
      () => call('disconnect', () => consumer.disconnect()),
      () => call('pause', () => consumer.pause([{ topic: TOPIC, partitions: [partition] }])),
      () => call('resume', () => consumer.resume([{ topic: TOPIC }])),
      () => call('seek', () => consumer.seek({ topic: TOPIC, partition, offset: String(this.#oneOf(4) - 2) })),
      () => call('commit', () => consumer.commitOffsets([{ topic: TOPIC, partition, offset: '0' }])),
      () => call('describe', () => consumer.describeGroup()),
    ];
    const ofOthers: readonly (() => void)[] = [
      () => call('connect a producer', () => producer.connect()),
      () => call('send', () => this.#send(producer, partition)),
      () => call('send', () => this.#send(producer, partition)),
      () => call('flush', () => producer.flush()),
      () => call('disconnect a producer', () => producer.disconnect()),
      () => call('offsets', () => this.#admin.fetchTopicOffsets(TOPIC)),
      () => call('disconnect the admin', () => this.#admin.disconnect()),
      () => this.#oneOf(3) === 0 && call('close', () => this.#kafka.close()),
    ];
    const choices = this.#oneOf(3) === 0 ? ofOthers : ofConsumers;
    choices[this.#oneOf(choices.length)]!();
  }

  #call(what: string, make: () => unknown): void {
    this.calls.push(what);
    const failed = (error: unknown): void => {
      if (!(error instanceof KafkaJSError)) this.untyped.push(error);
    };
    try {
      this.#pending.push(Promise.resolve(make()).catch(failed));
    } catch (error) {
      failed(error);
    }
  }

  async #send(producer: Producer, partition: number): Promise<void> {
    const value = `${this.calls.length}`;
    await producer.send({ topic: TOPIC, messages: [{ value, partition }] });
    this.#acknowledged.push(value);
  }

  async #handle(): Promise<void> {
    if (this.#oneOf(10) === 0) throw new Error('this handler fails now and then');
    if (this.#oneOf(5) === 0) await new Promise((resolve) => setTimeout(resolve, this.#oneOf(5)));
  }

  async #ends(): Promise<{ partition: number; high: string }[]> {
    const admin = this.#onlooker.admin();
    await admin.createTopics({ topics: [{ topic: TOPIC }] });
    return await admin.fetchTopicOffsets(TOPIC);
  }

  #oneOf(count: number): number {
    return this.#random.below(count);
  }
}

function newConsumer(kafka: Kafka): Consumer {
  return kafka.consumer({ groupId: 'g', maxWaitTimeInMs: 20, retry: { initialRetryTime: 5, retries: 2 } });
}
