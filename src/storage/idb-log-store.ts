import { KafkaError } from '../protocol/errors.js';
import type { Clock } from '../runtime/runtime.js';
import { AssertionError, assert } from '../util/assert.js';
import { Serial } from '../util/serial.js';
import { assertCommit, baseOffsetOf, bytesOf, rowsToAsk, takeChunks } from './chunk.js';
import { CommitChain, type CommitLink } from './commit-chain.js';
import type { IdbDeletion } from './idb-deletion.js';
import type { JournalReader } from './idb-journal.js';
import { completionOf, resultOf, rowsFrom } from './idb-request.js';
import type { IdbSealed, SealedTransaction } from './idb-sealed.js';
import type { Drain, Journal, JournalPlan, JournalRules } from './journal.js';
import {
  type Chunk,
  type Commit,
  type Durability,
  type LeaderSigns,
  type Leadership,
  type LogCheckpoint,
  type LogEnds,
  type LogId,
  type LogStore,
  MAX_ROW_BYTES,
  type NewSealedSegment,
  NO_LEADERSHIP,
  type SealedChange,
  type SealedSegment,
  type SegmentRow,
} from './log-store.js';
import {
  type DatabaseOptions,
  isOneAtATime,
  type OpenDatabase,
  openDatabase,
  openNewerDatabase,
} from './open-database.js';
import { quotaFigures } from './quota.js';
import type { RawLogStore } from './raw-log-store.js';
import type { LogRow, StoreName } from './schema.js';
import type { SealedRead } from './sealed-segment.js';
import {
  fencedError,
  isFenced,
  isQuotaExceeded,
  storageError,
  storageFullError,
  wedgedError,
} from './storage-errors.js';
import { unreadableRangeOf } from './unreadable-range.js';
import { Watchdog, WEDGED_MS } from './watchdog.js';

/** Logs of which a figure is remembered; forgotten all at once beyond that. */
const MAX_FIGURES = 1000;

/** With more chunks than this a commit may be one for the journal. */
const FEW_CHUNKS = 8;

const RELAXED: IDBTransactionOptions = { durability: 'relaxed' };

/** There is something in the journal, and what reads it is not here yet. */
const NEEDS_JOURNAL: unique symbol = Symbol('needs the journal');

/** What this store has in the journal as the leader of one epoch. undefined: nothing, it is empty. */
interface Claimed {
  readonly epoch: number;
  journal: Journal | undefined;
}

type JournalPart = typeof import('./idb-journal.js');

interface ReadRows {
  readonly rows: Uint8Array[];
  readonly isSealed: boolean;
}

/**
 * A `LogStore` in IndexedDB; `schema.ts` says what lies where.
 *
 * All here works on the raw objects: idb's proxies and its promise for each request cost a tenth of a small commit, and
 * would be a part of what a worker loads to start. What is loaded later goes through idb.
 */
export class IdbLogStore implements LogStore {
  readonly incarnationId: string;
  readonly #database: IDBDatabase;
  readonly #chain: CommitChain = new CommitChain();
  /** Where transactions must be alone; see `DatabaseOptions.oneTransactionAtATime`. */
  readonly #turns: Serial | undefined;
  readonly #clock: Clock | undefined;
  /** The mean size of the rows read last. */
  readonly #rowBytes: Map<LogId, number> = new Map();
  /** How far each log is known to be sealed: below, rows are not even looked for. */
  readonly #sealedEnds: Map<LogId, number> = new Map();
  #sealedPart: IdbSealed | undefined;
  #deletionPart: IdbDeletion | undefined;
  #journalReader: JournalReader | undefined;
  readonly #journalRules: JournalRules | undefined;
  #claimed: Claimed | undefined;
  readonly #lost: AbortController = new AbortController();
  readonly #watchdog: Watchdog | undefined;
  #closed = false;

  /** @throws KafkaError as `openDatabase` does. */
  static async open(options: DatabaseOptions): Promise<IdbLogStore> {
    return IdbLogStore.#over(await openDatabase(options), options);
  }

  /**
   * Opens a database of a newer version to read it, with the stores that this version knows.
   * @throws KafkaError as `openDatabase` does. UNSUPPORTED_VERSION: it must not be read by this version.
   */
  static async openNewer(options: DatabaseOptions): Promise<IdbLogStore> {
    return IdbLogStore.#over(await openNewerDatabase(options), options);
  }

  static #over({ database, incarnationId }: OpenDatabase, options: DatabaseOptions): IdbLogStore {
    if (typeof incarnationId === 'string') return new IdbLogStore(database, incarnationId, options);
    database.close();
    throw storageError(`open ${database.name}`, 'the incarnation row is missing: somebody else wrote here');
  }

  private constructor(database: IDBDatabase, incarnationId: string, options: DatabaseOptions) {
    const { clock, journalRules } = options;
    this.incarnationId = incarnationId;
    this.#turns = isOneAtATime(options) ? new Serial() : undefined;
    this.#journalRules = journalRules;
    this.#clock = clock;
    this.#watchdog = clock && new Watchdog(clock, (doing) => this.#wedged(doing));
    this.#database = database;
    // Whoever wants to upgrade or delete must not wait for us (W3C IndexedDB, "versionchange").
    this.#database.onversionchange = (): void => this.#lose('another tab upgrades or deletes it');
    this.#database.onclose = (): void => this.#lose('the browser closed it');
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  leadership(): Promise<Leadership> {
    return this.#transaction('read the leadership', ['meta'], 'readonly', storedLeadership);
  }

  async claimLeadership(expectedEpoch: number, hostId: string, wallMs: number): Promise<number | undefined> {
    const epoch = expectedEpoch + 1;
    const rows = await this.#transaction(
      'claim the leadership',
      ['meta', 'journal'],
      'readwrite',
      async (transaction) => {
        const stored = await storedLeadership(transaction);
        if (stored.epoch !== expectedEpoch) return undefined;
        const journaled = transaction.objectStore('journal').count();
        await putLeadership(transaction, { ...stored, epoch, hostId, heartbeatMs: wallMs });
        return journaled.result;
      },
    );
    if (rows === undefined) return undefined;
    // What an earlier leader left there comes ahead of whatever is put into rows from now on. Nobody else writes by now.
    this.#claimed = { epoch, journal: rows > 0 ? await this.#readJournal(epoch) : undefined };
    return epoch;
  }

  renewLeadership(epoch: number, signs: LeaderSigns): Promise<boolean> {
    return this.#transaction('renew the leadership', ['meta'], 'readwrite', async (transaction) => {
      const stored = await storedLeadership(transaction);
      if (stored.epoch !== epoch) return false;
      await putLeadership(transaction, { ...stored, ...signs });
      return true;
    });
  }

  append(commit: Commit, durability: Durability): Promise<void> {
    return this.#append(commit, durability);
  }

  async #append(commit: Commit, durability: Durability, drain?: Drain): Promise<void> {
    assertCommit(commit);
    const { leaderEpoch } = commit;
    const chunks = this.#turns ? commit.chunks.map(ownChunk) : commit.chunks;
    const claimed = this.#claimed?.epoch === leaderEpoch ? this.#claimed : undefined;
    if (chunks.length > FEW_CHUNKS && claimed && !claimed.journal) {
      this.#readJournal(leaderEpoch).then((journal) => (claimed.journal ??= journal), ignore); // this one does not wait
    }
    const link = this.#chain.begin();
    const settled = this.#watchdog?.begin('append');
    try {
      const plan = claimed?.journal?.plan(chunks, link, drain);
      const planned = { ...commit, chunks, isClaimed: claimed !== undefined, ...plan };
      await this.#inTurn(() => appendAll(this.#database, planned, durability, link));
      this.#chain.decide(link, 'committed');
    } catch (error) {
      this.#chain.decide(link, 'failed');
      if (isFenced(error) && this.#claimed === claimed) this.#claimed = undefined; // what it knows is the next leader's
      throw await this.#failureWithFigures('append', error);
    } finally {
      settled?.();
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
    return claimed?.epoch !== leaderEpoch || claimed.journal?.holds(log) === true;
  }

  /** Answers less than `maxBytes` allow once it has half of that: the caller reads on anyway. */
  async read(log: LogId, offset: number, maxBytes: number, endOffset = Infinity): Promise<Uint8Array[]> {
    if (offset >= endOffset) return [];
    const wanted = { offset, maxBytes, endOffset };
    if (offset < (this.#sealedEnds.get(log) ?? 0)) {
      const sealed = await this.#readSealed(log, wanted);
      if (sealed !== undefined) return sealed;
    }
    // Deleted rows stay on the disk for a while, and are passed one by one: not where all is sealed.
    const { rows, isSealed } = await this.#readRows(log, wanted, !this.#sealedEnds.has(log));
    return isSealed ? ((await this.#readSealed(log, wanted)) ?? rows) : rows;
  }

  /** undefined where no sealed segment reaches beyond the offset. Where one is damaged, its rows may still be there. */
  async #readSealed(log: LogId, wanted: SealedRead): Promise<Uint8Array[] | undefined> {
    try {
      const found = await (await this.#sealed()).read(log, wanted);
      if (found !== undefined)
        remember(this.#sealedEnds, log, Math.max(found.endOffset, this.#sealedEnds.get(log) ?? 0));
      return found?.chunks;
    } catch (error) {
      if (unreadableRangeOf(error) === undefined) throw error;
      const { rows } = await this.#readRows(log, wanted);
      if (holdsOffset(rows, wanted.offset)) return rows;
      throw error;
    }
  }

  /** `sealedFirst`: no row is looked for where a sealed segment is. */
  async #readRows(log: LogId, wanted: SealedRead, sealedFirst = false): Promise<ReadRows> {
    return this.#withJournal(() => this.#inTurn(() => this.#readRowsAndParts(log, wanted, sealedFirst)));
  }

  /** `isSealed`: the row of the offset is not there, or was not looked for, and a sealed segment is. */
  async #readRowsAndParts(
    log: LogId,
    { offset, maxBytes, endOffset }: SealedRead,
    sealedFirst: boolean,
  ): Promise<ReadRows | typeof NEEDS_JOURNAL> {
    const settled = this.#watchdog?.begin('read');
    let ended: Promise<void> | undefined;
    try {
      const transaction = this.#database.transaction(['chunks', 'sealed', 'journal'], 'readonly', RELAXED);
      ended = this.#turns && completionOf(transaction).catch(ignore);
      const store = transaction.objectStore('chunks');
      const sealedKey = () => resultOf(transaction.objectStore('sealed').getKey(rowsFrom(log, offset)));
      if (sealedFirst) {
        if ((await sealedKey()) !== undefined) return { rows: [], isSealed: true };
        if (!this.#sealedEnds.has(log)) remember(this.#sealedEnds, log, 0);
      }
      const journaled = transaction.objectStore('journal').count();
      const taken: Uint8Array[] = [];
      let takenBytes = 0;
      let from = offset;
      let rowBytes = this.#rowBytes.get(log) ?? MAX_ROW_BYTES;
      for (;;) {
        // The last chunk is read again where more are wanted, because its key, the last offset, is not known here.
        const again = taken.length === 0 ? 0 : 1;
        const count = Math.min(again + rowsToAsk(maxBytes - takenBytes, maxBytes, rowBytes), endOffset - from);
        const rows = await resultOf<Uint8Array[]>(store.getAll(rowsFrom(log, from), count));
        const fresh = again ? rows.slice(1) : rows;
        const fit = takeChunks(fresh, { takenBytes, maxBytes, endOffset });
        const freshBytes = bytesOf(fresh);
        takenBytes += fit.length === fresh.length ? freshBytes : bytesOf(fit);
        taken.push(...fit);
        if (fresh.length > 0) rowBytes = Math.max(1, freshBytes / fresh.length);
        const last = taken.at(-1);
        const isEnd = fresh.length === 0 || rows.length < count;
        if (isEnd && fit.length === fresh.length && journaled.result > 0) {
          const wanted = { offset, takenBytes, maxBytes, endOffset };
          const parts = await this.#journalReader?.read(log, wanted, transaction);
          if (parts === undefined) return NEEDS_JOURNAL;
          taken.push(...parts);
        }
        if (!last || isEnd || fit.length < fresh.length || takenBytes >= maxBytes / 2) break;
        from = baseOffsetOf(last);
      }
      remember(this.#rowBytes, log, rowBytes);
      if (holdsOffset(taken, offset)) return { rows: taken, isSealed: false };
      return { rows: taken, isSealed: (await sealedKey()) !== undefined };
    } catch (error) {
      throw this.#failure(`read log ${log} from offset ${offset}`, error);
    } finally {
      if (ended) await ended;
      settled?.();
    }
  }

  ends(log: LogId): Promise<LogEnds> {
    return this.#withJournal(() => this.#ends(log));
  }

  #ends(log: LogId): Promise<LogEnds | typeof NEEDS_JOURNAL> {
    const scope: StoreName[] = ['logs', 'chunks', 'sealed', 'journal', 'checkpoints', 'segments'];
    return this.#transaction(`read the ends of log ${log}`, scope, 'readonly', async (transaction) => {
      const journaled = transaction.objectStore('journal').count();
      // Behind what is sealed: below are deleted rows, which stay on the disk for a while, and are passed one by one.
      const lastOnes = lastOffsetIn(transaction.objectStore('sealed'), log).then(async (lastSealed) => {
        return [lastSealed, await lastOffsetIn(transaction.objectStore('chunks'), log, lastSealed + 1)] as const;
      });
      const [row, [lastSealed, lastChunk], checkpoint, lastSegment] = await Promise.all([
        resultOf<LogRow | undefined>(transaction.objectStore('logs').get(log)),
        lastOnes,
        resultOf<LogCheckpoint | undefined>(transaction.objectStore('checkpoints').get(log)),
        resultOf(transaction.objectStore('segments').openCursor(rowsFrom(log, 0), 'prev')),
      ]);
      const logStartOffset = row?.logStartOffset ?? 0;
      const sealedEndOffset = lastSealed + 1;
      remember(this.#sealedEnds, log, sealedEndOffset);
      let lastOffset = Math.max(lastChunk, lastSealed);
      if (journaled.result > 0) {
        const lastPart = await this.#journalReader?.lastOffset(log, transaction);
        if (lastPart === undefined) return NEEDS_JOURNAL;
        lastOffset = Math.max(lastOffset, lastPart);
      }
      return {
        logStartOffset,
        // What a torn deletion left behind is below the log start and does not count.
        lastOffset: lastOffset >= logStartOffset ? lastOffset : undefined,
        sealedEndOffset,
        checkpoint,
        lastSegment: lastSegment?.value,
      };
    });
  }

  segments(log: LogId): Promise<SegmentRow[]> {
    return this.#transaction(`read the segments of log ${log}`, ['segments'], 'readonly', (transaction) =>
      resultOf<SegmentRow[]>(transaction.objectStore('segments').getAll(rowsFrom(log, 0))),
    );
  }

  async deleteBefore(log: LogId, offset: number, leaderEpoch: number): Promise<void> {
    const deletion = this.#deletionPart ?? (await this.#loadDeletion());
    if (this.#mustDrain(log, leaderEpoch)) await this.drain(log, leaderEpoch);
    await deletion.deleteBefore(log, offset, leaderEpoch);
    if (await deletion.holdsSealed(log)) await (await this.#sealed()).deleteBefore(log, offset, leaderEpoch);
  }

  async deleteLog(log: LogId, leaderEpoch: number): Promise<void> {
    const deletion = this.#deletionPart ?? (await this.#loadDeletion());
    if (this.#mustDrain(log, leaderEpoch)) await this.drain(log, leaderEpoch);
    await deletion.deleteLog(log, leaderEpoch);
    if (await deletion.holdsSealed(log)) await (await this.#sealed()).deleteBefore(log, Infinity, leaderEpoch);
    this.#rowBytes.delete(log);
    this.#sealedEnds.delete(log);
  }

  sealedSegments(log: LogId): Promise<SealedSegment[]> {
    return this.#transaction(`read the sealed segments of log ${log}`, ['sealed'], 'readonly', (transaction) =>
      resultOf<SealedSegment[]>(transaction.objectStore('sealed').getAll(rowsFrom(log, 0))),
    );
  }

  async stageSealed(segment: NewSealedSegment, leaderEpoch: number): Promise<SealedSegment> {
    return (await this.#sealed()).stage(segment, leaderEpoch);
  }

  async dropStaged(segments: readonly SealedSegment[]): Promise<void> {
    await (await this.#sealed()).dropStaged(segments);
  }

  async publishSealed(change: SealedChange, leaderEpoch: number): Promise<void> {
    await this.drain(change.log, leaderEpoch);
    await (await this.#sealed()).publish(change, leaderEpoch);
    remember(this.#sealedEnds, change.log, Math.max(change.nextOffset, this.#sealedEnds.get(change.log) ?? 0));
  }

  async sweepSealed(log: LogId, leaderEpoch: number): Promise<void> {
    await (await this.#sealed()).sweep(log, leaderEpoch);
  }

  releaseUnused(): void {
    this.#sealedPart?.releaseUnused();
    this.#journalReader?.releaseUnused();
    const { epoch: leaderEpoch = 0, journal } = this.#claimed ?? {};
    void journal?.rest((drain) => this.#append({ leaderEpoch, chunks: [] }, 'relaxed', drain));
  }

  /** Once more, where what reads the journal was not here. */
  async #withJournal<T>(read: () => Promise<T | typeof NEEDS_JOURNAL>): Promise<T> {
    for (;;) {
      const found = await read();
      if (found !== NEEDS_JOURNAL) return found;
      await this.#loadJournal();
    }
  }

  async #readJournal(epoch: number): Promise<Journal> {
    const { openJournal } = await this.#loadJournal();
    return openJournal(this.#fenced, epoch, this.#journalRules);
  }

  /** Loaded with the first commit of many logs, here or by another host. */
  async #loadJournal(): Promise<JournalPart> {
    const part = await loaded(import('./idb-journal.js'));
    this.#journalReader ??= new part.JournalReader();
    return part;
  }

  /** Loaded when the first sealed segment is met: the first record needs none. */
  async #sealed(): Promise<IdbSealed> {
    if (this.#sealedPart !== undefined) return this.#sealedPart;
    const { IdbSealed } = await loaded(import('./idb-sealed.js'));
    this.#sealedPart ??= new IdbSealed({ transaction: this.#fenced, clock: this.#clock });
    return this.#sealedPart;
  }

  async #loadDeletion(): Promise<IdbDeletion> {
    const { IdbDeletion } = await loaded(import('./idb-upkeep.js'));
    this.#deletionPart ??= new IdbDeletion(this.#fenced);
    return this.#deletionPart;
  }

  async raw(): Promise<RawLogStore> {
    const { IdbRawStore } = await loaded(import('./idb-raw-store.js'));
    return new IdbRawStore(this.#fenced);
  }

  /** For the parts that are loaded later. */
  readonly #fenced: SealedTransaction = (doing, scope, mode, work, { leaderEpoch, durability } = {}) =>
    this.#transaction(
      doing,
      scope,
      mode,
      async (transaction) => {
        if (leaderEpoch !== undefined) await fence(transaction, leaderEpoch);
        return work(transaction);
      },
      durability,
    );

  async takeReserve(leaderEpoch: number): Promise<void> {
    const { takeReserve } = await loaded(import('./idb-upkeep.js'));
    await takeReserve(this.#fenced, leaderEpoch);
  }

  async dropReserve(leaderEpoch: number): Promise<void> {
    const { dropReserve } = await loaded(import('./idb-upkeep.js'));
    await dropReserve(this.#fenced, leaderEpoch);
  }

  /** What was begun is carried through by the browser. */
  async close(): Promise<void> {
    await this.#inTurn(async () => {
      this.#closed = true;
      this.#watchdog?.close();
      this.#database.close();
    });
  }

  /** At once; or, where transactions must be alone, when the one before has ended. `use` lasts as long as its own. */
  #inTurn<T>(use: () => Promise<T>): Promise<T> {
    return this.#turns?.run(use) ?? use();
  }

  /**
   * Runs `work`, which awaits requests of its transaction only, and resolves on `complete`; where it only reads, and
   * nobody waits for its end, as soon as it has read.
   */
  async #transaction<T>(
    doing: string,
    scope: StoreName[],
    mode: IDBTransactionMode,
    work: (transaction: IDBTransaction) => Promise<T>,
    durability: IDBTransactionDurability = 'relaxed',
  ): Promise<T> {
    const settled = this.#watchdog?.begin(doing);
    const isDoneWhenRead = mode === 'readonly' && this.#turns === undefined;
    const use = async (): Promise<T> => {
      const transaction = this.#database.transaction(scope, mode, { durability });
      const done = completionOf(transaction);
      try {
        // Both at once: where an IDB transaction aborts, Chromium may leave its requests without an answer.
        const result = work(transaction);
        const completed = Promise.all([result, done]).then(([value]) => value);
        return await (isDoneWhenRead ? Promise.race([result, completed]) : completed);
      } catch (error) {
        abort(transaction);
        await done.catch(() => {});
        // Where the quota is spent, the requests say AbortError and the IDB transaction says why.
        throw transaction.error ?? error;
      }
    };
    try {
      return await this.#inTurn(use);
    } catch (error) {
      throw await this.#failureWithFigures(doing, error);
    } finally {
      settled?.();
    }
  }

  async #failureWithFigures(doing: string, error: unknown): Promise<unknown> {
    const failure = this.#failure(doing, error);
    return isQuotaExceeded(failure) ? storageFullError(doing, await quotaFigures(), error) : failure;
  }

  /** What to throw for a failure. A connection that answers so is of no use any more. */
  #failure(doing: string, error: unknown): unknown {
    if (error instanceof KafkaError || error instanceof AssertionError) return error;
    const name = error instanceof DOMException ? error.name : '';
    if (name === 'InvalidStateError' && this.#closed) return storageError(doing, 'the store was closed');
    if (name === 'InvalidStateError' || name === 'UnknownError') this.#lose(`${doing}: ${name}`);
    return storageError(doing, error ?? 'the browser aborted it');
  }

  #lose(why: string): void {
    this.#end(new KafkaError('KAFKA_STORAGE_ERROR', `the database connection was lost: ${why}`));
  }

  /** What is in flight may still take effect, before the next leader is elected or never: its epoch fences it. */
  #wedged(doing: string): void {
    this.#end(wedgedError(doing, WEDGED_MS));
  }

  #end(reason: KafkaError): void {
    this.#watchdog?.close();
    this.#database.close();
    this.#lost.abort(reason);
  }
}

interface PlannedCommit extends Commit, Partial<Omit<JournalPlan, 'chunks'>> {
  /** Else the journal must be empty. */
  readonly isClaimed: boolean;
}

/**
 * One append as one IDB transaction; resolves on `complete`, rejects with what made it abort.
 *
 * All requests are issued at once. The first to answer is the look at the epoch, and its callback decides: it
 * aborts, or it commits what is already on its way, without waiting for the answers of the puts.
 *
 * IDB transactions over the same stores run one after the other, in the order in which they were made (W3C
 * IndexedDB, "transaction scheduling"), so that at that moment the commit before this one has ended. WebKit may
 * tell of that end a little later than of the epoch: then we look once more.
 */
function appendAll(
  database: IDBDatabase,
  commit: PlannedCommit,
  durability: Durability,
  link: CommitLink,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const { chunks, segments = [], checkpoints = [], journal = [], deleteBelow, isClaimed } = commit;
    const scope: StoreName[] = ['meta', 'chunks'];
    if (journal.length > 0 || deleteBelow || !isClaimed) scope.push('journal');
    if (segments.length > 0) scope.push('segments');
    if (checkpoints.length > 0) scope.push('checkpoints');
    const transaction = database.transaction(scope, 'readwrite', { durability });
    let refusal: unknown;
    transaction.oncomplete = (): void => resolve();
    transaction.onabort = (): void => reject(refusal ?? transaction.error);
    const refuse = (error: unknown): void => {
      refusal = error;
      transaction.abort();
    };

    const journaled = isClaimed ? undefined : transaction.objectStore('journal').count();
    const look = (): void => {
      const leadership: IDBRequest<Leadership | undefined> = transaction.objectStore('meta').get('leadership');
      leadership.onsuccess = (): void => {
        const { epoch } = leadership.result ?? NO_LEADERSHIP;
        const before = link.before?.outcome ?? 'committed';
        if (epoch !== commit.leaderEpoch) refuse(fencedError(commit.leaderEpoch, epoch));
        else if (journaled?.result)
          refuse(new Error('expected an empty journal, found one that this store does not know'));
        else if (before === 'failed') refuse(new Error('the commit before it failed'));
        else if (before === 'pending') look();
        else transaction.commit();
      };
    };
    look();
    try {
      const store = transaction.objectStore('chunks');
      for (const { log, lastOffset, bytes } of chunks) store.put(exact(bytes), [log, lastOffset]);
      for (const { key, row } of journal) transaction.objectStore('journal').put(row, key);
      if (deleteBelow) transaction.objectStore('journal').delete(IDBKeyRange.upperBound(deleteBelow, true));
      for (const row of segments) transaction.objectStore('segments').put(row, [row.log, row.baseOffset]);
      for (const row of checkpoints) transaction.objectStore('checkpoints').put(row, row.log);
    } catch (error) {
      refuse(error);
    }
  });
}

/** @throws KafkaError KAFKA_STORAGE_ERROR, after which it may be tried again */
function loaded<T>(part: Promise<T>): Promise<T> {
  return part.catch((error) => {
    throw storageError('load a part of the worker', error);
  });
}

async function storedLeadership(transaction: IDBTransaction): Promise<Leadership> {
  const stored = await resultOf<Leadership | undefined>(transaction.objectStore('meta').get('leadership'));
  const row = stored ?? NO_LEADERSHIP;
  assert(typeof row === 'object' && 'epoch' in row, 'the leadership row holds a Leadership');
  return row;
}

/** @throws KafkaError FENCED_LEADER_EPOCH */
async function fence(transaction: IDBTransaction, leaderEpoch: number): Promise<void> {
  const { epoch } = await storedLeadership(transaction);
  if (epoch !== leaderEpoch) throw fencedError(leaderEpoch, epoch);
}

async function putLeadership(transaction: IDBTransaction, leadership: Leadership): Promise<void> {
  await resultOf(transaction.objectStore('meta').put(leadership, 'leadership'));
}

function ignore(): void {}

function remember(figures: Map<LogId, number>, log: LogId, figure: number): void {
  if (figures.size >= MAX_FIGURES) figures.clear();
  figures.set(log, figure);
}

function holdsOffset([first]: readonly Uint8Array[], offset: number): boolean {
  return first !== undefined && baseOffsetOf(first) <= offset;
}

/** What the caller does with its bytes meanwhile is not to be seen. */
function ownChunk(chunk: Chunk): Chunk {
  return { ...chunk, bytes: new Uint8Array(chunk.bytes) };
}

/** Structured clone writes the whole buffer behind a view (HTML, "StructuredSerialize"): store what is ours alone. */
function exact(bytes: Uint8Array): Uint8Array {
  return bytes.byteLength === bytes.buffer.byteLength ? bytes : new Uint8Array(bytes);
}

/** The last offset, of those from `from` on, that a row of the log is keyed by; -1: there is no such row. */
async function lastOffsetIn(store: IDBObjectStore, log: LogId, from = 0): Promise<number> {
  const cursor = await resultOf(store.openKeyCursor(rowsFrom(log, from), 'prev'));
  return cursor ? (cursor.key as [LogId, number])[1] : -1;
}

function abort(transaction: IDBTransaction): void {
  try {
    transaction.abort();
  } catch {
    // It has aborted by itself.
  }
}
