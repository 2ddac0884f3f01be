import { KafkaError } from '../protocol/errors.js';
import type { Checksums } from '../protocol/requests.js';
import type { TopicConfig } from '../protocol/topic-config.js';
import { type BatchAt, lastOffsetOf, NO_PRODUCER_ID, readBatchHeader, stampBatch } from '../record/batch-header.js';
import type { BatchHeader } from '../record/record.js';
import type { Clock } from '../runtime/runtime.js';
import type { LogCheckpoint, LogId, LogStore, SegmentRow } from '../storage/log-store.js';
import { isFenced } from '../storage/storage-errors.js';
import { Serial } from '../util/serial.js';
import { isFull } from './active-segment.js';
import {
  type AppendOrigin,
  type AppendRules,
  acceptableBatches,
  beginsTransactional,
  checkRecords,
  looksAtRecords,
} from './append-validation.js';
import type { BatchKeys } from './batch-keys.js';
import type { StampedBatch } from './chunk-packing.js';
import type { CommittingLog, GroupCommit } from './group-commit.js';
import { type RecoveredLog, type ReplayedPart, recoverLog } from './log-recovery.js';
import { type LogBatch, type LogState, lastSequenceOf, type TransactionsPart } from './log-state.js';
import type { CommittedBounds, EndMarker } from './log-transactions.js';
import type { AdvanceOfTransactions, LogAdvance } from './log-view.js';
import {
  type BatchMetadata,
  findDuplicate,
  firstOffsetOfBatch,
  type LostSequence,
  type ProducerEntry,
} from './producer-state.js';
import { recompressed, storedCompression } from './recompression.js';

export type { AppendOrigin };

/** A log is recovered by reading at most this much behind its last checkpoint, and what one commit adds to it. */
const CHECKPOINT_BYTES = 256 * 1024;
const CHECKPOINT_BATCHES = 500;
const NO_TIMESTAMP = -1;
export interface PartitionLogOptions {
  readonly store: LogStore;
  /** The broker's one; it must have been made over the same store and leader epoch. */
  readonly groupCommit: GroupCommit;
  readonly log: LogId;
  readonly leaderEpoch: number;
  /** Asked anew at each use: configs change while the log is open. */
  readonly config: () => TopicConfig;
  readonly clock: Clock;
  /** Called when a segment has closed and what closes it is durable. Must not throw. */
  readonly onSegmentClosed?: (log: LogId) => void;
  /** For the texts of errors: `orders-3`. */
  readonly name: string;
  /** Asked for where the log has transactions, or gets its first. */
  readonly transactions: () => Promise<TransactionsPart>;
  /** Kafka's `producer.id.expiration.ms`; default: Kafka's. */
  readonly producerIdExpirationMs?: number | undefined;
  /** For encrypted batches whose records are looked at; undefined: none is here. */
  readonly batchKeys?: (() => Promise<BatchKeys | undefined>) | undefined;
}

export interface AppendResult {
  readonly baseOffset: number;
  /** Inclusive. */
  readonly lastOffset: number;
  /** Broker time where the topic uses LogAppendTime, else -1. */
  readonly logAppendTimeMs: number;
  readonly logStartOffset: number;
  /** All batches were in the log before; the offsets are those they got then. */
  readonly duplicate: boolean;
}

/** An append whose place in the log is settled; it is durable once `committed` resolves. */
interface PlacedAppend {
  readonly baseOffset: number;
  readonly lastOffset: number;
  readonly logAppendTimeMs: number;
  readonly duplicate: boolean;
  readonly batches: readonly BatchHeader[];
  readonly committed: Promise<void>;
}

/** What log-upkeep.ts works with. */
export interface LogInside {
  readonly options: PartitionLogOptions;
  /** What deletes or rewrites takes turns. */
  readonly turns: Serial;
  /** Covers all that was accepted; behind a failed commit it is stale. */
  readonly state: () => LogState;
  readonly isStale: () => boolean;
  /** Resolves once the state covers what the store has and will have, and the queue of commits has room. */
  readonly ready: () => Promise<void>;
  /** Resolves once the state is not stale. */
  readonly recover: () => Promise<void>;
  /** Closes the active segment where it ends now: the row is to be written next. */
  readonly roll: () => SegmentRow;
  /** Of the state as it is: to be written next. */
  readonly checkpoint: () => LogCheckpoint;
  readonly writeRows: (rows: {
    readonly checkpoint?: LogCheckpoint;
    readonly closedSegment?: SegmentRow;
  }) => Promise<void>;
  /** What was before is deleted. */
  readonly startsAt: (offset: number) => void;
  /** What was before is there in other bytes: copies are old, which is told in the turn of the rewrite. */
  readonly rewritten: (endOffset: number) => void;
  /** @throws KafkaError NOT_LEADER_OR_FOLLOWER */
  readonly assertLeading: () => void;
  /** What a client is to hear of a failure. */
  readonly asAnswer: (error: unknown) => unknown;
}

/**
 * The leader's log of one partition: checks appends, gives offsets, and answers once they are durable. What becomes of its
 * older part is in log-upkeep.ts.
 *
 * Memory runs ahead of the disk: `#state` covers all that was accepted, `logEndOffset` what is committed. If a commit
 * fails, `#state` is stale, and the next append recovers it from the store before anything else.
 *
 * All writers: @throws KafkaError NOT_LEADER_OR_FOLLOWER: deposed or closed, nothing was written. KAFKA_STORAGE_ERROR:
 * nothing was written.
 */
export class PartitionLog {
  readonly name: string;
  readonly #options: PartitionLogOptions;
  readonly #writer: CommittingLog;
  /** Whoever cannot append at once waits here, in order of arrival. */
  readonly #entrance: Serial = new Serial();
  readonly #upkeepTurns: Serial = new Serial();
  #waitingCount = 0;
  #state: LogState;
  #isStale = false;
  #isClosed = false;
  #logStartOffset: number;
  #logEndOffset: number;
  /** Behind the last checkpoint. */
  #uncheckpointed: ReplayedPart;
  /** Accepted and not yet durable, in offset order. */
  #inFlight: PlacedAppend[] = [];
  /** Of idempotent producers, accepted and then not written: for the state that recovery makes. */
  readonly #lost: LostSequence[] = [];

  /**
   * Opens a log, which need not exist yet, in time that does not grow with it.
   * @throws KafkaError KAFKA_STORAGE_ERROR
   */
  static async open(options: PartitionLogOptions): Promise<PartitionLog> {
    return new PartitionLog(options, await recovered(options));
  }

  private constructor(options: PartitionLogOptions, { state, logStartOffset, replayed }: RecoveredLog) {
    this.name = options.name;
    this.#options = options;
    this.#state = state;
    this.#logStartOffset = logStartOffset;
    this.#logEndOffset = state.nextOffset;
    this.#uncheckpointed = replayed;
    this.#writer = {
      log: options.log,
      logStartOffset: () => this.#logStartOffset,
      committed: (endOffset) => this.#committed(endOffset),
      failed: () => this.#failed(),
    };
  }

  /** For what is loaded later (log-upkeep.ts), and nobody else. */
  get inside(): LogInside {
    return {
      options: this.#options,
      turns: this.#upkeepTurns,
      state: () => this.#state,
      isStale: () => this.#isStale,
      ready: async () => {
        while (!this.#isReady) await this.#entrance.run(async () => this.#isReady || this.#getReady());
      },
      recover: async () => {
        if (this.#isStale) await this.#entrance.run(async () => this.#isStale && this.#recover());
      },
      roll: () => this.#roll(),
      checkpoint: () => this.#checkpoint(),
      writeRows: (rows) => this.#writeRows(rows),
      startsAt: (offset) => this.#startsAt(offset),
      rewritten: (endOffset) => {
        this.#options.groupCommit.announce({ ...this.#whereItStands(), rewrittenOffset: endOffset });
      },
      assertLeading: () => this.#assertLeading(),
      asAnswer: (error) => this.#asAnswer(error),
    };
  }

  get logStartOffset(): number {
    return this.#logStartOffset;
  }

  /** Exclusive end of what is durable: with one replica the high watermark. */
  get logEndOffset(): number {
    return this.#logEndOffset;
  }

  /** Exclusive end of what is durable and decided: see `LogView.lastStableOffset`. */
  get lastStableOffset(): number {
    return this.#state.transactions?.lastStableOffset(this.#bounds) ?? this.#logEndOffset;
  }

  /** Aborts when a newer leader has taken over: nothing more is written, every append fails. */
  get deposed(): AbortSignal {
    return this.#options.groupCommit.deposed;
  }

  /**
   * Appends whole batches, all or none, in order of arrival; resolves once they are durable. The log takes `records`
   * and stamps them in place, missing checksums included; base offsets and leader epochs in them mean nothing. Batches that repeat remembered ones
   * of an idempotent producer are answered with the first offsets, as soon as those are durable. Where such batches
   * come before new ones, they are left out, and the offsets are those of the new.
   * @throws KafkaError as `acceptableBatches`, `checkRecords` and `ProducerAppend.appendBatch`: nothing was written.
   */
  async append(records: Uint8Array, origin: AppendOrigin, checksums: Checksums = 'given'): Promise<AppendResult> {
    const placed = this.#mayPlace(records, origin)
      ? this.#place(records, origin, checksums)
      : await this.#placeInTurn(records, origin, checksums);
    await placed.committed;
    const { baseOffset, lastOffset, logAppendTimeMs, duplicate } = placed;
    return { baseOffset, lastOffset, logAppendTimeMs, logStartOffset: this.#logStartOffset, duplicate };
  }

  /**
   * Appends the marker that ends a producer's transaction here, whether or not one is open; resolves once it is durable.
   * @throws KafkaError INVALID_PRODUCER_EPOCH; TRANSACTION_COORDINATOR_FENCED: an older coordinator.
   */
  async appendEndMarker(marker: EndMarker): Promise<AppendResult> {
    const { transactions, clock } = this.#options;
    const { markerBatch } = await transactions();
    return this.append(markerBatch(marker, clock.wallMs()), 'coordinator');
  }

  /** What is known of a producer, whatever is left of its batches. */
  producer(producerId: number): ProducerEntry | undefined {
    return this.#state.producers.entry(producerId);
  }

  /** Writes down, behind all that is accepted, what memory knows: for whoever is about to work on the stored log. */
  async writeCheckpoint(): Promise<void> {
    this.#assertLeading();
    if (this.#isStale) return; // memory knows no more than the store
    await this.#write({ bytes: NO_BYTES, batches: [], strict: false, checkpoint: this.#checkpoint() });
  }

  /** Takes no more appends and waits for those in flight. Idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.allSettled([...this.#inFlight.map(({ committed }) => committed), this.#entrance.idle()]);
    await this.#upkeepTurns.idle();
  }

  // ---------------------------------------------------------------- placing

  /** Whether an append can be placed in this very turn, ahead of nobody. */
  #mayPlace(records: Uint8Array, origin: AppendOrigin): boolean {
    const mustWait = this.#looksAtRecords(origin) || this.#recompresses(origin) || this.#needsTransactions(records);
    return this.#waitingCount === 0 && this.#isReady && !mustWait;
  }

  #needsTransactions(records: Uint8Array): boolean {
    return !this.#state.takesTransactions && beginsTransactional(records);
  }

  #looksAtRecords(origin: AppendOrigin): boolean {
    return origin === 'client' && looksAtRecords(this.#options.config());
  }

  #recompresses(origin: AppendOrigin): boolean {
    return origin === 'client' && storedCompression(this.#options.config()) !== undefined;
  }

  async #placeInTurn(given: Uint8Array, origin: AppendOrigin, givenChecksums: Checksums): Promise<PlacedAppend> {
    this.#waitingCount++;
    try {
      return await this.#entrance.run(async () => {
        let records = given;
        let checksums = givenChecksums;
        if (this.#looksAtRecords(origin)) {
          await checkRecords(records, this.#rules(origin, checksums), this.#options.batchKeys);
        }
        if (this.#recompresses(origin)) {
          records = await recompressed(records, this.#rules(origin, checksums));
          checksums = 'given';
        }
        while (!this.#isReady || this.#needsTransactions(records)) await this.#getReady();
        // From here on no await: a commit may fail at any.
        return this.#place(records, origin, checksums);
      });
    } finally {
      this.#waitingCount--;
    }
  }

  /** Whether the state covers what the store has and will have, and the queue has room. */
  get #isReady(): boolean {
    return !this.#isStale && this.#options.groupCommit.hasRoom;
  }

  async #getReady(): Promise<void> {
    this.#assertLeading();
    if (this.#isStale) return this.#recover();
    if (!this.#options.groupCommit.hasRoom) return this.#options.groupCommit.room();
    const part = await this.#options.transactions();
    this.#state.takeTransactions(part);
  }

  async #recover(): Promise<void> {
    const { groupCommit } = this.#options;
    await groupCommit.drained();
    const { state, logStartOffset, replayed } = await recovered(this.#options);
    if (state.nextOffset < this.#logEndOffset) {
      const found = `${this.name}: committed up to ${this.#logEndOffset}, the database ends at ${state.nextOffset}`;
      throw new KafkaError('KAFKA_STORAGE_ERROR', found);
    }
    state.producers.noteLost([...this.#state.producers.lost(), ...this.#lost.splice(0)]);
    this.#state = state;
    this.#logStartOffset = Math.max(this.#logStartOffset, logStartOffset);
    this.#uncheckpointed = replayed;
    this.#isStale = false;
    if (state.nextOffset === this.#logEndOffset) return;
    this.#logEndOffset = state.nextOffset;
    groupCommit.announce(this.#whereItStands());
  }

  /** Checks, stamps and queues an append: all in one turn, so that the order of arrival is the order of offsets. */
  #place(records: Uint8Array, origin: AppendOrigin, checksums: Checksums): PlacedAppend {
    this.#assertLeading();
    const rules = this.#rules(origin, checksums);
    const batches = acceptableBatches(records, rules);
    const known = origin === 'client' ? this.#leadingDuplicates(batches) : [];
    const first = known[0];
    const last = known.at(-1);
    if (first && last && known.length === batches.length) return this.#duplicateOf(first, last);
    const from = batches[known.length]?.at ?? 0;
    return this.#placeNew(
      records.subarray(from),
      batches.slice(known.length).map(({ header, at }) => ({ header, at: at - from })),
      rules,
    );
  }

  #rules(origin: AppendOrigin, checksums: Checksums): AppendRules {
    const { config, clock } = this.#options;
    return { name: this.name, config: config(), origin, checksums, nowMs: clock.wallMs() };
  }

  #leadingDuplicates(batches: readonly BatchAt[]): BatchMetadata[] {
    const known: BatchMetadata[] = [];
    for (const { header } of batches) {
      const { producerId, producerEpoch, baseSequence: firstSequence } = header;
      const entry = this.#state.producers.entry(producerId);
      const duplicate = findDuplicate(entry, { producerEpoch, firstSequence, lastSequence: lastSequenceOf(header) });
      if (duplicate === undefined) break;
      known.push(duplicate);
    }
    return known;
  }

  #duplicateOf(first: BatchMetadata, last: BatchMetadata): PlacedAppend {
    const usesAppendTime = this.#options.config().messageTimestampType === 'LogAppendTime';
    const original = this.#inFlight.find(({ lastOffset }) => lastOffset >= last.lastOffset);
    return {
      baseOffset: firstOffsetOfBatch(first),
      lastOffset: last.lastOffset,
      logAppendTimeMs: usesAppendTime ? first.timestampMs : NO_TIMESTAMP,
      duplicate: true,
      batches: [],
      committed: original?.committed ?? Promise.resolve(),
    };
  }

  #placeNew(
    bytes: Uint8Array,
    batches: readonly BatchAt[],
    { config, origin, nowMs }: { readonly config: TopicConfig; readonly origin: AppendOrigin; readonly nowMs: number },
  ): PlacedAppend {
    const usesAppendTime = config.messageTimestampType === 'LogAppendTime';
    const appendTimeMs = usesAppendTime ? Math.max(nowMs, this.#state.lastLogAppendTimeMs) : undefined;
    const headers = withOffsets(
      batches.map((batch) => this.#state.read(bytes, batch)),
      this.#state.nextOffset,
    );
    const staged = this.#state.stage(headers, origin, appendTimeMs ?? nowMs); // the last thing that can refuse the append
    const stamped = batches.map(({ at }, index) => {
      const { baseOffset } = headers[index] as BatchHeader;
      const { leaderEpoch: partitionLeaderEpoch } = this.#options;
      stampBatch(bytes, at, { baseOffset, partitionLeaderEpoch, logAppendTimeMs: appendTimeMs });
      return readBatchHeader(bytes, at);
    });

    const closedSegment = this.#rollIfFull(stamped, config);
    this.#state.adopt(stamped, staged);
    const placed: PlacedAppend = {
      baseOffset: (stamped[0] as BatchHeader).baseOffset,
      lastOffset: this.#state.nextOffset - 1,
      logAppendTimeMs: appendTimeMs ?? NO_TIMESTAMP,
      duplicate: false,
      batches: stamped,
      committed: this.#write({
        bytes,
        batches: stamped.map((header, index) => placeOf(header, batches[index] as BatchAt)),
        strict: config.flushMessages === 1,
        checkpoint: this.#checkpointIfDue(stamped),
        closedSegment,
      }),
    };
    this.#inFlight.push(placed);
    return placed;
  }

  async #write(append: Omit<Parameters<GroupCommit['append']>[0], 'owner'>): Promise<void> {
    const { groupCommit, onSegmentClosed, log } = this.#options;
    try {
      await groupCommit.append({ ...append, owner: this.#writer });
      if (append.closedSegment) onSegmentClosed?.(log);
    } catch (error) {
      throw this.#asAnswer(error);
    }
  }

  #rollIfFull(batches: readonly BatchHeader[], config: TopicConfig): SegmentRow | undefined {
    const sizeInBytes = totalBytes(batches);
    const maxTimestampMs = batches.reduce((max, batch) => Math.max(max, batch.maxTimestampMs), NO_TIMESTAMP);
    const append = { sizeInBytes, maxTimestampMs };
    const { segment, transactions } = this.#state;
    // The active segment is never compacted: it closes in time for max.compaction.lag.ms.
    const longestMs = config.cleanupPolicy.compact ? config.maxCompactionLagMs : Number.POSITIVE_INFINITY;
    const rules = { segmentBytes: config.segmentBytes, segmentMs: Math.min(config.segmentMs, longestMs) };
    return transactions?.isIndexFull || isFull(segment, append, rules) ? this.#roll() : undefined;
  }

  #roll(): SegmentRow {
    const row = this.#state.closedRow(this.#options.log);
    this.#state.segmentClosed(row);
    return row;
  }

  #checkpointIfDue(batches: readonly BatchHeader[]): LogCheckpoint | undefined {
    const bytes = this.#uncheckpointed.bytes + totalBytes(batches);
    this.#uncheckpointed = { bytes, batches: this.#uncheckpointed.batches + batches.length };
    const due = bytes >= CHECKPOINT_BYTES || this.#uncheckpointed.batches >= CHECKPOINT_BATCHES;
    return due || this.#state.mustCheckpoint ? this.#checkpoint() : undefined;
  }

  #checkpoint(): LogCheckpoint {
    this.#uncheckpointed = { bytes: 0, batches: 0 };
    this.#state.checkpointTaken();
    return { log: this.#options.log, offset: this.#state.nextOffset, snapshot: this.#state.snapshot() };
  }

  // ---------------------------------------------------------------- outcomes

  #committed(endOffset: number): AdvanceOfTransactions | undefined {
    const fromOffset = this.#logEndOffset;
    this.#logEndOffset = endOffset;
    const durable = this.#inFlight.findIndex(({ lastOffset }) => lastOffset >= endOffset);
    this.#inFlight = durable < 0 ? [] : this.#inFlight.slice(durable);
    return this.#state.committed(fromOffset, this.#bounds);
  }

  #failed(): void {
    for (const { producerId, producerEpoch, baseSequence } of this.#inFlight.flatMap(({ batches }) => batches)) {
      if (producerId !== NO_PRODUCER_ID) this.#lost.push({ producerId, producerEpoch, sequence: baseSequence });
    }
    this.#isStale = true;
    this.#inFlight = [];
  }

  #startsAt(offset: number): void {
    this.#logStartOffset = offset;
    this.#state.logStartAdvanced(offset);
    this.#options.groupCommit.announce(this.#whereItStands());
  }

  /** For readers that missed how it came to that. */
  #whereItStands(): LogAdvance {
    const { log, leaderEpoch } = this.#options;
    const fromOffset = this.#logEndOffset;
    const told = { fromOffset, lastStableOffset: this.lastStableOffset, aborted: [] };
    return {
      log,
      leaderEpoch,
      ...this.#bounds,
      chunks: [],
      ...(this.#state.takesTransactions && { transactions: told }),
    };
  }

  get #bounds(): CommittedBounds {
    return { logStartOffset: this.#logStartOffset, highWatermark: this.#logEndOffset };
  }

  #writeRows(rows: Parameters<LogInside['writeRows']>[0]): Promise<void> {
    const strict = this.#options.config().flushMessages === 1;
    return this.#write({ bytes: NO_BYTES, batches: [], strict, ...rows });
  }

  // ---------------------------------------------------------------- errors

  #assertLeading(): void {
    if (this.deposed.aborted) throw this.#asAnswer(this.deposed.reason);
    if (this.#isClosed) throw new KafkaError('NOT_LEADER_OR_FOLLOWER', `${this.name} is closed here`);
  }

  /** A fenced write means, for a client, that it should look for the leader. */
  #asAnswer(error: unknown): unknown {
    if (!isFenced(error)) return error;
    const text = `${this.name} has a newer leader than epoch ${this.#options.leaderEpoch}: ${error.message}`;
    return new KafkaError('NOT_LEADER_OR_FOLLOWER', text, { cause: error });
  }
}

const NO_BYTES = new Uint8Array(0);

function totalBytes(batches: readonly BatchHeader[]): number {
  return batches.reduce((bytes, { sizeInBytes }) => bytes + sizeInBytes, 0);
}

function recovered({
  store,
  log,
  clock,
  transactions,
  producerIdExpirationMs,
}: PartitionLogOptions): Promise<RecoveredLog> {
  const expiry = producerIdExpirationMs === undefined ? {} : { producerIdExpirationMs };
  return recoverLog(store, log, { nowMs: clock.wallMs(), transactions, ...expiry });
}

/** The heads of batches that follow each other from `offset` on. */
function withOffsets(headers: readonly LogBatch[], offset: number): LogBatch[] {
  let baseOffset = offset;
  return headers.map((header) => {
    const placed = { ...header, baseOffset };
    baseOffset = lastOffsetOf(placed) + 1;
    return placed;
  });
}

function placeOf(header: BatchHeader, { at }: BatchAt): StampedBatch {
  const { sizeInBytes, baseOffset } = header;
  return { at, sizeInBytes, baseOffset, lastOffset: lastOffsetOf(header) };
}
