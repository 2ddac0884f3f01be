import { assert } from '../util/assert.js';
import { concatBytes } from '../util/bytes.js';
import { plainCopy } from '../util/plain-copy.js';
import { deferred } from '../util/signal.js';
import { takeChunks } from './chunk.js';
import { isBelow, type JournalPlan, type JournalRow, logsIn, partsOf, type StoredJournalRow } from './journal.js';
import {
  type Chunk,
  type Commit,
  type Durability,
  type LeaderSigns,
  type Leadership,
  type LogCheckpoint,
  type LogEnds,
  type LogId,
  type NewSealedSegment,
  NO_LEADERSHIP,
  RESERVE_BYTES,
  type SealedChange,
  type SealedSegment,
  type SegmentRow,
} from './log-store.js';
import type { RawChange, RawChunk } from './raw-log-store.js';
import { isOfEarlierLeader, sealedChangeError, sealedChangeProblem, stagedVersion } from './sealed-segment.js';
import { fencedError, storageError, storageFullError, undrainedError } from './storage-errors.js';

/** Older relaxed commits count as flushed: the operating system writes back by itself in the end. */
const MAX_UNFLUSHED_COMMITS = 1000;

export interface MemoryDiskOptions {
  /** Of the bytes of all chunks and sealed segments, and the reserve. Default: endless. */
  readonly quotaBytes?: number;
  /** Asked at each append, and when a segment is sealed or published: true makes its IDB transaction abort for no reason. Default: never. */
  readonly aborts?: () => boolean;
}

/** Bytes of a segment, part of the log or staged. */
interface SealedBytes {
  readonly segment: SealedSegment;
  readonly bytes: Uint8Array;
}

/** after: what it wrote is there, nobody is told. before: it never runs. */
export type Wedge = 'before' | 'after';

interface MemoryLog {
  logStartOffset: number;
  /** Oldest first. */
  sealed: readonly SealedBytes[];
  /** Written, and not part of the log yet, or not any more. */
  staged: readonly SealedBytes[];
  /** By offset, without gaps; the first ones may be sealed, too. */
  chunks: Chunk[];
  segments: SegmentRow[];
  checkpoint: LogCheckpoint | undefined;
}

/**
 * What lies in one broker's database, without a browser: outlives the tabs that use it. Each method is one IDB
 * transaction, done at once; `MemoryLogStore` adds the connection and the waiting.
 *
 * Faults on demand: `failNextAppend`, `damageSealed`, `setQuota`, `powerCut`, `wipe`, `disconnect`, `wedgeNext`,
 * `blockOpening`.
 */
export class MemoryDisk {
  readonly #aborts: () => boolean;
  readonly #logs: Map<LogId, MemoryLog> = new Map();
  /** By key. */
  #journal: readonly StoredJournalRow[] = [];
  #mostJournalBytes = 0;
  readonly #connections: Set<(end: 'lost' | 'dead') => void> = new Set();
  /** What undoes each commit that a power cut may take, oldest first. */
  #unflushed: (() => void)[] = [];
  #incarnationId: string | undefined;
  #leadership: Leadership = NO_LEADERSHIP;
  #quotaBytes: number;
  #sizeInBytes = 0;
  #hasReserve = false;
  #isOpenable = deferred();
  #nextWedge: Wedge | undefined;
  #nextFailure: Error | undefined;
  /** Sealed bytes that are gone, though their segments name them. */
  readonly #damaged: WeakSet<Uint8Array> = new WeakSet();
  #damagesNextStage = false;
  #queue: Promise<void> = Promise.resolve();

  constructor(options: MemoryDiskOptions = {}) {
    this.#quotaBytes = options.quotaBytes ?? Infinity;
    this.#aborts = options.aborts ?? ((): boolean => false);
    this.#isOpenable.resolve();
  }

  /** Bytes of all chunks and sealed segments now stored. */
  get sizeInBytes(): number {
    return this.#sizeInBytes;
  }

  // ---------------------------------------------------------------- faults

  /** The next append aborts with this error, and with it all that were begun before that is known. */
  failNextAppend(error: Error = new DOMException('the test asked for it', 'UnknownError')): void {
    this.#nextFailure = error;
  }

  /** The file of a sealed segment vanishes; without one it names the file that is written next. */
  damageSealed(log?: LogId, baseOffset?: number): void {
    if (log === undefined) this.#damagesNextStage = true;
    for (const { segment, bytes } of this.#logs.get(log ?? -1)?.sealed ?? []) {
      if (segment.baseOffset === baseOffset) this.#damaged.add(bytes);
    }
  }

  /** One byte of a sealed segment becomes another. */
  damageSealedByte(log: LogId, baseOffset: number, position: number, byte: number): void {
    const found = this.#logs.get(log)?.sealed.find(({ segment }) => segment.baseOffset === baseOffset);
    if (found !== undefined) found.bytes[position] = byte;
  }

  setQuota(quotaBytes: number): void {
    this.#quotaBytes = quotaBytes;
  }

  /**
   * The machine loses power: every tab dies, and of the commits since the last strict one only the oldest
   * `survivors` are there afterwards.
   */
  powerCut(survivors = 0): void {
    this.#endConnections('dead');
    for (const undo of this.#unflushed.splice(survivors).reverse()) undo();
    this.#unflushed = [];
  }

  /** The user clears the site's data, or the browser evicts it: all connections are lost, the next open starts anew. */
  wipe(): void {
    this.#logs.clear();
    this.#journal = [];
    this.#unflushed = [];
    this.#sizeInBytes = 0;
    this.#hasReserve = false;
    this.#leadership = NO_LEADERSHIP;
    this.#incarnationId = undefined;
    this.disconnect();
  }

  /** All connections are lost, the data stays: a newer version of the code wants to open, or the platform failed. */
  disconnect(): void {
    this.#endConnections('lost');
  }

  #endConnections(end: 'lost' | 'dead'): void {
    const connections = [...this.#connections];
    this.#connections.clear();
    for (const connectionEnded of connections) connectionEnded(end);
  }

  /**
   * The next transaction of any connection never answers, and what is behind it on its connection neither; whether it took
   * effect before or never does is for `wedge` to say.
   */
  wedgeNext(wedge: Wedge): void {
    this.#nextWedge = wedge;
  }

  /** From now on nothing opens, as behind an upgrade that other tabs hold up, until the answer is called. */
  blockOpening(): () => void {
    const openable = deferred();
    this.#isOpenable = openable;
    return () => openable.resolve();
  }

  // ---------------------------------------------------------------- for MemoryLogStore

  /** Resolves once a connection can be opened. */
  get openable(): Promise<void> {
    return this.#isOpenable.promise;
  }

  takeWedge(): Wedge | undefined {
    const wedge = this.#nextWedge;
    this.#nextWedge = undefined;
    return wedge;
  }

  /** Opens; the first one after the making or a wipe gives the incarnation its id. */
  connect(newIncarnationId: string, connectionEnded: (end: 'lost' | 'dead') => void): string {
    this.#connections.add(connectionEnded);
    this.#incarnationId ??= newIncarnationId;
    return this.#incarnationId;
  }

  release(connectionEnded: (end: 'lost' | 'dead') => void): void {
    this.#connections.delete(connectionEnded);
  }

  /** IDB transactions run in the order in which they were made, over all connections. */
  queue(): { readonly reached: Promise<void>; readonly leave: () => void } {
    const { promise: left, resolve: leave } = deferred();
    const reached = this.#queue;
    this.#queue = reached.then(() => left);
    return { reached, leave };
  }

  leadership(): Leadership {
    return this.#leadership;
  }

  claimLeadership(expectedEpoch: number, hostId: string, wallMs: number): number | undefined {
    if (this.#leadership.epoch !== expectedEpoch) return undefined;
    this.#setLeadership({ ...this.#leadership, epoch: expectedEpoch + 1, hostId, heartbeatMs: wallMs });
    return expectedEpoch + 1;
  }

  renewLeadership(epoch: number, signs: LeaderSigns): boolean {
    if (this.#leadership.epoch !== epoch) return false;
    this.#setLeadership({ ...this.#leadership, ...signs });
    return true;
  }

  /** Bytes in the journal, dead parts included. */
  get journalBytes(): number {
    return this.#journal.reduce((bytes, { row }) => bytes + row.bytes.byteLength, 0);
  }

  /** The most that ever was. */
  get mostJournalBytes(): number {
    return this.#mostJournalBytes;
  }

  /** What lies in the journal, for whoever has claimed the leadership. Keeps what it gives. */
  journal(): readonly StoredJournalRow[] {
    return this.#journal;
  }

  /** Keeps what it is given. @throws KafkaError as `LogStore.append` does. */
  append(commit: Commit & Partial<JournalPlan>, durability: Durability): void {
    this.#fence(commit.leaderEpoch);
    this.#failIfAsked();
    const { journal = [], deleteBelow } = commit;
    this.#claimSpace(
      'append',
      sum(commit.chunks) + journal.reduce((bytes, { row }) => bytes + row.bytes.byteLength, 0),
    );
    const undo: (() => void)[] = [];
    for (const chunk of commit.chunks) undo.push(this.#putChunk(chunk));
    const kept = this.#journal.filter(({ key }) => deleteBelow === undefined || !isBelow(key, deleteBelow));
    if (journal.length > 0 || kept.length < this.#journal.length) undo.push(this.#setJournal([...kept, ...journal]));
    for (const row of commit.segments ?? []) undo.push(this.#putSegment(row));
    for (const checkpoint of commit.checkpoints ?? []) undo.push(this.#putCheckpoint(checkpoint));
    this.#committed(durability, () => {
      for (const step of undo.reverse()) step();
    });
  }

  /** The sealed segment that is to answer for `offset`, the next one where none holds it; undefined: rows are. */
  sealedAt(log: LogId, offset: number): SealedSegment | undefined {
    return this.#logs.get(log)?.sealed.find(({ segment }) => segment.nextOffset > offset)?.segment;
  }

  /** @throws DOMException NotFoundError: replaced, deleted, or damaged. */
  sealedBytes(segment: SealedSegment, from: number, to: number): Uint8Array {
    const { sealed = [], staged = [] } = this.#logs.get(segment.log) ?? {};
    const found = [...sealed, ...staged].find((other) => isSame(other.segment, segment));
    if (found === undefined || this.#damaged.has(found.bytes)) throw new DOMException('no file', 'NotFoundError');
    return found.bytes.slice(from, to);
  }

  /** Of the rows, and of the journal behind them. */
  read(log: LogId, offset: number, maxBytes: number, endOffset: number): Uint8Array[] {
    const chunks = this.#chunksOf(log);
    const from = firstAtOrAfter(chunks, offset);
    // maxBytes bounds the copies: what takeChunks leaves out is never touched.
    const rows = chunks.slice(from, rowsWithin(chunks, from, maxBytes)).map((chunk) => chunk.bytes);
    return takeChunks(rows, { takenBytes: 0, maxBytes, endOffset }).map((row) => new Uint8Array(row));
  }

  ends(log: LogId): LogEnds {
    const { logStartOffset, sealed, segments, checkpoint } = this.#logs.get(log) ?? newLog();
    const sealedEndOffset = sealed.at(-1)?.segment.nextOffset ?? 0;
    const lastOffset = Math.max(this.#chunksOf(log).at(-1)?.lastOffset ?? -1, sealedEndOffset - 1);
    return plainCopy({
      logStartOffset,
      lastOffset: lastOffset >= logStartOffset ? lastOffset : undefined,
      sealedEndOffset,
      checkpoint,
      lastSegment: segments.at(-1),
    });
  }

  segments(log: LogId): SegmentRow[] {
    return plainCopy(this.#logs.get(log)?.segments ?? []);
  }

  sealedSegments(log: LogId): SealedSegment[] {
    return plainCopy(this.#logs.get(log)?.sealed.map(({ segment }) => segment) ?? []);
  }

  /** @throws KafkaError KAFKA_STORAGE_ERROR */
  stageSealed({ parts, ...row }: NewSealedSegment, leaderEpoch: number): SealedSegment {
    this.#failIfAborted('seal');
    this.#claimSpace('seal', row.byteCount);
    const state = this.#log(row.log);
    const { staged } = state;
    const versions = [...state.sealed, ...staged]
      .filter(({ segment }) => segment.baseOffset === row.baseOffset)
      .map(({ segment }) => segment.version);
    const segment: SealedSegment = { ...row, version: stagedVersion(Math.max(0, ...versions), leaderEpoch) };
    const bytes = concatBytes(parts);
    if (this.#damagesNextStage) this.#damaged.add(bytes);
    this.#damagesNextStage = false;
    state.staged = [...staged, { segment, bytes }];
    this.#sizeInBytes += segment.byteCount;
    // Flushed; what was written before is flushed with it.
    this.#committed('strict', () => {});
    return plainCopy(segment);
  }

  dropStaged(segment: SealedSegment): void {
    const state = this.#log(segment.log);
    this.#keepStaged(state, (other) => !isSame(other, segment));
  }

  /** @throws KafkaError FENCED_LEADER_EPOCH, KAFKA_STORAGE_ERROR */
  publishSealed(change: SealedChange, leaderEpoch: number): void {
    this.#fence(leaderEpoch);
    this.#failIfAborted('publish');
    const { log, baseOffset, nextOffset } = change;
    const state = this.#log(log);
    const isStaged = (other: SealedSegment): boolean => change.sealed.some((segment) => isSame(segment, other));
    if (nextOffset <= state.logStartOffset) return this.#keepStaged(state, (other) => !isStaged(other));
    const { sealed, staged, segments } = state;
    const endsWithin = (end: number): boolean => end > baseOffset && end <= nextOffset;
    const problem = sealedChangeProblem(change, {
      sealedBefore: sealed.findLast(({ segment }) => segment.nextOffset <= baseOffset)?.segment.nextOffset,
      within: sealed.filter(({ segment }) => endsWithin(segment.nextOffset)).map(({ segment }) => segment),
      sealedAfter: sealed.find(({ segment }) => segment.nextOffset > nextOffset)?.segment.baseOffset,
      firstRow: state.chunks[firstAtOrAfter(state.chunks, state.logStartOffset)]?.lastOffset,
    });
    if (problem !== undefined) throw sealedChangeError(change, problem);
    const fresh = staged.filter(({ segment }) => isStaged(segment));
    if (fresh.length < change.sealed.length) throw sealedChangeError(change, 'what was staged is gone');
    const replaced = sealed.filter(({ segment }) => endsWithin(segment.nextOffset));
    const kept = sealed.filter(({ segment }) => !endsWithin(segment.nextOffset));
    const freedBytes = replaced.reduce((bytes, { segment }) => bytes + segment.byteCount, 0);
    state.sealed = [...kept, ...fresh].sort((a, b) => a.segment.baseOffset - b.segment.baseOffset);
    state.staged = staged.filter(({ segment }) => !isStaged(segment));
    state.segments = [
      ...segments.filter((row) => row.baseOffset < baseOffset || row.baseOffset >= nextOffset),
      ...plainCopy(change.segments),
    ].sort((a, b) => a.baseOffset - b.baseOffset);
    this.#sizeInBytes -= freedBytes;
    this.#committed('relaxed', () => {
      Object.assign(state, { sealed, staged, segments });
      this.#sizeInBytes += freedBytes;
    });
  }

  /** One slice of at most `maxRows` chunks; true once nothing is left to delete. */
  sweepSealed(log: LogId, leaderEpoch: number, maxRows: number): boolean {
    this.#fence(leaderEpoch);
    const state = this.#logs.get(log);
    if (state === undefined) return true;
    const covered = firstAtOrAfter(state.chunks, state.sealed.at(-1)?.segment.nextOffset ?? 0);
    const rows = Math.min(maxRows, covered);
    const restoreChunks = this.#deleteChunks(state, rows);
    this.#committed('relaxed', restoreChunks);
    if (rows === maxRows) return false;
    this.#keepStaged(state, ({ version }) => !isOfEarlierLeader(version, leaderEpoch));
    this.#forgetSealed(state, state.logStartOffset);
    return true;
  }

  // For `RawLogStore`.

  logs(): LogId[] {
    return [...new Set([...this.#logs.keys(), ...logsIn(this.#journalRows)])].sort((a, b) => a - b);
  }

  rawChunks(log: LogId, fromOffset: number, maxRows: number): RawChunk[] {
    const chunks = this.#chunksOf(log);
    const from = firstAtOrAfter(chunks, fromOffset);
    const rows = chunks.slice(from, from + maxRows);
    return rows.map(({ lastOffset, bytes }) => ({ lastOffset, bytes: new Uint8Array(bytes) }));
  }

  strayBytes(log: LogId): number {
    return this.#logs.get(log)?.staged.length ?? 0;
  }

  /** Keeps what it is given. @throws KafkaError FENCED_LEADER_EPOCH; KAFKA_STORAGE_ERROR: it is not drained. */
  applyRaw({ log, deleteChunks = [], putChunks = [], segments, checkpoint }: RawChange, leaderEpoch: number): void {
    this.#fence(leaderEpoch);
    if (partsOf(log, this.#journalRows).length > 0) throw undrainedError(log);
    const state = this.#log(log);
    const before = { ...state };
    const sizeBefore = this.#sizeInBytes;
    const put = putChunks
      .filter(({ lastOffset }) => lastOffset >= state.logStartOffset)
      .map((row) => ({ log, baseOffset: 0, ...row }));
    const gone = new Set([...deleteChunks, ...put.map(({ lastOffset }) => lastOffset)]);
    state.chunks = [...state.chunks.filter(({ lastOffset }) => !gone.has(lastOffset)), ...put];
    state.chunks.sort((a, b) => a.lastOffset - b.lastOffset);
    if (segments !== undefined) state.segments = [...segments];
    if (checkpoint !== undefined) state.checkpoint = checkpoint === 'none' ? undefined : checkpoint;
    this.#sizeInBytes += sum(state.chunks) - sum(before.chunks);
    this.#committed('relaxed', () => {
      Object.assign(state, before);
      this.#sizeInBytes = sizeBefore;
    });
  }

  /** One slice of at most `maxRows` chunks; true once nothing is left to delete. */
  deleteBefore(log: LogId, offset: number, leaderEpoch: number, maxRows: number): boolean {
    this.#fence(leaderEpoch);
    const state = this.#log(log);
    const { logStartOffset, segments } = state;
    const rows = Math.min(maxRows, firstAtOrAfter(state.chunks, offset));
    state.logStartOffset = Math.max(logStartOffset, offset);
    state.segments = segments.filter((row) => row.nextOffset > offset);
    const restoreChunks = this.#deleteChunks(state, rows);
    this.#committed('relaxed', () => {
      Object.assign(state, { logStartOffset, segments });
      restoreChunks();
    });
    if (rows === maxRows) return false;
    this.#forgetSealed(state, offset);
    return true;
  }

  /** One slice of at most `maxRows` chunks; true once nothing is left of the log. */
  deleteLog(log: LogId, leaderEpoch: number, maxRows: number): boolean {
    this.#fence(leaderEpoch);
    const state = this.#log(log);
    const rows = Math.min(maxRows, state.chunks.length);
    const restoreChunks = this.#deleteChunks(state, rows);
    const done = rows < maxRows;
    if (done) {
      this.#forgetSealed(state, Infinity);
      this.#keepStaged(state, () => false);
      this.#logs.delete(log);
    }
    this.#committed('relaxed', () => {
      this.#logs.set(log, state);
      restoreChunks();
    });
    return done;
  }

  takeReserve(leaderEpoch: number): void {
    this.#fence(leaderEpoch);
    if (this.#hasReserve) return;
    this.#claimSpace('take the reserve', RESERVE_BYTES);
    this.#setReserve(true);
  }

  dropReserve(leaderEpoch: number): void {
    this.#fence(leaderEpoch);
    if (this.#hasReserve) this.#setReserve(false);
  }

  #chunksOf(log: LogId): readonly Chunk[] {
    const chunks = this.#logs.get(log)?.chunks ?? [];
    const parts = this.#journal.length > 0 ? partsOf(log, this.#journalRows) : [];
    return parts.length > 0 ? [...chunks, ...parts] : chunks;
  }

  get #journalRows(): JournalRow[] {
    return this.#journal.map(({ row }) => row);
  }

  // ---------------------------------------------------------------- parts of transactions; each returns its undoing

  #setJournal(journal: readonly StoredJournalRow[]): () => void {
    const before = this.#journal;
    const bytesBefore = this.journalBytes;
    this.#journal = journal;
    const added = this.journalBytes - bytesBefore;
    this.#mostJournalBytes = Math.max(this.#mostJournalBytes, this.journalBytes);
    this.#sizeInBytes += added;
    return () => {
      this.#journal = before;
      this.#sizeInBytes -= added;
    };
  }

  #setLeadership(leadership: Leadership): void {
    const before = this.#leadership;
    this.#leadership = leadership;
    this.#committed('relaxed', () => (this.#leadership = before));
  }

  #setReserve(hasReserve: boolean): void {
    this.#hasReserve = hasReserve;
    this.#committed('relaxed', () => (this.#hasReserve = !hasReserve));
  }

  #claimSpace(doing: string, bytes: number): void {
    const usage = this.#sizeInBytes + (this.#hasReserve ? RESERVE_BYTES : 0);
    const quota = this.#quotaBytes;
    if (usage + bytes <= quota) return;
    const cause = new DOMException(`${bytes} bytes more were wanted`, 'QuotaExceededError');
    throw storageFullError(doing, { usage, quota }, cause);
  }

  #putChunk(chunk: Chunk): () => void {
    const { chunks } = this.#log(chunk.log);
    const last = chunks.at(-1);
    assert(last === undefined || last.lastOffset < chunk.baseOffset, 'chunks of a log are appended in offset order');
    chunks.push(chunk);
    this.#sizeInBytes += chunk.bytes.byteLength;
    return () => {
      chunks.pop();
      this.#sizeInBytes -= chunk.bytes.byteLength;
    };
  }

  #deleteChunks(state: MemoryLog, rows: number): () => void {
    const deleted = state.chunks.splice(0, rows);
    this.#sizeInBytes -= sum(deleted);
    return () => {
      state.chunks.unshift(...deleted);
      this.#sizeInBytes += sum(deleted);
    };
  }

  /** Forgets what is sealed wholly below `offset`. */
  #forgetSealed(state: MemoryLog, offset: number): void {
    const { sealed } = state;
    state.sealed = sealed.filter(({ segment }) => segment.nextOffset > offset);
    const freed = sealedBytesOf(sealed) - sealedBytesOf(state.sealed);
    this.#sizeInBytes -= freed;
    this.#committed('relaxed', () => {
      state.sealed = sealed;
      this.#sizeInBytes += freed;
    });
  }

  #keepStaged(state: MemoryLog, keeps: (segment: SealedSegment) => boolean): void {
    const { staged } = state;
    state.staged = staged.filter(({ segment }) => keeps(segment));
    const freed = sealedBytesOf(staged) - sealedBytesOf(state.staged);
    this.#sizeInBytes -= freed;
    this.#committed('relaxed', () => {
      state.staged = staged;
      this.#sizeInBytes += freed;
    });
  }

  #putSegment(row: SegmentRow): () => void {
    const state = this.#log(row.log);
    const before = state.segments;
    state.segments = [...before.filter((other) => other.baseOffset !== row.baseOffset), row].sort(
      (a, b) => a.baseOffset - b.baseOffset,
    );
    return () => (state.segments = before);
  }

  #putCheckpoint(checkpoint: LogCheckpoint): () => void {
    const state = this.#log(checkpoint.log);
    const before = state.checkpoint;
    state.checkpoint = checkpoint;
    return () => (state.checkpoint = before);
  }

  #committed(durability: Durability, undo: () => void): void {
    this.#unflushed.push(undo);
    if (durability === 'strict') this.#unflushed = [];
    if (this.#unflushed.length > MAX_UNFLUSHED_COMMITS) this.#unflushed.shift();
  }

  #fence(epoch: number): void {
    if (epoch !== this.#leadership.epoch) throw fencedError(epoch, this.#leadership.epoch);
  }

  #failIfAsked(): void {
    const failure = this.#nextFailure;
    this.#nextFailure = undefined;
    if (failure) throw storageError('append', failure);
    this.#failIfAborted('append');
  }

  #failIfAborted(doing: string): void {
    if (this.#aborts()) throw storageError(doing, new DOMException('injected', 'AbortError'));
  }

  #log(log: LogId): MemoryLog {
    const found = this.#logs.get(log) ?? newLog();
    this.#logs.set(log, found);
    return found;
  }
}

function newLog(): MemoryLog {
  return { logStartOffset: 0, sealed: [], staged: [], chunks: [], segments: [], checkpoint: undefined };
}

function isSame(a: SealedSegment, b: SealedSegment): boolean {
  return a.log === b.log && a.baseOffset === b.baseOffset && a.version === b.version;
}

function sealedBytesOf(sealed: readonly SealedBytes[]): number {
  return sealed.reduce((bytes, { segment }) => bytes + segment.byteCount, 0);
}

/** Index of the first chunk whose last offset is at or after `offset`. */
function firstAtOrAfter(chunks: readonly Chunk[], offset: number): number {
  let low = 0;
  let high = chunks.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((chunks[middle] as Chunk).lastOffset < offset) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Index behind the last chunk that a read of `maxBytes` from `from` on can reach. */
function rowsWithin(chunks: readonly Chunk[], from: number, maxBytes: number): number {
  let bytes = 0;
  let end = from;
  while (end < chunks.length && (end === from || bytes < maxBytes)) bytes += (chunks[end++] as Chunk).bytes.byteLength;
  return end;
}

function sum(chunks: readonly Chunk[]): number {
  return chunks.reduce((bytes, chunk) => bytes + chunk.bytes.byteLength, 0);
}
