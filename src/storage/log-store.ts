import type { RawLogStore } from './raw-log-store.js';

/** A log's number inside one broker's database: dense, given once, never used again. 0 is the metadata log. */
export type LogId = number;

/** One or more whole record batches of one log, stamped with their offsets: the unit that is written and read. */
export interface Chunk {
  readonly log: LogId;
  readonly baseOffset: number;
  /** Of the last batch, inclusive: the key by which a fetch from any offset is one forward range read. */
  readonly lastOffset: number;
  /** At most MAX_ROW_BYTES, unless a single batch is larger. */
  readonly bytes: Uint8Array;
}

/** Chromium moves values from 64 KiB on to files beside the database, four times slower: rows stay below. */
export const MAX_ROW_BYTES: number = 60 * 1024;

/** Rows that work beside appends touches at once: appends wait for it, and 16 full rows are no more than a commit writes. */
export const SLICE_ROWS: number = 16;

/** What a store keeps in reserve: room for some thousand offset commits, or the deletion of as many rows. */
export const RESERVE_BYTES: number = 2 * 1024 * 1024;

/** relaxed survives the death of the tab and of the browser; strict asks the system to flush, for power cuts. */
export type Durability = 'relaxed' | 'strict';

/** Who may write: the host that committed the highest epoch. */
export interface Leadership {
  /** 0 before the first election. */
  readonly epoch: number;
  readonly hostId: string;
  /** Wall clock of the leader's last sign of life in the database: vetoes a steal while fresh. */
  readonly heartbeatMs: number;
  /** When retention was enforced last, by whichever leader; absent: never. Many a leader lives shorter than its interval. */
  readonly retainedMs?: number;
}

/** What a leader tells of itself in the row, by its wall clock. */
export type LeaderSigns = Partial<Pick<Leadership, 'heartbeatMs' | 'retainedMs'>>;

export const NO_LEADERSHIP: Leadership = { epoch: 0, hostId: '', heartbeatMs: 0 };

/**
 * A small record about one log that is not written with each append: where recovery starts.
 * `snapshot` is the producer state as of `offset` (a plain structured-clonable value owned by `log`).
 */
export interface LogCheckpoint {
  readonly log: LogId;
  readonly offset: number;
  readonly snapshot: unknown;
}

/** What is known of a closed or active stretch of a log of some MiB: the unit of retention and of time look-up. */
export interface SegmentRow {
  readonly log: LogId;
  readonly baseOffset: number;
  /** Exclusive. */
  readonly nextOffset: number;
  readonly byteCount: number;
  /** The segment behind begins at `startPosition + byteCount` of all bytes ever written to this log. */
  readonly startPosition: number;
  readonly maxTimestampMs: number;
  /** Sparse, ascending: at `offset`, everything before has a timestamp of at most `maxTimestampMs`. */
  readonly timeIndex: readonly { readonly offset: number; readonly maxTimestampMs: number }[];
  /** Of transactions aborted by a marker in this segment, packed as `log` does; absent where there are none. */
  readonly abortedTransactions?: readonly number[];
  /** Compaction has cleaned the log up to here. In the last row that has one. */
  readonly cleanedOffset?: number;
}

/**
 * A closed stretch of a log whose batches lie in one piece, back to back. The sealed segments of a log follow each other
 * without a gap from its beginning on; behind them are the rows.
 */
export interface SealedSegment {
  readonly log: LogId;
  readonly baseOffset: number;
  /** Exclusive. It answers for every offset between, also for those that compaction took out. */
  readonly nextOffset: number;
  readonly byteCount: number;
  /** Of all its bytes. */
  readonly crc32c: number;
  /** Sparse, ascending, from the first batch on: the batch whose base offset is `offset` begins at `position`. */
  readonly index: readonly SealedIndexEntry[];
  /** Of the bytes: given by the store, greater than that of any bytes of an earlier leader; see `stagedVersion`. */
  readonly version: number;
}

export interface SealedIndexEntry {
  readonly offset: number;
  readonly position: number;
}

/** A sealed segment that is not stored yet; see `SealedSegmentBuilder`. */
export interface NewSealedSegment extends Omit<SealedSegment, 'version'> {
  /** Together its bytes. */
  readonly parts: readonly Uint8Array[];
}

/** What `[baseOffset, nextOffset)` of a log, so far rows or sealed segments, becomes. */
export interface SealedChange {
  readonly log: LogId;
  readonly baseOffset: number;
  readonly nextOffset: number;
  /** Staged ones, one behind the other from `baseOffset` to `nextOffset`. */
  readonly sealed: readonly SealedSegment[];
  /** Instead of all rows of segments that begin in the range. */
  readonly segments: readonly SegmentRow[];
}

export interface Commit {
  /** The writer's epoch: compared inside the IDB transaction with the stored one. */
  readonly leaderEpoch: number;
  readonly chunks: readonly Chunk[];
  readonly checkpoints?: readonly LogCheckpoint[];
  readonly segments?: readonly SegmentRow[];
}

/** The ends and the restart point of one log, read together. */
export interface LogEnds {
  /** Everything below is deleted (retention, DeleteRecords); 0 for a new log. */
  readonly logStartOffset: number;
  /** Of the last chunk or sealed segment; undefined where the log holds none: then its end is its start. */
  readonly lastOffset: number | undefined;
  /** Exclusive end of the last sealed segment, 0 where there is none. Below it offsets may be missing: compaction. */
  readonly sealedEndOffset: number;
  readonly checkpoint: LogCheckpoint | undefined;
  readonly lastSegment: SegmentRow | undefined;
}

/**
 * The durable home of one broker's logs. Knows bytes and offsets, not records. Every implementation passes
 * test/suites/log-store.ts. Any tab of the origin may open it and read; only the elected host may write, and each
 * write proves inside its own IDB transaction that its epoch is still the stored one.
 *
 * All writers: @throws KafkaError FENCED_LEADER_EPOCH: deposed, nothing was written. KAFKA_STORAGE_ERROR: nothing was
 * written (quota spent, connection lost); the text carries the platform's name of the failure.
 */
export interface LogStore {
  /** Random, made with the database: changes when the data was wiped. */
  readonly incarnationId: string;

  leadership(): Promise<Leadership>;
  /**
   * Compare-and-set of the epoch: becomes `expected + 1` under `hostId` if it still is `expected`.
   * Resolves to the new epoch, or undefined where another host was quicker.
   */
  claimLeadership(expectedEpoch: number, hostId: string, wallMs: number): Promise<number | undefined>;
  /** Writes the leader's signs; resolves to false where the epoch has moved on. */
  renewLeadership(epoch: number, signs: LeaderSigns): Promise<boolean>;

  /**
   * Appends all or nothing, in one IDB transaction. Resolves on `complete`, not before.
   *
   * Two commits may be in flight. If one fails, every later one that was begun before the failure was known fails
   * too, with nothing written: offsets stay dense.
   *
   * Small chunks of many logs may go into one row, the journal's: nobody who reads need know of it. Who appends has claimed
   * the epoch over this very store, or the journal is empty.
   */
  append(commit: Commit, durability: Durability): Promise<void>;

  /**
   * Chunks of `log` from the one that holds `offset` on, or else from the next one on: at most `maxBytes`, yet at least
   * one if any is there, and none that lies wholly at or above `endOffset`. The bytes belong to the caller.
   *
   * Where a stretch is both sealed and still in rows, it comes from either: the same records in the same order, and
   * perhaps in other batches.
   * @throws KafkaError CORRUPT_MESSAGE: the bytes of a sealed segment are damaged or gone; `unreadableRangeOf` tells
   *   which offsets are lost. What lies behind can be read.
   */
  read(log: LogId, offset: number, maxBytes: number, endOffset?: number): Promise<Uint8Array[]>;

  ends(log: LogId): Promise<LogEnds>;
  /** Closed segments, oldest first. */
  segments(log: LogId): Promise<SegmentRow[]>;
  /** Oldest first. */
  sealedSegments(log: LogId): Promise<SealedSegment[]>;

  /**
   * Writes the bytes of a segment beside the log, flushed, and reads them back: they are part of the log only once
   * `publishSealed` has made them so. Holds up no append. What is not to be published is dropped with `dropStaged`, and
   * what a leader left that died goes with `sweepSealed`.
   * @throws KafkaError KAFKA_STORAGE_ERROR: no room, or the bytes read are not those written; nothing of it is left.
   */
  stageSealed(segment: NewSealedSegment, leaderEpoch: number): Promise<SealedSegment>;
  dropStaged(segments: readonly SealedSegment[]): Promise<void>;
  /**
   * Puts staged segments in the place of all that is sealed in the range, or seals rows, in one IDB transaction. The
   * range begins where the sealed part of the log ends, or is made of whole sealed segments. Where all of it lies below
   * the log start, it only drops what was staged.
   */
  publishSealed(change: SealedChange, leaderEpoch: number): Promise<void>;
  /**
   * Deletes what sealing leaves behind: rows that a sealed segment covers, oldest first, in slices; sealed segments below
   * the log start; bytes that an earlier leader staged. The leader may call it at any time.
   */
  sweepSealed(log: LogId, leaderEpoch: number): Promise<void>;
  /**
   * To be called every now and then: lets go of what is kept for reads to come and has not been asked for lately, and
   * drains the journal where nothing was appended since the last call.
   */
  releaseUnused(): void;

  /**
   * Brings what the journal holds of a log into its rows; see journal.ts. What deletes, seals and repairs does so itself
   * where it must.
   */
  drain(log: LogId, leaderEpoch: number): Promise<void>;

  /**
   * Moves the log start up to `offset` (never back) and deletes the chunks and segments wholly below, in slices; of what
   * is sealed, likewise.
   */
  deleteBefore(log: LogId, offset: number, leaderEpoch: number): Promise<void>;
  /** Deletes a log altogether (topic deleted), in slices. */
  deleteLog(log: LogId, leaderEpoch: number): Promise<void>;

  /** The rows as they lie, for checks and repairs; loaded when it is first asked for. @throws KafkaError KAFKA_STORAGE_ERROR */
  raw(): Promise<RawLogStore>;
  /**
   * Takes RESERVE_BYTES of the origin's space, where it is not taken yet, for `dropReserve` to give back: where the quota
   * is spent, that is what deletions and the broker's own writes have.
   */
  takeReserve(leaderEpoch: number): Promise<void>;
  dropReserve(leaderEpoch: number): Promise<void>;

  /** Aborts when the database is gone (connection lost, cleared, newer version): open a new store. */
  readonly lost: AbortSignal;
  close(): Promise<void>;
}
