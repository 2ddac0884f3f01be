import { afterEach, beforeEach } from 'vitest';
import { type Kafka, logLevel, type Producer } from '../../src/index.js';
import { InProcessCluster } from '../../src/testing/index.js';

/** Of the test that runs: see `useKafka`. */
export let cluster: InProcessCluster;
export let kafka: Kafka;
/** See `useCluster`. */
export let producer: Producer;

const BROKER_CONFIG = { 'num.partitions': '1', 'group.initial.rebalance.delay.ms': '0' };

/** Each test of the file gets a cluster of its own, with a `Kafka` that says nothing. */
export function useKafka(brokerConfig: Readonly<Record<string, string>> = BROKER_CONFIG): void {
  beforeEach(() => {
    cluster = new InProcessCluster({ brokerConfig });
    kafka = new cluster.Kafka({ clientId: 'test', logLevel: logLevel.NOTHING });
  });

  afterEach(async () => {
    await kafka.close();
    await cluster.close();
  });
}

/** The same, with a connected producer. */
export function useCluster(): void {
  useKafka();
  beforeEach(async () => {
    producer = kafka.producer();
    await producer.connect();
  });
}

export async function topic(name: string, numPartitions = 1): Promise<void> {
  await using admin = kafka.admin();
  await admin.createTopics({ topics: [{ topic: name, numPartitions }] });
}

export async function produceValues(name: string, values: readonly (string | number)[], partition = 0): Promise<void> {
  await producer.send({ topic: name, messages: values.map((value) => ({ value: String(value), partition })) });
}
