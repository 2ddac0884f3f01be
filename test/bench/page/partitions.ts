import { Kafka } from '../../../src/index.js';
import { makeValues, percentile } from './values.js';

const MANY = 'many';
const ONE = 'one';
const WARM_UP = 5;

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
