import type { TopicConfig } from '../protocol/topic-config.js';
import type { Clock } from '../runtime/runtime.js';
import type { LogId, LogStore } from '../storage/log-store.js';
import type { GroupCommit } from './group-commit.js';

/** Who appends: `client` is checked in full; `coordinator` is the broker itself, writing internal topics. */
export type AppendOrigin = 'client' | 'coordinator';

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
  /** The batches were in the log before; the offsets are the first ones. */
  readonly duplicate: boolean;
}

/** A found record: see `offsetForTimestamp`. */
export interface TimestampedOffset {
  readonly offset: number;
  readonly timestampMs: number;
  readonly leaderEpoch: number;
}

export declare class PartitionLog {
  static open(options: PartitionLogOptions): Promise<PartitionLog>;
  readonly name: string;
  get logStartOffset(): number;
  /** Exclusive end of what is durable: with one replica the high watermark. */
  get logEndOffset(): number;
  /** Aborts when a newer leader has taken over: nothing more is written, every append fails. */
  get deposed(): AbortSignal;
  append(records: Uint8Array, origin: AppendOrigin): Promise<AppendResult>;
  offsetForTimestamp(timestampMs: number): Promise<TimestampedOffset | undefined>;
  /** Resolves to the log start offset afterwards. -1 stands for the high watermark. */
  deleteRecordsBefore(offset: number): Promise<number>;
  enforceRetention(): Promise<void>;
  sizeInBytes(): Promise<number>;
  close(): Promise<void>;
}
