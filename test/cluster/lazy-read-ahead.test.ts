import { beforeEach, expect, test } from 'vitest';
import { METADATA_LOG } from '../../src/broker/metadata-records.js';
import { LazyReadAhead } from '../../src/cluster/lazy-read-ahead.js';
import { ReadAhead } from '../../src/cluster/read-ahead.js';
import { KafkaError } from '../../src/protocol/errors.js';
import { encodeBatch } from '../../src/record/encode-batch.js';
import { baseOffsetOf } from '../../src/storage/chunk.js';
import { MemoryDisk } from '../../src/storage/memory-disk.js';
import { MemoryLogStore } from '../../src/storage/memory-log-store.js';

const LOG = 3;

let store: MemoryLogStore;
/** The offsets from which the store was read. */
let reads: number[];

beforeEach(async () => {
  store = await MemoryLogStore.open(new MemoryDisk(), { newIncarnationId: 'one' });
  reads = [];
  const read = store.read.bind(store);
  store.read = (log, offset, maxBytes, endOffset) => {
    reads.push(offset);
    return read(log, offset, maxBytes, endOffset);
  };
});

test('what is read does not wait for the code, which the second read of records asks for, nor for it to come after a failure', async () => {
  let asked = 0;
  const ahead = new LazyReadAhead(store, async () => {
    if (++asked === 1) throw new KafkaError('COORDINATOR_NOT_AVAILABLE', 'offline');
    return { ReadAhead };
  });
  for (const [log, expected] of [
    [METADATA_LOG, 0],
    [LOG, 0],
    [METADATA_LOG, 0],
    [LOG, 1],
    [LOG, 2],
    [LOG, 2],
  ] as const) {
    expect(await ahead.read({ log, offset: 0 }, 1000, 0)).toEqual([]);
    await Promise.resolve();
    expect(asked).toBe(expected);
  }
});

test('what was begun is what the read answers, up to the end that is known by then', async () => {
  await append(3);
  const ahead = lazy();
  ahead.begin(LOG, { fetchOffset: 0, maxBytes: 1000 });
  expect(await offsets(ahead.read({ log: LOG, offset: 0 }, 1000, 2))).toEqual([0, 1]);
  expect(reads).toEqual([0]);
  expect(await offsets(ahead.read({ log: LOG, offset: 0 }, 1000, 3))).toEqual([0, 1, 2]);
  expect(reads).toEqual([0, 0]);
});

test('what was begun before there was anything, elsewhere or in vain is read anew', async () => {
  const ahead = lazy();
  ahead.begin(LOG, { fetchOffset: 0, maxBytes: 1000 });
  await append(2);
  expect(await offsets(ahead.read({ log: LOG, offset: 0 }, 1000, 2))).toEqual([0, 1]);

  const elsewhere = lazy();
  elsewhere.begin(LOG, { fetchOffset: 0, maxBytes: 1000 });
  expect(await offsets(elsewhere.read({ log: LOG, offset: 1 }, 1000, 2))).toEqual([1]);

  const { read } = store;
  store.read = () => Promise.reject(new KafkaError('KAFKA_STORAGE_ERROR', 'once'));
  const failing = lazy();
  failing.begin(LOG, { fetchOffset: 0, maxBytes: 1000 });
  store.read = read;
  expect(await offsets(failing.read({ log: LOG, offset: 0 }, 1000, 2))).toEqual([0, 1]);
});

function lazy(): LazyReadAhead {
  return new LazyReadAhead(store, async () => ({ ReadAhead }));
}

async function append(count: number): Promise<void> {
  await store.claimLeadership(0, 'leader', 0);
  const chunks = Array.from({ length: count }, (_, offset) => {
    const bytes = encodeBatch({ records: [{ key: null, value: 'x' }], timestampMs: 0 });
    new DataView(bytes.buffer).setBigInt64(0, BigInt(offset));
    return { log: LOG, baseOffset: offset, lastOffset: offset, bytes };
  });
  await store.append({ leaderEpoch: 1, chunks }, 'relaxed');
}

async function offsets(read: Promise<readonly Uint8Array[]>): Promise<number[]> {
  return (await read).map(baseOffsetOf);
}
