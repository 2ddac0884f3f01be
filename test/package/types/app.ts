// An app as its compiler sees the package: every entry point, and what is most used of each.
import {
  type Consumer,
  type EachMessagePayload,
  Kafka,
  KafkaJSError,
  type KafkaMessage,
  logLevel,
  serdes,
} from 'tabstream';
import 'tabstream/consumer';
import 'tabstream/consumer-group';
import { defineStreamInspector, type StreamInspectorElement } from 'tabstream/inspector';
import 'tabstream/producer';
import { InProcessCluster, type KafkaMessage as SameMessage, Kafka as TestKafka } from 'tabstream/testing';

export async function app(kafka: Kafka = new Kafka({ clientId: 'app', logLevel: logLevel.INFO })): Promise<Blob[]> {
  const producer = kafka.producer({ valueSerde: serdes.json<{ a: number }>() });
  await producer.send({ topic: 't', messages: [{ value: { a: 1 } }] });
  const consumer: Consumer = kafka.consumer({ groupId: 'g' });
  await consumer.run({
    eachMessage: async ({ message, topic }: EachMessagePayload) => {
      const text: string | undefined = message.value?.toString();
      if (text === topic) throw new KafkaJSError('unexpected');
    },
  });
  const blobs: Blob[] = [];
  for await (const message of consumer) {
    const same: SameMessage = message satisfies KafkaMessage;
    if (same.value) blobs.push(new Blob([same.value]));
  }
  await consumer[Symbol.asyncDispose]();
  return blobs;
}

export function inspected(): StreamInspectorElement {
  defineStreamInspector();
  const inspector = document.createElement('stream-inspector') as StreamInspectorElement;
  inspector.kafka = new InProcessCluster().Kafka ? new TestKafka() : undefined;
  return inspector;
}
