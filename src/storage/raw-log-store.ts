import type { LogCheckpoint, LogId, SealedSegment, SegmentRow } from './log-store.js';

/** A row with its key. */
export interface RawChunk {
  /** The key: says nothing certain of the bytes. */
  readonly lastOffset: number;
  readonly bytes: Uint8Array;
}

export interface RawSegment {
  /** The key. */
  readonly baseOffset: number;
  readonly row: SegmentRow;
}

/** Changes of one log's rows. Only rows that are there are replaced or deleted; none is put below the log start. */
export interface RawChange {
  readonly log: LogId;
  readonly deleteChunks?: readonly number[];
  readonly putChunks?: readonly RawChunk[];
  /** Instead of all that are there. */
  readonly segments?: readonly SegmentRow[];
  readonly checkpoint?: LogCheckpoint | 'none';
}

/**
 * A log as it lies in the store, damaged or not: for whoever looks for damage, and for repairs. Nobody may append to a log
 * while its rows are changed here.
 */
export interface RawLogStore {
  /** Every log that anything is stored of, ascending. */
  logs(): Promise<LogId[]>;
  /** Rows by key, from the first key at or above `fromOffset` on; then what the journal holds of the log, each a row. */
  chunks(log: LogId, fromOffset: number, maxRows: number): Promise<RawChunk[]>;
  segments(log: LogId): Promise<RawSegment[]>;
  /** All bytes of a sealed segment, some MiB; undefined where they cannot be read. */
  sealedBytes(segment: SealedSegment): Promise<Uint8Array | undefined>;
  /** Sealed bytes that no segment names: what a torn sealing leaves. */
  strayBytes(log: LogId): Promise<number>;
  /**
   * All or nothing, in one IDB transaction.
   * @throws KafkaError FENCED_LEADER_EPOCH, KAFKA_STORAGE_ERROR: nothing was changed; `LogStore.drain` comes first.
   */
  apply(change: RawChange, leaderEpoch: number): Promise<void>;
}
