import 'fake-indexeddb/auto';
import { openDB } from 'idb';
import { afterEach, expect, test, vi } from 'vitest';
import { IdbLogStore } from '../../src/storage/idb-log-store.js';
import {
  type Chunk,
  type LogStore,
  MAX_ROW_BYTES,
  type SealedSegment,
  type SegmentRow,
} from '../../src/storage/log-store.js';
import { databaseName } from '../../src/storage/schema.js';
import { SealedSegmentBuilder } from '../../src/storage/sealed-segment.js';

/** What a group commit writes at most: see `COMMIT_BYTES`. */
const CHUNK_BYTES = 1024 * 1024;
const SLICE_ROWS = 16;
const LOG = 1;
const OTHER_LOG = 2;
/** An append may take a lock on each of them. */
const APPENDED_TO = ['meta', 'chunks', 'segments', 'checkpoints'];

afterEach(() => vi.restoreAllMocks());

/** What one IDB transaction that an append has to wait for writes and deletes. */
interface Slice {
  /** By object store. */
  readonly rows: Map<string, number>;
  bytes: number;
}

/** Watches what the background work does, and begins an append to another log in the midst of every slice. */
class SliceWatch {
  readonly slices: Slice[] = [];
  readonly #store: LogStore;
  readonly #leaderEpoch: number;
  /** 'slice', as one begins; 'issued' and 'appended' of appends. */
  readonly #events: string[] = [];
  readonly #appends: Promise<void>[] = [];
  #nextOffset = 0;

  constructor(store: LogStore, leaderEpoch: number) {
    this.#store = store;
    this.#leaderEpoch = leaderEpoch;
  }

  async during(work: () => Promise<void>): Promise<void> {
    const follow = (made: IDBTransaction): void => this.#follow(made, append);
    const { transaction } = IDBDatabase.prototype;
    let isAppend = false;
    const append = (): void => {
      const baseOffset = this.#nextOffset++;
      this.#events.push('issued');
      isAppend = true;
      const chunks = [chunk(OTHER_LOG, baseOffset, 100)];
      const appended = this.#store.append({ leaderEpoch: this.#leaderEpoch, chunks }, 'relaxed');
      isAppend = false;
      this.#appends.push(appended.then(() => void this.#events.push('appended')));
    };
    vi.spyOn(IDBDatabase.prototype, 'transaction').mockImplementation(function (this: IDBDatabase, ...args) {
      const made = transaction.apply(this, args);
      if (made.mode !== 'readwrite' || isAppend) return made;
      if (APPENDED_TO.some((name) => made.objectStoreNames.contains(name))) follow(made);
      return made;
    });
    await work();
    vi.restoreAllMocks();
    await Promise.all(this.#appends);
  }

  /** How many slices begin between the issue of an append, which is in the midst of a slice, and its end. */
  slicesBeforeAppends(): number {
    let [waiting, between] = [0, 0];
    for (const event of this.#events) {
      if (event === 'issued') waiting++;
      else if (event === 'appended') waiting--;
      else if (waiting > 0) between++;
    }
    return between;
  }

  #follow(made: IDBTransaction, append: () => void): void {
    const slice: Slice = { rows: new Map(), bytes: 0 };
    this.slices.push(slice);
    const { objectStore } = made;
    let isBegun = false;
    made.objectStore = (name): IDBObjectStore => {
      const store = objectStore.call(made, name);
      if (!isBegun) {
        isBegun = true;
        // Ahead of whatever else it asks, so that it is answered when the slice begins.
        store.count().addEventListener('success', () => {
          this.#events.push('slice');
          append();
        });
      }
      count(store, slice);
      return store;
    };
  }
}

const counted = new WeakSet<IDBObjectStore>();

function count(store: IDBObjectStore, slice: Slice): void {
  if (counted.has(store)) return;
  counted.add(store);
  const { put, delete: remove } = store;
  const add = (values: readonly unknown[]): void => {
    slice.rows.set(store.name, (slice.rows.get(store.name) ?? 0) + values.length);
    slice.bytes += values.reduce<number>((bytes, value) => bytes + sizeOf(value), 0);
  };
  store.put = (value, key): IDBRequest<IDBValidKey> => {
    if (!(value instanceof Uint8Array && value.byteLength === 0)) add([value]); // the row in front of a log is not one of it
    return put.call(store, value, key);
  };
  store.delete = (query): IDBRequest<undefined> => {
    const gone = store.getAll(query);
    gone.addEventListener('success', () => add(gone.result));
    return remove.call(store, query);
  };
}

/** Of what lies in the database itself: a Blob is a file beside it. */
function sizeOf(value: unknown): number {
  if (value instanceof Uint8Array) return value.byteLength;
  return value instanceof Blob ? 0 : JSON.stringify(value).length;
}

function chunk(log: number, baseOffset: number, size: number): Chunk {
  const bytes = new Uint8Array(size);
  new DataView(bytes.buffer).setBigInt64(0, BigInt(baseOffset));
  new DataView(bytes.buffer).setInt32(8, size - 12);
  return { log, baseOffset, lastOffset: baseOffset, bytes };
}

function segmentRow(baseOffset: number): SegmentRow {
  const place = { log: LOG, baseOffset, nextOffset: baseOffset + 1, startPosition: baseOffset * 100 };
  return { ...place, byteCount: 100, maxTimestampMs: 0, timeIndex: [] };
}

let made = 0;

async function openStore(): Promise<IdbLogStore> {
  const store = await IdbLogStore.open({ clusterName: `slices-${++made}`, brokerId: 0, newIncarnationId: 'first' });
  await store.claimLeadership(0, 'a', 1);
  return store;
}

/** Full rows, each its own segment. */
async function filledWith(count: number): Promise<{ readonly store: IdbLogStore; readonly chunks: readonly Chunk[] }> {
  const store = await openStore();
  const chunks = Array.from({ length: count }, (_, offset) => chunk(LOG, offset, MAX_ROW_BYTES));
  const segments = chunks.map(({ baseOffset }) => segmentRow(baseOffset));
  await store.append({ leaderEpoch: 1, chunks, segments }, 'relaxed');
  return { store, chunks };
}

function staged(store: LogStore, chunks: readonly Chunk[], leaderEpoch = 1): Promise<SealedSegment> {
  const [first, last] = [chunks[0]!, chunks.at(-1)!];
  const builder = new SealedSegmentBuilder(LOG, first.baseOffset);
  for (const { bytes } of chunks) builder.add(bytes);
  return store.stageSealed(builder.finish(last.lastOffset + 1), leaderEpoch);
}

async function publish(store: LogStore, sealed: readonly SealedSegment[]): Promise<void> {
  const [baseOffset, nextOffset] = [sealed[0]!.baseOffset, sealed.at(-1)!.nextOffset];
  await store.publishSealed({ log: LOG, baseOffset, nextOffset, sealed, segments: [segmentRow(baseOffset)] }, 1);
}

/** As many sealed segments as chunks, their rows swept. */
async function sealedEach(count: number): Promise<{ readonly store: IdbLogStore; readonly chunks: readonly Chunk[] }> {
  const store = await openStore();
  const chunks = Array.from({ length: count }, (_, offset) => chunk(LOG, offset, 1000));
  await store.append({ leaderEpoch: 1, chunks }, 'relaxed');
  for (const each of chunks) await publish(store, [await staged(store, [each])]);
  await store.sweepSealed(LOG, 1);
  return { store, chunks };
}

function expectShort(watch: SliceWatch, stores = ['meta', 'chunks', 'segments', 'sealed', 'sealedBytes']): void {
  for (const { rows, bytes } of watch.slices) {
    for (const name of stores) expect(rows.get(name) ?? 0, `rows of ${name}`).toBeLessThanOrEqual(SLICE_ROWS);
    expect(bytes).toBeLessThanOrEqual(CHUNK_BYTES);
  }
  expect(watch.slicesBeforeAppends()).toBe(0);
}

function rowsIn(watch: SliceWatch, name: string): number {
  return watch.slices.reduce((rows, slice) => rows + (slice.rows.get(name) ?? 0), 0);
}

test.each(['deleteBefore', 'deleteLog'] as const)(
  '%s takes rows and segments in slices, and an append between two of them does not wait for the next',
  async (operation) => {
    const { store } = await filledWith(50);
    const watch = new SliceWatch(store, 1);
    await watch.during(() => (operation === 'deleteLog' ? store.deleteLog(LOG, 1) : store.deleteBefore(LOG, 50, 1)));
    expect([rowsIn(watch, 'chunks'), rowsIn(watch, 'segments')]).toEqual([50, 50]);
    expectShort(watch);
    expect(await store.segments(LOG)).toEqual([]);
    await store.close();
  },
);

test.each(['deleteBefore', 'deleteLog'] as const)('%s takes what is sealed in slices', async (operation) => {
  const { store } = await sealedEach(40);
  const watch = new SliceWatch(store, 1);
  await watch.during(() => (operation === 'deleteLog' ? store.deleteLog(LOG, 1) : store.deleteBefore(LOG, 40, 1)));
  expect(rowsIn(watch, 'sealed')).toBe(40);
  expectShort(watch);
  expect(await store.sealedSegments(LOG)).toEqual([]);
  expect(await (await store.raw()).strayBytes(LOG)).toBe(0);
  await store.close();
});

test('sealing and the sweep behind it take rows in slices', async () => {
  const { store, chunks } = await filledWith(50);
  const watch = new SliceWatch(store, 1);
  await watch.during(async () => {
    for (const part of [chunks.slice(0, 25), chunks.slice(25)]) {
      await publish(store, [await staged(store, part)]);
      await store.sweepSealed(LOG, 1);
    }
  });
  expect(rowsIn(watch, 'chunks')).toBe(50);
  expectShort(watch, ['meta', 'chunks', 'sealed', 'sealedBytes']); // `publishSealed` takes the names of a whole pass
  await store.close();
});

test('what a dead leader staged and what lies below the log start is swept in slices', async () => {
  const { store, chunks } = await sealedEach(40);
  for (const each of chunks) await staged(store, [each]);
  await moveLogStart(`slices-${made}`, 30);
  await store.claimLeadership(1, 'b', 2);
  const watch = new SliceWatch(store, 2);
  await watch.during(() => store.sweepSealed(LOG, 2));
  expectShort(watch);
  expect((await store.sealedSegments(LOG)).map(({ baseOffset }) => baseOffset)).toEqual(
    Array.from({ length: 10 }, (_, index) => 30 + index),
  );
  expect(await (await store.raw()).strayBytes(LOG)).toBe(0);
  await store.close();
});

test('compaction puts one segment in the place of many, whose bytes go without holding up an append', async () => {
  const { store, chunks } = await sealedEach(40);
  const watch = new SliceWatch(store, 1);
  await watch.during(async () => publish(store, [await staged(store, chunks)]));
  expectShort(watch, ['meta', 'chunks', 'sealedBytes']);
  expect((await store.sealedSegments(LOG)).map(({ nextOffset }) => nextOffset)).toEqual([40]);
  expect(await (await store.raw()).strayBytes(LOG)).toBe(0);
  expect(await store.read(LOG, 0, 1_000_000)).not.toEqual([]);
  await store.close();
});

/** As a deletion leaves it that is torn before it takes what is sealed. */
async function moveLogStart(clusterName: string, logStartOffset: number): Promise<void> {
  const database = await openDB(databaseName(clusterName, 0));
  await database.put('logs', { logStartOffset }, LOG);
  database.close();
}
