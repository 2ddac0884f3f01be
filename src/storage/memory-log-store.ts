import { KafkaError } from '../protocol/errors.js';
import type { Clock } from '../runtime/runtime.js';
import { concatBytes } from '../util/bytes.js';
import { crc32c } from '../util/crc32c.js';
import { plainCopy } from '../util/plain-copy.js';
import { deferred } from '../util/signal.js';
import { assertCommit, baseOffsetOf } from './chunk.js';
import { CommitChain } from './commit-chain.js';
import { type Drain, Journal, type JournalRules } from './journal.js';
import {
  type Commit,
  type Durability,
  type LeaderSigns,
  type Leadership,
  type LogEnds,
  type LogId,
  type LogStore,
  type NewSealedSegment,
  type SealedChange,
  type SealedSegment,
  type SegmentRow,
  SLICE_ROWS,
} from './log-store.js';
import type { MemoryDisk } from './memory-disk.js';
import type { RawLogStore } from './raw-log-store.js';
import { assertSealedChange, readingSealed, type SealedRead, unreadable, wantedBehind } from './sealed-segment.js';
import { fencedError, isFenced, storageError, wedgedError } from './storage-errors.js';
import { Watchdog, WEDGED_MS } from './watchdog.js';

const OPEN_DEADLINE_MS = 10_000;

/**
 * read: until the data was looked up. write: until the commit point, from which on the data is there for everyone.
 * completion: from there until the caller learns of it; a tab may freeze or die in between.
 */
export type StorageStep = 'read' | 'write' | 'completion';

export interface MemoryLogStoreOptions {
  readonly newIncarnationId: string;
  /** Called for each step of each operation: read or write, then completion; a rejection aborts the operation. Default: no delay. */
  readonly delay?: (step: StorageStep) => Promise<void>;
  /** For the watchdog, and the deadline of opening; without one there is neither. */
  readonly clock?: Clock;
  /** Default: JOURNAL_RULES. */
  readonly journalRules?: JournalRules | undefined;
}

type State = 'open' | 'closed' | 'lost' | 'dead';

/** One tab's connection to a `MemoryDisk`. Operations take effect in the order in which they were begun. */
export class MemoryLogStore implements LogStore {
  readonly incarnationId: string;
  readonly #disk: MemoryDisk;
  readonly #delay: (step: StorageStep) => Promise<void>;
  readonly #chain: CommitChain = new CommitChain();
  readonly #lost: AbortController = new AbortController();
  readonly #places: Set<() => void> = new Set();
  readonly #watchdog: Watchdog | undefined;
  /** Resolves when the connection ends: what hangs is freed, on the disk's side. */
  readonly #over = deferred();
  #completions: Promise<void> = Promise.resolve();
  #state: State = 'open';
  readonly #journalRules: JournalRules | undefined;
  /** As the leader of one epoch. */
  #claimed: { readonly epoch: number; readonly journal: Journal } | undefined;

  /** @throws KafkaError KAFKA_STORAGE_ERROR: no answer within OPEN_DEADLINE_MS. */
  static async open(disk: MemoryDisk, options: MemoryLogStoreOptions): Promise<MemoryLogStore> {
    await options.delay?.('read');
    await openable(disk, options.clock);
    await options.delay?.('completion');
    return new MemoryLogStore(disk, options);
  }

  private constructor(disk: MemoryDisk, { newIncarnationId, delay, clock, journalRules }: MemoryLogStoreOptions) {
    this.#journalRules = journalRules;
    this.#disk = disk;
    this.#watchdog = clock && new Watchdog(clock, (doing) => this.#wedged(doing));
    this.#delay = delay ?? ((): Promise<void> => Promise.resolve());
    this.incarnationId = disk.connect(newIncarnationId, this.#ended);
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  leadership(): Promise<Leadership> {
    return this.#perform('read', () => this.#disk.leadership());
  }

  async claimLeadership(expectedEpoch: number, hostId: string, wallMs: number): Promise<number | undefined> {
    const claim = await this.#perform('write', () => {
      const epoch = this.#disk.claimLeadership(expectedEpoch, hostId, wallMs);
      return epoch === undefined ? undefined : { epoch, stored: this.#disk.journal() };
    });
    if (claim === undefined) return undefined;
    const { epoch, stored } = claim;
    this.#claimed = { epoch, journal: new Journal(epoch, stored, this.#journalRules) };
    return epoch;
  }

  renewLeadership(epoch: number, signs: LeaderSigns): Promise<boolean> {
    return this.#perform('write', () => this.#disk.renewLeadership(epoch, signs));
  }

  append(commit: Commit, durability: Durability): Promise<void> {
    return this.#append(commit, durability);
  }

  async #append(commit: Commit, durability: Durability, drain?: Drain): Promise<void> {
    assertCommit(commit);
    const claimed = this.#claimed?.epoch === commit.leaderEpoch ? this.#claimed : undefined;
    const link = this.#chain.begin();
    const copied = attempt(() => {
      const copy = copyOf(commit);
      return { ...copy, ...claimed?.journal.plan(copy.chunks, link, drain) };
    });
    try {
      await this.#perform('write', () => {
        try {
          const { epoch } = this.#disk.leadership();
          if (epoch !== commit.leaderEpoch) throw fencedError(commit.leaderEpoch, epoch);
          if (!claimed && this.#disk.journal().length > 0) {
            throw storageError('append', 'expected an empty journal, found one that this store does not know');
          }
          if (link.before?.outcome === 'failed') throw storageError('append', 'the commit before it failed');
          this.#disk.append(copied.value(), durability);
          this.#chain.decide(link, 'committed');
        } catch (error) {
          // Known to the commits behind at once, to the caller only after the completion.
          this.#chain.decide(link, 'failed');
          throw error;
        }
      });
    } catch (error) {
      this.#chain.decide(link, 'failed');
      if (isFenced(error) && this.#claimed === claimed) this.#claimed = undefined; // what it knows is the next leader's
      throw error;
    } finally {
      this.#chain.deliver(link);
    }
  }

  async drain(log: LogId, leaderEpoch: number): Promise<void> {
    if (!this.#mustDrain(log, leaderEpoch)) return;
    await this.#append({ leaderEpoch, chunks: [] }, 'relaxed', { logs: [log] });
  }

  /** Also where it is not known. */
  #mustDrain(log: LogId, leaderEpoch: number): boolean {
    const claimed = this.#claimed;
    return claimed?.epoch !== leaderEpoch || claimed.journal.holds(log);
  }

  async read(log: LogId, offset: number, maxBytes: number, endOffset = Infinity): Promise<Uint8Array[]> {
    if (offset >= endOffset) return [];
    return this.#perform('read', () => this.#readBoth(log, { offset, maxBytes, endOffset }));
  }

  /** What is sealed first, so that readers meet both sides of a segment whose rows are still there. */
  #readBoth(log: LogId, wanted: SealedRead): Uint8Array[] {
    const rows = (): Uint8Array[] => this.#disk.read(log, wanted.offset, wanted.maxBytes, wanted.endOffset);
    const chunks: Uint8Array[] = [];
    for (let next: SealedRead | undefined = wanted; next !== undefined; ) {
      const segment = this.#disk.sealedAt(log, next.offset);
      if (segment === undefined) return chunks.length > 0 ? chunks : rows();
      try {
        const reading = readingSealed(segment, next);
        let step = reading.next();
        while (!step.done) {
          step = reading.next(this.#disk.sealedBytes(segment, step.value.from, step.value.to));
        }
        chunks.push(...step.value.chunks);
        next = wantedBehind(wanted, segment, { ...step.value, chunks });
      } catch (error) {
        if (chunks.length > 0) break;
        const [first] = rows();
        if (first !== undefined && baseOffsetOf(first) <= wanted.offset) return rows();
        throw error instanceof KafkaError ? error : unreadable(segment, 'its bytes', error);
      }
    }
    return chunks;
  }

  ends(log: LogId): Promise<LogEnds> {
    return this.#perform('read', () => this.#disk.ends(log));
  }

  segments(log: LogId): Promise<SegmentRow[]> {
    return this.#perform('read', () => this.#disk.segments(log));
  }

  sealedSegments(log: LogId): Promise<SealedSegment[]> {
    return this.#perform('read', () => this.#disk.sealedSegments(log));
  }

  async stageSealed(segment: NewSealedSegment, leaderEpoch: number): Promise<SealedSegment> {
    const copied = { ...segment, parts: [concatBytes(segment.parts)] };
    const staged = await this.#perform('write', () => this.#disk.stageSealed(copied, leaderEpoch));
    try {
      await this.#perform('read', () => this.#verify(staged));
    } catch (error) {
      await this.#perform('write', () => this.#disk.dropStaged(staged));
      throw error;
    }
    return staged;
  }

  async dropStaged(segments: readonly SealedSegment[]): Promise<void> {
    for (const segment of segments) await this.#perform('write', () => this.#disk.dropStaged(segment));
  }

  #verify(segment: SealedSegment): void {
    const doing = `read back the sealed segment of log ${segment.log}`;
    let found: number;
    try {
      found = crc32c(this.#disk.sealedBytes(segment, 0, segment.byteCount));
    } catch (error) {
      throw storageError(doing, error);
    }
    if (found !== segment.crc32c) throw storageError(doing, `expected checksum ${segment.crc32c}, found ${found}`);
  }

  async publishSealed(change: SealedChange, leaderEpoch: number): Promise<void> {
    assertSealedChange(change);
    const copied = plainCopy(change);
    await this.drain(change.log, leaderEpoch);
    await this.#perform('write', () => this.#disk.publishSealed(copied, leaderEpoch));
  }

  async sweepSealed(log: LogId, leaderEpoch: number): Promise<void> {
    while (!(await this.#perform('write', () => this.#disk.sweepSealed(log, leaderEpoch, SLICE_ROWS))));
  }

  releaseUnused(): void {
    const { epoch: leaderEpoch = 0, journal } = this.#claimed ?? {};
    void journal?.rest((drain) => this.#append({ leaderEpoch, chunks: [] }, 'relaxed', drain));
  }

  async raw(): Promise<RawLogStore> {
    const perform = <T>(step: 'read' | 'write', work: () => T): Promise<T> => this.#perform(step, work);
    return {
      logs: () => perform('read', () => this.#disk.logs()),
      chunks: (log, fromOffset, maxRows) => perform('read', () => this.#disk.rawChunks(log, fromOffset, maxRows)),
      segments: (log) =>
        perform('read', () => this.#disk.segments(log).map((row) => ({ baseOffset: row.baseOffset, row }))),
      sealedBytes: (segment) =>
        perform('read', () => this.#disk.sealedBytes(segment, 0, segment.byteCount)).catch(ignore),
      strayBytes: (log) => perform('read', () => this.#disk.strayBytes(log)),
      apply: (change, leaderEpoch) => perform('write', () => this.#disk.applyRaw(plainCopy(change), leaderEpoch)),
    };
  }

  async deleteBefore(log: LogId, offset: number, leaderEpoch: number): Promise<void> {
    if (this.#mustDrain(log, leaderEpoch)) await this.drain(log, leaderEpoch);
    while (!(await this.#perform('write', () => this.#disk.deleteBefore(log, offset, leaderEpoch, SLICE_ROWS))));
  }

  async deleteLog(log: LogId, leaderEpoch: number): Promise<void> {
    if (this.#mustDrain(log, leaderEpoch)) await this.drain(log, leaderEpoch);
    while (!(await this.#perform('write', () => this.#disk.deleteLog(log, leaderEpoch, SLICE_ROWS))));
  }

  takeReserve(leaderEpoch: number): Promise<void> {
    return this.#perform('write', () => this.#disk.takeReserve(leaderEpoch));
  }

  dropReserve(leaderEpoch: number): Promise<void> {
    return this.#perform('write', () => this.#disk.dropReserve(leaderEpoch));
  }

  /** What was begun is carried through. */
  async close(): Promise<void> {
    this.#end('closed');
    if (this.#state === 'closed') await this.#completions;
  }

  /** The tab dies: what is not committed never will be, and nobody is there to hear of what is. For simulations. */
  kill(): void {
    this.#end('dead');
  }

  readonly #ended = (end: 'lost' | 'dead'): void => this.#end(end);

  #wedged(doing: string): void {
    this.#end('lost', wedgedError(doing, WEDGED_MS));
  }

  #end(end: State, reason = new KafkaError('KAFKA_STORAGE_ERROR', 'the database connection was lost')): void {
    if (this.#state !== 'open' && end !== 'dead') return;
    this.#state = end;
    this.#watchdog?.close();
    this.#disk.release(this.#ended);
    if (end !== 'closed') this.#over.resolve();
    if (end === 'dead') for (const leave of this.#places) leave();
    if (end === 'lost') this.#lost.abort(reason);
  }

  /** Delivers in the order of the effects, as the events of one connection come. */
  #perform<T>(step: 'read' | 'write', work: () => T): Promise<T> {
    const before = this.#completions;
    const settled = this.#watchdog?.begin(step);
    const delivered = this.#transaction(step, work).then(async (result) => {
      settled?.();
      await Promise.all([this.#delay('completion'), before]);
      return this.#hasEnded('dead') ? (await this.#refusal()).value() : result.value();
    });
    this.#completions = delivered.then(ignore, ignore);
    return delivered;
  }

  /** Waits for its turn, works, and gives the outcome back as a value; refuses where the connection is gone. */
  async #transaction<T>(step: 'read' | 'write', work: () => T): Promise<Outcome<T>> {
    if (this.#state !== 'open') return this.#refusal();
    const { reached, leave } = this.#disk.queue();
    this.#places.add(leave);
    try {
      await Promise.all([this.#delay(step), reached]);
      // Never takes effect then, wedged or not: what it builds on may have hung on this connection, and never did.
      if (this.#hasEnded('lost') || this.#hasEnded('dead')) return this.#refusal();
      const wedge = this.#disk.takeWedge();
      if (wedge === 'after') attempt(work);
      if (wedge !== undefined) return await this.#hang(leave);
      return attempt(work);
    } catch (error) {
      return failed(error);
    } finally {
      leave();
      this.#places.delete(leave);
    }
  }

  /** Holds up the disk until the connection is dropped, and answers never: not even then does anybody know more. */
  async #hang(leave: () => void): Promise<never> {
    await this.#over.promise;
    leave();
    return new Promise(() => {});
  }

  #hasEnded(end: State): boolean {
    return this.#state === end;
  }

  /** Never comes in a dead tab: its code must not run on. */
  #refusal(): Promise<Outcome<never>> {
    if (this.#state === 'dead') return new Promise(() => {});
    const why = `the database connection is ${this.#state}: nothing was written`;
    return Promise.resolve(failed(new KafkaError('KAFKA_STORAGE_ERROR', why)));
  }
}

async function openable(disk: MemoryDisk, clock: Clock | undefined): Promise<void> {
  if (clock === undefined) return disk.openable;
  const opened = new AbortController();
  const tooLate = clock.sleep(OPEN_DEADLINE_MS, opened.signal).then(() => {
    throw storageError('open', new DOMException(`no answer in ${OPEN_DEADLINE_MS} ms`, 'TimeoutError'));
  });
  tooLate.catch(() => {});
  await Promise.race([disk.openable, tooLate]).finally(() => opened.abort());
}

interface Outcome<T> {
  /** Returns the result or throws the failure. */
  readonly value: () => T;
}

function attempt<T>(work: () => T): Outcome<T> {
  try {
    const value = work();
    return { value: () => value };
  } catch (error) {
    return failed(error);
  }
}

function failed(error: unknown): Outcome<never> {
  return {
    value: () => {
      throw error;
    },
  };
}

/** As structured clone does when a row is put: the caller may use its buffers again at once. */
function copyOf({ leaderEpoch, chunks, segments = [], checkpoints = [] }: Commit): Commit {
  try {
    const bytesCopied = chunks.map((chunk) => ({ ...chunk, bytes: new Uint8Array(chunk.bytes) }));
    return { leaderEpoch, chunks: bytesCopied, ...plainCopy({ segments, checkpoints }) };
  } catch (error) {
    throw storageError('append', error);
  }
}

function ignore(): undefined {}
