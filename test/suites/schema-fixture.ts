import { assert } from 'chai';
import { kafkaOn } from '../../src/client/kafka.js';
import { STATIC_CLIENT_PARTS } from '../../src/client/static-client-parts.js';
import { Host } from '../../src/cluster/host.js';
import { STATIC_CLUSTER_PARTS } from '../../src/cluster/static-cluster-parts.js';
import { type Kafka, logLevel } from '../../src/index.js';
import { inProcessRuntime } from '../../src/runtime/node-runtime.js';
import { IdbLogStore } from '../../src/storage/idb-log-store.js';
import { databaseName } from '../../src/storage/schema.js';
import { readAll } from '../client/read-all.js';
import { bytes, loadDatabase } from '../fixtures/schema/dump.js';
import type { SchemaFixture } from '../fixtures/schema/schema-fixture.js';
import type { TestApi } from './log-store.js';

export type SchemaTestApi = TestApi & { readonly afterEach: (body: () => Promise<void> | undefined) => void };

/** What any earlier version stored is found whole by the newest code, in Node (vitest) and in browsers (mocha). */
export function describeSchemaFixture(name: string, load: () => Promise<SchemaFixture>, api: SchemaTestApi): void {
  let end: (() => Promise<void>) | undefined;

  async function open(fixture: SchemaFixture): Promise<[Host, Kafka]> {
    const { clusterName, brokerId, schemaVersion, stores } = fixture;
    await loadDatabase(indexedDB, databaseName(clusterName, brokerId), { version: schemaVersion, stores });
    const runtime = inProcessRuntime();
    const openStore = (): Promise<IdbLogStore> =>
      IdbLogStore.open({ clusterName, brokerId, newIncarnationId: 'not asked for' });
    const host = await Host.start({ runtime, openStore, parts: STATIC_CLUSTER_PARTS, clusterName, label: 'newest' });
    const KafkaHere = kafkaOn({
      runtime,
      parts: STATIC_CLIENT_PARTS,
      connect: () => ({ send: (api, request, options) => host.send(api, request, options), close: async () => {} }),
    });
    const kafka = new KafkaHere({ clientId: 'newest', logLevel: logLevel.NOTHING });
    end = async () => {
      await kafka.close();
      await host.close();
    };
    return [host, kafka];
  }

  api.describe(`the data of ${name}`, () => {
    api.afterEach(() => end?.());

    api.it('keeps every topic and every record at its offset', async () => {
      const fixture = await load();
      const { topics, records } = fixture.expected;
      const [, kafka] = await open(fixture);
      const names = (await kafka.admin().listTopics()).filter((topic) => !topic.startsWith('__'));
      assert.sameMembers(names, [...topics.map(({ topic }) => topic)]);
      for (const { topic, numPartitions } of topics) {
        const found = await readAll(kafka, topic);
        for (let partition = 0; partition < numPartitions; partition++) {
          const ofPartition = found
            .filter((message) => message.partition === partition)
            .map(({ offset, key, value, headers }) => {
              const n = headers?.['n'] === undefined ? {} : { n: String(headers['n']) };
              return { offset: Number(offset), key: String(key), value: String(value), ...n };
            });
          assert.isNotEmpty(ofPartition);
          assert.deepEqual(ofPartition, records[`${topic}-${partition}`] as typeof ofPartition);
        }
      }
    });

    api.it('keeps what groups have committed', async () => {
      const fixture = await load();
      const [, kafka] = await open(fixture);
      for (const { groupId, topic, partitions } of fixture.expected.groups) {
        const [found] = await kafka.admin().fetchOffsets({ groupId, topics: [topic] });
        const offsets = found?.partitions.map(({ partition, offset, metadata }) => ({ partition, offset, metadata }));
        assert.deepEqual(offsets, [...partitions]);
      }
    });

    api.it('keeps the sequences of producers: a batch that is sent again is answered with its offset', async () => {
      const fixture = await load();
      const [host] = await open(fixture);
      for (const { log, batch, offset } of fixture.expected.producers) {
        const [, topic = '', partition] = /^(.*)-(\d+)$/.exec(log) ?? [];
        const topicData = [{ name: topic, partitionData: [{ index: Number(partition), records: bytes(batch) }] }];
        const answer = await host.send('Produce', { transactionalId: null, acks: -1, timeoutMs: 1000, topicData });
        const { errorCode, baseOffset } = answer.responses[0]!.partitionResponses[0]!;
        assert.deepEqual({ errorCode, baseOffset }, { errorCode: 0, baseOffset: offset });
      }
    });
  });
}
