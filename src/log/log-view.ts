import type { IsolationLevel } from '../protocol/requests.js';
import type { LogId } from '../storage/log-store.js';
import type { AbortedTransaction, AbortedWindow } from './aborted-transactions.js';

/**
 * What any host knows of a log without leading it: the committed part, read from the shared database and from the
 * tail that announcements brought. With one replica the committed end of the log is the high watermark.
 */
export interface LogView {
  readonly logStartOffset: number;
  /** Never falls. */
  readonly highWatermark: number;
  /** Exclusive end of what is decided: the high watermark, or where the oldest open transaction begins. Never falls. */
  readonly lastStableOffset: number;
  /** The newest of the aborted transactions; undefined where the log, as far as is known, has no transactions. */
  readonly aborted: AbortedWindow | undefined;
  /**
   * Chunks from the one that holds `offset` on, below the high watermark: at most `maxBytes`, at least one if any is
   * there. The bytes belong to the caller; what came from the store was checked on its way.
   * @throws LogGapError: what lies at `offset` is lost. What lies before damage is answered first. Or the signal's reason:
   * then nothing is read ahead any more.
   */
  read(offset: number, maxBytes: number, signal?: AbortSignal): Promise<Uint8Array[]>;
  /**
   * Resolves once the high watermark, or for read_committed the last stable offset, is above `offset`, or the log is deleted
   * with its topic; rejects with the signal's reason.
   */
  advancedBeyond(offset: number, signal: AbortSignal, isolationLevel?: IsolationLevel): Promise<void>;
}

export interface LogViews {
  /**
   * Opens (or joins) the view of a log and keeps it fed for as long as somebody uses it. `first` is what will be read
   * then, for the store to begin with.
   */
  open(log: LogId, first?: FirstRead): Promise<LogView>;
}

export interface FirstRead {
  readonly fetchOffset: number;
  readonly maxBytes: number;
}

/** What the leader tells of a commit; whoever reads the log may rely on it: only committed data is ever announced. */
export interface LogAdvance {
  readonly log: LogId;
  readonly leaderEpoch: number;
  readonly logStartOffset: number;
  readonly highWatermark: number;
  /** The newly committed bytes where they are small, in offset order and without a gap below `highWatermark`. */
  readonly chunks: readonly { readonly baseOffset: number; readonly lastOffset: number; readonly bytes: Uint8Array }[];
  /** Below it, closed segments were written anew just now: copies of what was there are old. */
  readonly rewrittenOffset?: number;
  /** Absent while the log has no transactions at all: then everything below the high watermark is stable. */
  readonly transactions?: AdvanceOfTransactions;
}

export interface AdvanceOfTransactions {
  /** `aborted` is all that were aborted by markers from here on and below the high watermark. */
  readonly fromOffset: number;
  readonly lastStableOffset: number;
  readonly aborted: readonly AbortedTransaction[];
}
