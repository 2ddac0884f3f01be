import { errorOf, KafkaError } from '../../protocol/errors.js';
import { MAX_PRODUCER_BATCHES_IN_FLIGHT, type ProduceRequest, type ProduceResponse } from '../../protocol/requests.js';
import { topicPartitionText } from '../../protocol/topic-partition.js';
import type { ClientRuntime } from '../../runtime/runtime.js';
import { concatBytes } from '../../util/bytes.js';
import type { EncryptionConfig, RetryOptions } from '../api/kafka.js';
import type { Logger } from '../api/logger.js';
import { LazyPart } from '../client-front.js';
import type { ClientParts } from '../client-parts.js';
import type { Connection } from '../connection.js';
import type { Deadlines } from '../deadlines.js';
import { type KafkaJSError, KafkaJSProtocolError, toKafkaJSError } from '../errors.js';
import { isRetriable } from '../retry.js';
import type { BatchRecovery } from './batch-recovery.js';
import {
  type ClosedBatch,
  describeBatch,
  mayBeStored,
  type OpenBatch,
  type PartitionQueue,
  type ProducerIdentity,
  type RecordAccumulator,
} from './record-accumulator.js';

/** A request carries at most this much (Kafka's `max.request.size`), a single larger batch apart. */
const MAX_REQUEST_BYTES = 2 ** 20;
/** Of one partition a request carries at most so many batches, so that small ones leave room for later requests. */
const MAX_REQUEST_BATCHES = MAX_PRODUCER_BATCHES_IN_FLIGHT / 4;
/** Smaller batches of a request share a buffer. */
const SMALL_BATCH_BYTES = 2 ** 12;
/** What is ready goes at once when it is this much, even while the caller goes on sending. */
const EAGER_BYTES = 2 ** 18;
/**
 * Turns of the microtask queue that an answer takes through the promises of `send` to whoever sends again, with some to
 * spare. What waits goes with those: else two groups of senders would take turns for ever, each waiting for the other.
 */
const ANSWER_TURNS = 24;

/** A broker forgets a producer that was silent for a day; this is well before. */
const REMEMBERED_MS = 12 * 60 * 60 * 1000;

/** Behind its deadline an answer is waited for so much longer: it says more, and the longest that a broker holds back takes a second. */
const GRACE_MS = 1_500;

interface SenderOptions {
  readonly connection: Connection;
  readonly accumulator: RecordAccumulator;
  readonly retry: Required<RetryOptions>;
  readonly maxInFlightRequests: number;
  readonly lingerMs: number;
  readonly logger: Logger;
  /** A producer id newer than the one given. */
  readonly renewIdentity: (old: ProducerIdentity) => Promise<ProducerIdentity>;
  /** A partition moved or vanished: what is known of its topic is old. */
  readonly onStaleTopic: (topic: string) => void;
  readonly encryption: EncryptionConfig | undefined;
  readonly deadlines: Deadlines;
  readonly loadRecovery: NonNullable<ClientParts['recovery']>;
}

interface Failure {
  readonly batch: ClosedBatch;
  readonly error: unknown;
}

/**
 * Sends closed batches: one Produce request takes the next batches of every partition that has some, and at most
 * `maxInFlightRequests` are out. A batch that is not full goes when nothing is out, so that company gathers meanwhile.
 *
 * A partition's batches are sent in order, and sent again in order: while some are to be repeated, the later ones
 * wait. With a producer id the broker refuses what comes too early and recognises what comes twice.
 */
export class Sender {
  readonly #options: SenderOptions;
  readonly #runtime: ClientRuntime;
  readonly #recovery: LazyPart<BatchRecovery>;
  /** When those that are out were sent, in that order. */
  readonly #requestsInFlight = new Set<{ readonly sentAtMs: number }>();
  #bytesInFlight = 0;
  #drainDue = false;
  #flushing = 0;
  #timer: { atMs: number; controller: AbortController } | undefined;
  /** When it is looked next at what is overdue. */
  #lookAtMs = Number.POSITIVE_INFINITY;
  #dropLook = (): void => {};
  #closed = false;
  #prepared = false;

  constructor(options: SenderOptions) {
    this.#options = options;
    this.#runtime = options.connection.runtime;
    this.#recovery = new LazyPart(async () =>
      (await options.loadRecovery()).batchRecovery({
        ...options,
        runtime: this.#runtime,
        wake: () => this.wake(),
        fail: (batch, error) => this.#fail(batch, error),
        settleFailed: (batch, error) => this.#settleFailed(batch, error),
      }),
    );
  }

  /** Nothing is on its way, so that no answer will come. */
  get isIdle(): boolean {
    return this.#requestsInFlight.size === 0;
  }

  /** Of the batches that are closed and not on their way. */
  get unsentBytes(): number {
    return this.#options.accumulator.bytes - this.#bytesInFlight;
  }

  /** Looks for something to send: now if there is much, else once the present step of the program is over. */
  wake(turns = 1): void {
    if (this.#closed) return;
    if (this.unsentBytes >= EAGER_BYTES) this.#drain(false);
    if (this.#drainDue) return;
    this.#drainDue = true;
    void passed(turns).then(() => {
      this.#drainDue = false;
      if (!this.#closed) this.#drain(true);
    });
  }

  /** A batch takes no more records. Where nothing is out it waits for no company: the disk works while more is made ready. */
  batchReady(): void {
    if (this.isIdle && !this.#closed) this.#drain(false);
    this.wake();
  }

  /** Sends without lingering until `until` settles. */
  async flush(until: Promise<unknown>): Promise<void> {
    this.#flushing++;
    this.#options.accumulator.closeAll();
    this.wake();
    try {
      await until;
    } finally {
      this.#flushing--;
    }
  }

  /** A closed batch that cannot be made ready (its codec failed). */
  failed(batch: ClosedBatch, error: unknown): void {
    takeOut(batch.queue.closed, batch);
    this.#fail(batch, toKafkaJSError(error));
  }

  /** Fails everything that is left; no timer remains. */
  close(error: KafkaJSError): void {
    this.#closed = true;
    this.#timer?.controller.abort();
    const { accumulator } = this.#options;
    accumulator.closeAll();
    for (const queue of [...accumulator.active]) {
      for (const batch of [...queue.closed.splice(0), ...queue.inFlight.splice(0)]) this.#settleFailed(batch, error);
    }
  }

  /**
   * Fills requests. Batches that are not full wait for company while a request is out that was when they were opened, and no
   * longer, or they would wait for a pause in all that is sent; where nothing is out, for the end of the step.
   */
  #drain(stepIsOver: boolean): void {
    const nowMs = this.#runtime.clock.monotonicMs();
    const [oldest] = this.#requestsInFlight;
    const openedBeforeMs = oldest?.sentAtMs ?? (stepIsOver ? Number.POSITIVE_INFINITY : 0);
    while (this.#requestsInFlight.size < this.#options.maxInFlightRequests) {
      const batches = this.#take(nowMs, openedBeforeMs);
      if (batches.length === 0) break;
      void this.#send(batches, nowMs);
    }
    this.#setTimer(nowMs);
  }

  /** One request: of every partition that may send, in turns, the next batch that is of one kind of acks and fits. */
  #take(nowMs: number, openedBeforeMs: number): ClosedBatch[] {
    const batches: ClosedBatch[] = [];
    let bytes = 0;
    for (let round = 0, before = -1; round < MAX_REQUEST_BATCHES && batches.length > before; round++) {
      before = batches.length;
      for (const queue of this.#options.accumulator.active) {
        const { open } = queue;
        if (open !== undefined && queue.closed.length === 0 && this.#isDue(open, nowMs, openedBeforeMs)) {
          this.#options.accumulator.close(queue);
        }
        const batch = this.#next(queue, nowMs, batches);
        if (batch === undefined) continue;
        if (batches[0] !== undefined && !canGoTogether(batches[0], batch)) continue;
        if (bytes > 0 && bytes + batch.bytes.length > MAX_REQUEST_BYTES) continue;
        queue.closed.shift();
        const [oldest] = queue.inFlight;
        batch.mayOvertake = oldest !== undefined && !batches.includes(oldest);
        queue.inFlight.push(batch);
        bytes += batch.bytes.length;
        batches.push(batch);
      }
    }
    return batches;
  }

  /** The first closed batch of a partition, if it may be sent now, in a request behind `taken`. */
  #next(queue: PartitionQueue, nowMs: number, taken: readonly ClosedBatch[]): ClosedBatch | undefined {
    const batch = queue.closed[0];
    if (batch === undefined || batch.preparing || batch.retryAtMs > nowMs) return undefined;
    const oldest = queue.inFlight[0];
    if (nowMs >= batch.deadlineMs) {
      if (oldest !== undefined) return undefined;
      queue.closed.shift();
      this.#fail(batch, overdue(batch, mayBeStored(batch)));
      this.wake();
      return undefined;
    }
    // Of one that may be stored only its old sequence can tell whether it is.
    if (batch.ordinal >= queue.brokenAt && (queue.repairing || !mayBeStored(batch))) {
      if (oldest === undefined && !queue.repairing) void this.#repair(queue);
      return undefined;
    }
    if (oldest === undefined) return batch;
    // A partition accepts any first sequence of a producer id that it does not know, so that the first batch must go alone.
    const silentMs = this.#runtime.clock.wallMs() - queue.acknowledgedAtMs;
    if (batch.baseSequence >= 0 && silentMs > REMEMBERED_MS) return undefined;
    // Requests may overtake each other, batches of one request do not.
    if (batch.attempts > 0 && !taken.includes(oldest)) return undefined;
    return batch.ordinal - oldest.ordinal < MAX_PRODUCER_BATCHES_IN_FLIGHT ? batch : undefined;
  }

  #isDue({ openedAtMs }: OpenBatch, nowMs: number, openedBeforeMs: number): boolean {
    if (this.#flushing > 0) return openedBeforeMs > 0;
    return openedAtMs < openedBeforeMs && nowMs - openedAtMs >= this.#options.lingerMs;
  }

  async #send(batches: readonly ClosedBatch[], sentAtMs: number): Promise<void> {
    const bytes = batches.reduce((sum, batch) => sum + batch.bytes.length, 0);
    const own = { sentAtMs };
    this.#requestsInFlight.add(own);
    this.#bytesInFlight += bytes;
    this.#options.accumulator.wakeWaiting();
    for (const batch of batches) batch.attempts++;
    const { acks, timeoutMs } = batches[0]!.settings;
    const request: ProduceRequest = {
      checksums: 'missing',
      transactionalId: null,
      acks,
      timeoutMs,
      topicData: topicData(batches),
    };
    if (acks === 0) for (const batch of batches) for (const { send } of batch.parts) send.succeed();
    let failures: Failure[];
    try {
      const response = await this.#options.connection.request('Produce', request, { waitMs: timeoutMs });
      failures = this.#closed ? [] : this.#answered(batches, response);
    } catch (error) {
      failures = batches.map((batch) => ({ batch, error }));
    }
    this.#requestsInFlight.delete(own);
    this.#bytesInFlight -= bytes;
    this.#options.accumulator.wakeWaiting();
    this.#prepare();
    if (failures.length > 0) await this.#recover(failures);
    this.wake(failures.length > 0 ? 1 : ANSWER_TURNS); // nobody sends again at once what failed
  }

  /** Settles what was acknowledged; the answer is what was not. */
  #answered(batches: readonly ClosedBatch[], response: ProduceResponse): Failure[] {
    const failures: Failure[] = [];
    const answers = answersByPartition(response);
    for (const batch of batches) {
      if (batch.settings.acks === 0) {
        this.#done(batch);
        continue;
      }
      const answer = answers.get(topicPartitionText(batch.queue))?.shift();
      if (answer === undefined) {
        const text = `expected an answer for ${topicPartitionText(batch.queue)}, found none`;
        failures.push({ batch, error: new KafkaError('UNKNOWN_SERVER_ERROR', text) });
        continue;
      }
      const error = errorOf(answer);
      // A duplicate beyond what the broker remembers: it is in the log, but nobody knows where.
      if (error !== undefined && error.type !== 'DUPLICATE_SEQUENCE_NUMBER') {
        failures.push({ batch, error });
        continue;
      }
      const baseOffset = error === undefined ? answer.baseOffset : -1;
      batch.queue.acknowledgedAtMs = this.#runtime.clock.wallMs();
      if (batch.baseSequence >= 0) batch.queue.log ??= answer.log;
      this.#done(batch);
      for (const { send, first } of batch.parts) {
        const result = {
          topicName: batch.queue.topic,
          partition: batch.queue.partition,
          errorCode: 0,
          baseOffset: String(baseOffset < 0 ? -1 : baseOffset + first),
          logAppendTime: String(answer.logAppendTimeMs),
          logStartOffset: String(answer.logStartOffset),
        };
        send.succeed({ batch, result });
      }
    }
    return failures;
  }

  /** Once the first answer is there, what failures need is loaded, so that hardly one waits for it. */
  #prepare(): void {
    if (this.#prepared) return;
    this.#prepared = true;
    this.#recovery.load().catch(() => {}); // the first failure tries again
  }

  /** What becomes of batches after a failed attempt. They stay in flight until the code for that is there. */
  async #recover(failures: readonly Failure[]): Promise<void> {
    let recovery: BatchRecovery | undefined;
    let notLoaded: unknown;
    try {
      recovery = this.#recovery.loaded ?? (await this.#recovery.load());
    } catch (error) {
      notLoaded = error;
    }
    if (this.#closed) return;
    for (const { batch, error } of failures) {
      takeOut(batch.queue.inFlight, batch);
      if (recovery !== undefined) recovery.recover(batch, error);
      else this.#fail(batch, isRetriable(toKafkaJSError(error)) ? toKafkaJSError(error) : notLoaded);
    }
  }

  /** Gives a partition a new producer id and its waiting batches new sequences. */
  async #repair(queue: PartitionQueue): Promise<void> {
    queue.repairing = true;
    try {
      await (await this.#recovery.load()).repair(queue);
    } catch (error) {
      for (const batch of queue.closed.splice(0)) this.#settleFailed(batch, toKafkaJSError(error));
    } finally {
      queue.repairing = false;
      this.wake();
    }
  }

  #done(batch: ClosedBatch): void {
    takeOut(batch.queue.inFlight, batch);
    this.#options.accumulator.release(batch);
  }

  /** The end of a batch that is not in the log, or perhaps: its sequences will be missing there. */
  #fail(batch: ClosedBatch, error: unknown): void {
    const { queue } = batch;
    if (batch.baseSequence >= 0 && queue.identity.producerId >= 0) {
      queue.brokenAt = Math.min(queue.brokenAt, batch.ordinal);
      if (!mayBeStored(batch)) queue.missingAt = Math.min(queue.missingAt, batch.ordinal);
    }
    this.#settleFailed(batch, error);
  }

  #settleFailed(batch: ClosedBatch, error: unknown): void {
    for (const { send } of batch.parts) send.fail(error);
    this.#options.accumulator.release(batch);
  }

  /** Whoever waits hears that the time is over, also while a batch is out, or behind others that are: it stays in its place. */
  #lookAtOverdue(): void {
    const { accumulator } = this.#options;
    const nowMs = this.#runtime.clock.monotonicMs();
    this.#lookAtMs = Number.POSITIVE_INFINITY;
    for (const queue of accumulator.active) {
      if (queue.open !== undefined && queue.open.deadlineMs <= nowMs) accumulator.close(queue);
      const { inFlight, closed } = queue;
      for (const batch of [...inFlight, ...closed]) {
        if (batch.deadlineMs > nowMs || batch.isOverdue) continue;
        batch.isOverdue = true;
        const error = overdue(batch, mayBeStored(batch) || inFlight.includes(batch));
        for (const { send } of batch.parts) send.fail(error);
      }
    }
    this.wake();
  }

  /** One timer for the nearest end of a linger or back-off, and one deadline. */
  #setTimer(nowMs: number): void {
    let atMs = Number.POSITIVE_INFINITY;
    let lookAtMs = Number.POSITIVE_INFINITY;
    for (const { open, closed, inFlight } of this.#options.accumulator.active) {
      for (const next of [inFlight.find(isInTime), closed.find(isInTime), open]) {
        if (next !== undefined) lookAtMs = Math.min(lookAtMs, next.deadlineMs);
      }
      if (open !== undefined && this.#options.lingerMs > 0)
        atMs = Math.min(atMs, open.openedAtMs + this.#options.lingerMs);
      const head = closed[0];
      if (head !== undefined && head.retryAtMs > nowMs) atMs = Math.min(atMs, head.retryAtMs);
    }
    if (lookAtMs < this.#lookAtMs) {
      this.#dropLook();
      this.#lookAtMs = lookAtMs;
      this.#dropLook = this.#options.deadlines.add(lookAtMs + GRACE_MS - nowMs, () => this.#lookAtOverdue());
    }
    if (atMs <= nowMs || atMs === Number.POSITIVE_INFINITY || (this.#timer !== undefined && this.#timer.atMs <= atMs))
      return;
    this.#timer?.controller.abort();
    const timer = { atMs, controller: new AbortController() };
    this.#timer = timer;
    this.#runtime.clock.sleep(atMs - nowMs, timer.controller.signal).then(
      () => {
        if (this.#timer === timer) this.#timer = undefined;
        this.wake();
      },
      () => {}, // aborted for an earlier one, or closed
    );
  }
}

async function passed(turns: number): Promise<void> {
  for (let i = 0; i < turns; i++) await Promise.resolve();
}

function canGoTogether({ settings: a }: ClosedBatch, { settings: b }: ClosedBatch): boolean {
  return a.acks === b.acks && a.timeoutMs === b.timeoutMs;
}

function isInTime({ isOverdue }: ClosedBatch): boolean {
  return !isOverdue;
}

function overdue(batch: ClosedBatch, outcomeUnknown: boolean): KafkaJSProtocolError {
  const text = `${describeBatch(batch)} was not acknowledged within the delivery timeout`;
  return new KafkaJSProtocolError(new KafkaError('REQUEST_TIMED_OUT', text), { outcomeUnknown });
}

type ProduceAnswer = ProduceResponse['responses'][number]['partitionResponses'][number];

/** The answers of each partition, in the order of its batches in the request. */
function answersByPartition({ responses }: ProduceResponse): Map<string, ProduceAnswer[]> {
  const byPartition = new Map<string, ProduceAnswer[]>();
  for (const { name, partitionResponses } of responses) {
    for (const answer of partitionResponses) {
      const key = topicPartitionText({ topic: name, partition: answer.index });
      const known = byPartition.get(key);
      if (known === undefined) byPartition.set(key, [answer]);
      else known.push(answer);
    }
  }
  return byPartition;
}

function topicData(batches: readonly ClosedBatch[]): ProduceRequest['topicData'] {
  const topics = new Map<string, ProduceRequest['topicData'][number]['partitionData'][number][]>();
  const copies = copiesOf(batches);
  for (const [at, { queue }] of batches.entries()) {
    const { incarnationId } = queue.identity;
    const { log } = queue;
    let partitions = topics.get(queue.topic);
    if (partitions === undefined) topics.set(queue.topic, (partitions = []));
    partitions.push({ index: queue.partition, records: copies[at]!, incarnationId, log });
  }
  return Array.from(topics, ([name, partitionData]) => ({ name, partitionData }));
}

/**
 * What the request gives away. To pass a buffer on costs both sides more than to copy a small batch once more, so that
 * those share one; a large batch has its own, which goes as it is right into the database.
 */
function copiesOf(batches: readonly ClosedBatch[]): Uint8Array[] {
  const isSmall = ({ length }: Uint8Array): boolean => length < SMALL_BATCH_BYTES;
  const shared = concatBytes(batches.map(({ bytes }) => bytes).filter(isSmall));
  let at = 0;
  return batches.map(({ bytes }) => (isSmall(bytes) ? shared.subarray(at, (at += bytes.length)) : bytes.slice()));
}

function takeOut(batches: ClosedBatch[], batch: ClosedBatch): void {
  batches.splice(batches.indexOf(batch), 1);
}
