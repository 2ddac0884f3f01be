import { attributesOf } from '../record/batch-attributes.js';
import { isControl } from '../record/batch-header.js';
import { controlRecordType, coordinatorEpochOf, encodeMarker } from '../record/control-record.js';
import { encodeBatch } from '../record/encode-batch.js';
import type { BatchHeader } from '../record/record.js';
import { RecordCursor } from '../record/record-batch-decoder.js';
import type { SegmentRow } from '../storage/log-store.js';
import { assert } from '../util/assert.js';
import { type AbortedTransaction, packAborted, unpackAborted } from './aborted-transactions.js';
import type { TransactionsSnapshot } from './log-snapshot.js';
import type { LogBatch } from './log-state.js';
import type { AdvanceOfTransactions } from './log-view.js';
import type { ProducerAppend, ProducerState } from './producer-state.js';
import { appendEndMarker, TransactionalProducers } from './transactional-producers.js';

/** A segment whose index of aborted transactions has so many entries is full: checkpoints and rows stay small. */
export const MAX_ABORTED_PER_SEGMENT: number = 512;

/** What ends a transaction in one partition (Kafka's WriteTxnMarkers). */
export interface EndMarker {
  readonly type: 'commit' | 'abort';
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly coordinatorEpoch: number;
}

export interface CommittedBounds {
  readonly logStartOffset: number;
  /** Exclusive. */
  readonly highWatermark: number;
}

/**
 * The transactions of a log, beside its producers: which are open, where it is stable, and which of those that ended in
 * the active segment were aborted. A log gets it with its first transactional batch; loaded later than the log's code.
 */
export class LogTransactions {
  readonly #transactional: TransactionalProducers;
  /** Aborted by a marker in the active segment, in order of the markers. */
  #aborted: AbortedTransaction[];
  /** Aborted by a marker that may lie above the high watermark: nobody was told of it yet. */
  #untold: AbortedTransaction[] = [];

  /** `producers` says which transactions are open. */
  constructor(producers: ProducerState, snapshot: TransactionsSnapshot | undefined) {
    this.#transactional = new TransactionalProducers({}, producers);
    this.#transactional.resume();
    this.#aborted = unpackAborted(snapshot?.aborted);
  }

  /** Whether the active segment is to be closed before more is added. */
  get isIndexFull(): boolean {
    return this.#aborted.length >= MAX_ABORTED_PER_SEGMENT;
  }

  /** The batch at `at`, with what it says where it is a control batch. @throws KafkaError CORRUPT_MESSAGE */
  read(bytes: Uint8Array, at: number, header: BatchHeader): LogBatch {
    return isControl(header) ? withMarker(bytes, at, header) : header;
  }

  /** @throws KafkaError as `appendEndMarker` */
  stageMarker(append: ProducerAppend, { marker, producerEpoch, baseOffset }: LogBatch, timestampMs: number): void {
    assert(marker !== undefined, 'a control batch comes with what it says');
    const { type, coordinatorEpoch } = marker;
    if (type === 'unknown') return; // Kafka: types that we do not know are for others
    const end = { type, producerEpoch, coordinatorEpoch, offset: baseOffset, timestampMs };
    const completed = appendEndMarker(append, end);
    if (completed !== undefined) append.completedTransactions.push(completed);
  }

  /** The log takes what was staged; `segmentBaseOffset` is where the active segment begins. */
  update(append: ProducerAppend, segmentBaseOffset: number): void {
    this.#transactional.update(append);
    for (const completed of append.completedTransactions) {
      const lastStableOffset = this.#transactional.lastStableOffsetAfter(completed);
      this.#transactional.completeTransaction(completed);
      if (!completed.aborted) continue;
      const { producerId, firstOffset, lastOffset } = completed;
      const aborted = { producerId, firstOffset, lastOffset, lastStableOffset };
      this.#untold.push(aborted);
      if (lastOffset >= segmentBaseOffset) this.#aborted.push(aborted);
    }
  }

  /** Exclusive end of what is decided: nothing of an open transaction is below. */
  lastStableOffset({ logStartOffset, highWatermark }: CommittedBounds): number {
    const firstUnstable = this.#transactional.firstUnstableOffset() ?? highWatermark;
    return Math.min(highWatermark, Math.max(firstUnstable, logStartOffset));
  }

  /** All below the high watermark is durable. What is to be told of the stretch from `fromOffset` up to there. */
  advance(fromOffset: number, bounds: CommittedBounds): AdvanceOfTransactions {
    const { highWatermark } = bounds;
    this.#transactional.highWatermarkAdvanced(highWatermark);
    const isTold = ({ lastOffset }: AbortedTransaction): boolean => lastOffset < highWatermark;
    const aborted = this.#untold.filter((each) => isTold(each) && each.lastOffset >= fromOffset);
    this.#untold = this.#untold.filter((each) => !isTold(each));
    return { fromOffset, lastStableOffset: this.lastStableOffset(bounds), aborted };
  }

  logStartAdvanced(logStartOffset: number): void {
    this.#transactional.logStartAdvanced(logStartOffset);
  }

  /** Of the active segment, in order of the markers. */
  aborted(): readonly AbortedTransaction[] {
    return this.#aborted;
  }

  /** What the active segment's row says of them; nothing where there were none. */
  ofRow(): Pick<SegmentRow, 'abortedTransactions'> {
    return this.#aborted.length === 0 ? {} : { abortedTransactions: packAborted(this.#aborted) };
  }

  segmentClosed(nextOffset: number): void {
    this.#aborted = this.#aborted.filter(({ lastOffset }) => lastOffset >= nextOffset);
  }

  snapshot(): TransactionsSnapshot {
    return { aborted: packAborted(this.#aborted) };
  }
}

/** With what a control batch says; of one that compaction has emptied nothing is left to be ended. @throws KafkaError CORRUPT_MESSAGE */
function withMarker(bytes: Uint8Array, at: number, header: BatchHeader): LogBatch {
  const cursor = new RecordCursor(bytes, at, header);
  if (!cursor.next()) return { ...header, marker: { type: 'unknown', coordinatorEpoch: -1 } };
  const field = (start: number, end: number): Uint8Array | null =>
    start >= 0 ? cursor.bytes.subarray(start, end) : null;
  const type = controlRecordType(field(cursor.keyStart, cursor.keyEnd));
  const coordinatorEpoch = type === 'unknown' ? -1 : coordinatorEpochOf(field(cursor.valueStart, cursor.valueEnd));
  return { ...header, marker: { type, coordinatorEpoch } };
}

/** A control batch as Kafka writes it, to be appended. */
export function markerBatch(marker: EndMarker, timestampMs: number): Uint8Array {
  const { producerId, producerEpoch } = marker;
  const attributes = attributesOf({ isTransactional: true, isControl: true });
  return encodeBatch({ records: [encodeMarker(marker)], timestampMs, attributes, producerId, producerEpoch });
}
