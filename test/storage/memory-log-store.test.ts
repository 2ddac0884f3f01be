import { describe, expect, it, test } from 'vitest';
import { type Chunk, type Commit, RESERVE_BYTES } from '../../src/storage/log-store.js';
import { MemoryDisk } from '../../src/storage/memory-disk.js';
import { MemoryLogStore, type StorageStep } from '../../src/storage/memory-log-store.js';
import { SealedSegmentBuilder } from '../../src/storage/sealed-segment.js';
import { isQuotaExceeded } from '../../src/storage/storage-errors.js';
import { concatBytes } from '../../src/util/bytes.js';
import { describeJournal } from '../suites/journal.js';
import { describeLogStore, type LogStoreFixture } from '../suites/log-store.js';

async function newFixture(): Promise<LogStoreFixture> {
  const disk = new MemoryDisk();
  let opened = 0;
  return {
    open: (journalRules) => MemoryLogStore.open(disk, { newIncarnationId: `incarnation ${++opened}`, journalRules }),
    wipe: async () => disk.wipe(),
    damageSealed: async (log, baseOffset) => disk.damageSealed(log, baseOffset),
  };
}

describeLogStore('MemoryLogStore', newFixture, { describe, it });
describeJournal('MemoryLogStore', newFixture, { describe, it });

function chunk(offset: number, size = 100): Chunk {
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  view.setBigInt64(0, BigInt(offset));
  view.setInt32(8, size - 12);
  return { log: 1, baseOffset: offset, lastOffset: offset, bytes };
}

function commit(...offsets: number[]): Commit {
  return { leaderEpoch: 1, chunks: offsets.map((offset) => chunk(offset)) };
}

async function ledStore(disk: MemoryDisk, delay?: (step: StorageStep) => Promise<void>): Promise<MemoryLogStore> {
  const store = await MemoryLogStore.open(disk, { newIncarnationId: 'one', ...(delay && { delay }) });
  await store.claimLeadership(0, 'a', 1);
  return store;
}

test('a full disk refuses an append as a whole, by a name that can be told apart, and takes it once there is room', async () => {
  const disk = new MemoryDisk({ quotaBytes: 250 });
  const store = await ledStore(disk);
  await store.append(commit(0, 1), 'relaxed');
  const refused = await store.append(commit(2), 'relaxed').catch((error: unknown) => error);
  expect(refused).toMatchObject({
    type: 'KAFKA_STORAGE_ERROR',
    message: expect.stringContaining('QuotaExceededError'),
  });
  expect(isQuotaExceeded(refused)).toBe(true);
  expect(disk.sizeInBytes).toBe(200);
  await store.deleteBefore(1, 1, 1);
  await store.append(commit(2), 'relaxed');
  expect(disk.sizeInBytes).toBe(200);
});

test('a failure on demand takes the commits behind it along, until the writer has heard of it', async () => {
  const completions: (() => void)[] = [];
  let isHeld = false;
  const disk = new MemoryDisk();
  const store = await ledStore(disk, async (step) => {
    if (step === 'completion' && isHeld) await new Promise<void>((resolve) => completions.push(resolve));
  });
  isHeld = true;
  disk.failNextAppend();
  const outcomes: string[] = [];
  const append = (offset: number): Promise<void> =>
    store.append(commit(offset), 'relaxed').then(
      () => void outcomes.push(`${offset} written`),
      () => void outcomes.push(`${offset} failed`),
    );
  const first = append(0);
  while (completions.length === 0) await Promise.resolve();
  // The disk has decided, the writer does not know yet.
  const second = append(1);
  while (completions.length === 1) await Promise.resolve();
  isHeld = false;
  for (const complete of completions) complete();
  await Promise.all([first, second]);
  await append(0);
  expect(outcomes).toEqual(['0 failed', '1 failed', '0 written']);
});

test('a power cut takes all since the last strict commit, or what the disk had not written back', async () => {
  for (const [survivors, lastOffset] of [
    [0, 1],
    [1, 2],
    [2, 3],
    [9, 3],
  ] as const) {
    const disk = new MemoryDisk();
    const store = await ledStore(disk);
    await store.append(commit(0), 'relaxed');
    await store.append(commit(1), 'strict');
    await store.append(commit(2), 'relaxed');
    await store.append(commit(3), 'relaxed');
    disk.powerCut(survivors);
    const after = await MemoryLogStore.open(disk, { newIncarnationId: 'two' });
    expect(after.incarnationId).toBe('one');
    expect((await after.ends(1)).lastOffset).toBe(lastOffset);
    expect((await after.leadership()).epoch).toBe(1);
    expect(disk.sizeInBytes).toBe(100 * (lastOffset + 1));
  }
});

test('where the disk is full, the journal stays as it is, and what would go around it fails until there is room', async () => {
  const journalRules = { minLogs: 1, maxPartBytes: 200, drainBytes: 10_000, maxBytes: 10_000 };
  const disk = new MemoryDisk();
  const store = await MemoryLogStore.open(disk, { newIncarnationId: 'one', journalRules });
  await store.claimLeadership(0, 'a', 1);
  await store.takeReserve(1);
  for (let offset = 0; offset < 4; offset++) await store.append(commit(offset), 'relaxed');
  disk.setQuota(disk.sizeInBytes + RESERVE_BYTES);
  const isFull = async (write: Promise<unknown>): Promise<boolean> =>
    write.then(
      () => false,
      (error: unknown) => isQuotaExceeded(error),
    );
  expect(await isFull(store.append({ leaderEpoch: 1, chunks: [chunk(4, 300)] }, 'relaxed'))).toBe(true);
  expect(await isFull(store.append(commit(4), 'relaxed'))).toBe(true);
  expect(await isFull(store.drain(1, 1))).toBe(true);
  expect(disk.journalBytes).toBe(400);
  const stored = concatBytes(await store.read(1, 0, 10_000));
  expect(stored).toEqual(concatBytes([0, 1, 2, 3].map((offset) => chunk(offset).bytes)));
  await store.dropReserve(1);
  await store.deleteBefore(1, 2, 1);
  await store.append({ leaderEpoch: 1, chunks: [chunk(4, 300)] }, 'relaxed');
  expect(disk.journalBytes).toBe(0);
  const { logStartOffset, lastOffset } = await store.ends(1);
  expect([logStartOffset, lastOffset]).toEqual([2, 4]);
});

// Whatever the machine keeps of the commits since the last strict one, the journal and the rows it was moved to are one state.
test('a power cut takes a drain and what is in the journal together, and the next leader goes on behind what is left', async () => {
  const journalRules = { minLogs: 1, maxPartBytes: 200, drainBytes: 350, maxBytes: 10_000 };
  for (let survivors = 0; survivors <= 8; survivors++) {
    const disk = new MemoryDisk();
    const store = await MemoryLogStore.open(disk, { newIncarnationId: 'one', journalRules });
    await store.claimLeadership(0, 'a', 1);
    await store.append(commit(0), 'strict');
    for (let offset = 1; offset < 8; offset++) {
      await store.append({ leaderEpoch: 1, chunks: [chunk(offset, offset === 4 ? 300 : 100)] }, 'relaxed');
    }
    await store.drain(1, 1);
    disk.powerCut(survivors);
    const next = await MemoryLogStore.open(disk, { newIncarnationId: 'one', journalRules });
    expect(await next.claimLeadership(1, 'b', 2)).toBe(2);
    const { lastOffset = -1 } = await next.ends(1);
    expect(lastOffset).toBe(Math.min(survivors, 7));
    await next.append({ leaderEpoch: 2, chunks: [chunk(lastOffset + 1, 300)] }, 'relaxed');
    const read = concatBytes(await next.read(1, 0, 100_000));
    const expected = Array.from({ length: lastOffset + 1 }, (_, offset) => chunk(offset, offset === 4 ? 300 : 100));
    expect(read).toEqual(concatBytes([...expected, chunk(lastOffset + 1, 300)].map(({ bytes }) => bytes)));
  }
});

test('a power cut gives back what a deletion since the last strict commit took', async () => {
  const disk = new MemoryDisk();
  const store = await ledStore(disk);
  await store.append(commit(0, 1, 2), 'strict');
  await store.deleteBefore(1, 2, 1);
  await store.deleteLog(1, 1);
  disk.powerCut();
  const after = await MemoryLogStore.open(disk, { newIncarnationId: 'two' });
  expect(await after.ends(1)).toMatchObject({ logStartOffset: 0, lastOffset: 2 });
  expect(await after.read(1, 0, 1000)).toHaveLength(3);
});

test('completions come in the order of the commits, however long each takes', async () => {
  const completions: (() => void)[] = [];
  let isHeld = false;
  const store = await ledStore(new MemoryDisk(), async (step) => {
    if (step === 'completion' && isHeld) await new Promise<void>((resolve) => completions.push(resolve));
  });
  isHeld = true;
  const settled: number[] = [];
  const appends = [0, 1, 2].map((at) => store.append(commit(at), 'relaxed').then(() => settled.push(at)));
  while (completions.length < 3) await Promise.resolve();
  for (const complete of completions.reverse()) {
    complete();
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  }
  await Promise.all(appends);
  expect(settled).toEqual([0, 1, 2]);
});

test('a tab that dies between commit and completion has written, and never hears of it', async () => {
  const disk = new MemoryDisk();
  let dies = false;
  const store: MemoryLogStore = await ledStore(disk, async (step) => {
    if (dies && step === 'completion') store.kill();
  });
  dies = true;
  let settled = false;
  const note = (): void => void (settled = true);
  store.append(commit(0), 'relaxed').then(note, note);
  const next = await MemoryLogStore.open(disk, { newIncarnationId: 'two' });
  expect((await next.ends(1)).lastOffset).toBe(0);
  store.leadership().then(note, note);
  await next.leadership();
  expect(settled).toBe(false);
});

test('a tab that dies before the commit has written nothing and holds up nobody', async () => {
  const disk = new MemoryDisk();
  let hangs = false;
  const store = await ledStore(disk, (step) => (hangs && step === 'write' ? new Promise(() => {}) : Promise.resolve()));
  const next = await MemoryLogStore.open(disk, { newIncarnationId: 'two' });
  hangs = true;
  void store.append(commit(0), 'relaxed');
  const claim = next.claimLeadership(1, 'b', 2);
  store.kill();
  expect(await claim).toBe(2);
  expect((await next.ends(1)).lastOffset).toBeUndefined();
});

async function sealed(disk: MemoryDisk, store: MemoryLogStore): Promise<void> {
  const builder = new SealedSegmentBuilder(1, 0);
  for (const { bytes } of [chunk(0), chunk(1), chunk(2)]) builder.add(bytes);
  const staged = await store.stageSealed(builder.finish(3), 1);
  expect(disk.sizeInBytes).toBe(700);
  await store.publishSealed({ log: 1, baseOffset: 0, nextOffset: 3, sealed: [staged], segments: [] }, 1);
}

test('a power cut may give the swept rows back and take the publication, never both tiers', async () => {
  for (let survivors = 0; survivors < 5; survivors++) {
    const disk = new MemoryDisk();
    const store = await ledStore(disk);
    await store.append(commit(0, 1, 2, 3), 'relaxed');
    await sealed(disk, store);
    await store.sweepSealed(1, 1);
    expect(disk.sizeInBytes).toBe(400);
    disk.powerCut(survivors);
    const after = await MemoryLogStore.open(disk, { newIncarnationId: 'two' });
    expect((await after.ends(1)).lastOffset).toBe(3);
    expect(concatBytes(await after.read(1, 0, 1000)).byteLength).toBe(survivors === 0 ? 400 : 300);
    await after.claimLeadership(1, 'b', 2);
    await after.sweepSealed(1, 2);
    expect(disk.sizeInBytes).toBe(400);
  }
});

test('a full disk, an abort and a file that vanishes refuse to seal, and leave the log as it was', async () => {
  let aborts = false;
  const disk = new MemoryDisk({ aborts: () => aborts });
  const store = await ledStore(disk);
  await store.append(commit(0, 1, 2, 3), 'relaxed');
  disk.setQuota(600);
  expect(isQuotaExceeded(await sealed(disk, store).catch((error: unknown) => error))).toBe(true);
  disk.setQuota(Infinity);
  disk.damageSealed();
  await expect(sealed(disk, store)).rejects.toMatchObject({ type: 'KAFKA_STORAGE_ERROR' });
  aborts = true;
  await expect(sealed(disk, store)).rejects.toMatchObject({ type: 'KAFKA_STORAGE_ERROR' });
  expect(disk.sizeInBytes).toBe(400);
  aborts = false;
  await sealed(disk, store);
  expect(await store.sealedSegments(1)).toHaveLength(1);
});

test('what was behind a hanging commit of a lost connection has no effect, even where it is to hang after its effect', async () => {
  const disk = new MemoryDisk();
  const store = await ledStore(disk);
  disk.wedgeNext('before');
  void store.append(commit(0), 'relaxed');
  void store.append(commit(1), 'relaxed');
  await new Promise(setImmediate);
  disk.wedgeNext('after');
  disk.disconnect();
  await new Promise(setImmediate);
  expect(disk.ends(1).lastOffset).toBe(undefined);
});
