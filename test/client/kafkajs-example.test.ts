import { expect, test } from 'vitest';
import { dropCluster, Kafka } from '../../src/testing/index.js';

// Goal: code written for KafkaJS runs as it is. Method: the example of KafkaJS's "Getting started", import and waiting apart.
test('the example of KafkaJS runs unchanged', async () => {
  const kafka = new Kafka({
    clientId: 'my-app',
    brokers: ['kafka1:9092', 'kafka2:9092'],
    logLevel: 0,
  });

  const producer = kafka.producer();

  await producer.connect();
  await producer.send({
    topic: 'test-topic',
    messages: [{ value: 'Hello KafkaJS user!' }],
  });

  await producer.disconnect();

  const consumer = kafka.consumer({ groupId: 'test-group' });

  await consumer.connect();
  await consumer.subscribe({ topic: 'test-topic', fromBeginning: true });

  const received: string[] = [];
  await new Promise<void>((resolve) => {
    void consumer.run({
      eachMessage: async ({ topic, partition, message }) => {
        received.push(`${topic} ${partition} ${message.value!.toString()}`);
        resolve();
      },
    });
  });

  await consumer.disconnect();
  expect(received).toEqual(['test-topic 0 Hello KafkaJS user!']);
  await dropCluster('default');
});
