import { expect, test } from 'vitest';
import { CompressionTypes, logLevel, type ProducerConfig } from '../../src/index.js';
import type { ProduceRequest } from '../../src/protocol/requests.js';
import { inProcessRuntime } from '../../src/runtime/node-runtime.js';
import { InProcessCluster } from '../../src/testing/index.js';
import { seenProduce, verifiedBatches } from '../cluster/seen-produce.js';
import { readAll } from './read-all.js';

const key = (): Promise<CryptoKey> =>
  crypto.subtle.generateKey({ name: 'AES-GCM', length: 256 }, false, ['encrypt', 'decrypt']) as Promise<CryptoKey>;

// Goal: producers write no checksums; the leader in another tab gets them all the same, whatever was done to a batch.
// Method: all that crosses is looked at. Some topics take smaller batches only, so that they are split, also when they
// were compressed or encrypted.
test.each([
  { what: 'as they are', encrypted: false, compression: CompressionTypes.None, maxBytes: 100_000 },
  { what: 'compressed', encrypted: false, compression: CompressionTypes.GZIP, maxBytes: 100_000 },
  { what: 'encrypted', encrypted: true, compression: CompressionTypes.GZIP, maxBytes: 100_000 },
  { what: 'split', encrypted: false, compression: CompressionTypes.None, maxBytes: 1_000 },
  { what: 'compressed and split', encrypted: false, compression: CompressionTypes.GZIP, maxBytes: 400 },
  { what: 'encrypted and split', encrypted: true, compression: CompressionTypes.GZIP, maxBytes: 400 },
])('the leader in another tab can check batches $what', async ({ what, encrypted, compression, maxBytes }) => {
  const crossed: ProduceRequest[] = [];
  const runtime = seenProduce(inProcessRuntime(), (request) => crossed.push(request));
  await using cluster = new InProcessCluster({ runtime });
  const leader = await cluster.addHost();
  const configEntries = [{ name: 'max.message.bytes', value: String(maxBytes) }];
  const topic = { name: 't', numPartitions: 1, replicationFactor: -1, assignments: [], configs: configEntries };
  await leader.send('CreateTopics', { timeoutMs: 1000, validateOnly: false, topics: [topic] });
  const encryption = encrypted ? { keyId: 'k', keys: { k: await key() } } : undefined;
  const kafka = new cluster.Kafka({ logLevel: logLevel.NOTHING, ...(encryption && { encryption }) });

  const values = Array.from({ length: 60 }, (_, i) => `${i} ${'abcdefgh'.charAt(i % 8).repeat(25)}`);
  const configs: ProducerConfig[] = [{}, { idempotent: false }];
  for (const config of configs) {
    const producer = kafka.producer({ ...config, retry: { retries: 1, initialRetryTime: 1 } });
    await producer.connect();
    await producer.send({ topic: 't', compression, messages: values.map((value) => ({ value })) });
    await producer.disconnect();
  }
  const { hosts } = await leader.send('DescribeCluster', {});
  expect(hosts.find(({ controller }) => controller)?.self).toBe(true);
  const read = (await readAll(kafka, 't')).map(({ value }) => String(value));
  expect(read).toEqual([...values, ...values]);
  expect(crossed.some(({ checksums }) => checksums === 'missing')).toBe(false);
  const batchCount = crossed.reduce((count, request) => count + verifiedBatches(request), 0);
  expect(batchCount).toBeGreaterThanOrEqual(what.includes('split') ? 6 : 2);
  await kafka.close();
});
