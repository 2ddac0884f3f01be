import type { LogCheckpoint } from '../storage/log-store.js';
import type { ActiveSegmentState } from './active-segment.js';
import type { LeaderEpochs } from './leader-epochs.js';
import type { PackedProducers } from './packed-producers.js';

/** Of a log without transactions: code that knows of none opens it. */
export const PLAIN_VERSION = 2;
export const TRANSACTIONAL_VERSION = 3;

/** All that a log's leader keeps in memory, as of one offset: what a checkpoint holds. Plain, never changed. */
export interface LogSnapshot {
  readonly version: typeof PLAIN_VERSION | typeof TRANSACTIONAL_VERSION;
  readonly producers: PackedProducers;
  readonly epochs: LeaderEpochs;
  readonly segment: ActiveSegmentState;
  readonly lastLogAppendTimeMs: number;
  /** There from the commit on that holds the log's first transactional batch, and for ever. */
  readonly transactions?: TransactionsSnapshot;
}

/** Which transactions are open is with the producers. */
export interface TransactionsSnapshot {
  /** Of the active segment; see aborted-transactions.ts. */
  readonly aborted: readonly number[];
}

/** The snapshot of a checkpoint; undefined where it is of another version of this code. */
export function asLogSnapshot(value: unknown): LogSnapshot | undefined {
  const snapshot = value as LogSnapshot | undefined; // written by `LogState`, or by another version of it
  return snapshot?.version === PLAIN_VERSION || snapshot?.version === TRANSACTIONAL_VERSION ? snapshot : undefined;
}

/** Whether the log of this checkpoint has, or once had, transactions. Without a checkpoint a log has none. */
export function hasTransactions(checkpoint: LogCheckpoint | undefined): boolean {
  return checkpoint !== undefined && asLogSnapshot(checkpoint.snapshot)?.version !== PLAIN_VERSION;
}
