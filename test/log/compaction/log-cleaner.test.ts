import { describe, expect, test } from 'vitest';
import { unpackAborted } from '../../../src/log/aborted-transactions.js';
import { checkLog } from '../../../src/log/check-log.js';
import { type CompactedLog, LogCleaner } from '../../../src/log/compaction/log-cleaner.js';
import { recoverLog } from '../../../src/log/log-recovery.js';
import { decidedBehind, deleteRecordsBefore, enforceRetention, sizeInBytes } from '../../../src/log/log-upkeep.js';
import { offsetForTimestamp } from '../../../src/log/offset-for-timestamp.js';
import type { PartitionLog } from '../../../src/log/partition-log.js';
import { repairLog } from '../../../src/log/repair-log.js';
import { sealClosedSegments } from '../../../src/log/segment-sealer.js';
import { KafkaError } from '../../../src/protocol/errors.js';
import { MAX_TIMESTAMP } from '../../../src/protocol/requests.js';
import { parseTopicConfig } from '../../../src/protocol/topic-config.js';
import { attributesOf } from '../../../src/record/batch-attributes.js';
import { decodeBatch } from '../../../src/record/batch-compression.js';
import { batchesIn, isControl, lastOffsetOf, verifyBatch } from '../../../src/record/batch-header.js';
import { controlRecordType } from '../../../src/record/control-record.js';
import { seededRandom } from '../../../src/runtime/seeded-random.js';
import type { LogStore } from '../../../src/storage/log-store.js';
import { calling } from '../calling.js';
import { batch, errorOf, type Leader, LOG, leader, MemoryDisk, transactions } from '../harness.js';

const NEVER = new AbortController().signal;
const COMPACT = { 'cleanup.policy': 'compact', 'segment.bytes': '1024', 'min.cleanable.dirty.ratio': '0.01' };
type Config = Readonly<Record<string, string>>;

interface Stored {
  readonly offset: number;
  readonly key: string;
  readonly value: string | null;
}

/** A leader with a compacted log and a cleaner. */
async function compacted(disk = new MemoryDisk(), topicConfig: Config = COMPACT, tamper = (store: LogStore) => store) {
  const led = await leader(disk);
  const log = await led.open({ topicConfig });
  return { ...led, log, cleaner: cleanerOf(led, log, topicConfig, tamper) };
}

function cleanerOf(led: Leader, log: PartitionLog, topicConfig: Config, tamper = (store: LogStore) => store) {
  const { leaderEpoch, clock } = led;
  const cleaner = new LogCleaner({ store: tamper(led.store), leaderEpoch, clock });
  const config = parseTopicConfig(topicConfig);
  const logs: CompactedLog[] = [{ log: LOG, config: () => config, open: async () => log }];
  return { clean: (signal = NEVER) => cleaner.cleanAll(logs, signal) };
}

function put(log: PartitionLog, key: string, value: string | null, timestampMs = 0): Promise<unknown> {
  return log.append(batch([{ key, value, timestampMs }]), 'client');
}

/** All records that a reader from the log start on gets, and that every batch is sound. */
async function stored(store: LogStore): Promise<Stored[]> {
  const found: Stored[] = [];
  const { logStartOffset, lastOffset = -1 } = await store.ends(LOG);
  for (let next = logStartOffset; next <= lastOffset; ) {
    const before = next;
    for (const chunk of await store.read(LOG, next, 4096)) {
      for (const { at } of batchesIn(chunk)) {
        const header = verifyBatch(chunk, at);
        for (const { offset, key, value } of await decodeBatch(chunk, at)) {
          if (offset >= next) found.push({ offset, key: String(key), value: value && String(value) });
        }
        next = Math.max(next, lastOffsetOf(header) + 1);
      }
    }
    if (next === before) throw new Error(`nothing at offset ${next} of ${lastOffset}`);
  }
  return found;
}

function lastByKey(records: readonly Stored[]): Map<string, Stored> {
  return new Map(records.filter(({ value }) => value !== null).map((record) => [record.key, record]));
}

describe('a compacted log', () => {
  test('keeps the last record of each key, and no more than that below its active segment', async () => {
    const { log, store, cleaner } = await compacted();
    const written: Stored[] = [];
    for (let i = 0; i < 300; i++) {
      written.push({ offset: i, key: `key-${i % 7}`, value: `value-${i}` });
      await put(log, `key-${i % 7}`, `value-${i}`);
    }
    await cleaner.clean();
    const left = await stored(store);
    expect(left).toEqual(written.filter(({ offset }) => left.some((record) => record.offset === offset)));
    expect(lastByKey(left)).toEqual(lastByKey(written));
    const activeSegment = (await store.segments(LOG)).at(-1)?.nextOffset ?? 0;
    expect(left.filter(({ offset }) => offset < activeSegment)).toHaveLength(7);
  });

  test('does not come to consist of ever more, ever smaller segments', async () => {
    const { log, store, cleaner } = await compacted();
    for (let i = 0; i < 2000; i++) {
      await put(log, `key-${i % 40}`, `value-${i}`);
      if (i % 200 === 199) await cleaner.clean();
    }
    const sizes = (await store.segments(LOG)).map(({ byteCount }) => byteCount);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(1024);
    expect(sizes.length).toBeLessThan(30); // 20 or so since the last pass, a few before
    expect((await store.sealedSegments(LOG)).map(({ baseOffset, nextOffset }) => [baseOffset, nextOffset])).toEqual(
      (await store.segments(LOG)).map(({ baseOffset, nextOffset }) => [baseOffset, nextOffset]),
    );
  });

  test('goes on where it was: appends, later passes, and recovery', async () => {
    const disk = new MemoryDisk();
    const { log, store, cleaner } = await compacted(disk);
    for (let i = 0; i < 400; i++) {
      await put(log, `key-${i % 5}`, `value-${i}`);
      if (i % 50 === 49) await cleaner.clean();
    }
    const before = await stored(store);
    const next = await compacted(disk);
    expect(next.log.logEndOffset).toBe(400);
    expect(await stored(next.store)).toEqual(before);
    await put(next.log, 'key-0', 'at the end');
    await next.cleaner.clean();
    expect(lastByKey(await stored(next.store)).get('key-0')).toMatchObject({ offset: 400, value: 'at the end' });
    expect((await stored(next.store)).length).toBeLessThan(60);
  });

  test('begins where the last pass ended', async () => {
    let readFrom: number[] = [];
    const tamper = (store: LogStore): LogStore =>
      overridden(store, {
        read: (...args) => {
          readFrom.push(args[1]);
          return store.read(...args);
        },
      });
    const { log, cleaner, store } = await compacted(undefined, COMPACT, tamper);
    for (let i = 0; i < 200; i++) await put(log, `key-${i}`, 'x');
    await cleaner.clean();
    const cleanedOffset = (await store.segments(LOG)).at(-1)?.cleanedOffset;
    expect(cleanedOffset).toBe((await store.segments(LOG)).at(-1)?.nextOffset);
    readFrom = [];
    await cleaner.clean();
    expect(readFrom).toEqual([]);
    for (let i = 0; i < 200; i++) await put(log, `key-${i}`, 'x');
    await cleaner.clean();
    expect(readFrom[0]).toBe(cleanedOffset);
  });

  test('remembers the sequences of its producers', async () => {
    const disk = new MemoryDisk();
    const { log, cleaner, store } = await compacted(disk);
    const ending = { producerId: 5, producerEpoch: 0 };
    const sequenced = (sequence: number) => batch([{ key: 'k', value: 'x' }], { ...ending, baseSequence: sequence });
    await log.append(sequenced(0), 'client');
    for (let i = 0; i < 700; i++) await put(log, 'k', `value-${i}`);
    await cleaner.clean();
    const heads = (await store.read(LOG, 0, 1_000_000)).flatMap((chunk) =>
      [...batchesIn(chunk)].map(({ header }) => header),
    );
    expect(heads[0]).toMatchObject({ baseOffset: 0, recordCount: 0, producerId: 5, baseSequence: 0 });
    const { log: next } = await compacted(disk);
    expect(await next.append(sequenced(0), 'client')).toMatchObject({ duplicate: true, baseOffset: 0 });
    expect(await errorOf(next.append(sequenced(2), 'client'))).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER');
    expect(await next.append(sequenced(1), 'client')).toMatchObject({ duplicate: false, baseOffset: 701 });
  });

  test('drops tombstones after delete.retention.ms', async () => {
    const config = { ...COMPACT, 'delete.retention.ms': '1000' };
    const { log, cleaner, store, clock } = await compacted(undefined, config);
    await put(log, 'gone', 'x');
    await put(log, 'gone', null);
    const fill = async (): Promise<void> => {
      for (let i = 0; i < 300; i++) await put(log, `key-${i % 3}`, 'x');
    };
    await fill();
    await cleaner.clean();
    expect((await stored(store))[0]).toEqual({ offset: 1, key: 'gone', value: null });
    clock.nowMs += 999;
    await fill();
    await cleaner.clean();
    expect((await stored(store))[0]).toEqual({ offset: 1, key: 'gone', value: null });
    clock.nowMs += 1;
    await fill();
    await cleaner.clean();
    expect((await stored(store)).map(({ key }) => key)).not.toContain('gone');
  });

  test('drops an abort marker after delete.retention.ms, also where its data was all of a segment', async () => {
    const { log, cleaner, store, clock } = await compacted(undefined, { ...COMPACT, 'delete.retention.ms': '1000' });
    const attributes = attributesOf({ isTransactional: true });
    const producer = { producerId: 1, producerEpoch: 0, baseSequence: 0, attributes };
    const full = 'x'.repeat(800); // more than half a segment: no two segments become one
    await log.append(batch([{ key: 'aborted', value: full }], producer), 'client');
    await put(log, 'a', full);
    await log.appendEndMarker({ type: 'abort', producerId: 1, producerEpoch: 0, coordinatorEpoch: 0 });
    await log.append(batch([{ key: 'b', value: full }], { ...producer, producerEpoch: 1 }), 'client');
    await log.appendEndMarker({ type: 'commit', producerId: 1, producerEpoch: 1, coordinatorEpoch: 0 });
    for (const key of ['c', 'd', 'e']) {
      await put(log, key, full);
      await cleaner.clean(); // drops the data, marks the marker, drops the marker
      clock.nowMs += 1000;
    }
    expect((await stored(store)).map(({ offset }) => offset)).toEqual([1, 3, 4, 5, 6, 7]);
  });

  test('is whole and can be recovered where a marker has become an empty batch, the last of its producer', async () => {
    const config = { ...COMPACT, 'delete.retention.ms': '1000' };
    const { log, cleaner, store, clock, leaderEpoch } = await compacted(undefined, config);
    const full = 'x'.repeat(800);
    await log.appendEndMarker({ type: 'abort', producerId: 1, producerEpoch: 3, coordinatorEpoch: 0 });
    for (const key of ['a', 'b', 'c']) {
      await put(log, key, full);
      await cleaner.clean(); // marks the marker, then empties it
      clock.nowMs += 1000;
    }
    const [chunk] = await store.read(LOG, 0, 1);
    expect(verifyBatch(chunk!)).toMatchObject({ baseOffset: 0, producerId: 1, producerEpoch: 3, recordCount: 0 });

    const recovery = { nowMs: clock.nowMs, transactions };
    const { findings } = await checkLog({ store, raw: await store.raw(), log: LOG, recovery, signal: undefined });
    expect(findings).toEqual([]);
    const checkpoint = { log: LOG, offset: 1, snapshot: { version: 'of long ago' } };
    await store.append({ leaderEpoch, chunks: [], checkpoints: [checkpoint] }, 'relaxed');
    const { state } = await recoverLog(store, LOG, recovery);
    expect(state.nextOffset).toBe(log.logEndOffset);
    expect(state.transactions?.lastStableOffset({ logStartOffset: 0, highWatermark: 4 })).toBe(4);
  });

  test('leaves alone what is younger than min.compaction.lag.ms, and does not wait beyond the maximum', async () => {
    const count = async (config: Config): Promise<number> => {
      const { log, cleaner, store, clock } = await compacted(undefined, { ...COMPACT, ...config });
      for (let i = 0; i < 300; i++) await put(log, 'k', `value-${i}`, clock.nowMs);
      clock.nowMs += 5000;
      await cleaner.clean();
      return (await stored(store)).length;
    };
    const young = { 'min.compaction.lag.ms': '5001' };
    expect(await count(young)).toBe(300);
    expect(await count({ 'min.compaction.lag.ms': '4999' })).toBeLessThan(50);
    const never = { 'min.cleanable.dirty.ratio': '1' };
    expect(await count({ ...never, 'max.compaction.lag.ms': '5001' })).toBe(300);
    expect(await count({ ...never, 'max.compaction.lag.ms': '4999' })).toBeLessThan(50);
  });

  test('closes its segments in time for max.compaction.lag.ms, or after segment.ms', async () => {
    for (const config of [{ 'max.compaction.lag.ms': '1000' }, { 'segment.ms': '1000' }]) {
      const { log, store, cleaner } = await compacted(undefined, { ...COMPACT, ...config });
      for (const timestampMs of [0, 1000, 1001]) await put(log, 'k', 'x', timestampMs);
      expect((await store.segments(LOG)).map(({ nextOffset }) => nextOffset)).toEqual([2]);
      await cleaner.clean();
      expect((await stored(store)).map(({ offset }) => offset)).toEqual([1, 2]);
    }
  });

  test('with cleanup.policy=compact,delete loses its oldest segments, too', async () => {
    const config = { ...COMPACT, 'cleanup.policy': 'compact,delete', 'retention.ms': '1000' };
    const { log, cleaner, store, clock } = await compacted(undefined, config);
    for (let i = 0; i < 100; i++) await put(log, `key-${i}`, 'x', clock.nowMs);
    await cleaner.clean();
    clock.nowMs += 2000;
    for (let i = 100; i < 150; i++) await put(log, `key-${i}`, 'x', clock.nowMs);
    await enforceRetention(log);
    const left = await stored(store);
    expect(left[0]?.offset).toBe(log.logStartOffset);
    expect(log.logStartOffset).toBeGreaterThan(80);
    await cleaner.clean();
    expect(await stored(store)).toEqual(left);
  });

  test('answers look-ups by time with records that are there', async () => {
    const { log, cleaner, store } = await compacted();
    await put(log, 'k', 'the latest', 5000);
    for (let i = 0; i < 200; i++) await put(log, 'k', 'x', i);
    await cleaner.clean();
    const query = { store, log: LOG, logStartOffset: 0, endOffset: log.logEndOffset };
    const left = await stored(store);
    const last = left.at(-1)?.offset;
    expect(await offsetForTimestamp({ ...query, timestampMs: MAX_TIMESTAMP })).toMatchObject({ offset: last });
    expect(await offsetForTimestamp({ ...query, timestampMs: 199 })).toMatchObject({ offset: last });
    expect(await offsetForTimestamp({ ...query, timestampMs: 200 })).toBe(undefined);
    expect(await offsetForTimestamp({ ...query, timestampMs: 0 })).toMatchObject({ offset: left[0]?.offset });
  });

  // The promise of the README, scaled; test/browser/compaction.test.ts rewrites a key a million times.
  test('of which one key is rewritten 100,000 times stays within three segments', async () => {
    const segmentBytes = 64 * 1024;
    const disk = new MemoryDisk();
    const { log, cleaner, store } = await compacted(disk, { ...COMPACT, 'segment.bytes': String(segmentBytes) });
    let [largest, closed] = [0, 0];
    for (let first = 0; first < 100_000; first += 500) {
      const records = Array.from({ length: 500 }, (_, i) => ({ key: 'counter', value: String(first + i) }));
      await log.append(batch(records), 'client');
      const segments = (await store.segments(LOG)).length;
      if (segments !== closed) {
        await sealClosedSegments(log, NEVER);
        await cleaner.clean();
        closed = (await store.segments(LOG)).length;
      }
      largest = Math.max(largest, disk.sizeInBytes);
    }
    expect(largest).toBeLessThanOrEqual(3 * segmentBytes);
    expect((await stored(store)).at(-1)).toEqual({ offset: 99_999, key: 'counter', value: '99999' });
  });

  test('knows its size', async () => {
    const { log, cleaner, store } = await compacted();
    for (let i = 0; i < 300; i++) await put(log, `key-${i % 3}`, 'x');
    await cleaner.clean();
    const record = batch([{ key: 'k', value: 'x' }]).length;
    const sizeBefore = await sizeInBytes(log);
    const inRows = (await store.segments(LOG)).reduce((sum, { byteCount }) => sum + byteCount, 0);
    expect(sizeBefore - inRows).toBeLessThanOrEqual(1024);
    await put(log, 'k', 'x');
    expect(await sizeInBytes(log)).toBe(sizeBefore + record);
  });
});

// Goal: T2 and S1 together. Method: producers whose transactions end either way while the log is cleaned and led anew; a
// reader by Kafka's rules, with the index that the rows and the leader have, against a list of all that was written.
test.each([1, 2, 3, 4])('what read_committed sees of a compacted log is its table (seed %i)', async (seed) => {
  const random = seededRandom(seed);
  const disk = new MemoryDisk();
  const topicConfig = { ...COMPACT, 'delete.retention.ms': '2000' };
  let led = await compacted(disk, topicConfig);
  const written: (Stored & { producerId: number; outcome: 'open' | 'commit' | 'abort' })[] = [];
  const sequences = new Map<number, number>();
  const open = new Set<number>();
  for (let i = 0; i < 400; i++) {
    const producerId = 1 + random.below(3);
    led.clock.nowMs += random.below(20);
    if (random.below(3) === 0 && open.delete(producerId)) {
      const type = random.below(2) === 0 ? 'commit' : 'abort';
      await led.log.appendEndMarker({ type, producerId, producerEpoch: 0, coordinatorEpoch: 0 });
      for (const record of written) {
        if (record.producerId === producerId && record.outcome === 'open') record.outcome = type;
      }
    } else {
      const [key, value] = [`key-${random.below(6)}`, random.below(6) === 0 ? null : `value-${i}`];
      const baseSequence = sequences.get(producerId) ?? 0;
      const ending = {
        producerId,
        producerEpoch: 0,
        baseSequence,
        attributes: attributesOf({ isTransactional: true }),
      };
      const { baseOffset } = await led.log.append(batch([{ key, value }], ending), 'client');
      sequences.set(producerId, baseSequence + 1);
      open.add(producerId);
      written.push({ offset: baseOffset, key, value, producerId, outcome: 'open' });
    }
    if (random.below(40) === 0) {
      const { clock } = led;
      led = await compacted(disk, topicConfig);
      led.clock.nowMs = clock.nowMs;
    }
    if (random.below(8) !== 0) continue;
    await led.cleaner.clean();
    const decided = written.filter(({ offset }) => offset < led.log.lastStableOffset);
    const committed = decided.filter(({ outcome }) => outcome === 'commit');
    const visible = await visibleTo(led);
    for (const record of visible) expect(committed).toContainEqual(expect.objectContaining(record));
    const [seen, expected] = [lastByKey(visible), new Map(committed.map((record) => [record.key, record]))];
    for (const { key, value, offset } of expected.values()) {
      if (value !== null) expect(seen.get(key)).toMatchObject({ offset, value });
      else if (seen.has(key)) expect(visible).toContainEqual({ key, value, offset });
    }
  }
  expect((await stored(led.store)).length).toBeLessThan(written.length / 2);
});

/** The records that a read_committed consumer gets. */
async function visibleTo({ store, log }: { readonly store: LogStore; readonly log: PartitionLog }): Promise<Stored[]> {
  const rows = await store.segments(LOG);
  const index = [
    ...rows.flatMap(({ abortedTransactions }) => unpackAborted(abortedTransactions)),
    ...(decidedBehind(log, rows)?.aborted ?? []),
  ].sort((a, b) => a.firstOffset - b.firstOffset);
  const aborted = new Set<number>();
  const visible: Stored[] = [];
  for (let next = 0; next < log.lastStableOffset; ) {
    for (const chunk of await store.read(LOG, next, 4096)) {
      for (const { header, at } of batchesIn(chunk)) {
        if (lastOffsetOf(header) < next || header.baseOffset >= log.lastStableOffset) continue;
        next = lastOffsetOf(header) + 1;
        while (index[0] && index[0].firstOffset <= lastOffsetOf(header)) aborted.add(index.shift()!.producerId);
        const records = await decodeBatch(chunk, at);
        if (isControl(header)) {
          if (records[0] && controlRecordType(records[0].key) === 'abort') aborted.delete(header.producerId);
        } else if (!aborted.has(header.producerId)) {
          for (const { offset, key, value } of records) {
            visible.push({ offset, key: String(key), value: value && String(value) });
          }
        }
      }
    }
  }
  return visible;
}

describe('a cleaner that is interrupted', () => {
  // Goal: whatever step is the last one, nothing needed is missing, and the next leader comes to the same end.
  // Method: the n-th call of the store's writers fails, before or after it took effect, for every n.
  test('at any step leaves a log that the next leader cleans to the same end', async () => {
    const WRITERS = ['stageSealed', 'publishSealed', 'sweepSealed', 'append'] as const;
    const records = (): Stored[] => {
      const random = seededRandom(5);
      return Array.from({ length: 90 }, (_, offset) => {
        const value = random.below(6) === 0 ? null : `value-${offset}`;
        return { offset, key: `key-${random.below(7)}`, value };
      });
    };
    const run = async (failAt: number, afterwards: boolean): Promise<{ steps: number; end: Stored[] }> => {
      const disk = new MemoryDisk();
      let steps = 0;
      const failing = (store: LogStore): LogStore => {
        const step = async <T>(work: () => Promise<T>): Promise<T> => {
          const isLast = steps++ === failAt;
          if (isLast && !afterwards) throw new KafkaError('KAFKA_STORAGE_ERROR', 'the tab died before');
          const result = await work();
          if (isLast) throw new KafkaError('KAFKA_STORAGE_ERROR', 'the tab died after');
          return result;
        };
        const overrides = Object.fromEntries(
          WRITERS.map((name) => [
            name,
            (...args: never[]) => step(() => (store[name] as (...a: never[]) => Promise<never>)(...args)),
          ]),
        );
        return overridden(store, overrides);
      };
      const first = await compacted(disk, COMPACT, failing);
      const written = records();
      for (const { key, value } of written.slice(0, 55)) await put(first.log, key, value);
      await first.cleaner.clean();
      for (const { key, value } of written.slice(55)) await put(first.log, key, value);
      await first.cleaner.clean();
      expectNothingMissing(await stored(first.store), written);

      const second = await compacted(disk);
      expectNothingMissing(await stored(second.store), written);
      await put(second.log, 'one more', 'x');
      await second.cleaner.clean();
      await second.cleaner.clean();
      const end = await stored(second.store);
      expectNothingMissing(end, written);
      return { steps, end };
    };
    const { steps, end } = await run(Number.POSITIVE_INFINITY, false);
    expect(steps).toBeGreaterThan(10);
    for (let failAt = 0; failAt < steps; failAt++) {
      for (const afterwards of [false, true]) expect((await run(failAt, afterwards)).end).toEqual(end);
    }
  });

  test('by the deletion of its topic leaves nothing behind', async () => {
    for (let stopAt = 0; stopAt < 8; stopAt++) {
      const disk = new MemoryDisk();
      let steps = 0;
      const reached = Promise.withResolvers<void>();
      const tamper = (store: LogStore): LogStore =>
        overridden(store, {
          read: async (...args) => {
            if (steps++ === stopAt) reached.resolve();
            return store.read(...args);
          },
        });
      const { log, cleaner, store, leaderEpoch } = await compacted(disk, COMPACT, tamper);
      for (let i = 0; i < 100; i++) await put(log, `key-${i}`, 'x');
      const cleaning = cleaner.clean().then(() => reached.resolve());
      await reached.promise;
      await log.close();
      await store.deleteLog(LOG, leaderEpoch);
      await cleaning;
      expect([await store.sealedSegments(LOG), await store.segments(LOG)]).toEqual([[], []]);
      expect(disk.sizeInBytes).toBe(0);
    }
  });

  test('by another leader writes nothing more, and its broker hears of it', async () => {
    const disk = new MemoryDisk();
    const old = await compacted(disk);
    for (let i = 0; i < 100; i++) await put(old.log, 'k', `value-${i}`);
    const next = await compacted(disk);
    await old.cleaner.clean();
    expect(old.groupCommit.deposed.aborted).toBe(true);
    expect(await stored(next.store)).toHaveLength(100);
  });

  test('by its signal ends soon', async () => {
    const { log, cleaner, store } = await compacted();
    for (let i = 0; i < 100; i++) await put(log, 'k', `value-${i}`);
    const stopped = AbortSignal.abort(new KafkaError('NOT_CONTROLLER', 'closed'));
    await cleaner.clean(stopped);
    expect(await stored(store)).toHaveLength(100);
  });

  test('by a damaged segment leaves the log as it is, and does not try again', async () => {
    const disk = new MemoryDisk();
    const { log, cleaner, store } = await compacted(disk);
    for (let i = 0; i < 100; i++) await put(log, `key-${i}`, 'x');
    await cleaner.clean();
    const [first] = await store.sealedSegments(LOG);
    disk.damageSealed(LOG, first?.baseOffset);
    const before = await store.sealedSegments(LOG);
    for (let i = 0; i < 100; i++) await put(log, `key-${i}`, 'x');
    await cleaner.clean();
    await cleaner.clean();
    expect(await store.sealedSegments(LOG)).toEqual(before);
  });

  test('by a damaged segment goes on once that is mended', async () => {
    const { log, store, leaderEpoch, clock, disk, open } = await compacted();
    let opened = log;
    const config = parseTopicConfig(COMPACT);
    const logs: CompactedLog[] = [{ log: LOG, config: () => config, open: async () => opened }];
    const cleaner = new LogCleaner({ store, leaderEpoch, clock });
    for (let i = 0; i < 100; i++) await put(log, `key-${i}`, 'x');
    await cleaner.cleanAll(logs, NEVER);
    const [first] = await store.sealedSegments(LOG);
    disk.damageSealedByte(LOG, first!.baseOffset, 70, 0xff);
    for (let i = 0; i < 100; i++) await put(log, `key-${i}`, 'x');
    const before = await store.sealedSegments(LOG);
    await cleaner.cleanAll(logs, NEVER);
    expect(await store.sealedSegments(LOG)).toEqual(before);
    await log.close();
    const recovery = { nowMs: 0, transactions };
    await repairLog({ store, raw: await store.raw(), log: LOG, recovery, signal: undefined, leaderEpoch });
    opened = await open({ topicConfig: COMPACT });
    await cleaner.cleanAll(logs, NEVER);
    expect((await store.sealedSegments(LOG)).at(-1)?.nextOffset).toBe((await store.segments(LOG)).at(-1)?.nextOffset);
  });
});

/** What could be done by now is done. */
async function settled(): Promise<void> {
  for (let turns = 0; turns < 3; turns++) await new Promise((resolve) => setImmediate(resolve));
}

function expectNothingMissing(left: readonly Stored[], written: readonly Stored[]): void {
  const places = new Map(written.map((record) => [record.offset, record]));
  for (const record of left) if (record.key !== 'one more') expect(record).toEqual(places.get(record.offset));
  const last = new Map(written.map((record) => [record.key, record]));
  const offsets = new Set(left.map(({ offset }) => offset));
  for (const { offset } of last.values()) expect(offsets).toContain(offset);
}

function overridden(store: LogStore, overrides: Partial<LogStore>): LogStore {
  return new Proxy(store, {
    get(target, name) {
      const own: unknown = Reflect.get(overrides, name);
      if (own !== undefined) return own;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

// Goal: what happens to a log while it is cleaned costs no record that somebody may read, and no later pass. Method: at each of
// the calls that a pass makes to the store, one by one, the log is cut, loses a part by retention, or is written to; the same
// cleaner then makes another pass.
test.each<{ what: string; change: (log: PartitionLog) => Promise<unknown> }>([
  { what: 'cut inside of a segment', change: (log) => deleteRecordsBefore(log, 37) },
  { what: 'cut behind what was cleaned', change: (log) => deleteRecordsBefore(log, 110) },
  { what: 'cut to its end', change: (log) => deleteRecordsBefore(log, log.logEndOffset) },
  { what: 'written to', change: (log) => put(log, 'key-1', 'meanwhile') },
])('a log that is $what while it is cleaned', async ({ change }) => {
  for (let calls = 1, isDone = false; !isDone; calls++) {
    let left = Number.POSITIVE_INFINITY;
    let changed: Promise<unknown> | undefined;
    const tamper = (store: LogStore): LogStore =>
      calling(store, async () => {
        if (--left !== 0) return;
        changed = change(log);
        await Promise.race([changed, settled()]); // it may have to wait for its turn
      });
    const { log, store, cleaner } = await compacted(new MemoryDisk(), COMPACT, tamper);
    const written: Stored[] = [];
    const write = async (count: number): Promise<void> => {
      for (let i = 0; i < count; i++) {
        const offset = log.logEndOffset;
        written[offset] = { offset, key: `key-${i % 7}`, value: `value-${offset}` };
        await put(log, `key-${i % 7}`, `value-${offset}`);
      }
    };
    await write(60);
    await cleaner.clean();
    await write(60);
    left = calls;
    await cleaner.clean();
    isDone = left > 0;
    left = Number.POSITIVE_INFINITY;
    await changed;
    const check = async (): Promise<Stored[]> => {
      const found = await stored(store);
      const readable = written.filter(({ offset }) => offset >= log.logStartOffset);
      const latest = [...lastByKey(readable)].filter(([key]) => key !== 'key-1' || written.length === log.logEndOffset);
      for (const [key, record] of latest) expect(lastByKey(found).get(key)).toEqual(record);
      return found;
    };
    await check();
    await write(100);
    await cleaner.clean();
    const activeSegment = (await store.segments(LOG)).at(-1)?.nextOffset ?? 0;
    expect((await check()).filter(({ offset }) => offset < activeSegment).length).toBeLessThanOrEqual(8);
  }
});
