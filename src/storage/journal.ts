import { assert } from '../util/assert.js';
import { concatBytes } from '../util/bytes.js';
import type { CommitLink } from './commit-chain.js';
import { type Chunk, type LogId, MAX_ROW_BYTES, SLICE_ROWS } from './log-store.js';

/*
 * A commit costs by its rows, so that small chunks of many logs go into one: a row of the journal.
 *
 *   append ──▶ chunk of few logs, or large ──▶ a row of `chunks`, ahead of it what the journal holds of its log
 *         └──▶ small chunks of many logs ────▶ a row of `journal` ── moved later, joined by log ──▶ rows of `chunks`
 *
 * Of each log the journal holds the newest offsets: those of its rows in `chunks` are all below. A part that was moved stays
 * in its row, which is never changed; a later row of the journal says that it is dead, until both are deleted, oldest first.
 */

/** As it is stored. */
export interface JournalRow {
  /** Four of each part: log, base offset, last offset, byte count. */
  readonly parts: readonly number[];
  /** Those of the parts, back to back. */
  readonly bytes: Uint8Array;
  /** Two of each log: its parts up to this last offset are in `chunks`. */
  readonly moved: readonly number[];
}

/** leader epoch, a counter: never used again, and ascending in the order of the commits. */
export type JournalKey = [number, number];

export interface StoredJournalRow {
  readonly key: JournalKey;
  readonly row: JournalRow;
}

/** What a commit puts and deletes. */
export interface JournalPlan {
  /** Rows of `chunks`, those of a log in offset order. */
  readonly chunks: readonly Chunk[];
  readonly journal: readonly StoredJournalRow[];
  /** All rows of the journal below this key go. */
  readonly deleteBelow: JournalKey | undefined;
}

export interface JournalRules {
  /** A commit of so many logs is one of many. */
  readonly minLogs: number;
  /** A chunk of this size or above is a row by itself. */
  readonly maxPartBytes: number;
  /** From here on each commit moves some of the oldest. */
  readonly drainBytes: number;
  /** From here on nothing more comes in: the leader keeps all of it in memory, and whoever takes over reads it. */
  readonly maxBytes: number;
}

export const JOURNAL_RULES: JournalRules = {
  minLogs: 9,
  maxPartBytes: 2 * 1024,
  drainBytes: 1024 * 1024,
  maxBytes: 2 * 1024 * 1024,
};

/** What a commit is to move besides: all of some logs, and the oldest, about so many rows. */
export interface Drain {
  readonly logs?: readonly LogId[];
  readonly rows?: number;
}

const PART_FIELDS = 4;
/** Of a part in the row, beside its bytes: its four numbers. */
const PART_OVERHEAD_BYTES = 40;

interface Part extends Chunk {
  readonly entry: Entry;
  /** The commit that takes it to `chunks`. */
  moved: CommitLink | undefined;
}

/** A row of the journal, from the request on. */
interface Entry {
  readonly key: JournalKey;
  readonly byteCount: number;
  /** undefined: it was there before this leader. */
  readonly written: CommitLink | undefined;
  parts: readonly Part[];
  deleted: CommitLink | undefined;
}

/** The parts of a log that are not in `chunks`, in offset order. The bytes are views of the rows. */
export function partsOf(log: LogId, rows: readonly JournalRow[]): Chunk[] {
  return livePartsIn(rows, log);
}

/** Every log that has such parts. */
export function logsIn(rows: readonly JournalRow[]): Set<LogId> {
  return new Set(livePartsIn(rows).map(({ log }) => log));
}

export function isBelow([epoch, row]: JournalKey, [otherEpoch, otherRow]: JournalKey): boolean {
  return epoch < otherEpoch || (epoch === otherEpoch && row < otherRow);
}

/**
 * What the leader of one epoch has in the journal. A store asks it what a commit is to write; the commit must then succeed
 * or fail as its link says. What is in flight counts as written and as moved: a commit fails where one before it did.
 */
export class Journal {
  readonly #leaderEpoch: number;
  readonly #rules: JournalRules;
  /** Oldest first. */
  #entries: Entry[] = [];
  readonly #parts: Map<LogId, Part[]> = new Map();
  #nextRow = 0;
  /** Commits of chunks so far, and as many as there were at the last call of `rest`. */
  #commits = 0;
  #restedAt = -1;
  /** As many as there were when a rest failed. */
  #failedAt = -1;
  #isResting = false;

  /** `stored`: all that is there, in the order of its keys. */
  constructor(leaderEpoch: number, stored: readonly StoredJournalRow[], rules: JournalRules = JOURNAL_RULES) {
    this.#leaderEpoch = leaderEpoch;
    this.#rules = rules;
    const isAlive = aliveIn(stored.map(({ row }) => row));
    for (const { key, row } of stored) {
      this.#enter(key, row.bytes.byteLength, partsIn(row).filter(isAlive), undefined);
    }
  }

  /** Whether parts of the log are there which are not in `chunks` for sure. */
  holds(log: LogId): boolean {
    return (this.#parts.get(log) ?? []).some(({ entry, moved }) => !hasFailed(entry.written) && !isDone(moved));
  }

  /**
   * What a commit of these chunks writes, and moves besides. All bytes that it keeps are its own.
   */
  plan(chunks: readonly Chunk[], link: CommitLink, { logs = [], rows = 0 }: Drain = {}): JournalPlan {
    if (chunks.length > 0) this.#commits++;
    this.#forget();
    const byLog = new Map<LogId, Chunk[]>();
    for (const chunk of chunks) byLog.set(chunk.log, [...(byLog.get(chunk.log) ?? []), chunk]);
    const { minLogs, maxPartBytes, drainBytes, maxBytes } = this.#rules;
    const byteCount = this.#byteCount();
    const takesParts = byLog.size >= minLogs && byteCount < maxBytes;
    const inRows: Chunk[] = [];
    const inJournal: Chunk[] = [];
    const moved: number[] = [];
    for (const [log, own] of byLog) {
      const [only] = own;
      if (takesParts && only && own.length === 1 && only.bytes.byteLength < maxPartBytes) inJournal.push(only);
      else inRows.push(...this.#move(log, own, { moved, link }));
    }
    for (const log of logs) inRows.push(...this.#move(log, [], { moved, link }));
    const rowsToMove = Math.max(rows, byteCount < drainBytes ? 0 : SLICE_ROWS);
    inRows.push(...this.#moveOldest(rowsToMove, { moved, link }));
    return { chunks: inRows, ...this.#change(inJournal, moved, link) };
  }

  /**
   * To be called every now and then: where nothing came since the last call, moves all that is there. `commit` makes one
   * that does nothing else; where it fails, nobody tries again before another commit.
   */
  async rest(commit: (drain: Drain) => Promise<void>): Promise<void> {
    const isAtRest = this.#restedAt === this.#commits;
    this.#restedAt = this.#commits;
    if (!isAtRest || this.#isResting || this.#failedAt === this.#commits) return;
    this.#isResting = true;
    try {
      while (this.#entries.length > 0 && this.#restedAt === this.#commits) {
        await commit({ rows: SLICE_ROWS });
        this.#forget();
      }
    } catch {
      this.#failedAt = this.#commits; // nothing is lost: what is there stays there
    } finally {
      this.#isResting = false;
    }
  }

  /** The parts of a log, ahead of its own chunks, as rows. */
  #move(log: LogId, own: readonly Chunk[], to: { readonly moved: number[]; readonly link: CommitLink }): Chunk[] {
    const pending = (this.#parts.get(log) ?? []).filter(isPending);
    const last = pending.at(-1);
    if (last === undefined) return [...own];
    assert(
      own.every(({ baseOffset }) => baseOffset > last.lastOffset),
      'a commit goes on behind the journal',
    );
    for (const part of pending) part.moved = to.link;
    to.moved.push(log, last.lastOffset);
    return joined([...pending, ...own]);
  }

  #moveOldest(rowCount: number, to: { readonly moved: number[]; readonly link: CommitLink }): Chunk[] {
    const rows: Chunk[] = [];
    for (const { parts } of this.#entries) {
      for (const part of parts) {
        if (rows.length >= rowCount) return rows;
        if (isPending(part)) rows.push(...this.#move(part.log, [], to));
      }
    }
    return rows;
  }

  #change(chunks: readonly Chunk[], moved: readonly number[], link: CommitLink): Omit<JournalPlan, 'chunks'> {
    const firstAlive = this.#entries.findIndex(({ parts }) => parts.some(isPending));
    const dead = (firstAlive < 0 ? this.#entries : this.#entries.slice(0, firstAlive)).filter(
      ({ deleted }) => deleted === undefined || hasFailed(deleted),
    );
    for (const entry of dead) entry.deleted = link;
    const next: JournalKey = this.#entries[firstAlive]?.key ?? [this.#leaderEpoch, this.#nextRow];
    // Who is dead need not be said where nothing is left of it.
    const rows = packed(chunks, firstAlive < 0 ? [] : moved);
    const journal = rows.map((row): StoredJournalRow => ({ key: [this.#leaderEpoch, this.#nextRow++], row }));
    for (const { key, row } of journal) this.#enter(key, row.bytes.byteLength, partsIn(row), link);
    return { journal, deleteBelow: dead.length > 0 ? next : undefined };
  }

  #enter(key: JournalKey, byteCount: number, chunks: readonly Chunk[], written: CommitLink | undefined): void {
    const entry: Entry = { key, byteCount, written, parts: [], deleted: undefined };
    entry.parts = chunks.map((chunk): Part => ({ ...chunk, entry, moved: undefined }));
    this.#entries.push(entry);
    for (const part of entry.parts) {
      const known = this.#parts.get(part.log);
      if (known) known.push(part);
      else this.#parts.set(part.log, [part]);
    }
  }

  /** What is not in the database any more, or never was. */
  #forget(): void {
    const isGone = ({ written, deleted }: Entry): boolean => hasFailed(written) || isDone(deleted);
    const gone = this.#entries.filter(isGone);
    if (gone.length === 0) return;
    this.#entries = this.#entries.filter((entry) => !isGone(entry));
    for (const log of new Set(gone.flatMap(({ parts }) => parts.map((part) => part.log)))) {
      const rest = (this.#parts.get(log) ?? []).filter(({ entry }) => !isGone(entry));
      if (rest.length > 0) this.#parts.set(log, rest);
      else this.#parts.delete(log);
    }
  }

  #byteCount(): number {
    const there = this.#entries.filter(({ deleted }) => deleted === undefined || hasFailed(deleted));
    return there.reduce((bytes, entry) => bytes + entry.byteCount, 0);
  }
}

function isPending({ entry, moved }: Part): boolean {
  return !hasFailed(entry.written) && (moved === undefined || hasFailed(moved));
}

function hasFailed(link: CommitLink | undefined): boolean {
  return link?.outcome === 'failed';
}

function isDone(link: CommitLink | undefined): boolean {
  return link?.outcome === 'committed';
}

/*
 * Here and below all parts are meant, or those of `only` this log: a reader of each of thousands of logs goes through all rows,
 * and makes nothing of the others' parts.
 */

function partsIn({ parts, bytes }: JournalRow, only?: LogId): Chunk[] {
  const chunks: Chunk[] = [];
  let at = 0;
  for (let field = 0; field + PART_FIELDS <= parts.length; field += PART_FIELDS) {
    const end = at + parts[field + 3]!;
    const log = parts[field]!;
    if (only === undefined || log === only) {
      const [baseOffset, lastOffset] = [parts[field + 1]!, parts[field + 2]!];
      chunks.push({ log, baseOffset, lastOffset, bytes: bytes.subarray(at, end) });
    }
    at = end;
  }
  return chunks;
}

function livePartsIn(rows: readonly JournalRow[], only?: LogId): Chunk[] {
  return rows.flatMap((row) => partsIn(row, only)).filter(aliveIn(rows, only));
}

/** Whether a part of these rows, which are all there are, is not in `chunks`. */
function aliveIn(rows: readonly JournalRow[], only?: LogId): (part: Chunk) => boolean {
  const ends = movedEnds(rows, only);
  return ({ log, lastOffset }) => lastOffset > (ends.get(log) ?? -1);
}

/** Of each log the last offset that was moved. */
function movedEnds(rows: readonly JournalRow[], only?: LogId): Map<LogId, number> {
  const ends = new Map<LogId, number>();
  for (const { moved } of rows) {
    for (let at = 0; at + 1 < moved.length; at += 2) {
      if (only !== undefined && moved[at] !== only) continue;
      const [log, end] = moved.slice(at, at + 2) as [number, number];
      ends.set(log, Math.max(end, ends.get(log) ?? -1));
    }
  }
  return ends;
}

/** As few rows as MAX_ROW_BYTES allows. */
function packed(chunks: readonly Chunk[], moved: readonly number[]): JournalRow[] {
  const groups = groupsOf(chunks, PART_OVERHEAD_BYTES);
  if (groups.length === 0 && moved.length > 0) groups.push([]);
  return groups.map((group, at) => ({
    parts: group.flatMap(({ log, baseOffset, lastOffset, bytes }) => [log, baseOffset, lastOffset, bytes.byteLength]),
    bytes: concatBytes(group.map(({ bytes }) => bytes)),
    moved: at === 0 ? moved : [],
  }));
}

/** Chunks of one log that follow each other, as few as MAX_ROW_BYTES allows. */
function joined(chunks: readonly Chunk[]): Chunk[] {
  return groupsOf(chunks, 0).map((group) => {
    const [first, last] = [group[0] as Chunk, group.at(-1) as Chunk];
    const bytes = group.length === 1 ? first.bytes : concatBytes(group.map((chunk) => chunk.bytes));
    return { log: first.log, baseOffset: first.baseOffset, lastOffset: last.lastOffset, bytes };
  });
}

/** Runs of chunks that are together at most MAX_ROW_BYTES, or one that is more by itself. */
function groupsOf(chunks: readonly Chunk[], overheadBytes: number): Chunk[][] {
  const groups: Chunk[][] = [];
  let size = 0;
  for (const chunk of chunks) {
    const chunkSize = chunk.bytes.byteLength + overheadBytes;
    const group = groups.at(-1);
    if (group === undefined || size + chunkSize > MAX_ROW_BYTES) groups.push([chunk]);
    else group.push(chunk);
    size = group === undefined || size + chunkSize > MAX_ROW_BYTES ? chunkSize : size + chunkSize;
  }
  return groups;
}
