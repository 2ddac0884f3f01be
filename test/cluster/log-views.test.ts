import { beforeEach, describe, expect, test } from 'vitest';
import * as transactionsPart from '../../src/broker/transactions-part.js';
import { HostLogViews } from '../../src/cluster/log-views.js';
import { ReadAhead } from '../../src/cluster/read-ahead.js';
import type { LogAdvance } from '../../src/log/log-view.js';
import type { SimulatedTab } from '../../src/runtime/simulated-tab.js';
import { NO_FAULTS, Simulation } from '../../src/runtime/simulation.js';
import { MemoryDisk } from '../../src/storage/memory-disk.js';
import { MemoryLogStore } from '../../src/storage/memory-log-store.js';
import { crc32c } from '../../src/util/crc32c.js';
import { runIn } from './simulated-run.js';

const LOG = 7;

interface Party {
  readonly tab: SimulatedTab;
  readonly store: MemoryLogStore;
  readonly views: HostLogViews;
  /** What it has said that it reads. */
  readonly told: readonly (readonly number[] | undefined)[];
}

let simulation: Simulation;
let disk: MemoryDisk;
let leader: Party;
let reader: Party;
let end: number;
let othersRead: boolean;

beforeEach(async () => {
  simulation = new Simulation({ seed: 1 });
  disk = new MemoryDisk();
  end = 0;
  othersRead = true;
  leader = await party('leader');
  reader = await party('reader');
  await run(leader.store.claimLeadership(0, 'leader', 0));
});

function run<T>(job: Promise<T>): Promise<T> {
  return runIn(simulation, job, 60_000);
}

async function party(name: string): Promise<Party> {
  const tab = simulation.tab(name);
  const options = { newIncarnationId: 'one', delay: tab.storageDelay };
  const store = await run(MemoryLogStore.open(disk, options));
  const { runtime } = tab;
  const readAhead = async () => ({ ReadAhead });
  const told: (readonly number[] | undefined)[] = [];
  const isRead = () => othersRead;
  const onReads = (reads: readonly number[] | undefined) => void told.push(reads);
  const views = new HostLogViews({
    clusterName: 'c',
    runtime,
    store,
    isRead,
    onReads,
    transactions: async () => transactionsPart,
    readAhead,
  });
  return { tab, store, views, told };
}

/** The leader commits `count` offsets of `size` bytes and announces them. */
async function commit(count: number, size = 100): Promise<void> {
  const chunk = { log: LOG, baseOffset: end, lastOffset: end + count - 1, bytes: batchLike(end, count, size) };
  await run(leader.store.append({ leaderEpoch: 1, chunks: [chunk] }, 'relaxed'));
  end += count;
  const advance: LogAdvance = { log: LOG, leaderEpoch: 1, logStartOffset: 0, highWatermark: end, chunks: [chunk] };
  leader.views.announce(advance);
}

/** A batch whose records nobody reads. */
function batchLike(baseOffset: number, count: number, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  view.setBigInt64(0, BigInt(baseOffset));
  view.setInt32(8, size - 12);
  view.setInt8(16, 2);
  view.setInt32(23, count - 1);
  view.setInt32(57, count);
  view.setUint32(17, crc32c(bytes, 21));
  return bytes;
}

const baseOffsetOf = (bytes: Uint8Array): number => Number(new DataView(bytes.buffer).getBigInt64(0));

describe('a view of a log', () => {
  test('begins with what the database holds', async () => {
    await commit(5);
    const view = await run(reader.views.open(LOG));
    expect(view.highWatermark).toBe(5);
    expect((await run(view.read(0, 1000))).map(baseOffsetOf)).toEqual([0]);
  });

  test('hears of commits, and reads small ones without the database', async () => {
    const view = await run(reader.views.open(LOG));
    const heard = view.advancedBeyond(0, new AbortController().signal);
    await commit(3);
    await run(heard);
    disk.disconnect();
    expect((await view.read(1, 1000)).map(baseOffsetOf)).toEqual([0]);
  });

  test('of what this host committed last is read without the database, also by who comes later', async () => {
    for (let i = 0; i < 20; i++) await commit(2, 40_000);
    const view = await run(leader.views.open(LOG, { fetchOffset: 0, maxBytes: 50_000 }));
    disk.disconnect();
    for (let i = 0; i < 20; i++) expect((await run(view.read(2 * i, 50_000))).map(baseOffsetOf)).toEqual([2 * i]);
  });

  test('of what this host committed long ago is read from the database', async () => {
    await commit(2);
    await run(leader.tab.runtime.clock.sleep(40_000));
    leader.views.tick();
    const view = await run(leader.views.open(LOG));
    disk.disconnect();
    await expect(run(view.read(0, 50_000))).rejects.toThrow();
  });

  test.each([false, true])('reads ahead, and forgets what is written anew meanwhile: %s', async (isRewritten) => {
    const view = await run(reader.views.open(LOG));
    for (let i = 0; i < 20; i++) await commit(2, 40_000);
    await run(view.advancedBeyond(end - 1, new AbortController().signal));
    for (let i = 0; i < 4; i++) expect((await run(view.read(2 * i, 50_000))).map(baseOffsetOf)).toEqual([2 * i]);
    await run(reader.tab.runtime.clock.sleep(1_000)); // it reads on
    const rewritten = isRewritten ? { rewrittenOffset: end } : {};
    const advance = { log: LOG, leaderEpoch: 1, logStartOffset: 0, highWatermark: end, chunks: [] };
    leader.views.announce({ ...advance, ...rewritten });
    await run(reader.tab.runtime.clock.sleep(1_000));
    disk.disconnect();
    const read = run(view.read(8, 50_000));
    if (isRewritten) await expect(read).rejects.toThrow();
    else expect((await read).map(baseOffsetOf)).toEqual([8]);
  });

  test('of a log that is deleted lets all go who wait, is read no more, and told no more', async () => {
    await commit(1);
    const view = await run(reader.views.open(LOG));
    const waits = [1, 9].map((offset) => view.advancedBeyond(offset, new AbortController().signal));
    reader.views.remove(LOG);
    reader.views.remove(LOG + 1); // which nobody has opened
    await run(Promise.all(waits));
    await view.advancedBeyond(1, new AbortController().signal);
    expect(view.idleSince(Infinity)).toBe(true);
    await run(Promise.resolve());
    expect(reader.told.at(-1)).toEqual([]);
    await simulation.run({ maxMs: 1_000 });
    expect([reader.tab.openTimers, reader.tab.openChannels]).toEqual([0, 0]);
    expect(await run(reader.views.open(LOG))).not.toBe(view);
  });

  test('reads what was too large to be told from the database', async () => {
    const view = await run(reader.views.open(LOG));
    const heard = view.advancedBeyond(0, new AbortController().signal);
    await commit(3, 40_000);
    await run(heard);
    await commit(1);
    const all = await run(view.read(0, 100_000));
    expect(all.map(baseOffsetOf)[0]).toBe(0);
    expect(view.highWatermark).toBeGreaterThanOrEqual(3);
  });

  test('has read on for a reader who went on before, and gives each chunk away once', async () => {
    for (let i = 0; i < 7; i++) await commit(1, 40_000);
    const view = await run(reader.views.open(LOG));
    for (const offset of [0, 1, 2, 3]) await run(view.read(offset, 50_000));
    await simulation.run({ maxMs: 1000 });
    disk.disconnect();
    expect((await view.read(4, 50_000)).map(baseOffsetOf)).toEqual([4]);
    await expect(run(view.read(4, 50_000))).rejects.toThrow();
  });

  test('finds out by itself where an announcement was lost', async () => {
    const view = await run(reader.views.open(LOG));
    simulation.faults.dropChance = 1;
    const heard = view.advancedBeyond(0, new AbortController().signal);
    await commit(2);
    await run(heard);
    expect(view.highWatermark).toBe(2);
    simulation.faults.dropChance = NO_FAULTS.dropChance;
  });

  test('finds soon by itself what the leader did not tell a reader that it had not heard of', async () => {
    const view = await run(reader.views.open(LOG));
    othersRead = false;
    const heard = view.advancedBeyond(0, new AbortController().signal);
    const startMs = reader.tab.runtime.clock.monotonicMs();
    await commit(2);
    await run(heard);
    expect(view.highWatermark).toBe(2);
    expect(reader.tab.runtime.clock.monotonicMs() - startMs).toBeLessThan(500);
    expect(reader.told).toEqual([[LOG], [LOG]]); // once more, since the leader seems not to know
  });

  test('of more than one is told once for all that open together, and again when they are closed', async () => {
    await run(Promise.all([1, 2, 3].map((log) => reader.views.open(log))));
    expect(reader.told).toEqual([[1, 2, 3]]);
    await run(reader.tab.runtime.clock.sleep(40_000));
    reader.views.tick();
    await Promise.resolve();
    expect(reader.told.slice(1)).toEqual([[]]);
  });

  test('of very many is told as of all', async () => {
    await run(Promise.all(Array.from({ length: 65 }, (_, log) => reader.views.open(log))));
    expect(reader.told).toEqual([undefined]);
  });

  test('never falls back, whatever comes late or twice', async () => {
    simulation.faults.duplicateChance = 0.5;
    simulation.faults.reorder = true;
    simulation.faults.messageDelayMs = [0, 200];
    const view = await run(reader.views.open(LOG));
    let highest = 0;
    for (let i = 0; i < 50; i++) {
      await commit(1 + (i % 3));
      await simulation.run({ maxMs: 30 });
      expect(view.highWatermark).toBeGreaterThanOrEqual(highest);
      highest = view.highWatermark;
      let next = 0;
      for (const bytes of await run(view.read(0, 1_000_000))) {
        expect(baseOffsetOf(bytes)).toBe(next);
        next += new DataView(bytes.buffer).getInt32(23) + 1;
      }
      expect(next).toBe(highest);
    }
  });

  test('is closed once nobody has used it for long, and then leaves nothing behind', async () => {
    const view = await run(reader.views.open(LOG));
    await run(reader.tab.runtime.clock.sleep(40_000));
    reader.views.tick();
    expect([reader.tab.openChannels, reader.tab.openTimers]).toEqual([0, 0]);
    await expect(view.advancedBeyond(10, new AbortController().signal)).rejects.toThrow('closed');
    expect((await run(reader.views.open(LOG))).highWatermark).toBe(0);
  });

  test('keeps nothing of what it was told, once it is not told of changes any more', async () => {
    await run(reader.views.open(LOG));
    await run(reader.tab.runtime.clock.sleep(25_000));
    await commit(1); // later than the view was used
    await run(reader.tab.runtime.clock.sleep(10_000));
    reader.views.tick();
    const view = await run(reader.views.open(LOG));
    disk.disconnect();
    await expect(run(view.read(0, 1000))).rejects.toThrow();
  });

  test('a host that leads no more keeps what its readers are told of, and nothing else', async () => {
    const view = await run(leader.views.open(LOG));
    await commit(1);
    const unread = { log: LOG + 1, baseOffset: 0, lastOffset: 0, bytes: batchLike(0, 1, 100) };
    await run(leader.store.append({ leaderEpoch: 1, chunks: [unread] }, 'relaxed'));
    leader.views.announce({ log: LOG + 1, leaderEpoch: 1, logStartOffset: 0, highWatermark: 1, chunks: [unread] });
    leader.views.ledNoMore();
    const other = await run(leader.views.open(LOG + 1));
    disk.disconnect();
    expect((await run(view.read(0, 1000))).map(baseOffsetOf)).toEqual([0]);
    await expect(run(other.read(0, 1000))).rejects.toThrow();
  });

  test('stays open while somebody waits', async () => {
    const view = await run(reader.views.open(LOG));
    const stop = new AbortController();
    const waiting = view.advancedBeyond(0, stop.signal);
    waiting.catch(() => {});
    await simulation.run({ maxMs: 60_000 });
    reader.views.tick();
    expect(reader.tab.openChannels).toBe(1);
    stop.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
  });
});
