import { expect, test } from 'vitest';
import { type Kafka, KafkaJSProtocolError, logLevel, type StorageState } from '../../src/index.js';
import { InProcessCluster } from '../../src/testing/index.js';

// Goal: an application sees how the storage is, and its producers wait, fail or go on as each topic says.

async function withKafka(body: (kafka: Kafka, cluster: InProcessCluster) => Promise<void>): Promise<void> {
  await using cluster = new InProcessCluster();
  await using kafka = new cluster.Kafka({ clientId: 'test', logLevel: logLevel.NOTHING });
  await body(kafka, cluster);
}

const LARGE = 'x'.repeat(10_000);

test('a watch begins with the state now, and goes on with each that follows', async () => {
  await withKafka(async (kafka, { disk }) => {
    const producer = kafka.producer();
    await producer.send({ topic: 'orders', messages: [{ value: 'a' }] });
    expect(await kafka.storage.state()).toMatchObject({ status: 'ready' });
    const seen: StorageState['status'][] = [];
    for await (const { status } of kafka.storage.changes()) {
      seen.push(status);
      if (seen.length === 1) disk.disconnect();
      if (seen.length === 3) disk.wipe();
      if (status === 'reset') await producer.send({ topic: 'orders', messages: [{ value: 'b' }] });
      if (seen.length === 6) break;
    }
    expect(seen).toEqual(['ready', 'reopening', 'ready', 'reopening', 'reset', 'ready']);
  });
});

test('a watch ends with its signal, and with its client', async () => {
  await withKafka(async (kafka) => {
    const watch = async (signal?: AbortSignal, onFirst?: () => void): Promise<number> => {
      let count = 0;
      for await (const _ of kafka.storage.changes({ signal })) if (++count === 1) onFirst?.();
      return count;
    };
    const controller = new AbortController();
    expect(await watch(controller.signal, () => controller.abort())).toBe(1);
    expect(await watch(AbortSignal.abort())).toBe(0);
    await expect(kafka.storage.state({ signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow('enough');
    expect(await watch(undefined, () => void kafka.close())).toBe(1);
  });
});

test('a send that finds the disk full waits, and goes on by itself when there is room', async () => {
  await withKafka(async (kafka, { disk }) => {
    const producer = kafka.producer();
    await producer.send({ topic: 'orders', messages: [{ value: 'a' }] });
    disk.setQuota(disk.sizeInBytes + 1_000);
    const sent = producer.send({ topic: 'orders', messages: [{ value: LARGE }] });
    for await (const state of kafka.storage.changes()) {
      if (state.status !== 'full') continue;
      expect(state).toMatchObject({ usage: disk.sizeInBytes, quota: disk.sizeInBytes + 1_000 });
      break;
    }
    disk.setQuota(Number.POSITIVE_INFINITY);
    expect((await sent)[0]?.baseOffset).toBe('1');
    expect((await kafka.storage.state()).status).toBe('ready');
  });
});

test('where there is no room in time, the send fails with the figures, and nothing was written', async () => {
  await withKafka(async (kafka, { disk }) => {
    const producer = kafka.producer({ deliveryTimeout: 1_000 });
    await producer.send({ topic: 'orders', messages: [{ value: 'a' }] });
    const quota = disk.sizeInBytes + 1_000;
    disk.setQuota(quota);
    await expect(producer.send({ topic: 'orders', messages: [{ value: LARGE }] })).rejects.toMatchObject({
      name: 'KafkaJSNumberOfRetriesExceeded',
      type: 'KAFKA_STORAGE_ERROR',
      storage: { usage: disk.sizeInBytes, quota },
      outcomeUnknown: false,
    });
    disk.setQuota(Number.POSITIVE_INFINITY);
    const [next] = await kafka.producer().send({ topic: 'orders', messages: [{ value: 'b' }] });
    expect(next?.baseOffset).toBe('1');
  });
});

test('a topic whose policy is to reject says so at once, with the figures', async () => {
  await withKafka(async (kafka, { disk }) => {
    const configEntries = [{ name: 'storage.full.policy', value: 'reject' }];
    await kafka.admin().createTopics({ topics: [{ topic: 'orders', configEntries }] });
    const producer = kafka.producer();
    await producer.send({ topic: 'orders', messages: [{ value: 'a' }] });
    const quota = disk.sizeInBytes + 1_000;
    disk.setQuota(quota);
    const error = await producer.send({ topic: 'orders', messages: [{ value: LARGE }] }).catch((reason) => reason);
    expect(error).toBeInstanceOf(KafkaJSProtocolError);
    expect(error).toMatchObject({
      type: 'POLICY_VIOLATION',
      retriable: false,
      storage: { usage: disk.sizeInBytes, quota },
      message: expect.stringMatching(/orders-0: storage is full, and storage\.full\.policy is reject/),
    });
    disk.setQuota(Number.POSITIVE_INFINITY);
    const sent = async (): Promise<string | undefined> =>
      (await producer.send({ topic: 'orders', messages: [{ value: 'b' }] }).catch(() => []))[0]?.baseOffset;
    await expect.poll(sent, { timeout: 10_000 }).toBe('1');
  });
});

test('the policy for a full disk is a topic config like others', async () => {
  await withKafka(async (kafka) => {
    const configEntries = [{ name: 'storage.full.policy', value: 'sometimes' }];
    await expect(kafka.admin().createTopics({ topics: [{ topic: 'orders', configEntries }] })).rejects.toMatchObject({
      errors: [
        { type: 'INVALID_CONFIG', message: expect.stringMatching(/expected one of block, reject, drop-oldest/) },
      ],
    });
  });
});
