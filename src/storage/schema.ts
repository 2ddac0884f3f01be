import type { DBSchema } from 'idb';
import type { JournalKey, JournalRow } from './journal.js';
import type { Leadership, LogCheckpoint, LogId, SealedSegment, SegmentRow } from './log-store.js';

/**
 * What lies in IndexedDB: one database for each broker, `tabstream/<cluster>/<brokerId>`.
 *
 *   object store   key                  value
 *   chunks         [log, lastOffset]    whole record batches, back to back: the hot end of every log
 *                  [log, -1]            no bytes: stops who looks for the end of the log before, see `IdbSealed.sweep`
 *   sealed         [log, lastOffset]    SealedSegment: the closed beginning of a log, whose rows are gone or going
 *   sealedBytes    BytesKey             Blob, or Uint8Array where the platform stores none: the batches of one of them
 *   journal        JournalKey           JournalRow: the newest small chunks of many logs, on their way to `chunks`
 *   segments       [log, baseOffset]    SegmentRow: sizes and times, for retention and look-up by time
 *   checkpoints    log                  LogCheckpoint: where recovery starts
 *   logs           log                  LogRow; absent: a log that nothing was ever deleted from
 *   meta           'leadership'         Leadership: the epoch that fences every writer; absent: never led
 *                  'incarnation'        random id of this data, as old as the database
 *                  'reserve'            RESERVE_BYTES of noise, see `LogStore.takeReserve`; absent while dropped
 *                  'minReaderVersion'   the lowest SCHEMA_VERSION of the code that reads this data right, although it is
 *                                       of a higher one; absent: only code of its own version does
 *
 * All keys are out of line. Bytes that no sealed segment names were never part of the log, or are no more.
 */
export interface LogSchema extends DBSchema {
  chunks: { key: [LogId, number]; value: Uint8Array };
  sealed: { key: [LogId, number]; value: SealedSegment };
  sealedBytes: { key: BytesKey; value: Blob | Uint8Array };
  journal: { key: JournalKey; value: JournalRow };
  segments: { key: [LogId, number]; value: SegmentRow };
  checkpoints: { key: LogId; value: LogCheckpoint };
  logs: { key: LogId; value: LogRow };
  meta: {
    key: 'leadership' | 'incarnation' | 'reserve' | 'minReaderVersion';
    value: Leadership | string | Uint8Array | number;
  };
}

/** log, base offset, version: a segment that is written anew gets new bytes beside the old. */
export type BytesKey = [LogId, number, number];

export type StoreName = 'chunks' | 'sealed' | 'sealedBytes' | 'journal' | 'segments' | 'checkpoints' | 'logs' | 'meta';

export interface LogRow {
  readonly logStartOffset: number;
}

/**
 * Raised with every change of the table above, together with a step in `UPGRADES`; but not with the rows [log, -1], which
 * code of version 3 from before them meets nowhere: if it deletes the log, the row is left, a log without a topic to
 * `checkLogs`, until code that knows it repairs that.
 */
export const SCHEMA_VERSION: number = 3;

/**
 * Code from this version on reads right what the present version writes: the stores that it knows are still there and mean
 * the same. Raised to SCHEMA_VERSION by a change for which that does not hold.
 */
export const MIN_READER_VERSION: number = 3; // what is in the journal is not in the rows, where version 2 looks for it

const FIRST_STORES: readonly StoreName[] = ['chunks', 'segments', 'checkpoints', 'logs', 'meta'];
const SEALED_STORES: readonly StoreName[] = ['sealed', 'sealedBytes'];
const STORES: readonly StoreName[] = [...FIRST_STORES, ...SEALED_STORES, 'journal'];

interface Upgrade {
  readonly database: IDBDatabase;
  /** The `versionchange` transaction: all steps take effect together or not at all. */
  readonly transaction: IDBTransaction;
  readonly newIncarnationId: string;
}

/** UPGRADES[n] leads from version n to n + 1. A released step is never changed. */
const UPGRADES: readonly ((upgrade: Upgrade) => void)[] = [
  ({ database, transaction, newIncarnationId }): void => {
    for (const store of FIRST_STORES) database.createObjectStore(store);
    transaction.objectStore('meta').put(newIncarnationId, 'incarnation');
  },
  ({ database }): void => {
    for (const store of SEALED_STORES) database.createObjectStore(store);
  },
  ({ database }): void => {
    database.createObjectStore('journal');
  },
];

/** The name of a broker's database. */
export function databaseName(clusterName: string, brokerId: number): string {
  return `tabstream/${clusterName}/${brokerId}`;
}

/** Leads a database of `oldVersion` (0: new) to `SCHEMA_VERSION`. */
export function upgrade(oldVersion: number, to: Upgrade): void {
  for (const step of UPGRADES.slice(oldVersion)) step(to);
  to.transaction.objectStore('meta').put(MIN_READER_VERSION, 'minReaderVersion');
}

/** Object stores that should be there and are not: somebody else made the database, or an upgrade was torn. */
export function missingStores(present: DOMStringList): readonly StoreName[] {
  return STORES.filter((store) => !present.contains(store));
}
