import { expect, test } from 'vitest';
import { deleteRecordsBefore } from '../../src/log/log-upkeep.js';
import { offsetForTimestamp, type TimestampedOffset } from '../../src/log/offset-for-timestamp.js';
import type { PartitionLog } from '../../src/log/partition-log.js';
import { sealClosedSegments } from '../../src/log/segment-sealer.js';
import { MAX_TIMESTAMP } from '../../src/protocol/requests.js';
import { compressBatch } from '../../src/record/batch-compression.js';
import { CompressionTypes } from '../../src/record/compression-types.js';
import type { Random } from '../../src/runtime/runtime.js';
import { seededRandom } from '../../src/runtime/seeded-random.js';
import type { LogStore } from '../../src/storage/log-store.js';
import { calling } from './calling.js';
import { batch, LOG, leader, MemoryDisk, type ReadRecord, readAll } from './harness.js';

// Goal: the answer is that of a reader who looks at every record from the log start on.
// Method: logs of many segments, index entries and checkpoints, with timestamps that wander, jump or repeat, some
// batches compressed, cut at random by DeleteRecords and by a reader that sees only a part.
test.each(Array.from({ length: 12 }, (_, seed) => seed))('equals a scan of all records (seed %i)', async (seed) => {
  const random = seededRandom(seed);
  const { open, store, leaderEpoch } = await leader();
  const topicConfig = {
    'segment.bytes': '400000',
    'message.timestamp.type': seed % 4 === 3 ? 'LogAppendTime' : 'CreateTime',
  };
  const log = await open({ topicConfig });
  const times = timestamps(random);
  for (let i = 0; i < 60; i++) {
    const records = Array.from({ length: 1 + random.below(4) }, () => ({
      value: 'x'.repeat(random.below(15_000)),
      timestampMs: times(),
    }));
    const plain = batch(records);
    await log.append(random.below(10) === 0 ? await compressBatch(plain, 0, CompressionTypes.GZIP) : plain, 'client');
  }
  const logStartOffset = random.below(3) === 0 ? await deleteRecordsBefore(log, random.below(log.logEndOffset)) : 0;
  const all = (await readAll(store)).filter(({ offset }) => offset >= logStartOffset);

  for (let i = 0; i < 40; i++) {
    const endOffset = logStartOffset + random.below(log.logEndOffset - logStartOffset + 1);
    const visible = all.filter(({ offset }) => offset < endOffset);
    const known = all[random.below(all.length)]?.timestampMs ?? 0;
    const timestampMs = i === 0 ? MAX_TIMESTAMP : Math.max(0, known - 1 + random.below(3));
    const found = await offsetForTimestamp({ store, log: LOG, logStartOffset, endOffset, timestampMs });
    expect(found).toEqual(scan(visible, timestampMs, leaderEpoch));
  }
});

test('needs no leader, and reads a bounded part of a long log', async () => {
  const disk = new MemoryDisk();
  const log = await (await leader(disk)).open({ topicConfig: { 'segment.bytes': '2000000' } });
  for (let i = 0; i < 200; i++) await log.append(batch([{ value: 'x'.repeat(50_000), timestampMs: i }]), 'client');
  const { store } = await leader(disk);
  let bytes = 0;
  const counting = new Proxy(store, {
    get: (target, name: keyof LogStore) => {
      if (name !== 'read')
        return typeof target[name] === 'function' ? (target[name] as () => unknown).bind(target) : target[name];
      return async (...args: Parameters<LogStore['read']>) => {
        const chunks = await target.read(...args);
        for (const chunk of chunks) bytes += chunk.byteLength;
        return chunks;
      };
    },
  });
  for (const timestampMs of [0, 17, 100, 199]) {
    bytes = 0;
    const found = await offsetForTimestamp({
      store: counting,
      log: LOG,
      logStartOffset: 0,
      endOffset: 200,
      timestampMs,
    });
    expect(found?.offset).toBe(timestampMs);
    expect(bytes).toBeLessThan(600_000);
  }
  const last = await offsetForTimestamp({
    store: counting,
    log: LOG,
    logStartOffset: 0,
    endOffset: 200,
    timestampMs: 200,
  });
  expect(last).toBeUndefined();
});

test('asks once where the log begins', async () => {
  const { open, store: inner } = await leader();
  const log = await open();
  await log.append(batch(['a']), 'client');
  const asked: string[] = [];
  const store = new Proxy(inner, {
    get: (target, name: keyof LogStore) => {
      const method: unknown = target[name];
      asked.push(name);
      return typeof method === 'function' ? method.bind(target) : method;
    },
  });
  await offsetForTimestamp({ store, log: LOG, logStartOffset: 0, endOffset: 1, timestampMs: 0 });
  expect(asked).toEqual(['ends', 'segments', 'read']);
});

function scan(records: readonly ReadRecord[], timestampMs: number, leaderEpoch: number): TimestampedOffset | undefined {
  const max = Math.max(...records.map((record) => record.timestampMs));
  const target = timestampMs === MAX_TIMESTAMP ? max : timestampMs;
  const found = records.find((record) => record.timestampMs >= target);
  return found && { offset: found.offset, timestampMs: found.timestampMs, leaderEpoch };
}

function timestamps(random: Random): () => number {
  let now = 1000;
  return () => {
    now += random.below(20) === 0 ? random.below(2000) - 1000 : random.below(5);
    now = Math.max(0, now);
    return random.below(30) === 0 ? random.below(3000) : now;
  };
}

// Goal: a log may be sealed, cut or written to while somebody looks up a time in it. Method: at each of the calls that the
// look-up makes to the store, one by one; the answer is then that of before, or of after.
test.each<{ what: string; change: (log: PartitionLog) => Promise<unknown> }>([
  { what: 'sealed', change: (log) => sealClosedSegments(log, new AbortController().signal) },
  { what: 'cut', change: (log) => deleteRecordsBefore(log, 30) },
  { what: 'written to', change: (log) => log.append(batch([{ value: 'x'.repeat(900), timestampMs: 5 }]), 'client') },
])('a log that is $what meanwhile', async ({ change }) => {
  for (const timestampMs of [0, 7, 25, 55, MAX_TIMESTAMP]) {
    for (let calls = 1, isDone = false; !isDone; calls++) {
      const { open, store: inner, leaderEpoch } = await leader();
      const log = await open({ topicConfig: { 'segment.bytes': '1024' } });
      for (let i = 0; i < 60; i++) await log.append(batch([{ value: 'x'.repeat(90), timestampMs: i }]), 'client');
      const before = await readAll(inner);
      let left = calls;
      const store = calling(inner, async () => void (--left === 0 && (await change(log))));
      const found = await offsetForTimestamp({ store, log: LOG, logStartOffset: 0, endOffset: 60, timestampMs });
      const { logStartOffset } = log;
      const answers = [0, logStartOffset].map((start) =>
        scan(
          before.filter(({ offset }) => offset >= start),
          timestampMs,
          leaderEpoch,
        ),
      );
      expect(answers).toContainEqual(found);
      isDone = left > 0;
    }
  }
});
