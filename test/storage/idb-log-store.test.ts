import 'fake-indexeddb/auto';
import { openDB } from 'idb';
import { afterEach, describe, expect, it, test, vi } from 'vitest';
import type { Clock } from '../../src/runtime/runtime.js';
import { baseOffsetOf } from '../../src/storage/chunk.js';
import { IdbLogStore } from '../../src/storage/idb-log-store.js';
import type { Chunk } from '../../src/storage/log-store.js';
import { databaseName, SCHEMA_VERSION } from '../../src/storage/schema.js';
import { SealedSegmentBuilder } from '../../src/storage/sealed-segment.js';
import { isQuotaExceeded, isStorageUnavailable } from '../../src/storage/storage-errors.js';
import { newIdbFixture } from '../suites/idb-fixture.js';
import { describeJournal } from '../suites/journal.js';
import { describeLogStore } from '../suites/log-store.js';
import { describeMakingWay } from '../suites/make-way.js';

describeLogStore('IdbLogStore over fake-indexeddb', () => newIdbFixture(), { describe, it });
describeJournal('IdbLogStore over fake-indexeddb', () => newIdbFixture(), { describe, it });
describeMakingWay('IdbLogStore over fake-indexeddb', { describe, it });

afterEach(() => vi.restoreAllMocks());

const alone = { oneTransactionAtATime: true };
/** Each test of a suite, in which no connection has two transactions in flight. */
const oneAtATime = {
  describe,
  it: (name: string, body: () => Promise<void>) =>
    it(name, async () => {
      const mostAtOnce = watchTransactions();
      await body();
      expect(mostAtOnce()).toBe(1);
    }),
};
describeLogStore('IdbLogStore, one transaction at a time', () => newIdbFixture(alone), oneAtATime);
describeJournal('IdbLogStore, one transaction at a time', () => newIdbFixture(alone), oneAtATime);

test('usually transactions may overlap', async () => {
  const store = await (await newIdbFixture()).open();
  const mostAtOnce = watchTransactions();
  await Promise.all([store.ends(1), store.ends(2), store.read(3, 0, 1)]);
  expect(mostAtOnce()).toBe(3);
  await store.close();
});

/** Answers how many transactions one connection had in flight at most, from now on. */
function watchTransactions(): () => number {
  const inFlight = new WeakMap<IDBDatabase, number>();
  let most = 0;
  const begin = IDBDatabase.prototype.transaction;
  vi.spyOn(IDBDatabase.prototype, 'transaction').mockImplementation(function (this: IDBDatabase, ...scope) {
    const transaction = begin.apply(this, scope);
    const count = (change: number): number => {
      const now = (inFlight.get(this) ?? 0) + change;
      inFlight.set(this, now);
      return now;
    };
    most = Math.max(most, count(1));
    for (const end of ['complete', 'abort']) transaction.addEventListener(end, () => count(-1));
    return transaction;
  });
  return () => most;
}

let made = 0;

function place(): { clusterName: string; brokerId: number; newIncarnationId: string } {
  return { clusterName: `open-${++made}`, brokerId: 0, newIncarnationId: 'first' };
}

/** Makes a database by hand, as somebody else might have. */
function makeDatabase(name: string, version: number, stores: readonly string[]): Promise<void> {
  const request = indexedDB.open(name, version);
  request.onupgradeneeded = () => {
    for (const store of stores) request.result.createObjectStore(store);
  };
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result.close());
    request.onerror = () => reject(request.error);
  });
}

/** Sleeps end at once: every deadline is due. */
const impatient: Clock = {
  wallMs: () => 0,
  monotonicMs: () => 0,
  sleep: async (_ms, signal) => signal?.throwIfAborted(),
};

/** An IndexedDB whose opens behave as told, one after the other, then as they should. */
function factoryThat(...opens: (() => IDBOpenDBRequest)[]): IDBFactory {
  return {
    open: (name: string, version?: number) => opens.shift()?.() ?? indexedDB.open(name, version),
    deleteDatabase: (name: string) => indexedDB.deleteDatabase(name),
  } as IDBFactory;
}

function never(): IDBOpenDBRequest {
  const request = indexedDB.open(`never-${++made}`);
  request.addEventListener = () => {};
  return request;
}

function fails(name: string): () => never {
  return () => {
    throw new DOMException('as told', name);
  };
}

describe('opening', () => {
  test('where there is no IndexedDB, or it is denied, says so in a way that can be told apart', async () => {
    const open = (indexedDB: unknown): Promise<unknown> =>
      IdbLogStore.open({ ...place(), indexedDB: indexedDB as IDBFactory }).catch((error: unknown) => error);
    const denied = [factoryThat(fails('SecurityError')), factoryThat(fails('InvalidStateError'))];
    const global = vi.spyOn(globalThis, 'indexedDB', 'get');
    global.mockImplementation(() => undefined as unknown as IDBFactory);
    const outcomes = [await open(undefined), await open(denied[0]), await open(denied[1])];
    global.mockImplementation(fails('SecurityError'));
    outcomes.push(await open(undefined));
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({ type: 'KAFKA_STORAGE_ERROR' });
      expect(isStorageUnavailable(outcome)).toBe(true);
      expect(isQuotaExceeded(outcome)).toBe(false);
    }
  });

  test('that never settles is tried again, and given up in the end', async () => {
    const store = await IdbLogStore.open({
      ...place(),
      indexedDB: factoryThat(never, fails('UnknownError')),
      clock: { ...impatient, sleep: (ms, signal) => (ms < 1000 ? Promise.resolve() : due(signal)) },
    });
    await store.close();
    const given = IdbLogStore.open({ ...place(), indexedDB: factoryThat(never, never, never), clock: impatient });
    await expect(given).rejects.toMatchObject({
      type: 'KAFKA_STORAGE_ERROR',
      message: expect.stringContaining('Timeout'),
    });
  });

  // An IDB transaction that hangs, of a connection that was dropped, holds up those over the same stores.
  test('that gets no answer from its first row is given up in time, and leaves no connection open', async () => {
    const options = place();
    const name = databaseName(options.clusterName, 0);
    await (await IdbLogStore.open(options)).close();
    const release = await holdMeta(name);
    const held = { ...options, clock: { ...impatient, sleep: (_ms: number, signal?: AbortSignal) => due(signal) } };
    const refused = { type: 'KAFKA_STORAGE_ERROR', message: expect.stringContaining('Timeout') };
    await expect(IdbLogStore.open(held)).rejects.toMatchObject(refused);
    await expect(IdbLogStore.openNewer(held)).rejects.toMatchObject(refused);
    release();
    await settled(indexedDB.deleteDatabase(name)); // waits for nobody that does not give way
    expect((await indexedDB.databases()).map((database) => database.name)).not.toContain(name);
  });

  test('whose connection is closed at once has failed, and is not taken for denied', async () => {
    const options = place();
    await (await IdbLogStore.open(options)).close();
    vi.spyOn(IDBDatabase.prototype, 'transaction').mockImplementation(fails('InvalidStateError'));
    const refused = await IdbLogStore.open(options).catch((error: unknown) => error);
    expect(refused).toMatchObject({ type: 'KAFKA_STORAGE_ERROR' });
    expect(isStorageUnavailable(refused)).toBe(false);
  });

  test('a database of a newer version says to reload', async () => {
    const options = place();
    await makeDatabase(databaseName(options.clusterName, 0), SCHEMA_VERSION + 1, []);
    await expect(IdbLogStore.open(options)).rejects.toMatchObject({ type: 'UNSUPPORTED_VERSION' });
  });

  test('a database without any object store is made anew, a torn one is refused and left as it is', async () => {
    const empty = place();
    await makeDatabase(databaseName(empty.clusterName, 0), SCHEMA_VERSION, []);
    const store = await IdbLogStore.open(empty);
    expect(store.incarnationId).toBe('first');
    await store.close();

    const torn = place();
    await makeDatabase(databaseName(torn.clusterName, 0), SCHEMA_VERSION, ['chunks', 'logs']);
    const text = 'segments, checkpoints, meta, sealed, sealedBytes, journal are missing';
    await expect(IdbLogStore.open(torn)).rejects.toMatchObject({ message: expect.stringContaining(text) });

    const foreign = place();
    const stores = ['chunks', 'segments', 'checkpoints', 'logs', 'meta', 'journal', 'sealed', 'sealedBytes'];
    await makeDatabase(databaseName(foreign.clusterName, 0), SCHEMA_VERSION, stores);
    await expect(IdbLogStore.open(foreign)).rejects.toMatchObject({ message: expect.stringContaining('incarnation') });
  });
});

describe('two versions of the code', () => {
  const chunk = { log: 1, baseOffset: 0, lastOffset: 0, bytes: new Uint8Array(64) };

  /** Data of this version, upgraded by the next under the open connection of this one. */
  async function upgraded(options: ReturnType<typeof place>): Promise<[old: IdbLogStore, newer: IdbLogStore]> {
    const old = await IdbLogStore.open(options);
    await old.claimLeadership(0, 'a', 1);
    await old.append({ leaderEpoch: 1, chunks: [chunk] }, 'relaxed');
    return [old, await IdbLogStore.open({ ...options, schemaVersion: SCHEMA_VERSION + 1 })];
  }

  test('the older gives way, does not open again, and reads on what it may', async () => {
    const options = place();
    const [old, newer] = await upgraded(options);
    expect(old.lost.aborted).toBe(true);
    await expect(IdbLogStore.open(options)).rejects.toMatchObject({ type: 'UNSUPPORTED_VERSION' });
    const reading = await IdbLogStore.openNewer(options);
    expect(reading.incarnationId).toBe(newer.incarnationId);
    expect(await reading.read(1, 0, 1000)).toEqual([chunk.bytes]);
    const { epoch } = await newer.leadership();
    await newer.append({ leaderEpoch: epoch, chunks: [{ ...chunk, ...next() }] }, 'relaxed');
    expect((await reading.ends(1)).lastOffset).toBe(1);
    // It still gives way.
    const third = await IdbLogStore.open({ ...options, schemaVersion: SCHEMA_VERSION + 2 });
    expect(reading.lost.aborted).toBe(true);
    await third.close();
  });

  test.each([
    ['of a layout that this version would misread', SCHEMA_VERSION + 1],
    ['that says nothing of who may read it', undefined],
  ])('the older does not even read data %s', async (_what, minReaderVersion) => {
    const options = place();
    const [, newer] = await upgraded(options);
    await newer.close();
    await putMeta(databaseName(options.clusterName, 0), 'minReaderVersion', minReaderVersion);
    await expect(IdbLogStore.openNewer(options)).rejects.toMatchObject({
      type: 'UNSUPPORTED_VERSION',
      message: expect.stringMatching(/must not even read/),
    });
  });

  test('an upgrade that somebody holds up is given up in time, and a success that comes later is closed', async () => {
    const options = place();
    const name = databaseName(options.clusterName, 0);
    await (await IdbLogStore.open(options)).close();
    const deaf = await settled(indexedDB.open(name));
    const blocked = IdbLogStore.open({ ...options, schemaVersion: SCHEMA_VERSION + 1, clock: impatient });
    await expect(blocked).rejects.toMatchObject({
      type: 'KAFKA_STORAGE_ERROR',
      message: expect.stringMatching(/another tab may hold it open/),
    });
    deaf.close();
    const deletion = indexedDB.deleteDatabase(name); // waits for nobody that does not give way
    await settled(deletion);
    expect((await indexedDB.databases()).map((database) => database.name)).not.toContain(name);
  });

  function next(): Pick<typeof chunk, 'baseOffset' | 'lastOffset' | 'bytes'> {
    const bytes = new Uint8Array(64);
    bytes[7] = 1;
    return { baseOffset: 1, lastOffset: 1, bytes };
  }
});

/** Holds the object store `meta` in an IDB transaction until the answer is called. */
async function holdMeta(name: string): Promise<() => void> {
  const database = await settled(indexedDB.open(name));
  const meta = database.transaction('meta', 'readwrite').objectStore('meta');
  let isHeld = true;
  const again = (): void => {
    if (isHeld) meta.get('incarnation').onsuccess = again;
  };
  again();
  return () => {
    isHeld = false;
    database.close();
  };
}

async function putMeta(name: string, key: string, value: unknown): Promise<void> {
  const database = await settled(indexedDB.open(name));
  const meta = database.transaction('meta', 'readwrite').objectStore('meta');
  if (value === undefined) await settled(meta.delete(key));
  else await settled(meta.put(value, key));
  database.close();
}

function settled<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

describe('a connection', () => {
  test('gives way to one that upgrades, and is lost', async () => {
    const options = place();
    const store = await IdbLogStore.open(options);
    await makeDatabase(databaseName(options.clusterName, 0), SCHEMA_VERSION + 1, []);
    expect(store.lost.aborted).toBe(true);
    await expect(store.leadership()).rejects.toMatchObject({ type: 'KAFKA_STORAGE_ERROR' });
  });

  test('that runs out of space says so, writes nothing of the commit, and goes on', async () => {
    const store = await IdbLogStore.open(place());
    await store.claimLeadership(0, 'a', 1);
    const chunk = { log: 1, baseOffset: 0, lastOffset: 0, bytes: new Uint8Array(64) };
    // As Chromium does it: no request fails, the IDB transaction aborts.
    vi.spyOn(IDBTransaction.prototype, 'commit').mockImplementationOnce(function (this: unknown) {
      (this as { _abort(name: string): void })._abort('QuotaExceededError');
    });
    const refused = await store.append({ leaderEpoch: 1, chunks: [chunk] }, 'relaxed').catch((error: unknown) => error);
    expect(isQuotaExceeded(refused)).toBe(true);
    expect(refused).toMatchObject({
      type: 'KAFKA_STORAGE_ERROR',
      message: expect.stringContaining('QuotaExceededError'),
    });
    expect((await store.ends(1)).lastOffset).toBeUndefined();
    expect(store.lost.aborted).toBe(false);
    await store.append({ leaderEpoch: 1, chunks: [chunk] }, 'relaxed');
    expect((await store.ends(1)).lastOffset).toBe(0);
  });
});

test('a claim that the browser aborts without answering its requests fails and does not hang', async () => {
  const store = await IdbLogStore.open(place());
  const get = IDBObjectStore.prototype.get;
  vi.spyOn(IDBObjectStore.prototype, 'get').mockImplementationOnce(function (this: IDBObjectStore, key) {
    const request = get.call(this, key);
    request.addEventListener('success', (event) => {
      event.stopImmediatePropagation();
      (this.transaction as unknown as { _abort(name: string): void })._abort('QuotaExceededError');
    });
    return request;
  });
  const refused = await store.claimLeadership(0, 'a', 1).catch((error: unknown) => error);
  expect(isQuotaExceeded(refused)).toBe(true);
  expect(await store.claimLeadership(0, 'a', 1)).toBe(1);
});

/** The deadline passes before a request that never settles; an open that does settle is quicker. */
async function due(signal: AbortSignal | undefined): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
  signal?.throwIfAborted();
}

describe('sealed segments', () => {
  const LOG = 3;

  const timeless: Clock = { wallMs: () => 0, monotonicMs: () => 0, sleep: () => new Promise(() => {}) };

  function chunk(baseOffset: number, size = 1000): Chunk {
    const bytes = new Uint8Array(size);
    new DataView(bytes.buffer).setBigInt64(0, BigInt(baseOffset));
    new DataView(bytes.buffer).setInt32(8, size - 12);
    return { log: LOG, baseOffset, lastOffset: baseOffset, bytes };
  }

  /** A leader's store with ten chunks of one record each, none of them sealed. */
  async function ofTen(
    options: Parameters<typeof IdbLogStore.open>[0],
  ): Promise<{ store: IdbLogStore; chunks: Chunk[] }> {
    const store = await IdbLogStore.open(options);
    await store.claimLeadership(0, 'a', 1);
    const chunks = Array.from({ length: 10 }, (_, offset) => chunk(offset));
    await store.append({ leaderEpoch: 1, chunks }, 'relaxed');
    return { store, chunks };
  }

  async function sealedStore(clock: Clock, count: number, size?: number): Promise<IdbLogStore> {
    const store = await IdbLogStore.open({ ...place(), clock });
    await store.claimLeadership(0, 'a', 1);
    const chunks = Array.from({ length: count }, (_, offset) => chunk(offset, size));
    await store.append({ leaderEpoch: 1, chunks }, 'relaxed');
    await seal(store, chunks, count);
    await store.sweepSealed(LOG, 1);
    return store;
  }

  async function seal(store: IdbLogStore, chunks: readonly Chunk[], nextOffset: number): Promise<void> {
    const builder = new SealedSegmentBuilder(LOG, 0);
    for (const { bytes } of chunks) builder.add(bytes);
    const sealed = [await store.stageSealed(builder.finish(nextOffset), 1)];
    await store.publishSealed({ log: LOG, baseOffset: 0, nextOffset, sealed, segments: [] }, 1);
  }

  test('are read without an IDB transaction while their handle is fresh, and then asked for again', async () => {
    let nowMs = 0;
    const clock: Clock = { ...timeless, monotonicMs: () => nowMs };
    const store = await sealedStore(clock, 100);
    const transactions = vi.spyOn(IDBDatabase.prototype, 'transaction');
    const read = async (offset: number): Promise<number> => {
      const before = transactions.mock.calls.length;
      expect((await store.read(LOG, offset, 1)).map((bytes) => baseOffsetOf(bytes))).toEqual([offset]);
      return transactions.mock.calls.length - before;
    };
    expect([await read(0), await read(50), await read(99)]).toEqual([1, 0, 0]);
    nowMs += 5001;
    expect([await read(3), await read(4)]).toEqual([1, 0]);
    nowMs += 5001;
    store.releaseUnused();
    expect([await read(3), await read(4)]).toEqual([1, 0]);
    await store.close();
  });

  // Chromium passes rows that were deleted, one by one, until it compacts its files.
  test('are found by who has just opened the store without a look for the rows that they replaced', async () => {
    const options = { ...place(), clock: timeless };
    const { store: writer, chunks } = await ofTen(options);
    await seal(writer, chunks.slice(0, 8), 8);
    await writer.sweepSealed(LOG, 1);
    const looks: string[] = [];
    const methods = IDBObjectStore.prototype as unknown as Record<string, (...given: unknown[]) => unknown>;
    for (const method of ['getAll', 'getAllKeys', 'openKeyCursor']) {
      const original = methods[method]!;
      vi.spyOn(methods, method).mockImplementation(function (this: unknown, ...given) {
        const [range] = given as [IDBKeyRange];
        if ((this as IDBObjectStore).name === 'chunks') looks.push(`${method} from ${range.lower}`);
        return Reflect.apply(original, this, given);
      });
    }
    const reader = await IdbLogStore.open(options);
    expect((await reader.read(LOG, 3, 1)).map(baseOffsetOf)).toEqual([3]);
    expect(await reader.ends(LOG)).toMatchObject({ lastOffset: 9, sealedEndOffset: 8 });
    expect((await reader.read(LOG, 8, 1)).map(baseOffsetOf)).toEqual([8]);
    await seal(writer, chunks.slice(0, 9), 9);
    await writer.sweepSealed(LOG, 1);
    expect(looks).toEqual(['openKeyCursor from 3,8', 'getAll from 3,8', 'getAllKeys from 3,7']);
    await Promise.all([writer.close(), reader.close()]);
  });

  test('free the rows that they replaced also where there is no room for another one', async () => {
    const { store, chunks } = await ofTen({ ...place(), clock: timeless });
    await seal(store, chunks.slice(0, 5), 5);
    const put = IDBObjectStore.prototype.put;
    vi.spyOn(IDBObjectStore.prototype, 'put').mockImplementation(function (this: IDBObjectStore, ...args) {
      const request = put.apply(this, args);
      (this.transaction as unknown as { _abort(name: string): void })._abort('QuotaExceededError');
      return request;
    });
    await store.sweepSealed(LOG, 1);
    vi.restoreAllMocks();
    const raw = await store.raw();
    expect((await raw.chunks(LOG, 0, 10)).map(({ lastOffset }) => lastOffset)).toEqual([5, 6, 7, 8, 9]);
    await store.close();
  });

  test('leave an empty row in front of those that they replaced, which nobody takes for data and which goes with the log', async () => {
    const options = { ...place(), clock: timeless };
    const { store, chunks } = await ofTen(options);
    const keys = async (): Promise<IDBValidKey[]> => {
      const database = await openDB(databaseName(options.clusterName, 0));
      const found = await database.getAllKeys('chunks');
      database.close();
      return found;
    };
    await seal(store, chunks.slice(0, 5), 5);
    const removal = IDBObjectStore.prototype.delete;
    vi.spyOn(IDBObjectStore.prototype, 'delete').mockImplementationOnce(function (this: IDBObjectStore, range) {
      const request = removal.call(this, range);
      this.transaction.abort(); // as where the browser ends in the midst of it
      return request;
    });
    await expect(store.sweepSealed(LOG, 1)).rejects.toThrow();
    expect(await keys()).toHaveLength(10);
    for (const nextOffset of [5, 8]) {
      await seal(store, chunks.slice(0, nextOffset), nextOffset);
      await store.sweepSealed(LOG, 1);
      expect(await keys()).toEqual([[LOG, -1], ...chunks.slice(nextOffset).map((row) => [LOG, row.lastOffset])]);
    }

    const raw = await store.raw();
    expect((await raw.chunks(LOG, 0, 10)).map(({ lastOffset }) => lastOffset)).toEqual([8, 9]);
    expect((await store.read(LOG, 0, 100_000)).map(baseOffsetOf)).toEqual([0]);
    expect(await store.read(LOG, 8, 100_000)).toEqual([chunks[8]!.bytes, chunks[9]!.bytes]);
    await store.deleteBefore(LOG, 0, 1);
    await store.deleteBefore(LOG, 9, 1);
    expect(await keys()).toEqual([
      [LOG, -1],
      [LOG, 9],
    ]);
    await store.deleteBefore(LOG, 10, 1);
    expect(await store.ends(LOG)).toMatchObject({ logStartOffset: 10, lastOffset: undefined });
    expect(await raw.chunks(LOG, 0, 10)).toEqual([]);
    await store.deleteLog(LOG, 1);
    expect(await keys()).toEqual([]);
    expect(await raw.logs()).toEqual([]);
    await store.close();
  });

  test('that another tab replaces are noticed in a few seconds', async () => {
    let nowMs = 0;
    const clock: Clock = { ...timeless, monotonicMs: () => nowMs };
    const options = { ...place(), clock };
    const { store, chunks } = await ofTen(options);
    await seal(store, chunks, 10);
    await store.sweepSealed(LOG, 1);
    const reader = await IdbLogStore.open(options);
    expect((await reader.read(LOG, 0, 1)).map(baseOffsetOf)).toEqual([0]);
    await seal(store, chunks.slice(4), 10);
    expect((await store.read(LOG, 0, 1)).map(baseOffsetOf)).toEqual([4]);
    nowMs += 5001;
    expect((await reader.read(LOG, 0, 1)).map(baseOffsetOf)).toEqual([4]);
    await Promise.all([store.close(), reader.close()]);
  });

  test('are arrays where the platform stores no Blobs, and are read all the same', async () => {
    const put = IDBObjectStore.prototype.put;
    vi.spyOn(IDBObjectStore.prototype, 'put').mockImplementation(function (this: IDBObjectStore, value, key) {
      if (value instanceof Blob) throw new DOMException('BlobURLs are not yet supported.', 'DataCloneError');
      return put.call(this, value, key);
    });
    const store = await sealedStore(timeless, 20, 30_000);
    const read = await store.read(LOG, 7, 60_000);
    expect(read.map((bytes) => [baseOffsetOf(bytes), bytes.byteLength])).toEqual([[7, 60_000]]);
    await store.close();
  });
});

test('a database of the first version opens, and its logs go on', async () => {
  const options = place();
  const name = databaseName(options.clusterName, 0);
  await makeDatabase(name, 1, ['chunks', 'segments', 'checkpoints', 'logs', 'meta']);
  const first = await openDB(name, 1);
  const bytes = new Uint8Array(64);
  await first.put('meta', 'of the first version', 'incarnation');
  await first.put('meta', { epoch: 4, hostId: 'a', heartbeatMs: 1 }, 'leadership');
  await first.put('chunks', bytes, [1, 0]);
  first.close();
  const store = await IdbLogStore.open(options);
  expect(store.incarnationId).toBe('of the first version');
  expect(await store.read(1, 0, 1000)).toEqual([bytes]);
  expect(await store.ends(1)).toMatchObject({ lastOffset: 0, sealedEndOffset: 0 });
  await store.append(
    { leaderEpoch: 4, chunks: [{ log: 1, baseOffset: 1, lastOffset: 1, bytes: next(bytes) }] },
    'relaxed',
  );
  expect((await store.ends(1)).lastOffset).toBe(1);
  await store.close();
});

function next(bytes: Uint8Array): Uint8Array {
  const behind = new Uint8Array(bytes);
  new DataView(behind.buffer).setBigInt64(0, 1n);
  return behind;
}

// Goal: rows are what a commit costs (see ARCHITECTURE.md). Method: what lies in the object stores after commits to 64 logs.
test('a commit of small chunks to many logs writes one row, and 80 of them become a row a log', async () => {
  const options = place();
  const store = await IdbLogStore.open(options);
  await store.claimLeadership(0, 'a', 1);
  const commitTo64 = (round: number): Promise<void> => {
    const chunks = Array.from({ length: 64 }, (_, log): Chunk => {
      const bytes = new Uint8Array(200);
      new DataView(bytes.buffer).setBigInt64(0, BigInt(round));
      new DataView(bytes.buffer).setInt32(8, 188);
      return { log, baseOffset: round, lastOffset: round, bytes };
    });
    return store.append({ leaderEpoch: 1, chunks }, 'relaxed');
  };
  const counts = async (): Promise<readonly number[]> => {
    const database = await openDB(databaseName(options.clusterName, 0));
    const found = await Promise.all([database.count('chunks'), database.count('journal')]);
    database.close();
    return found;
  };
  let rounds = 0;
  await commitTo64(0); // what writes the journal comes with it
  await vi.waitFor(async () => {
    await commitTo64(1 + rounds++);
    expect((await counts())[1]).toBeGreaterThan(0);
  });
  const [rows = 0, journaled = 0] = await counts();
  for (let round = 1; round <= 80; round++) await commitTo64(rounds + round);
  expect(await counts()).toEqual([rows, journaled + 80]); // a MiB is not full yet
  while ((await counts())[1] !== 0) {
    store.releaseUnused();
    await store.leadership();
  }
  expect(await counts()).toEqual([rows + 64, 0]);
  expect((await store.ends(5)).lastOffset).toBe(rounds + 80);
  await store.close();
});
