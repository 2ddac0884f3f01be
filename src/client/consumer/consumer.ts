import type { TopicPartition } from '../../protocol/topic-partition.js';
import { abortable, onAbort } from '../../util/signal.js';
import type {
  AssignedPartition,
  Consumer,
  ConsumerConfig,
  ConsumerRunConfig,
  GroupDescription,
  TopicPartitionOffsetAndMetadata,
  TopicPartitions,
} from '../api/consumer.js';
import { CONSUMER_EVENTS, type ConsumerEvents } from '../api/events.js';
import type { ClientContext, ClientShell } from '../client-context.js';
import { Connection } from '../connection.js';
import { KafkaJSError, KafkaJSNonRetriableError, KafkaJSNumberOfRetriesExceeded } from '../errors.js';
import { assertTopicPartition, notRunning, offsetNumber, type Position, positionOf } from './arguments.js';
import { type AssignedPosition, ConsumerSession, type SessionSettings } from './session.js';

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
  seek(partition: TopicPartition, position: Position): void;
  changePaused(topics: readonly TopicPartitions[], pause: boolean): void;
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
  const { restartOnFailure, ...retryConfig } = config.retry ?? {};
  const retry = { ...context.retry, ...retryConfig };
  const metadataMaxAgeMs = config.metadataMaxAge ?? 300_000;
  const metadata = context.newMetadata({
    connection,
    retry,
    maxAgeMs: metadataMaxAgeMs,
    allowAutoTopicCreation: config.allowAutoTopicCreation ?? true,
  });
  const settings: SessionSettings<K, V> = {
    rebalanceTimeoutMs: config.rebalanceTimeout ?? 60_000,
    maxBytesPerPartition: config.maxBytesPerPartition ?? 2 ** 20,
    minBytes: config.minBytes ?? 1,
    maxBytes: config.maxBytes ?? 10 * 2 ** 20,
    maxWaitMs: config.maxWaitTimeInMs ?? 5_000,
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
  const paused = new Map<string, Set<number> | 'all'>();
  let session: ConsumerSession<K, V> | undefined;
  let stopping: Promise<void> | undefined;
  /** Drops our listener on the signal of the run. */
  let forgetSignal: (() => void) | undefined;
  /** Aborts a restart that is being waited for. */
  let restarting: AbortController | undefined;

  async function connect(): Promise<void> {
    if (connection.isOpen) return;
    await connection.open();
    instrumentation.emit(CONSUMER_EVENTS.CONNECT);
  }

  async function disconnect(): Promise<void> {
    await stop();
    if (await connection.close()) instrumentation.emit(CONSUMER_EVENTS.DISCONNECT);
  }

  function stop(): Promise<void> {
    stopping ??= stopOnce().finally(() => {
      stopping = undefined;
    });
    return stopping;
  }

  async function stopOnce(): Promise<void> {
    forgetSignal?.();
    restarting?.abort();
    const ending = session;
    if (ending === undefined) return;
    await ending.stop();
    session = undefined;
    instrumentation.emit(CONSUMER_EVENTS.STOP);
    logger.info('Stopped', { groupId });
  }

  async function subscribe(subscription: Parameters<Consumer['subscribe']>[0]): Promise<void> {
    if (session !== undefined)
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
    const positions = partitions.map(({ topic, partition, offset = '-1' }) => {
      assertTopicPartition(topic, partition);
      return { topic, partition, position: positionOf(offset) };
    });
    assigned = positions;
    await session?.assign(positions);
  }

  async function run(runConfig: ConsumerRunConfig<K, V> = {}): Promise<void> {
    if (session !== undefined) {
      logger.warn('consumer#run was called, but the consumer is already running', { groupId });
      return;
    }
    const { signal } = runConfig;
    signal?.throwIfAborted();
    assertRunConfig(runConfig);
    await abortable(connect(), signal);
    forgetSignal?.();
    forgetSignal = onAbort(signal, () => void stop());
    await start(runConfig);
  }

  async function start(runConfig: ConsumerRunConfig<K, V>): Promise<void> {
    const started: ConsumerSession<K, V> = new ConsumerSession({
      runtime,
      connection,
      retry,
      logger,
      instrumentation,
      settings,
      reads: group === undefined ? assigned : await group.newSession(),
      config: runConfig,
      isPaused,
      setPaused,
      onCrash: (error) => void crashed(started, runConfig, error),
    });
    session = started;
    try {
      const starting = started.start();
      logger.info('Starting', { groupId }); // its first request is on its way: a line of the console takes milliseconds
      await starting;
    } catch (error) {
      // Who stops it while it starts hears of no crash.
      if (session === started && !stopping) await crashed(started, runConfig, error);
    }
  }

  /** As KafkaJS: everything stops; what may pass is tried again after a while, unless the user says no. */
  async function crashed(
    dead: ConsumerSession<K, V>,
    runConfig: ConsumerRunConfig<K, V>,
    error: unknown,
  ): Promise<void> {
    const failure = error instanceof Error ? error : new Error(String(error));
    logger.error(`Crash: ${failure.name}: ${failure.message}`, { groupId, stack: failure.stack });
    const waiting = new AbortController();
    restarting = waiting;
    await dead.stop();
    if (session === dead) session = undefined;
    instrumentation.emit(CONSUMER_EVENTS.STOP);
    const restart =
      !waiting.signal.aborted && mayPass(failure) && ((await restartOnFailure?.(failure).catch(() => true)) ?? true);
    instrumentation.emit(CONSUMER_EVENTS.CRASH, { error: failure, groupId, restart });
    if (!restart) return;
    const retryTime = failure instanceof KafkaJSNumberOfRetriesExceeded ? failure.retryTime : retry.initialRetryTime;
    logger.error(`Restarting the consumer in ${retryTime}ms`, { groupId });
    try {
      await runtime.clock.sleep(retryTime, waiting.signal);
    } catch {
      return; // stopped meanwhile
    }
    await start(runConfig);
  }

  function isPaused({ topic, partition }: TopicPartition): boolean {
    const entry = paused.get(topic);
    return entry === 'all' || (entry?.has(partition) ?? false);
  }

  function setPaused({ topic, partition }: TopicPartition, pause: boolean): void {
    const entry = paused.get(topic);
    if (entry === 'all' && pause) return;
    const others =
      session?.assignment().filter((other) => other.topic === topic && other.partition !== partition) ?? [];
    const numbers = entry === 'all' ? new Set(others.map((other) => other.partition)) : (entry ?? new Set<number>());
    if (pause) numbers.add(partition);
    else numbers.delete(partition);
    if (numbers.size === 0) paused.delete(topic);
    else paused.set(topic, numbers);
    session?.pausedChanged();
  }

  function changePaused(topics: readonly TopicPartitions[], pause: boolean): void {
    if (session === undefined) throw notRunning();
    for (const { topic, partitions } of topics) {
      if (partitions !== undefined) for (const partition of partitions) setPaused({ topic, partition }, pause);
      else if (pause) paused.set(topic, 'all');
      else paused.delete(topic);
    }
    session.pausedChanged();
  }

  const consumer: ConsumerBody<K, V> = {
    connect,
    disconnect,
    subscribe,
    assign,
    run,
    stop,
    isPaused,
    isRestarting: () => restarting !== undefined && !restarting.signal.aborted,
    async commitOffsets(offsets = []) {
      const checked = offsets.map(offsetToCommit);
      if (session === undefined) throw notRunning();
      await session.commitOffsets(checked);
    },
    seek(partition, position) {
      if (session === undefined) throw notRunning();
      session.seek(partition, position);
    },
    changePaused,
    paused: () =>
      Array.from(paused, ([topic, partitions]) => ({
        topic,
        partitions:
          partitions === 'all'
            ? (session?.assignment() ?? []).filter((other) => other.topic === topic).map(({ partition }) => partition)
            : [...partitions].sort((a, b) => a - b),
      })),
    assignment: () => session?.assignment() ?? [],
    async describeGroup(): Promise<GroupDescription> {
      if (group === undefined) throw new KafkaJSNonRetriableError('Consumer groupId must be a non-empty string.');
      return group.describe();
    },
  };
  return consumer;
}

/** Whether a crash is worth a restart: what a retry may mend. */
function mayPass(error: Error): boolean {
  return error instanceof KafkaJSNumberOfRetriesExceeded || (error instanceof KafkaJSError && error.retriable);
}

function assertRunConfig<K, V>({
  partitionsConsumedConcurrently,
  eachBatch,
  eachMessage,
}: ConsumerRunConfig<K, V>): void {
  for (const [name, handler] of Object.entries({ eachBatch, eachMessage })) {
    if (handler === undefined || handler === null || typeof handler === 'function') continue;
    throw new KafkaJSNonRetriableError(`Invalid ${name}, expected a function, received ${typeof handler}`);
  }
  if (partitionsConsumedConcurrently === undefined) return;
  if (Number.isInteger(partitionsConsumedConcurrently) && partitionsConsumedConcurrently > 0) return;
  throw new KafkaJSNonRetriableError(
    `Invalid partitionsConsumedConcurrently, expected at least 1, received ${partitionsConsumedConcurrently}`,
  );
}

function offsetToCommit(
  entry: TopicPartitionOffsetAndMetadata,
): TopicPartition & { offset: number; metadata: string | null } {
  const { topic, partition, metadata = null } = entry;
  assertTopicPartition(topic, partition);
  const offset = offsetNumber(entry.offset);
  if (offset < 0) throw new KafkaJSNonRetriableError('Offset must not be a negative number');
  if (metadata !== null && typeof metadata !== 'string') {
    throw new KafkaJSNonRetriableError(`Invalid offset metadata, expected string or null, received ${metadata}`);
  }
  return { topic, partition: Number(partition), offset, metadata };
}
