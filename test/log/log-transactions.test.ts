import { describe, expect, test } from 'vitest';
import { unpackAborted } from '../../src/log/aborted-transactions.js';
import { recoverLog } from '../../src/log/log-recovery.js';
import { hasTransactions } from '../../src/log/log-snapshot.js';
import { MAX_ABORTED_PER_SEGMENT } from '../../src/log/log-transactions.js';
import { deleteRecordsBefore, enforceRetention } from '../../src/log/log-upkeep.js';
import type { PartitionLog } from '../../src/log/partition-log.js';
import { batchesIn } from '../../src/record/batch-header.js';
import { decodeRecords } from '../../src/record/record-batch-decoder.js';
import { MemoryLogStore } from '../../src/storage/memory-log-store.js';
import { batch, errorOf, LOG, leader, MemoryDisk, sequenced, transactional, transactions } from './harness.js';

const OPTIONS = { nowMs: 1_000_000, transactions };

function end(log: PartitionLog, type: 'commit' | 'abort', producerId: number, producerEpoch = 0): Promise<unknown> {
  return log.appendEndMarker({ type, producerId, producerEpoch, coordinatorEpoch: 0 });
}

describe('the last stable offset', () => {
  test('is the high watermark while no transaction is open, else where the oldest begins', async () => {
    const log = await (await leader()).open();
    await log.append(batch(['plain']), 'client');
    expect(log.lastStableOffset).toBe(1);
    await log.append(transactional(0, ['a', 'b'], { id: 1, epoch: 0 }), 'client');
    await log.append(transactional(0, ['c'], { id: 2, epoch: 0 }), 'client');
    await log.append(batch(['plain']), 'client');
    expect([log.lastStableOffset, log.logEndOffset]).toEqual([1, 5]);
    await end(log, 'commit', 1);
    expect([log.lastStableOffset, log.logEndOffset]).toEqual([3, 6]);
    await end(log, 'abort', 2);
    expect([log.lastStableOffset, log.logEndOffset]).toEqual([7, 7]);
  });

  test('is told with each commit, with what was aborted since the last', async () => {
    const { open, advances } = await leader();
    const log = await open();
    await log.append(batch(['plain']), 'client');
    await log.append(transactional(0, ['a', 'b'], { id: 1, epoch: 0 }), 'client');
    await end(log, 'abort', 1);
    const aborted = [{ producerId: 1, firstOffset: 1, lastOffset: 3, lastStableOffset: 4 }];
    expect(advances.map(({ highWatermark, transactions: told }) => [highWatermark, told])).toEqual([
      [1, undefined],
      [3, { fromOffset: 1, lastStableOffset: 1, aborted: [] }],
      [4, { fromOffset: 3, lastStableOffset: 4, aborted }],
    ]);
  });

  test('is not below what was deleted while the transaction was open', async () => {
    const log = await (await leader()).open();
    await log.append(transactional(0, ['a'], { id: 1, epoch: 0 }), 'client');
    await log.append(batch(['b', 'c']), 'client');
    await deleteRecordsBefore(log, 2);
    expect(log.lastStableOffset).toBe(2);
  });

  test('is after a failed commit what the disk holds', async () => {
    const disk = new MemoryDisk();
    const log = await (await leader(disk)).open();
    await log.append(transactional(0, ['a'], { id: 1, epoch: 0 }), 'client');
    disk.failNextAppend();
    expect(await errorOf(end(log, 'commit', 1))).toBe('KAFKA_STORAGE_ERROR');
    expect(log.lastStableOffset).toBe(0);
    await log.append(batch(['b']), 'client');
    expect(log.lastStableOffset).toBe(0);
    await end(log, 'commit', 1);
    expect(log.lastStableOffset).toBe(3);
  });
});

// Found by the simulation, seed 4: a host read what a transaction, open in the log, had written.
test('a first transactional append that failed does not leave the next one untold', async () => {
  const disk = new MemoryDisk();
  const log = await (await leader(disk)).open();
  disk.failNextAppend();
  expect(await errorOf(log.append(transactional(0, ['a']), 'client'))).toBe('KAFKA_STORAGE_ERROR');
  await log.append(transactional(0, ['a']), 'client');
  expect([log.lastStableOffset, log.logEndOffset]).toEqual([0, 1]);
});

describe('rules', () => {
  test('a plain batch of a producer whose transaction is open is refused', async () => {
    const log = await (await leader()).open();
    await log.append(transactional(0, ['a'], { id: 1, epoch: 0 }), 'client');
    expect(await errorOf(log.append(sequenced(1, ['b'], { id: 1, epoch: 0 }), 'client'))).toBe('INVALID_TXN_STATE');
    await end(log, 'commit', 1);
    await log.append(sequenced(1, ['b'], { id: 1, epoch: 0 }), 'client');
  });

  test('a marker of an older coordinator, or of an older instance of the producer, is refused', async () => {
    const log = await (await leader()).open();
    await log.append(transactional(0, ['a'], { id: 1, epoch: 3 }), 'client');
    await log.appendEndMarker({ type: 'abort', producerId: 1, producerEpoch: 3, coordinatorEpoch: 5 });
    const late = { type: 'commit', producerId: 1, producerEpoch: 3, coordinatorEpoch: 4 } as const;
    expect(await errorOf(log.appendEndMarker(late))).toBe('TRANSACTION_COORDINATOR_FENCED');
    const old = { type: 'commit', producerId: 1, producerEpoch: 2, coordinatorEpoch: 5 } as const;
    expect(await errorOf(log.appendEndMarker(old))).toBe('INVALID_PRODUCER_EPOCH');
  });

  test('a marker with a higher epoch fences the producer and begins its sequences anew', async () => {
    const log = await (await leader()).open();
    await log.append(transactional(0, ['a'], { id: 1, epoch: 0 }), 'client');
    await end(log, 'abort', 1, 1);
    const zombie = transactional(1, ['b'], { id: 1, epoch: 0 });
    expect(await errorOf(log.append(zombie, 'client'))).toBe('INVALID_PRODUCER_EPOCH');
    const gap = transactional(1, ['b'], { id: 1, epoch: 1 });
    expect(await errorOf(log.append(gap, 'client'))).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER');
    await log.append(transactional(0, ['b'], { id: 1, epoch: 1 }), 'client');
    expect(log.lastStableOffset).toBe(2);
  });

  test('a batch of a transaction that comes again after its end is known for what it is', async () => {
    const log = await (await leader()).open();
    await log.append(transactional(0, ['a'], { id: 1, epoch: 0 }), 'client');
    await end(log, 'commit', 1);
    const again = await log.append(transactional(0, ['a'], { id: 1, epoch: 0 }), 'client');
    expect(again).toMatchObject({ baseOffset: 0, duplicate: true });
    expect(log.lastStableOffset).toBe(2);
  });

  test('producers expire as producer.id.expiration.ms says, but none whose transaction is open', async () => {
    const { open, clock } = await leader();
    const log = await open({ producerIdExpirationMs: 1_000 });
    await log.append(sequenced(0, ['a'], { id: 1, epoch: 0 }), 'client');
    await log.append(transactional(0, ['b'], { id: 2, epoch: 0 }), 'client');
    clock.nowMs += 1_000;
    await enforceRetention(log);
    await log.append(sequenced(7, ['a'], { id: 1, epoch: 0 }), 'client'); // as if new: any sequence is right
    const gap = transactional(7, ['b'], { id: 2, epoch: 0 });
    expect(await errorOf(log.append(gap, 'client'))).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER');
    expect(log.lastStableOffset).toBe(1);
  });
});

describe('what is stored', () => {
  test('a marker is a control batch as Kafka writes it', async () => {
    const { open, store } = await leader();
    const log = await open();
    await log.append(transactional(0, ['a'], { id: 7, epoch: 2 }), 'client');
    await log.appendEndMarker({ type: 'commit', producerId: 7, producerEpoch: 2, coordinatorEpoch: 9 });
    const [bytes = new Uint8Array()] = await store.read(LOG, 1, 1000);
    const [{ header } = { header: undefined }] = [...batchesIn(bytes)];
    const fields = {
      producerId: 7,
      producerEpoch: 2,
      baseSequence: -1,
      attributes: 0x30,
      recordCount: 1,
      baseOffset: 1,
    };
    expect(header).toMatchObject(fields);
    const [record] = [...decodeRecords(bytes)];
    expect(Array.from(record?.key ?? [])).toEqual([0, 0, 0, 1]);
    expect(Array.from(record?.value ?? [])).toEqual([0, 0, 0, 0, 0, 9]);
  });

  test('the first commit with a transactional batch brings a checkpoint that says so, and the next leader keeps it', async () => {
    const disk = new MemoryDisk();
    const first = await leader(disk);
    const log = await first.open();
    await log.append(batch(['plain']), 'client');
    expect(hasTransactions((await first.store.ends(LOG)).checkpoint)).toBe(false);
    await log.append(transactional(0, ['a'], { id: 1, epoch: 0 }), 'client');
    expect(hasTransactions((await first.store.ends(LOG)).checkpoint)).toBe(true);
    await end(log, 'commit', 1);
    const next = await leader(disk);
    const later = await next.open();
    for (let i = 0; i < 500; i++) await later.append(batch(['x'.repeat(1000)]), 'client');
    const { checkpoint } = await next.store.ends(LOG);
    expect(checkpoint?.offset).toBeGreaterThan(100);
    expect(hasTransactions(checkpoint)).toBe(true);
  });

  test('a log without transactions asks for no part, and its checkpoints are those that older code opens', async () => {
    const { open, store, advances } = await leader();
    const asked: string[] = [];
    const log = await open({
      transactions: async () => {
        asked.push('transactions');
        return transactions();
      },
      topicConfig: { 'segment.bytes': '100000', 'max.message.bytes': '100000' },
    });
    for (let i = 0; i < 30; i++) await log.append(sequenced(i, ['x'.repeat(20_000)]), 'client');
    await recoverLog(store, LOG, { ...OPTIONS, transactions: () => Promise.reject(new Error('asked')) });
    expect(asked).toEqual([]);
    const { checkpoint, lastSegment } = await store.ends(LOG);
    expect(checkpoint?.snapshot).toMatchObject({ version: 2 });
    expect(checkpoint?.snapshot).not.toHaveProperty('transactions');
    expect(lastSegment).not.toHaveProperty('abortedTransactions');
    expect(advances.some((advance) => 'transactions' in advance)).toBe(false);
  });

  test('a segment closes with its aborted transactions, and before they become many', async () => {
    const { open, store } = await leader();
    const log = await open();
    const count = MAX_ABORTED_PER_SEGMENT + 3;
    for (let i = 0; i < count; i++) {
      await log.append(transactional(i, ['a'], { id: 1, epoch: 0 }), 'client');
      await end(log, 'abort', 1);
    }
    const rows = await store.segments(LOG);
    expect(rows).toHaveLength(1);
    const closed = unpackAborted(rows[0]?.abortedTransactions);
    expect(closed).toHaveLength(MAX_ABORTED_PER_SEGMENT);
    expect(closed[1]).toEqual({ producerId: 1, firstOffset: 2, lastOffset: 3, lastStableOffset: 4 });
    const { state, committed } = await recoverLog(store, LOG, OPTIONS);
    expect(committed.transactions?.aborted).toHaveLength(3);
    expect(state.segment.baseOffset).toBe(2 * MAX_ABORTED_PER_SEGMENT);
  });

  test('a last chunk that breaks off costs its last batch alone, whose offsets are not given again', async () => {
    const disk = new MemoryDisk();
    const first = await leader(disk);
    const log = await first.open();
    await log.append(sequenced(0, ['a']), 'client');
    await Promise.all([log.append(sequenced(1, ['b']), 'client'), log.append(sequenced(2, ['c']), 'client')]);
    const store = await MemoryLogStore.open(disk, { newIncarnationId: 'test' });
    const raw = await store.raw();
    const [last] = await raw.chunks(LOG, 2, 1);
    const torn = { lastOffset: 2, bytes: last?.bytes.subarray(0, -10) ?? new Uint8Array() };
    await raw.apply({ log: LOG, putChunks: [torn] }, first.leaderEpoch);
    const { state } = await recoverLog(store, LOG, OPTIONS);
    expect(state.nextOffset).toBe(3);
    expect(state.producers.entry(1)?.batches.map(({ lastOffset }) => lastOffset)).toEqual([0, 1]);
  });

  test('a marker that is lost keeps nobody from opening the log, whatever its producer wrote behind it', async () => {
    const disk = new MemoryDisk();
    const { open, store, leaderEpoch } = await leader(disk);
    const log = await open();
    await log.append(transactional(0, ['a']), 'client');
    await end(log, 'commit', 1);
    await log.append(sequenced(1, ['plain']), 'client');
    await (await store.raw()).apply({ log: LOG, deleteChunks: [1] }, leaderEpoch);
    const successor = await (await leader(disk)).open();
    expect(await successor.append(batch(['of another']), 'client')).toMatchObject({ baseOffset: 3 });
    expect(successor.producer(1)?.batches.map(({ lastOffset }) => lastOffset)).toEqual([0, 2]);
  });
});
