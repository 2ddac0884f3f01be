import { KafkaError } from '../protocol/errors.js';
import { assert } from '../util/assert.js';
import {
  type ProducerAppend,
  type ProducerSnapshot,
  ProducerState,
  type ProducerStateConfig,
} from './producer-state.js';

const NONE = -1;

/** A commit or abort marker. */
export interface EndTransactionMarker {
  readonly type: 'commit' | 'abort';
  readonly producerEpoch: number;
  readonly coordinatorEpoch: number;
  readonly offset: number;
  readonly timestampMs: number;
}

export interface CompletedTransaction {
  readonly producerId: number;
  readonly firstOffset: number;
  /** Of the marker. */
  readonly lastOffset: number;
  readonly aborted: boolean;
}

interface Transaction {
  readonly producerId: number;
  readonly firstOffset: number;
  /** Of the marker; undefined while the transaction is open. */
  readonly lastOffset: number | undefined;
}

export interface TransactionConfig {
  /** Kafka's `transaction.max.timeout.ms`. */
  readonly maxTransactionTimeoutMs: number;
  /** How much longer than that a transaction may be open before it counts as late. */
  readonly lateTransactionBufferMs: number;
}

/** Kafka's defaults. */
const TRANSACTION_DEFAULTS: TransactionConfig = {
  maxTransactionTimeoutMs: 15 * 60 * 1000,
  lateTransactionBufferMs: 5 * 60 * 1000,
};

export interface LogBounds {
  readonly logStartOffset: number;
  /** Exclusive. */
  readonly logEndOffset: number;
}

/**
 * The producers of a log that takes transactions, with the transactions that are open or not replicated yet: the rest of
 * Kafka's ProducerStateManager. What changes both goes through here, all else to `producers`.
 */
export class TransactionalProducers {
  readonly producers: ProducerState;
  readonly #config: TransactionConfig;
  /** Open transactions by first offset. */
  readonly #ongoing = new Map<number, Transaction>();
  /** Transactions whose marker may lie above the high watermark, by first offset. */
  readonly #unreplicated = new Map<number, Transaction>();

  /** `producers`: where they are there already; see `resume`. */
  constructor(
    config: Partial<ProducerStateConfig & TransactionConfig> = {},
    producers: ProducerState = new ProducerState(config),
  ) {
    this.producers = producers;
    this.#config = { ...TRANSACTION_DEFAULTS, ...config };
  }

  get isEmpty(): boolean {
    return this.producers.producers().size === 0 && this.#unreplicated.size === 0;
  }

  /** See `ProducerState.update`. */
  update(append: ProducerAppend): void {
    this.producers.update(append);
    const { producerId } = append.entry;
    for (const firstOffset of append.startedTransactions) this.#begin(producerId, firstOffset);
  }

  /** Ends a transaction; it stays unstable until the high watermark has passed its marker. */
  completeTransaction(completed: CompletedTransaction): void {
    const transaction = this.#ongoing.get(completed.firstOffset);
    assert(transaction?.producerId === completed.producerId, `a transaction is open at ${completed.firstOffset}`);
    this.#ongoing.delete(completed.firstOffset);
    this.#unreplicated.set(completed.firstOffset, { ...transaction, lastOffset: completed.lastOffset });
  }

  /** The last stable offset as it will be once this transaction is complete. */
  lastStableOffsetAfter(completed: CompletedTransaction): number {
    const others = [...this.#ongoing.values()].filter(({ producerId }) => producerId !== completed.producerId);
    return firstOffsetOf(others) ?? completed.lastOffset + 1;
  }

  /** Where the oldest transaction begins that is open, or ended above the high watermark. */
  firstUnstableOffset(): number | undefined {
    return firstOffsetOf([...this.#ongoing.values(), ...this.#unreplicated.values()]);
  }

  /** Where the oldest open transaction begins. */
  firstUndecidedOffset(): number | undefined {
    return firstOffsetOf(this.#ongoing.values());
  }

  /** Whether the oldest open transaction has had no write for longer than a transaction may take. */
  hasLateTransaction(nowMs: number): boolean {
    const oldest = this.#ongoing.get(this.firstUndecidedOffset() ?? NONE);
    const lastTimestampMs = (oldest && this.producers.entry(oldest.producerId)?.lastTimestampMs) ?? NONE;
    const limitMs = this.#config.maxTransactionTimeoutMs + this.#config.lateTransactionBufferMs;
    return lastTimestampMs > 0 && nowMs - lastTimestampMs > limitMs;
  }

  highWatermarkAdvanced(highWatermark: number): void {
    for (const [firstOffset, { lastOffset }] of this.#unreplicated) {
      if (lastOffset !== undefined && lastOffset < highWatermark) this.#unreplicated.delete(firstOffset);
    }
  }

  /** See `ProducerState.logStartAdvanced`. */
  logStartAdvanced(logStartOffset: number): void {
    this.highWatermarkAdvanced(logStartOffset);
    this.producers.logStartAdvanced(logStartOffset);
  }

  /**
   * Makes this the state of a log that holds `logStartOffset` to `logEndOffset`, as far as `newest` goes: the newest
   * snapshot with logStartOffset < offset <= logEndOffset, if there is one. The caller replays the log from
   * `mapEndOffset` on. State that ends at `logEndOffset` already is kept.
   */
  truncateAndReload(bounds: LogBounds, newest: ProducerSnapshot | undefined, nowMs: number): void {
    if (bounds.logEndOffset === this.producers.mapEndOffset) this.logStartAdvanced(bounds.logStartOffset);
    else this.load(newest ?? { offset: bounds.logStartOffset, producers: [] }, nowMs);
  }

  /** See `ProducerState.load`. */
  load(snapshot: ProducerSnapshot, nowMs: number): void {
    this.reset(snapshot.offset);
    this.producers.load(snapshot, nowMs);
    this.resume();
  }

  /** Goes on with the transactions that are open by what the producers say. */
  resume(): void {
    for (const { producerId, currentTxnFirstOffset } of this.producers.producers().values()) {
      if (currentTxnFirstOffset !== undefined) this.#begin(producerId, currentTxnFirstOffset);
    }
  }

  /** Forgets everything; the log begins anew at `offset`. */
  reset(offset: number): void {
    this.producers.reset(offset);
    this.#ongoing.clear();
    this.#unreplicated.clear();
  }

  #begin(producerId: number, firstOffset: number): void {
    this.#ongoing.set(firstOffset, { producerId, firstOffset, lastOffset: undefined });
  }
}

/**
 * A marker ends the open transaction and, where its epoch is new, forgets the batches: the producer starts at
 * sequence 0 again. The answer is undefined where no transaction was open.
 * @throws KafkaError INVALID_PRODUCER_EPOCH; TRANSACTION_COORDINATOR_FENCED: an older coordinator.
 */
export function appendEndMarker(
  append: ProducerAppend,
  marker: EndTransactionMarker,
): CompletedTransaction | undefined {
  append.checkEpoch(marker.producerEpoch, marker.offset);
  const { producerId, coordinatorEpoch, currentTxnFirstOffset: firstOffset } = append.entry;
  if (marker.coordinatorEpoch < coordinatorEpoch && append.origin !== 'replication') {
    throw new KafkaError(
      'TRANSACTION_COORDINATOR_FENCED',
      `expected coordinator epoch ${coordinatorEpoch} or above for producer ${producerId}, ` +
        `found ${marker.coordinatorEpoch}`,
    );
  }
  append.becomes({
    producerId,
    producerEpoch: marker.producerEpoch,
    batches: append.batchesOf(marker.producerEpoch),
    coordinatorEpoch: marker.coordinatorEpoch,
    lastTimestampMs: marker.timestampMs,
    currentTxnFirstOffset: undefined,
  });
  if (firstOffset === undefined) return undefined;
  return { producerId, firstOffset, lastOffset: marker.offset, aborted: marker.type === 'abort' };
}

function firstOffsetOf(transactions: Iterable<Transaction>): number | undefined {
  let first: number | undefined;
  for (const { firstOffset } of transactions) first = Math.min(first ?? firstOffset, firstOffset);
  return first;
}
