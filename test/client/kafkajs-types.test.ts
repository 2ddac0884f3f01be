import { readFileSync } from 'node:fs';
import type * as kafkajs from 'kafkajs';
import { expect, expectTypeOf, test } from 'vitest';
import type {
  Admin,
  Batch,
  Consumer,
  ConsumerConfig,
  ConsumerCrashEvent,
  ConsumerEndBatchProcessEvent,
  ConsumerFetchEvent,
  ConsumerGroupJoinEvent,
  ConsumerGroupState,
  ConsumerRunConfig,
  ConsumerSubscribeTopics,
  EachBatchPayload,
  EachMessageHandler,
  EachMessagePayload,
  GroupDescriptions,
  ICustomPartitioner,
  IHeaders,
  IMemberAssignment,
  ITopicConfig,
  Kafka,
  KafkaConfig,
  KafkaMessage,
  LogEntry,
  LoggerEntryContent,
  logCreator,
  logLevel,
  Message,
  PartitionerArgs,
  Producer,
  ProducerBatch,
  ProducerConfig,
  ProducerRecord,
  RecordMetadata,
  RemoveInstrumentationEventListener,
  RequestEvent,
  RetryOptions,
  SeekEntry,
} from '../../src/index.js';
import * as ours from '../../src/index.js';
import { deferred } from '../../src/util/signal.js';
import { kafka as theKafka, useCluster } from './client-cluster.js';

// Goal: TypeScript written for KafkaJS compiles as it is: its names are here, and its methods and options are known.

useCluster();

/** What is not offered, and therefore has no type either. */
const NOT_OFFERED: readonly RegExp[] = [
  /Acl|^ResourcePatternTypes$/, // one origin, one person: nobody to keep out
  /^SASL|^Sasl|^Authentic|^Mechanism$|^Oauthbearer/,
  /^ISocketFactory/,
  /Reassignment/, // one broker
  /^Transaction$/, // not in this version
  /^(ApiVersions|Broker|BrokerMetadata|Cluster|ConsumerGroup|CoordinatorMetadata)$/, // KafkaJS's insides
  /^KafkaJS\w+(Metadata|ErrorGroups|ErrorTopic|ErrorPartition)$/, // what constructors of errors take, which nobody calls
  /^ISerializer$/,
];

test('each name that the types of KafkaJS export is exported here, or said not to be offered', () => {
  const theirs = readFileSync(new URL('../../node_modules/kafkajs/types/index.d.ts', import.meta.url), 'utf8');
  const names = [...theirs.matchAll(/^export (?:declare )?(?:interface|type|class|enum|const|var) (\w+)/gm)].map(
    ([, name]) => name!,
  );
  expect(names.length).toBeGreaterThan(150);
  const here = readFileSync(new URL('kafkajs-names.ts', import.meta.url), 'utf8');
  const offered = new Set(/export type \{([^}]*)\} from '..\/..\/src\/index.js'/.exec(here)?.[1]?.match(/\w+/g));
  const missing = names.filter((name) => !offered.has(name) && !(name in ours));
  expect(missing.filter((name) => !NOT_OFFERED.some((pattern) => pattern.test(name)))).toEqual([]);
});

type Missing<Theirs, Ours> = Exclude<keyof Theirs, keyof Ours>;

test('each method and option of KafkaJS is known here, but for what is not offered', () => {
  expectTypeOf<Missing<kafkajs.Kafka, Kafka>>().toEqualTypeOf<never>();
  expectTypeOf<Missing<kafkajs.Consumer, Consumer>>().toEqualTypeOf<never>();
  expectTypeOf<Missing<kafkajs.Producer, Producer>>().toEqualTypeOf<never>();
  expectTypeOf<Missing<kafkajs.Admin, Admin>>().toEqualTypeOf<
    'describeAcls' | 'deleteAcls' | 'createAcls' | 'alterPartitionReassignments' | 'listPartitionReassignments'
  >();
  expectTypeOf<Missing<kafkajs.KafkaConfig, KafkaConfig>>().toEqualTypeOf<never>();
  expectTypeOf<Missing<kafkajs.ProducerConfig, ProducerConfig>>().toEqualTypeOf<never>();
  expectTypeOf<Missing<kafkajs.ConsumerConfig, ConsumerConfig>>().toEqualTypeOf<never>();
  expectTypeOf<Missing<kafkajs.ConsumerRunConfig, ConsumerRunConfig>>().toEqualTypeOf<never>();
  expectTypeOf<Missing<kafkajs.ProducerRecord, ProducerRecord>>().toEqualTypeOf<never>();
  expectTypeOf<Missing<kafkajs.ProducerBatch, ProducerBatch>>().toEqualTypeOf<never>();
  expectTypeOf<Missing<kafkajs.RetryOptions, RetryOptions>>().toEqualTypeOf<never>();
  expectTypeOf<Missing<kafkajs.KafkaJSRequestTimeoutError, ours.KafkaJSRequestTimeoutError>>().toEqualTypeOf<never>();
  expectTypeOf<Missing<kafkajs.Message, Message>>().toEqualTypeOf<never>();
  expectTypeOf<Missing<kafkajs.EachBatchPayload, EachBatchPayload>>().toEqualTypeOf<never>();
  expectTypeOf<Missing<kafkajs.EachMessagePayload, EachMessagePayload>>().toEqualTypeOf<never>();
  expectTypeOf<Missing<kafkajs.Batch, Batch>>().toEqualTypeOf<never>();
  expectTypeOf<Missing<kafkajs.ITopicConfig, ITopicConfig>>().toEqualTypeOf<never>();
  expectTypeOf<
    Missing<kafkajs.ConsumerGroupJoinEvent['payload'], ConsumerGroupJoinEvent['payload']>
  >().toEqualTypeOf<never>();
  expectTypeOf<Missing<kafkajs.ConsumerCrashEvent['payload'], ConsumerCrashEvent['payload']>>().toEqualTypeOf<never>();
  expectTypeOf<Missing<kafkajs.ConsumerFetchEvent['payload'], ConsumerFetchEvent['payload']>>().toEqualTypeOf<never>();
  expectTypeOf<
    Missing<kafkajs.ConsumerEndBatchProcessEvent['payload'], ConsumerEndBatchProcessEvent['payload']>
  >().toEqualTypeOf<never>();
  expectTypeOf<Missing<kafkajs.RequestEvent['payload'], RequestEvent['payload']>>().toEqualTypeOf<
    'apiKey' | 'apiVersion' | 'size'
  >();
});

test('a program with the types of KafkaJS in it compiles, and runs', async () => {
  const logged: string[] = [];
  const creator: logCreator =
    (least: logLevel) =>
    ({ level, log }: LogEntry) => {
      const { message }: LoggerEntryContent = log;
      if (level <= least) logged.push(message);
    };
  creator(ours.logLevel.INFO)({
    namespace: 'n',
    level: ours.logLevel.WARN,
    label: 'WARN',
    log: { timestamp: '', message: 'm' },
  });
  expect(logged).toEqual(['m']);

  const kafka: Kafka = theKafka;
  const admin: Admin = kafka.admin();
  const topics: ITopicConfig[] = [
    { topic: 't', numPartitions: 2, configEntries: [{ name: 'retention.ms', value: '-1' }] },
  ];
  await admin.createTopics({ topics });

  const createPartitioner: ICustomPartitioner =
    () =>
    ({ partitionMetadata }: PartitionerArgs) =>
      partitionMetadata.length - 1;
  const producer: Producer = kafka.producer({ createPartitioner });
  const requested: string[] = [];
  producer.on(producer.events.REQUEST, (event: RequestEvent) => requested.push(event.payload.apiName));
  const messages: Message[] = [{ key: 'k', value: 'v', headers: { h: 'x' } satisfies IHeaders }];
  const record: ProducerRecord = { topic: 't', messages, compression: ours.CompressionTypes.GZIP };
  const written: RecordMetadata[] = await producer.send(record);
  expect(written.map(({ partition, baseOffset }) => `${partition}@${baseOffset}`)).toEqual(['1@0']);
  expect(requested).toContain('Produce');

  const consumer: Consumer = kafka.consumer({ groupId: 'g' });
  const joins: IMemberAssignment[] = [];
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }: ConsumerGroupJoinEvent) =>
    joins.push(payload.memberAssignment),
  );
  const crashes: Error[] = [];
  const listener = (event: ConsumerCrashEvent): void => void crashes.push(event.payload.error);
  const remove: RemoveInstrumentationEventListener = consumer.on(consumer.events.CRASH, listener);
  const seen = deferred<string>();
  const eachMessage: EachMessageHandler = async ({ topic, partition, message }: EachMessagePayload): Promise<void> => {
    const kept: KafkaMessage = message;
    seen.resolve(
      `${topic}-${partition} ${kept.key?.toString()} ${kept.value?.toString()} ${kept.headers['h']?.toString()}`,
    );
  };
  await consumer.subscribe({ topics: ['t'], fromBeginning: true } satisfies ConsumerSubscribeTopics);
  await consumer.run({ eachMessage });
  expect(await seen.promise).toBe('t-1 k v x');
  expect(joins).toEqual([{ t: [0, 1] }]);
  remove();
  expect(crashes).toEqual([]);

  const entries: SeekEntry[] = await admin.fetchTopicOffsets('t');
  expect(entries.map(({ partition, offset }) => [partition, offset])).toEqual([
    [0, '0'],
    [1, '1'],
  ]);
  const described: GroupDescriptions = await admin.describeGroups(['g']);
  const states: ConsumerGroupState[] = described.groups.map(({ state }) => state);
  expect(states).toEqual(['Stable']);
});
