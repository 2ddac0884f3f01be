import { assert } from 'chai';
import { Kafka, KafkaJSConnectionError, logLevel } from '../../src/index.js';
import { locksOf, newClusterName, until } from './cluster.js';

// Without storage nothing can be promised: every client says so at once, and why.
describe('where storage is denied', function () {
  this.timeout(60_000);

  for (const name of ['there is none', 'reading the property throws', 'open throws', 'open fails']) {
    it(`no client connects (${name}), and each says why`, async () => {
      const cluster = newClusterName();
      const kafka = open(cluster, name);
      const attempts: Record<string, () => Promise<unknown>> = {
        connect: () => kafka.producer().connect(),
        send: () => kafka.producer().send({ topic: 'orders', messages: [{ value: 'tea' }] }),
        subscribe: () => kafka.consumer({ groupId: 'g' }).subscribe({ topics: ['orders'] }),
        run: () => kafka.consumer().run(),
        listTopics: () => kafka.admin().listTopics(),
        describeCluster: () => kafka.admin().describeCluster(),
      };
      let started = workers;
      for (const [what, attempt] of Object.entries(attempts)) {
        const error: unknown = await attempt().then(
          () => undefined,
          (reason) => reason,
        );
        assert.instanceOf(error, KafkaJSConnectionError, what);
        assert.include(error as KafkaJSConnectionError, { type: 'KAFKA_STORAGE_ERROR', code: 56, retriable: false });
        assert.match((error as Error).message, /IndexedDB cannot be used here \(.+\): the user denies storage/);
        assert.strictEqual(workers, ++started, `${what} tries once and not again`);
      }
      await kafka.close();
      await until('the last worker is gone', async () => (await locksOf(cluster)).length === 0);
    });
  }
});

/** That were made. */
let workers = 0;

function open(cluster: string, name: string): Kafka {
  return new Kafka({
    cluster,
    logLevel: logLevel.NOTHING,
    worker: () => {
      workers++;
      return new Worker(new URL('./denied-storage.worker.ts', import.meta.url), { type: 'module', name });
    },
  });
}
