import { Kafka } from '../../../src/index.js';
import { makeValues, percentile, sleep } from './values.js';

const MANY = 'many';
const ONE = 'one';
const WARM_UP = 5;
/** What was written is at rest by then. */
const SETTLED_MS = 2_000;

/** A topic of `partitions`, each with a record, and one of a single partition. */
export async function makePartitions({ name, partitions }: { name: string; partitions: number }): Promise<void> {
  const kafka = new Kafka({ clientId: 'bench', cluster: name });
  const admin = kafka.admin();
  const producer = kafka.producer();
  await Promise.all([admin.connect(), producer.connect()]);
  await admin.createTopics({
    topics: [
      { topic: MANY, numPartitions: partitions },
      { topic: ONE, numPartitions: 1 },
    ],
  });
  await producer.send({ topic: MANY, messages: spread('first', partitions) });
  await producer.send({ topic: ONE, messages: [{ value: 'first' }] });
  await kafka.close();
}

/** A send of one record to each of `partitions`, beside a send of as many records to one partition, in ms: medians. */
export async function spreadCost(args: {
  name: string;
  partitions: number;
  size: number;
  sends: number;
}): Promise<{ spread: number; one: number }> {
  const { name, partitions, size, sends } = args;
  const [value = ''] = makeValues(1, size);
  const kafka = new Kafka({ clientId: 'bench', cluster: name });
  const producer = kafka.producer();
  await producer.connect();
  const timed = async (topic: string, messages: { value: string; partition: number }[]): Promise<number> => {
    const start = performance.now();
    await producer.send({ topic, messages });
    return performance.now() - start;
  };
  const costs: { spread: number[]; one: number[] } = { spread: [], one: [] };
  const toOne = Array.from({ length: partitions }, () => ({ value, partition: 0 }));
  for (let i = 0; i < sends + WARM_UP; i++) {
    const taken = { spread: await timed(MANY, spread(value, partitions)), one: await timed(ONE, toOne) };
    if (i < WARM_UP) continue;
    costs.spread.push(taken.spread);
    costs.one.push(taken.one);
  }
  await kafka.close();
  return { spread: percentile(costs.spread, 0.5), one: percentile(costs.one, 0.5) };
}

/** `count` records of 100 B from the beginning of `partitions`, beside as many from one, in records a second. */
export async function spreadRates(args: {
  name: string;
  partitions: number;
  count: number;
}): Promise<{ ours: number; limit: number }> {
  const { name, partitions, count } = args;
  const kafka = new Kafka({ clientId: 'bench', cluster: name });
  const producer = kafka.producer();
  const admin = kafka.admin();
  await Promise.all([admin.connect(), producer.connect()]);
  const [value = ''] = makeValues(1, 100);
  const rateOf = async (topic: string, numPartitions: number): Promise<number> => {
    await admin.createTopics({ topics: [{ topic, numPartitions }] });
    const messages = Array.from({ length: 1000 }, (_, i) => ({ value, partition: i % numPartitions }));
    for (let sent = 0; sent < count; sent += 20_000) {
      await Promise.all(Array.from({ length: 20 }, () => producer.send({ topic, messages })));
    }
    await sleep(SETTLED_MS);
    const consumer = kafka.consumer();
    await consumer.connect();
    await consumer.assign(Array.from({ length: numPartitions }, (_, partition) => ({ topic, partition, offset: '0' })));
    const start = performance.now();
    let left = count;
    await new Promise<void>((done, failed) => {
      const eachBatch = async ({ batch }: { batch: { messages: readonly unknown[] } }): Promise<void> => {
        left -= batch.messages.length;
        if (left <= 0) done();
      };
      consumer.run({ eachBatch }).catch(failed);
    });
    const elapsedMs = performance.now() - start;
    await consumer.disconnect();
    return count / (elapsedMs / 1000);
  };
  const figures = { limit: await rateOf('read-one', 1), ours: await rateOf('read-many', partitions) };
  await kafka.close();
  return figures;
}

/** From a new client in a page that has none to the first acknowledged record, and to the first one fetched, in ms. */
export async function openPartitions({ name }: { name: string }): Promise<{ produced: number; fetched: number }> {
  const start = performance.now();
  const kafka = new Kafka({ clientId: 'bench', cluster: name });
  const producer = kafka.producer();
  const consumer = kafka.consumer();
  const produced = producer
    .connect()
    .then(() => producer.send({ topic: MANY, messages: [{ value: 'x', partition: 0 }] }))
    .then(() => performance.now() - start);
  await consumer.connect();
  await consumer.assign([{ topic: MANY, partition: 0, offset: '0' }]);
  const fetched = await new Promise<number>((done, failed) => {
    consumer.run({ eachMessage: async () => done(performance.now() - start) }).catch(failed);
  });
  const figures = { produced: await produced, fetched };
  await kafka.close();
  return figures;
}

function spread(value: string, partitions: number): { value: string; partition: number }[] {
  return Array.from({ length: partitions }, (_, partition) => ({ value, partition }));
}
