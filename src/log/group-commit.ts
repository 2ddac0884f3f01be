import type { LogStore } from '../storage/log-store.js';
import type { LogAdvance } from './log-view.js';

export interface GroupCommitOptions {
  readonly store: LogStore;
  readonly leaderEpoch: number;
  /** Called after each commit and each move of a log start, before the appends are answered. Must not throw. */
  readonly onCommitted: (advances: readonly LogAdvance[]) => void;
}

export declare class GroupCommit {
  constructor(options: GroupCommitOptions);
  /** Aborts when a commit was fenced: a newer leader has taken over. */
  readonly deposed: AbortSignal;
  /** Resolves once all that was queued has settled. */
  close(): Promise<void>;
}
