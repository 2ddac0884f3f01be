import { MAX_PRODUCER_BATCHES_IN_FLIGHT } from '../protocol/requests.js';
import { isControl, isTransactional, lastOffsetOf, NO_PRODUCER_ID, timestampType } from '../record/batch-header.js';
import type { BatchHeader } from '../record/record.js';
import type { SegmentRow } from '../storage/log-store.js';
import { assert } from '../util/assert.js';
import { type ActiveSegmentState, addBatch, emptySegment } from './active-segment.js';
import { type EpochEntry, LeaderEpochs } from './leader-epochs.js';
import { type PackedProducers, packProducers, unpackProducers } from './packed-producers.js';
import { incrementSequence, type ProducerAppend, type ProducerOrigin, ProducerState } from './producer-state.js';

const SNAPSHOT_VERSION = 2;
const NO_TIMESTAMP = -1;
/** Every tab that took over is an epoch: of a log that lives long, the oldest are forgotten. */
const MAX_EPOCHS = 1000;

/** All that a log's leader keeps in memory, as of one offset: what a checkpoint holds. Plain, never changed. */
export interface LogSnapshot {
  readonly version: typeof SNAPSHOT_VERSION;
  readonly producers: PackedProducers;
  readonly epochs: readonly EpochEntry[];
  readonly segment: ActiveSegmentState;
  readonly lastLogAppendTimeMs: number;
}

/** The producers of an append, checked and not yet adopted. */
export type StagedProducers = ReadonlyMap<number, ProducerAppend>;

/** The snapshot of a checkpoint; undefined where it is of another version of this code. */
export function asLogSnapshot(value: unknown): LogSnapshot | undefined {
  const snapshot = value as LogSnapshot | undefined; // written by this file, or by another version of it
  return snapshot?.version === SNAPSHOT_VERSION ? snapshot : undefined;
}

/**
 * All that follows from the batches of a log: where it ends, its producers, its epochs, its active segment. An append
 * and a replay after a crash take the same two steps, `stage` and `adopt`, so that they come to the same state.
 */
export class LogState {
  readonly producers: ProducerState = new ProducerState({
    batchesRemembered: MAX_PRODUCER_BATCHES_IN_FLIGHT,
  });
  readonly epochs: LeaderEpochs;
  #segment: ActiveSegmentState;
  #nextOffset: number;
  #lastLogAppendTimeMs: number;

  /** The state at the end of `snapshot`, or of an empty log that begins at `startOffset`. */
  constructor(startOffset: number, snapshot: LogSnapshot | undefined, nowMs: number) {
    this.#nextOffset = Math.max(startOffset, snapshot?.producers.offset ?? 0);
    this.#segment = snapshot?.segment ?? emptySegment(startOffset, 0);
    this.#lastLogAppendTimeMs = snapshot?.lastLogAppendTimeMs ?? NO_TIMESTAMP;
    this.epochs = new LeaderEpochs(snapshot?.epochs);
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

  /**
   * Checks the producers of stamped batches and changes nothing. The time of a producer's last write is `nowMs`, not a
   * timestamp of its records: who replays old records is not silent.
   * @throws KafkaError as `ProducerAppend.appendBatch`
   */
  stage(batches: readonly BatchHeader[], origin: ProducerOrigin, nowMs: number): StagedProducers {
    const staged = new Map<number, ProducerAppend>();
    for (const batch of batches) {
      if (batch.producerId === NO_PRODUCER_ID) continue;
      assert(!isControl(batch), 'transactions are not part of this log yet');
      const append = staged.get(batch.producerId) ?? this.producers.prepare(batch.producerId, origin);
      staged.set(batch.producerId, append);
      append.appendBatch({
        producerEpoch: batch.producerEpoch,
        firstSequence: batch.baseSequence,
        lastSequence: lastSequenceOf(batch),
        firstOffset: batch.baseOffset,
        lastOffset: lastOffsetOf(batch),
        maxTimestampMs: nowMs,
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
    for (const append of staged.values()) this.producers.update(append);
    for (const batch of batches) {
      this.#assignEpoch(batch);
      if (batch.baseOffset >= this.#segment.baseOffset) this.#segment = addBatch(this.#segment, batch);
      if (timestampType(batch) === 'LogAppendTime') this.#lastLogAppendTimeMs = batch.maxTimestampMs;
      this.#nextOffset = lastOffsetOf(batch) + 1;
    }
    this.producers.advanceTo(this.#nextOffset);
  }

  #assignEpoch({ partitionLeaderEpoch, baseOffset }: BatchHeader): void {
    this.epochs.assign(partitionLeaderEpoch, baseOffset);
    const entries = this.epochs.entries();
    const oldest = entries[entries.length - MAX_EPOCHS];
    if (oldest !== undefined && oldest !== entries[0]) this.epochs.truncateFromStart(oldest.startOffset);
  }

  /** What was the active segment has been closed as this row: the next batch opens a new one. */
  segmentClosed(row: SegmentRow): void {
    if (row.nextOffset <= this.#segment.baseOffset) return;
    this.#segment = emptySegment(row.nextOffset, row.startPosition + row.byteCount);
  }

  /** What lies below is deleted. Producers stay known. */
  logStartAdvanced(logStartOffset: number): void {
    this.epochs.truncateFromStart(logStartOffset);
    this.producers.logStartAdvanced(logStartOffset);
  }

  snapshot(): LogSnapshot {
    return {
      version: SNAPSHOT_VERSION,
      producers: packProducers(this.producers.snapshot()),
      epochs: this.epochs.entries(),
      segment: this.#segment,
      lastLogAppendTimeMs: this.#lastLogAppendTimeMs,
    };
  }
}

export function lastSequenceOf(batch: Pick<BatchHeader, 'baseSequence' | 'lastOffsetDelta'>): number {
  return incrementSequence(batch.baseSequence, batch.lastOffsetDelta);
}
