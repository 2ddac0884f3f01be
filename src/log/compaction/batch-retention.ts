import { type BatchAt, isControl, isGap, lastOffsetOf } from '../../record/batch-header.js';
import { deleteHorizonMs } from '../../record/delete-horizon.js';
import type { BatchHeader } from '../../record/record.js';
import type { ProducerEntry } from '../producer-state.js';
import type { CleanedTransactions } from './cleaned-transactions.js';

/** What a pass cleans by, whatever the batch. */
export interface RetentionRules {
  readonly nowMs: number;
  /** Kafka's `delete.retention.ms`. */
  readonly deleteRetentionMs: number;
  /** Exclusive end of what may be cleaned. */
  readonly endOffset: number;
  /** Of producers that are known to the log; undefined for others. */
  readonly producer: (producerId: number) => Pick<ProducerEntry, 'producerEpoch' | 'batches'> | undefined;
}

/** What becomes of a batch as a whole, before its records are looked at. */
export interface BatchRetention {
  /** No record stays. */
  readonly discardsRecords: boolean;
  /** Without records it stays as an empty one. */
  readonly staysEmpty: boolean;
  /** A marker of a transaction of which nothing is left: the delete horizon is set, as for a tombstone. */
  readonly isOutlivedMarker: boolean;
}

/**
 * Data of an aborted transaction goes at once. A marker goes once its transaction has no data any more and the delete
 * horizon has passed, which the first pass that found no data has set. Three kinds of batches stay even without records:
 * the last one of a producer, which holds its sequence or, if it is a marker, its epoch; the last one of the part that may
 * be cleaned, so that the log ends where it did; and what stands for lost records, which may have been the last of their keys.
 */
export function batchRetention(
  bytes: Uint8Array,
  batch: BatchAt,
  transactions: CleanedTransactions,
  rules: RetentionRules,
): BatchRetention {
  const { header } = batch;
  const isLast = isLastOfProducer(header, rules) || lastOffsetOf(header) + 1 === rules.endOffset;
  const staysEmpty = isLast || isGap(header);
  if (!isControl(header)) {
    const discardsRecords = transactions.passDataBatch(batch);
    return { discardsRecords, staysEmpty, isOutlivedMarker: false };
  }
  const isOutlivedMarker = transactions.passControlBatch(bytes, batch);
  return { discardsRecords: isOutlivedMarker && hasExpired(header, rules.nowMs), staysEmpty, isOutlivedMarker };
}

/** Whether the tombstones, or the marker, in this batch have been readable for as long as they should be. */
export function hasExpired(header: BatchHeader, nowMs: number): boolean {
  const horizonMs = deleteHorizonMs(header);
  return horizonMs !== undefined && horizonMs <= nowMs;
}

function isLastOfProducer(header: BatchHeader, { producer }: RetentionRules): boolean {
  const entry = producer(header.producerId);
  if (entry === undefined) return false;
  const last = entry.batches.at(-1);
  if (last !== undefined) return last.lastOffset === lastOffsetOf(header);
  return isControl(header) && header.producerEpoch === entry.producerEpoch;
}
