import { type IDBPDatabase, type IDBPTransaction, unwrap } from 'idb';
import { KafkaError } from '../protocol/errors.js';
import type { Clock } from '../runtime/runtime.js';
import { AssertionError, assert } from '../util/assert.js';
import { assertCommit, baseOffsetOf, rowsToAsk, takeChunks } from './chunk.js';
import { CommitChain, type CommitLink } from './commit-chain.js';
import type { IdbSealed, SealedTransaction } from './idb-sealed.js';
import {
  type Commit,
  type Durability,
  type Leadership,
  type LogEnds,
  type LogId,
  type LogStore,
  MAX_ROW_BYTES,
  type NewSealedSegment,
  NO_LEADERSHIP,
  RESERVE_BYTES,
  type SealedChange,
  type SealedSegment,
  type SegmentRow,
} from './log-store.js';
import { type DatabaseOptions, openDatabase, openNewerDatabase } from './open-database.js';
import { quotaFigures } from './quota.js';
import type { RawLogStore } from './raw-log-store.js';
import type { LogSchema, StoreName } from './schema.js';
import type { SealedRead } from './sealed-segment.js';
import { fencedError, isQuotaExceeded, storageError, storageFullError, wedgedError } from './storage-errors.js';
import { unreadableRangeOf } from './unreadable-range.js';
import { Watchdog, WEDGED_MS } from './watchdog.js';

/** Rows that one slice of a deletion takes: appends wait for a slice, some 10 to 20 ms in Chromium. */
const SLICE_ROWS = 32;
/** Logs of which a figure is remembered; forgotten all at once beyond that. */
const MAX_FIGURES = 1000;

const RELAXED: IDBTransactionOptions = { durability: 'relaxed' };

const DELETE_SCOPE: StoreName[] = ['meta', 'logs', 'chunks', 'segments', 'checkpoints'];

type Transaction = IDBPTransaction<LogSchema, StoreName[], 'readwrite'>;
interface ReadRows {
  readonly rows: Uint8Array[];
  readonly isSealed: boolean;
}

type Part = (transaction: Transaction) => Promise<void>;

/**
 * A `LogStore` in IndexedDB; `schema.ts` says what lies where.
 *
 * Appends and reads work on the raw objects: idb's proxies and its promise for each request cost a tenth of a small
 * commit. All else goes through idb.
 */
export class IdbLogStore implements LogStore {
  readonly incarnationId: string;
  readonly #database: IDBPDatabase<LogSchema>;
  readonly #raw: IDBDatabase;
  readonly #chain: CommitChain = new CommitChain();
  readonly #clock: Clock | undefined;
  /** The mean size of the rows read last. */
  readonly #rowBytes: Map<LogId, number> = new Map();
  /** How far each log is known to be sealed: below, rows are not even looked for. */
  readonly #sealedEnds: Map<LogId, number> = new Map();
  #sealedPart: IdbSealed | undefined;
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

  static async #over(database: IDBPDatabase<LogSchema>, options: DatabaseOptions): Promise<IdbLogStore> {
    try {
      const incarnationId = await database.get('meta', 'incarnation');
      if (typeof incarnationId === 'string') return new IdbLogStore(database, incarnationId, options);
      throw storageError(`open ${database.name}`, 'the incarnation row is missing: somebody else wrote here');
    } catch (error) {
      database.close();
      throw error instanceof KafkaError ? error : storageError(`open ${database.name}`, error);
    }
  }

  private constructor(database: IDBPDatabase<LogSchema>, incarnationId: string, { clock }: DatabaseOptions) {
    this.incarnationId = incarnationId;
    this.#clock = clock;
    this.#watchdog = clock && new Watchdog(clock, (doing) => this.#wedged(doing));
    this.#database = database;
    this.#raw = unwrap(database);
    // Whoever wants to upgrade or delete must not wait for us (W3C IndexedDB, "versionchange").
    this.#raw.onversionchange = (): void => this.#lose('another tab upgrades or deletes it');
    this.#raw.onclose = (): void => this.#lose('the browser closed it');
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  leadership(): Promise<Leadership> {
    return this.#transaction('read the leadership', ['meta'], 'readonly', storedLeadership);
  }

  claimLeadership(expectedEpoch: number, hostId: string, wallMs: number): Promise<number | undefined> {
    return this.#transaction('claim the leadership', ['meta'], 'readwrite', async (transaction) => {
      const { epoch } = await storedLeadership(transaction);
      if (epoch !== expectedEpoch) return undefined;
      await putLeadership(transaction, { epoch: epoch + 1, hostId, heartbeatMs: wallMs });
      return epoch + 1;
    });
  }

  renewLeadership(epoch: number, wallMs: number): Promise<boolean> {
    return this.#transaction('renew the leadership', ['meta'], 'readwrite', async (transaction) => {
      const stored = await storedLeadership(transaction);
      if (stored.epoch !== epoch) return false;
      await putLeadership(transaction, { ...stored, heartbeatMs: wallMs });
      return true;
    });
  }

  async append(commit: Commit, durability: Durability): Promise<void> {
    assertCommit(commit);
    const link = this.#chain.begin();
    const settled = this.#watchdog?.begin('append');
    try {
      await appendAll(this.#raw, commit, durability, link);
      this.#chain.decide(link, 'committed');
    } catch (error) {
      this.#chain.decide(link, 'failed');
      throw await this.#failureWithFigures('append', error);
    } finally {
      settled?.();
      this.#chain.deliver(link);
    }
  }

  /** Answers less than `maxBytes` allow once it has half of that: the caller reads on anyway. */
  async read(log: LogId, offset: number, maxBytes: number, endOffset = Infinity): Promise<Uint8Array[]> {
    if (offset >= endOffset) return [];
    const wanted = { offset, maxBytes, endOffset };
    if (offset < (this.#sealedEnds.get(log) ?? 0)) {
      const sealed = await this.#readSealed(log, wanted);
      if (sealed !== undefined) return sealed;
    }
    const { rows, isSealed } = await this.#readRows(log, wanted);
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

  /** `isSealed`: the row of the offset is not there, and a sealed segment is. */
  async #readRows(log: LogId, { offset, maxBytes, endOffset }: SealedRead): Promise<ReadRows> {
    const settled = this.#watchdog?.begin('read');
    try {
      const transaction = this.#raw.transaction(['chunks', 'sealed'], 'readonly', RELAXED);
      const store = transaction.objectStore('chunks');
      const taken: Uint8Array[] = [];
      let takenBytes = 0;
      let from = offset;
      let rowBytes = this.#rowBytes.get(log) ?? MAX_ROW_BYTES;
      for (;;) {
        // The last chunk is read again where more are wanted, because its key, the last offset, is not known here.
        const again = taken.length === 0 ? 0 : 1;
        const count = Math.min(again + rowsToAsk(maxBytes - takenBytes, maxBytes, rowBytes), endOffset - from);
        const rows = await resultOf<Uint8Array[]>(transaction, store.getAll(rowsFrom(log, from), count));
        const fresh = again ? rows.slice(1) : rows;
        const fit = takeChunks(fresh, { takenBytes, maxBytes, endOffset });
        const freshBytes = bytesOf(fresh);
        takenBytes += fit.length === fresh.length ? freshBytes : bytesOf(fit);
        taken.push(...fit);
        if (fresh.length > 0) rowBytes = Math.max(1, freshBytes / fresh.length);
        const last = taken.at(-1);
        const isAll = fresh.length === 0 || rows.length < count || fit.length < fresh.length;
        if (!last || isAll || takenBytes >= maxBytes / 2) break;
        from = baseOffsetOf(last);
      }
      remember(this.#rowBytes, log, rowBytes);
      if (holdsOffset(taken, offset)) return { rows: taken, isSealed: false };
      const sealed = await resultOf(transaction, transaction.objectStore('sealed').getKey(rowsFrom(log, offset)));
      return { rows: taken, isSealed: sealed !== undefined };
    } catch (error) {
      throw this.#failure(`read log ${log} from offset ${offset}`, error);
    } finally {
      settled?.();
    }
  }

  ends(log: LogId): Promise<LogEnds> {
    const scope: StoreName[] = ['logs', 'chunks', 'sealed', 'checkpoints', 'segments'];
    return this.#transaction(`read the ends of log ${log}`, scope, 'readonly', async (transaction) => {
      const [row, lastChunk, lastSealed, checkpoint, lastSegment] = await Promise.all([
        transaction.objectStore('logs').get(log),
        transaction.objectStore('chunks').openKeyCursor(rowsFrom(log, 0), 'prev'),
        transaction.objectStore('sealed').openKeyCursor(rowsFrom(log, 0), 'prev'),
        transaction.objectStore('checkpoints').get(log),
        transaction.objectStore('segments').openCursor(rowsFrom(log, 0), 'prev'),
      ]);
      const logStartOffset = row?.logStartOffset ?? 0;
      const sealedEndOffset = lastSealed ? lastSealed.key[1] + 1 : 0;
      if (lastSealed) remember(this.#sealedEnds, log, sealedEndOffset);
      const lastOffset = Math.max(lastChunk?.key[1] ?? -1, sealedEndOffset - 1);
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
      transaction.objectStore('segments').getAll(rowsFrom(log, 0)),
    );
  }

  async deleteBefore(log: LogId, offset: number, leaderEpoch: number): Promise<void> {
    const below = IDBKeyRange.bound([log], [log, offset], false, true);
    await this.#deleteInSlices(`delete log ${log} before offset ${offset}`, below, {
      leaderEpoch,
      first: async (transaction) => {
        const logs = transaction.objectStore('logs');
        const logStartOffset = (await logs.get(log))?.logStartOffset ?? 0;
        if (logStartOffset < offset) await logs.put({ logStartOffset: offset }, log);
      },
      last: async (transaction) => {
        const store = transaction.objectStore('segments');
        const passed = (await store.getAll(below)).filter(({ nextOffset }) => nextOffset <= offset);
        await Promise.all(passed.map(({ baseOffset }) => store.delete([log, baseOffset])));
      },
    });
    await this.#deleteSealedBefore(log, offset, leaderEpoch);
  }

  async deleteLog(log: LogId, leaderEpoch: number): Promise<void> {
    const all = rowsFrom(log, 0);
    await this.#deleteInSlices(`delete log ${log}`, all, {
      leaderEpoch,
      first: async () => {},
      last: async (transaction) => {
        await transaction.objectStore('segments').delete(all);
        await transaction.objectStore('checkpoints').delete(log);
        await transaction.objectStore('logs').delete(log);
      },
    });
    await this.#deleteSealedBefore(log, Infinity, leaderEpoch);
    this.#rowBytes.delete(log);
    this.#sealedEnds.delete(log);
  }

  sealedSegments(log: LogId): Promise<SealedSegment[]> {
    return this.#transaction(`read the sealed segments of log ${log}`, ['sealed'], 'readonly', (transaction) =>
      transaction.objectStore('sealed').getAll(rowsFrom(log, 0)),
    );
  }

  async stageSealed(segment: NewSealedSegment, leaderEpoch: number): Promise<SealedSegment> {
    return (await this.#sealed()).stage(segment, leaderEpoch);
  }

  async dropStaged(segments: readonly SealedSegment[]): Promise<void> {
    await (await this.#sealed()).dropStaged(segments);
  }

  async publishSealed(change: SealedChange, leaderEpoch: number): Promise<void> {
    await (await this.#sealed()).publish(change, leaderEpoch);
    remember(this.#sealedEnds, change.log, Math.max(change.nextOffset, this.#sealedEnds.get(change.log) ?? 0));
  }

  async sweepSealed(log: LogId, leaderEpoch: number): Promise<void> {
    await (await this.#sealed()).sweep(log, leaderEpoch);
  }

  releaseUnused(): void {
    this.#sealedPart?.releaseUnused();
  }

  async #deleteSealedBefore(log: LogId, offset: number, leaderEpoch: number): Promise<void> {
    const scope: StoreName[] = ['sealed', 'sealedBytes'];
    const isSealed = await this.#transaction(`look at log ${log}`, scope, 'readonly', async (transaction) => {
      const [segment, bytes] = await Promise.all([
        transaction.objectStore('sealed').getKey(rowsFrom(log, 0)),
        transaction.objectStore('sealedBytes').getKey(rowsFrom(log, 0)),
      ]);
      return segment !== undefined || bytes !== undefined;
    });
    if (isSealed) await (await this.#sealed()).deleteBefore(log, offset, leaderEpoch);
  }

  /** Loaded when the first sealed segment is met: the first record needs none. */
  async #sealed(): Promise<IdbSealed> {
    if (this.#sealedPart !== undefined) return this.#sealedPart;
    let part: typeof import('./idb-sealed.js');
    try {
      part = await import('./idb-sealed.js');
    } catch (error) {
      throw storageError('load the part of the worker for sealed segments', error);
    }
    this.#sealedPart ??= new part.IdbSealed({ transaction: this.#fenced, clock: this.#clock });
    return this.#sealedPart;
  }

  async raw(): Promise<RawLogStore> {
    try {
      const { IdbRawStore } = await import('./idb-raw-store.js');
      return new IdbRawStore(this.#fenced);
    } catch (error) {
      throw storageError('load the part of the worker for checks', error);
    }
  }

  /** For the parts that are loaded later. */
  readonly #fenced: SealedTransaction = (doing, scope, mode, work, { leaderEpoch, durability } = {}) =>
    this.#transaction(
      doing,
      scope,
      mode,
      async (wrapped) => {
        if (leaderEpoch !== undefined) await fence(wrapped, leaderEpoch);
        return work(unwrap(wrapped));
      },
      durability,
    );

  /** One value, which Chromium keeps in a file of its own: its deletion gives back the space at once, that of rows does not. */
  takeReserve(leaderEpoch: number): Promise<void> {
    return this.#transaction('take the reserve', ['meta'], 'readwrite', async (transaction) => {
      const meta = transaction.objectStore('meta');
      await fence(transaction, leaderEpoch);
      if ((await meta.count('reserve')) === 0) await meta.put(noise(RESERVE_BYTES), 'reserve');
    });
  }

  dropReserve(leaderEpoch: number): Promise<void> {
    return this.#transaction('drop the reserve', ['meta'], 'readwrite', async (transaction) => {
      await fence(transaction, leaderEpoch);
      await transaction.objectStore('meta').delete('reserve');
    });
  }

  /** What was begun is carried through by the browser. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#watchdog?.close();
    this.#raw.close();
  }

  /**
   * Runs `work`, which awaits requests of its transaction only, and resolves on `complete`; where it only reads, as soon
   * as it has read.
   */
  async #transaction<T>(
    doing: string,
    scope: StoreName[],
    mode: IDBTransactionMode,
    work: (transaction: Transaction) => Promise<T>,
    durability: IDBTransactionDurability = 'relaxed',
  ): Promise<T> {
    const settled = this.#watchdog?.begin(doing);
    try {
      const transaction = this.#database.transaction(scope, mode as 'readwrite', { durability });
      try {
        // Both at once: where an IDB transaction aborts, Chromium may leave its requests without an answer.
        const result = work(transaction);
        const completed = Promise.all([result, transaction.done]).then(([value]) => value);
        return await (mode === 'readonly' ? Promise.race([result, completed]) : completed);
      } catch (error) {
        abort(transaction);
        await transaction.done.catch(() => {});
        // Where the quota is spent, the requests say AbortError and the IDB transaction says why.
        throw transaction.error ?? error;
      }
    } catch (error) {
      throw await this.#failureWithFigures(doing, error);
    } finally {
      settled?.();
    }
  }

  /**
   * Deletes the chunks in `range`, slice by slice, and does `first` and `last` in the IDB transactions of the first
   * and the last slice. Each slice begins behind the one before: LevelDB steps over every row deleted just now.
   */
  async #deleteInSlices(
    doing: string,
    range: IDBKeyRange,
    { leaderEpoch, first, last }: { leaderEpoch: number; first: Part; last: Part },
  ): Promise<void> {
    let rest: IDBKeyRange | undefined = range;
    while (rest !== undefined) {
      const slice: IDBKeyRange = rest;
      rest = await this.#transaction(doing, DELETE_SCOPE, 'readwrite', async (transaction) => {
        await fence(transaction, leaderEpoch);
        if (slice === range) await first(transaction);
        const chunks = transaction.objectStore('chunks');
        const keys = await chunks.getAllKeys(slice, SLICE_ROWS);
        const lastKey = keys.at(-1);
        if (lastKey) await chunks.delete(IDBKeyRange.bound(keys[0], lastKey));
        if (lastKey && keys.length === SLICE_ROWS) {
          return IDBKeyRange.bound(lastKey, range.upper, true, range.upperOpen);
        }
        await last(transaction);
        return undefined;
      });
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
    this.#raw.close();
    this.#lost.abort(reason);
  }
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
function appendAll(database: IDBDatabase, commit: Commit, durability: Durability, link: CommitLink): Promise<void> {
  return new Promise((resolve, reject) => {
    const { chunks, segments = [], checkpoints = [] } = commit;
    const scope: StoreName[] = ['meta', 'chunks'];
    if (segments.length > 0) scope.push('segments');
    if (checkpoints.length > 0) scope.push('checkpoints');
    const transaction = database.transaction(scope, 'readwrite', { durability });
    transaction.oncomplete = (): void => resolve();
    transaction.onabort = (): void => reject(transaction.error);
    const refuse = (error: unknown): void => {
      // Settles first: what the abort event says then changes nothing.
      reject(error);
      transaction.abort();
    };

    const look = (): void => {
      const leadership: IDBRequest<Leadership | undefined> = transaction.objectStore('meta').get('leadership');
      leadership.onsuccess = (): void => {
        const { epoch } = leadership.result ?? NO_LEADERSHIP;
        const before = link.before?.outcome ?? 'committed';
        if (epoch !== commit.leaderEpoch) refuse(fencedError(commit.leaderEpoch, epoch));
        else if (before === 'failed') refuse(new Error('the commit before it failed'));
        else if (before === 'pending') look();
        else transaction.commit();
      };
    };
    look();
    try {
      const store = transaction.objectStore('chunks');
      for (const { log, lastOffset, bytes } of chunks) store.put(exact(bytes), [log, lastOffset]);
      for (const row of segments) transaction.objectStore('segments').put(row, [row.log, row.baseOffset]);
      for (const row of checkpoints) transaction.objectStore('checkpoints').put(row, row.log);
    } catch (error) {
      refuse(error);
    }
  });
}

async function storedLeadership(transaction: Transaction): Promise<Leadership> {
  const row = (await transaction.objectStore('meta').get('leadership')) ?? NO_LEADERSHIP;
  assert(typeof row === 'object' && 'epoch' in row, 'the leadership row holds a Leadership');
  return row;
}

/** @throws KafkaError FENCED_LEADER_EPOCH */
async function fence(transaction: Transaction, leaderEpoch: number): Promise<void> {
  const { epoch } = await storedLeadership(transaction);
  if (epoch !== leaderEpoch) throw fencedError(leaderEpoch, epoch);
}

/** Bytes that no database compresses (xorshift32). */
function noise(byteCount: number): Uint8Array {
  const words = new Uint32Array(byteCount / 4);
  let word = 0x9e3779b9;
  for (let at = 0; at < words.length; at++) {
    word ^= word << 13;
    word ^= word >>> 17;
    word ^= word << 5;
    words[at] = word;
  }
  return new Uint8Array(words.buffer);
}

async function putLeadership(transaction: Transaction, leadership: Leadership): Promise<void> {
  await transaction.objectStore('meta').put(leadership, 'leadership');
}

function remember(figures: Map<LogId, number>, log: LogId, figure: number): void {
  if (figures.size >= MAX_FIGURES) figures.clear();
  figures.set(log, figure);
}

function holdsOffset([first]: readonly Uint8Array[], offset: number): boolean {
  return first !== undefined && baseOffsetOf(first) <= offset;
}

function rowsFrom(log: LogId, offset: number): IDBKeyRange {
  return IDBKeyRange.bound([log, offset], [log, Infinity]);
}

/** Structured clone writes the whole buffer behind a view (HTML, "StructuredSerialize"): store what is ours alone. */
function exact(bytes: Uint8Array): Uint8Array {
  return bytes.byteLength === bytes.buffer.byteLength ? bytes : new Uint8Array(bytes);
}

function bytesOf(rows: readonly Uint8Array[]): number {
  return rows.reduce((bytes, row) => bytes + row.byteLength, 0);
}

/** The only request of its IDB transaction at the moment. */
function resultOf<T>(transaction: IDBTransaction, request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = (): void => resolve(request.result);
    request.onerror = (): void => reject(request.error);
    transaction.onabort = (): void => reject(transaction.error);
  });
}

function abort(transaction: Transaction): void {
  try {
    transaction.abort();
  } catch {
    // It has aborted by itself.
  }
}
