import { KafkaError } from '../protocol/errors.js';
import { present } from '../util/assert.js';
import type { CompletedTransaction } from './transactional-producers.js';

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

export interface ProducerStateConfig {
  /** Kafka's `producer.id.expiration.ms`. */
  readonly producerIdExpirationMs: number;
  /** How many batches of a producer are remembered, so that a retry of any of them is known. */
  readonly batchesRemembered: number;
}

/** Kafka's defaults. */
export const PRODUCER_STATE_DEFAULTS: ProducerStateConfig = {
  producerIdExpirationMs: 24 * 60 * 60 * 1000,
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
 * What one log knows of its producers: Kafka's ProducerStateManager without its files. Pure: time and snapshots are
 * handed in. Which transactions are open is beside it, in transactional-producers.ts.
 *
 * A write has two phases, so that a request with several batches is taken as a whole or not at all: `prepare` gives
 * a ProducerAppend, which checks batch after batch and changes nothing; `update` adopts it.
 */
export class ProducerState {
  readonly #config: ProducerStateConfig;
  readonly #producers = new Map<number, ProducerEntry>();
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
  }

  /** The log now ends at `offset`, whether or not what was written there had a producer. */
  advanceTo(offset: number): void {
    this.#mapEndOffset = offset;
  }

  /** Producers are kept: their next sequence is checked against what was deleted, too. */
  logStartAdvanced(logStartOffset: number): void {
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

  /** Makes this the state that `snapshot` holds, without the producers that have expired since. */
  load(snapshot: ProducerSnapshot, nowMs: number): void {
    this.reset(snapshot.offset);
    for (const entry of snapshot.producers) {
      if (!this.#isExpired(entry, nowMs)) this.#producers.set(entry.producerId, entry);
    }
  }

  /** Forgets everything; the log begins anew at `offset`. */
  reset(offset: number): void {
    this.#producers.clear();
    this.#mapEndOffset = offset;
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

interface ProducerAppendOptions {
  readonly origin: ProducerOrigin;
  readonly batchesRemembered: number;
  readonly lost: LostSequence | undefined;
}

/** Appends of one producer that are checked one after another and not yet part of the state. */
export class ProducerAppend {
  readonly origin: ProducerOrigin;
  /** Ended by markers among what is appended. */
  readonly completedTransactions: CompletedTransaction[] = [];
  readonly #startedTransactions: number[] = [];
  /** An epoch that was there before this append: -1 means that the producer was unknown. */
  readonly #knownEpoch: number;
  readonly #lost: LostSequence | undefined;
  readonly #batchesRemembered: number;
  #entry: ProducerEntry;

  constructor(entry: ProducerEntry, { origin, batchesRemembered, lost }: ProducerAppendOptions) {
    this.origin = origin;
    this.#lost = lost;
    this.#batchesRemembered = batchesRemembered;
    this.#knownEpoch = entry.producerEpoch;
    this.#entry = entry;
  }

  /** What becomes of the producer. */
  get entry(): ProducerEntry {
    return this.#entry;
  }

  /** A marker has ended what was open: see transactional-producers.ts. */
  becomes(entry: ProducerEntry): void {
    this.#entry = entry;
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
    this.checkEpoch(batch.producerEpoch, batch.firstOffset);
    if (this.origin === 'client') this.#checkSequence(batch);
    const { currentTxnFirstOffset } = this.#entry;
    // Of a log's own past it may be that the marker is lost.
    if (currentTxnFirstOffset !== undefined && !batch.transactional && this.origin !== 'replication') {
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
      batches: [...this.batchesOf(batch.producerEpoch).slice(1 - this.#batchesRemembered), metadataOf(batch)],
      lastTimestampMs: batch.maxTimestampMs,
      currentTxnFirstOffset: startsTransaction ? batch.firstOffset : currentTxnFirstOffset,
    };
  }

  /** Of this epoch; a newer one begins anew. */
  batchesOf(producerEpoch: number): readonly BatchMetadata[] {
    return producerEpoch === this.#entry.producerEpoch ? this.#entry.batches : [];
  }

  /** @throws KafkaError INVALID_PRODUCER_EPOCH */
  checkEpoch(producerEpoch: number, offset: number): void {
    if (producerEpoch >= this.#entry.producerEpoch || this.origin === 'replication') return;
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
