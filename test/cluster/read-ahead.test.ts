import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { MAX_AHEAD_BYTES, ReadAhead } from '../../src/cluster/read-ahead.js';
import { LogGapError } from '../../src/log/log-gap.js';
import { readSound } from '../../src/log/sound-batches.js';
import type { SoundRead } from '../../src/log/sound-stretch.js';
import type { PartitionGap } from '../../src/protocol/requests.js';
import { batchesIn } from '../../src/record/batch-header.js';
import { writeBatchHeader } from '../../src/record/write-batch-header.js';
import { baseOffsetOf, bytesOf } from '../../src/storage/chunk.js';
import type { LogStore } from '../../src/storage/log-store.js';
import { MemoryDisk } from '../../src/storage/memory-disk.js';
import { MemoryLogStore } from '../../src/storage/memory-log-store.js';
import { concatBytes } from '../../src/util/bytes.js';
import { settled } from './settled.js';

const KIB = 1024;

let disk: MemoryDisk;
let store: MemoryLogStore;
/** What the store was asked for: the bytes of each read, in order. */
let asked: number[];
let given: number;
let givenOf: Map<number, number>;
let ahead: ReadAhead;

beforeEach(async () => {
  disk = new MemoryDisk();
  store = await MemoryLogStore.open(disk, { newIncarnationId: 'one' });
  await store.claimLeadership(0, 'leader', 0);
  asked = [];
  given = 0;
  givenOf = new Map();
  const read: LogStore['read'] = async (log, offset, maxBytes, endOffset) => {
    asked.push(maxBytes);
    const chunks = await store.read(log, offset, maxBytes, endOffset);
    given += bytesOf(chunks);
    givenOf.set(log, (givenOf.get(log) ?? 0) + bytesOf(chunks));
    return chunks;
  };
  ahead = new ReadAhead(Object.create(store, { read: { value: read } }));
});

/** Appends chunks of these sizes, each of one batch of three records. Returns the end of the log. */
async function fill(log: number, sizes: readonly number[]): Promise<number> {
  const chunks = sizes.map((size, i) => {
    return { log, baseOffset: 3 * i, lastOffset: 3 * i + 2, bytes: batchLike(3 * i, size) };
  });
  await store.append({ leaderEpoch: 1, chunks }, 'relaxed');
  return 3 * sizes.length;
}

/** A sound batch of three records, which are not looked at here. */
function batchLike(baseOffset: number, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  writeBatchHeader(bytes, 0, size, {
    baseOffset,
    partitionLeaderEpoch: 1,
    attributes: 0,
    lastOffsetDelta: 2,
    baseTimestampMs: 0,
    maxTimestampMs: 0,
    producerId: -1,
    producerEpoch: -1,
    baseSequence: -1,
    recordCount: 3,
  });
  return bytes;
}

/** The base offsets of all batches of a log up to offset 240, and its gaps. */
async function readThrough(
  log: number,
  maxBytes: readonly number[],
  read: (wanted: SoundRead) => Promise<readonly Uint8Array[]>,
): Promise<(number | PartitionGap)[]> {
  const found: (number | PartitionGap)[] = [];
  for (let offset = 0, turn = 0; offset < 240; turn++) {
    try {
      const wanted = { log, offset, maxBytes: maxBytes[turn % maxBytes.length]!, endOffset: 240 };
      for (const { header } of (await read(wanted)).flatMap((chunk) => [...batchesIn(chunk)])) {
        if (header.baseOffset + 3 > offset) found.push(header.baseOffset);
        offset = header.baseOffset + 3;
      }
    } catch (error) {
      if (!(error instanceof LogGapError)) throw error;
      found.push(error.gap);
      offset = error.gap.nextOffset;
    }
    if (turn % 2 === 0) await settled();
  }
  return found;
}

describe('reading ahead', () => {
  // Goal: whoever reads in order gets every chunk once, whoever else reads, and however much each asks for.
  test('gives each of many readers the log in order', async () => {
    const end = await fill(
      1,
      [...Array(40).keys()].map((i) => 100 + ((i * 7919) % 60_000)),
    );
    const turns = fc.array(fc.record({ reader: fc.nat(3), maxBytes: fc.integer({ min: 1, max: 300_000 }) }), {
      minLength: 1,
      maxLength: 60,
    });
    await fc.assert(
      fc.asyncProperty(turns, async (all) => {
        const places = [0, 0, 30, 60];
        for (const { reader, maxBytes } of all) {
          const offset = places[reader]!;
          const chunks = await ahead.read({ log: 1, offset }, maxBytes, end);
          expect(chunks.map(baseOffsetOf)).toEqual(chunks.map((_, i) => offset + 3 * i));
          if (offset < end) expect(chunks.length).toBeGreaterThan(0);
          const bytes = chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0);
          if (chunks.length > 1) expect(bytes).toBeLessThanOrEqual(maxBytes);
          places[reader] = offset + 3 * chunks.length;
        }
      }),
      { numRuns: 100 },
    );
  });

  test('asks for more the longer a reader goes on, for nothing twice, and answers at least half of what fits', async () => {
    const end = await fill(1, Array(400).fill(60 * KIB));
    for (let offset = 0; offset < end; ) {
      const chunks = await ahead.read({ log: 1, offset }, 192 * KIB, end);
      offset += 3 * chunks.length;
      expect(chunks.length === 3 || offset === end).toBe(true);
      await settled();
    }
    expect(asked.slice(0, 5)).toEqual([192 * KIB, 1024 * KIB, 1024 * KIB, 2048 * KIB, 2048 * KIB]);
    expect(given).toBe(400 * 60 * KIB);
  });

  // Goal: whatever a reader asks for, it gets no more batches than fit, but one; and each once. Method: rows of ten batches,
  // read by any amounts, also after what was read ahead is there.
  test('keeps what of a row is more than was asked for, for the next read', async () => {
    const rows = Array.from({ length: 20 }, (_, row) => {
      const bytes = concatBytes(Array.from({ length: 10 }, (_, i) => batchLike(30 * row + 3 * i, 200 + 100 * i)));
      return { log: 1, baseOffset: 30 * row, lastOffset: 30 * row + 29, bytes };
    });
    await store.append({ leaderEpoch: 1, chunks: rows }, 'relaxed');
    const end = 600;
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 9000 }), { minLength: 1 }), async (amounts) => {
        ahead.forgetLog(1);
        given = 0;
        for (let offset = 0, turn = 0; offset < end; turn++) {
          const maxBytes = amounts[turn % amounts.length]!;
          const chunks = await ahead.read({ log: 1, offset }, maxBytes, end);
          const batches = [...batchesIn(concatBytes(chunks))].map(({ header }) => header);
          expect(batches.map(({ baseOffset }) => baseOffset)).toEqual(batches.map((_, i) => offset + 3 * i));
          const bytes = batches.reduce((sum, { sizeInBytes }) => sum + sizeInBytes, 0);
          expect(batches.length === 1 || bytes <= maxBytes).toBe(true);
          offset += 3 * batches.length;
        }
        expect(given).toBe(20 * 10 * 650); // nothing was read twice
      }),
      { numRuns: 50 },
    );
  });

  // Goal: what was asked for where damaged rows seemed to end is never taken for what follows them. Method: one byte of a log
  // is damaged, anywhere; a reader gets the same records and gaps as one for whom nothing is read ahead.
  test('finds the same records and gaps in a damaged log', async () => {
    const damages = fc.record({
      row: fc.nat(39),
      at: fc.integer({ min: 8, max: 300 }),
      bits: fc.integer({ min: 1, max: 255 }),
    });
    const amounts = fc.array(fc.integer({ min: 1000, max: 400_000 }), { minLength: 1, maxLength: 5 });
    const reading = new ReadAhead(store);
    let log = 0;
    let gaps = 0;
    await fc.assert(
      fc.asyncProperty(damages, amounts, async ({ row, at, bits }, maxBytes) => {
        log++;
        const chunks = Array.from({ length: 40 }, (_, i) => {
          const bytes = concatBytes([batchLike(6 * i, 150), batchLike(6 * i + 3, 59 * KIB)]);
          if (i === row) bytes[at]! ^= bits;
          return { log, baseOffset: 6 * i, lastOffset: 6 * i + 5, bytes };
        });
        await store.append({ leaderEpoch: 1, chunks }, 'relaxed');
        const plainly = async (read: SoundRead): Promise<readonly Uint8Array[]> =>
          (await readSound(store, read)).chunks;
        const plain = await readThrough(log, maxBytes, plainly);
        gaps += plain.filter((entry) => typeof entry !== 'number').length;
        const found = await readThrough(log, maxBytes, ({ offset, maxBytes: most }) =>
          reading.read({ log, offset }, most, 240),
        );
        expect(found).toEqual(plain);
      }),
      { numRuns: 15 },
    );
    expect(gaps).toBeGreaterThan(5);
  });

  test('waits for what is being read rather than answer with a rest', async () => {
    const end = await fill(1, Array(100).fill(60 * KIB));
    const lengths: number[] = [];
    for (let offset = 0; offset < end; offset += 3 * (lengths.at(-1) ?? 0)) {
      lengths.push((await ahead.read({ log: 1, offset }, 1024 * KIB, end)).length);
    }
    expect(Math.min(...lengths.slice(0, -1))).toBeGreaterThanOrEqual(9);
  });

  test('is bounded, however many logs are read', async () => {
    for (let log = 0; log < 60; log++) {
      const end = await fill(log, Array(40).fill(60 * KIB));
      const [first] = await ahead.read({ log, offset: 0 }, 60 * KIB, end);
      await ahead.read({ log, offset: 3 }, 60 * KIB, end);
      expect(first?.byteLength).toBe(60 * KIB);
      await settled();
    }
    const before = asked.length;
    let kept = 0;
    let keptBytes = 0;
    for (let log = 0; log < 60; log++) {
      const reads = asked.length;
      const before = givenOf.get(log) ?? 0;
      await ahead.read({ log, offset: 6 }, 60 * KIB, 9);
      if (asked.length > reads) continue;
      kept++;
      keptBytes += before - 2 * 60 * KIB;
    }
    expect(asked.length).toBeGreaterThan(before);
    expect(keptBytes).toBeLessThanOrEqual(MAX_AHEAD_BYTES);
    expect(kept).toBeGreaterThan(0);
  });

  // Goal: the partitions of a topic that one consumer reads are read once: where one's rows took the room of another's, the
  // store would be asked again for nearly all of them.
  test.each([3, 8, 16, 64, 200])('reads nothing twice for %i readers in turn', async (logs) => {
    const ends: number[] = [];
    for (let log = 0; log < logs; log++) ends.push(await fill(log, Array(Math.floor(2400 / logs)).fill(60 * KIB)));
    const places = ends.map(() => 0);
    while (places.some((place, log) => place < ends[log]!)) {
      const reads = places.map(async (offset, log) => {
        const chunks = offset < ends[log]! ? await ahead.read({ log, offset }, 160 * KIB, ends[log]!) : [];
        places[log] = offset + 3 * chunks.length;
      });
      await Promise.all(reads);
      await settled();
    }
    expect(given).toBeLessThan(1.1 * logs * Math.floor(2400 / logs) * 60 * KIB);
  });

  test('makes room where readers have gone elsewhere', async () => {
    const end = await fill(1, Array(1000).fill(60 * KIB));
    for (let reader = 0; reader < 20; reader++) await ahead.read({ log: 1, offset: 120 * reader }, 60 * KIB, end);
    for (let offset = 3; offset < end; ) {
      const chunks = await ahead.read({ log: 1, offset }, 1024 * KIB, end);
      offset += 3 * chunks.length;
      await settled();
    }
    expect(asked.at(-1)).toBe(2048 * KIB);
  });

  // Goal: who goes elsewhere does not wait for what nobody will read: only what is under way is read to its end.
  test('ends where its reader waits no longer', async () => {
    const end = await fill(1, Array(200).fill(60 * KIB));
    const [first] = await ahead.read({ log: 1, offset: 0 }, 60 * KIB, end);
    expect(first?.byteLength).toBe(60 * KIB);
    const reads = asked.length;
    const reader = new AbortController();
    const waiting = ahead.read({ log: 1, offset: 3, signal: reader.signal }, 4096 * KIB, end);
    reader.abort(new Error('elsewhere'));
    await expect(waiting).rejects.toThrow('elsewhere');
    await settled();
    expect(asked.length).toBe(reads);
    expect(await ahead.read({ log: 1, offset: 3 }, 60 * KIB, end)).toHaveLength(1);
  });

  test('tells a reader of a failure, once it comes to that place', async () => {
    const end = await fill(1, Array(40).fill(60 * KIB));
    await ahead.read({ log: 1, offset: 0 }, 3 * 60 * KIB, end);
    await settled();
    disk.disconnect();
    const kept = await ahead.read({ log: 1, offset: 9 }, 4096 * KIB, end);
    expect(kept.map(baseOffsetOf)[0]).toBe(9);
    await expect(ahead.read({ log: 1, offset: 9 + 3 * kept.length }, 1024 * KIB, end)).rejects.toThrow();
  });
});
