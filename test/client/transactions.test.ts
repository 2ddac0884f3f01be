import { afterEach, beforeEach, expect, test } from 'vitest';
import { type ConsumedMessage, type Kafka, logLevel } from '../../src/index.js';
import { errorName } from '../../src/protocol/errors.js';
import type { RequestChannel } from '../../src/protocol/request-channel.js';
import { LATEST_TIMESTAMP } from '../../src/protocol/requests.js';
import { InProcessCluster } from '../../src/testing/index.js';
import { deferred } from '../../src/util/signal.js';
import { batch, transactional } from '../log/harness.js';

const TOPIC = 'orders';

let cluster: InProcessCluster;
let kafka: Kafka;
let channel: RequestChannel;

beforeEach(async () => {
  cluster = new InProcessCluster({ brokerConfig: { 'num.partitions': '1', 'group.initial.rebalance.delay.ms': '0' } });
  kafka = new cluster.Kafka({ clientId: 'test', logLevel: logLevel.NOTHING });
  channel = await cluster.connect();
  const admin = kafka.admin();
  await admin.createTopics({ topics: [{ topic: TOPIC, numPartitions: 1 }] });
  await admin.disconnect();
});

afterEach(async () => {
  await kafka.close();
  await channel.close();
  await cluster.close();
});

async function produce(records: Uint8Array, transactionalId: string | null = 'id'): Promise<string> {
  const topicData = [{ name: TOPIC, partitionData: [{ index: 0, records }] }];
  const { responses } = await channel.send('Produce', { transactionalId, acks: -1, timeoutMs: 1000, topicData });
  return errorName(responses[0]?.partitionResponses[0]?.errorCode ?? -1);
}

async function end(producerId: number, commit: boolean, producerEpoch = 0): Promise<string> {
  const topics = [{ name: TOPIC, partitionIndexes: [0] }];
  const marker = { producerId, producerEpoch, transactionResult: commit, coordinatorEpoch: 0, topics };
  const { markers } = await channel.send('WriteTxnMarkers', { markers: [marker] });
  return errorName(markers[0]?.topics[0]?.partitions[0]?.errorCode ?? -1);
}

async function latest(isolationLevel: 0 | 1): Promise<number | undefined> {
  const topics = [{ name: TOPIC, partitions: [{ partitionIndex: 0, timestamp: LATEST_TIMESTAMP }] }];
  const answer = await channel.send('ListOffsets', { isolationLevel, topics });
  return answer.topics[0]?.partitions[0]?.offset;
}

/** Reads until `last` came. */
async function readUntil(last: string, readUncommitted?: boolean): Promise<string[]> {
  const consumer = kafka.consumer(readUncommitted === undefined ? {} : { readUncommitted });
  await consumer.assign([{ topic: TOPIC, partition: 0, offset: '0' }]);
  const values: string[] = [];
  for await (const { value } of consumer) {
    values.push(String(value));
    if (values.at(-1) === last) break;
  }
  await consumer.disconnect();
  return values;
}

test('a consumer sees what was committed, in the order of the log, and one that asks for it everything', async () => {
  await produce(transactional(0, ['a1', 'a2'], { id: 1, epoch: 0 }));
  await produce(transactional(0, ['b1'], { id: 2, epoch: 0 }));
  await produce(batch(['plain']), null);
  await produce(transactional(2, ['a3'], { id: 1, epoch: 0 }));
  expect(await end(1, false)).toBe('NONE');
  expect(await end(2, true)).toBe('NONE');
  await produce(transactional(3, ['a4'], { id: 1, epoch: 0 }));
  expect(await end(1, true)).toBe('NONE');
  await produce(batch(['end']), null);
  expect(await readUntil('end')).toEqual(['b1', 'plain', 'a4', 'end']);
  expect(await readUntil('end', true)).toEqual(['a1', 'a2', 'b1', 'plain', 'a3', 'a4', 'end']);
});

test('the open transaction holds read_committed back; its end wakes who waits', async () => {
  await produce(batch(['first']), null);
  await produce(transactional(0, ['a'], { id: 1, epoch: 0 }));
  await produce(batch(['plain']), null);
  expect([await latest(0), await latest(1)]).toEqual([3, 1]);

  const consumer = kafka.consumer({ maxWaitTimeInMs: 600_000 });
  const seen: ConsumedMessage[] = [];
  const two = deferred();
  const four = deferred();
  await consumer.assign([{ topic: TOPIC, partition: 0, offset: '0' }]);
  await consumer.run({
    eachMessage: ({ message }) => {
      seen.push(message as ConsumedMessage);
      if (seen.length === 1) two.resolve();
      if (seen.length === 3) four.resolve();
    },
  });
  await two.promise;
  await end(1, true);
  await four.promise;
  expect(seen.map(({ value }) => String(value))).toEqual(['first', 'a', 'plain']);
  expect([await latest(0), await latest(1)]).toEqual([4, 4]);
  await consumer.disconnect();
});

test('a group commits past markers and what was aborted, though no handler hears of them', async () => {
  await produce(transactional(0, ['a'], { id: 1, epoch: 0 }));
  await end(1, false);
  const consumer = kafka.consumer({ groupId: 'g' });
  await consumer.subscribe({ topics: [TOPIC], fromBeginning: true });
  const batches: number[] = [];
  const committed = deferred();
  consumer.on(consumer.events.COMMIT_OFFSETS, ({ payload }) => {
    const [topic] = payload.topics;
    if (topic?.partitions[0]?.offset === '2') committed.resolve();
  });
  await consumer.run({ eachBatch: ({ batch: { messages } }) => void batches.push(messages.length) });
  await committed.promise;
  expect(batches).toEqual([]);
  await consumer.disconnect();
});

test('a host that comes later, and one that leads later, know the same of transactions', async () => {
  await produce(transactional(0, ['a'], { id: 1, epoch: 0 }));
  await produce(transactional(0, ['b'], { id: 2, epoch: 0 }));
  await end(1, false);
  await produce(batch(['end']), null);
  await kafka.close();
  await channel.close(); // and with it the host
  kafka = new cluster.Kafka({ clientId: 'test', logLevel: logLevel.NOTHING });
  channel = await cluster.connect();
  expect([await latest(0), await latest(1)]).toEqual([4, 1]);
  expect(await produce(transactional(1, ['b2'], { id: 2, epoch: 0 }))).toBe('NONE');
  expect(await end(2, true)).toBe('NONE');
  expect([await latest(0), await latest(1)]).toEqual([6, 6]);
  await produce(batch(['end of all']), null);
  expect(await readUntil('end of all')).toEqual(['b', 'end', 'b2', 'end of all']);
});

test('transactional batches need a transactional id, markers a partition', async () => {
  expect(await produce(transactional(0, ['a'], { id: 1, epoch: 0 }), null)).toBe('INVALID_TXN_STATE');
  const topics = [{ name: TOPIC, partitionIndexes: [7] }];
  const marker = { producerId: 1, producerEpoch: 0, transactionResult: true, coordinatorEpoch: 0, topics };
  const { markers } = await channel.send('WriteTxnMarkers', { markers: [marker] });
  expect(errorName(markers[0]?.topics[0]?.partitions[0]?.errorCode ?? 0)).toBe('UNKNOWN_TOPIC_OR_PARTITION');
});
