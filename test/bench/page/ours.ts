import { type Consumer, Kafka, type Producer } from '../../../src/index.js';
import { ByteTally, type Contender, Tally } from './contender.js';
import { makeValues, numberOf, percentile } from './values.js';

export const TOPIC = 'bench';
const MESSAGES_PER_SEND = 1000;
const SENDS_IN_FLIGHT = 64;

/** tabstream through its public API, from the page; its broker runs in the tab's worker. */
export function ours(topicConfig: Readonly<Record<string, string>> = {}): Contender {
  const configEntries = Object.entries(topicConfig).map(([name, value]) => ({ name, value }));
  let kafka: InstanceType<typeof Kafka>;
  let producer: Producer;
  let consumer: Consumer;
  return {
    async open(name) {
      kafka = new Kafka({ clientId: 'bench', cluster: name });
      producer = kafka.producer();
      await producer.connect();
      consumer = kafka.consumer();
      await consumer.connect();
      const admin = kafka.admin();
      await admin.connect();
      await admin.createTopics({ topics: [{ topic: TOPIC, numPartitions: 1, configEntries }] });
      await admin.disconnect();
    },
    async bulkWrite(values) {
      const inFlight: Promise<unknown>[] = [];
      for (let i = 0; i < values.length; i += MESSAGES_PER_SEND) {
        const messages = values.slice(i, i + MESSAGES_PER_SEND).map((value) => ({ value }));
        inFlight.push(producer.send({ topic: TOPIC, messages }));
        if (inFlight.length >= SENDS_IN_FLIGHT) await inFlight.shift();
      }
      await Promise.all(inFlight);
    },
    async read(as, expected) {
      await consumer.assign([{ topic: TOPIC, partition: 0, offset: '0' }]);
      const views = new ByteTally();
      const texts = new Tally();
      await new Promise<void>((done, failed) => {
        let left = expected;
        consumer.on(consumer.events.CRASH, (event) => failed(event.payload.error));
        consumer
          .run({
            eachBatch: async ({ batch }) => {
              const messages = left < batch.messages.length ? batch.messages.slice(0, left) : batch.messages;
              if (as === 'bytes') for (const message of messages) views.add(message.value as Uint8Array);
              else for (const message of messages) texts.add(String(message.value));
              left -= messages.length;
              if (left === 0) done();
            },
          })
          .catch(failed);
      });
      await consumer.stop();
      return as === 'bytes' ? views.end() : texts.end();
    },
    async writeOne(value) {
      await producer.send({ topic: TOPIC, messages: [{ value }] });
    },
    async watch(onValue) {
      await consumer.assign([{ topic: TOPIC, partition: 0, offset: '-1' }]);
      await consumer.run({
        eachMessage: async ({ message }) => onValue(numberOf(String(message.value))),
      });
    },
    async close() {
      await consumer.disconnect();
      await producer.disconnect();
    },
  };
}

/** A new client in a page that has none, until the first record is in the handler. */
export async function firstRecord({ name }: { name: string }): Promise<number> {
  const start = performance.now();
  const kafka = new Kafka({ clientId: 'bench', cluster: name });
  const consumer = kafka.consumer();
  await consumer.connect();
  await consumer.assign([{ topic: TOPIC, partition: 0, offset: '0' }]);
  const elapsed = await new Promise<number>((done) => {
    void consumer.run({ eachMessage: async () => done(performance.now() - start) });
  });
  await consumer.disconnect();
  return elapsed;
}

/** Everything from the start, into a handler that does nothing. */
export async function readThrough({ name, count }: { name: string; count: number }): Promise<void> {
  const consumer = new Kafka({ clientId: 'bench', cluster: name }).consumer();
  await consumer.connect();
  await readFrom(consumer, 0, count);
  await consumer.disconnect();
}

const STRETCHES = 11;

/** What it costs to append `count` records to a log and to fetch as many from its middle, in ms: medians. */
export async function stretchCost(args: {
  name: string;
  count: number;
  size: number;
}): Promise<{ append: number; fetch: number }> {
  const { name, count, size } = args;
  const values = makeValues(count, size);
  const kafka = new Kafka({ clientId: 'bench', cluster: name });
  const producer = kafka.producer();
  const consumer = kafka.consumer();
  const admin = kafka.admin();
  await Promise.all([producer.connect(), consumer.connect(), admin.connect()]);
  const messages = values.map((value) => ({ value }));
  await producer.send({ topic: TOPIC, messages }); // in a new cluster this makes the topic, and fills it to about 1 MB
  const append: number[] = [];
  const fetch: number[] = [];
  for (let i = 0; i < STRETCHES; i++) {
    const start = performance.now();
    await producer.send({ topic: TOPIC, messages });
    append.push(performance.now() - start);
  }
  for (let i = 0; i < STRETCHES; i++) {
    const [partition] = await admin.fetchTopicOffsets(TOPIC);
    const middle = Math.max(0, Math.floor(Number(partition?.high) / 2) - count * (i + 1));
    const start = performance.now();
    await readFrom(consumer, middle, count);
    fetch.push(performance.now() - start);
  }
  await kafka.close();
  return { append: percentile(append, 0.5), fetch: percentile(fetch, 0.5) };
}

async function readFrom(consumer: Consumer, offset: number, count: number): Promise<void> {
  await consumer.assign([{ topic: TOPIC, partition: 0, offset: String(offset) }]);
  await new Promise<void>((done, failed) => {
    let left = count;
    consumer.on(consumer.events.CRASH, (event) => failed(event.payload.error));
    consumer
      .run({
        eachBatch: async ({ batch }) => {
          left -= batch.messages.length;
          if (left <= 0) done();
        },
      })
      .catch(failed);
  });
  await consumer.stop();
}

let stopped = false;

/** Sends one record after the other, without timers, which hidden pages hold back, and remembers when each was acknowledged (ms, wall clock from the monotonic one). */
export async function sendForever({ name }: { name: string }, acks: number[]): Promise<void> {
  stopped = false;
  const kafka = new Kafka({ clientId: 'bench', cluster: name });
  const producer = kafka.producer();
  await producer.connect();
  while (!stopped) {
    await producer.send({ topic: TOPIC, messages: [{ value: 'x'.repeat(100) }] });
    acks.push(performance.timeOrigin + performance.now());
  }
  await producer.disconnect();
}

export function stopSending(): void {
  stopped = true;
}
