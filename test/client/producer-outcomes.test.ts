import { expect, test } from 'vitest';
import { STATIC_CLIENT_PARTS } from '../../src/client/static-client-parts.js';
import { type Admin, CompressionTypes, ConfigResourceTypes, kafkaOn, logLevel } from '../../src/index.js';
import { KafkaError } from '../../src/protocol/errors.js';
import type { RequestChannel } from '../../src/protocol/request-channel.js';
import { seededRandom } from '../../src/runtime/seeded-random.js';
import { InProcessCluster } from '../../src/testing/index.js';
import { readAll } from './read-all.js';

const RETRY = { initialRetryTime: 1, maxRetryTime: 2 };
const LARGEST_BATCHES = [300, 500, 2000];

interface Sent {
  readonly partition: number;
  readonly values: readonly string[];
  /** Where it was answered: the first offset. */
  readonly baseOffset?: string | undefined;
  /** Where it failed. */
  readonly outcomeUnknown?: boolean | undefined;
}

// Goal: of each send the producer says what became of it: acknowledged records are there once, at the offset that was said, what failed
// is surely missing where that is said, and at most once there otherwise; all in the order of the calls. Method: requests and answers
// are lost or late, leaders and new producer ids not to be had, and how large batches may be changes all the time; every other producer
// gives up after a few attempts.
test.each(Array.from({ length: 24 }, (_, seed) => seed))('a send says what became of it (seed %i)', async (seed) => {
  await using cluster = new InProcessCluster();
  const random = seededRandom(seed);
  await using plain = new cluster.Kafka({ logLevel: logLevel.NOTHING });
  await using admin = plain.admin();
  await admin.createTopics({ topics: [{ topic: 't', numPartitions: 2 }] });
  const turns = async (): Promise<void> => {
    if (random.next() < 0.7) return;
    for (let turn = random.below(4); turn > 0; turn--) await new Promise(setImmediate);
  };
  const connect = async (): Promise<RequestChannel> => {
    const channel = await cluster.connect();
    let isFaulty = false;
    const send: RequestChannel['send'] = async (api, request, options) => {
      // Without its first producer id a producer is not connected.
      const mayFail = api === 'Produce' || (api === 'InitProducerId' && isFaulty);
      isFaulty ||= api === 'Produce';
      if (!mayFail) return channel.send(api, request, options);
      const fate = random.next();
      await turns();
      if (fate < 0.1) throw new KafkaError('NOT_LEADER_OR_FOLLOWER', 'injected');
      if (fate < 0.25) throw new KafkaError('NETWORK_EXCEPTION', 'injected');
      const response = await channel.send(api, request, options);
      await turns();
      if (random.next() < 0.05) await takeBatchesOf(admin, LARGEST_BATCHES[random.below(3)]!);
      if (fate < 0.4) throw new KafkaError('NETWORK_EXCEPTION', 'injected');
      return response;
    };
    return { send, close: () => channel.close() };
  };
  const Kafka = kafkaOn({ runtime: cluster.runtime, parts: STATIC_CLIENT_PARTS, connect });
  const kafka = new Kafka({ logLevel: logLevel.NOTHING, retry: RETRY });
  const producer = kafka.producer({ batchSize: 400, ...(seed % 2 === 1 && { retry: { retries: 1 + (seed % 4) } }) });

  let next = 0;
  const send = async (): Promise<Sent> => {
    const partition = random.below(2);
    const size = random.next() < 0.1 ? 700 : 20 + random.below(100);
    const values = Array.from({ length: 1 + random.below(5) }, () => String(next++).padEnd(size));
    const messages = values.map((value) => ({ value, partition }));
    const compression = random.next() < 0.1 ? CompressionTypes.GZIP : CompressionTypes.None;
    const sent = producer.send({ topic: 't', messages, compression });
    return sent.then(
      ([answer]) => ({ partition, values, baseOffset: answer!.baseOffset }),
      ({ outcomeUnknown }: { outcomeUnknown?: boolean }) => ({ partition, values, outcomeUnknown }),
    );
  };
  const sends: Promise<Sent>[] = [];
  for (let i = 0; i < 50; i++) {
    sends.push(send());
    if (random.next() < 0.2) await sends[random.below(sends.length)];
    await turns();
  }
  const all = await Promise.all(sends);
  await kafka.close();

  const read = await readAll(plain, 't');
  const stored = read.map(({ value, offset, partition }) => ({ value: String(value), offset, partition }));
  for (const { values, baseOffset, outcomeUnknown } of all) {
    const found = stored.filter(({ value }) => values.includes(value));
    expect(new Set(found.map(({ value }) => value)).size, `${values} is there once`).toBe(found.length);
    if (baseOffset !== undefined) {
      expect(found.map(({ value }) => value)).toEqual(values);
      expect(found[0]?.offset).toBe(baseOffset);
    } else {
      expect(outcomeUnknown).toBeTypeOf('boolean');
      // A send of several records may have come into several batches, of which some were stored.
      if (outcomeUnknown === false && values.length === 1) expect(found).toEqual([]);
    }
  }
  for (const partition of [0, 1]) {
    const numbers = stored.filter((each) => each.partition === partition).map(({ value }) => Number(value));
    expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
  }
});

async function takeBatchesOf(admin: Admin, bytes: number): Promise<void> {
  const configEntries = [{ name: 'max.message.bytes', value: String(bytes) }];
  await admin.alterConfigs({ resources: [{ type: ConfigResourceTypes.TOPIC, name: 't', configEntries }] });
}
