import type { Outcome, Transaction } from './history.js';

/** One record given to a producer for a compacted topic. A null value is a tombstone. */
export interface Put {
  /** Unique; goes along as a header. */
  readonly id: string;
  readonly log: string;
  readonly key: string;
  readonly value: string | null;
  outcome: Outcome;
  /** Where it was stored, if acknowledged. */
  offset: number | undefined;
  endMs: number | undefined;
  /** The one that it is part of. */
  readonly transaction?: Transaction;
}

export interface TableRecord {
  readonly id: string;
  readonly offset: number;
  readonly key: string;
  readonly value: string | null;
  readonly atMs: number;
}

/** What one reader got of one log, from its start on, in the order in which it got it. */
export interface TableReader {
  readonly name: string;
  readonly log: string;
  readonly isolationLevel: 'read_committed' | 'read_uncommitted';
  readonly records: TableRecord[];
  /** It got all that was there in the end. */
  readonly isWhole: boolean;
}

/** All that a log held when all was over, committed or not. */
export interface FinalTable {
  readonly records: readonly TableRecord[];
  /** Control batches that still hold their marker. */
  readonly markerCount: number;
  readonly atMs: number;
}

/** A reading of a log from its start to its end, while all went on. */
export interface TableSnapshot extends FinalTable {
  readonly log: string;
  readonly startMs: number;
}

/** All that happened to compacted topics in one run. */
export interface TableHistory {
  readonly deleteRetentionMs: number;
  readonly puts: Put[];
  readonly readers: TableReader[];
  readonly snapshots: TableSnapshot[];
  /** By log. */
  readonly final: Map<string, FinalTable>;
  /** How many records, and how many markers, a log that was compacted may hold; markers only where they may go. */
  readonly maxRecords: number;
  readonly maxMarkers: number;
}

/**
 * C17 (S1): of each key at least the last committed record is left; nothing moved, changed or came back; a tombstone stays
 * readable for its time; nobody who reads what is committed is given what is not; whoever reads from the start to the end
 * has the same table as everybody; and a log does not grow for ever.
 */
export function compactionViolations(history: TableHistory): string[] {
  return [...history.final].flatMap(([log, final]) => {
    const puts = history.puts.filter((put) => put.log === log);
    return [
      ...keptRecords(log, puts, history, final),
      ...lastRecords(log, puts, history, { ...final, startMs: final.atMs }),
      ...history.snapshots
        .filter((snapshot) => snapshot.log === log)
        .flatMap((snapshot) => snapshotViolations(snapshot, puts, history)),
      ...history.readers
        .filter((reader) => reader.log === log)
        .flatMap((reader) => readerViolations(reader, puts, history, final)),
    ];
  });
}

/** What is left is what was put, where it was put, in order, and not too much. */
function keptRecords(log: string, puts: readonly Put[], history: TableHistory, final: FinalTable): string[] {
  const { records, markerCount, atMs } = final;
  const { maxRecords, maxMarkers, deleteRetentionMs } = history;
  const wrong = recordViolations(`${log} in the end`, records, puts);
  if (records.length > maxRecords) wrong.push(`${log} has ${records.length} records, expected at most ${maxRecords}`);
  if (markerCount > maxMarkers && deleteRetentionMs < atMs)
    wrong.push(`${log} has ${markerCount} markers, expected at most ${maxMarkers}`);
  return wrong;
}

function recordViolations(who: string, records: readonly TableRecord[], puts: readonly Put[]): string[] {
  const wrong: string[] = [];
  const byId = new Map(puts.map((put) => [put.id, put]));
  let before = -1;
  for (const { id, offset, key, value } of records) {
    if (offset <= before) wrong.push(`${who}: offset ${offset} comes after ${before}`);
    before = offset;
    const put = byId.get(id);
    if (put === undefined || put.key !== key || put.value !== value || (put.offset ?? offset) !== offset) {
      const expected = put ? `${put.key}=${put.value} at ${put.offset}` : 'nothing';
      wrong.push(`${who}: ${id} is ${key}=${value} at offset ${offset}, where ${expected} was put`);
    }
  }
  return wrong;
}

/**
 * The last record of each key that was acknowledged, and committed, is there, or a later one; a tombstone may be gone, and
 * all before it then, also one of which nobody heard whether it was stored.
 */
function lastRecords(
  log: string,
  puts: readonly Put[],
  { deleteRetentionMs }: TableHistory,
  { records, startMs, atMs }: Omit<TableSnapshot, 'log'>,
): string[] {
  const isCommitted = committed(puts);
  const last = new Map<string, Put & { offset: number }>();
  for (const put of puts) {
    if (put.outcome !== 'ok' || put.offset === undefined || !isCommitted(put, startMs)) continue;
    if (put.endMs === undefined || put.endMs > startMs) continue;
    const { offset } = put;
    if (offset > (last.get(put.key)?.offset ?? -1)) last.set(put.key, { ...put, offset });
  }
  const isDoubtful = ({ value, outcome }: Put): boolean => value === null && outcome === 'unknown';
  const maybeDeleted = new Set(puts.filter(isDoubtful).map(({ key }) => key));
  return [...last.values()].flatMap(({ key, value, offset, endMs = 0 }) => {
    const left = records.filter((record) => record.key === key && isCommitted(record, atMs));
    if (left.some((record) => record.offset >= offset)) return [];
    const what = `${log}: ${key}=${value} was acknowledged at offset ${offset}`;
    if (left.length === 0 && maybeDeleted.has(key) && deleteRetentionMs < atMs) return [];
    if (value !== null) return [`${what}; neither it nor a later one is left at ${atMs}`];
    if (left.length > 0) return [`${what}, a tombstone; it is gone, ${left[0]?.value} at ${left[0]?.offset} is not`];
    if (atMs - endMs < deleteRetentionMs) return [`${what}, a tombstone; it is gone after ${atMs - endMs} ms`];
    return [];
  });
}

/** What was committed when the reading began is there, unless tombstones may have come and gone meanwhile. */
function snapshotViolations(snapshot: TableSnapshot, puts: readonly Put[], history: TableHistory): string[] {
  const { log, records, startMs, atMs } = snapshot;
  const wrong = recordViolations(`${log} from ${startMs} to ${atMs}`, records, puts);
  return history.deleteRetentionMs < atMs ? wrong : [...wrong, ...lastRecords(log, puts, history, snapshot)];
}

/**
 * A reader sees what was put, forwards, and if it is to, only what was committed by then; one that saw the end has the table
 * of the end, if tombstones outlived its reading.
 */
function readerViolations(
  { name, log, isolationLevel, records, isWhole }: TableReader,
  puts: readonly Put[],
  history: TableHistory,
  final: FinalTable,
): string[] {
  const who = `${name} of ${log}, ${isolationLevel}`;
  const wrong = recordViolations(who, records, puts);
  if (isolationLevel === 'read_uncommitted') return wrong;
  const isCommitted = committed(puts);
  for (const record of records) {
    if (isCommitted(record, record.atMs)) continue;
    wrong.push(`${who}: ${record.id} at offset ${record.offset} was not committed by ${record.atMs}`);
  }
  if (!isWhole || history.deleteRetentionMs < final.atMs) return wrong;
  const [found, expected] = [
    tableOf(records),
    tableOf(final.records.filter((record) => isCommitted(record, Infinity))),
  ];
  for (const key of new Set([...found.keys(), ...expected.keys()])) {
    if (found.get(key) === expected.get(key)) continue;
    wrong.push(`${who}: ${key} is ${found.get(key)}, in the end ${expected.get(key)}`);
  }
  return wrong;
}

/** Whether something is of no transaction, or of one that was decided by `atMs` to commit. */
function committed(puts: readonly Put[]): (record: { readonly id: string }, atMs: number) => boolean {
  const transactions = new Map(puts.map(({ id, transaction }) => [id, transaction]));
  return ({ id }, atMs) => {
    const { outcome, decidedMs = Infinity } = transactions.get(id) ?? { outcome: 'commit', decidedMs: 0 };
    return outcome === 'commit' && decidedMs <= atMs;
  };
}

function tableOf(records: readonly TableRecord[]): Map<string, string> {
  const table = new Map<string, string>();
  for (const { key, value } of records) {
    if (value === null) table.delete(key);
    else table.set(key, value);
  }
  return table;
}
