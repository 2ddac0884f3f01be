import { describe, expect, test } from 'vitest';
import { deleteRecordsBefore, enforceRetention, sizeInBytes } from '../../src/log/log-upkeep.js';
import { compressBatch } from '../../src/record/batch-compression.js';
import { readBatchHeader, stampBatch, verifyBatch } from '../../src/record/batch-header.js';
import { CompressionTypes } from '../../src/record/compression-types.js';
import { MAX_ROW_BYTES } from '../../src/storage/log-store.js';
import { batch, errorOf, LOG, leader, MemoryDisk, readAll, sequenced } from './harness.js';

describe('append', () => {
  test('gives dense offsets in order of arrival and answers when they are durable', async () => {
    const { open, store } = await leader();
    const log = await open();
    const results = await Promise.all(['a', 'b', 'c'].map((value) => log.append(batch([value, value]), 'client')));
    expect(results.map(({ baseOffset, lastOffset }) => [baseOffset, lastOffset])).toEqual([
      [0, 1],
      [2, 3],
      [4, 5],
    ]);
    expect(log.logEndOffset).toBe(6);
    expect((await readAll(store)).map(({ value }) => value)).toEqual(['a', 'a', 'b', 'b', 'c', 'c']);
  });

  test('takes several batches in one request and writes their leader epoch', async () => {
    const { open, store, leaderEpoch } = await leader();
    const log = await open();
    const joined = join(batch(['a', 'b']), batch(['c']));
    expect(await log.append(joined, 'client')).toMatchObject({ baseOffset: 0, lastOffset: 2, logAppendTimeMs: -1 });
    const [chunk] = await store.read(LOG, 0, 1);
    expect(readBatchHeader(chunk as Uint8Array).partitionLeaderEpoch).toBe(leaderEpoch);
  });

  test('announces each commit once, in offset order and without a gap', async () => {
    const { open, advances } = await leader();
    const log = await open();
    for (const value of ['a', 'b']) await log.append(batch([value]), 'client');
    await Promise.all(['c', 'd', 'e'].map((value) => log.append(batch([value]), 'client')));
    expect(advances.map(({ highWatermark }) => highWatermark)).toEqual([1, 2, 5]);
    const chunks = advances.flatMap((advance) => advance.chunks);
    expect(chunks.map(({ baseOffset, lastOffset }) => [baseOffset, lastOffset])).toEqual([
      [0, 0],
      [1, 1],
      [2, 4],
    ]);
  });

  test.each([
    ['a damaged batch', damaged(batch(['a'])), 'CORRUPT_MESSAGE'],
    ['half a batch', batch(['a']).subarray(0, 60), 'CORRUPT_MESSAGE'],
    ['no batch', new Uint8Array(0), 'INVALID_RECORD'],
    ['a batch without records', batch([]), 'INVALID_RECORD'],
    ['a control batch', batch(['a'], { attributes: 0x20 }), 'INVALID_RECORD'],
    ['a transactional batch without a producer', batch(['a'], { attributes: 0x10 }), 'INVALID_RECORD'],
    [
      'a plain batch behind a transactional one',
      join(batch(['a'], { attributes: 0x10, producerId: 1, producerEpoch: 0, baseSequence: 0 }), batch(['b'])),
      'INVALID_RECORD',
    ],
    ['a producer without a sequence', batch(['a'], { producerId: 1 }), 'INVALID_RECORD'],
    ['offset gaps', batch(['a'], { lastOffsetDelta: 3 }), 'INVALID_RECORD'],
    ['a batch above max.message.bytes', batch(['x'.repeat(2000)]), 'MESSAGE_TOO_LARGE'],
    [
      'batches above segment.bytes',
      join(...Array.from({ length: 5 }, () => batch(['x'.repeat(800)]))),
      'RECORD_LIST_TOO_LARGE',
    ],
  ])('refuses %s and goes on with the next append', async (_what, records, name) => {
    const { open } = await leader();
    const log = await open({ topicConfig: { 'max.message.bytes': '1500', 'segment.bytes': '4000' } });
    const results = await Promise.all([
      log.append(batch(['ok']), 'client'),
      errorOf(log.append(records, 'client')),
      log.append(batch(['ok']), 'client'),
    ]);
    expect(results[1]).toBe(name);
    expect(results[2]).toMatchObject({ baseOffset: 1 });
  });

  test('refuses a whole request where one batch of it is bad', async () => {
    const { open } = await leader();
    const log = await open();
    expect(await errorOf(log.append(join(batch(['a']), damaged(batch(['b']))), 'client'))).toBe('CORRUPT_MESSAGE');
    expect(log.logEndOffset).toBe(0);
  });

  test('writes missing checksums where it is told so, and only then', async () => {
    const { open, store } = await leader();
    const log = await open();
    const unsealed = () => join(withoutChecksum(batch(['a', 'b'])), withoutChecksum(batch(['c'])));
    expect(await errorOf(log.append(unsealed(), 'client'))).toBe('CORRUPT_MESSAGE');
    expect(await log.append(unsealed(), 'client', 'missing')).toMatchObject({ baseOffset: 0, lastOffset: 2 });
    const [stored] = await store.read(LOG, 0, 1);
    const first = verifyBatch(stored!);
    expect([first.recordCount, verifyBatch(stored!, first.sizeInBytes).recordCount]).toEqual([2, 1]);
  });

  test('knows a repeated batch of a producer without its checksum', async () => {
    const { open, store } = await leader();
    const log = await open();
    const append = () => log.append(withoutChecksum(sequenced(0, ['a'])), 'client', 'missing');
    expect(await append()).toMatchObject({ baseOffset: 0, duplicate: false });
    expect(await append()).toMatchObject({ baseOffset: 0, duplicate: true });
    expect(await readAll(store)).toHaveLength(1);
  });

  test.each([
    ['half a batch', batch(['a']).subarray(0, 60), 'CORRUPT_MESSAGE'],
    ['another magic', batch(['a']).with(16, 1), 'CORRUPT_MESSAGE'],
    ['more records than offsets', batch(['a', 'b'], { lastOffsetDelta: 0 }), 'CORRUPT_MESSAGE'],
    ['a batch without records', batch([]), 'INVALID_RECORD'],
    ['a control batch', batch(['a'], { attributes: 0x20 }), 'INVALID_RECORD'],
    ['a batch above max.message.bytes', batch(['x'.repeat(2000)]), 'MESSAGE_TOO_LARGE'],
  ])('refuses %s also where its checksum is missing', async (_what, records, name) => {
    const { open } = await leader();
    const log = await open({ topicConfig: { 'max.message.bytes': '1500' } });
    expect(await errorOf(log.append(withoutChecksum(records), 'client', 'missing'))).toBe(name);
    expect(log.logEndOffset).toBe(0);
  });

  test('refuses timestamps outside of the bounds of the topic', async () => {
    const { open, clock } = await leader();
    const topicConfig = { 'message.timestamp.after.max.ms': '1000', 'message.timestamp.before.max.ms': '5000' };
    const log = await open({ topicConfig });
    const at = (timestampMs: number) => errorOf(log.append(batch([{ timestampMs }]), 'client'));
    const { nowMs } = clock;
    expect(await Promise.all([at(nowMs + 1000), at(nowMs - 5000), at(nowMs + 1001), at(nowMs - 5001)])).toEqual([
      undefined,
      undefined,
      'INVALID_TIMESTAMP',
      'INVALID_TIMESTAMP',
    ]);
  });

  test('refuses a timestamp that is too old wherever in its batch it is, compressed or not', async () => {
    const { open, clock } = await leader();
    const log = await open({ topicConfig: { 'message.timestamp.before.max.ms': '5000' } });
    const { nowMs } = clock;
    const at = (...timestamps: number[]) => batch(timestamps.map((timestampMs) => ({ timestampMs })));
    expect(await errorOf(log.append(at(nowMs, nowMs - 5000, nowMs), 'client'))).toBeUndefined();
    const late = at(nowMs, nowMs - 5001, nowMs);
    const gzipped = await compressBatch(late, 0, CompressionTypes.GZIP);
    expect(await errorOf(log.append(late, 'client'))).toBe('INVALID_TIMESTAMP');
    expect(await errorOf(log.append(gzipped, 'client'))).toBe('INVALID_TIMESTAMP');
    expect(log.logEndOffset).toBe(3);
  });

  test('looks at no timestamp that it replaces', async () => {
    const { open, clock } = await leader();
    const topicConfig = { 'message.timestamp.before.max.ms': '5000', 'message.timestamp.type': 'LogAppendTime' };
    const log = await open({ topicConfig });
    const records = batch([{ timestampMs: clock.nowMs }, { timestampMs: 0 }]);
    expect(await errorOf(log.append(records, 'client'))).toBeUndefined();
  });

  test('takes timestamps however far ahead, unless told: the clock may have been set back', async () => {
    const { open, clock } = await leader();
    const log = await open();
    expect(await errorOf(log.append(batch([{ timestampMs: clock.nowMs + 1e12 }]), 'client'))).toBeUndefined();
  });

  test('stamps append times that never fall where the topic asks for them', async () => {
    const { open, store, clock } = await leader();
    const log = await open({ topicConfig: { 'message.timestamp.type': 'LogAppendTime' } });
    const first = await log.append(batch([{ value: 'a', timestampMs: 5 }]), 'client');
    clock.nowMs -= 500;
    const second = await log.append(batch([{ value: 'b', timestampMs: 5 }]), 'client');
    expect([first.logAppendTimeMs, second.logAppendTimeMs]).toEqual([1_000_000, 1_000_000]);
    expect((await readAll(store)).map(({ timestampMs }) => timestampMs)).toEqual([1_000_000, 1_000_000]);
  });

  test('refuses records without a key in a compacted topic', async () => {
    const { open } = await leader();
    const log = await open({ topicConfig: { 'cleanup.policy': 'compact' } });
    const keyed = batch([{ key: 'k', value: 'v' }]);
    const results = await Promise.all([
      log.append(keyed, 'client'),
      errorOf(log.append(batch(['v']), 'client')),
      log.append(batch(['v']), 'coordinator'),
    ]);
    expect(results).toMatchObject([{ baseOffset: 0 }, 'INVALID_RECORD', { baseOffset: 1 }]);
  });

  test('writes rows that fill their own buffer and stay below the row limit', async () => {
    const { open, advances } = await leader();
    const log = await open();
    const large = batch(['x'.repeat(60_800)]);
    const small = Array.from({ length: 200 }, () => batch(['y'.repeat(1000)]));
    await Promise.all([large, ...small, join(...small.slice(0, 100))].map((records) => log.append(records, 'client')));
    const rows = advances.flatMap(({ chunks }) => chunks.map(({ bytes }) => bytes));
    expect(rows[0]?.buffer === large.buffer).toBe(true);
    for (const row of rows) {
      expect(row.byteLength).toBe(row.buffer.byteLength);
      expect(row.byteLength).toBeLessThanOrEqual(MAX_ROW_BYTES);
    }
    expect(rows.length).toBeLessThan(10);
  });

  test('waits when the queue is full and keeps the order', async () => {
    const { open, store } = await leader();
    const log = await open();
    const values = Array.from({ length: 60 }, (_, i) => `${i}`.padEnd(900_000, '.'));
    await Promise.all(values.map((value) => log.append(batch([value]), 'client')));
    expect((await readAll(store)).map(({ value }) => value === values[0] || value)).toHaveLength(60);
    expect((await readAll(store)).map(({ value }) => Number.parseInt(value, 10))).toEqual(values.map((_, i) => i));
  });
});

describe('idempotence', () => {
  test('answers a repeated batch with its first offsets and stores it once', async () => {
    const { open, store } = await leader();
    const log = await open();
    for (let i = 0; i < 5; i++) await log.append(sequenced(2 * i, [`${i}a`, `${i}b`]), 'client');
    for (let i = 0; i < 5; i++) {
      const again = await log.append(sequenced(2 * i, [`${i}a`, `${i}b`]), 'client');
      expect(again).toMatchObject({ baseOffset: 2 * i, lastOffset: 2 * i + 1, duplicate: true });
    }
    expect(await readAll(store)).toHaveLength(10);
  });

  test('answers a repeated batch with the append time that its records have, also under the next leader', async () => {
    const disk = new MemoryDisk();
    const topicConfig = { 'message.timestamp.type': 'LogAppendTime' };
    const { open, clock } = await leader(disk);
    const log = await open({ topicConfig });
    await log.append(batch(['plain']), 'client');
    clock.nowMs -= 500;
    const { logAppendTimeMs } = await log.append(sequenced(0, ['a']), 'client');
    expect(logAppendTimeMs).toBe(1_000_000);
    clock.nowMs += 5000;
    expect(await log.append(sequenced(0, ['a']), 'client')).toMatchObject({ duplicate: true, logAppendTimeMs });
    const successor = await (await leader(disk, clock)).open({ topicConfig });
    expect(await successor.append(sequenced(0, ['a']), 'client')).toMatchObject({ duplicate: true, logAppendTimeMs });
  });

  test('answers the repetition of a batch in flight when the first one is durable', async () => {
    const { open, store } = await leader();
    const log = await open();
    const order: string[] = [];
    const [first, again] = await Promise.all([
      log.append(sequenced(0, ['a']), 'client').finally(() => order.push('first')),
      log.append(sequenced(0, ['a']), 'client').finally(() => order.push('again')),
    ]);
    expect([first.baseOffset, again.baseOffset, again.duplicate]).toEqual([0, 0, true]);
    expect(order).toEqual(['first', 'again']);
    expect(await readAll(store)).toHaveLength(1);
  });

  test('fails the repetition of a batch in flight with it', async () => {
    const disk = new MemoryDisk();
    const { open } = await leader(disk);
    const log = await open();
    disk.failNextAppend();
    const records = () => errorOf(log.append(sequenced(0, ['a']), 'client'));
    expect(await Promise.all([records(), records()])).toEqual(['KAFKA_STORAGE_ERROR', 'KAFKA_STORAGE_ERROR']);
    expect(await log.append(sequenced(0, ['a']), 'client')).toMatchObject({ baseOffset: 0, duplicate: false });
  });

  test('refuses gaps and old epochs, takes a new epoch from sequence 0', async () => {
    const { open } = await leader();
    const log = await open();
    await log.append(sequenced(7, ['a'], { id: 1, epoch: 3 }), 'client');
    const next = (sequence: number, epoch: number) =>
      errorOf(log.append(sequenced(sequence, ['x'], { id: 1, epoch }), 'client'));
    expect(await next(9, 3)).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER');
    expect(await next(8, 2)).toBe('INVALID_PRODUCER_EPOCH');
    expect(await next(1, 4)).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER');
    expect(await next(0, 4)).toBeUndefined();
    expect(log.logEndOffset).toBe(2);
  });

  test('takes several batches of a producer at once, and their repetition, also ahead of new ones', async () => {
    const { open, store } = await leader();
    const log = await open();
    const [a, b, c] = [sequenced(0, ['a']), sequenced(1, ['b', 'b']), sequenced(3, ['c'])];
    await log.append(join(a, b), 'client');
    expect(await log.append(join(a, b), 'client')).toMatchObject({ baseOffset: 0, lastOffset: 2, duplicate: true });
    expect(await log.append(join(b, c), 'client')).toMatchObject({ baseOffset: 3, lastOffset: 3, duplicate: false });
    expect((await readAll(store)).map(({ value }) => value)).toEqual(['a', 'b', 'b', 'c']);
  });

  test('is for clients: of the coordinator every batch begins with sequence 0', async () => {
    const { open, store } = await leader();
    const log = await open();
    for (const value of ['a', 'b']) await log.append(sequenced(0, [value]), 'coordinator');
    expect((await readAll(store)).map(({ value }) => value)).toEqual(['a', 'b']);
  });

  test('knows the last five batches of a producer after a change of leader', async () => {
    const disk = new MemoryDisk();
    const before = await (await leader(disk)).open();
    for (let i = 0; i < 1200; i++) await before.append(sequenced(i, [`${i}`]), 'client');
    const { open } = await leader(disk);
    const log = await open();
    for (let i = 1195; i < 1200; i++) {
      expect(await log.append(sequenced(i, [`${i}`]), 'client')).toMatchObject({ baseOffset: i, duplicate: true });
    }
    expect(await errorOf(log.append(sequenced(1201, ['gap']), 'client'))).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER');
  });
});

describe('failures of the store', () => {
  test('a failed commit fails all appends behind it, and the next append gets the offset that was free', async () => {
    const disk = new MemoryDisk();
    const { open, store } = await leader(disk);
    const log = await open();
    await log.append(batch(['kept']), 'client');
    disk.failNextAppend();
    const first = errorOf(log.append(batch(['lost']), 'client'));
    await Promise.resolve();
    const rest = ['lost', 'lost'].map((value) => errorOf(log.append(batch([value]), 'client')));
    expect(await Promise.all([first, ...rest])).toEqual(Array(3).fill('KAFKA_STORAGE_ERROR'));
    expect(await log.append(batch(['next']), 'client')).toMatchObject({ baseOffset: 1 });
    expect((await readAll(store)).map(({ value }) => value)).toEqual(['kept', 'next']);
  });

  test('a failed commit fails what waits in the queue or for room in it, or places it anew: there is no hole', async () => {
    const disk = new MemoryDisk();
    const { open, store } = await leader(disk);
    const log = await open();
    disk.failNextAppend();
    const values = Array.from({ length: 40 }, (_, i) => `${i}`.padEnd(900_000, '.'));
    const outcomes = await Promise.all(values.map((value) => errorOf(log.append(batch([value]), 'client'))));
    expect(outcomes.slice(0, 18)).toEqual(Array(18).fill('KAFKA_STORAGE_ERROR'));
    const kept = values.filter((_, i) => outcomes[i] === undefined);
    expect(kept.length).toBeGreaterThan(0);
    expect((await readAll(store)).map(({ value }) => Number.parseInt(value, 10))).toEqual(
      kept.map((v) => Number.parseInt(v, 10)),
    );
  });

  test('a full disk refuses, and takes appends again when there is room', async () => {
    const disk = new MemoryDisk({ quotaBytes: 200 });
    const { open } = await leader(disk);
    const log = await open();
    await log.append(batch(['a']), 'client');
    expect(await errorOf(log.append(batch(['x'.repeat(300)]), 'client'))).toBe('KAFKA_STORAGE_ERROR');
    disk.setQuota(10_000);
    expect(await log.append(batch(['b']), 'client')).toMatchObject({ baseOffset: 1 });
  });

  test('a deposed leader writes nothing, tells its owner, and stays silent', async () => {
    const disk = new MemoryDisk();
    const old = await (await leader(disk)).open();
    await old.append(batch(['a']), 'client');
    const { open, store } = await leader(disk);
    const log = await open();
    expect(await errorOf(old.append(batch(['zombie']), 'client'))).toBe('NOT_LEADER_OR_FOLLOWER');
    expect(old.deposed.aborted).toBe(true);
    expect(await errorOf(old.append(batch(['zombie']), 'client'))).toBe('NOT_LEADER_OR_FOLLOWER');
    expect(await errorOf(deleteRecordsBefore(old, 1))).toBe('NOT_LEADER_OR_FOLLOWER');
    await log.append(batch(['b']), 'client');
    expect((await readAll(store)).map(({ value }) => value)).toEqual(['a', 'b']);
  });

  test('a log whose database is gone fails and does not hang', async () => {
    const disk = new MemoryDisk();
    const { open } = await leader(disk);
    const log = await open();
    disk.disconnect();
    expect(await errorOf(log.append(batch(['a']), 'client'))).toBe('KAFKA_STORAGE_ERROR');
    expect(await errorOf(log.append(batch(['a']), 'client'))).toBe('KAFKA_STORAGE_ERROR');
  });

  test('a closed log takes nothing more, after what was in flight', async () => {
    const { open } = await leader();
    const log = await open();
    const inFlight = log.append(batch(['a']), 'client');
    await log.close();
    expect(log.logEndOffset).toBe(1);
    expect(await inFlight).toMatchObject({ baseOffset: 0 });
    expect(await errorOf(log.append(batch(['b']), 'client'))).toBe('NOT_LEADER_OR_FOLLOWER');
  });
});

describe('deletion', () => {
  test('DeleteRecords moves the log start, also to the high watermark, and never back', async () => {
    const disk = new MemoryDisk();
    const { open, advances } = await leader(disk);
    const log = await open();
    for (let i = 0; i < 10; i++) await log.append(batch([`${i}`]), 'client');
    expect(await deleteRecordsBefore(log, 4)).toBe(4);
    expect(await deleteRecordsBefore(log, 2)).toBe(4);
    expect(await errorOf(deleteRecordsBefore(log, 11))).toBe('OFFSET_OUT_OF_RANGE');
    expect(await errorOf(deleteRecordsBefore(log, -2))).toBe('OFFSET_OUT_OF_RANGE');
    expect(advances.at(-1)).toMatchObject({ logStartOffset: 4, highWatermark: 10 });
    expect(await deleteRecordsBefore(log, -1)).toBe(10);
    expect(await sizeInBytes(log)).toBe(0);
    const reopened = await (await leader(disk)).open();
    expect([reopened.logStartOffset, reopened.logEndOffset]).toEqual([10, 10]);
    expect(await reopened.append(batch(['x']), 'client')).toMatchObject({ baseOffset: 10, logStartOffset: 10 });
  });

  test('retention by size drops whole segments while the rest stays at the limit', async () => {
    const { open, store } = await leader();
    const one = batch(['x'.repeat(939)]).byteLength;
    const log = await open({ topicConfig: { 'segment.bytes': `${2 * one}`, 'retention.bytes': `${5 * one}` } });
    for (let i = 0; i < 10; i++) await log.append(batch(['x'.repeat(939)]), 'client');
    expect(await sizeInBytes(log)).toBe(10 * one);
    await enforceRetention(log);
    expect([log.logStartOffset, await sizeInBytes(log)]).toEqual([4, 6 * one]);
    expect(await readAll(store)).toHaveLength(6);
  });

  test('retention by time drops what is too old, the active segment included', async () => {
    const { open, clock } = await leader();
    const log = await open({ topicConfig: { 'segment.ms': '1000', 'retention.ms': '10000' } });
    for (let i = 0; i < 10; i++) await log.append(batch([{ timestampMs: 1_000_000 + 500 * i }]), 'client');
    clock.nowMs = 1_000_000 + 12_000;
    await enforceRetention(log);
    expect(log.logStartOffset).toBe(3);
    clock.nowMs = 1_000_000 + 30_000;
    await enforceRetention(log);
    expect([log.logStartOffset, log.logEndOffset, await sizeInBytes(log)]).toEqual([10, 10, 0]);
    expect(await log.append(batch(['x']), 'client')).toMatchObject({ baseOffset: 10 });
    expect(await sizeInBytes(log)).toBe(batch(['x']).byteLength);
  });

  test('a producer that replays old records is not forgotten', async () => {
    const { open } = await leader();
    const log = await open({ topicConfig: { 'retention.ms': '-1' } });
    await log.append(sequenced(0, ['a']), 'client');
    await enforceRetention(log);
    expect(await log.append(sequenced(0, ['a']), 'client')).toMatchObject({ duplicate: true });
  });
});

function join(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(parts.flatMap((part) => [...part]));
}

/** As a page makes it. */
function withoutChecksum(records: Uint8Array): Uint8Array {
  return records.slice().fill(0, 17, 21);
}

function damaged(records: Uint8Array): Uint8Array {
  stampBatch(records, 0, { baseOffset: 0, partitionLeaderEpoch: 0 });
  const last = records.length - 1;
  records[last] = (records[last] as number) ^ 1;
  return records;
}

test('a producer whose records were all deleted is still known to the next leader', async () => {
  const disk = new MemoryDisk();
  const log = await (await leader(disk)).open();
  await log.append(sequenced(0, ['a', 'b']), 'client');
  await log.append(sequenced(2, ['c']), 'client');
  await deleteRecordsBefore(log, -1);
  const successor = await (await leader(disk)).open();
  expect(await successor.append(sequenced(2, ['c']), 'client')).toMatchObject({ duplicate: true, baseOffset: 2 });
  expect(await successor.append(sequenced(3, ['d']), 'client')).toMatchObject({ duplicate: false, baseOffset: 3 });
});
