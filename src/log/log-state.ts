import { MAX_PRODUCER_BATCHES_IN_FLIGHT } from '../protocol/requests.js';
import {
  type BatchAt,
  isControl,
  isTransactional,
  lastOffsetOf,
  NO_PRODUCER_ID,
  timestampType,
} from '../record/batch-header.js';
import type { ControlRecordType } from '../record/control-record.js';
import type { BatchHeader } from '../record/record.js';
import type { LogId, SegmentRow } from '../storage/log-store.js';
import { assert, present } from '../util/assert.js';
import { type ActiveSegmentState, addBatch, closedRow, emptySegment } from './active-segment.js';
import { type LeaderEpochs, truncatedFromStart, withEpoch } from './leader-epochs.js';
import { type LogSnapshot, PLAIN_VERSION, TRANSACTIONAL_VERSION } from './log-snapshot.js';
import type { CommittedBounds, LogTransactions } from './log-transactions.js';
import type { AdvanceOfTransactions } from './log-view.js';
import { packProducers, unpackProducers } from './packed-producers.js';
import {
  incrementSequence,
  type ProducerAppend,
  type ProducerOrigin,
  ProducerState,
  type ProducerStateConfig,
} from './producer-state.js';

const NO_TIMESTAMP = -1;
/** Every tab that took over is an epoch: of a log that lives long, the oldest are forgotten. */
const MAX_EPOCHS = 1000;

/** A batch as the state takes it: its head, and of a control batch also what it says. */
export interface LogBatch extends BatchHeader {
  readonly marker?: { readonly type: ControlRecordType; readonly coordinatorEpoch: number };
}

/** What a log with transactions needs; loaded when the first comes. */
export type TransactionsPart = Pick<typeof import('./log-transactions.js'), 'LogTransactions' | 'markerBatch'>;

/** The producers of an append, checked and not yet adopted. */
export type StagedProducers = ReadonlyMap<number, ProducerAppend>;

/**
 * All that follows from the batches of a log: where it ends, its producers, its epochs, its active segment. An append
 * and a replay after a crash take the same two steps, `stage` and `adopt`, so that they come to the same state.
 */
export class LogState {
  readonly producers: ProducerState;
  #epochs: LeaderEpochs;
  #segment: ActiveSegmentState;
  #nextOffset: number;
  #lastLogAppendTimeMs: number;
  /** undefined: the log has no transactional batch. */
  #transactions: LogTransactions | undefined;
  #mustCheckpoint = false;

  /** The state at the end of `snapshot`, or of an empty log that begins at `startOffset`. */
  constructor(
    startOffset: number,
    snapshot: LogSnapshot | undefined,
    nowMs: number,
    producerConfig: Partial<ProducerStateConfig> = {},
  ) {
    this.producers = new ProducerState({ batchesRemembered: MAX_PRODUCER_BATCHES_IN_FLIGHT, ...producerConfig });
    this.#nextOffset = Math.max(startOffset, snapshot?.producers.offset ?? 0);
    this.#segment = snapshot?.segment ?? emptySegment(startOffset, 0);
    this.#lastLogAppendTimeMs = snapshot?.lastLogAppendTimeMs ?? NO_TIMESTAMP;
    this.#epochs = snapshot?.epochs ?? [];
    // Behind a snapshot that lies below the log start, batches are missing: nothing is known rather than something old.
    const isWhole = snapshot !== undefined && snapshot.producers.offset >= startOffset;
    const producers = isWhole ? unpackProducers(snapshot.producers) : undefined;
    this.producers.load(producers ?? { offset: startOffset, producers: [] }, nowMs);
    this.logStartAdvanced(startOffset);
  }

  /** Exclusive end: the next record gets this offset. */
  get nextOffset(): number {
    return this.#nextOffset;
  }

  get segment(): ActiveSegmentState {
    return this.#segment;
  }

  /** Append times never fall, whatever the clock does; -1 where the log has none. */
  get lastLogAppendTimeMs(): number {
    return this.#lastLogAppendTimeMs;
  }

  /** Whether the state takes transactional batches: see `takeTransactions`. */
  get takesTransactions(): boolean {
    return this.#transactions !== undefined;
  }

  checkpointTaken(): void {
    this.#mustCheckpoint = false;
  }

  /** Whether a checkpoint is to ride in the next commit: what it says cannot be seen from the batches alone. */
  get mustCheckpoint(): boolean {
    return this.#mustCheckpoint;
  }

  /** To be called once before the first transactional batch, or with the `snapshot` that the state was made of. */
  takeTransactions({ LogTransactions }: TransactionsPart, snapshot?: LogSnapshot): void {
    if (this.#transactions !== undefined) return;
    this.#transactions = new LogTransactions(this.producers, snapshot?.transactions);
    this.#mustCheckpoint ||= snapshot?.transactions === undefined; // readers look there whether there are any
  }

  /** What `stage` takes. @throws KafkaError CORRUPT_MESSAGE: a control batch that says nothing. */
  read(bytes: Uint8Array, { header, at }: BatchAt): LogBatch {
    return this.#transactions?.read(bytes, at, header) ?? header;
  }

  /** undefined: the log has none. */
  get transactions(): LogTransactions | undefined {
    return this.#transactions;
  }

  /** All below the high watermark is durable; what is to be told of its transactions from `fromOffset` up to there. */
  committed(fromOffset: number, bounds: CommittedBounds): AdvanceOfTransactions | undefined {
    return this.#transactions?.advance(fromOffset, bounds);
  }

  /**
   * Checks the producers of stamped batches and changes nothing. The time of a producer's last write is `nowMs`, not a
   * timestamp of its records: who replays old records is not silent. Where they have that of their append it is known.
   * @throws KafkaError as `ProducerAppend.appendBatch` and `appendEndMarker`
   */
  stage(batches: readonly LogBatch[], origin: ProducerOrigin, nowMs: number): StagedProducers {
    const staged = new Map<number, ProducerAppend>();
    for (const batch of batches) {
      if (batch.producerId === NO_PRODUCER_ID) continue;
      const append = staged.get(batch.producerId) ?? this.producers.prepare(batch.producerId, origin);
      staged.set(batch.producerId, append);
      if (isControl(batch)) {
        present(this.#transactions, 'a marker finds the transactions').stageMarker(append, batch, nowMs);
        continue;
      }
      const isTimed = origin === 'replication' && timestampType(batch) === 'LogAppendTime';
      assert(!isTransactional(batch) || this.#transactions !== undefined, 'a transaction finds the others');
      append.appendBatch({
        producerEpoch: batch.producerEpoch,
        firstSequence: batch.baseSequence,
        lastSequence: lastSequenceOf(batch),
        firstOffset: batch.baseOffset,
        lastOffset: lastOffsetOf(batch),
        maxTimestampMs: isTimed ? batch.maxTimestampMs : nowMs,
        transactional: isTransactional(batch),
      });
    }
    return staged;
  }

  /** The log ends at `offset`: what was before it is not there any more. */
  skipTo(offset: number): void {
    assert(offset >= this.#nextOffset, `${offset} is not below ${this.#nextOffset}`);
    this.#nextOffset = offset;
    this.producers.advanceTo(offset);
  }

  /** The log now ends behind these batches. */
  adopt(batches: readonly BatchHeader[], staged: StagedProducers): void {
    for (const append of staged.values()) {
      if (this.#transactions === undefined) this.producers.update(append);
      else this.#transactions.update(append, this.#segment.baseOffset);
    }
    for (const batch of batches) {
      this.#assignEpoch(batch);
      if (batch.baseOffset >= this.#segment.baseOffset) this.#segment = addBatch(this.#segment, batch);
      if (timestampType(batch) === 'LogAppendTime') this.#lastLogAppendTimeMs = batch.maxTimestampMs;
      this.#nextOffset = lastOffsetOf(batch) + 1;
    }
    this.producers.advanceTo(this.#nextOffset);
  }

  #assignEpoch({ partitionLeaderEpoch, baseOffset }: BatchHeader): void {
    if (partitionLeaderEpoch < 0) return; // a batch that no leader has stamped, from a file
    const epochs = withEpoch(this.#epochs, partitionLeaderEpoch, baseOffset);
    if (epochs !== this.#epochs) this.#epochs = epochs.slice(-MAX_EPOCHS);
  }

  /** What lies below `nextOffset` is missing in the store; the next commit says so. */
  brokenOff(nextOffset: number): void {
    this.#nextOffset = nextOffset;
    this.producers.advanceTo(nextOffset);
    this.#mustCheckpoint = true;
  }

  /** The row that the active segment gets if it is closed where the log ends now. */
  closedRow(log: LogId): SegmentRow {
    return { ...closedRow(log, this.#segment, this.#nextOffset), ...this.#transactions?.ofRow() };
  }

  /** What was the active segment has been closed as this row: the next batch opens a new one. */
  segmentClosed(row: SegmentRow): void {
    if (row.nextOffset <= this.#segment.baseOffset) return;
    this.#segment = emptySegment(row.nextOffset, row.startPosition + row.byteCount);
    this.#transactions?.segmentClosed(row.nextOffset);
  }

  /** What lies below is deleted. Producers stay known. */
  logStartAdvanced(logStartOffset: number): void {
    this.#epochs = truncatedFromStart(this.#epochs, logStartOffset);
    if (this.#transactions === undefined) this.producers.logStartAdvanced(logStartOffset);
    else this.#transactions.logStartAdvanced(logStartOffset);
  }

  snapshot(): LogSnapshot {
    const transactions = this.#transactions?.snapshot();
    return {
      version: transactions === undefined ? PLAIN_VERSION : TRANSACTIONAL_VERSION,
      producers: packProducers(this.producers.snapshot()),
      epochs: this.#epochs,
      segment: this.#segment,
      lastLogAppendTimeMs: this.#lastLogAppendTimeMs,
      ...(transactions && { transactions }),
    };
  }
}

export function lastSequenceOf(batch: Pick<BatchHeader, 'baseSequence' | 'lastOffsetDelta'>): number {
  return incrementSequence(batch.baseSequence, batch.lastOffsetDelta);
}
