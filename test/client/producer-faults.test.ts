import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import type { RetryOptions } from '../../src/client/api/kafka.js';
import { STATIC_CLIENT_PARTS } from '../../src/client/static-client-parts.js';
import { CompressionTypes, ConfigResourceTypes, kafkaOn, logLevel } from '../../src/index.js';
import { KafkaError } from '../../src/protocol/errors.js';
import type { RequestChannel } from '../../src/protocol/request-channel.js';
import type { ApiName, InitProducerIdResponse, ProduceRequest } from '../../src/protocol/requests.js';
import { readBatchHeader } from '../../src/record/batch-header.js';
import { seededRandom } from '../../src/runtime/seeded-random.js';
import { InProcessCluster } from '../../src/testing/index.js';
import { deferred } from '../../src/util/signal.js';
import { type Fault, faultyPlatform } from './faulty-platform.js';
import { readAll } from './read-all.js';

const RETRY = { initialRetryTime: 2, maxRetryTime: 5 };

let cluster: InProcessCluster;

beforeEach(() => {
  cluster = new InProcessCluster({ brokerConfig: { 'num.partitions': '2' } });
});

afterEach(() => cluster.close());

// Goal: whatever attempt fails and however, each acknowledged record is there once, and in the order of the sends.
// Method: random sends while requests and answers get lost at random; at the end both partitions are read.
test.each(Array.from({ length: 12 }, (_, seed) => seed))(
  'no record is lost, doubled or overtaken by lost requests and answers (seed %i)',
  async (seed) => {
    // Every third time batches are compressed and encrypted, which takes turns in which more is sent and lost.
    const isPrepared = seed % 3 === 2;
    const algorithm = { name: 'AES-GCM', length: 256 };
    const key = await crypto.subtle.generateKey(algorithm, false, ['encrypt', 'decrypt']);
    const encryption = isPrepared ? { encryption: { keyId: 'k', keys: { k: key } } } : {};
    const compression = isPrepared ? { compression: CompressionTypes.GZIP } : {};
    const random = seededRandom(seed);
    const faults: Fault[] = ['lost request', 'lost answer', 'not leader'];
    const Kafka = kafkaOn(
      faultyPlatform(cluster, (api) => (api === 'Produce' && random.next() < 0.4 ? faults[random.below(3)]! : 'none')),
    );
    const kafka = new Kafka({ logLevel: logLevel.NOTHING, retry: RETRY, ...encryption });
    const producer = kafka.producer({ batchSize: 500 });
    await producer.connect();
    const sends: Promise<unknown>[] = [];
    let next = 0;
    for (let i = 0; i < 60; i++) {
      const messages = Array.from({ length: 1 + random.below(6) }, () => ({
        partition: random.below(2),
        value: String(next++).padEnd(100),
      }));
      sends.push(producer.send({ topic: 't', messages, ...compression }));
      if (random.next() < 0.3) await sends[random.below(sends.length)];
    }
    await Promise.all(sends);
    await kafka.close();

    const reader = new cluster.Kafka({ logLevel: logLevel.NOTHING, ...encryption });
    const values = (await readAll(reader, 't')).map(({ value, partition }) => ({
      partition,
      number: Number(String(value)),
    }));
    await reader.close();
    expect(values.map(({ number }) => number).sort((a, b) => a - b)).toEqual(Array.from({ length: next }, (_, i) => i));
    for (const partition of [0, 1]) {
      const numbers = values.filter((value) => value.partition === partition).map(({ number }) => number);
      expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
    }
  },
);

test.each(['lost request', 'lost answer', 'not leader'] as const)(
  'batches that shared a request are there once and in order after a fault (%s)',
  async (fault) => {
    let faults = 0;
    const Kafka = kafkaOn(faultyPlatform(cluster, (api) => (api === 'Produce' && faults-- > 0 ? fault : 'none')));
    const kafka = new Kafka({ logLevel: logLevel.NOTHING, retry: RETRY });
    const producer = kafka.producer({ batchSize: 500 });
    await producer.connect();
    await producer.send({ topic: 't', messages: [{ value: '0', partition: 0 }] });
    faults = 3;
    const messages = Array.from({ length: 200 }, (_, i) => ({ value: `${i + 1}`.padEnd(100), partition: 0 }));
    const [result] = await producer.send({ topic: 't', messages });
    expect(result!.baseOffset).toBe('1');
    const values = (await readAll(kafka, 't')).map(({ value }) => Number(String(value)));
    expect(values).toEqual(Array.from({ length: 201 }, (_, i) => i));
    await kafka.close();
  },
);

// Goal: a send is answered with the offset of its first record, in whatever order its batches are acknowledged. Method: of a send in
// several requests the first one loses its answer, while those behind it are acknowledged.
test('a send in several requests is answered with the offset of its first record', async () => {
  let requests = 0;
  const Kafka = kafkaOn(
    faultyPlatform(cluster, (api) => (api === 'Produce' && ++requests === 2 ? 'lost answer' : 'none')),
  );
  const kafka = new Kafka({ logLevel: logLevel.NOTHING, retry: RETRY });
  const producer = kafka.producer();
  await producer.send({ topic: 't', messages: [{ value: '0', partition: 0 }] });
  const messages = Array.from({ length: 40 }, () => ({ value: 'x'.repeat(60_000), partition: 0 }));
  const answers = await producer.send({ topic: 't', messages });
  expect(requests).toBeGreaterThan(3);
  expect(answers).toMatchObject([{ partition: 0, baseOffset: '1' }]);
  await kafka.close();
});

describe('a send that fails for good says whether the record may be there', () => {
  const run = async (fault: Fault): Promise<unknown> => {
    let broken = true;
    const Kafka = kafkaOn(faultyPlatform(cluster, (api) => (api === 'Produce' && broken ? fault : 'none')));
    const kafka = new Kafka({ logLevel: logLevel.NOTHING });
    const producer = kafka.producer({ retry: { ...RETRY, retries: 2 } });
    await producer.connect();
    const error = await producer
      .send({ topic: 't', messages: [{ value: 'first', partition: 0 }] })
      .catch((caught) => caught);
    broken = false;
    // The next record gets through, under a new producer id.
    await producer.send({ topic: 't', messages: [{ value: 'second', partition: 0 }] });
    const values = (await readAll(kafka, 't')).map(({ value }) => String(value));
    expect(values.at(-1)).toBe('second');
    await kafka.close();
    return error;
  };

  test('it may, after a lost answer', async () => {
    expect(await run('lost answer')).toMatchObject({
      name: 'KafkaJSNumberOfRetriesExceeded',
      type: 'NETWORK_EXCEPTION',
      outcomeUnknown: true,
    });
  });

  test('it is not, where nobody took it', async () => {
    expect(await run('not leader')).toMatchObject({
      name: 'KafkaJSNumberOfRetriesExceeded',
      type: 'NOT_LEADER_OR_FOLLOWER',
      outcomeUnknown: false,
    });
  });
});

// Goal: a producer that cannot load what failures need says so, and neither hangs nor goes on with a gap in its sequences.
// Method: the first Produce fails in each way while the part fails to load once; then a second send gets through.
test.each([
  { fault: 'lost request', type: 'NETWORK_EXCEPTION' },
  { fault: 'lost answer', type: 'NETWORK_EXCEPTION' },
  { fault: 'not leader', type: 'NOT_LEADER_OR_FOLLOWER' },
] as const)(
  'a failed send whose recovery cannot be loaded fails with what failed it ($fault)',
  async ({ fault, type }) => {
    let faults = 1;
    let loads = 0;
    const Kafka = kafkaOn({
      ...faultyPlatform(cluster, (api) => (api === 'Produce' && faults-- > 0 ? fault : 'none')),
      parts: {
        ...STATIC_CLIENT_PARTS,
        recovery: async () => {
          if (++loads === 1) throw new TypeError('offline');
          return STATIC_CLIENT_PARTS.recovery();
        },
      },
    });
    const kafka = new Kafka({ logLevel: logLevel.NOTHING, retry: RETRY });
    const producer = kafka.producer();
    const send = (value: string) => producer.send({ topic: 't', messages: [{ value, partition: 0 }] });
    const error = await send('first').catch((caught: unknown) => caught);
    expect(error).toMatchObject({ name: 'KafkaJSProtocolError', type, retriable: true });
    await send('second');
    const values = (await readAll(kafka, 't')).map(({ value }) => String(value));
    expect(values).toEqual(fault === 'lost answer' ? ['first', 'second'] : ['second']);
    await kafka.close();
  },
);

test('a topic deleted and made again under a running producer takes its records as a new one', async () => {
  const kafka = new cluster.Kafka({ logLevel: logLevel.NOTHING, retry: RETRY });
  const producer = kafka.producer();
  await producer.connect();
  await producer.send({ topic: 't', messages: [{ value: '1', partition: 0 }] });
  const admin = kafka.admin();
  await admin.deleteTopics({ topics: ['t'] });
  await admin.createTopics({ topics: [{ topic: 't', numPartitions: 2 }] });
  const [result] = await producer.send({ topic: 't', messages: [{ value: '2', partition: 0 }] });
  expect(result!.baseOffset).toBe('0');
  await kafka.close();
});

// Goal: what is under way while a topic is made anew comes into the new one, in order. Method: of two requests that are out
// the second arrives first, and there is another topic by then; of the first one the request or the answer is lost, too.
test.each(['none', 'lost request', 'lost answer'] as const)(
  'what is under way while a topic is made anew is in the new one in order (%s)',
  async (fault) => {
    const plain = new cluster.Kafka({ logLevel: logLevel.NOTHING, retry: RETRY });
    const admin = plain.admin();
    const held = deferred();
    let requests = 0;
    const connect = async (): Promise<RequestChannel> => {
      const channel = await cluster.connect();
      const send: RequestChannel['send'] = async (api, request, options) => {
        const nth = api === 'Produce' ? requests++ : 0;
        if (nth === 1) {
          if (fault === 'lost answer') await channel.send(api, request, options);
          await held.promise;
          if (fault !== 'none') throw new KafkaError('NETWORK_EXCEPTION', 'injected');
        }
        if (nth !== 2) return channel.send(api, request, options);
        await admin.deleteTopics({ topics: ['t'] });
        await admin.createTopics({ topics: [{ topic: 't', numPartitions: 2 }] });
        return channel.send(api, request, options).finally(() => held.resolve());
      };
      return { send, close: () => channel.close() };
    };
    const Kafka = kafkaOn({ runtime: cluster.runtime, parts: STATIC_CLIENT_PARTS, connect });
    const kafka = new Kafka({ logLevel: logLevel.NOTHING, retry: RETRY });
    const producer = kafka.producer({ batchSize: 500 });
    await producer.connect();
    const send = (values: readonly number[]) => {
      const messages = values.map((value) => ({ value: `${value}`.padEnd(100), partition: 0 }));
      return producer.send({ topic: 't', messages });
    };
    await send([0]);
    const first = send([1]);
    while (requests < 2) await new Promise((resolve) => setTimeout(resolve, 1));
    await Promise.all([first, send([2, 3, 4, 5, 6, 7])]);
    await send([8]);
    const values = (await readAll(plain, 't')).map(({ value }) => Number(String(value)));
    expect(values).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    await kafka.close();
    await plain.close();
  },
);

test('when the leading host goes, another takes over and a running producer loses and doubles nothing', async () => {
  const first = await cluster.addHost('first');
  const kafka = new cluster.Kafka({ logLevel: logLevel.NOTHING, retry: RETRY });
  const producer = kafka.producer();
  await producer.connect();
  const sends: Promise<unknown>[] = [];
  for (let i = 0; i < 30; i++) {
    sends.push(producer.send({ topic: 't', messages: [{ value: String(i), partition: 0 }] }));
    if (i === 10) await Promise.all(sends);
    if (i === 20) void first.close();
    if (i % 3 === 0) await Promise.resolve();
  }
  await Promise.all(sends);
  const values = (await readAll(kafka, 't')).map(({ value }) => Number(String(value)));
  expect(values).toEqual(Array.from({ length: 30 }, (_, i) => i));
  await kafka.close();
});

// Goal: a record of which nobody knows whether it was stored is there once, whatever becomes of those before and behind it. Method: of
// two requests that are out the one loses its answer, and the record of the other is refused for good.
describe('a record in doubt is there once', () => {
  const large = '-'.padEnd(1000);

  /** Of two requests behind a first one both are carried out, then answered, the earlier one first; the answer of one is lost. */
  async function losing(lost: 1 | 2): Promise<(value: string) => Promise<unknown>> {
    await using admin = new cluster.Kafka({ logLevel: logLevel.NOTHING }).admin();
    const configEntries = [{ name: 'max.message.bytes', value: '300' }];
    await admin.createTopics({ topics: [{ topic: 't', numPartitions: 1, configEntries }] });
    const isCarriedOut = deferred();
    const isAnswered = deferred();
    let requests = 0;
    const connect = async (): Promise<RequestChannel> => {
      const channel = await cluster.connect();
      const send: RequestChannel['send'] = async (api, request, options) => {
        const nth = api === 'Produce' ? requests++ : 0;
        const answer = await channel.send(api, request, options);
        if (nth === 1) {
          await isCarriedOut.promise;
          setTimeout(isAnswered.resolve);
        } else if (nth === 2) {
          isCarriedOut.resolve();
          await isAnswered.promise;
        }
        if (nth !== lost) return answer;
        throw new KafkaError('NETWORK_EXCEPTION', 'injected');
      };
      return { send, close: () => channel.close() };
    };
    const Kafka = kafkaOn({ runtime: cluster.runtime, parts: STATIC_CLIENT_PARTS, connect });
    const producer = new Kafka({ logLevel: logLevel.NOTHING, retry: RETRY }).producer({ batchSize: 100 });
    onTestFinished(() => producer.disconnect());
    const send = async (value: string): Promise<unknown> => {
      const [answer] = await producer.send({ topic: 't', messages: [{ value: value.padEnd(100) }] });
      return answer!.baseOffset;
    };
    await send('0');
    return send;
  }

  test('though one behind it is refused', async () => {
    const send = await losing(1);
    const doubtful = send('1');
    await expect(send(large)).rejects.toMatchObject({ type: 'MESSAGE_TOO_LARGE', outcomeUnknown: false });
    expect([await doubtful, await send('2')]).toEqual(['1', '2']);
  });

  test('and is not in doubt behind one that was refused', async () => {
    const send = await losing(2);
    const refused = send(large);
    const behind = send('1');
    await expect(refused).rejects.toMatchObject({ type: 'MESSAGE_TOO_LARGE', outcomeUnknown: false });
    expect([await behind, await send('2')]).toEqual(['1', '2']);
  });
});

// Goal: what was refused because it came before an earlier one keeps its producer id, though that one was acknowledged before the refusal
// was heard of. Method: of two requests that are out the second comes to the broker first, and their answers come in order.
test('a batch that overtook another is sent again as it is', async () => {
  const refused = deferred();
  const acknowledged = deferred();
  let requests = 0;
  let ids = 0;
  const connect = async (): Promise<RequestChannel> => {
    const channel = await cluster.connect();
    const send: RequestChannel['send'] = async (api, request, options) => {
      if (api === 'InitProducerId') ids++;
      const nth = api === 'Produce' ? ++requests : 0;
      if (nth === 2) await refused.promise;
      const answer = await channel.send(api, request, options);
      if (nth === 2) setTimeout(acknowledged.resolve);
      if (nth !== 3) return answer;
      refused.resolve();
      await acknowledged.promise;
      return answer;
    };
    return { send, close: () => channel.close() };
  };
  const Kafka = kafkaOn({ runtime: cluster.runtime, parts: STATIC_CLIENT_PARTS, connect });
  const kafka = new Kafka({ logLevel: logLevel.NOTHING, retry: RETRY });
  const producer = kafka.producer({ batchSize: 100 });
  const send = (value: string) => producer.send({ topic: 't', messages: [{ value: value.padEnd(100), partition: 0 }] });
  await send('0');
  const answers = (await Promise.all([send('1'), send('2')])).flat();
  expect(answers.map(({ baseOffset }) => baseOffset)).toEqual(['1', '2']);
  expect([requests, ids]).toEqual([4, 1]);
  await kafka.close();
});

// Goal: what is stored, and refused when it is sent again, is neither stored once more nor said to be surely missing. Method: the answer is
// lost, and before the next attempt the topic takes only smaller batches.
test.each([1, 4])(
  'a batch of %i that its topic no longer takes, after a lost answer, may be stored',
  async (recordCount) => {
    await using admin = new cluster.Kafka({ logLevel: logLevel.NOTHING }).admin();
    const takes = async (bytes: number): Promise<void> => {
      const configEntries = [{ name: 'max.message.bytes', value: String(bytes) }];
      await admin.alterConfigs({ resources: [{ type: ConfigResourceTypes.TOPIC, name: 't', configEntries }] });
    };
    let requests = 0;
    const connect = async (): Promise<RequestChannel> => {
      const channel = await cluster.connect();
      const send: RequestChannel['send'] = async (api, request, options) => {
        const answer = await channel.send(api, request, options);
        if (api !== 'Produce' || ++requests !== 2) return answer;
        await takes(300);
        throw new KafkaError('NETWORK_EXCEPTION', 'injected');
      };
      return { send, close: () => channel.close() };
    };
    const Kafka = kafkaOn({ runtime: cluster.runtime, parts: STATIC_CLIENT_PARTS, connect });
    const kafka = new Kafka({ logLevel: logLevel.NOTHING, retry: RETRY });
    const producer = kafka.producer();
    const send = (...values: string[]) =>
      producer.send({ topic: 't', messages: values.map((value) => ({ value, partition: 0 })) });
    await send('first');
    const large = Array.from({ length: recordCount }, (_, i) => `${i}`.padEnd(400 / recordCount));
    await expect(send(...large)).rejects.toMatchObject({ outcomeUnknown: true });
    await send('last');
    expect((await readAll(kafka, 't')).map(({ value }) => String(value))).toEqual(['first', ...large, 'last']);
    await kafka.close();
  },
);

// Goal: a record whose answers were lost is there once, and its send says so, though the time of the one before it was over
// before anybody knew what had become of that. Method: all is lost until the first send has failed; the second began later.
test.each([
  { fault: 'lost answer', stored: ['0', '1', '2', '3'] },
  { fault: 'lost request', stored: ['0', '2', '3'] },
] as const)('a record in doubt behind one that failed in doubt is asked about ($fault)', async ({ fault, stored }) => {
  let isBroken = false;
  let requests = 0;
  const Kafka = kafkaOn(
    faultyPlatform(cluster, (api) => {
      if (api === 'Produce') requests++;
      return api === 'Produce' && isBroken ? fault : 'none';
    }),
  );
  const kafka = new Kafka({ logLevel: logLevel.NOTHING });
  const producer = kafka.producer({ retry: { ...RETRY, retries: 6 }, batchSize: 10 });
  const send = async (value: string): Promise<unknown> => {
    const [answer] = await producer.send({ topic: 't', messages: [{ value, partition: 0 }] });
    return answer!.baseOffset;
  };
  await send('0');
  isBroken = true;
  const first = send('1').finally(() => (isBroken = false));
  const failed = expect(first).rejects.toMatchObject({ type: 'NETWORK_EXCEPTION', outcomeUnknown: true });
  while (requests < 5) await new Promise((resolve) => setTimeout(resolve));
  expect(await send('2')).toBe(String(stored.indexOf('2')));
  await failed;
  await send('3');
  expect((await readAll(kafka, 't')).map(({ value }) => String(value))).toEqual(stored);
  await kafka.close();
});

describe('a producer that gets no new id', () => {
  /** Its first record was stored, its second refused, so that what comes next needs a new id, which so many requests do not get. */
  async function inNeed(failures: number, retry: RetryOptions): Promise<(value: string) => Promise<unknown>> {
    let left = 0;
    const isLost = (api: ApiName): boolean => api === 'InitProducerId' && left-- > 0;
    const Kafka = kafkaOn(faultyPlatform(cluster, (api) => (isLost(api) ? 'lost request' : 'none')));
    const kafka = new Kafka({ logLevel: logLevel.NOTHING, retry: RETRY });
    onTestFinished(() => kafka.close());
    const configEntries = [{ name: 'max.message.bytes', value: '300' }];
    await kafka.admin().createTopics({ topics: [{ topic: 't', numPartitions: 1, configEntries }] });
    const producer = kafka.producer({ retry });
    const send = (value: string): Promise<unknown> => producer.send({ topic: 't', messages: [{ value }] });
    await send('0');
    await expect(send('1'.padEnd(1000))).rejects.toMatchObject({ type: 'MESSAGE_TOO_LARGE' });
    left = failures;
    return send;
  }

  test('asks until the delivery timeout', async () => {
    const send = await inNeed(20, {});
    expect(await send('2')).toMatchObject([{ baseOffset: '1' }]);
  });

  test('or as often as it was told to: what it never sent is surely not stored', async () => {
    const send = await inNeed(20, { retries: 2 });
    const failure = { name: 'KafkaJSNumberOfRetriesExceeded', type: 'NETWORK_EXCEPTION', outcomeUnknown: false };
    await expect(send('2')).rejects.toMatchObject(failure);
  });
});

// Goal: no batch goes under a producer id that its partition has given up. Method: a record is refused for good; while the next one
// waits for a new id, one behind it has been compressed, and is encrypted only afterwards.
test('what is being made ready while a producer gets a new id is sent under that', async () => {
  await using admin = new cluster.Kafka({ logLevel: logLevel.NOTHING }).admin();
  const configEntries = [{ name: 'max.message.bytes', value: '300' }];
  await admin.createTopics({ topics: [{ topic: 't', numPartitions: 1, configEntries }] });
  const asked = deferred();
  const preparing = deferred();
  const renewed = deferred();
  const ids: number[] = [];
  const sent: number[] = [];
  const connect = async (): Promise<RequestChannel> => {
    const channel = await cluster.connect();
    const send: RequestChannel['send'] = async (api, request, options) => {
      if (api === 'InitProducerId' && ids.length > 0) {
        asked.resolve();
        await preparing.promise;
      }
      if (api === 'Produce') {
        const { records } = (request as ProduceRequest).topicData[0]!.partitionData[0]!;
        sent.push(readBatchHeader(records).producerId);
      }
      const response = await channel.send(api, request, options);
      if (api === 'InitProducerId' && ids.push((response as InitProducerIdResponse).producerId) === 2)
        setTimeout(renewed.resolve);
      return response;
    };
    return { send, close: () => channel.close() };
  };
  const key = await crypto.subtle.generateKey({ name: 'AES-GCM', length: 256 }, false, ['encrypt', 'decrypt']);
  const encrypt = crypto.subtle.encrypt.bind(crypto.subtle);
  let batches = 0;
  const encrypting = vi.spyOn(crypto.subtle, 'encrypt').mockImplementation(async (...given) => {
    if (batches++ === 3) {
      preparing.resolve();
      await renewed.promise;
    }
    return encrypt(...given);
  });
  onTestFinished(() => encrypting.mockRestore());
  const Kafka = kafkaOn({ runtime: cluster.runtime, parts: STATIC_CLIENT_PARTS, connect });
  const encryption = { keyId: 'k', keys: { k: key } };
  const kafka = new Kafka({ logLevel: logLevel.NOTHING, retry: RETRY, encryption });
  const producer = kafka.producer({ batchSize: 100 });
  const send = (value: string, compression: CompressionTypes = CompressionTypes.None) =>
    producer.send({ topic: 't', messages: [{ value }], compression });
  await send('0');
  await expect(send('1'.padEnd(1000))).rejects.toMatchObject({ type: 'MESSAGE_TOO_LARGE' });
  const second = send('2');
  await asked.promise;
  await send('3'.padEnd(100), CompressionTypes.GZIP);
  await second;
  expect(sent).toEqual([ids[0], ids[0], ids[1], ids[1]]);
  await kafka.close();
});

// Goal: who was told of a new partition by another tab can send there at once. Method: that it is there reaches the own host late,
// as the third answer.
test('a partition that is news here is waited for', async () => {
  await using admin = new cluster.Kafka({ logLevel: logLevel.NOTHING }).admin();
  await admin.createTopics({ topics: [{ topic: 'orders', numPartitions: 1 }] });
  let old: unknown;
  let oldAnswers = 2;
  const Kafka = kafkaOn({
    runtime: cluster.runtime,
    async connect() {
      const channel = await cluster.connect();
      const send: RequestChannel['send'] = async (api, request, options) => {
        const answer = await channel.send(api, request, options);
        if (api !== 'Metadata') return answer;
        old ??= answer;
        return oldAnswers-- > 0 ? (old as typeof answer) : answer;
      };
      return { send, close: () => channel.close() };
    },
  });
  const kafka = new Kafka({ logLevel: logLevel.NOTHING });
  const producer = kafka.producer();
  await producer.connect();
  await producer.send({ topic: 'orders', messages: [{ value: 'a' }] });
  await admin.createPartitions({ topicPartitions: [{ topic: 'orders', count: 2 }] });
  const sent = await producer.send({ topic: 'orders', messages: [{ value: 'b', partition: 1 }] });
  expect(sent).toMatchObject([{ partition: 1, baseOffset: '0' }]);
  expect(oldAnswers).toBeLessThan(0);
  await kafka.close();
});
