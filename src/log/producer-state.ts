import { KafkaError } from '../protocol/errors.js';
import { assert, present } from '../util/assert.js';

const MAX_SEQUENCE = 0x7fff_ffff;
const NONE = -1;
/** Producers whose lost batches are remembered. */
const MAX_LOST = 1000;

/**
 * `client`: checked in full. `coordinator`: the broker's own writes, whose sequences are not checked. `replication`: a
 * batch that a leader has accepted before, from another replica or from this log's own past; nothing is refused.
 */
export type ProducerOrigin = 'client' | 'coordinator' | 'replication';

/** What is remembered of one batch. First offset and first sequence follow from the last ones and the delta. */
export interface BatchMetadata {
  readonly lastSequence: number;
  readonly lastOffset: number;
  readonly offsetDelta: number;
  readonly timestampMs: number;
}

/** What a log knows of one producer: a plain value that is never changed, only replaced. -1 stands for "none". */
export interface ProducerEntry {
  readonly producerId: number;
  readonly producerEpoch: number;
  /** Oldest first, at most `batchesRemembered`, all of `producerEpoch`. */
  readonly batches: readonly BatchMetadata[];
  readonly coordinatorEpoch: number;
  readonly lastTimestampMs: number;
  /** Where the open transaction began; undefined where none is open. */
  readonly currentTxnFirstOffset: number | undefined;
}

/** A data batch as the producer state sees it. */
export interface ProducerBatch {
  readonly producerEpoch: number;
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly firstOffset: number;
  readonly lastOffset: number;
  readonly maxTimestampMs: number;
  readonly transactional: boolean;
}

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

export interface ProducerStateConfig {
  /** Kafka's `producer.id.expiration.ms`. */
  readonly producerIdExpirationMs: number;
  /** Kafka's `transaction.max.timeout.ms`. */
  readonly maxTransactionTimeoutMs: number;
  /** How much longer than that a transaction may be open before it counts as late. */
  readonly lateTransactionBufferMs: number;
  /** How many batches of a producer are remembered, so that a retry of any of them is known. */
  readonly batchesRemembered: number;
}

/** Kafka's defaults. */
export const PRODUCER_STATE_DEFAULTS: ProducerStateConfig = {
  producerIdExpirationMs: 24 * 60 * 60 * 1000,
  maxTransactionTimeoutMs: 15 * 60 * 1000,
  lateTransactionBufferMs: 5 * 60 * 1000,
  batchesRemembered: 5,
};

/** Of a producer that was silent for this long, only as many batches stay known as Kafka remembers. */
const RETRIES_END_MS = 10 * 60 * 1000;

/** The producers as of `offset` (exclusive end of what they cover): plain data, structured-clonable, never changed. */
export interface ProducerSnapshot {
  readonly offset: number;
  readonly producers: readonly ProducerEntry[];
}

/**
 * What one log knows of its idempotent and transactional producers: Kafka's ProducerStateManager without its files.
 * Pure: time and snapshots are handed in.
 *
 * A write has two phases, so that a request with several batches is taken as a whole or not at all: `prepare` gives
 * a ProducerAppend, which checks batch after batch and changes nothing; `update` adopts it.
 */
export class ProducerState {
  readonly #config: ProducerStateConfig;
  readonly #producers = new Map<number, ProducerEntry>();
  /** Open transactions by first offset. */
  readonly #ongoing = new Map<number, Transaction>();
  /** Transactions whose marker may lie above the high watermark, by first offset. */
  readonly #unreplicated = new Map<number, Transaction>();
  /** By producer id: see `noteLost`. */
  readonly #lost = new Map<number, LostSequence>();
  #mapEndOffset = 0;

  constructor(config: Partial<ProducerStateConfig> = {}) {
    this.#config = { ...PRODUCER_STATE_DEFAULTS, ...config };
  }

  /** Exclusive end of the part of the log that this state covers. */
  get mapEndOffset(): number {
    return this.#mapEndOffset;
  }

  get isEmpty(): boolean {
    return this.#producers.size === 0 && this.#unreplicated.size === 0;
  }

  producers(): ReadonlyMap<number, ProducerEntry> {
    return this.#producers;
  }

  entry(producerId: number): ProducerEntry | undefined {
    return this.#producers.get(producerId);
  }

  prepare(producerId: number, origin: ProducerOrigin): ProducerAppend {
    return new ProducerAppend(this.#producers.get(producerId) ?? emptyEntry(producerId), {
      origin,
      batchesRemembered: this.#config.batchesRemembered,
      lost: this.#lost.get(producerId),
    });
  }

  /**
   * These batches were accepted once and not written. A producer that is unknown otherwise must begin with the first of
   * them: if a later one were let in before, that one could never be repeated. (Kafka has this rule for batches that
   * wait for the verification of their transaction, KIP-890.)
   */
  noteLost(batches: Iterable<LostSequence>): void {
    for (const batch of batches) {
      const known = this.#lost.get(batch.producerId);
      const isLater = known?.producerEpoch === batch.producerEpoch && known.sequence < batch.sequence;
      if (!isLater) this.#lost.set(batch.producerId, batch);
      if (this.#lost.size > MAX_LOST)
        this.#lost.delete(present(this.#lost.keys().next().value, 'the map is not empty'));
    }
  }

  /** What was noted as lost and has not come again. */
  lost(): Iterable<LostSequence> {
    return this.#lost.values();
  }

  /** Adopts what was prepared. Two appends of one producer must be prepared and adopted one after the other. */
  update(append: ProducerAppend): void {
    this.#producers.set(append.entry.producerId, append.entry);
    this.#lost.delete(append.entry.producerId);
    for (const firstOffset of append.startedTransactions) {
      this.#ongoing.set(firstOffset, { producerId: append.entry.producerId, firstOffset, lastOffset: undefined });
    }
  }

  /** The log now ends at `offset`, whether or not what was written there had a producer. */
  advanceTo(offset: number): void {
    this.#mapEndOffset = offset;
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
    const lastTimestampMs = (oldest && this.#producers.get(oldest.producerId)?.lastTimestampMs) ?? NONE;
    const limitMs = this.#config.maxTransactionTimeoutMs + this.#config.lateTransactionBufferMs;
    return lastTimestampMs > 0 && nowMs - lastTimestampMs > limitMs;
  }

  highWatermarkAdvanced(highWatermark: number): void {
    for (const [firstOffset, { lastOffset }] of this.#unreplicated) {
      if (lastOffset !== undefined && lastOffset < highWatermark) this.#unreplicated.delete(firstOffset);
    }
  }

  /** Producers are kept: their next sequence is checked against what was deleted, too. */
  logStartAdvanced(logStartOffset: number): void {
    this.highWatermarkAdvanced(logStartOffset);
    this.#mapEndOffset = Math.max(this.#mapEndOffset, logStartOffset);
  }

  /**
   * Forgets producers that were silent for `producerIdExpirationMs` and have no open transaction; of those that were
   * silent for a while, the batches that nobody will repeat any more.
   */
  removeExpired(nowMs: number): void {
    const kept = PRODUCER_STATE_DEFAULTS.batchesRemembered;
    for (const entry of this.#producers.values()) {
      if (this.#isExpired(entry, nowMs)) this.#producers.delete(entry.producerId);
      else if (entry.batches.length > kept && nowMs - entry.lastTimestampMs >= RETRIES_END_MS) {
        this.#producers.set(entry.producerId, { ...entry, batches: entry.batches.slice(-kept) });
      }
    }
  }

  snapshot(): ProducerSnapshot {
    return { offset: this.#mapEndOffset, producers: [...this.#producers.values()] };
  }

  /**
   * Makes this the state of a log that holds `logStartOffset` to `logEndOffset`, as far as `newest` goes: the newest
   * snapshot with logStartOffset < offset <= logEndOffset, if there is one. The caller replays the log from
   * `mapEndOffset` on. State that ends at `logEndOffset` already is kept.
   */
  truncateAndReload(bounds: LogBounds, newest: ProducerSnapshot | undefined, nowMs: number): void {
    if (bounds.logEndOffset === this.#mapEndOffset) this.logStartAdvanced(bounds.logStartOffset);
    else this.load(newest ?? { offset: bounds.logStartOffset, producers: [] }, nowMs);
  }

  /** Makes this the state that `snapshot` holds, without the producers that have expired since. */
  load(snapshot: ProducerSnapshot, nowMs: number): void {
    this.reset(snapshot.offset);
    for (const entry of snapshot.producers) if (!this.#isExpired(entry, nowMs)) this.#load(entry);
  }

  /** Forgets everything; the log begins anew at `offset`. */
  reset(offset: number): void {
    this.#producers.clear();
    this.#ongoing.clear();
    this.#unreplicated.clear();
    this.#mapEndOffset = offset;
  }

  #load(entry: ProducerEntry): void {
    const { producerId, currentTxnFirstOffset: firstOffset } = entry;
    this.#producers.set(producerId, entry);
    if (firstOffset !== undefined) this.#ongoing.set(firstOffset, { producerId, firstOffset, lastOffset: undefined });
  }

  #isExpired(entry: ProducerEntry, nowMs: number): boolean {
    return (
      entry.currentTxnFirstOffset === undefined && nowMs - entry.lastTimestampMs >= this.#config.producerIdExpirationMs
    );
  }
}

/** The first sequence of a batch that a failed commit has taken with it. */
export interface LostSequence {
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly sequence: number;
}

export interface LogBounds {
  readonly logStartOffset: number;
  /** Exclusive. */
  readonly logEndOffset: number;
}

interface ProducerAppendOptions {
  readonly origin: ProducerOrigin;
  readonly batchesRemembered: number;
  readonly lost: LostSequence | undefined;
}

/** Appends of one producer that are checked one after another and not yet part of the state. */
export class ProducerAppend {
  readonly #origin: ProducerOrigin;
  readonly #startedTransactions: number[] = [];
  /** An epoch that was there before this append: -1 means that the producer was unknown. */
  readonly #knownEpoch: number;
  readonly #lost: LostSequence | undefined;
  readonly #batchesRemembered: number;
  #entry: ProducerEntry;

  constructor(entry: ProducerEntry, { origin, batchesRemembered, lost }: ProducerAppendOptions) {
    this.#origin = origin;
    this.#lost = lost;
    this.#batchesRemembered = batchesRemembered;
    this.#knownEpoch = entry.producerEpoch;
    this.#entry = entry;
  }

  /** What becomes of the producer. */
  get entry(): ProducerEntry {
    return this.#entry;
  }

  /** First offsets. */
  get startedTransactions(): readonly number[] {
    return this.#startedTransactions;
  }

  /**
   * @throws KafkaError INVALID_PRODUCER_EPOCH: an older instance of the producer. OUT_OF_ORDER_SEQUENCE_NUMBER: a gap,
   *   or a repetition that is not remembered any more. INVALID_TXN_STATE: a plain batch inside a transaction.
   */
  appendBatch(batch: ProducerBatch): void {
    this.#checkEpoch(batch.producerEpoch, batch.firstOffset);
    if (this.#origin === 'client') this.#checkSequence(batch);
    const { currentTxnFirstOffset } = this.#entry;
    if (currentTxnFirstOffset !== undefined && !batch.transactional) {
      throw new KafkaError(
        'INVALID_TXN_STATE',
        `expected a transactional batch from producer ${this.#entry.producerId}, whose transaction is open since ` +
          `offset ${currentTxnFirstOffset}, found a plain one at offset ${batch.firstOffset}`,
      );
    }
    const startsTransaction = currentTxnFirstOffset === undefined && batch.transactional;
    if (startsTransaction) this.#startedTransactions.push(batch.firstOffset);
    this.#entry = {
      ...this.#entry,
      producerEpoch: batch.producerEpoch,
      batches: [...this.#batchesOf(batch.producerEpoch).slice(1 - this.#batchesRemembered), metadataOf(batch)],
      lastTimestampMs: batch.maxTimestampMs,
      currentTxnFirstOffset: startsTransaction ? batch.firstOffset : currentTxnFirstOffset,
    };
  }

  /**
   * A marker ends the open transaction and, where its epoch is new, forgets the batches: the producer starts at
   * sequence 0 again. The answer is undefined where no transaction was open.
   * @throws KafkaError INVALID_PRODUCER_EPOCH; TRANSACTION_COORDINATOR_FENCED: an older coordinator.
   */
  appendEndMarker(marker: EndTransactionMarker): CompletedTransaction | undefined {
    this.#checkEpoch(marker.producerEpoch, marker.offset);
    const { producerId, coordinatorEpoch, currentTxnFirstOffset: firstOffset } = this.#entry;
    if (marker.coordinatorEpoch < coordinatorEpoch && this.#origin !== 'replication') {
      throw new KafkaError(
        'TRANSACTION_COORDINATOR_FENCED',
        `expected coordinator epoch ${coordinatorEpoch} or above for producer ${producerId}, ` +
          `found ${marker.coordinatorEpoch}`,
      );
    }
    this.#entry = {
      producerId,
      producerEpoch: marker.producerEpoch,
      batches: this.#batchesOf(marker.producerEpoch),
      coordinatorEpoch: marker.coordinatorEpoch,
      lastTimestampMs: marker.timestampMs,
      currentTxnFirstOffset: undefined,
    };
    if (firstOffset === undefined) return undefined;
    return { producerId, firstOffset, lastOffset: marker.offset, aborted: marker.type === 'abort' };
  }

  #batchesOf(producerEpoch: number): readonly BatchMetadata[] {
    return producerEpoch === this.#entry.producerEpoch ? this.#entry.batches : [];
  }

  #checkEpoch(producerEpoch: number, offset: number): void {
    if (producerEpoch >= this.#entry.producerEpoch || this.#origin === 'replication') return;
    throw new KafkaError(
      'INVALID_PRODUCER_EPOCH',
      `expected epoch ${this.#entry.producerEpoch} or above from producer ${this.#entry.producerId}, ` +
        `found ${producerEpoch} at offset ${offset}`,
    );
  }

  /** A producer that nothing is known of may begin with any sequence: its state may have expired or been deleted. */
  #checkSequence({ producerEpoch, firstSequence, firstOffset }: ProducerBatch): void {
    const expected = this.#expectedSequence(producerEpoch) ?? this.#lostSequence(producerEpoch, firstSequence);
    if (expected === undefined || firstSequence === expected) return;
    throw new KafkaError(
      'OUT_OF_ORDER_SEQUENCE_NUMBER',
      `expected sequence ${expected} from producer ${this.#entry.producerId} in epoch ${producerEpoch}, ` +
        `found ${firstSequence} at offset ${firstOffset}`,
    );
  }

  #expectedSequence(producerEpoch: number): number | undefined {
    if (producerEpoch !== this.#entry.producerEpoch) return this.#entry.producerEpoch === NONE ? undefined : 0;
    if (this.#knownEpoch === NONE && this.#entry.batches.length === 0) return undefined;
    return nextSequence(lastSequence(this.#entry));
  }

  /** The sequence that an otherwise unknown producer must begin with, where it begins behind that. */
  #lostSequence(producerEpoch: number, firstSequence: number): number | undefined {
    if (this.#lost?.producerEpoch !== producerEpoch || firstSequence <= this.#lost.sequence) return undefined;
    return this.#lost.sequence;
  }
}

/** A producer that nothing is known of. */
export function emptyEntry(producerId: number): ProducerEntry {
  return {
    producerId,
    producerEpoch: NONE,
    batches: [],
    coordinatorEpoch: NONE,
    lastTimestampMs: NONE,
    currentTxnFirstOffset: undefined,
  };
}

/** The remembered batch that this one repeats: same epoch, same first and last sequence. */
export function findDuplicate(
  entry: ProducerEntry | undefined,
  batch: Pick<ProducerBatch, 'producerEpoch' | 'firstSequence' | 'lastSequence'>,
): BatchMetadata | undefined {
  if (entry?.producerEpoch !== batch.producerEpoch) return undefined;
  return entry.batches.find(
    (known) => known.lastSequence === batch.lastSequence && firstSequenceOf(known) === batch.firstSequence,
  );
}

/** `sequence` + `increment`, which goes from 2^31 - 1 on to 0. */
export function incrementSequence(sequence: number, increment: number): number {
  const sum = sequence + increment;
  return sum > MAX_SEQUENCE ? sum - MAX_SEQUENCE - 1 : sum;
}

export function firstSequenceOf({ lastSequence: last, offsetDelta }: BatchMetadata): number {
  return last >= offsetDelta ? last - offsetDelta : MAX_SEQUENCE - (offsetDelta - last) + 1;
}

export function firstOffsetOfBatch({ lastOffset, offsetDelta }: BatchMetadata): number {
  return lastOffset - offsetDelta;
}

/** -1 before the first batch of the epoch. */
export function lastSequence(entry: ProducerEntry): number {
  return entry.batches.at(-1)?.lastSequence ?? NONE;
}

function nextSequence(last: number): number {
  return incrementSequence(last, 1);
}

function metadataOf(batch: ProducerBatch): BatchMetadata {
  const { lastOffset, firstOffset, lastSequence: last, maxTimestampMs } = batch;
  return { lastSequence: last, lastOffset, offsetDelta: lastOffset - firstOffset, timestampMs: maxTimestampMs };
}

function firstOffsetOf(transactions: Iterable<Transaction>): number | undefined {
  let first: number | undefined;
  for (const { firstOffset } of transactions) first = Math.min(first ?? firstOffset, firstOffset);
  return first;
}
