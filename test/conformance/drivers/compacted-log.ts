/**
 * A log of segments in memory for the compaction cases of the `broker` runner (see the README beside the runner). What a
 * pass does is all in src/log/compaction; here are the segments, the steps by Kafka's names, and what they leave.
 */

import type { AbortedTransaction } from '../../../src/log/aborted-transactions.js';
import { type ActiveSegmentState, addBatch, closedRow, emptySegment, isFull } from '../../../src/log/active-segment.js';
import { type CleanedSegments, compactionPass } from '../../../src/log/compaction/compaction-pass.js';
import { incrementSequence } from '../../../src/log/producer-state.js';
import { appendEndMarker, TransactionalProducers } from '../../../src/log/transactional-producers.js';
import { attributesOf } from '../../../src/record/batch-attributes.js';
import { decodeBatch } from '../../../src/record/batch-compression.js';
import {
  isControl,
  lastOffsetOf,
  NO_PRODUCER_EPOCH,
  NO_PRODUCER_ID,
  NO_SEQUENCE,
  readBatchHeader,
} from '../../../src/record/batch-header.js';
import { encodeMarker } from '../../../src/record/control-record.js';
import type { NewRecord, StoredRecord } from '../../../src/record/record.js';
import { type BatchEnding, RecordBatchBuilder } from '../../../src/record/record-batch-builder.js';
import type { SegmentRow } from '../../../src/storage/log-store.js';
import { finishBatch } from '../../record/finish-batch.js';

interface CompactionConfig {
  readonly deleteRetentionMs?: number;
  readonly segmentBytes?: number;
  readonly offsetMapSlots?: number;
}

/** A step as the cases write it; which fields there are depends on `op`. */
export interface CompactionStep {
  readonly op: string;
  readonly records: readonly (readonly [string, string | null])[];
  readonly producerId?: number;
  readonly epoch?: number;
  readonly sequence?: number;
  readonly txn?: boolean;
  readonly tsRelNow?: number;
  readonly type: 'commit' | 'abort';
  readonly from?: number | 'prevDirty';
  readonly to?: number | 'activeSegment';
  readonly now?: number | 'default' | 'max' | 'large';
  readonly slots?: number;
  readonly ms: number;
}

/** Kafka's defaults where a case gives none; its tests of the cleaner have small segments. */
const DELETE_RETENTION_MS = 24 * 60 * 60 * 1000;
const SEGMENT_BYTES = 1024;
const SEGMENT_MS = 7 * DELETE_RETENTION_MS;
/** More keys than any case has. */
const MANY_SLOTS = 100_000;
/** The largest time there is: here the largest safe integer. */
const MAX_TIME_MS = Number.MAX_SAFE_INTEGER;
const LOG = 1;

export function compactedLog(config: CompactionConfig): object {
  return new CompactedLog(config, Date.now());
}

interface ClosedSegment {
  readonly row: SegmentRow;
  readonly batches: readonly Uint8Array[];
}

/** Also the harness of test/log/compaction. */
export class CompactedLog {
  readonly #deleteRetentionMs: number;
  readonly #segmentBytes: number;
  readonly #mapSlots: number;
  readonly #startMs: number;
  readonly #producers = new TransactionalProducers();
  #aborted: readonly AbortedTransaction[] = [];
  #closed: readonly ClosedSegment[] = [];
  #active: ActiveSegmentState = emptySegment(0, 0);
  #activeBatches: Uint8Array[] = [];
  #nextOffset = 0;
  #sleptMs = 0;
  #dirtyOffset = 0;

  constructor({ deleteRetentionMs, segmentBytes, offsetMapSlots }: CompactionConfig, startMs: number) {
    this.#startMs = startMs;
    this.#deleteRetentionMs = deleteRetentionMs ?? DELETE_RETENTION_MS;
    this.#segmentBytes = segmentBytes ?? SEGMENT_BYTES;
    this.#mapSlots = offsetMapSlots ?? MANY_SLOTS;
  }

  async apply(step: CompactionStep): Promise<void> {
    const operation = this.#operations[step.op];
    if (operation === undefined) throw new Error(`unknown operation ${step.op}`);
    await operation(step);
  }

  get aborted(): readonly AbortedTransaction[] {
    return this.#aborted;
  }

  get dirtyOffset(): number {
    return this.#dirtyOffset;
  }

  async check(name: string): Promise<unknown> {
    const check = this.#checks[name];
    if (check === undefined) throw new Error(`unknown check ${name}`);
    return check();
  }

  readonly #operations: Readonly<Record<string, (step: CompactionStep) => unknown>> = {
    append: (step) => this.#appendData(step),
    marker: (step) => this.#appendMarker(step),
    roll: () => this.#roll(),
    sleep: ({ ms }) => (this.#sleptMs += ms),
    clean: (step) => this.#clean(step, this.#timeOf(step)),
    cleanTwoPass: async (step) => {
      const from = this.#fromOf(step);
      const nowMs = this.#timeOf(step);
      await this.#clean({ ...step, from }, nowMs);
      await this.#clean({ ...step, from }, nowMs + this.#deleteRetentionMs + 1);
    },
    cleanPass: (step) => this.#clean({ from: 'prevDirty', ...step }, this.#timeOf(step)),
  };

  readonly #checks: Readonly<Record<string, () => unknown>> = {
    keys: async () =>
      (await this.#records())
        .filter(({ control, record }) => !control && record.key !== null && record.value !== null)
        .map(({ record }) => Number(record.key)),
    offsets: async () =>
      (await this.#records())
        .filter(({ record }) => record.key !== null && record.value !== null)
        .map(({ record }) => record.offset),
    lastOffsetsPerBatch: () => this.#headers().map(lastOffsetOf),
    firstBatchLastOffset: () => this.#headers().map(lastOffsetOf)[0],
    batchBaseOffsets: () => this.#headers().map(({ baseOffset }) => baseOffset),
    lastSequences: () =>
      Object.fromEntries(
        this.#headers()
          .filter((header) => !isControl(header) && header.producerId !== NO_PRODUCER_ID)
          .map((header) => [header.producerId, incrementSequence(header.baseSequence, header.lastOffsetDelta)]),
      ),
    abortedTxns: () =>
      this.#aborted.map(({ producerId, firstOffset, lastOffset }) => [producerId, firstOffset, lastOffset]),
    dirtyOffset: () => this.#dirtyOffset,
    logEndOffset: () => this.#nextOffset,
  };

  // ---------------------------------------------------------------- appending

  /** As a replica appends: what the cases repeat on purpose is not refused. */
  #appendData({
    records,
    producerId = NO_PRODUCER_ID,
    epoch,
    sequence,
    txn = false,
    tsRelNow = 0,
  }: CompactionStep): void {
    const timestampMs = this.#nowMs + tsRelNow;
    const batch = this.#append(
      records.map(([key, value]) => ({ key, value, timestampMs })),
      {
        attributes: attributesOf({ isTransactional: txn }),
        producerId,
        producerEpoch: producerId === NO_PRODUCER_ID ? NO_PRODUCER_EPOCH : (epoch ?? 0),
        baseSequence: producerId === NO_PRODUCER_ID ? NO_SEQUENCE : (sequence ?? 0),
      },
    );
    if (producerId === NO_PRODUCER_ID) return;
    const append = this.#producers.producers.prepare(producerId, 'replication');
    append.appendBatch({
      producerEpoch: batch.producerEpoch,
      firstSequence: batch.baseSequence,
      lastSequence: incrementSequence(batch.baseSequence, batch.lastOffsetDelta),
      firstOffset: batch.baseOffset,
      lastOffset: lastOffsetOf(batch),
      maxTimestampMs: batch.maxTimestampMs,
      transactional: txn,
    });
    this.#producers.update(append);
  }

  #appendMarker({ type, producerId = NO_PRODUCER_ID, epoch = 0 }: CompactionStep): void {
    const batch = this.#append([{ ...encodeMarker({ type, coordinatorEpoch: 0 }), timestampMs: this.#nowMs }], {
      attributes: attributesOf({ isTransactional: true, isControl: true }),
      producerId,
      producerEpoch: epoch,
      baseSequence: NO_SEQUENCE,
    });
    const append = this.#producers.producers.prepare(producerId, 'replication');
    const completed = appendEndMarker(append, {
      type,
      producerEpoch: epoch,
      coordinatorEpoch: 0,
      offset: batch.baseOffset,
      timestampMs: batch.maxTimestampMs,
    });
    this.#producers.update(append);
    if (completed === undefined) return;
    const lastStableOffset = this.#producers.lastStableOffsetAfter(completed);
    this.#producers.completeTransaction(completed);
    if (completed.aborted) this.#aborted = [...this.#aborted, { ...completed, lastStableOffset }];
  }

  #append(records: readonly NewRecord[], ending: BatchEnding) {
    const builder = new RecordBatchBuilder();
    for (const record of records) builder.append(record);
    const bytes = finishBatch(builder, { ...ending, baseOffset: this.#nextOffset, partitionLeaderEpoch: 0 });
    const header = readBatchHeader(bytes);
    if (isFull(this.#active, header, { segmentBytes: this.#segmentBytes, segmentMs: SEGMENT_MS })) this.#roll();
    this.#active = addBatch(this.#active, header);
    this.#activeBatches.push(bytes);
    this.#nextOffset = lastOffsetOf(header) + 1;
    this.#producers.highWatermarkAdvanced(this.#nextOffset);
    return header;
  }

  #roll(): void {
    const row = closedRow(LOG, this.#active, this.#nextOffset);
    if (row.byteCount > 0) this.#closed = [...this.#closed, { row, batches: this.#activeBatches }];
    this.#active = emptySegment(this.#nextOffset, row.startPosition + row.byteCount);
    this.#activeBatches = [];
  }

  // ---------------------------------------------------------------- cleaning

  async #clean(step: Pick<CompactionStep, 'from' | 'to' | 'slots'>, nowMs: number): Promise<void> {
    const firstDirtyOffset = this.#fromOf(step);
    const endOffset = this.#endOf(step);
    const log = {
      log: LOG,
      segments: this.#closed.map(({ row }) => row),
      abortedTransactions: this.#aborted,
      producer: (producerId: number) => this.#producers.producers.entry(producerId),
      read: async (offset: number) =>
        this.#closed
          .flatMap(({ batches }) => batches)
          .filter((batch) => lastOffsetOf(readBatchHeader(batch)) >= offset)
          .slice(0, 3),
    };
    const part = { firstDirtyOffset, endOffset, cleanBytes: 0, dirtyBytes: 0 };
    const { deleteRetentionMs, segmentBytes } = {
      deleteRetentionMs: this.#deleteRetentionMs,
      segmentBytes: this.#segmentBytes,
    };
    const mapSlots = step.slots ?? this.#mapSlots;
    const pass = compactionPass(log, part, { nowMs, deleteRetentionMs, segmentBytes, mapSlots });
    for (;;) {
      const { done, value } = await pass.next();
      if (done) {
        this.#dirtyOffset = value;
        return;
      }
      this.#replace(value);
    }
  }

  #replace({ replaced, row, batches, abortedTransactions }: CleanedSegments): void {
    const at = this.#closed.findIndex((segment) => segment.row === replaced[0]);
    const cleaned = batches.length === 0 ? [] : [{ row, batches }];
    this.#closed = this.#closed.toSpliced(at, replaced.length, ...cleaned);
    const { baseOffset, nextOffset } = row;
    const others = this.#aborted.filter(({ lastOffset }) => lastOffset < baseOffset || lastOffset >= nextOffset);
    this.#aborted = [...others, ...abortedTransactions].sort((a, b) => a.lastOffset - b.lastOffset);
  }

  #fromOf({ from }: Pick<CompactionStep, 'from'>): number {
    return typeof from === 'number' ? from : this.#dirtyOffset;
  }

  /** A pass takes whole segments: it ends before the one in which `to` lies. */
  #endOf({ to }: Pick<CompactionStep, 'to'>): number {
    const { baseOffset: activeOffset } = this.#active;
    if (typeof to !== 'number' || to >= activeOffset) return activeOffset;
    return this.#closed.findLast(({ row }) => row.baseOffset <= to)?.row.baseOffset ?? 0;
  }

  #timeOf({ now }: Pick<CompactionStep, 'now'>): number {
    if (now === 'max') return MAX_TIME_MS;
    if (now === 'large') return MAX_TIME_MS - this.#deleteRetentionMs - 1;
    return typeof now === 'number' ? now : this.#nowMs;
  }

  get #nowMs(): number {
    return this.#startMs + this.#sleptMs;
  }

  // ---------------------------------------------------------------- what is left

  batches(): readonly Uint8Array[] {
    return [...this.#closed.flatMap(({ batches }) => batches), ...this.#activeBatches];
  }

  #headers() {
    return this.batches().map((batch) => readBatchHeader(batch));
  }

  async #records(): Promise<{ readonly control: boolean; readonly record: StoredRecord }[]> {
    const decoded = this.batches().map(async (batch) => {
      const control = isControl(readBatchHeader(batch));
      return (await decodeBatch(batch)).map((record) => ({ control, record }));
    });
    return (await Promise.all(decoded)).flat();
  }
}
