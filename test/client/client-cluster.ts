import { afterEach, beforeEach } from 'vitest';
import { type Kafka, logLevel, type Producer } from '../../src/index.js';
import { InProcessCluster } from '../../src/testing/index.js';

/** Of the test that runs: see `useCluster`. */
export let cluster: InProcessCluster;
export let kafka: Kafka;
export let producer: Producer;

/** Each test of the file gets a cluster of its own, with a client and a connected producer. */
export function useCluster(): void {
  beforeEach(async () => {
    cluster = new InProcessCluster({
      brokerConfig: { 'num.partitions': '1', 'group.initial.rebalance.delay.ms': '0' },
    });
    kafka = new cluster.Kafka({ clientId: 'test', logLevel: logLevel.NOTHING });
    producer = kafka.producer();
    await producer.connect();
  });

  afterEach(async () => {
    await kafka.close();
    await cluster.close();
  });
}

export async function topic(name: string, numPartitions = 1): Promise<void> {
  await using admin = kafka.admin();
  await admin.createTopics({ topics: [{ topic: name, numPartitions }] });
}

export async function produceValues(name: string, values: readonly (string | number)[], partition = 0): Promise<void> {
  await producer.send({ topic: name, messages: values.map((value) => ({ value: String(value), partition })) });
}
