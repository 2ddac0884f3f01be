import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { StoredBatch } from '../../src/log/rewrite-segments.js';
import { rollUp } from '../../src/log/roll-up.js';
import { readBatchHeader, stampBatch, verifyBatch } from '../../src/record/batch-header.js';
import { decodeRecords } from '../../src/record/record-batch-decoder.js';
import { bytesEqual } from '../../src/util/bytes-equal.js';
import { batch } from './harness.js';

interface Written {
  readonly producer: number;
  readonly values: readonly string[];
  /** Of its records' batch: gone bad on the disk. */
  readonly damaged: boolean;
}

const written: fc.Arbitrary<Written> = fc.record({
  producer: fc.constantFrom(-1, -1, 1, 2),
  values: fc.array(fc.string({ maxLength: 3000 }), { minLength: 1, maxLength: 8 }),
  damaged: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
});

function batchesOf(all: readonly Written[]): StoredBatch[] {
  const sequences = new Map<number, number>();
  let baseOffset = 0;
  return all.map(({ producer, values, damaged }) => {
    const baseSequence = sequences.get(producer) ?? 0;
    sequences.set(producer, baseSequence + values.length);
    const bytes = batch(values, producer < 0 ? {} : { producerId: producer, producerEpoch: 0, baseSequence });
    stampBatch(bytes, 0, { baseOffset, partitionLeaderEpoch: 1 });
    baseOffset += values.length;
    if (damaged) bytes[bytes.length - 1]! ^= 0xff;
    return { header: readBatchHeader(bytes), bytes };
  });
}

async function* inGroups(batches: readonly StoredBatch[], size: number): AsyncGenerator<readonly StoredBatch[]> {
  for (let at = 0; at < batches.length; at += size) yield batches.slice(at, at + size);
}

async function all(groups: AsyncIterable<readonly StoredBatch[]>): Promise<StoredBatch[]> {
  const batches: StoredBatch[] = [];
  for await (const group of groups) batches.push(...group);
  return batches;
}

function recordsOf(batches: readonly StoredBatch[]): object[] {
  return batches.flatMap(({ header, bytes }) => {
    const { producerId } = header;
    return decodeRecords(bytes).map(({ offset, timestampMs, value }) => ({ producerId, offset, timestampMs, value }));
  });
}

test('a roll-up changes no record, hides no damage, and leaves no two neighbours that could be one', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(written, { maxLength: 60 }), fc.integer({ min: 1, max: 9 }), async (writes, size) => {
      const before = batchesOf(writes);
      const damaged = before.filter((_, at) => writes[at]?.damaged);
      const after = await all(rollUp(inGroups(before, size)));
      const isDamaged = ({ bytes }: StoredBatch): boolean => damaged.some((other) => bytesEqual(other.bytes, bytes));
      expect(after.filter(isDamaged)).toHaveLength(damaged.length);
      const sound = after.filter((one) => !isDamaged(one));
      for (const { bytes } of sound) verifyBatch(bytes);
      expect(recordsOf(sound)).toEqual(recordsOf(before.filter((one) => !damaged.includes(one))));
      expect(after.map(({ header }) => header.baseOffset)).toEqual(
        after.map(({ header }) => header.baseOffset).toSorted((a, b) => a - b),
      );
      for (const { bytes, header } of after) {
        expect(header).toEqual(readBatchHeader(bytes));
        const merged = !before.some((one) => bytesEqual(one.bytes, bytes));
        if (merged) expect(bytes.length).toBeLessThanOrEqual(60 * 1024 * 1.05);
      }
    }),
    { numRuns: 100 },
  );
});

test('a log written a record at a time becomes a few batches', async () => {
  const before = batchesOf(
    Array.from({ length: 3000 }, (_, at) => ({ producer: 1, values: [`value ${at}`.padEnd(100)], damaged: false })),
  );
  const after = await all(rollUp(inGroups(before, 700)));
  expect(after.length).toBeLessThanOrEqual(6); // 330 kB, once a record has no head of its own
  expect(recordsOf(after)).toEqual(recordsOf(before));
});
