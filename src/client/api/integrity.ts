import type { FindingKind } from '../../protocol/requests.js';

/** *Ours*: which logs `Admin.checkLogs` looks at, and what it does. */
export interface CheckLogsOptions {
  /** Default: all of the cluster, with its own. */
  readonly topics?: readonly string[];
  /** Mend what can be mended. Default: nothing is changed. */
  readonly repair?: boolean;
  /** Stops the check between two logs, and in a log as soon as it can. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: CheckProgress) => void;
}

export interface CheckProgress {
  readonly checkedLogs: number;
  /** To be checked in all. */
  readonly logs: number;
  readonly checkedBytes: number;
}

/** *Ours*. */
export interface LogCheck {
  readonly checkedLogs: number;
  readonly checkedBytes: number;
  /** Empty: all is whole. */
  readonly findings: readonly LogCheckFinding[];
  /** What earlier repairs took out: these records are lost, and consumers are told so. */
  readonly gaps: readonly {
    readonly topic: string | null;
    readonly partition: number | null;
    readonly fromOffset: string;
    /** Exclusive. */
    readonly nextOffset: string;
  }[];
  /** By topic, of the keys under which records are encrypted; a key that is not here any more is no longer needed. */
  readonly keyIds: Readonly<Record<string, readonly string[]>>;
}

/** *Ours*: something that is not as it should be. */
export interface LogCheckFinding {
  /** null: the cluster's own metadata, or a log that no topic has. */
  readonly topic: string | null;
  readonly partition: number | null;
  /** The number of the log in the database. */
  readonly log: number;
  readonly kind: FindingKind;
  readonly fromOffset: string;
  /** Exclusive. */
  readonly nextOffset: string;
  /** What was expected and what was found. */
  readonly detail: string;
  readonly repaired: boolean;
}

/** *Ours*. */
export interface ExportPartitionOptions {
  readonly topic: string;
  readonly partition: number;
  /** Begins with the batch that holds this offset. Default: the beginning. */
  readonly fromOffset?: string;
  /** Exclusive. Default: the end. */
  readonly endOffset?: string;
  /** A new file begins beyond so many bytes. Default: Kafka's, 1 GiB. */
  readonly segmentBytes?: number;
  readonly signal?: AbortSignal;
}

/** *Ours*: one segment as Kafka has it on disk. Without its indexes Kafka makes them anew. */
export interface SegmentFile {
  /** `00000000000000001234.log`: the base offset in twenty digits. */
  readonly name: string;
  readonly baseOffset: string;
  /** Exclusive. */
  readonly nextOffset: string;
  /** Record batches back to back, byte for byte as they are stored. */
  readonly log: Blob;
  /** The file of the same name with the ending `.index`. */
  readonly index: Blob;
  /** `.timeindex`. */
  readonly timeIndex: Blob;
}

/** *Ours*. */
export interface ImportPartitionOptions {
  readonly topic: string;
  /** Empty, or imported so far: offsets are kept. */
  readonly partition: number;
  /** `.log` files of Kafka or of `exportPartition`, in order. */
  readonly segments: readonly Blob[];
  readonly signal?: AbortSignal;
}
