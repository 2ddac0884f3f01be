import { KafkaError, type KafkaErrorName } from '../../protocol/errors.js';
import { decompressBatch } from '../../record/batch-compression.js';
import { compressionOf, readBatchHeader } from '../../record/batch-header.js';
import { ENCRYPTED } from '../../record/batch-layout.js';
import { splitBatch } from '../../record/split-batch.js';
import { writeUnsealedHeader } from '../../record/write-unsealed-header.js';
import type { ClientRuntime } from '../../runtime/runtime.js';
import type { EncryptionConfig, RetryOptions } from '../api/kafka.js';
import type { Logger } from '../api/logger.js';
import { encryptionPart } from '../encryption-part.js';
import { KafkaJSNumberOfRetriesExceeded, KafkaJSProtocolError, toKafkaJSError } from '../errors.js';
import { retryDelayMs } from '../retry.js';
import {
  type BatchPart,
  type ClosedBatch,
  describeBatch,
  mayBeStored,
  type PartitionQueue,
  type ProducerIdentity,
  type RecordAccumulator,
  SEQUENCES,
  takeSequences,
} from './record-accumulator.js';

/** After these the batch may or may not be in the log. */
const IN_DOUBT: ReadonlySet<KafkaErrorName> = new Set(['NETWORK_EXCEPTION', 'REQUEST_TIMED_OUT']);

/** The broker does not know how the sequences of this producer id go on. */
const LOST_SEQUENCE: ReadonlySet<KafkaErrorName> = new Set([
  'OUT_OF_ORDER_SEQUENCE_NUMBER',
  'UNKNOWN_PRODUCER_ID',
  'INVALID_PRODUCER_EPOCH',
  'UNKNOWN_TOPIC_ID',
]);

/** Kafka's producer fails for the second; but its batches, and KafkaJS's, hold no more than a broker's segment as a rule. */
const TOO_LARGE: ReadonlySet<KafkaErrorName> = new Set(['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE']);

/** The data that the batch may be in is no more. */
const OTHER_DATA: ReadonlySet<KafkaErrorName> = new Set(['UNKNOWN_PRODUCER_ID', 'UNKNOWN_TOPIC_ID']);

/** Before all ordinals: the broker knows other sequences than those of this partition. */
const EVERYWHERE = -1;

interface RecoveryOptions {
  readonly runtime: ClientRuntime;
  readonly accumulator: RecordAccumulator;
  readonly retry: Required<RetryOptions>;
  readonly logger: Logger;
  readonly encryption: EncryptionConfig | undefined;
  /** There may be something to send. */
  readonly wake: () => void;
  readonly renewIdentity: (old: ProducerIdentity) => Promise<ProducerIdentity>;
  readonly onStaleTopic: (topic: string) => void;
  /** The end of a batch, whose sequences will be missing. */
  readonly fail: (batch: ClosedBatch, error: unknown) => void;
  /** The same, under a producer id that is no longer used. */
  readonly settleFailed: (batch: ClosedBatch, error: unknown) => void;
}

/** What a sender needs when something fails; see `batchRecovery`. */
export interface BatchRecovery {
  /** Decides what becomes of a batch after a failed attempt: again, in pieces, under a new producer id, or never. */
  recover(batch: ClosedBatch, error: unknown): void;
  /** Gives a partition a new producer id and its waiting batches new sequences. Where there is no id, they fail. */
  repair(queue: PartitionQueue): Promise<void>;
}

/** The part of a `Sender` that is loaded behind its first acknowledgement, or with the first failure. */
export function batchRecovery(options: RecoveryOptions): BatchRecovery {
  const { runtime, accumulator, retry, logger, fail } = options;

  function recover(batch: ClosedBatch, caught: unknown): void {
    const error = toKafkaJSError(caught);
    if (error instanceof KafkaJSProtocolError && IN_DOUBT.has(error.type)) batch.inDoubt = true;
    if (batch.settings.acks === 0) {
      logger.debug(`${describeBatch(batch)}, sent with acks 0, failed`, { error: String(error) });
      accumulator.release(batch);
    } else if (!(error instanceof KafkaJSProtocolError)) fail(batch, error);
    else if (LOST_SEQUENCE.has(error.type) && batch.baseSequence >= 0) lostSequence(batch, error);
    else if (TOO_LARGE.has(error.type) && batch.recordCount > 1) void split(batch);
    else if (error.retriable) sendAgain(batch, error);
    else fail(batch, asIs(error, batch));
  }

  function sendAgain(batch: ClosedBatch, error: KafkaJSProtocolError): void {
    const nowMs = runtime.clock.monotonicMs();
    const retryCount = batch.attempts - 1;
    const delayMs = retryDelayMs(error, { retryCount, options: retry, random: runtime.random });
    if (delayMs >= retry.initialRetryTime * (1 - retry.factor)) batch.countedRetries++;
    const { retries } = retry;
    if (batch.countedRetries > retries || retries === 0 || nowMs + delayMs >= batch.deadlineMs) {
      const limits = { retryCount, retryTime: delayMs };
      fail(batch, new KafkaJSNumberOfRetriesExceeded(asIs(error, batch), limits));
      return;
    }
    if (error.type === 'UNKNOWN_TOPIC_OR_PARTITION') options.onStaleTopic(batch.queue.topic);
    logger.debug(`${describeBatch(batch)} is sent again`, { error: error.message, delayMs });
    batch.retryAtMs = nowMs + delayMs;
    accumulator.requeue(batch);
  }

  /**
   * The broker refused the sequence. Behind an earlier batch that is to be repeated, or was out at the same time, this only
   * means "too early". Otherwise the partition goes on under a new producer id, to which the old sequences mean nothing: a batch that may
   * already be in the log must then not be sent again, or it could be there twice.
   */
  function lostSequence(batch: ClosedBatch, error: KafkaJSProtocolError): void {
    const { queue } = batch;
    const isEarlier = ({ ordinal }: ClosedBatch): boolean => ordinal < batch.ordinal;
    const isBehindGap = queue.brokenAt >= 0 && queue.brokenAt < batch.ordinal;
    const tooEarly =
      error.type === 'OUT_OF_ORDER_SEQUENCE_NUMBER' &&
      (queue.closed.some(isEarlier) || queue.inFlight.some(isEarlier) || (batch.mayOvertake && !isBehindGap));
    if (!tooEarly) {
      const nowMs = runtime.clock.monotonicMs();
      // Other data knows nothing of the batch, whatever became of it in that which was cleared.
      if (OTHER_DATA.has(error.type)) batch.inDoubt = false;
      if (error.type === 'OUT_OF_ORDER_SEQUENCE_NUMBER' && isBehindGap) {
        // The one that failed before it is not in the log, and so is none that came later.
        queue.missingAt = Math.min(queue.missingAt, queue.brokenAt);
      } else {
        queue.brokenAt = EVERYWHERE; // nothing follows from what is refused
      }
      if (mayBeStored(batch) || nowMs >= batch.deadlineMs) {
        fail(batch, asIs(error, batch));
        return;
      }
      // The topic was made anew: what the old one may have is no more, and the new one knows no sequence of this producer.
      if (error.type === 'UNKNOWN_TOPIC_ID') queue.identity = { ...queue.identity, incarnationId: undefined };
      if (batch.attempts > 1) batch.retryAtMs = nowMs + retry.initialRetryTime;
    }
    accumulator.requeue(batch);
  }

  /**
   * Halves a batch that is too large for its topic, as Kafka's producer does. What is compressed or encrypted is laid open
   * and made ready again; meanwhile the batch holds its place, so that no later one overtakes.
   */
  async function split(batch: ClosedBatch): Promise<void> {
    const { queue, settings } = batch;
    const half = batch.recordCount >> 1;
    if (mayBeStored(batch)) queue.brokenAt = EVERYWHERE; // if it is there, then as a whole: its pieces are refused
    if (compressionOf(readBatchHeader(batch.bytes)) === 0) {
      accumulator.replace(batch, piecesOf(batch, splitBatch(batch.bytes, half)));
      return;
    }
    batch.preparing = true;
    accumulator.requeue(batch);
    try {
      const halves = splitBatch(await laidOpen(batch.bytes), half);
      const prepared = await Promise.all(halves.map((bytes) => accumulator.prepared({ bytes, settings })));
      const at = queue.closed.indexOf(batch);
      if (at < 0) return; // failed meanwhile, with all others
      queue.closed.splice(at, 1);
      accumulator.replace(batch, piecesOf(batch, prepared));
    } catch (error) {
      const at = queue.closed.indexOf(batch);
      if (at < 0) return;
      queue.closed.splice(at, 1);
      fail(batch, toKafkaJSError(error));
    }
    options.wake();
  }

  async function laidOpen(bytes: Uint8Array): Promise<Uint8Array> {
    if (compressionOf(readBatchHeader(bytes)) !== ENCRYPTED) return decompressBatch(bytes);
    return (await encryptionPart()).decryptFetched(bytes, 0, options.encryption);
  }

  function piecesOf(batch: ClosedBatch, halves: readonly Uint8Array[]): ClosedBatch[] {
    const half = batch.recordCount >> 1;
    const head = readBatchHeader(batch.bytes); // a repair may have given it another producer since
    const pieces = halves.map((bytes, index): ClosedBatch => {
      const from = index * half;
      const to = index === 0 ? half : batch.recordCount;
      const baseSequence = batch.baseSequence < 0 ? -1 : (batch.baseSequence + from) % SEQUENCES;
      const { producerId, producerEpoch } = head;
      writeUnsealedHeader(bytes, 0, bytes.length, {
        ...readBatchHeader(bytes),
        producerId,
        producerEpoch,
        baseSequence,
      });
      return {
        ...batch,
        preparing: false,
        parts: partsWithin(batch.parts, from, to),
        recordCount: to - from,
        ordinal: batch.ordinal + index * 2 ** -(batch.attempts + 10),
        bytes,
        builder: undefined,
        baseSequence,
        retryAtMs: 0,
      };
    });
    for (const { parts } of pieces) for (const { send } of parts) send.addBatch();
    for (const { send } of batch.parts) send.succeed();
    return pieces;
  }

  async function repair(queue: PartitionQueue): Promise<void> {
    let identity: ProducerIdentity;
    try {
      identity = await options.renewIdentity(queue.identity);
    } catch (caught) {
      for (const batch of queue.closed.splice(0)) options.settleFailed(batch, ofBatch(toKafkaJSError(caught), batch));
      return;
    }
    const isOtherData = identity.incarnationId !== queue.identity.incarnationId;
    queue.identity = identity;
    queue.nextSequence = 0;
    queue.acknowledgedAtMs = Number.NEGATIVE_INFINITY;
    queue.log = undefined;
    // Behind a gap the first one that waits was refused each time, and so were those behind it, whatever became of the answers.
    const inDoubt = isOtherData || queue.brokenAt >= 0 ? [] : queue.closed.filter(mayBeStored);
    queue.brokenAt = Number.POSITIVE_INFINITY;
    queue.missingAt = Number.POSITIVE_INFINITY;
    for (const batch of [...queue.closed]) {
      if (!inDoubt.includes(batch)) {
        batch.inDoubt = false;
        resequence(batch);
        continue;
      }
      queue.closed.splice(queue.closed.indexOf(batch), 1);
      const text = `${describeBatch(batch)}: the sequences of producer ${identity.producerId} were lost before it was acknowledged`;
      const error = new KafkaError('OUT_OF_ORDER_SEQUENCE_NUMBER', text);
      options.settleFailed(batch, new KafkaJSProtocolError(error, { outcomeUnknown: true }));
    }
  }

  return { recover, repair };
}

/** The error of the last attempt, with what is unknown of all of them. */
function asIs(error: KafkaJSProtocolError, batch: ClosedBatch): KafkaJSProtocolError {
  return new KafkaJSProtocolError(error.cause as KafkaError, { outcomeUnknown: mayBeStored(batch) });
}

/** What failed for a batch that was not part of it, with what is unknown of the batch. */
function ofBatch(error: unknown, batch: ClosedBatch): unknown {
  if (error instanceof KafkaJSNumberOfRetriesExceeded) {
    return new KafkaJSNumberOfRetriesExceeded(ofBatch(error.cause, batch) as Error, error);
  }
  return error instanceof KafkaJSProtocolError ? asIs(error, batch) : error;
}

/** Gives a batch that was not accepted the next sequences of its partition, under its present producer id. */
function resequence(batch: ClosedBatch): void {
  const { queue, bytes } = batch;
  const { producerId, producerEpoch } = queue.identity;
  const baseSequence = takeSequences(queue, batch.recordCount);
  batch.baseSequence = baseSequence;
  writeUnsealedHeader(bytes, 0, bytes.length, { ...readBatchHeader(bytes), producerId, producerEpoch, baseSequence });
}

/** The parts of a batch that lie in [from, to), counted from there. */
function partsWithin(parts: readonly BatchPart[], from: number, to: number): BatchPart[] {
  return parts.flatMap(({ send, first }, index) => {
    const end = parts[index + 1]?.first ?? Number.POSITIVE_INFINITY;
    return first < to && end > from ? [{ send, first: Math.max(first, from) - from }] : [];
  });
}
