import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  ConfigResourceTypes,
  type Consumer,
  type Kafka,
  KafkaJSAggregateError,
  KafkaJSError,
  logLevel,
  PartitionAssigners,
  Partitioners,
} from '../../src/index.js';
import { seededRandom } from '../../src/runtime/seeded-random.js';
import { InProcessCluster } from '../../src/testing/index.js';

// Goal: whatever a program passes, it gets an answer or a typed error, soon, and others go on. Method: for each call
// arguments that are right, of which each part in turn is replaced by what nobody expects there.

/** Another one tries other things: ODD_SEED=7 npx vitest run --project unit test/client/odd-arguments.test.ts */
const SEED = Number(process.env['ODD_SEED'] ?? 0);

const ODD: readonly unknown[] = [
  undefined,
  null,
  Number.NaN,
  -1,
  1.5,
  2 ** 60,
  Number.POSITIVE_INFINITY,
  '',
  'x',
  '-1',
  '99999999999999999999',
  'a'.repeat(300),
  '../..',
  true,
  10n,
  [],
  [null],
  [[]],
  {},
  { a: 1 },
  () => 1,
  new Date(0),
  new Uint8Array(3),
  /x/,
];

type Client = { disconnect(): Promise<void> };
/** Arguments in which everything may be anything. */
// biome-ignore lint/suspicious/noExplicitAny: what is tested is what the types forbid
type Loose = any;
interface Call {
  readonly good: readonly unknown[];
  call(kafka: Kafka, args: Loose[]): Promise<unknown>;
}

const RETRY = { retries: 1, maxRetryTime: 30, initialRetryTime: 1, factor: 0.2, multiplier: 2 };
const noHandler = { eachMessage: async (): Promise<void> => {} };

const CALLS: Readonly<Record<string, Call>> = {
  send: {
    good: [
      {
        topic: 't',
        acks: -1,
        timeout: 1000,
        compression: 1,
        messages: [{ key: 'k', value: 'v', partition: 0, headers: { h: 'x', l: ['a', 'b'] }, timestamp: '5' }],
      },
    ],
    call: (kafka, [record]) => using(kafka.producer(), (producer) => producer.send(record)),
  },
  sendBatch: {
    good: [{ topicMessages: [{ topic: 't', messages: [{ value: 'v' }] }] }],
    call: (kafka, [batch]) => using(kafka.producer(), (producer) => producer.sendBatch(batch)),
  },
  producer: {
    good: [
      {
        createPartitioner: Partitioners.DefaultPartitioner,
        retry: { ...RETRY, retries: 5 },
        metadataMaxAge: 300_000,
        allowAutoTopicCreation: true,
        idempotent: true,
        maxInFlightRequests: 5,
        linger: 0,
        batchSize: 60_000,
        bufferMemory: 100_000,
        deliveryTimeout: 1000,
      },
    ],
    call: async (kafka, [config]) => {
      const message = { topic: 't', messages: [{ value: 'v' }] };
      return using(kafka.producer(config ?? {}), (producer) => producer.send(message));
    },
  },
  consumer: {
    good: [
      {
        partitionAssigners: [PartitionAssigners.range],
        metadataMaxAge: 1000,
        sessionTimeout: 30_000,
        rebalanceTimeout: 60_000,
        heartbeatInterval: 3000,
        maxBytesPerPartition: 1000,
        minBytes: 1,
        maxBytes: 10_000,
        maxWaitTimeInMs: 10,
        retry: RETRY,
        allowAutoTopicCreation: true,
        maxInFlightRequests: 1,
        readUncommitted: false,
        onGap: 'skip',
      },
    ],
    call: async (kafka, [config]) => subscribed(kafka, async () => {}, { ...config }),
  },
  subscribe: {
    good: [{ topics: ['t', /x/], fromBeginning: true }],
    call: (kafka, [topics]) => using(kafka.consumer({ groupId: newGroup() }), (consumer) => consumer.subscribe(topics)),
  },
  assign: {
    good: [[{ topic: 't', partition: 0, offset: '0' }]],
    call: (kafka, [partitions]) =>
      using(kafka.consumer(), async (consumer) => {
        await consumer.assign(partitions);
        await consumer.run(noHandler);
      }),
  },
  run: {
    good: [
      {
        autoCommit: true,
        autoCommitInterval: 10,
        autoCommitThreshold: 10,
        eachBatchAutoResolve: true,
        partitionsConsumedConcurrently: 1,
        ...noHandler,
      },
    ],
    call: (kafka, [config]) =>
      using(kafka.consumer({ groupId: newGroup() }), async (consumer) => {
        await consumer.subscribe({ topic: 't' });
        await consumer.run(config);
      }),
  },
  seek: {
    good: [{ topic: 't', partition: 0, offset: '0' }],
    call: (kafka, [target]) => subscribed(kafka, async (consumer) => consumer.seek(target)),
  },
  pause: {
    good: [[{ topic: 't', partitions: [0] }]],
    call: (kafka, [topics]) =>
      subscribed(kafka, async (consumer) => {
        consumer.pause(topics);
        consumer.resume(topics);
      }),
  },
  commitOffsets: {
    good: [[{ topic: 't', partition: 0, offset: '0', metadata: 'm' }]],
    call: (kafka, [offsets]) => subscribed(kafka, (consumer) => consumer.commitOffsets(offsets)),
  },
  Kafka: {
    good: [
      {
        clientId: 'c',
        brokers: ['a:1'],
        requestTimeout: 1000,
        enforceRequestTimeout: true,
        connectionTimeout: 10,
        retry: RETRY,
        cluster: { name: 'default', config: { 'num.partitions': '1' } },
      },
    ],
    call: async (_, [config]) => {
      await using kafka = new cluster.Kafka({ logLevel: logLevel.NOTHING, ...config });
      return kafka.admin().listTopics();
    },
  },
  ...adminCalls({
    createTopics: [
      {
        validateOnly: false,
        waitForLeaders: true,
        timeout: 1000,
        topics: [
          {
            topic: 'n',
            numPartitions: 1,
            replicationFactor: 1,
            configEntries: [{ name: 'retention.ms', value: '-1' }],
          },
          { topic: 'm', replicaAssignment: [{ partition: 0, replicas: [1] }] },
        ],
      },
    ],
    deleteTopics: [{ topics: ['none'], timeout: 1000 }],
    createPartitions: [{ validateOnly: true, topicPartitions: [{ topic: 't', count: 2, assignments: [[1]] }] }],
    fetchTopicMetadata: [{ topics: ['t'] }],
    fetchTopicOffsets: ['t'],
    fetchTopicOffsetsByTimestamp: ['t', 5],
    fetchOffsets: [{ groupId: 'g', topics: ['t'], resolveOffsets: true }],
    setOffsets: [{ groupId: 'g', topic: 't', partitions: [{ partition: 0, offset: '0' }] }],
    resetOffsets: [{ groupId: 'g', topic: 't', earliest: true }],
    deleteOffsets: [{ groupId: 'g', topics: [{ topic: 't', partitions: [0] }] }],
    describeLogs: [{ topics: ['t'] }],
    checkLogs: [{ topics: ['t'], repair: false }],
    importPartition: [{ topic: 'i', partition: 0, segments: [new Blob([new Uint8Array(4)])] }],
    describeGroups: [['g']],
    deleteGroups: [['none']],
    deleteTopicRecords: [{ topic: 't', partitions: [{ partition: 0, offset: '0' }] }],
    describeConfigs: [{ resources: [{ type: ConfigResourceTypes.TOPIC, name: 't', configNames: ['retention.ms'] }] }],
    alterConfigs: [
      {
        validateOnly: true,
        resources: [
          { type: ConfigResourceTypes.TOPIC, name: 't', configEntries: [{ name: 'retention.ms', value: '5' }] },
        ],
      },
    ],
  }),
  exportPartition: {
    good: [{ topic: 't', partition: 0, segmentBytes: 1000 }],
    call: (kafka, [options]) =>
      using(kafka.admin(), async (admin) => {
        for await (const file of admin.exportPartition(options)) void file;
      }),
  },
};

let cluster: InProcessCluster;
let kafka: Kafka;
const uncaught: unknown[] = [];
const note = (error: unknown): void => void uncaught.push(error);

beforeAll(async () => {
  process.on('unhandledRejection', note);
  cluster = new InProcessCluster({ brokerConfig: { 'group.initial.rebalance.delay.ms': '0' } });
  kafka = new cluster.Kafka({ logLevel: logLevel.NOTHING, retry: RETRY, requestTimeout: 2000 });
  await goesOn();
});

afterAll(async () => {
  process.off('unhandledRejection', note);
  await kafka.close();
  await cluster.close();
});

test.each(Object.entries(CALLS))('%s', async (name, { good, call }) => {
  const random = seededRandom(SEED + name.length);
  for (const place of placesIn(good)) {
    const odd = ODD[random.below(ODD.length)];
    const what = `${name}: ${place.join('.')} is ${typeof odd === 'function' ? 'a function' : String(odd)}`;
    const outcome = await Promise.race([
      call(kafka, replaced(good, place, odd) as Loose[]).then(
        () => 'answered',
        (error: unknown) => (isTyped(error) ? 'refused' : error),
      ),
      new Promise((resolve) => setTimeout(resolve, 10_000, 'hangs')),
    ]);
    expect([what, outcome]).toEqual([what, outcome === 'answered' ? 'answered' : 'refused']);
    await goesOn();
    expect([what, ...uncaught]).toEqual([what]);
  }
});

function isTyped(error: unknown): boolean {
  return error instanceof KafkaJSError || error instanceof KafkaJSAggregateError;
}

/** Nobody else hears of it. */
async function goesOn(): Promise<void> {
  await using(kafka.producer(), (producer) => producer.send({ topic: 't', messages: [{ value: 'v' }] }));
}

async function using<C extends Client, T>(client: C, use: (client: C) => Promise<T>): Promise<T> {
  try {
    return await use(client);
  } finally {
    await client.disconnect();
  }
}

let groups = 0;
function newGroup(): string {
  return `group-${groups++}`;
}

function subscribed(
  kafka: Kafka,
  use: (consumer: Consumer) => Promise<unknown>,
  config: object = {},
): Promise<unknown> {
  return using(kafka.consumer({ groupId: newGroup(), ...config }), async (consumer) => {
    await consumer.subscribe({ topic: 't', fromBeginning: true });
    await consumer.run(noHandler);
    await use(consumer);
  });
}

function adminCalls(good: Readonly<Record<string, readonly unknown[]>>): Record<string, Call> {
  return Object.fromEntries(
    Object.entries(good).map(([name, args]) => {
      const call: Call['call'] = (kafka, given) => using(kafka.admin(), (admin) => (admin as Loose)[name](...given));
      return [name, { good: args, call }];
    }),
  );
}

type Place = readonly (string | number)[];

/** Of all parts of lists and plain objects in `value`. */
function placesIn(value: unknown, at: Place = []): Place[] {
  const isPlain = typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
  if (!Array.isArray(value) && !isPlain) return [];
  return Object.entries(value as object).flatMap(([name, part]) => [[...at, name], ...placesIn(part, [...at, name])]);
}

function replaced(value: unknown, [name, ...rest]: Place, by: unknown): unknown {
  if (name === undefined) return by;
  const copy = (Array.isArray(value) ? [...value] : { ...(value as object) }) as Record<string, unknown>;
  copy[name] = replaced(copy[name], rest, by);
  return copy;
}
