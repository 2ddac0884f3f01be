import type { BatchKeys } from '../log/batch-keys.js';
import { GroupCommit } from '../log/group-commit.js';
import type { LogAdvance } from '../log/log-view.js';
import { PartitionLog } from '../log/partition-log.js';
import { BROKER_NODE } from '../protocol/broker-node.js';
import {
  type ErrorFields,
  errorFields,
  ignoreKafkaError,
  KafkaError,
  type KafkaErrorName,
  NO_ERROR,
} from '../protocol/errors.js';
import type { ApiName, PartitionGap, Requests, Responses } from '../protocol/requests.js';
import type { StorageFigures } from '../protocol/storage-state.js';
import { parseTopicConfig, type TopicConfig } from '../protocol/topic-config.js';
import { GROUP_OFFSETS_TOPIC, topicPartitionText } from '../protocol/topic-partition.js';
import type { Clock, Locks, Random } from '../runtime/runtime.js';
import type { LogId, LogStore } from '../storage/log-store.js';
import { isQuotaExceeded } from '../storage/storage-errors.js';
import { present } from '../util/assert.js';
import { abortable, type Deferred, deferred, linkedController, OVER, onAbort } from '../util/signal.js';
import type { AdminApi } from './admin-handlers.js';
import { type BrokerConfig, parseBrokerConfig, storedBrokerConfig } from './broker-config.js';
import type { BrokerParts } from './broker-parts.js';
import { Controller } from './controller.js';
import type { GroupCoordinator } from './coordinator/group-coordinator.js';
import type { GroupApi } from './coordinator/group-failures.js';
import type { TopicCreation } from './create-topics.js';
import { handleMetadata, unknownPartition } from './handle-metadata.js';
import { handleProduce } from './handle-produce.js';
import type { IntegrityApi } from './integrity-handlers.js';
import { chunksFrom } from './log-replay.js';
import type { Maintenance } from './maintenance.js';
import {
  applyMetadataRecords,
  EMPTY_IMAGE,
  logOf,
  type MetadataImage,
  type PartitionImage,
  type TopicImage,
} from './metadata-image.js';
import { METADATA_LOG, metadataRecordsIn } from './metadata-records.js';
import { PartitionLogs } from './partition-logs.js';
import { ProducerIds } from './producer-ids.js';
import type { RoomKeeper } from './room-keeper.js';

export interface BrokerOptions {
  readonly clusterId: string;
  readonly store: LogStore;
  readonly parts: BrokerParts;
  /** The epoch that this host claimed in the store. */
  readonly leaderEpoch: number;
  readonly clock: Clock;
  readonly random: Random;
  /** Static broker configs by Kafka's dotted names; see broker-config.ts. */
  readonly configs?: Readonly<Record<string, string>> | undefined;
  /** Called in order for each commit, before its producer is answered, and when a log start moves. Must not throw. */
  readonly onAdvance: (advance: LogAdvance) => void;
  /** The disk was full under the leader before. */
  readonly isFull?: boolean;
  /** Called when the disk is full, and when there is room again. Must not throw. */
  readonly onFull?: (figures: StorageFigures | undefined) => void;
  /** The keys that the application gave to this host; undefined: none. */
  readonly batchKeys?: (() => Promise<BatchKeys | undefined>) | undefined;
  /** Tell which workers live, by the locks that members of groups name as their `clientHost`. */
  readonly locks?: Locks | undefined;
}

/** What the elected host answers; the other APIs are answered by every host (ReadContext). */
export type BrokerApi = Exclude<ApiName, 'Fetch' | 'ListOffsets' | 'DescribeCluster' | 'DescribeStorage'>;

type Handlers = {
  readonly [A in BrokerApi]: (request: Requests[A], signal?: AbortSignal) => Promise<Responses[A]>;
};

/** What keeps a change from being made, or begun, where another leads. */
const DEPOSED: readonly KafkaErrorName[] = ['NOT_LEADER_OR_FOLLOWER', 'NOT_COORDINATOR', 'FENCED_LEADER_EPOCH'];

/** The broker's own configs do not apply to its metadata log. */
const METADATA_CONFIG: TopicConfig = parseTopicConfig({ 'cleanup.policy': 'compact' });

/** When the code of the maintenance could not be loaded. */
const LOAD_AGAIN_AFTER_MS = 60_000;

/** Bytes of acks-0 batches on their way to the disk above which their senders wait like all others. */
const MAX_UNAWAITED_BYTES = 16 * 1024 * 1024;

/** A new leader has more urgent things to write than the reserve. */
const RESERVE_AFTER_MS = 10_000;

/** One broker at one leader epoch: joins the parts, and gives each request to its handler. */
export class Broker {
  readonly #options: BrokerOptions;
  readonly #groupCommit: GroupCommit;
  readonly #logs: PartitionLogs = new PartitionLogs();
  readonly #controller: Controller;
  readonly #producerIds: ProducerIds;
  readonly #closing: AbortController = new AbortController();
  readonly #deposed: AbortController = new AbortController();
  readonly #dropListeners: () => void;
  readonly #maintained: Promise<unknown>;
  readonly #maintenance: Deferred<Maintenance> = deferred();
  #groups: Promise<GroupCoordinator> | undefined;
  #unawaitedBytes = 0;
  /** Logs of which a segment has closed, and who waits for that. */
  #closedSegments = new Set<LogId>();
  #segmentClosed: Deferred<void> = deferred();
  /** There since the disk was full for the first time. */
  #room: RoomKeeper | undefined;

  /**
   * Takes up the work: reads the metadata log; all other logs open when first used, and the groups are read meanwhile.
   * @throws KafkaError KAFKA_STORAGE_ERROR, INVALID_CONFIG
   */
  static async open(options: BrokerOptions): Promise<Broker> {
    const { store, leaderEpoch, onAdvance } = options;
    parseBrokerConfig(options.configs ?? {});
    const onCommitted = (advances: readonly LogAdvance[]): void => advances.forEach(onAdvance);
    let broker: Broker | undefined;
    const onFailed = (error: unknown): void => {
      if (broker !== undefined) broker.#commitFailed(error);
    };
    const groupCommit = new GroupCommit({ store, leaderEpoch, onCommitted, onFailed });
    const metadataLog = await openLog({ ...options, groupCommit }, METADATA_LOG, 'metadata log', () => METADATA_CONFIG);
    broker = new Broker(options, groupCommit, metadataLog, await readImage(options));
    return broker;
  }

  private constructor(
    options: BrokerOptions,
    groupCommit: GroupCommit,
    metadataLog: PartitionLog,
    image: MetadataImage,
  ) {
    const { clock, random, store } = options;
    this.#options = options;
    this.#groupCommit = groupCommit;
    const drops = [groupCommit.deposed, store.lost].map((signal) =>
      onAbort(signal, () => this.#deposed.abort(signal.reason)),
    );
    this.#dropListeners = () => {
      for (const drop of drops) drop();
    };
    void this.#logs.get(METADATA_LOG, () => Promise.resolve(metadataLog));
    this.#controller = new Controller(metadataLog, image, clock, () => this.#verifyLeading());
    this.#producerIds = new ProducerIds(this.#controller, random);
    if (image.topics.has(GROUP_OFFSETS_TOPIC)) this.#openGroups().catch(ignoreKafkaError);
    if (image.topics.size === 0) this.#topicsPart().catch(ignoreKafkaError); // the first topic will not be long
    this.#maintained = Promise.all([this.#keepMaintained(), this.#keepReserve()]);
    if (options.isFull) {
      this.#refused(new KafkaError('KAFKA_STORAGE_ERROR', 'storage was full')).catch(ignoreKafkaError);
    }
  }

  /** Aborts, with a KafkaError as reason, once the store refused our epoch or is lost: close this broker then. */
  get deposed(): AbortSignal {
    return this.#deposed.signal;
  }

  /** Includes all metadata that is committed. */
  get image(): MetadataImage {
    return this.#controller.image;
  }

  /**
   * Answers one request. Metadata here creates missing topics where that is allowed.
   * @throws KafkaError NOT_CONTROLLER: deposed or closed, nothing was done. KAFKA_STORAGE_ERROR: a change of metadata
   *   could not be written. INVALID_REQUIRED_ACKS. Rejects with the signal's reason: the outcome is then unknown.
   */
  async handle<A extends BrokerApi>(api: A, request: Requests[A], signal?: AbortSignal): Promise<Responses[A]> {
    this.#assertLeading();
    signal?.throwIfAborted();
    const handler: Handlers[A] = this.#handlers[api];
    try {
      return await abortable(handler(request, signal), signal);
    } catch (error) {
      if (!(error instanceof KafkaError) || !DEPOSED.includes(error.type)) throw error;
      throw new KafkaError('NOT_CONTROLLER', error.message, { cause: error });
    }
  }

  /** Answers what waits, ends all loops, leaves nothing behind. Idempotent; does not close the store. */
  async close(): Promise<void> {
    this.#closing.abort(new KafkaError('NOT_CONTROLLER', 'the broker of this host is closed'));
    await (await this.#groups?.catch(ignoreKafkaError))?.close();
    await this.#maintained;
    await this.#logs.close();
    await this.#groupCommit.close();
    this.#dropListeners();
  }

  readonly #handlers: Handlers = {
    Produce: (request) => this.#produce(request),
    WriteTxnMarkers: async (request) => {
      const { writeTxnMarkers } = await abortable(this.#options.parts.transactions(), this.#closing.signal);
      return writeTxnMarkers(this.#partitions, request);
    },
    InitProducerId: (request) => this.#initProducerId(request),
    Metadata: (request) => this.#metadata(request),
    CreateTopics: (request) => this.#createTopics(request),
    DeleteTopics: (request) => this.#deleteTopics(request),
    CreatePartitions: this.#toAdmin('CreatePartitions'),
    DeleteRecords: this.#toAdmin('DeleteRecords'),
    DescribeLogDirs: this.#toAdmin('DescribeLogDirs'),
    CheckLogs: this.#toIntegrity('CheckLogs'),
    ImportLog: this.#toIntegrity('ImportLog'),
    AlterConfigs: this.#toAdmin('AlterConfigs'),
    DescribeConfigs: this.#toAdmin('DescribeConfigs'),
    FindCoordinator: async ({ key }) => {
      const { nodeId, host, port } = BROKER_NODE;
      if (key !== '') return { ...NO_ERROR, nodeId, host, port };
      const error = new KafkaError('INVALID_GROUP_ID', 'coordinator key: expected a text that is not empty');
      return { ...errorFields(error), nodeId: -1, host: '', port: -1 };
    },
    JoinGroup: this.#toGroups('JoinGroup'),
    SyncGroup: this.#toGroups('SyncGroup'),
    Heartbeat: this.#toGroups('Heartbeat'),
    LeaveGroup: this.#toGroups('LeaveGroup'),
    OffsetCommit: this.#toGroups('OffsetCommit'),
    OffsetFetch: this.#toGroups('OffsetFetch'),
    OffsetDelete: this.#toGroups('OffsetDelete'),
    ListGroups: this.#toGroups('ListGroups'),
    DescribeGroups: this.#toGroups('DescribeGroups'),
    DeleteGroups: this.#toGroups('DeleteGroups'),
  };

  #toGroups<A extends GroupApi>(api: A): (request: Requests[A], signal?: AbortSignal) => Promise<Responses[A]> {
    return async (request, signal) => (await this.#openGroups()).handle(api, request, signal);
  }

  #toAdmin<A extends AdminApi>(api: A): (request: Requests[A]) => Promise<Responses[A]> {
    return async (request) => {
      const { adminHandlers } = await abortable(this.#options.parts.admin(), this.#closing.signal);
      const { configs: staticConfigs = {} } = this.#options;
      const creation = (): TopicCreation => this.#creation();
      const context = { partitions: this.#partitions, controller: this.#controller, creation, staticConfigs };
      return adminHandlers(context)[api](request);
    };
  }

  #toIntegrity<A extends IntegrityApi>(api: A): (request: Requests[A], signal?: AbortSignal) => Promise<Responses[A]> {
    return async (request, signal) => {
      const { integrityHandlers } = await abortable(this.#options.parts.integrity(), this.#closing.signal);
      const handlers = integrityHandlers({
        ...this.#options,
        ...this.#producerConfig(),
        controller: this.#controller,
        groupCommit: this.#groupCommit,
        logs: this.#logs,
        newLog: (topic, partition) => this.#newLog(topic, partition),
        verifyLeading: () => this.#verifyLeading(),
      });
      const ended = linkedController(this.#closing.signal, signal);
      try {
        return await handlers[api](request, ended.signal);
      } finally {
        ended.abort(OVER);
      }
    };
  }

  // ---------------------------------------------------------------- groups

  /** The coordinator, reading its groups. It is opened with the broker where there are groups, else when asked for. */
  #openGroups(): Promise<GroupCoordinator> {
    this.#groups ??= this.#newGroups().catch((error: unknown) => {
      this.#groups = undefined;
      throw error;
    });
    return this.#groups;
  }

  /** Nothing where no group has ever been. Expected failures are left for the next time. */
  async #withGroups(work: (groups: GroupCoordinator) => Promise<void>): Promise<void> {
    if (this.image.topics.has(GROUP_OFFSETS_TOPIC)) await this.#openGroups().then(work).catch(ignoreKafkaError);
  }

  async #newGroups(): Promise<GroupCoordinator> {
    const { clock, random, parts } = this.#options;
    const { GroupCoordinator } = await abortable(parts.groups(), this.#closing.signal);
    const groups = new GroupCoordinator({
      clock,
      random,
      config: () => this.#config(),
      stored: (onGap) => this.#storedOffsets(onGap),
      openLog: () => this.#offsetsLog(),
      verifyLeading: () => this.#verifyLeading(),
      logOf: (topic, partition) => logOf(this.image, topic, partition),
      locks: this.#options.locks,
    });
    groups.load().catch(ignoreKafkaError);
    return groups;
  }

  // ---------------------------------------------------------------- records

  async #produce(request: Requests['Produce']): Promise<Responses['Produce']> {
    const appended = handleProduce(this.#partitions, request);
    if (request.acks !== 0) return appended;
    const bytes = request.topicData
      .flatMap(({ partitionData }) => partitionData)
      .reduce((sum, { records }) => sum + records.byteLength, 0);
    this.#unawaitedBytes += bytes;
    const settled = appended.then(ignore, ignoreKafkaError).finally(() => (this.#unawaitedBytes -= bytes));
    if (this.#unawaitedBytes > MAX_UNAWAITED_BYTES) await settled;
    return { responses: [] };
  }

  async #initProducerId({ transactionalId }: Requests['InitProducerId']): Promise<Responses['InitProducerId']> {
    if (transactionalId !== null) {
      const error = new KafkaError(
        'UNSUPPORTED_VERSION',
        `transactional id ${transactionalId}: no transactions here yet`,
      );
      return { ...errorFields(error), producerId: -1, producerEpoch: -1 };
    }
    const { incarnationId } = this.#options.store;
    return { ...NO_ERROR, producerId: await this.#producerIds.next(), producerEpoch: 0, incarnationId };
  }

  // ---------------------------------------------------------------- topics

  async #metadata(request: Requests['Metadata']): Promise<Responses['Metadata']> {
    const refused = await this.#createMissing(request);
    const { clusterId, store, leaderEpoch } = this.#options;
    const context = { clusterId, store, image: () => this.image, leaderEpoch: () => leaderEpoch };
    const response = handleMetadata(context, request);
    return { ...response, topics: response.topics.map((topic) => ({ ...topic, ...refused.get(topic.name) })) };
  }

  /** Kafka's auto.create.topics.enable. Resolves to why topics could not be created. */
  async #createMissing(request: Requests['Metadata']): Promise<ReadonlyMap<string, ErrorFields>> {
    const names = (request.topics ?? []).map(({ name }) => name);
    if (!request.allowAutoTopicCreation || !this.#config().autoCreateTopicsEnable) return new Map();
    if (names.includes(GROUP_OFFSETS_TOPIC)) await this.#offsetsLog();
    if (names.every((name) => this.image.topics.has(name))) return new Map();
    await this.#forgetOffsetsOf(names);
    const { createMissing } = await this.#topicsPart();
    return createMissing(names, this.#creation(), (decide) => this.#controller.change(decide));
  }

  #topicsPart(): ReturnType<BrokerParts['topics']> {
    return abortable(this.#options.parts.topics(), this.#closing.signal);
  }

  #creation(): TopicCreation {
    return { config: this.#config(), newTopicId: () => this.#options.random.uuid() };
  }

  async #createTopics(request: Requests['CreateTopics']): Promise<Responses['CreateTopics']> {
    await this.#forgetOffsetsOf(request.topics.map(({ name }) => name));
    return this.#toAdmin('CreateTopics')(request);
  }

  /**
   * Before a topic is made: what was committed for one that had its name is not for its successor. The broker that deleted
   * it may have died over this, or its commit failed.
   */
  async #forgetOffsetsOf(names: readonly string[]): Promise<void> {
    if (!this.image.topics.has(GROUP_OFFSETS_TOPIC)) return;
    await (await this.#openGroups()).topicsDeleted(new Set(names));
  }

  async #deleteTopics(request: Requests['DeleteTopics']): Promise<Responses['DeleteTopics']> {
    const answer = await this.#toAdmin('DeleteTopics')(request);
    const deleted = answer.responses.filter(({ errorCode }) => errorCode === 0).map(({ name }) => name);
    if (deleted.length > 0) {
      void this.#maintenance.promise.then((maintenance) => maintenance.deleteRemovedLogs());
      await this.#withGroups((groups) => groups.topicsDeleted(new Set(deleted)));
    }
    return answer;
  }

  // ---------------------------------------------------------------- logs

  readonly #partitions = {
    image: (): MetadataImage => this.image,
    open: (topic: TopicImage, partition: PartitionImage): Promise<PartitionLog> => this.#open(topic, partition),
    incarnationId: (): string => this.#options.store.incarnationId,
    full: (): RoomKeeper | undefined => (this.#room?.isFull ? this.#room : undefined),
    refused: (error: unknown): Promise<RoomKeeper> => this.#refused(error),
  };

  #open(topic: TopicImage, partition: PartitionImage): Promise<PartitionLog> {
    return this.#logs.get(partition.log, () => this.#newLog(topic, partition));
  }

  /** @throws KafkaError UNKNOWN_TOPIC_OR_PARTITION: who asks has waited, and the topic was deleted meanwhile. */
  async #newLog({ name, config }: TopicImage, { partitionId, log }: PartitionImage): Promise<PartitionLog> {
    const topic = this.image.topics.get(name);
    if (topic?.partitions[partitionId]?.log !== log) throw unknownPartition(undefined, name, partitionId);
    const text = topicPartitionText({ topic: name, partition: partitionId });
    const newest = (): TopicConfig => this.image.topics.get(name)?.config ?? config;
    const onSegmentClosed = (closed: LogId): void => {
      this.#closedSegments.add(closed);
      this.#segmentClosed.resolve();
    };
    const groupCommit = this.#groupCommit;
    const surroundings = { ...this.#options, ...this.#producerConfig(), groupCommit, onSegmentClosed };
    return openLog(surroundings, log, text, newest);
  }

  #producerConfig(): { readonly producerIdExpirationMs: number } {
    const { producerIdExpirationMs } = this.#config();
    return { producerIdExpirationMs };
  }

  async #offsetsLog(): Promise<PartitionLog> {
    if (!this.image.topics.has(GROUP_OFFSETS_TOPIC)) {
      const { createOffsetsTopic } = await this.#topicsPart();
      await this.#controller.change((image) => createOffsetsTopic(image, () => this.#options.random.uuid()));
    }
    const topic = present(this.image.topics.get(GROUP_OFFSETS_TOPIC), 'it was just created');
    return this.#open(topic, present(topic.partitions[0], 'it has one partition'));
  }

  async *#storedOffsets(onGap: (gap: PartitionGap) => void): AsyncGenerator<Uint8Array> {
    const log = logOf(this.image, GROUP_OFFSETS_TOPIC, 0);
    if (log === undefined) return;
    const { logStartOffset } = await this.#options.store.ends(log);
    yield* chunksFrom(this.#options.store, log, logStartOffset, onGap);
  }

  // ---------------------------------------------------------------- a full disk

  #commitFailed(error: unknown): void {
    if (isQuotaExceeded(error)) this.#refused(error).catch(ignoreKafkaError);
  }

  async #refused(error: unknown): Promise<RoomKeeper> {
    const { store, leaderEpoch, clock, parts, onFull = ignore } = this.#options;
    const closing = this.#closing.signal;
    const { RoomKeeper } = await abortable(parts.room(), closing).catch(() => Promise.reject(error));
    const enforceRetention = async (): Promise<void> =>
      (await abortable(this.#maintenance.promise, closing)).enforceRetention();
    this.#room ??= new RoomKeeper({ store, leaderEpoch, clock, closing, enforceRetention, onFull });
    this.#room.refused(error as KafkaError); // that is what isQuotaExceeded says
    return this.#room;
  }

  /** Once, since whoever drops the reserve takes it again. */
  async #keepReserve(): Promise<void> {
    const { store, leaderEpoch, clock } = this.#options;
    const { signal } = this.#closing;
    await clock.sleep(RESERVE_AFTER_MS, signal).catch(ignore);
    if (signal.aborted) return;
    await store.takeReserve(leaderEpoch).catch((error: unknown) => this.#commitFailed(error));
  }

  // ---------------------------------------------------------------- maintenance

  /** The work in the background; its code is asked for at once, and again where it could not be loaded. */
  async #keepMaintained(): Promise<void> {
    const { clock, parts } = this.#options;
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        const { Maintenance } = await abortable(parts.maintenance(), signal);
        const maintenance = new Maintenance({
          ...this.#options,
          signal,
          controller: this.#controller,
          logs: this.#logs,
          partitions: this.#partitions,
          config: () => this.#config(),
          withGroups: (work) => this.#withGroups(work),
          segmentsClosed: () => this.#nextClosedSegments(),
          onRetained: async () => {
            await this.#room?.look();
            this.#segmentClosed.resolve(); // what could not be sealed before is tried again, and what is old compacted
          },
        });
        this.#maintenance.resolve(maintenance);
        await maintenance.run();
      } catch (error) {
        ignoreKafkaError(error);
        await clock.sleep(LOAD_AGAIN_AFTER_MS, signal).catch(ignore);
      }
    }
  }

  async #nextClosedSegments(): Promise<ReadonlySet<LogId>> {
    await this.#segmentClosed.promise;
    this.#segmentClosed = deferred();
    const closed = this.#closedSegments;
    this.#closedSegments = new Set();
    return closed;
  }

  #config(): BrokerConfig {
    return storedBrokerConfig({ ...this.#options.configs, ...this.image.brokerConfigs });
  }

  /** Asks the database: memory may have slept. */
  async #verifyLeading(): Promise<void> {
    const { epoch } = await this.#options.store.leadership();
    if (epoch === this.#options.leaderEpoch) return;
    const text = `epoch ${this.#options.leaderEpoch} is over: the leader is at epoch ${epoch}`;
    const error = new KafkaError('FENCED_LEADER_EPOCH', text);
    this.#deposed.abort(error);
    throw error;
  }

  #assertLeading(): void {
    this.#closing.signal.throwIfAborted();
    if (!this.deposed.aborted) return;
    const { reason } = this.deposed;
    throw new KafkaError('NOT_CONTROLLER', `this host no longer leads: ${String(reason)}`, { cause: reason });
  }
}

interface LogSurroundings extends BrokerOptions {
  readonly groupCommit: GroupCommit;
  readonly producerIdExpirationMs?: number;
  readonly onSegmentClosed?: (log: LogId) => void;
}

function openLog(options: LogSurroundings, log: LogId, name: string, config: () => TopicConfig): Promise<PartitionLog> {
  const { store, groupCommit, leaderEpoch, clock, parts, producerIdExpirationMs, onSegmentClosed, batchKeys } = options;
  const { transactions } = parts;
  const place = { store, groupCommit, log, leaderEpoch, config, clock, name, batchKeys };
  return PartitionLog.open({
    ...place,
    transactions,
    producerIdExpirationMs,
    ...(onSegmentClosed && { onSegmentClosed }),
  });
}

async function readImage({ store }: BrokerOptions): Promise<MetadataImage> {
  const records = [];
  let lost: PartitionGap | undefined;
  for await (const chunk of chunksFrom(store, METADATA_LOG, 0, (gap) => (lost = gap))) {
    records.push(...metadataRecordsIn(chunk));
  }
  const read = applyMetadataRecords(EMPTY_IMAGE, records);
  if (lost === undefined) return read;
  // Ids that only the lost records told of must not be given again: those of producers are drawn anew.
  const lastLog = (await (await store.raw()).logs()).at(-1) ?? METADATA_LOG;
  return { ...read, gap: lost, nextLogId: Math.max(read.nextLogId, lastLog + 1), nextProducerId: 0 };
}

function ignore(): void {}
