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
