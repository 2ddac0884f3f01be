import { type Assignment, type History, type Read, visibleValues } from './history.js';
import { compactionViolations } from './table-history.js';

/** Ids as in the checklist of guarantees: what must hold on every history. */
export type CheckId =
  | 'P6'
  | 'C1'
  | 'C2'
  | 'C3'
  | 'C4'
  | 'C5'
  | 'C6'
  | 'C7'
  | 'C8'
  | 'C9'
  | 'C13'
  | 'C16'
  | 'C17'
  | 'C19'
  | 'C20';

/** What only runs of `admin-scenario.ts` are looked at for: see `admin-checks.ts`. */
export type AdminCheckId = 'S2' | 'S5' | 'W5';

export interface Violation {
  readonly check: CheckId | AdminCheckId;
  readonly text: string;
}

type Checker = (history: History) => string[];

/** Each looks at the whole history and says what is wrong with it. */
export const CHECKERS: Readonly<Record<CheckId, Checker>> = {
  P6: refusedWrites,
  C1: lostWrites,
  C2: inconsistentOffsets,
  C3: duplicates,
  C4: reorderedSends,
  C5: skippingReaders,
  C6: skippingGroups,
  C7: sharedPartitions,
  C8: zombieCommits,
  C9: uncommittedReads,
  C13: stuckTransactions,
  C16: fallingWatermarks,
  C17: ({ table }) => (table === undefined ? [] : compactionViolations(table)),
  C19: (history) => history.stuck,
  C20: (history) => history.leaks,
};

export function check(history: History): Violation[] {
  return Object.entries(CHECKERS).flatMap(([id, checker]) =>
    checker(history).map((text) => ({ check: id as CheckId, text })),
  );
}

/** P6: a send that failed, and whose failure is not said to be in doubt, is nowhere to be found. */
function refusedWrites(history: History): string[] {
  const stored = new Set([...history.final.values()].flatMap((records) => records.map(({ value }) => value)));
  return history.sends.flatMap(({ value, outcome, error }) => {
    return outcome === 'failed' && stored.has(value) ? [`${value} failed (${error}), and is there`] : [];
  });
}

/** C1: an acknowledged record is there in the end, at the offset it was given, unless it was deleted on demand. */
function lostWrites(history: History): string[] {
  const stored = new Map(
    [...history.final].map(([log, records]) => [log, new Map(records.map((r) => [r.offset, r.value]))]),
  );
  return history.sends.flatMap(({ log, value, offset, outcome }) => {
    if (outcome !== 'ok' || offset === undefined || offset < (history.deletedBelow.get(log) ?? 0)) return [];
    const found = stored.get(log)?.get(offset) ?? 'nothing';
    if (found === value || !history.final.has(log)) return [];
    return [`${value} was acknowledged at ${log} offset ${offset}, where there is ${found}`];
  });
}

/** C2: an offset names one record, for all readers and for ever. */
function inconsistentOffsets(history: History): string[] {
  const values = new Map<string, string>();
  const wrong: string[] = [];
  const look = (log: string, offset: number, value: string, who: string): void => {
    const place = `${log} offset ${offset}`;
    const before = values.get(place);
    if (before !== undefined && before !== value) wrong.push(`${place} is ${before}, and ${value} to ${who}`);
    values.set(place, before ?? value);
  };
  for (const { log, offset, value, producer } of history.sends) {
    if (offset !== undefined) look(log, offset, value, producer);
  }
  for (const { log, offset, value, reader } of history.reads) look(log, offset, value, reader);
  for (const [log, records] of history.final)
    for (const { offset, value } of records) look(log, offset, value, 'the end');
  return wrong;
}

/** C3: an idempotent producer's record is stored once. */
function duplicates(history: History): string[] {
  const idempotent = new Set(history.sends.filter((send) => send.idempotent).map((send) => send.value));
  const wrong: string[] = [];
  for (const [log, records] of history.final) {
    const places = new Map<string, number>();
    for (const { offset, value } of records) {
      const first = places.get(value);
      if (first !== undefined && idempotent.has(value))
        wrong.push(`${value} is at ${log} offsets ${first} and ${offset}`);
      places.set(value, offset);
    }
  }
  return wrong;
}

/** C4: the records of an idempotent producer lie in the order in which they were sent. */
function reorderedSends(history: History): string[] {
  const sends = new Map(history.sends.filter((send) => send.idempotent).map((send) => [send.value, send]));
  const wrong: string[] = [];
  for (const [log, records] of history.final) {
    const last = new Map<string, { order: number; value: string }>();
    for (const { value, offset } of records) {
      const send = sends.get(value);
      if (send === undefined) continue;
      const before = last.get(send.producer);
      if (before !== undefined && before.order > send.order) {
        wrong.push(`${log}: ${value} at offset ${offset} comes after ${before.value}, which was sent later`);
      }
      last.set(send.producer, { order: send.order, value });
    }
  }
  return wrong;
}

/** C5: who reads a partition from its start sees every record, once, in order. */
function skippingReaders(history: History): string[] {
  const known = knownOffsets(history);
  return [
    ...groupBy(
      history.reads.filter((read) => read.group === undefined),
      byReaderAndLog,
    ),
  ].flatMap(([who, reads]) => gaps(reads, 0, known, history.deletedBelow).map((text) => `${who}: ${text}`));
}

/**
 * C6: a member reads without gaps from one assignment to the next, which may come in the same generation: then it begins at
 * what is committed, perhaps by a later generation. Nothing that a group committed past was never handled.
 */
function skippingGroups(history: History): string[] {
  const known = knownOffsets(history);
  const reads = history.reads.filter((read) => read.group !== undefined);
  const begunMs = (read: Read): number =>
    Math.max(0, ...history.assignments.filter((each) => isFollowedBy(each, read)).map(({ atMs }) => atMs));
  const sessions = groupBy(
    reads,
    (read) => `${byReaderAndLog(read)}, generation ${read.generation} from ${begunMs(read)} ms on`,
  );
  const wrong = [...sessions].flatMap(([who, session]) =>
    gaps(session, undefined, known, history.deletedBelow).map((text) => `${who}: ${text}`),
  );
  const handled = groupBy(reads, (read) => `${read.group} ${read.log}`);
  for (const [key, commits] of groupBy(history.commits, (commit) => `${commit.group} ${commit.log}`)) {
    const committed = Math.max(0, ...commits.filter(({ outcome }) => outcome === 'ok').map(({ offset }) => offset));
    const seen = new Set(handled.get(key)?.map((read) => read.offset));
    const log = commits[0]!.log;
    const missed = (known.get(log) ?? []).filter(
      (offset) => offset < committed && offset >= (history.deletedBelow.get(log) ?? 0) && !seen.has(offset),
    );
    if (missed.length > 0) wrong.push(`${key}: committed ${committed}, never handled ${missed.join(', ')}`);
  }
  return wrong;
}

function isFollowedBy({ group, generation, member, atMs }: Assignment, read: Read): boolean {
  return (
    group === read.group && generation === read.generation && read.reader.endsWith(` ${member}`) && atMs <= read.atMs
  );
}

/** C7: in one generation a partition has one owner, and only its owner handles it. */
function sharedPartitions(history: History): string[] {
  const wrong: string[] = [];
  const owners = new Map<string, string>();
  for (const { group, generation, member, logs } of history.assignments) {
    for (const log of logs) {
      const place = `${log} in generation ${generation} of ${group}`;
      const owner = owners.get(place);
      if (owner !== undefined && owner !== member) wrong.push(`${place} is assigned to ${owner} and to ${member}`);
      owners.set(place, member);
    }
  }
  const handlers = new Map<string, string>();
  for (const { group, generation, reader, log } of history.reads) {
    if (group === undefined) continue;
    const place = `${log} in generation ${generation} of ${group}`;
    const handler = handlers.get(place);
    if (handler !== undefined && handler !== reader) wrong.push(`${place} is handled by ${handler} and by ${reader}`);
    handlers.set(place, reader);
  }
  return [...new Set(wrong)];
}

/** C8: once a generation is known to a member, commits of earlier ones are refused. */
function zombieCommits(history: History): string[] {
  return history.commits.flatMap(({ group, generation, member, log, offset, startMs, outcome }) => {
    if (outcome !== 'ok' || generation < 0) return [];
    const newer = history.assignments.find(
      (assignment) => assignment.group === group && assignment.generation > generation && assignment.atMs < startMs,
    );
    if (newer === undefined) return [];
    return [`${member} committed ${log} ${offset} with generation ${generation}, after ${newer.generation} had begun`];
  });
}

/** C9: nobody reads a value of a transaction before it was decided to commit. All consumers are read_committed. */
function uncommittedReads(history: History): string[] {
  const transactions = new Map(
    history.sends.flatMap(({ value, transaction }) => (transaction ? [[value, transaction]] : [])),
  );
  return history.reads.flatMap(({ reader, log, offset, value, atMs }) => {
    const { outcome, decidedMs = Infinity } = transactions.get(value) ?? { outcome: 'commit', decidedMs: 0 };
    if (outcome === 'commit' && decidedMs <= atMs) return [];
    const state = outcome === 'commit' ? `was open until ${decidedMs}` : `ended in ${outcome}`;
    return [`${reader} read ${value} at ${log} offset ${offset}, ${atMs}; its transaction ${state}`];
  });
}

/** C13: once all transactions are over, the last stable offset is the high watermark, or what it was when asked first. */
function stuckTransactions({ finalEnds }: History): string[] {
  return [...finalEnds].flatMap(([log, { highWatermark, lastStableOffset }]) =>
    lastStableOffset >= highWatermark ? [] : [`${log} is stable up to ${lastStableOffset} of ${highWatermark}`],
  );
}

/** C16: neither the log start offset nor the high watermark nor the last stable offset ever falls for a reader. */
function fallingWatermarks(history: History): string[] {
  const wrong: string[] = [];
  for (const [who, marks] of groupBy(history.watermarks, byReaderAndLog)) {
    let [start, end, stable] = [-1, -1, -1];
    for (const { logStartOffset, highWatermark, lastStableOffset, atMs } of marks) {
      if (logStartOffset < start) wrong.push(`${who}: log start fell from ${start} to ${logStartOffset} at ${atMs}`);
      if (highWatermark < end) wrong.push(`${who}: high watermark fell from ${end} to ${highWatermark} at ${atMs}`);
      if (lastStableOffset < stable || lastStableOffset > highWatermark) {
        wrong.push(`${who}: stable up to ${lastStableOffset} of ${highWatermark} at ${atMs}, before that ${stable}`);
      }
      stable = Math.max(stable, lastStableOffset);
      start = Math.max(start, logStartOffset);
      end = Math.max(end, highWatermark);
    }
  }
  return wrong;
}

/** By log, ascending: the offsets that somebody ever saw, or was told of, and that consumers are to see. */
function knownOffsets(history: History): Map<string, readonly number[]> {
  const known = new Map<string, Set<number>>();
  const add = (log: string, offset: number): void => {
    const offsets = known.get(log) ?? new Set();
    known.set(log, offsets.add(offset));
  };
  const isVisible = visibleValues(history);
  for (const { log, offset } of history.reads) add(log, offset);
  for (const { log, offset, value } of history.sends) if (offset !== undefined && isVisible(value)) add(log, offset);
  for (const [log, records] of history.final) {
    for (const { offset, value } of records) if (isVisible(value)) add(log, offset);
  }
  return new Map([...known].map(([log, offsets]) => [log, [...offsets].sort((a, b) => a - b)]));
}

/** What a run of reads of one log, meant to be without gaps, leaves out, or goes back to. */
function gaps(
  reads: readonly Read[],
  from: number | undefined,
  known: ReadonlyMap<string, readonly number[]>,
  deletedBelow: ReadonlyMap<string, number>,
): string[] {
  const wrong: string[] = [];
  const log = reads[0]!.log;
  const offsets = known.get(log) ?? [];
  const deleted = deletedBelow.get(log) ?? 0;
  let next = from ?? reads[0]!.offset;
  for (const { offset } of reads) {
    if (offset < next) wrong.push(`read offset ${offset} when ${next} was next`);
    const expected = offsets[indexAtOrAfter(offsets, Math.max(next, deleted))];
    if (expected !== undefined && expected < offset) wrong.push(`read offset ${offset} when ${expected} was next`);
    next = offset + 1;
  }
  return wrong;
}

function indexAtOrAfter(sorted: readonly number[], value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

function byReaderAndLog({ reader, log }: { readonly reader: string; readonly log: string }): string {
  return `${reader} on ${log}`;
}

function groupBy<T>(items: readonly T[], key: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const name = key(item);
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [item]);
    else group.push(item);
  }
  return groups;
}
