import type { Acks } from '../../protocol/requests.js';
import { topicPartitionText } from '../../protocol/topic-partition.js';
import { compressBatch } from '../../record/batch-compression.js';
import { NO_COMPRESSION, PRODUCER_ID_AT, RECORD_COUNT_AT } from '../../record/batch-layout.js';
import type { CompressionType } from '../../record/compression-types.js';
import { type RecordAt, RecordBatchBuilder } from '../../record/record-batch-builder.js';
import type { ClientRuntime } from '../../runtime/runtime.js';
import type { PendingSend } from './pending-send.js';

/** Sequences wrap to 0 behind this (Kafka's record format: a signed 32-bit integer). */
export const SEQUENCES: number = 2 ** 31;
/** Memory that builders keep while nothing is to be sent: that of four full batches, or of one small batch for each of many partitions. */
const MAX_IDLE_BYTES = 256 * 1024;

export interface ProducerIdentity {
  readonly producerId: number;
  readonly producerEpoch: number;
  /** Of the data that knows this producer. */
  readonly incarnationId?: string | undefined;
}

export const NO_IDENTITY: ProducerIdentity = { producerId: -1, producerEpoch: -1 };

/** What all records of a batch must have in common, besides their partition. */
export interface BatchSettings {
  readonly acks: Acks;
  readonly timeoutMs: number;
  readonly compression: CompressionType;
}

/** The records that one send has in one batch. */
export interface BatchPart {
  readonly send: PendingSend;
  /** Index in the batch of its first record there. */
  readonly first: number;
}

/** A finished batch on its way. */
export interface ClosedBatch {
  readonly queue: PartitionQueue;
  readonly settings: BatchSettings;
  readonly parts: readonly BatchPart[];
  readonly recordCount: number;
  /** Place among the batches of its partition; never changes, whatever is sent again. */
  readonly ordinal: number;
  readonly deadlineMs: number;
  /** Kept until the end: a request takes a copy, because what is sent may be transferred. */
  bytes: Uint8Array;
  /** In whose memory `bytes` may be, until the batch is done. */
  builder: RecordBatchBuilder | undefined;
  baseSequence: number;
  /** Compression or encryption is under way. */
  preparing: boolean;
  attempts: number;
  /** It was sent while earlier ones of its partition were out in other requests. */
  mayOvertake: boolean;
  /** Attempts that the retry limit counts: those made while a leader is being replaced are not. */
  countedRetries: number;
  retryAtMs: number;
  /** An attempt ended without an answer: see `mayBeStored`. */
  inDoubt: boolean;
  /** Its deadline is over, and whoever waited has heard of it. */
  isOverdue: boolean;
}

/** The batches of one partition: one open, those closed in order, those in flight in order. */
export interface PartitionQueue {
  readonly topic: string;
  readonly partition: number;
  open: OpenBatch | undefined;
  /** By ordinal. */
  readonly closed: ClosedBatch[];
  /** By ordinal. */
  readonly inFlight: ClosedBatch[];
  identity: ProducerIdentity;
  nextSequence: number;
  /** When a batch under this identity was last acknowledged: for a while from then on the broker refuses what comes too early. */
  acknowledgedAtMs: number;
  /** The log that it is in: no other is given what comes behind. */
  log: number | undefined;
  nextOrdinal: number;
  /** The first ordinal that lost its sequences for good: from there on a new producer id is needed, once nothing is left before. */
  brokenAt: number;
  /** The first that is surely not in the log: what comes behind this gap was refused, however its attempts ended. */
  missingAt: number;
  repairing: boolean;
}

export interface OpenBatch {
  readonly builder: RecordBatchBuilder;
  readonly settings: BatchSettings;
  readonly parts: BatchPart[];
  readonly openedAtMs: number;
  deadlineMs: number;
}

/** Records of one partition. */
interface RecordRange {
  readonly recordAt: RecordAt;
  readonly from: number;
  /** Exclusive. */
  readonly to: number;
}

interface AccumulatorOptions {
  readonly runtime: ClientRuntime;
  readonly batchSize: number;
  readonly deliveryTimeoutMs: number;
  /** The identity that new partitions begin with. */
  readonly identity: () => ProducerIdentity;
  /** A full batch was closed, or one has become ready to be sent. */
  readonly onReady: () => void;
  readonly onFailure: (batch: ClosedBatch, error: unknown) => void;
  /** Of whole batches; undefined: they are sent in clear. */
  readonly encrypt: ((bytes: Uint8Array) => Promise<Uint8Array>) | undefined;
}

/** Gathers records into batches, one open batch a partition. */
export class RecordAccumulator {
  readonly #options: AccumulatorOptions;
  readonly #queues = new Map<string, PartitionQueue[]>();
  readonly #sticky = new Map<string, number>();
  /** Queues that hold something to send. */
  readonly #active = new Set<PartitionQueue>();
  #builders: RecordBatchBuilder[] = [];
  /** The last batch that was closed. */
  #wasFull = false;
  #bytes = 0;
  #onRoom: (() => void)[] = [];

  constructor(options: AccumulatorOptions) {
    this.#options = options;
  }

  /** Of all batches that are closed and not yet acknowledged. */
  get bytes(): number {
    return this.#bytes;
  }

  get active(): Iterable<PartitionQueue> {
    return this.#active;
  }

  /** The queues of a topic by partition number; grows as the topic does. */
  queuesOf(topic: string, partitionCount: number): readonly PartitionQueue[] {
    let queues = this.#queues.get(topic);
    if (queues === undefined) this.#queues.set(topic, (queues = []));
    while (queues.length < partitionCount) queues.push(this.#newQueue(topic, queues.length));
    return queues;
  }

  /** The partition for records without a key: the same until its batch is closed, then another, drawn anew. */
  stickyPartition(topic: string, partitionCount: number): number {
    const current = this.#sticky.get(topic);
    if (current !== undefined && current < partitionCount) return current;
    const next = this.#options.runtime.random.below(partitionCount);
    this.#sticky.set(topic, next);
    return next;
  }

  /**
   * Adds records that have been checked to the open batch of their partition, as many as it takes, and closes it when it
   * is full. Returns how many; none where it was full before.
   */
  append(
    queue: PartitionQueue,
    { recordAt, from, to }: RecordRange,
    send: PendingSend,
    settings: BatchSettings,
  ): number {
    if (queue.open !== undefined && !isSame(queue.open.settings, settings)) this.close(queue);
    const open = queue.open ?? this.#open(queue, settings);
    const { builder, parts } = open;
    open.deadlineMs = Math.min(open.deadlineMs, send.deadlineMs);
    const first = builder.recordCount;
    const count = builder.appendMany(recordAt, from, to);
    if (count > 0 && parts[parts.length - 1]?.send !== send) {
      parts.push({ send, first });
      send.addBatch();
    }
    const isFull = count < to - from || builder.sizeInBytes >= this.#options.batchSize;
    if (isFull) {
      this.close(queue);
      this.#options.onReady();
    }
    return count;
  }

  /** Ends the open batch, if there is one. */
  close(queue: PartitionQueue): void {
    const { open } = queue;
    if (open === undefined) return;
    queue.open = undefined;
    const { recordCount } = open.builder;
    const { producerId, producerEpoch } = queue.identity;
    const baseSequence = producerId < 0 ? -1 : takeSequences(queue, recordCount);
    const bytes = open.builder.end({ producerId, producerEpoch, baseSequence });
    this.#wasFull = bytes.length > this.#options.batchSize / 2;
    const batch: ClosedBatch = {
      queue,
      settings: open.settings,
      parts: open.parts,
      recordCount,
      ordinal: queue.nextOrdinal++,
      deadlineMs: open.deadlineMs,
      bytes,
      builder: open.builder,
      baseSequence,
      preparing: false,
      attempts: 0,
      mayOvertake: false,
      countedRetries: 0,
      retryAtMs: 0,
      inDoubt: false,
      isOverdue: false,
    };
    this.#bytes += bytes.length;
    queue.closed.push(batch);
    if (this.#sticky.get(queue.topic) === queue.partition) this.#sticky.delete(queue.topic);
    if (open.settings.compression !== NO_COMPRESSION || this.#options.encrypt) void this.#prepare(batch);
  }

  closeAll(): void {
    for (const queue of this.#active) this.close(queue);
  }

  /** Puts a batch back, in its order. */
  requeue(batch: ClosedBatch): void {
    const { closed } = batch.queue;
    const at = closed.findIndex(({ ordinal }) => ordinal > batch.ordinal);
    closed.splice(at < 0 ? closed.length : at, 0, batch);
    this.#active.add(batch.queue);
  }

  /** Forgets a batch that is done, whether it succeeded or not. */
  release(batch: ClosedBatch): void {
    this.#bytes -= batch.bytes.length;
    this.#reuse(batch);
    this.settle(batch.queue);
    this.wakeWaiting();
  }

  /** There may be room now. */
  wakeWaiting(): void {
    const waiting = this.#onRoom;
    this.#onRoom = [];
    for (const wake of waiting) wake();
  }

  /** Takes a queue off the active ones when it holds nothing more. */
  settle(queue: PartitionQueue): void {
    if (queue.open === undefined && queue.closed.length === 0 && queue.inFlight.length === 0)
      this.#active.delete(queue);
  }

  /** Replaces a batch by its parts (a batch too large for its topic), sizes accounted for. */
  replace(batch: ClosedBatch, pieces: readonly ClosedBatch[]): void {
    this.#bytes -= batch.bytes.length;
    this.#reuse(batch);
    for (const piece of pieces) {
      this.#bytes += piece.bytes.length;
      this.requeue(piece);
    }
  }

  /** Resolves when there may be room. */
  room(): Promise<void> {
    return new Promise((resolve) => this.#onRoom.push(resolve));
  }

  /** The memory of a batch that is done serves the next ones; when there are none, little of it is kept. */
  #reuse(batch: ClosedBatch): void {
    const { builder } = batch;
    if (builder === undefined) return;
    batch.builder = undefined; // to one batch at a time
    builder.clear();
    this.#builders.push(builder);
    if (this.#bytes > 0) return;
    let kept = 0;
    this.#builders = this.#builders.filter(({ capacity }) => (kept += capacity) <= MAX_IDLE_BYTES);
  }

  #open(queue: PartitionQueue, settings: BatchSettings): OpenBatch {
    const { batchSize: maxBytes } = this.#options;
    // Who has just filled a batch fills the next one, too: memory that grows is made several times.
    const builder =
      this.#builders.pop() ?? new RecordBatchBuilder({ maxBytes, capacity: this.#wasFull ? maxBytes : 0 });
    const openedAtMs = this.#options.runtime.clock.monotonicMs();
    const deadlineMs = openedAtMs + this.#options.deliveryTimeoutMs;
    const open: OpenBatch = { builder, settings, parts: [], openedAtMs, deadlineMs };
    queue.open = open;
    this.#active.add(queue);
    return open;
  }

  #newQueue(topic: string, partition: number): PartitionQueue {
    return {
      topic,
      partition,
      open: undefined,
      closed: [],
      inFlight: [],
      identity: this.#options.identity(),
      nextSequence: 0,
      acknowledgedAtMs: Number.NEGATIVE_INFINITY,
      log: undefined,
      nextOrdinal: 0,
      brokenAt: Number.POSITIVE_INFINITY,
      missingAt: Number.POSITIVE_INFINITY,
      repairing: false,
    };
  }

  /** Compresses, then encrypts: what is encrypted cannot be compressed any more. */
  async prepared({ bytes, settings }: Pick<ClosedBatch, 'bytes' | 'settings'>): Promise<Uint8Array> {
    const { encrypt } = this.#options;
    const { compression } = settings;
    const compressed = compression === NO_COMPRESSION ? bytes : await compressBatch(bytes, 0, compression);
    return encrypt ? encrypt(compressed) : compressed;
  }

  async #prepare(batch: ClosedBatch): Promise<void> {
    batch.preparing = true;
    try {
      const prepared = await this.prepared(batch);
      if (batch.builder === undefined) return; // failed meanwhile, with all others
      // A repair may have given it another producer id and sequence.
      prepared.set(batch.bytes.subarray(PRODUCER_ID_AT, RECORD_COUNT_AT), PRODUCER_ID_AT);
      this.#bytes += prepared.length - batch.bytes.length;
      batch.bytes = prepared;
      batch.preparing = false;
      this.#options.onReady();
    } catch (error) {
      batch.preparing = false;
      if (batch.builder !== undefined) this.#options.onFailure(batch, error);
    }
  }
}

/** The first of the next `count` sequences of a partition. */
export function takeSequences(queue: PartitionQueue, count: number): number {
  const base = queue.nextSequence;
  queue.nextSequence = (base + count) % SEQUENCES;
  return base;
}

function isSame(a: BatchSettings, b: BatchSettings): boolean {
  return a === b || (a.acks === b.acks && a.timeoutMs === b.timeoutMs && a.compression === b.compression);
}

/** Whether a batch that was not acknowledged may be in the log. */
export function mayBeStored({ inDoubt, ordinal, queue }: ClosedBatch): boolean {
  return inDoubt && ordinal < queue.missingAt;
}

export function describeBatch({ queue, recordCount }: ClosedBatch): string {
  return `a batch of ${recordCount} records for ${topicPartitionText(queue)}`;
}
