import type { Outcome } from './history.js';

/** One record given to a producer for a compacted topic. Values are unique; null is a tombstone. */
export interface Put {
  readonly log: string;
  readonly key: string;
  readonly value: string | null;
  outcome: Outcome;
  /** Where it was stored, if acknowledged. */
  offset: number | undefined;
  endMs: number | undefined;
}

export interface TableRecord {
  readonly offset: number;
  readonly key: string;
  readonly value: string | null;
}

/** What one reader got of one log, from its start on, in the order in which it got it. */
export interface TableReader {
  readonly name: string;
  readonly log: string;
  readonly records: TableRecord[];
  /** It got all that was there in the end. */
  readonly isWhole: boolean;
}

/** All that happened to compacted topics in one run. */
export interface TableHistory {
  readonly deleteRetentionMs: number;
  readonly puts: Put[];
  readonly readers: TableReader[];
  /** By log: everything, read from the start when all was over, and when that was. */
  readonly final: Map<string, { readonly records: readonly TableRecord[]; readonly atMs: number }>;
  /** How many records a log that was compacted may hold. */
  readonly maxRecords: number;
}

/**
 * C17 (S1): of each key at least the last record is left; nothing moved, changed or came back; a tombstone stays readable
 * for its time; whoever reads from the start to the end has the same table as everybody; and a log does not grow for ever.
 */
export function compactionViolations(history: TableHistory): string[] {
  return [...history.final.keys()].flatMap((log) => {
    const puts = history.puts.filter((put) => put.log === log);
    return [
      ...keptRecords(log, puts, history),
      ...lastRecords(log, puts, history),
      ...history.readers.filter((reader) => reader.log === log).flatMap((reader) => readerViolations(reader, history)),
    ];
  });
}

/** What is left is what was put, where it was put, in order, and not too much. */
function keptRecords(log: string, puts: readonly Put[], { final, maxRecords }: TableHistory): string[] {
  const records = final.get(log)?.records ?? [];
  const wrong = recordViolations(`${log} in the end`, records, puts);
  if (records.length > maxRecords) wrong.push(`${log} has ${records.length} records, expected at most ${maxRecords}`);
  return wrong;
}

function recordViolations(who: string, records: readonly TableRecord[], puts: readonly Put[]): string[] {
  const wrong: string[] = [];
  const byOffset = new Map(puts.filter(({ offset }) => offset !== undefined).map((put) => [put.offset, put]));
  const known = new Set(puts.map(({ key, value }) => `${key}=${value}`));
  let before = -1;
  for (const { offset, key, value } of records) {
    if (offset <= before) wrong.push(`${who}: offset ${offset} comes after ${before}`);
    before = offset;
    const put = byOffset.get(offset);
    if (put && (put.key !== key || put.value !== value)) {
      wrong.push(`${who}: offset ${offset} is ${key}=${value}, where ${put.key}=${put.value} was put`);
    }
    if (!known.has(`${key}=${value}`)) wrong.push(`${who}: ${key}=${value} at offset ${offset} was never put`);
  }
  return wrong;
}

/** The last acknowledged record of each key is there, or a later one; a tombstone may be gone, and all before it then. */
function lastRecords(log: string, puts: readonly Put[], { final, deleteRetentionMs }: TableHistory): string[] {
  const { records, atMs } = final.get(log) ?? { records: [], atMs: 0 };
  const last = new Map<string, Put & { offset: number }>();
  for (const put of puts) {
    if (put.outcome !== 'ok' || put.offset === undefined) continue;
    const { offset } = put;
    if (offset > (last.get(put.key)?.offset ?? -1)) last.set(put.key, { ...put, offset });
  }
  return [...last.values()].flatMap(({ key, value, offset, endMs = 0 }) => {
    const left = records.filter((record) => record.key === key);
    if (left.some((record) => record.offset >= offset)) return [];
    const what = `${log}: ${key}=${value} was acknowledged at offset ${offset}`;
    if (value !== null) return [`${what}; neither it nor a later one is left`];
    if (left.length > 0) return [`${what}, a tombstone; it is gone, ${left[0]?.value} at ${left[0]?.offset} is not`];
    if (atMs - endMs < deleteRetentionMs) return [`${what}, a tombstone; it is gone after ${atMs - endMs} ms`];
    return [];
  });
}

/** A reader sees what was put, forwards; one that saw the end has the table of the end, if tombstones outlived its reading. */
function readerViolations({ name, log, records, isWhole }: TableReader, history: TableHistory): string[] {
  const puts = history.puts.filter((put) => put.log === log);
  const wrong = recordViolations(`${name} of ${log}`, records, puts);
  const { records: end, atMs } = history.final.get(log) ?? { records: [], atMs: 0 };
  if (!isWhole || history.deleteRetentionMs < atMs) return wrong;
  const [found, expected] = [tableOf(records), tableOf(end)];
  for (const key of new Set([...found.keys(), ...expected.keys()])) {
    if (found.get(key) === expected.get(key)) continue;
    wrong.push(`${name} of ${log}: ${key} is ${found.get(key)}, in the end ${expected.get(key)}`);
  }
  return wrong;
}

function tableOf(records: readonly TableRecord[]): Map<string, string> {
  const table = new Map<string, string>();
  for (const { key, value } of records) {
    if (value === null) table.delete(key);
    else table.set(key, value);
  }
  return table;
}
