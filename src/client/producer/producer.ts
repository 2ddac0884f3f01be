import { errorOf, KafkaError } from '../../protocol/errors.js';
import type { Acks } from '../../protocol/requests.js';
import { isInternalTopic } from '../../protocol/topic-partition.js';
import { NO_COMPRESSION } from '../../record/batch-layout.js';
import type { NewRecordHeader } from '../../record/record.js';
import { abortable, linkedController, OVER } from '../../util/signal.js';
import type { ProducerEvents } from '../api/events.js';
import type { RetryOptions } from '../api/kafka.js';
import type {
  ICustomPartitioner,
  Producer,
  ProducerBatch,
  ProducerConfig,
  RecordMetadata,
  TopicMessages,
} from '../api/producer.js';
import { assertNumbers } from '../assert-numbers.js';
import type { ClientContext, ClientShell } from '../client-context.js';
import { Connection } from '../connection.js';
import { Deadlines } from '../deadlines.js';
import { encryptionPart } from '../encryption-part.js';
import { KafkaJSConnectionError, KafkaJSError, KafkaJSNonRetriableError, KafkaJSProtocolError } from '../errors.js';
import { LATE_NEWS_WAITS_MS } from '../retry.js';
import { orderByPartition } from './order-by-partition.js';
import { DefaultPartitioner, keyPartitionerOf } from './partitioner.js';
import { PendingSend } from './pending-send.js';
import { type Preparation, type PreparedMessages, prepareMessages, STICKY } from './prepare-messages.js';
import { isIdempotent } from './producer-front.js';
import { type BatchSettings, NO_IDENTITY, type ProducerIdentity, RecordAccumulator } from './record-accumulator.js';
import { Sender } from './sender.js';

const DEFAULT_BATCH_BYTES = 60 * 1024;
const DEFAULT_BUFFER_BYTES = 32 * 2 ** 20;
/** More is not put into batches ahead of what is on its way: meanwhile the page gets to see the answers. */
const MAX_UNSENT_BYTES = 2 ** 20;
const DEFAULT_DELIVERY_TIMEOUT_MS = 120_000;
const DEFAULT_PRODUCE_TIMEOUT_MS = 30_000;
const DEFAULT_METADATA_MAX_AGE_MS = 300_000;
/** Kafka's default. Each carries up to 1 MiB, so that this also bounds what waits in the worker. */
const MAX_IN_FLIGHT_REQUESTS = 5;

interface MutableRecord {
  key: Uint8Array | string | null;
  value: Uint8Array | string | null;
  headers: readonly NewRecordHeader[] | undefined;
  timestampMs: number;
}

type Status = 'connected' | 'disconnecting' | 'disconnected';

/** What of a producer is loaded when it is first used; `producer-front.ts` is the rest. */
export type ProducerBody<K, V> = Pick<Producer<K, V>, 'connect' | 'disconnect' | 'send' | 'sendBatch' | 'flush'>;

/** See `Producer`. The journey of a record begins in `sendBatch`. */
export function makeProducer<K, V>(
  context: ClientContext,
  shell: ClientShell<ProducerEvents>,
  config: ProducerConfig<K, V>,
): ProducerBody<K, V> {
  const { runtime, encryption } = context;
  const { createPartitioner = DefaultPartitioner, keySerde, valueSerde } = config;
  const idempotent = isIdempotent(config);
  const { logger, instrumentation } = shell;
  const connection = new Connection({ ...context, runtime, instrumentation, ...context.track(() => disconnect()) });
  // The idempotent producer goes on until the delivery timeout, as in KafkaJS and Kafka.
  const retry = {
    ...context.retry,
    ...(idempotent && { retries: Number.MAX_SAFE_INTEGER }),
    ...config.retry,
  };
  const metadata = context.newMetadata({
    logger,
    connection,
    retry: { ...context.retry, ...config.retry },
    maxAgeMs: config.metadataMaxAge ?? DEFAULT_METADATA_MAX_AGE_MS,
    allowAutoTopicCreation: config.allowAutoTopicCreation ?? true,
  });
  const { linger = 0 } = config;
  const deliveryTimeoutMs =
    config.deliveryTimeout ?? Math.max(DEFAULT_DELIVERY_TIMEOUT_MS, linger + DEFAULT_PRODUCE_TIMEOUT_MS);
  const deadlines = new Deadlines(runtime.deadlineClock ?? runtime.clock);
  const bufferBytes = config.bufferMemory ?? DEFAULT_BUFFER_BYTES;
  const keyPartitioner = keyPartitionerOf(createPartitioner);
  const preparation: Preparation<K, V> = {
    keySerde,
    valueSerde,
    placement:
      keyPartitioner === undefined ? { byMessage: partitionerFrom(createPartitioner) } : { byKey: keyPartitioner },
  };

  let status: Status = 'disconnected';
  let wasConnected = false;
  let identity: ProducerIdentity = NO_IDENTITY;
  let connecting: Promise<void> | undefined;
  let closing: Promise<void> | undefined;
  let accumulator!: RecordAccumulator;
  let sender!: Sender;
  const outstanding = new Set<PendingSend>();
  /** Sends that wait for metadata or room, by topic: a later send to the topic must not overtake them. */
  const waiting = new Map<string, Promise<unknown>>();
  const record: MutableRecord = { key: null, value: null, headers: undefined, timestampMs: 0 };

  function newPipeline(): void {
    accumulator = new RecordAccumulator({
      runtime,
      batchSize: config.batchSize ?? DEFAULT_BATCH_BYTES,
      deliveryTimeoutMs,
      identity: () => identity,
      onReady: () => sender.batchReady(),
      onFailure: (batch, error) => sender.failed(batch, error),
      encrypt: encryption && (async (bytes) => (await encryptionPart()).encryptForTopic(bytes, encryption)),
    });
    sender = new Sender({
      connection,
      accumulator,
      retry,
      maxInFlightRequests: Math.min(config.maxInFlightRequests ?? MAX_IN_FLIGHT_REQUESTS, MAX_IN_FLIGHT_REQUESTS),
      lingerMs: linger,
      deadlines,
      logger,
      renewIdentity,
      encryption,
      onStaleTopic: (topic) => void metadata.load([topic]).catch(() => {}),
      loadRecovery: context.parts.recovery ?? (() => import('./batch-recovery.js')),
    });
  }

  /** Partitions that lost their sequences together share one new producer id. */
  async function renewIdentity(old: ProducerIdentity): Promise<ProducerIdentity> {
    if (identity === old) {
      const next = await initProducerId(retry);
      if (identity === old) identity = next;
    }
    return identity;
  }

  async function initProducerId(options: Required<RetryOptions>): Promise<ProducerIdentity> {
    const { producerId, producerEpoch, incarnationId } = await connection.retry({ options }, async () => {
      const response = await connection.request('InitProducerId', {
        transactionalId: null,
        transactionTimeoutMs: 60_000,
        producerId: -1,
        producerEpoch: -1,
      });
      throwOnError(response);
      return response;
    });
    return { producerId, producerEpoch, incarnationId };
  }

  async function open(): Promise<void> {
    await connection.open();
    try {
      if (idempotent) identity = await initProducerId(context.retry);
    } catch (error) {
      await connection.close(); // `disconnect` ends what was connected, which this never will be
      throw error;
    }
    newPipeline();
    status = 'connected';
    wasConnected = true;
  }

  async function connect(): Promise<void> {
    if (status === 'connected') return;
    connecting ??= (closing?.then(open, open) ?? open()).finally(() => {
      connecting = undefined;
    });
    await connecting;
  }

  async function disconnect(): Promise<void> {
    if (closing) await closing; // others have asked for the same end
    if (connecting) await connection.lastAnswer(connecting);
    if (connecting) await connection.close(); // nobody answers: it ends
    if (status !== 'connected') return;
    closing = end().finally(() => {
      closing = undefined;
    });
    await closing;
  }

  async function end(): Promise<void> {
    status = 'disconnecting';
    const flushed = sender.flush(settled());
    // However much there is to send, it goes on for as long as some of it is acknowledged.
    for (let before = -1, left = 0; outstanding.size > 0 && left !== before; ) {
      before = accumulator.bytes + outstanding.size;
      await connection.lastAnswer(flushed);
      left = accumulator.bytes + outstanding.size;
    }
    status = 'disconnected';
    deadlines.clear();
    sender.close(new KafkaJSConnectionError('Connection closed: the producer was disconnected before an answer came'));
    await connection.close();
  }

  async function settled(): Promise<void> {
    await Promise.allSettled([...outstanding].map(({ promise }) => promise));
  }

  function assertUsable(): void {
    if (status === 'disconnecting') {
      throw new KafkaJSNonRetriableError(
        "The producer is disconnecting; therefore, it can't safely accept messages anymore",
      );
    }
    // Unlike KafkaJS's, a producer that was never connected connects by itself.
    if (status === 'disconnected' && wasConnected) throw new KafkaJSError('The producer is disconnected');
  }

  async function sendBatch(batch: ProducerBatch<K, V>): Promise<RecordMetadata[]> {
    const topicMessages = merged(batch?.topicMessages ?? (batch && []));
    const settings = settingsOf(batch, idempotent, config.idempotent);
    batch.signal?.throwIfAborted();

    const send = new PendingSend();
    outstanding.add(send);
    const forget = (): void => void outstanding.delete(send);
    send.promise.then(forget, forget);
    let isAnswered = false;
    try {
      assertUsable();
      const ready = readyNow(topicMessages);
      if (ready !== undefined) admit(ready, send, settings);
      else await admitInTurn(topicMessages, send, settings, batch.signal);
      isAnswered = batch.acks === 0 && idempotent;
    } catch (error) {
      send.fail(error);
    }
    send.allAdded();
    return isAnswered ? [] : abortable(send.promise, batch.signal);
  }

  /** The fast way: everything is known and there is room, so that no promise is needed. */
  function readyNow(topicMessages: readonly TopicMessages<K, V>[]): Map<string, PreparedMessages> | undefined {
    if (status !== 'connected' || !hasRoom()) return undefined;
    const prepared = new Map<string, PreparedMessages>();
    for (const { topic, messages } of topicMessages) {
      const partitions = metadata.cached(topic);
      if (partitions === undefined || waiting.has(topic)) return undefined;
      const ready = unlessPartitionUnknown(() => prepareMessages(topic, messages, partitions, preparation));
      if (ready === undefined) return undefined;
      prepared.set(topic, ready);
    }
    return prepared;
  }

  function hasRoom(): boolean {
    return accumulator.bytes <= bufferBytes && (sender.isIdle || sender.unsentBytes <= MAX_UNSENT_BYTES);
  }

  /** The slow way: after the earlier sends to the same topics, with connection, metadata and room waited for. */
  async function admitInTurn(
    topicMessages: readonly TopicMessages<K, V>[],
    send: PendingSend,
    settings: BatchSettings,
    aborted: AbortSignal | undefined,
  ): Promise<void> {
    const topics = topicMessages.map(({ topic }) => topic);
    const before = topics.flatMap((topic) => waiting.get(topic) ?? []);
    const { life } = connection;
    const limit = linkedController(aborted);
    const { signal } = limit;
    send.deadlineMs = runtime.clock.monotonicMs() + deliveryTimeoutMs;
    const drop = deadlines.add(deliveryTimeoutMs, () => {
      const text = `a send to ${topics.join()} was not taken in within the delivery timeout, for want of partitions or of room`;
      const error = new KafkaError('REQUEST_TIMED_OUT', text);
      limit.abort(new KafkaJSProtocolError(error, { outcomeUnknown: false }));
    });
    const turn = (async () => {
      await Promise.all([connect(), Promise.allSettled(before)]);
      signal.throwIfAborted();
      const prepared = new Map<string, PreparedMessages>();
      for (const { topic, messages } of topicMessages) {
        life.throwIfAborted();
        prepared.set(topic, await prepareWithMetadata(topic, messages, signal));
      }
      while (!hasRoom()) await abortable(accumulator.room(), signal);
      signal.throwIfAborted();
      life.throwIfAborted();
      admit(prepared, send, settings);
    })();
    for (const topic of topics) waiting.set(topic, turn);
    const forget = (): void => {
      for (const topic of topics) if (waiting.get(topic) === turn) waiting.delete(topic);
    };
    turn.then(forget, forget);
    try {
      await abortable(turn, signal); // the turn itself stays: who comes behind it still waits for those ahead of it
    } finally {
      drop();
      limit.abort(OVER);
    }
  }

  /** A partition beyond the known ones may be a new one, whose news is late here: then the topic is asked for again. */
  async function prepareWithMetadata(
    topic: string,
    messages: TopicMessages<K, V>['messages'],
    signal: AbortSignal | undefined,
  ): Promise<PreparedMessages> {
    const { life } = connection;
    let known = await metadata.partitions(topic, signal);
    for (const ms of LATE_NEWS_WAITS_MS) {
      const prepared = unlessPartitionUnknown(() => prepareMessages(topic, messages, known, preparation));
      if (prepared !== undefined) return prepared;
      if (ms > 0) await runtime.clock.sleep(ms, signal);
      life.throwIfAborted();
      known = (await metadata.load([topic], signal)).get(topic)!;
    }
    return prepareMessages(topic, messages, known, preparation);
  }

  /** Puts checked messages into batches. Nothing here can fail. */
  function admit(prepared: ReadonlyMap<string, PreparedMessages>, send: PendingSend, settings: BatchSettings): void {
    const nowMs = runtime.clock.wallMs();
    for (const [topic, { messages, partitions, partitionCount, keyAt, valueAt, headers }] of prepared) {
      const queues = accumulator.queuesOf(topic, partitionCount);
      const order = orderByPartition(partitions, partitionCount);
      const partitionAt = (at: number): number => partitions[order === undefined ? at : order[at]!]!;
      const recordAt = (at: number): MutableRecord => {
        const index = order === undefined ? at : order[at]!;
        const { timestamp } = messages[index]!;
        record.key = keyAt(index);
        record.value = valueAt(index);
        record.headers = headers?.[index];
        record.timestampMs = Number(timestamp ?? nowMs);
        return record;
      };
      for (let from = 0, to = 0; from < partitions.length; ) {
        const partition = partitionAt(from);
        while (to < partitions.length && partitionAt(to) === partition) to++;
        const queue = queues[partition === STICKY ? accumulator.stickyPartition(topic, partitionCount) : partition]!;
        from += accumulator.append(queue, { recordAt, from, to }, send, settings);
      }
    }
    sender.wake();
  }

  const producer: ProducerBody<K, V> = {
    connect,
    disconnect,
    async send(record) {
      const { topic, messages, ...settings } = record ?? {};
      return sendBatch({ ...settings, topicMessages: [{ topic, messages }] });
    },
    sendBatch,
    async flush() {
      const sent = settled();
      await connecting?.catch(() => {});
      await (status === 'connected' ? sender.flush(sent) : sent);
    },
  };
  return producer;
}

function partitionerFrom(create: ICustomPartitioner): ReturnType<ICustomPartitioner> {
  const partitioner: unknown = typeof create === 'function' && create();
  if (typeof partitioner === 'function') return partitioner as ReturnType<ICustomPartitioner>;
  throw new KafkaJSNonRetriableError('Invalid createPartitioner, expected a function that makes a function');
}

/** undefined where a message names a partition that is not known yet. */
function unlessPartitionUnknown<T>(prepare: () => T): T | undefined {
  try {
    return prepare();
  } catch (error) {
    if (error instanceof KafkaJSProtocolError && error.type === 'UNKNOWN_TOPIC_OR_PARTITION') return undefined;
    throw error;
  }
}

/** Entries of the same topic become one, as in KafkaJS; what is no list of messages is refused. */
function merged<K, V>(topicMessages: readonly TopicMessages<K, V>[]): TopicMessages<K, V>[] {
  const byTopic = new Map<string, TopicMessages<K, V>['messages']>();
  if (!Array.isArray(topicMessages)) throw new KafkaJSNonRetriableError(`Invalid topicMessages array ${topicMessages}`);
  for (const entry of topicMessages as readonly TopicMessages<K, V>[]) {
    const topic = entry?.topic;
    if (!topic || typeof topic !== 'string') throw new KafkaJSNonRetriableError('Invalid topic');
    const { messages } = entry;
    if (isInternalTopic(topic)) {
      const text = `topic "${topic}" is internal: only the broker writes to it`;
      throw new KafkaJSProtocolError(new KafkaError('INVALID_TOPIC_EXCEPTION', text));
    }
    if (!Array.isArray(messages)) {
      throw new KafkaJSNonRetriableError(`Invalid messages array [${messages}] for topic "${topic}"`);
    }
    const known = byTopic.get(topic);
    byTopic.set(topic, known === undefined ? messages : [...known, ...messages]);
  }
  return Array.from(byTopic, ([topic, messages]) => ({ topic, messages }));
}

const DEFAULT_SETTINGS: BatchSettings = {
  acks: -1,
  timeoutMs: DEFAULT_PRODUCE_TIMEOUT_MS,
  compression: NO_COMPRESSION,
};

/**
 * Who asks for idempotence must want all acknowledgements, as in KafkaJS. Where it is ours by default, less may be asked
 * for, and more is given: KafkaJS code with acks 0 or 1 has not asked for it.
 */
function settingsOf<K, V>(
  { acks = -1, timeout, compression }: ProducerBatch<K, V>,
  idempotent: boolean,
  isAskedFor: boolean | undefined,
): BatchSettings {
  if (acks !== -1 && acks !== 0 && acks !== 1) {
    const text = `Invalid acks, expected -1, 0 or 1, received ${acks}`;
    throw new KafkaJSNonRetriableError(new KafkaError('INVALID_REQUIRED_ACKS', text));
  }
  if (isAskedFor && acks !== -1) {
    throw new KafkaJSNonRetriableError(
      "Not requiring ack for all messages invalidates the idempotent producer's EoS guarantees",
    );
  }
  const asked: Acks = idempotent ? -1 : acks;
  if (asked === -1 && timeout === undefined && !compression) return DEFAULT_SETTINGS;
  assertNumbers({ timeout });
  return {
    acks: asked,
    timeoutMs: timeout ?? DEFAULT_PRODUCE_TIMEOUT_MS,
    compression: compression ?? NO_COMPRESSION,
  };
}

function throwOnError(response: { errorCode: number; errorMessage: string | null }): void {
  const error = errorOf(response);
  if (error !== undefined) throw error;
}
