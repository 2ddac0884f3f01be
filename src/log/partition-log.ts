import { KafkaError } from '../protocol/errors.js';
import type { TopicConfig } from '../protocol/topic-config.js';
import { type BatchAt, lastOffsetOf, NO_PRODUCER_ID, readBatchHeader, stampBatch } from '../record/batch-header.js';
import type { BatchHeader } from '../record/record.js';
import type { Clock } from '../runtime/runtime.js';
import type { LogCheckpoint, LogId, LogStore, SegmentRow } from '../storage/log-store.js';
import { Serial } from '../util/serial.js';
import { closedRow, isFull } from './active-segment.js';
import { type AppendOrigin, acceptableBatches, checkKeys } from './append-validation.js';
import type { StampedBatch } from './chunk-packing.js';
import type { CommittingLog, GroupCommit } from './group-commit.js';
import { type RecoveredLog, type ReplayedPart, recoverLog } from './log-recovery.js';
import { type LogState, lastSequenceOf } from './log-state.js';
import { type BatchMetadata, findDuplicate, firstOffsetOfBatch, type LostSequence } from './producer-state.js';
import { expiredSegmentCount } from './retention.js';

export type { AppendOrigin };

/** A log is recovered by reading at most this much behind its last checkpoint, and what one commit adds to it. */
const CHECKPOINT_BYTES = 256 * 1024;
const CHECKPOINT_BATCHES = 500;
const NO_TIMESTAMP = -1;
/** DeleteRecords: everything up to the high watermark. */
const HIGH_WATERMARK = -1;

export interface PartitionLogOptions {
  readonly store: LogStore;
  /** The broker's one; it must have been made over the same store and leader epoch. */
  readonly groupCommit: GroupCommit;
  readonly log: LogId;
  readonly leaderEpoch: number;
  /** Asked anew at each use: configs change while the log is open. */
  readonly config: () => TopicConfig;
  readonly clock: Clock;
  /** For the texts of errors: `orders-3`. */
  readonly name: string;
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

/**
 * The leader's log of one partition: checks appends, gives offsets, and answers once they are durable.
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
  readonly #deletions: Serial = new Serial();
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
    return new PartitionLog(options, await recoverLog(options.store, options.log, options.clock.wallMs()));
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

  get logStartOffset(): number {
    return this.#logStartOffset;
  }

  /** Exclusive end of what is durable: with one replica the high watermark. */
  get logEndOffset(): number {
    return this.#logEndOffset;
  }

  /** Aborts when a newer leader has taken over: nothing more is written, every append fails. */
  get deposed(): AbortSignal {
    return this.#options.groupCommit.deposed;
  }

  /**
   * Appends whole batches, all or none, in order of arrival; resolves once they are durable. The log takes `records`
   * and stamps them in place; base offsets and leader epochs in them mean nothing. Batches that repeat remembered ones
   * of an idempotent producer are answered with the first offsets, as soon as those are durable. Where such batches
   * come before new ones, they are left out, and the offsets are those of the new.
   * @throws KafkaError as `acceptableBatches`, `checkKeys` and `ProducerAppend.appendBatch`: nothing was written.
   */
  async append(records: Uint8Array, origin: AppendOrigin): Promise<AppendResult> {
    const placed = this.#mayPlace(origin) ? this.#place(records, origin) : await this.#placeInTurn(records, origin);
    await placed.committed;
    const { baseOffset, lastOffset, logAppendTimeMs, duplicate } = placed;
    return { baseOffset, lastOffset, logAppendTimeMs, logStartOffset: this.#logStartOffset, duplicate };
  }

  /**
   * Deletes everything below `offset`, or below the high watermark for -1; what is deleted already is no failure.
   * Resolves to the log start offset.
   * @throws KafkaError OFFSET_OUT_OF_RANGE
   */
  deleteRecordsBefore(offset: number): Promise<number> {
    return this.#deletions.run(async () => {
      const endOffset = this.#logEndOffset;
      const before = offset === HIGH_WATERMARK ? endOffset : offset;
      if (!Number.isSafeInteger(before) || before < 0 || before > endOffset) {
        throw new KafkaError(
          'OFFSET_OUT_OF_RANGE',
          `${this.name}: expected an offset up to the high watermark ${endOffset}, found ${offset}`,
        );
      }
      await this.#deleteBefore(before);
      return this.#logStartOffset;
    });
  }

  /**
   * Deletes the oldest segments as `retention.ms`, `retention.bytes` and `cleanup.policy` say, and forgets producers
   * that have expired. To be called every now and then.
   */
  enforceRetention(): Promise<void> {
    return this.#deletions.run(async () => {
      const { store, log, config, clock } = this.#options;
      if (this.#isStale) await this.#entrance.run(async () => this.#isStale && this.#recover()); // a full disk waits for us
      const closed = await store.segments(log);
      if (this.#isStale) return; // the next append recovers it
      const nowMs = clock.wallMs();
      const { segment, producers } = this.#state;
      producers.removeExpired(nowMs);
      if ((closed.at(-1)?.nextOffset ?? this.#logStartOffset) < segment.baseOffset) return; // a row is being written
      const count = expiredSegmentCount([...closed, segment], config(), nowMs);
      if (count > closed.length) await this.#deleteBefore(await this.#rollActiveSegment());
      else if (count > 0) await this.#deleteBefore(closed[count - 1]?.nextOffset ?? 0);
    });
  }

  /**
   * Makes room whatever retention says: deletes the oldest segment, or the older half where there is but the active one.
   * Resolves to how many bytes are gone, as near as the segments tell.
   */
  dropOldest(): Promise<number> {
    return this.#deletions.run(async () => {
      const { store, log } = this.#options;
      const [start, end] = [this.#logStartOffset, this.#logEndOffset];
      if (start === end) return 0;
      const oldest = (await store.segments(log)).find(({ nextOffset }) => nextOffset > start && nextOffset <= end);
      await this.#deleteBefore(oldest?.nextOffset ?? end - Math.floor((end - start) / 2));
      return oldest?.byteCount ?? this.#state.segment.byteCount / 2;
    });
  }

  /** Bytes of the segments that are not wholly deleted, what is in flight included. */
  async sizeInBytes(): Promise<number> {
    const segments = await this.#options.store.segments(this.#options.log);
    const { baseOffset, startPosition, byteCount } = this.#state.segment;
    if (this.#logStartOffset >= this.#state.nextOffset) return 0;
    const oldest = segments.find(({ nextOffset }) => nextOffset > this.#logStartOffset && nextOffset <= baseOffset);
    return startPosition + byteCount - (oldest?.startPosition ?? startPosition);
  }

  /** Takes no more appends and waits for those in flight. Idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.allSettled([...this.#inFlight.map(({ committed }) => committed), this.#entrance.idle()]);
    await this.#deletions.idle();
  }

  // ---------------------------------------------------------------- placing

  /** Whether an append can be placed in this very turn, ahead of nobody. */
  #mayPlace(origin: AppendOrigin): boolean {
    return this.#waitingCount === 0 && this.#isReady && !this.#checksKeys(origin);
  }

  #checksKeys(origin: AppendOrigin): boolean {
    return origin === 'client' && this.#options.config().cleanupPolicy.compact;
  }

  async #placeInTurn(records: Uint8Array, origin: AppendOrigin): Promise<PlacedAppend> {
    this.#waitingCount++;
    try {
      return await this.#entrance.run(async () => {
        if (this.#checksKeys(origin)) await checkKeys(records, this.name);
        while (!this.#isReady) await this.#getReady(); // and then no await: a commit may fail at any
        return this.#place(records, origin);
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
    await (this.#isStale ? this.#recover() : this.#options.groupCommit.room());
  }

  async #recover(): Promise<void> {
    const { store, groupCommit, log, clock, leaderEpoch } = this.#options;
    await groupCommit.drained();
    const { state, logStartOffset, replayed } = await recoverLog(store, log, clock.wallMs());
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
    const highWatermark = state.nextOffset;
    groupCommit.announce({ log, leaderEpoch, logStartOffset: this.#logStartOffset, highWatermark, chunks: [] });
  }

  /** Checks, stamps and queues an append: all in one turn, so that the order of arrival is the order of offsets. */
  #place(records: Uint8Array, origin: AppendOrigin): PlacedAppend {
    this.#assertLeading();
    const { config, clock } = this.#options;
    const rules = { name: this.name, config: config(), origin, nowMs: clock.wallMs() };
    const batches = acceptableBatches(records, rules);
    const known = this.#leadingDuplicates(batches);
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
    const original = this.#inFlight.find(({ lastOffset }) => lastOffset >= last.lastOffset);
    return {
      baseOffset: firstOffsetOfBatch(first),
      lastOffset: last.lastOffset,
      logAppendTimeMs: NO_TIMESTAMP,
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
    const headers = withOffsets(batches, this.#state.nextOffset);
    const staged = this.#state.stage(headers, origin, nowMs); // the last thing that can refuse the append
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
    try {
      await this.#options.groupCommit.append({ ...append, owner: this.#writer });
    } catch (error) {
      throw this.#asAnswer(error);
    }
  }

  #rollIfFull(batches: readonly BatchHeader[], config: TopicConfig): SegmentRow | undefined {
    const sizeInBytes = totalBytes(batches);
    const maxTimestampMs = batches.reduce((max, batch) => Math.max(max, batch.maxTimestampMs), NO_TIMESTAMP);
    return isFull(this.#state.segment, { sizeInBytes, maxTimestampMs }, config) ? this.#roll() : undefined;
  }

  #roll(): SegmentRow {
    const row = closedRow(this.#options.log, this.#state.segment, this.#state.nextOffset);
    this.#state.segmentClosed(row);
    return row;
  }

  #checkpointIfDue(batches: readonly BatchHeader[]): LogCheckpoint | undefined {
    const bytes = this.#uncheckpointed.bytes + totalBytes(batches);
    this.#uncheckpointed = { bytes, batches: this.#uncheckpointed.batches + batches.length };
    const due = bytes >= CHECKPOINT_BYTES || this.#uncheckpointed.batches >= CHECKPOINT_BATCHES;
    return due ? this.#checkpoint() : undefined;
  }

  #checkpoint(): LogCheckpoint {
    this.#uncheckpointed = { bytes: 0, batches: 0 };
    return { log: this.#options.log, offset: this.#state.nextOffset, snapshot: this.#state.snapshot() };
  }

  // ---------------------------------------------------------------- outcomes

  #committed(endOffset: number): void {
    this.#logEndOffset = endOffset;
    const durable = this.#inFlight.findIndex(({ lastOffset }) => lastOffset >= endOffset);
    this.#inFlight = durable < 0 ? [] : this.#inFlight.slice(durable);
  }

  #failed(): void {
    for (const { producerId, producerEpoch, baseSequence } of this.#inFlight.flatMap(({ batches }) => batches)) {
      if (producerId !== NO_PRODUCER_ID) this.#lost.push({ producerId, producerEpoch, sequence: baseSequence });
    }
    this.#isStale = true;
    this.#inFlight = [];
  }

  // ---------------------------------------------------------------- deleting

  async #deleteBefore(offset: number): Promise<void> {
    if (offset <= this.#logStartOffset) return;
    const { store, groupCommit, log, leaderEpoch } = this.#options;
    this.#assertLeading();
    try {
      await store.deleteBefore(log, offset, leaderEpoch);
    } catch (error) {
      if (error instanceof KafkaError && error.type === 'FENCED_LEADER_EPOCH') groupCommit.fenced(error);
      throw this.#asAnswer(error);
    }
    this.#logStartOffset = offset;
    this.#state.logStartAdvanced(offset);
    const highWatermark = this.#logEndOffset;
    groupCommit.announce({ log, leaderEpoch, logStartOffset: offset, highWatermark, chunks: [] });
  }

  /** Closes the active segment where it ends now. Resolves to that offset once the segment's row is durable. */
  async #rollActiveSegment(): Promise<number> {
    const closedSegment = this.#roll();
    const strict = this.#options.config().flushMessages === 1;
    await this.#write({ bytes: NO_BYTES, batches: [], strict, checkpoint: this.#checkpoint(), closedSegment });
    return closedSegment.nextOffset;
  }

  // ---------------------------------------------------------------- errors

  #assertLeading(): void {
    if (this.deposed.aborted) throw this.#asAnswer(this.deposed.reason);
    if (this.#isClosed) throw new KafkaError('NOT_LEADER_OR_FOLLOWER', `${this.name} is closed here`);
  }

  /** A fenced write means, for a client, that it should look for the leader. */
  #asAnswer(error: unknown): unknown {
    if (!(error instanceof KafkaError) || error.type !== 'FENCED_LEADER_EPOCH') return error;
    const text = `${this.name} has a newer leader than epoch ${this.#options.leaderEpoch}: ${error.message}`;
    return new KafkaError('NOT_LEADER_OR_FOLLOWER', text, { cause: error });
  }
}

const NO_BYTES = new Uint8Array(0);

function totalBytes(batches: readonly BatchHeader[]): number {
  return batches.reduce((bytes, { sizeInBytes }) => bytes + sizeInBytes, 0);
}

/** The heads of batches that follow each other from `offset` on. */
function withOffsets(batches: readonly BatchAt[], offset: number): BatchHeader[] {
  let baseOffset = offset;
  return batches.map(({ header }) => {
    const placed = { ...header, baseOffset };
    baseOffset = lastOffsetOf(placed) + 1;
    return placed;
  });
}

function placeOf(header: BatchHeader, { at }: BatchAt): StampedBatch {
  const { sizeInBytes, baseOffset } = header;
  return { at, sizeInBytes, baseOffset, lastOffset: lastOffsetOf(header) };
}
