import { assert } from 'chai';
import type { Kafka as KafkaClient, KafkaConfig } from '../../src/index.js';
import { newClusterName } from './cluster.js';

// Found at run time: `npm run build` makes it.
const BUILT = '/dist/index.js';

// The parts that are loaded when first used find each other, in the page and in the worker.
describe('the built package', function () {
  this.timeout(60_000);

  it('sends compressed records, reads them in a group and is administered', async () => {
    const { Kafka } = (await import(/* @vite-ignore */ BUILT)) as { Kafka: new (config: KafkaConfig) => KafkaClient };
    const kafka = new Kafka({ cluster: newClusterName(), logLevel: 0 });
    try {
      const producer = kafka.producer();
      const messages = ['a', 'b', 'c'].map((value, i) => ({ value, timestamp: 1000 + i }));
      await producer.send({ topic: 'letters', compression: 1, messages });
      const consumer = kafka.consumer({ groupId: 'readers' });
      await consumer.subscribe({ topic: 'letters', fromBeginning: true });
      const values: unknown[] = [];
      await new Promise<void>((resolve, reject) => {
        const eachMessage = async ({ message }: { message: { value: unknown } }): Promise<void> => {
          if (values.push(String(message.value)) === messages.length) resolve();
        };
        consumer.run({ eachMessage }).catch(reject);
      });
      assert.deepEqual(values, ['a', 'b', 'c']);
      await consumer.disconnect();
      const admin = kafka.admin();
      assert.deepEqual(await admin.fetchTopicOffsetsByTimestamp('letters', 1001), [{ partition: 0, offset: '1' }]);
      await admin.deleteTopics({ topics: ['letters'] });
      assert.notInclude(await admin.listTopics(), 'letters');
    } finally {
      await kafka.close();
    }
  });
});
