import { assert } from 'chai';
import type { JournalRules } from '../../src/storage/journal.js';
import type { Chunk, LogId, LogStore } from '../../src/storage/log-store.js';
import { concatBytes } from '../../src/util/bytes.js';
import {
  chunk,
  commit,
  type LogStoreFixture,
  mulberry32,
  rejectsWith,
  sameBytes,
  sealedOf,
  type TestApi,
} from './log-store.js';

/** Two logs are many, and little is much, so that a few commits meet all that there is. */
export const SMALL_JOURNAL: JournalRules = { minLogs: 2, maxPartBytes: 200, drainBytes: 2_000, maxBytes: 4_000 };

/** Nothing is moved before somebody asks for it. */
const PATIENT: JournalRules = { ...SMALL_JOURNAL, drainBytes: 1_000_000, maxBytes: 2_000_000 };

/** What a `LogStore` promises where small chunks of many logs go into its journal; in Node (vitest) and in browsers (mocha). */
export function describeJournal(
  name: string,
  newFixture: () => Promise<LogStoreFixture>,
  api: TestApi,
  seeds = 20,
): void {
  const it = (
    promise: string,
    body: (store: LogStore, fixture: LogStoreFixture) => Promise<void>,
    rules = PATIENT,
  ): void =>
    api.it(promise, async () => {
      const fixture = await newFixture();
      const store = await fixture.open(rules);
      await store.claimLeadership(0, 'a', 1);
      await warmedUp(store);
      await body(store, fixture);
      await store.close();
    });

  api.describe(`${name}: the journal`, () => {
    it('shows its parts to every reader as it shows rows, at every offset', async (store, fixture) => {
      const reader = await fixture.open();
      const written = new Model();
      for (let round = 0; round < 5; round++) await store.append(commit(1, ...written.next([1, 2, 3])), 'relaxed');
      for (const each of [store, reader]) await written.isIn(each);
      await store.append(commit(1, ...written.next([2], 5_000)), 'relaxed');
      await store.append(commit(1, ...written.next([1, 2])), 'relaxed');
      for (const each of [store, reader, await fixture.open()]) await written.isIn(each);
      await reader.close();
    });

    it('is read by many at the same time while it is filled and drained', async (store, fixture) => {
      const reader = await fixture.open();
      const written = new Model();
      await store.append(commit(1, ...written.next([1, 2])), 'relaxed');
      await reader.read(1, 0, 10_000);
      const first = written.logs.get(1)?.[0]?.bytes;
      for (let round = 0; round < 10; round++) {
        const reads = Array.from({ length: 6 }, () => reader.read(1, 0, 1));
        const appended = store.append(commit(1, ...written.next(round % 4 === 3 ? [1] : [1, 2])), 'relaxed');
        const later = Array.from({ length: 6 }, () => reader.read(1, 0, 1));
        for (const [row] of await Promise.all([...reads, ...later])) {
          assert.isTrue(sameBytes(row?.subarray(0, first?.byteLength) ?? new Uint8Array(), first));
        }
        await appended;
        await written.isIn(reader);
      }
      await reader.close();
    });

    it('is drained by rest, and then its parts are rows, joined by log', async (store, fixture) => {
      const reader = await fixture.open();
      const written = new Model();
      for (let round = 0; round < 5; round++) await store.append(commit(1, ...written.next([1, 2])), 'relaxed');
      assert.lengthOf(await store.read(1, 0, 10_000), 5);
      await atRest(store);
      assert.lengthOf(await store.read(1, 0, 10_000), 1);
      for (const each of [store, reader]) await written.isIn(each);
      await reader.close();
    });

    it('drains a log when asked to, and leaves the others', async (store) => {
      const written = new Model();
      for (let round = 0; round < 3; round++) await store.append(commit(1, ...written.next([1, 2])), 'relaxed');
      await store.drain(1, 1);
      assert.lengthOf(await store.read(1, 0, 10_000), 1);
      assert.lengthOf(await store.read(2, 0, 10_000), 3);
      await store.drain(1, 1);
      await store.drain(77, 1);
      await written.isIn(store);
    });

    it('is taken over with the leadership: what comes next stands behind it', async (store, fixture) => {
      const written = new Model();
      for (let round = 0; round < 3; round++) await store.append(commit(1, ...written.next([1, 2, 3])), 'relaxed');
      await store.append(commit(1, ...written.next([3], 5_000)), 'relaxed');
      const next = await fixture.open(PATIENT);
      assert.strictEqual(await next.claimLeadership(1, 'b', 2), 2);
      await next.append(commit(2, ...written.next([1], 5_000)), 'relaxed');
      await next.append(commit(2, ...written.next([1, 3])), 'relaxed');
      for (const each of [store, next]) await written.isIn(each);
      await rejectsWith('FENCED_LEADER_EPOCH', store.append(commit(1, ...new Model().next([1, 2])), 'relaxed'));
      await atRest(store); // a deposed leader drains nothing
      await atRest(next);
      for (const each of [store, next]) await written.isIn(each);
      await next.close();
    });

    it('refuses a writer of the same epoch that has not claimed it, which would write past it', async (store, fixture) => {
      const written = new Model();
      const stranger = await fixture.open(PATIENT);
      await stranger.append(commit(1, ...written.next([1], 5_000)), 'relaxed');
      await store.append(commit(1, ...written.next([1, 2])), 'relaxed');
      await rejectsWith('KAFKA_STORAGE_ERROR', stranger.append(commit(1, chunk(1, 90, 91)), 'relaxed'));
      await rejectsWith('KAFKA_STORAGE_ERROR', stranger.deleteBefore(1, 1, 1));
      await written.isIn(store);
      await stranger.close();
    });

    it('forgets what failed, and what was begun behind it', async (store, fixture) => {
      const written = new Model();
      await store.append(commit(1, ...written.next([1, 2])), 'relaxed');
      const lost = written.copy();
      const uncloneable = { checkpoints: [{ log: 1, offset: 5, snapshot: () => 1 }] };
      const failing = [
        store.append({ ...commit(1, ...lost.next([1, 2])), ...uncloneable }, 'relaxed'),
        store.append(commit(1, ...lost.next([2], 5_000)), 'relaxed'), // would move what is not there
        store.append(commit(1, ...lost.next([1, 2])), 'relaxed'),
      ];
      await Promise.all(failing.map((append) => rejectsWith('KAFKA_STORAGE_ERROR', append)));
      await written.isIn(store);
      await store.append(commit(1, ...written.next([2], 5_000)), 'relaxed');
      await store.append(commit(1, ...written.next([1, 2])), 'relaxed');
      for (const each of [store, await fixture.open()]) await written.isIn(each);
      await atRest(store);
      await written.isIn(store);
    });

    it('gives up its part of a log that is deleted, in part or altogether', async (store, fixture) => {
      const written = new Model();
      for (let round = 0; round < 6; round++) await store.append(commit(1, ...written.next([1, 2, 3])), 'relaxed');
      await store.deleteBefore(1, 4, 1);
      written.deleteBefore(1, 4);
      await store.deleteLog(2, 1);
      written.logs.delete(2);
      for (const each of [store, await fixture.open()]) await written.isIn(each);
      assert.deepEqual(await store.read(2, 0, 1_000), []);
      const next = await fixture.open(PATIENT);
      await next.claimLeadership(1, 'b', 2);
      await atRest(next);
      await written.isIn(next);
      assert.deepEqual(await (await next.raw()).logs(), [1, 3, ...WARM_LOGS]);
      await next.deleteBefore(1, 1_000, 2);
      assert.isUndefined((await next.ends(1)).lastOffset);
      await next.close();
    });

    it('lets go of what is sealed before it is published: nothing comes back below', async (store, fixture) => {
      const written = new Model();
      for (let round = 0; round < 6; round++) await store.append(commit(1, ...written.next([1, 2])), 'relaxed');
      const chunks = written.logs.get(1) ?? [];
      const { baseOffset, nextOffset } = sealedOf(chunks.slice(0, 4));
      const sealed = [await store.stageSealed(sealedOf(chunks.slice(0, 4)), 1)];
      await store.publishSealed({ log: 1, baseOffset, nextOffset, sealed, segments: [] }, 1);
      await store.sweepSealed(1, 1);
      await store.append(commit(1, ...written.next([1, 2])), 'relaxed');
      await atRest(store);
      for (const each of [store, await fixture.open()]) await written.isIn(each);
      const [first] = await (await store.raw()).chunks(1, 0, 1);
      assert.isAtLeast(first?.lastOffset ?? 0, nextOffset);
    });

    it('is seen in raw rows, part by part, and must be drained before they are changed', async (store) => {
      const written = new Model();
      for (let round = 0; round < 3; round++) await store.append(commit(1, ...written.next([1, 2])), 'relaxed');
      const raw = await store.raw();
      const chunks = written.logs.get(1) ?? [];
      assert.deepEqual(
        await raw.chunks(1, 0, 10),
        chunks.map(({ lastOffset, bytes }) => ({ lastOffset, bytes })),
      );
      assert.deepEqual(
        (await raw.chunks(1, chunks[1]?.baseOffset ?? 0, 1)).map(({ lastOffset }) => lastOffset),
        [chunks[1]?.lastOffset],
      );
      assert.deepEqual(await raw.logs(), [1, 2, ...WARM_LOGS]);
      await rejectsWith('KAFKA_STORAGE_ERROR', raw.apply({ log: 1, deleteChunks: [0] }, 1));
      await store.drain(1, 1);
      const [row] = await raw.chunks(1, 0, 10);
      await raw.apply({ log: 1, deleteChunks: [row?.lastOffset ?? -1] }, 1);
      assert.deepEqual(await raw.chunks(1, 0, 10), []);
    });
  });

  // Goal: whatever is done in whatever order, the store answers as one dense log each would. Method: one of two connections
  // leads and writes, both read; commits fail, leaders are deposed in the midst of commits whose outcome nobody knows then.
  api.describe(`${name}: the journal against a model`, () => {
    for (let seed = 1; seed <= seeds; seed++) {
      api.it(`any mixture of operations leaves what the model holds (seed ${seed})`, async () => {
        await modelRun(seed, await newFixture());
      });
    }
  });
}

const WARM_LOGS: readonly LogId[] = Array.from({ length: 10 }, (_, at) => 1_000 + at);

/** What writes the journal may be loaded with the first commit of many logs. */
async function warmedUp(store: LogStore): Promise<void> {
  const chunks = WARM_LOGS.map((log) => chunk(log, 0, 0));
  await store.append(commit(1, ...chunks), 'relaxed');
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setTimeout(resolve, 1));
  await atRest(store);
}

/** Nothing came since the last call, nor while it was drained. */
async function atRest(store: LogStore): Promise<void> {
  for (let calls = 0; calls < 3; calls++) {
    store.releaseUnused();
    for (let turn = 0; turn < 8; turn++) await store.leadership(); // a drain is under way; it goes on behind us
  }
}

/** Logs as plain arrays. */
class Model {
  readonly logs: Map<LogId, Chunk[]> = new Map();
  readonly starts: Map<LogId, number> = new Map();
  readonly ends: Map<LogId, number> = new Map();

  copy(): Model {
    const copy = new Model();
    for (const [log, chunks] of this.logs) copy.logs.set(log, [...chunks]);
    for (const [log, end] of this.ends) copy.ends.set(log, end);
    for (const [log, start] of this.starts) copy.starts.set(log, start);
    return copy;
  }

  /** A chunk of each log, behind what it has. */
  next(logs: readonly LogId[], size = 100): Chunk[] {
    return logs.map((log) => {
      const baseOffset = this.ends.get(log) ?? 0;
      const added = chunk(log, baseOffset, baseOffset + (baseOffset % 3), size);
      this.logs.set(log, [...(this.logs.get(log) ?? []), added]);
      this.ends.set(log, added.lastOffset + 1);
      return added;
    });
  }

  deleteBefore(log: LogId, offset: number): void {
    this.starts.set(log, Math.max(offset, this.starts.get(log) ?? 0));
    this.logs.set(
      log,
      (this.logs.get(log) ?? []).filter(({ lastOffset }) => lastOffset >= offset),
    );
  }

  async isIn(store: LogStore): Promise<void> {
    for (const [log, chunks] of this.logs) {
      const logStartOffset = this.starts.get(log) ?? 0;
      const last = chunks.at(-1)?.lastOffset;
      const ends = await store.ends(log);
      assert.deepEqual([ends.logStartOffset, ends.lastOffset], [logStartOffset, last], `the ends of log ${log}`);
      for (const [at, { baseOffset, lastOffset }] of chunks.entries()) {
        if (baseOffset < logStartOffset) continue; // deletion leaves, of a row, what it held beside
        const maxBytes = [1, 350, 100_000][at % 3] as number;
        await readsOn(store, log, { offset: at % 2 ? lastOffset : baseOffset, maxBytes, expected: chunks.slice(at) });
      }
      assert.deepEqual(await store.read(log, (last ?? -1) + 1, 1_000), []);
    }
  }
}

/** From an offset on, a few reads: each batch once, in order. */
async function readsOn(
  store: LogStore,
  log: LogId,
  read: { readonly offset: number; readonly maxBytes: number; readonly expected: readonly Chunk[] },
): Promise<void> {
  const { offset, maxBytes, expected } = read;
  const endOffset = (expected.at(-1)?.lastOffset ?? -1) + 1;
  const got: Uint8Array[] = [];
  for (let next = offset, reads = 0; next < endOffset && reads < 3; reads++) {
    const rows = await store.read(log, next, maxBytes);
    assert.isNotEmpty(rows, `log ${log} from ${next}`);
    const size = rows.reduce((sum, { byteLength }) => sum + byteLength, 0);
    assert.isTrue(rows.length === 1 || size <= maxBytes, `${size} of at most ${maxBytes} bytes`);
    for (const batch of rows.flatMap(batchesOf)) {
      if (batch.lastOffset < next) continue; // of the row that holds the offset
      got.push(batch.bytes);
      next = batch.lastOffset + 1;
    }
  }
  const wanted = concatBytes(expected.map(({ bytes }) => bytes)).subarray(0, concatBytes(got).byteLength);
  assert.isTrue(sameBytes(concatBytes(got), wanted), `log ${log} from ${offset}, ${maxBytes} bytes a read`);
}

/** The chunks that a row was joined of. */
function batchesOf(row: Uint8Array): { readonly lastOffset: number; readonly bytes: Uint8Array }[] {
  const batches: { lastOffset: number; bytes: Uint8Array }[] = [];
  const view = new DataView(row.buffer, row.byteOffset, row.byteLength);
  for (let at = 0; at < row.byteLength; ) {
    const size = 12 + view.getInt32(at + 8);
    const lastOffset = Number(view.getBigInt64(at)) + view.getInt32(at + 23);
    batches.push({ lastOffset, bytes: row.subarray(at, at + size) });
    at += size;
  }
  return batches;
}

async function modelRun(seed: number, fixture: LogStoreFixture): Promise<void> {
  const random = mulberry32(seed);
  const below = (n: number): number => Math.floor(random() * n);
  const rules = { ...SMALL_JOURNAL, minLogs: 1 + below(3), drainBytes: 500 + below(4_000) };
  const stores = [await fixture.open(rules), await fixture.open(rules)];
  let epoch = 0;
  let leader = stores[0] as LogStore;
  let model = new Model();
  const sealedEnds = new Map<LogId, number>();
  /** An id is never used again. */
  let ids: readonly LogId[] = [1, 2, 3, 4];

  const takeOver = async (): Promise<void> => {
    if (below(2) === 0) {
      const at = below(2);
      stores[at] = await fixture.open(rules); // the other one is left open, as by a tab that sleeps
    }
    leader = stores[below(2)] as LogStore;
    assert.strictEqual(await leader.claimLeadership(epoch, 'x', 1), epoch + 1);
    epoch++;
  };
  await takeOver();
  await warmed(leader, epoch, model);

  for (let step = 0; step < 60; step++) {
    const log = ids[below(ids.length)] as LogId;
    const logs = ids.filter(() => below(2) === 0);
    switch (below(10)) {
      case 0:
      case 1:
      case 2:
      case 3: {
        // Some commits in flight; one may fail, and then all behind it do.
        const count = 1 + below(4);
        const failing = below(4) === 0 ? below(count) : count;
        const ahead = model.copy();
        const appends: Promise<void>[] = [];
        const after: Model[] = [];
        for (let at = 0; at < count; at++) {
          const small = ahead.next(logs.length > 0 ? logs : [log], 61 + below(100));
          const large = below(4) === 0 ? ahead.next([log], 300 + below(3_000)) : [];
          const broken = at === failing && { checkpoints: [{ log, offset: 1, snapshot: () => 1 }] };
          appends.push(leader.append({ ...commit(epoch, ...small, ...large), ...broken }, 'relaxed'));
          after.push(ahead.copy());
        }
        const deposes = failing === count && below(6) === 0;
        const settled = Promise.allSettled(appends);
        if (deposes) await takeOver();
        const outcomes = (await settled).map(({ status }) => status);
        const written = outcomes.filter((status) => status === 'fulfilled').length;
        assert.deepEqual(outcomes.slice(0, written), Array(written).fill('fulfilled'));
        if (!deposes) assert.strictEqual(written, failing);
        model = after[written - 1] ?? model;
        break;
      }
      case 4:
        await takeOver();
        if (below(2) === 0) await warmed(leader, epoch, model);
        break;
      case 5: {
        const start = model.starts.get(log) ?? 0;
        const offset = start + below((model.ends.get(log) ?? 0) - start + 1);
        await leader.deleteBefore(log, offset, epoch);
        model.deleteBefore(log, offset);
        break;
      }
      case 6: {
        const rows = (model.logs.get(log) ?? []).filter(({ baseOffset }) => baseOffset >= (sealedEnds.get(log) ?? 0));
        const taken = rows.slice(0, below(rows.length + 1));
        const start = model.starts.get(log) ?? 0;
        const baseOffset = (await leader.sealedSegments(log)).at(-1)?.nextOffset ?? taken[0]?.baseOffset;
        const nextOffset = (taken.at(-1)?.lastOffset ?? -1) + 1;
        if (baseOffset === undefined || nextOffset <= Math.max(baseOffset, start)) break;
        if (taken[0]?.baseOffset !== baseOffset || (await hasRowAcross(leader, log, baseOffset))) break;
        await leader.drain(log, epoch);
        const sealed = [await leader.stageSealed(sealedOf(taken, baseOffset, nextOffset), epoch)];
        await leader.publishSealed({ log, baseOffset, nextOffset, sealed, segments: [] }, epoch);
        sealedEnds.set(log, nextOffset);
        if (below(2) === 0) await leader.sweepSealed(log, epoch);
        break;
      }
      case 7:
        if (below(2) === 0) await leader.drain(log, epoch);
        else await atRest(leader);
        break;
      case 8:
        if (below(3) > 0) break;
        await leader.deleteLog(log, epoch);
        for (const kept of [model.logs, model.starts, model.ends, sealedEnds]) kept.delete(log);
        ids = [...ids.filter((id) => id !== log), Math.max(...ids) + 1];
        break;
      default:
        await model.isIn(stores[below(2)] as LogStore);
    }
  }
  for (const store of stores) await model.isIn(store);
  await takeOver();
  await atRest(leader);
  for (const store of stores) await model.isIn(store);
  for (const store of stores) await store.close();
}

/** Whether a row begins before the offset and ends behind it, as a log start in its midst leaves one. */
async function hasRowAcross(store: LogStore, log: LogId, offset: number): Promise<boolean> {
  const [first] = await store.read(log, offset, 1);
  return first !== undefined && Number(new DataView(first.buffer, first.byteOffset).getBigInt64(0)) < offset;
}

async function warmed(store: LogStore, epoch: number, model: Model): Promise<void> {
  await store.append(commit(epoch, ...model.next(WARM_LOGS)), 'relaxed');
  for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setTimeout(resolve, 1));
}
