import { assert } from 'chai';
import { Kafka, KafkaJSEncryptionError, logLevel } from '../../src/index.js';
import { databaseName } from '../../src/storage/schema.js';
import { newClusterName } from './cluster.js';

const KEYS = 'encryption-test-keys';

// Non-extractable keys of an application, kept in IndexedDB, over a real worker and database.
describe('encryption at rest', function () {
  this.timeout(60_000);
  const opened: Kafka[] = [];

  function open(cluster: string, key: CryptoKey | undefined): Kafka {
    const encryption = key && { keyId: 'k1', keys: { k1: key } };
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
  const database = await resultOf(openWith(KEYS));
  await resultOf(database.transaction('keys', 'readwrite').objectStore('keys').put(key, 'k1'));
  database.close();
}

async function kept(): Promise<CryptoKey> {
  const database = await resultOf(openWith(KEYS));
  const key: CryptoKey = await resultOf(database.transaction('keys').objectStore('keys').get('k1'));
  database.close();
  assert.isFalse(key.extractable);
  return key;
}

function openWith(name: string): IDBOpenDBRequest {
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
