import { expect } from 'chai';
import { openDB } from 'idb';
import { Kafka } from '../../src/index.js';
import { databaseName } from '../../src/storage/schema.js';
import { newClusterName, until } from './cluster.js';

const RECORDS = 1_000_000;
const PER_SEND = 10_000;
const SEGMENT_BYTES = 1024 * 1024;

/** What the README says: the active segment, one that has just closed, and what is left of all others. */
const BOUND_BYTES = 3 * SEGMENT_BYTES;

/** Bytes of all rows and sealed segments of a cluster. */
async function storedBytes(clusterName: string): Promise<number> {
  const database = await openDB(databaseName(clusterName, 1));
  let bytes = 0;
  for (const name of ['chunks', 'sealedBytes']) {
    for (let at = await database.transaction(name).store.openCursor(); at; at = await at.continue()) {
      const value = at.value as Uint8Array | Blob;
      bytes += value instanceof Blob ? value.size : value.byteLength;
    }
  }
  database.close();
  return bytes;
}

describe('a compacted topic', () => {
  it('of which one key is rewritten a million times stays within three segments', async function () {
    this.timeout(110_000);
    const clusterName = newClusterName();
    const kafka = new Kafka({ clientId: 'writer', cluster: clusterName });
    const admin = kafka.admin();
    const configEntries = [
      { name: 'cleanup.policy', value: 'compact' },
      { name: 'segment.bytes', value: String(SEGMENT_BYTES) },
    ];
    await admin.connect();
    await admin.createTopics({ topics: [{ topic: 'table', numPartitions: 1, configEntries }] });
    const producer = kafka.producer();
    await producer.connect();
    for (let first = 0; first < RECORDS; first += PER_SEND) {
      const messages = Array.from({ length: PER_SEND }, (_, i) => ({ key: 'counter', value: String(first + i) }));
      await producer.send({ topic: 'table', messages });
    }
    let bytes = Number.POSITIVE_INFINITY;
    const isSmall = async (): Promise<boolean> => (bytes = await storedBytes(clusterName)) <= BOUND_BYTES;
    await until('the database is small', isSmall).catch(() => {});
    expect(bytes).to.be.at.most(BOUND_BYTES);

    let last: string | undefined;
    let count = 0;
    const consumer = kafka.consumer({ groupId: 'reader' });
    await consumer.connect();
    await consumer.subscribe({ topics: ['table'], fromBeginning: true });
    await consumer.run({
      eachBatch: ({ batch }) => {
        count += batch.messages.length;
        last = batch.messages.at(-1)?.value?.toString() ?? last;
      },
    });
    await until('the last value is read', () => last === String(RECORDS - 1));
    expect(count).to.be.below(RECORDS / 4);
    await Promise.all([consumer.disconnect(), producer.disconnect(), admin.disconnect()]);
  });
});
