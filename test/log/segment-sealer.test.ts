import { describe, expect, test } from 'vitest';
import { deleteRecordsBefore, enforceRetention, sizeInBytes } from '../../src/log/log-upkeep.js';
import type { PartitionLog } from '../../src/log/partition-log.js';
import { sealClosedSegments } from '../../src/log/segment-sealer.js';
import { seededRandom } from '../../src/runtime/seeded-random.js';
import type { LogStore } from '../../src/storage/log-store.js';
import { batch, errorOf, LOG, leader, MemoryDisk, type ReadRecord, readAll, sequenced } from './harness.js';

const NEVER = new AbortController().signal;
const SMALL = { topicConfig: { 'segment.bytes': '1024' } };

/** Appends batches of one record each until there are so many closed segments; the values, by offset. */
async function fill(log: PartitionLog, store: LogStore, segments: number): Promise<string[]> {
  const values: string[] = [];
  while ((await store.segments(LOG)).length < segments) {
    const value = `value ${values.length} `.padEnd(80, '.');
    await log.append(sequenced(values.length, [value]), 'client');
    values.push(value);
  }
  return values;
}

function valuesOf(records: readonly ReadRecord[]): string[] {
  return records.map(({ value }) => value);
}

async function batchCount(store: LogStore, endOffset: number): Promise<number> {
  let batches = 0;
  for (let at = 0; at < endOffset; batches++) {
    const [chunk] = await store.read(LOG, at, 0, endOffset);
    at += new DataView(chunk!.buffer, chunk!.byteOffset).getInt32(23) + 1;
  }
  return batches;
}

test('closed segments are sealed, each in few batches, and their rows are gone; the active one stays as it is', async () => {
  const disk = new MemoryDisk();
  const { open, store } = await leader(disk);
  const log = await open(SMALL);
  const values = await fill(log, store, 4);
  const bytesBefore = disk.sizeInBytes;
  const sizeBefore = await sizeInBytes(log);
  await sealClosedSegments(log, NEVER);
  const sealed = await store.sealedSegments(LOG);
  const segments = await store.segments(LOG);
  expect(sealed).toHaveLength(4);
  expect(segments.map(({ baseOffset, nextOffset, byteCount }) => ({ baseOffset, nextOffset, byteCount }))).toEqual(
    sealed.map(({ baseOffset, nextOffset, byteCount }) => ({ baseOffset, nextOffset, byteCount })),
  );
  expect(valuesOf(await readAll(store))).toEqual(values);
  expect(await batchCount(store, sealed.at(-1)!.nextOffset)).toBe(4);
  expect(disk.sizeInBytes).toBeLessThan(bytesBefore);
  expect(await sizeInBytes(log)).toBe(sizeBefore - (bytesBefore - disk.sizeInBytes));
});

test('a log that was sealed goes on where it was after a fail-over, and still knows its producers', async () => {
  const disk = new MemoryDisk();
  const first = await leader(disk);
  const log = await first.open(SMALL);
  const values = await fill(log, first.store, 3);
  await sealClosedSegments(log, NEVER);
  const second = await leader(disk);
  const successor = await second.open(SMALL);
  expect(successor.logEndOffset).toBe(values.length);
  const repeated = await successor.append(sequenced(values.length - 1, [values.at(-1)!]), 'client');
  expect(repeated).toMatchObject({ duplicate: true, baseOffset: values.length - 1 });
  expect(await successor.append(sequenced(values.length, ['next']), 'client')).toMatchObject({ duplicate: false });
  expect(await errorOf(successor.append(sequenced(values.length + 5, ['too far']), 'client'))).toBe(
    'OUT_OF_ORDER_SEQUENCE_NUMBER',
  );
  expect(valuesOf(await readAll(second.store))).toEqual([...values, 'next']);
});

test('a log whose checkpoint is of another version of the code is recovered from what is sealed', async () => {
  const disk = new MemoryDisk();
  const first = await leader(disk);
  const log = await first.open(SMALL);
  const values = await fill(log, first.store, 3);
  await sealClosedSegments(log, NEVER);
  const checkpoint = { log: LOG, offset: 5, snapshot: { version: 'of long ago' } };
  await first.store.append({ leaderEpoch: first.leaderEpoch, chunks: [], checkpoints: [checkpoint] }, 'relaxed');
  const successor = await (await leader(disk)).open(SMALL);
  expect(successor.logEndOffset).toBe(values.length);
  expect(await successor.append(sequenced(values.length, ['next']), 'client')).toMatchObject({ duplicate: false });
});

test('what is compacted away is no hole in recovery, what is missing in the rows is', async () => {
  const disk = new MemoryDisk();
  const { open, store, leaderEpoch } = await leader(disk);
  const log = await open(SMALL);
  const values = await fill(log, store, 3);
  await sealClosedSegments(log, NEVER);
  const [, gone] = await store.sealedSegments(LOG);
  const { baseOffset, nextOffset } = gone!;
  const empty = await store.stageSealed(
    { log: LOG, baseOffset, nextOffset, byteCount: 0, crc32c: 0, index: [], parts: [] },
    leaderEpoch,
  );
  await store.publishSealed({ log: LOG, baseOffset, nextOffset, sealed: [empty], segments: [] }, leaderEpoch);
  const checkpoint = { log: LOG, offset: 5, snapshot: { version: 'of long ago' } };
  await store.append({ leaderEpoch, chunks: [], checkpoints: [checkpoint] }, 'relaxed');
  expect((await (await leader(disk)).open(SMALL)).logEndOffset).toBe(values.length);
});

test('a hole in the rows is not sealed over', async () => {
  const { open, store, leaderEpoch, groupCommit } = await leader();
  await (await open()).append(batch(['a', 'b', 'c']), 'client');
  const bytes = batch(['f']);
  new DataView(bytes.buffer).setBigInt64(0, 5n);
  const row = {
    log: LOG,
    baseOffset: 0,
    nextOffset: 6,
    byteCount: 9,
    startPosition: 0,
    maxTimestampMs: 0,
    timeIndex: [],
  };
  const chunks = [{ log: LOG, baseOffset: 5, lastOffset: 5, bytes }];
  const snapshot = (await store.ends(LOG)).checkpoint?.snapshot;
  await store.append({ leaderEpoch, chunks, segments: [row] }, 'relaxed');
  expect(snapshot).toBeUndefined();
  await groupCommit.drained();
  const { rewriteSegments } = await import('../../src/log/rewrite-segments.js');
  const unread = { rewritten: () => {} };
  const closed = { store, log: LOG, leaderEpoch, logStartOffset: 0, sealedEndOffset: 0, rows: [row], ...unread };
  expect(await errorOf(rewriteSegments(closed, [], NEVER))).toBe('CORRUPT_MESSAGE');
  expect(await store.sealedSegments(LOG)).toEqual([]);
});

test('a segment that is cut by the log start is sealed from there on', async () => {
  const { open, store } = await leader();
  const log = await open(SMALL);
  const values = await fill(log, store, 3);
  await deleteRecordsBefore(log, 4);
  await sealClosedSegments(log, NEVER);
  expect(valuesOf(await readAll(store))).toEqual(values.slice(4));
  const [, second] = await store.segments(LOG);
  await deleteRecordsBefore(log, second!.baseOffset + 1);
  expect((await store.sealedSegments(LOG)).map(({ baseOffset }) => baseOffset)[0]).toBe(second!.baseOffset);
  expect(valuesOf(await readAll(store))).toEqual(values.slice(second!.baseOffset + 1));
});

test('a large segment becomes several sealed ones, so that a pass needs no more memory than for one', async () => {
  const { open, store } = await leader();
  const log = await open({ topicConfig: { 'segment.bytes': String(20 << 20) } });
  const value = 'x'.repeat(400_000);
  const count = 60;
  for (let at = 0; at < count; at++) await log.append(batch([value]), 'client');
  await sealClosedSegments(log, NEVER);
  const sealed = await store.sealedSegments(LOG);
  expect(sealed.length).toBeGreaterThan(2);
  for (const { byteCount } of sealed) expect(byteCount).toBeLessThanOrEqual(8 << 20);
  expect(await store.segments(LOG)).toHaveLength(1);
  expect(await readAll(store)).toHaveLength(count);
});

describe('whatever happens between the steps', () => {
  // Goal: appends, seals, deletions and deaths in any order lose nothing and bring nothing back.
  // Method: a list of values by offset beside the log; leaders die at a random step of the store, or the disk aborts,
  // fills or loses power; relaxed appends that a power cut may take are flushed before.
  test.each(Array.from({ length: 25 }, (_, seed) => seed + 1))(
    'the log holds what was acknowledged (seed %i)',
    async (seed) => {
      const random = seededRandom(seed);
      let aborts = 0;
      const disk = new MemoryDisk({ aborts: () => aborts > 0 && random.below(aborts) === 0 });
      const values: string[] = [];
      let start = 0;
      let ended = await leader(disk);
      for (let life = 0; life < 6; life++) {
        const { open, store, clock } = ended;
        const log = await open({ topicConfig: { 'segment.bytes': '1024', 'retention.bytes': '9000' } });
        expect(log.logEndOffset).toBe(values.length);
        for (let step = 0; step < 12; step++) {
          const count = random.below(30);
          for (let at = 0; at < count; at++) {
            const value = `${values.length} `.padEnd(20 + random.below(120), '.');
            await log.append(sequenced(values.length, [value]), 'client');
            values.push(value);
          }
          aborts = random.below(4) === 0 ? 3 : 0;
          const stop = new AbortController();
          const sealing = sealClosedSegments(log, stop.signal).catch((error: unknown) => error);
          if (random.below(3) === 0) stop.abort(new Error('enough'));
          if (random.below(4) === 0)
            await deleteRecordsBefore(log, start + random.below(values.length - start + 1)).catch(() => {});
          if (random.below(6) === 0) await enforceRetention(log).catch(() => {});
          const outcome = await sealing;
          aborts = 0;
          if (outcome instanceof Error && outcome.name === 'AssertionError') throw outcome;
          clock.nowMs += 10;
          start = log.logStartOffset;
          expect(valuesOf(await readAll(store))).toEqual(values.slice(start));
        }
        // The next leader takes over while the last one is in the middle of a pass.
        const dying = sealClosedSegments(log, NEVER).catch(() => {});
        for (let turn = random.below(40); turn > 0; turn--) await Promise.resolve();
        const losesPower = random.below(3) === 0;
        if (losesPower) disk.powerCut(1000);
        ended = await leader(disk);
        if (!losesPower && random.below(2)) await dying;
        start = Math.max(start, (await ended.store.ends(LOG)).logStartOffset);
        expect(valuesOf(await readAll(ended.store))).toEqual(values.slice(start));
      }
      const last = await ended.open({ topicConfig: { 'segment.bytes': '1024' } });
      await sealClosedSegments(last, NEVER);
      expect(valuesOf(await readAll(ended.store))).toEqual(values.slice(last.logStartOffset));
      const { sealedEndOffset } = await ended.store.ends(LOG);
      const bytes = (await ended.store.sealedSegments(LOG)).reduce((sum, { byteCount }) => sum + byteCount, 0);
      const rows = (await ended.store.read(LOG, sealedEndOffset, 1 << 30)).reduce(
        (sum, row) => sum + row.byteLength,
        0,
      );
      expect(disk.sizeInBytes).toBe(bytes + rows);
    },
  );
});

test('1,000 leaders after one another leave nothing behind but the records and one bounded checkpoint', async () => {
  const disk = new MemoryDisk();
  let written = 0;
  let last = await leader(disk);
  for (let life = 0; life < 1000; life++) {
    const log = await last.open({ topicConfig: { 'segment.bytes': '4096' } });
    const records = sequenced(life, [`value ${life}`]);
    written += records.byteLength;
    await log.append(records, 'client');
    if (life % 10 === 9) await sealClosedSegments(log, NEVER);
    await log.close();
    last = await leader(disk);
  }
  const { store } = last;
  const log = await last.open({ topicConfig: { 'segment.bytes': '4096' } });
  await sealClosedSegments(log, NEVER);
  expect(await readAll(store)).toHaveLength(1000);
  expect(disk.sizeInBytes).toBe(written);
  expect((await store.sealedSegments(LOG)).length).toBeLessThanOrEqual(Math.ceil(written / 4000));
  const { checkpoint } = await store.ends(LOG);
  expect(JSON.stringify(checkpoint).length).toBeLessThan(64 * 1024);
  await deleteRecordsBefore(log, -1);
  expect(disk.sizeInBytes).toBe(0);
});
