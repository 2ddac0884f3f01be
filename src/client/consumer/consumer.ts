import { KafkaError } from '../../protocol/errors.js';
import { type TopicPartition, topicPartitionText } from '../../protocol/topic-partition.js';
import { abortable, onAbort } from '../../util/signal.js';
import type {
  AssignedPartition,
  Consumer,
  ConsumerConfig,
  ConsumerRunConfig,
  GroupDescription,
  TopicPartitions,
} from '../api/consumer.js';
import { CONSUMER_EVENTS, type ConsumerEvents } from '../api/events.js';
import type { ClientContext, ClientShell } from '../client-context.js';
import { Connection } from '../connection.js';
import { KafkaJSNonRetriableError, KafkaJSNumberOfRetriesExceeded } from '../errors.js';
import { isRetriable } from '../retry.js';
import { assertTopicPartition, notRunning, positionOf } from './arguments.js';
import { offsetToCommit } from './offsets.js';
import { type AssignedPosition, ConsumerSession, type Place, type SessionSettings } from './session.js';

/** What of a consumer is loaded when it is first used; `consumer-front.ts` is the rest. */
export interface ConsumerBody<K, V>
  extends Pick<
    Consumer<K, V>,
    | 'connect'
    | 'disconnect'
    | 'subscribe'
    | 'assign'
    | 'run'
    | 'stop'
    | 'commitOffsets'
    | 'describeGroup'
    | 'paused'
    | 'assignment'
  > {
  isPaused(partition: TopicPartition): boolean;
  /** Between a crash and the next start. */
  isRestarting(): boolean;
  seek(target: AssignedPosition): void;
  changePaused(topics: readonly TopicPartitions[], pause: boolean): void;
}

interface Life<K, V> {
  readonly config: ConsumerRunConfig<K, V>;
  /** Aborted by `stop`. */
  readonly ended: AbortController;
  /** Between a crash and the next start. */
  isWaiting: boolean;
  /** Without a group: where it goes on after a crash. */
  goesOn: Place | undefined;
  /** Settles once it reads for the first time, or never will. */
  started?: Promise<void>;
}

/** What of a topic is paused: all its partitions but these, or none but these. */
interface PausedTopic {
  readonly all: boolean;
  readonly but: Set<number>;
}

/** See `Consumer`. */
export function makeConsumer<K, V>(
  context: ClientContext,
  shell: ClientShell<ConsumerEvents>,
  config: ConsumerConfig<K, V>,
  makeGroup?: typeof import('./consumer-group.js').consumerGroup,
): ConsumerBody<K, V> {
  const { runtime } = context;
  const { groupId } = config;
  const { logger, instrumentation } = shell;
  const connection = new Connection({ ...context, runtime, instrumentation, ...context.track(() => disconnect()) });
  const retry = { ...context.retry, ...config.retry };
  const metadataMaxAgeMs = config.metadataMaxAge ?? 300_000;
  const metadata = context.newMetadata({
    logger,
    connection,
    retry,
    maxAgeMs: metadataMaxAgeMs,
    allowAutoTopicCreation: config.allowAutoTopicCreation ?? true,
  });
  const settings: SessionSettings<K, V> = {
    rebalanceTimeoutMs: config.rebalanceTimeout ?? 60_000,
    maxBytesPerPartition: config.maxBytesPerPartition ?? 2 ** 20,
    // An empty answer at once would be asked for again at once, and so on.
    minBytes: Math.max(1, config.minBytes ?? 1),
    maxBytes: config.maxBytes ?? 10 * 2 ** 20,
    maxWaitMs: Math.max(1, config.maxWaitTimeInMs ?? 5_000),
    isolationLevel: config.readUncommitted === true ? 0 : 1,
    encryption: context.encryption,
    keySerde: config.keySerde,
    valueSerde: config.valueSerde,
    failOnGap: config.onGap === 'fail',
  };

  const group =
    groupId === undefined
      ? undefined
      : makeGroup?.({
          connection,
          metadata,
          retry,
          logger,
          instrumentation,
          groupId,
          rebalanceTimeoutMs: settings.rebalanceTimeoutMs,
          metadataMaxAgeMs,
          config,
        });
  let assigned: readonly AssignedPosition[] = [];
  const paused = new Map<string, PausedTopic>();
  let session: ConsumerSession<K, V> | undefined;
  /**
   * From `run` to `stop` or the last crash: over all sessions, and also before the first, for KafkaJS code does not wait
   * for `run`.
   */
  let life: Life<K, V> | undefined;
  /** By `topicPartitionText`: what was sought while partitions were still to be assigned. */
  const sought = new Map<string, AssignedPosition>();
  /** The end of the last life. */
  let stopped: Promise<void> = Promise.resolve();

  async function disconnect(): Promise<void> {
    await stop();
    await connection.close();
  }

  function stop(): Promise<void> {
    if (life !== undefined && !life.ended.signal.aborted) stopped = end(life);
    return stopped;
  }

  async function end(own: Life<K, V>): Promise<void> {
    own.ended.abort();
    await session?.stop();
    session = undefined;
    life = undefined;
    sought.clear();
    instrumentation.emit(CONSUMER_EVENTS.STOP);
    logger.info('Stopped', { groupId });
  }

  async function subscribe(subscription: Parameters<Consumer['subscribe']>[0]): Promise<void> {
    if (life?.isWaiting === false)
      throw new KafkaJSNonRetriableError('Cannot subscribe to topic while consumer is running');
    if (group === undefined) {
      throw new KafkaJSNonRetriableError('Consumer groupId must be a non-empty string. Without one, use "assign".');
    }
    await group.subscribe(subscription);
  }

  async function assign(partitions: readonly AssignedPartition[]): Promise<void> {
    if (groupId !== undefined) {
      throw new KafkaJSNonRetriableError('Cannot assign partitions by hand in a consumer group, use "subscribe"');
    }
    if (!Array.isArray(partitions)) {
      throw new KafkaJSNonRetriableError(
        `Invalid partitions, expected a list of { topic, partition }, received ${partitions}`,
      );
    }
    const positions = (partitions as readonly AssignedPartition[]).map((entry) => {
      const { topic, partition, offset = '-1' } = entry ?? {};
      assertTopicPartition(topic, partition);
      return { topic, partition: Number(partition), position: positionOf(offset) };
    });
    // Of a partition that is there twice the last counts.
    assigned = [...new Map(positions.map((place) => [topicPartitionText(place), place])).values()];
    if (life !== undefined) life.goesOn = undefined;
    await session?.assign({ positions: assigned });
  }

  async function run(given?: ConsumerRunConfig<K, V>): Promise<void> {
    const runConfig = given ?? {};
    if (life !== undefined) {
      logger.warn('consumer#run was called, but the consumer is already running', { groupId });
      return;
    }
    const { signal } = runConfig;
    signal?.throwIfAborted();
    assertRunConfig(runConfig);
    const own: Life<K, V> = { config: runConfig, ended: new AbortController(), isWaiting: false, goesOn: undefined };
    life = own;
    const forget = onAbort(signal, () => void stop());
    onAbort(own.ended.signal, forget);
    try {
      own.started = start(own);
      await own.started;
    } catch (error) {
      if (!own.ended.signal.aborted) {
        life = undefined;
        own.ended.abort();
        throw error;
      } // else stopped meanwhile
    }
    signal?.throwIfAborted();
  }

  async function start(own: Life<K, V>): Promise<void> {
    own.isWaiting = false;
    await abortable(connection.open(), own.ended.signal);
    const membership = await group?.newSession();
    own.ended.signal.throwIfAborted();
    // A session that fails while it starts may say so twice, and is to be replaced once.
    let crash: Promise<void> | undefined;
    const crashes = (error: unknown): Promise<void> => (crash ??= crashed(started, own, error));
    const started: ConsumerSession<K, V> = new ConsumerSession({
      runtime,
      connection,
      retry,
      logger,
      instrumentation,
      settings,
      reads: membership ?? own.goesOn ?? { positions: assigned },
      sought,
      config: own.config,
      isPaused,
      setPaused,
      onCrash: (error) => void crashes(error),
    });
    session = started;
    try {
      const starting = started.start();
      logger.info('Starting', { groupId }); // its first request is on its way: a line of the console takes milliseconds
      await starting;
    } catch (error) {
      if (session === started) await crashes(error);
    }
  }

  /** As KafkaJS: everything stops; what may pass is tried again after a while, unless the user says no. */
  async function crashed(dead: ConsumerSession<K, V>, own: Life<K, V>, error: unknown): Promise<void> {
    const { signal } = own.ended;
    if (signal.aborted) return; // stopped meanwhile
    const failure = error instanceof Error ? error : new Error(String(error));
    const { name, message, stack } = failure;
    const { retryCount, retryTime = retry.initialRetryTime } = failure as Partial<KafkaJSNumberOfRetriesExceeded>;
    logger.error(`Crash: ${name}: ${message}`, { groupId, retryCount, stack });
    const before = assigned;
    await dead.stop();
    if (assigned === before) own.goesOn = dead.place() ?? own.goesOn;
    if (session === dead) session = undefined;
    instrumentation.emit(CONSUMER_EVENTS.STOP);
    own.isWaiting = true;
    const restart = !signal.aborted && mayPass(failure) && (await isWanted(failure)) && !signal.aborted;
    if (!restart) {
      if (life === own) await connection.close();
      if (life === own) life = undefined; // before the event: its listener may run the consumer again
      own.ended.abort();
    }
    instrumentation.emit(CONSUMER_EVENTS.CRASH, { error: failure, groupId, restart });
    if (!restart) return;
    logger.error(`Restarting the consumer in ${retryTime}ms`, { groupId, retryCount, retryTime });
    const restarted = runtime.clock.sleep(retryTime, signal).then(() => start(own));
    await restarted.catch((next) => crashed(dead, own, next));
  }

  async function isWanted(failure: Error): Promise<boolean> {
    try {
      return !retry.restartOnFailure || Boolean(await retry.restartOnFailure(failure));
    } catch (error) {
      logger.error(`restartOnFailure: ${error}`, { groupId });
      return true;
    }
  }

  function isPaused({ topic, partition }: TopicPartition): boolean {
    const entry = paused.get(topic);
    return entry !== undefined && entry.all !== entry.but.has(partition);
  }

  function assignment(): TopicPartition[] {
    return session?.assignment() ?? [];
  }

  function setPaused({ topic, partition }: TopicPartition, pause: boolean): void {
    const entry = paused.get(topic) ?? { all: false, but: new Set() };
    if (entry.all === pause) entry.but.delete(partition);
    else entry.but.add(partition);
    paused.set(topic, entry);
    session?.pausedChanged();
  }

  function changePaused(topics: readonly TopicPartitions[], pause: boolean): void {
    if (life === undefined) throw notRunning();
    for (const { topic, partitions } of topics) {
      if (partitions !== undefined)
        for (const partition of partitions) setPaused({ topic, partition: Number(partition) }, pause);
      else if (pause) paused.set(topic, { all: true, but: new Set() });
      else paused.delete(topic);
    }
    session?.pausedChanged();
  }

  const consumer: ConsumerBody<K, V> = {
    connect: () => connection.open(),
    disconnect,
    subscribe,
    assign,
    run,
    stop,
    isPaused,
    isRestarting: () => life !== undefined,
    async commitOffsets(offsets = []) {
      if (!Array.isArray(offsets)) throw new KafkaJSNonRetriableError(`Invalid offsets array ${offsets}`);
      const checked = offsets.map(offsetToCommit);
      // Its `run` was not waited for, perhaps.
      if (life?.isWaiting === false) await life.started?.catch(() => {});
      if (session === undefined) throw notRunning();
      await session.commitOffsets(checked);
    },
    seek(target) {
      if (life === undefined) throw notRunning();
      if (session?.isAssigned) session.seek(target);
      else sought.set(topicPartitionText(target), target);
    },
    changePaused,
    paused() {
      const found = session?.adopted.filter(isPaused) ?? [];
      return [...new Set(found.map(({ topic }) => topic))].map((topic) => ({
        topic,
        partitions: found.flatMap((entry) => (entry.topic === topic ? entry.partition : [])).sort((a, b) => a - b),
      }));
    },
    assignment,
    async describeGroup(): Promise<GroupDescription> {
      if (group === undefined) throw new KafkaJSNonRetriableError('Consumer groupId must be a non-empty string.');
      return group.describe();
    },
  };
  return consumer;
}

/** Whether a crash is worth a restart: what a retry may mend, be it what the error was made from, as in KafkaJS. */
function mayPass(error: Error): boolean {
  let root: Error & { retriable?: boolean } = error;
  while (root.cause instanceof Error && !(root.cause instanceof KafkaError)) root = root.cause;
  return error instanceof KafkaJSNumberOfRetriesExceeded || isRetriable(error) || root.retriable === true;
}

function assertRunConfig<K, V>({
  partitionsConsumedConcurrently = 1,
  eachBatch,
  eachMessage,
}: ConsumerRunConfig<K, V>): void {
  for (const [name, handler] of Object.entries({ eachBatch, eachMessage })) {
    if (handler === undefined || handler === null || typeof handler === 'function') continue;
    throw new KafkaJSNonRetriableError(`Invalid ${name}, expected a function, received ${typeof handler}`);
  }
  if (Number.isInteger(partitionsConsumedConcurrently) && partitionsConsumedConcurrently > 0) return;
  throw new KafkaJSNonRetriableError(
    `Invalid partitionsConsumedConcurrently, expected at least 1, received ${partitionsConsumedConcurrently}`,
  );
}
