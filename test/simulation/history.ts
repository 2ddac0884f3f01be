import { topicPartitionText } from '../../src/protocol/topic-partition.js';
import type { TableHistory } from './table-history.js';

/** What is known of a finished operation. `unknown`: it may have happened (time-out, killed tab, lost answer). */
export type Outcome = 'ok' | 'failed' | 'unknown';

/** How a transaction went, by the one who decides: visible to read_committed from `decidedMs` on, or never. */
export interface Transaction {
  outcome: 'open' | 'commit' | 'abort';
  decidedMs: number | undefined;
}

/** One record given to a producer. */
export interface Send {
  readonly producer: string;
  readonly idempotent: boolean;
  /** Of this producer: 0, 1, 2, … in the order of the calls. */
  readonly order: number;
  /** `topic-partition` */
  readonly log: string;
  readonly value: string;
  readonly startMs: number;
  endMs: number | undefined;
  outcome: Outcome;
  /** Where it was stored, if acknowledged. */
  offset: number | undefined;
  error?: string;
  /** The one that it is part of. */
  readonly transaction?: Transaction;
}

/** One record handed to a consumer's handler. */
export interface Read {
  readonly reader: string;
  /** undefined: reads directly from offset 0. */
  readonly group: string | undefined;
  /** The member's generation when the handler was called. */
  readonly generation: number;
  readonly log: string;
  readonly offset: number;
  readonly value: string;
  readonly atMs: number;
}

/** A member learnt its assignment. */
export interface Assignment {
  readonly group: string;
  readonly generation: number;
  readonly member: string;
  readonly logs: readonly string[];
  readonly atMs: number;
}

export interface OffsetCommit {
  readonly group: string;
  readonly generation: number;
  readonly member: string;
  readonly log: string;
  readonly offset: number;
  readonly startMs: number;
  readonly endMs: number;
  readonly outcome: Outcome;
}

/** The bounds of a log as a fetch answered them. */
export interface Watermark {
  readonly reader: string;
  readonly log: string;
  readonly logStartOffset: number;
  readonly highWatermark: number;
  readonly lastStableOffset: number;
  readonly atMs: number;
}

export interface StoredValue {
  readonly offset: number;
  readonly value: string;
}

/** All that happened in one run, as the clients saw it, and what the logs hold in the end. */
export interface History {
  readonly sends: Send[];
  readonly reads: Read[];
  readonly assignments: Assignment[];
  readonly commits: OffsetCommit[];
  readonly watermarks: Watermark[];
  /** By log: records below may have been deleted on demand. */
  readonly deletedBelow: Map<string, number>;
  /** By log: everything, read from the start when all was over. */
  readonly final: Map<string, readonly StoredValue[]>;
  /** Of a run with a compacted topic. */
  readonly table?: TableHistory;
  /** By log: the ends as ListOffsets answered them when all was over. */
  readonly finalEnds: Map<string, { readonly highWatermark: number; readonly lastStableOffset: number }>;
  /** What did not come to its end in time (C19), and what was left behind (C20); found while running. */
  readonly stuck: string[];
  readonly leaks: string[];
  /** For people: what the harness did, in order. */
  readonly events: string[];
}

export function newHistory(): History {
  return {
    sends: [],
    reads: [],
    assignments: [],
    commits: [],
    watermarks: [],
    deletedBelow: new Map(),
    final: new Map(),
    finalEnds: new Map(),
    stuck: [],
    leaks: [],
    events: [],
  };
}

/** Whether a consumer may ever see a value: not what belongs to a transaction that did not commit. */
export function visibleValues({ sends }: Pick<History, 'sends'>): (value: string) => boolean {
  const hidden = new Set<string>();
  for (const { value, transaction } of sends) {
    if (transaction !== undefined && transaction.outcome !== 'commit') hidden.add(value);
  }
  return (value) => !hidden.has(value);
}

export function logText(topic: string, partition: number): string {
  return topicPartitionText({ topic, partition });
}
