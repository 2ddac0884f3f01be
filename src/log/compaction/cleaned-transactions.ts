import { type BatchAt, isTransactional, lastOffsetOf } from '../../record/batch-header.js';
import { controlRecordType } from '../../record/control-record.js';
import { RecordCursor } from '../../record/record-batch-decoder.js';
import type { AbortedTransaction } from '../aborted-transactions.js';

/**
 * Follows the transactions of a log from its first batch on, as a pass goes over them (Kafka's
 * CleanedTransactionMetadata): which data is of aborted ones, and which markers have outlived all data of theirs. What
 * is open at the end of the pass has markers behind it, which later passes will see.
 */
export class CleanedTransactions {
  /** Those that the pass has not come to, the nearest last. */
  readonly #ahead: AbortedTransaction[];
  /** By producer id, since only one transaction of a producer is open at a time. */
  readonly #ongoingAborted = new Map<number, { readonly transaction: AbortedTransaction; hasData: boolean }>();
  /** Producer ids. */
  readonly #ongoingCommitted = new Set<number>();
  readonly #retained: AbortedTransaction[] = [];

  /** `aborted`: all that have an offset in what the pass goes over. */
  constructor(aborted: readonly AbortedTransaction[]) {
    this.#ahead = aborted.toSorted((a, b) => b.firstOffset - a.firstOffset);
  }

  /** Those whose marker was passed while data of theirs was there: readers need to know them still, in this order. */
  get retained(): readonly AbortedTransaction[] {
    return this.#retained;
  }

  /** Whether the batch is data of an aborted transaction, which nobody needs. */
  passDataBatch({ header }: BatchAt): boolean {
    this.#comeTo(lastOffsetOf(header));
    if (!isTransactional(header)) return false;
    const aborted = this.#ongoingAborted.get(header.producerId);
    if (aborted === undefined) this.#ongoingCommitted.add(header.producerId);
    else aborted.hasData = true;
    return aborted !== undefined;
  }

  /** Whether nothing is left of the transaction that this control batch ended; one that was emptied before counts, too. */
  passControlBatch(bytes: Uint8Array, { header, at }: BatchAt): boolean {
    this.#comeTo(lastOffsetOf(header));
    const cursor = new RecordCursor(bytes, at, header);
    if (!cursor.next()) return true;
    switch (controlRecordType(cursor.key())) {
      case 'abort': {
        const aborted = this.#ongoingAborted.get(header.producerId);
        this.#ongoingAborted.delete(header.producerId);
        if (!aborted?.hasData) return true;
        this.#retained.push(aborted.transaction);
        return false;
      }
      case 'commit':
        return !this.#ongoingCommitted.delete(header.producerId);
      case 'unknown':
        return false;
    }
  }

  #comeTo(offset: number): void {
    for (let next = this.#ahead.at(-1); next && next.firstOffset <= offset; next = this.#ahead.at(-1)) {
      this.#ahead.pop();
      if (this.#ongoingAborted.has(next.producerId)) continue;
      this.#ongoingAborted.set(next.producerId, { transaction: next, hasData: false });
    }
  }
}
