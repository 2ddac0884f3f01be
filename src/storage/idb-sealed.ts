import { KafkaError } from '../protocol/errors.js';
import type { Clock } from '../runtime/runtime.js';
import { concatBytes } from '../util/bytes.js';
import { crc32c } from '../util/crc32c.js';
import { Serial } from '../util/serial.js';
import { type SealedBytes, sliceOf } from './blob-stream.js';
import { frontOf, resultOf, rowsFrom } from './idb-request.js';
import type { LogId, NewSealedSegment, SealedChange, SealedSegment } from './log-store.js';
import type { BytesKey, LogRow, StoreName } from './schema.js';
import {
  assertSealedChange,
  isOfEarlierLeader,
  readingSealed,
  type SealedPart,
  type SealedRead,
  sealedChangeError,
  sealedChangeProblem,
  stagedVersion,
  unreadable,
  wantedBehind,
} from './sealed-segment.js';
import { type SealedHandle, SealedSlices } from './sealed-slices.js';
import { isQuotaExceeded, storageError } from './storage-errors.js';
import { unreadableRangeOf } from './unreadable-range.js';

/** Handles of sealed bytes that are kept open: each keeps the disk space of a segment that is deleted meanwhile. */
const MAX_HANDLES = 8;
/** So many handles are asked for at once, and so many bytes stand behind them at most, but for the first. */
const HANDLES_AT_ONCE = 4;
const AHEAD_BYTES = 8 * 1024 * 1024;
/** After so long a handle is asked for again: its segment may have been replaced, or deleted. */
const HANDLE_MS = 5_000;
/** Written bytes are read back in pieces: a checksum of one holds the thread for about a millisecond. */
const VERIFY_BYTES = 1024 * 1024;
/** Rows that one slice takes: an append waits for it no longer than for a chunk's write. */
const SLICE_ROWS = 8;

interface Handle extends SealedHandle {
  readonly readMs: number;
}

interface SealedFound {
  readonly segment: SealedSegment;
  readonly part: SealedPart;
}

export interface IdbSealedOptions {
  /** Runs a work that awaits only requests of its IDB transaction, fenced where an epoch is given. */
  readonly transaction: SealedTransaction;
  /** Without one every read asks for its handle. */
  readonly clock: Clock | undefined;
}

export type SealedTransaction = <T>(
  doing: string,
  scope: StoreName[],
  mode: IDBTransactionMode,
  work: (transaction: IDBTransaction) => Promise<T>,
  options?: { readonly leaderEpoch?: number; readonly durability?: IDBTransactionDurability },
) => Promise<T>;

/** The sealed part of the logs of one database, for `IdbLogStore`, which loads it once there is one. */
export class IdbSealed {
  readonly #transaction: SealedTransaction;
  readonly #clock: Clock | undefined;
  /** In order of last use. */
  #handles: Handle[] = [];
  readonly #slices = new SealedSlices();
  /** The last row of each log that was deleted because it is sealed. Deleted rows are passed one by one for a while. */
  readonly #sweptTo = new Map<LogId, IDBValidKey>();
  /** Whatever writes `sealedBytes` takes its turn here: an append must not wait for one that waits for another. */
  readonly #bytesTurn = new Serial();
  #storesBlobs = true;

  constructor({ transaction, clock }: IdbSealedOptions) {
    this.#transaction = transaction;
    this.#clock = clock;
  }

  /**
   * As `LogStore.read`, of the sealed part alone; undefined where it ends at or below `offset`. Without an IDB
   * transaction while the handle is kept. `endOffset` of the answer: how far the sealed part is known to reach.
   */
  async read(
    log: LogId,
    wanted: SealedRead,
  ): Promise<{ readonly chunks: Uint8Array[]; readonly endOffset: number } | undefined> {
    const chunks: Uint8Array[] = [];
    let endOffset = 0;
    for (let next: SealedRead | undefined = wanted; next !== undefined; ) {
      const found = await this.#readOne(log, next).catch((error: unknown) => {
        // What lies before damage is answered first.
        if (chunks.length === 0 || unreadableRangeOf(error) === undefined) throw error;
        return undefined;
      });
      if (found === undefined) return chunks.length > 0 ? { chunks, endOffset } : undefined;
      endOffset = found.segment.nextOffset;
      chunks.push(...found.part.chunks);
      next = wantedBehind(wanted, found.segment, { ...found.part, chunks });
    }
    return { chunks, endOffset };
  }

  async #readOne(log: LogId, wanted: SealedRead): Promise<SealedFound | undefined> {
    const kept = this.#keptHandle(log, wanted.offset);
    if (kept !== undefined) {
      try {
        return await this.#readHandle(kept, wanted);
      } catch {
        this.#drop(kept); // replaced or deleted meanwhile, perhaps: a fresh one tells
      }
    }
    const fresh = await this.#freshHandle(log, wanted.offset);
    if (fresh === undefined) return undefined;
    try {
      return await this.#readHandle(fresh, wanted);
    } catch (error) {
      this.#drop(fresh);
      throw error instanceof KafkaError ? error : unreadable(fresh.segment, 'its bytes', error);
    }
  }

  async #readHandle(handle: Handle, wanted: SealedRead): Promise<SealedFound> {
    const { segment } = handle;
    const reading = readingSealed(segment, wanted);
    let step = reading.next();
    while (!step.done) step = reading.next(await this.#slices.read(handle, step.value));
    return { segment, part: step.value };
  }

  #keptHandle(log: LogId, offset: number): Handle | undefined {
    this.releaseUnused();
    const at = this.#handles.findIndex(
      ({ segment }) => segment.log === log && segment.baseOffset <= offset && segment.nextOffset > offset,
    );
    if (at < 0) return undefined;
    const [found] = this.#handles.splice(at, 1);
    if (found) this.#handles.push(found);
    return found;
  }

  /** Asks for the handle and, where segments are small, for those of the next ones, too: whoever reads on needs them. */
  async #freshHandle(log: LogId, offset: number): Promise<Handle | undefined> {
    const doing = `read the sealed segment of log ${log} at offset ${offset}`;
    const found = await this.#transaction(doing, ['sealed', 'sealedBytes'], 'readonly', async (transaction) => {
      const segments = await resultOf<SealedSegment[]>(
        transaction.objectStore('sealed').getAll(rowsFrom(log, offset), HANDLES_AT_ONCE),
      );
      let byteCount = 0;
      const wanted = segments.filter((segment, at) => (byteCount += segment.byteCount) <= AHEAD_BYTES || at === 0);
      const stored = transaction.objectStore('sealedBytes');
      return Promise.all(
        wanted.map(async (segment) => {
          return { segment, bytes: await resultOf<SealedBytes | undefined>(stored.get(keyOf(segment))) };
        }),
      );
    });
    const [first] = found;
    if (first === undefined) return undefined;
    if (first.bytes === undefined) throw unreadable(first.segment, 'its bytes, found none');
    const readMs = this.#clock?.monotonicMs() ?? 0;
    const fresh = found.flatMap(({ segment, bytes }): Handle[] => (bytes ? [{ segment, bytes, readMs }] : []));
    if (this.#clock !== undefined) this.#keep(log, fresh);
    return fresh[0];
  }

  #keep(log: LogId, fresh: readonly Handle[]): void {
    const isStale = ({ segment }: Handle): boolean =>
      segment.log === log && fresh.some((other) => other.segment.baseOffset === segment.baseOffset);
    this.#handles = [...this.#handles.filter((kept) => !isStale(kept)), ...fresh.toReversed()].slice(-MAX_HANDLES);
  }

  #drop(handle: Handle): void {
    this.#handles = this.#handles.filter((kept) => kept !== handle);
  }

  /** Lets go of the handles that may be stale, and of the disk space that they hold. */
  releaseUnused(): void {
    if (this.#handles.length > 0) {
      const sinceMs = (this.#clock?.monotonicMs() ?? 0) - HANDLE_MS;
      this.#handles = this.#handles.filter(({ readMs }) => readMs >= sinceMs);
    }
    this.#slices.release(this.#handles);
  }

  /** As `LogStore.stageSealed`. Not fenced: bytes that no segment names harm nobody. */
  stage(segment: NewSealedSegment, leaderEpoch: number): Promise<SealedSegment> {
    return this.#bytesTurn.run(async () => {
      const { parts, ...row } = segment;
      const version = await this.#write(row, parts, leaderEpoch);
      const staged: SealedSegment = { ...row, version };
      try {
        await this.#verify(staged);
      } catch (error) {
        await this.#deleteBytes([keyOf(staged)]).catch(() => {}); // else the next sweep takes them
        throw error;
      }
      return staged;
    });
  }

  async #write(
    segment: Omit<SealedSegment, 'version'>,
    parts: readonly Uint8Array[],
    leaderEpoch: number,
  ): Promise<number> {
    if (this.#storesBlobs) {
      const outcome = { isRefused: false };
      try {
        const bytes = new Blob(parts as Uint8Array<ArrayBuffer>[]);
        const version = await this.#put(segment, bytes, { leaderEpoch, outcome });
        if (!outcome.isRefused) return version;
      } catch (error) {
        if (!outcome.isRefused) throw error;
      }
      this.#storesBlobs = false;
    }
    return this.#put(segment, concatBytes(parts), { leaderEpoch, outcome: { isRefused: false } });
  }

  /** Resolves to the version that the bytes got. */
  #put(
    { log, baseOffset, nextOffset }: Omit<SealedSegment, 'version'>,
    bytes: SealedBytes,
    { leaderEpoch, outcome }: { readonly leaderEpoch: number; readonly outcome: { isRefused: boolean } },
  ): Promise<number> {
    const doing = `seal offsets ${baseOffset} to ${nextOffset} of log ${log}`;
    const work = async (transaction: IDBTransaction): Promise<number> => {
      const store = transaction.objectStore('sealedBytes');
      const versions = IDBKeyRange.bound([log, baseOffset, 0], [log, baseOffset, Infinity]);
      const last = await resultOf(store.openKeyCursor(versions, 'prev'));
      const version = stagedVersion(last === null ? 0 : (last.key as BytesKey)[2], leaderEpoch);
      if (bytes instanceof Blob) outcome.isRefused = !(await putBlob(store, bytes, [log, baseOffset, version]));
      else await resultOf(store.put(bytes, [log, baseOffset, version] satisfies BytesKey));
      return version;
    };
    return this.#transaction(doing, ['sealedBytes'], 'readwrite', work, { durability: 'strict' });
  }

  async #verify(segment: SealedSegment): Promise<void> {
    const doing = `read back the sealed segment of log ${segment.log}`;
    const bytes = await this.#transaction(doing, ['sealedBytes'], 'readonly', (transaction) =>
      resultOf<SealedBytes | undefined>(transaction.objectStore('sealedBytes').get(keyOf(segment))),
    );
    let found = 0;
    try {
      if (bytes === undefined) throw new Error('it is not there');
      for (let at = 0; at < segment.byteCount; at += VERIFY_BYTES) {
        const piece = await sliceOf(bytes, { from: at, to: Math.min(at + VERIFY_BYTES, segment.byteCount) });
        found = crc32c(piece, 0, piece.byteLength, found);
      }
    } catch (error) {
      throw storageError(doing, error);
    }
    if (found === segment.crc32c) return;
    throw storageError(doing, new Error(`expected checksum ${segment.crc32c}, found ${found}`));
  }

  /** As `LogStore.publishSealed`. */
  async publish(change: SealedChange, leaderEpoch: number): Promise<void> {
    assertSealedChange(change);
    const { log, baseOffset, nextOffset } = change;
    const doing = `publish what is sealed of log ${log}, offsets ${baseOffset} to ${nextOffset}`;
    const scope: StoreName[] = ['meta', 'logs', 'chunks', 'sealed', 'sealedBytes', 'segments'];
    await this.#bytesTurn.run(async () => {
      const work = (transaction: IDBTransaction): Promise<SealedSegment[]> => publishIn(transaction, change);
      const replaced = await this.#transaction(doing, scope, 'readwrite', work, { leaderEpoch });
      await this.#deleteBytes(replaced.map(keyOf)).catch(() => {}); // it is published; else the next leader sweeps them
    });
    this.#handles = this.#handles.filter(({ segment }) => segment.log !== log || segment.baseOffset < baseOffset);
  }

  /**
   * As `LogStore.sweepSealed`. A row in front of those deleted stays: who looks for the end of the log before this one seeks
   * behind it, up to the next row that is there, and Chromium passes deleted ones one by one.
   */
  async sweep(log: LogId, leaderEpoch: number): Promise<void> {
    const doing = `delete what is sealed of log ${log}`;
    await this.#transaction(doing, ['meta'], 'readonly', async () => {}, { leaderEpoch });
    const { logStartOffset, stray, isAny } = await this.#leftOf(log, leaderEpoch);
    if (!isAny) return;
    let putsFront = !this.#sweptTo.has(log);
    for (let isMore = true; isMore; putsFront = false) {
      const count = await this.#sweepSlice(log, leaderEpoch, putsFront).catch((error: unknown) => {
        if (!putsFront || !isQuotaExceeded(error)) throw error;
        return this.#sweepSlice(log, leaderEpoch, false); // which makes room
      });
      isMore = count === SLICE_ROWS;
    }
    await this.#bytesTurn.run(async () => {
      await this.#deletePassed(log, logStartOffset, leaderEpoch);
      await this.#deleteBytes(stray);
    });
  }

  /** Resolves to how many rows are gone. */
  async #sweepSlice(log: LogId, leaderEpoch: number, putsFront: boolean): Promise<number> {
    const doing = `delete what is sealed of log ${log}`;
    const scope: StoreName[] = ['meta', 'sealed', 'chunks'];
    const work = async (transaction: IDBTransaction): Promise<readonly IDBValidKey[]> => {
      const last = await resultOf(transaction.objectStore('sealed').openKeyCursor(rowsFrom(log, 0), 'prev'));
      if (last === null) return [];
      const chunks = transaction.objectStore('chunks');
      const covered = IDBKeyRange.bound(this.#sweptTo.get(log) ?? [log, 0], last.key);
      const keys = await resultOf(chunks.getAllKeys(covered, SLICE_ROWS));
      if (keys.length === 0) return [];
      if (putsFront) chunks.put(new Uint8Array(), frontOf(log));
      await resultOf(chunks.delete(IDBKeyRange.bound(keys[0], keys.at(-1))));
      return keys;
    };
    const swept = await this.#transaction(doing, scope, 'readwrite', work, { leaderEpoch });
    const last = swept.at(-1);
    if (last !== undefined) this.#sweptTo.set(log, last);
    return swept.length;
  }

  /**
   * Looks, in no append's way. `stray`: what leaders before `leaderEpoch` staged and nothing names; it stays so, as only
   * who staged it could give it a name.
   */
  #leftOf(
    log: LogId,
    leaderEpoch: number,
  ): Promise<{ readonly logStartOffset: number; readonly stray: readonly BytesKey[]; readonly isAny: boolean }> {
    return this.#transaction(
      `look at log ${log}`,
      ['logs', 'sealed', 'sealedBytes'],
      'readonly',
      async (transaction) => {
        const segments = await resultOf<SealedSegment[]>(transaction.objectStore('sealed').getAll(rowsFrom(log, 0)));
        const named = new Set(segments.map((segment) => keyOf(segment).join()));
        const keys = (await resultOf(
          transaction.objectStore('sealedBytes').getAllKeys(rowsFrom(log, 0)),
        )) as BytesKey[];
        const stray = keys.filter((key) => isOfEarlierLeader(key[2], leaderEpoch) && !named.has(key.join()));
        return { logStartOffset: await logStartIn(transaction, log), stray, isAny: keys.length + segments.length > 0 };
      },
    );
  }

  /** Forgets the segments that lie wholly below `offset`, and their bytes; for Infinity all that there is of the log. */
  async deleteBefore(log: LogId, offset: number, leaderEpoch: number): Promise<void> {
    await this.#bytesTurn.run(async () => {
      await this.#deletePassed(log, offset, leaderEpoch);
      if (offset === Infinity) await this.#deleteBytes((await this.#leftOf(log, leaderEpoch + 1)).stray);
    });
    this.#handles = this.#handles.filter(({ segment }) => segment.log !== log || segment.nextOffset > offset);
  }

  async #deletePassed(log: LogId, offset: number, leaderEpoch: number): Promise<void> {
    const doing = `delete what is sealed of log ${log} before offset ${offset}`;
    const slice = async (transaction: IDBTransaction): Promise<boolean> => {
      const sealed = transaction.objectStore('sealed');
      const passed = await resultOf<SealedSegment[]>(sealed.getAll(below(log, offset), SLICE_ROWS));
      const keys = await resultOf(sealed.getAllKeys(below(log, offset), SLICE_ROWS));
      // Of a log that goes altogether, the bytes go once they are stray: that holds up nobody.
      const bytes = offset === Infinity ? [] : passed.map(keyOf);
      for (const key of bytes) await resultOf(transaction.objectStore('sealedBytes').delete(key));
      if (keys.length > 0) await resultOf(sealed.delete(IDBKeyRange.bound(keys[0], keys.at(-1))));
      return keys.length === SLICE_ROWS;
    };
    const scope: StoreName[] = ['meta', 'sealed', 'sealedBytes'];
    while (await this.#transaction(doing, scope, 'readwrite', slice, { leaderEpoch }));
  }

  /** As `LogStore.dropStaged`. */
  dropStaged(segments: readonly SealedSegment[]): Promise<void> {
    return this.#bytesTurn.run(() => this.#deleteBytes(segments.map(keyOf)));
  }

  /** Holds up no append, however much it is. Not fenced: see `stage`. */
  async #deleteBytes(keys: readonly BytesKey[]): Promise<void> {
    if (keys.length === 0) return;
    await this.#transaction('drop sealed bytes', ['sealedBytes'], 'readwrite', async (transaction) => {
      for (const key of keys) await resultOf(transaction.objectStore('sealedBytes').delete(key));
    });
  }
}

/**
 * Only names change hands here, some hundred bytes each: at most those of the segments that one pass rewrites, which are
 * together within `segment.bytes`. Resolves to the segments whose bytes nothing names any more.
 */
async function publishIn(transaction: IDBTransaction, change: SealedChange): Promise<SealedSegment[]> {
  const { log, baseOffset, nextOffset, segments } = change;
  const sealed = transaction.objectStore('sealed');
  const bytes = transaction.objectStore('sealedBytes');
  const logStartOffset = await logStartIn(transaction, log);
  if (nextOffset <= logStartOffset) return [...change.sealed];
  const range = IDBKeyRange.bound([log, baseOffset], [log, nextOffset - 1]);
  const replaced = await resultOf<SealedSegment[]>(sealed.getAll(range));
  const sealedBefore = (await resultOf(sealed.openKeyCursor(below(log, baseOffset), 'prev')))?.key as
    | [LogId, number]
    | undefined;
  const after = await resultOf<SealedSegment | undefined>(sealed.get(rowsFrom(log, nextOffset)));
  const chunks = transaction.objectStore('chunks');
  const firstRow = (await resultOf(chunks.getKey(rowsFrom(log, logStartOffset)))) as [LogId, number] | undefined;
  const problem = sealedChangeProblem(change, {
    sealedBefore: sealedBefore && sealedBefore[1] + 1,
    within: replaced,
    sealedAfter: after?.baseOffset,
    firstRow: firstRow?.[1],
  });
  if (problem !== undefined) throw sealedChangeError(change, problem);
  for (const segment of change.sealed) {
    const isThere = (await resultOf(bytes.getKey(keyOf(segment)))) !== undefined;
    if (!isThere) throw sealedChangeError(change, `the bytes staged for offset ${segment.baseOffset} are gone`);
  }
  await resultOf(sealed.delete(range));
  for (const segment of change.sealed) await resultOf(sealed.put(segment, [log, segment.nextOffset - 1]));
  const rows = transaction.objectStore('segments');
  await resultOf(rows.delete(IDBKeyRange.bound([log, baseOffset], [log, nextOffset], false, true)));
  for (const segment of segments) await resultOf(rows.put(segment, [log, segment.baseOffset]));
  return replaced;
}

function keyOf({ log, baseOffset, version }: SealedSegment): BytesKey {
  return [log, baseOffset, version];
}

async function logStartIn(transaction: IDBTransaction, log: LogId): Promise<number> {
  const row = await resultOf<LogRow | undefined>(transaction.objectStore('logs').get(log));
  return row?.logStartOffset ?? 0;
}

/** What ends below `offset`. */
function below(log: LogId, offset: number): IDBKeyRange {
  return IDBKeyRange.bound([log], [log, offset], false, true);
}

/**
 * False where the platform stores no Blobs, as WebKit in an ephemeral session: some versions throw a DataCloneError, some
 * fail the request with an UnknownError and abort the IDB transaction.
 */
function putBlob(store: IDBObjectStore, blob: Blob, key: BytesKey): Promise<boolean> {
  return new Promise((resolve, reject) => {
    try {
      const request = store.put(blob, key);
      request.onsuccess = (): void => resolve(true);
      request.onerror = (): void => {
        if (request.error?.name !== 'UnknownError') return reject(request.error);
        // By us: aborted by the platform, with this error, it would look like a connection that is lost.
        store.transaction.abort();
        resolve(false);
      };
    } catch (error) {
      if (error instanceof DOMException && error.name === 'DataCloneError') resolve(false);
      else reject(error);
    }
  });
}
