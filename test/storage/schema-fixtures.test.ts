import 'fake-indexeddb/auto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import { STATIC_PARTS } from '../../src/broker/static-parts.js';
import { kafkaOn } from '../../src/client/kafka.js';
import { STATIC_CLIENT_PARTS } from '../../src/client/static-client-parts.js';
import { Host } from '../../src/cluster/host.js';
import { type Kafka, logLevel } from '../../src/index.js';
import { inProcessRuntime } from '../../src/runtime/node-runtime.js';
import { IdbLogStore } from '../../src/storage/idb-log-store.js';
import { databaseName, SCHEMA_VERSION } from '../../src/storage/schema.js';
import { readAll } from '../client/read-all.js';
import { bytes, loadDatabase } from '../fixtures/schema/dump.js';
import type { SchemaFixture } from '../fixtures/schema/schema-fixture.js';

// Goal: what any earlier version of the code stored is found whole by the newest. Method: databases that earlier code
// left, opened by a host of today's.

const FOLDER = new URL('../fixtures/schema/', import.meta.url);
const FIXTURES = readdirSync(FOLDER).filter((name) => /^v\d+\.json$/.test(name));

let end: (() => Promise<void>) | undefined;
afterEach(() => end?.());

async function open({ clusterName, brokerId, schemaVersion, stores }: SchemaFixture): Promise<[Host, Kafka]> {
  await loadDatabase(indexedDB, databaseName(clusterName, brokerId), { version: schemaVersion, stores });
  const runtime = inProcessRuntime();
  const openStore = (): Promise<IdbLogStore> =>
    IdbLogStore.open({ clusterName, brokerId, newIncarnationId: 'not asked for' });
  const host = await Host.start({ runtime, openStore, parts: STATIC_PARTS, clusterName, label: 'newest' });
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

test('every version before the present one has its fixture', () => {
  for (let version = 1; version < SCHEMA_VERSION; version++) {
    const name = `v${version}.json`;
    expect(existsSync(new URL(name, FOLDER)), `${name}: see test/fixtures/schema/README.md`).toBe(true);
  }
  expect(FIXTURES.length).toBeGreaterThan(0);
});

describe.each(FIXTURES)('the data of %s', (name) => {
  const fixture = JSON.parse(readFileSync(new URL(name, FOLDER), 'utf8')) as SchemaFixture;
  const { expected } = fixture;

  test('keeps every topic and every record at its offset', async () => {
    const [, kafka] = await open(fixture);
    const admin = kafka.admin();
    expect((await admin.listTopics()).filter((topic) => !topic.startsWith('__')).sort()).toEqual(
      expected.topics.map(({ topic }) => topic).sort(),
    );
    for (const { topic, numPartitions } of expected.topics) {
      const found = await readAll(kafka, topic);
      for (let partition = 0; partition < numPartitions; partition++) {
        const records = found
          .filter((message) => message.partition === partition)
          .map(({ offset, key, value, headers }) => ({
            offset: Number(offset),
            key: String(key),
            value: String(value),
            n: headers?.['n'] === undefined ? undefined : String(headers['n']),
          }));
        const wanted = expected.records[`${topic}-${partition}`] ?? [];
        expect(records).toEqual(wanted.map(({ offset, key, value, n }) => ({ offset, key, value, n })));
      }
    }
  });

  test('keeps what groups have committed', async () => {
    const [, kafka] = await open(fixture);
    for (const { groupId, topic, partitions } of expected.groups) {
      const [found] = await kafka.admin().fetchOffsets({ groupId, topics: [topic] });
      expect(found?.partitions).toEqual(partitions.map((partition) => expect.objectContaining(partition)));
    }
  });

  test('keeps the sequences of producers: a batch that is sent again is answered with its offset', async () => {
    const [host] = await open(fixture);
    for (const { log, batch, offset } of expected.producers) {
      const [, topic = '', partition] = /^(.*)-(\d+)$/.exec(log) ?? [];
      const topicData = [{ name: topic, partitionData: [{ index: Number(partition), records: bytes(batch) }] }];
      const answer = await host.send('Produce', { transactionalId: null, acks: -1, timeoutMs: 1000, topicData });
      expect(answer.responses[0]?.partitionResponses[0]).toMatchObject({ errorCode: 0, baseOffset: offset });
    }
  });
});
