import { expect, test } from 'vitest';
import { recoverLog } from '../../src/log/log-recovery.js';
import { deleteRecordsBefore } from '../../src/log/log-upkeep.js';
import { seededRandom } from '../../src/runtime/seeded-random.js';
import type { LogStore } from '../../src/storage/log-store.js';
import { MemoryLogStore } from '../../src/storage/memory-log-store.js';
import { batch, LOG, leader, MemoryDisk, sequenced, transactions } from './harness.js';

const OPTIONS = { nowMs: 1_000_000, transactions };

// Goal: a checkpoint is nothing but a shortcut: wherever a crash cuts the log, recovery with it and without it agree.
// Method: a random log of many commits; the power goes after each of them in turn (`powerCut` keeps a prefix).
test.each([1, 2, 3])(
  'recovery from any prefix of the commits equals a replay of the whole log (seed %i)',
  async (seed) => {
    let commits = 1;
    for (let survivors = 0; survivors < commits; survivors += 11) {
      const disk = new MemoryDisk();
      commits = await writeRandomLog(disk, seed);
      disk.powerCut(survivors + 3); // three election rows come first
      const store = await MemoryLogStore.open(disk, { newIncarnationId: 'test' });
      const recovered = await recoverLog(store, LOG, OPTIONS);
      const replayed = await recoverLog(withoutCheckpoint(store), LOG, OPTIONS);
      expect(recovered.state.nextOffset).toBe(replayed.state.nextOffset);
      expect(plain(recovered.state.snapshot())).toEqual(plain(replayed.state.snapshot()));
    }
  },
);

test('recovery reads a bounded part of the log, however long it is', async () => {
  const disk = new MemoryDisk();
  const log = await (await leader(disk)).open();
  const large = 'x'.repeat(50_000);
  for (let i = 0; i < 200; i++) await log.append(batch([large]), 'client');
  const store = await MemoryLogStore.open(disk, { newIncarnationId: 'test' });
  let bytes = 0;
  const counting: LogStore = Object.create(store, {
    read: {
      value: async (...args: Parameters<LogStore['read']>) => {
        const chunks = await store.read(...args);
        for (const chunk of chunks) bytes += chunk.byteLength;
        return chunks;
      },
    },
    ends: { value: store.ends.bind(store) },
  });
  expect((await recoverLog(counting, LOG, OPTIONS)).state.nextOffset).toBe(200);
  expect(bytes).toBeLessThan(1024 * 1024);
});

test('leaders that write little, one after another, leave no more to replay than one', async () => {
  const disk = new MemoryDisk();
  for (let term = 0; term < 10; term++) {
    const log = await (await leader(disk)).open();
    for (let i = 0; i < 3; i++) await log.append(batch(['x'.repeat(50_000)]), 'client');
  }
  const store = await MemoryLogStore.open(disk, { newIncarnationId: 'test' });
  const { state, replayed } = await recoverLog(store, LOG, OPTIONS);
  expect(state.nextOffset).toBe(30);
  expect(replayed.bytes).toBeLessThan(256 * 1024);
});

// What it knows of a producer may be older than batches that were deleted: it would refuse the next one for ever.
test('a checkpoint that lies below the log start says nothing of producers', async () => {
  const disk = new MemoryDisk();
  const log = await (await leader(disk)).open();
  for (let i = 0; i < 500; i++) await log.append(sequenced(i, ['a']), 'client'); // with a checkpoint
  await log.append(sequenced(500, ['b']), 'client');
  await log.append(batch(['c']), 'client');
  await deleteRecordsBefore(log, 501);
  const recovered = await (await leader(disk)).open();
  expect(await recovered.append(sequenced(501, ['d']), 'client')).toMatchObject({ baseOffset: 502 });
});

test('a hole in the log is no shorter log, and no offset of it is given again', async () => {
  const { open, store, leaderEpoch } = await leader();
  const log = await open();
  for (const value of ['a', 'b', 'c']) await log.append(batch([value]), 'client');
  await (await store.raw()).apply({ log: LOG, deleteChunks: [1] }, leaderEpoch);
  expect((await recoverLog(store, LOG, OPTIONS)).state.nextOffset).toBe(3);
});

test('a checkpoint that knows more than the rows tells where the log ended', async () => {
  const { open, store, leaderEpoch } = await leader();
  const log = await open();
  for (let i = 0; i < 8; i++) await log.append(batch(['x'.repeat(50_000)]), 'client');
  const { checkpoint } = await store.ends(LOG);
  expect(checkpoint?.offset).toBeGreaterThan(4);
  await (await store.raw()).apply({ log: LOG, deleteChunks: [3, 4, 5, 6, 7] }, leaderEpoch);
  expect((await recoverLog(store, LOG, OPTIONS)).state.nextOffset).toBe(checkpoint?.offset);
});

/** Three leaders one after another; small segments; producers with several epochs. Returns the number of commits. */
async function writeRandomLog(disk: MemoryDisk, seed: number): Promise<number> {
  const random = seededRandom(seed);
  let commits = 0;
  const sequences = new Map<number, { epoch: number; next: number }>();
  for (let term = 0; term < 3; term++) {
    const { open, advances } = await leader(disk);
    const log = await open({ topicConfig: { 'segment.bytes': '300000', 'max.message.bytes': '100000' } });
    for (let i = 0; i < 60; i++) {
      const id = random.below(4);
      const producer = sequences.get(id) ?? { epoch: 0, next: 0 };
      if (random.below(20) === 0) sequences.set(id, { epoch: producer.epoch + 1, next: 0 });
      const { epoch, next } = sequences.get(id) ?? producer;
      const values = Array.from({ length: 1 + random.below(5) }, () => 'x'.repeat(random.below(8000)));
      const plainBatch = () => batch(values.map((value) => ({ value, timestampMs: random.below(1_000_000) })));
      if (id === 3) await log.append(plainBatch(), 'client');
      else await log.append(sequenced(next, values, { id, epoch }), 'client');
      sequences.set(id, { epoch, next: next + values.length });
    }
    commits += advances.length;
  }
  return commits;
}

function withoutCheckpoint(store: LogStore): LogStore {
  return Object.create(store, {
    ends: { value: async (log: number) => ({ ...(await store.ends(log)), checkpoint: undefined }) },
    read: { value: store.read.bind(store) },
  });
}

/** Producers in order of their id. */
function plain(snapshot: ReturnType<Awaited<ReturnType<typeof recoverLog>>['state']['snapshot']>): object {
  const producers = [...snapshot.producers.producers].sort((a, b) => a.producerId - b.producerId);
  return { ...snapshot, producers: { ...snapshot.producers, producers } };
}
