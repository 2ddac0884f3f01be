import { assert } from 'chai';
import { type EncryptionConfig, Kafka, KafkaJSEncryptionError, logLevel } from '../../src/index.js';
import { databaseName } from '../../src/storage/schema.js';
import { newClusterName } from './cluster.js';

const KEYS = 'encryption-test-keys';

// Non-extractable keys of an application, kept in IndexedDB, over a real worker and database.
describe('encryption at rest', function () {
  this.timeout(60_000);
  const opened: Kafka[] = [];

  function open(cluster: string, key: CryptoKey | undefined): Kafka {
    return openWith(cluster, key && { keyId: 'k1', keys: { k1: key } });
  }

  function openWith(cluster: string, encryption: EncryptionConfig | undefined): Kafka {
    const kafka = new Kafka({
      clientId: 'encryption',
      cluster,
      logLevel: logLevel.NOTHING,
      ...(encryption && { encryption }),
    });
    opened.push(kafka);
    return kafka;
  }

  afterEach(async () => {
    await Promise.all(opened.splice(0).map((kafka) => kafka.close()));
    indexedDB.deleteDatabase(KEYS);
  });

  it('stores no record in clear, and reads with a key that was kept', async () => {
    const cluster = newClusterName();
    await keep(await newKey());
    const before = open(cluster, await kept());
    const producer = before.producer();
    await producer.connect();
    await producer.send({ topic: 'letters', messages: [{ key: 'secret key', value: 'secret value' }] });
    await before.close();
    assert.notInclude(await rowsOf(cluster), 'secret');
    assert.include(await rowsOf(cluster), 'letters');

    const consumer = open(cluster, await kept()).consumer();
    await consumer.assign([{ topic: 'letters', partition: 0, offset: '-2' }]);
    for await (const { key, value } of consumer) {
      assert.deepEqual([key?.toString(), value?.toString()], ['secret key', 'secret value']);
      break;
    }
  });

  it('rotates old keys out of closed segments in the worker, which gets keys it cannot export', async () => {
    const cluster = newClusterName();
    const [k1, k2] = [await newKey(), await newKey()];
    const before = openWith(cluster, { keyId: 'k1', keys: { k1 } });
    const configEntries = [{ name: 'segment.bytes', value: '1024' }];
    await before.admin().createTopics({ topics: [{ topic: 'letters', configEntries }] });
    const producer = before.producer();
    await producer.connect();
    for (let i = 0; i < 4; i++) await producer.send({ topic: 'letters', messages: [{ value: `${i}`.padEnd(600) }] });
    // A second client of this page: its keys follow to the worker that runs.
    const after = openWith(cluster, { keyId: 'k2', keys: { k1, k2 } });
    const next = after.producer();
    await next.connect();
    await next.send({ topic: 'letters', messages: [{ value: '4'.padEnd(600) }] });
    const admin = after.admin();
    const patience = Date.now() + 40_000;
    for (let inUse: readonly string[] = []; inUse.join() !== 'k2'; ) {
      if (Date.now() > patience) assert.fail(`after 40 s the keys ${inUse.join()} are in use`);
      await new Promise((resolve) => setTimeout(resolve, 200));
      inUse = (await admin.checkLogs({ topics: ['letters'] })).keyIds['letters'] ?? [];
    }
    const consumer = openWith(cluster, { keyId: 'k2', keys: { k2 } }).consumer();
    await consumer.assign([{ topic: 'letters', partition: 0, offset: '-2' }]);
    const values: string[] = [];
    for await (const { value } of consumer) if (values.push(value?.toString().trim() ?? '') === 5) break;
    assert.deepEqual(values, ['0', '1', '2', '3', '4']);
  });

  it('takes encrypted records for a compacted topic, whose keys the worker has', async () => {
    const cluster = newClusterName();
    const kafka = open(cluster, await newKey());
    const configEntries = [{ name: 'cleanup.policy', value: 'compact' }];
    await kafka.admin().createTopics({ topics: [{ topic: 'letters', configEntries }] });
    const producer = kafka.producer();
    await producer.connect();
    await producer.send({ topic: 'letters', messages: [{ key: 'secret key', value: 'secret value' }] });
    assert.notInclude(await rowsOf(cluster), 'secret');
  });

  it('gives a reader with another key an error that names the id', async () => {
    const cluster = newClusterName();
    const producer = open(cluster, await newKey()).producer();
    await producer.connect();
    await producer.send({ topic: 'letters', messages: [{ value: 'secret' }] });
    const consumer = open(cluster, await newKey()).consumer();
    await consumer.assign([{ topic: 'letters', partition: 0, offset: '-2' }]);
    try {
      for await (const message of consumer) assert.fail(`read ${message.value?.toString()}`);
    } catch (error) {
      assert.instanceOf(error, KafkaJSEncryptionError);
      assert.strictEqual(error.keyId, 'k1');
    }
  });
});

function newKey(): Promise<CryptoKey> {
  return crypto.subtle.generateKey({ name: 'AES-GCM', length: 256 }, false, ['encrypt', 'decrypt']);
}

async function keep(key: CryptoKey): Promise<void> {
  const database = await resultOf(openDatabase(KEYS));
  await resultOf(database.transaction('keys', 'readwrite').objectStore('keys').put(key, 'k1'));
  database.close();
}

async function kept(): Promise<CryptoKey> {
  const database = await resultOf(openDatabase(KEYS));
  const key: CryptoKey = await resultOf(database.transaction('keys').objectStore('keys').get('k1'));
  database.close();
  assert.isFalse(key.extractable);
  return key;
}

function openDatabase(name: string): IDBOpenDBRequest {
  const request = indexedDB.open(name, 1);
  request.onupgradeneeded = (): void => void request.result.createObjectStore('keys');
  return request;
}

/** All chunks of a cluster, byte by byte. */
async function rowsOf(cluster: string): Promise<string> {
  const database = await resultOf(indexedDB.open(databaseName(cluster, 1)));
  const rows: Uint8Array[] = await resultOf(database.transaction('chunks').objectStore('chunks').getAll());
  database.close();
  return rows.map((row) => Array.from(row, (byte) => String.fromCharCode(byte)).join('')).join('');
}

function resultOf<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = (): void => resolve(request.result);
    request.onerror = (): void => reject(request.error);
  });
}
