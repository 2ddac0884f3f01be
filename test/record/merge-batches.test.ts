import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readBatchHeader, stampBatch, verifyBatch } from '../../src/record/batch-header.js';
import { canMerge, isMergeable, mergeBatches } from '../../src/record/merge-batches.js';
import type { BatchEnding } from '../../src/record/record-batch-builder.js';
import { decodeRecords } from '../../src/record/record-batch-decoder.js';
import { encode, newRecord, plain } from './record-arbitraries.js';

const producer = fc.constantFrom({}, { producerId: 7, producerEpoch: 1, baseSequence: 40 });
const groups = fc.array(fc.array(newRecord, { minLength: 1, maxLength: 20 }), { minLength: 2, maxLength: 12 });

/** Batches behind each other, as a log has them. */
function stamped(lists: Parameters<typeof encode>[0][], ending: BatchEnding, firstOffset: number): Uint8Array[] {
  let baseOffset = firstOffset;
  let sequence = ending.baseSequence ?? 0;
  return lists.map((records) => {
    const bytes = encode(records, ending.producerId === undefined ? {} : { ...ending, baseSequence: sequence });
    stampBatch(bytes, 0, { baseOffset, partitionLeaderEpoch: 5 });
    baseOffset += records.length;
    sequence += records.length;
    return bytes;
  });
}

test('merged batches are one sound batch with the same records, of the same producer', () => {
  fc.assert(
    fc.property(groups, producer, fc.nat(1_000_000), (lists, ending, firstOffset) => {
      const batches = stamped(lists, ending, firstOffset);
      const headers = batches.map((bytes) => readBatchHeader(bytes));
      headers.forEach((header, at) => {
        expect(isMergeable(header)).toBe(true);
        if (at > 0) expect(canMerge(headers[0]!, headers[at - 1]!, header)).toBe(true);
      });
      const merged = mergeBatches(batches);
      const header = verifyBatch(merged);
      expect(decodeRecords(merged).map(plain)).toEqual(batches.flatMap((bytes) => decodeRecords(bytes)).map(plain));
      const last = headers.at(-1)!;
      expect(header.baseOffset + header.lastOffsetDelta).toBe(last.baseOffset + last.lastOffsetDelta);
      expect(header.maxTimestampMs).toBe(Math.max(...headers.map(({ maxTimestampMs }) => maxTimestampMs)));
      const { producerId, producerEpoch, baseSequence, partitionLeaderEpoch } = headers[0]!;
      expect(header).toMatchObject({ producerId, producerEpoch, baseSequence, partitionLeaderEpoch });
    }),
    { numRuns: 200 },
  );
});

test('what a reader could tell apart is not merged', () => {
  const [first, second] = stamped([[one()], [one()]], { producerId: 7, producerEpoch: 0, baseSequence: 3 }, 10).map(
    (bytes) => readBatchHeader(bytes),
  );
  const differs = (changes: object): boolean => !canMerge(first!, first!, { ...second!, ...changes });
  expect(differs({})).toBe(false);
  expect(differs({ producerId: 8 })).toBe(true);
  expect(differs({ producerEpoch: 8 })).toBe(true);
  expect(differs({ partitionLeaderEpoch: 6 })).toBe(true);
  expect(differs({ attributes: 0x10 })).toBe(true);
  expect(differs({ baseSequence: 5 })).toBe(true);
  expect(differs({ baseOffset: 12 })).toBe(true);
  expect(differs({ baseOffset: 12, baseSequence: 5 })).toBe(true);
  expect(differs({ baseOffset: 10 })).toBe(true);
  const appendTime = { attributes: 0x08, maxTimestampMs: 7 };
  expect(canMerge({ ...first!, ...appendTime }, first!, { ...second!, ...appendTime })).toBe(true);
  expect(canMerge({ ...first!, ...appendTime }, first!, { ...second!, ...appendTime, maxTimestampMs: 8 })).toBe(false);
  const none = { producerId: -1, producerEpoch: -1, baseSequence: -1 };
  expect(canMerge({ ...first!, ...none }, first!, { ...second!, ...none, baseOffset: 20 })).toBe(true);
  for (const changes of [{ attributes: 1 }, { attributes: 0x20 }, { attributes: 0x40 }, { recordCount: 0 }]) {
    expect(isMergeable({ ...first!, ...changes })).toBe(false);
  }
});

function one(): Parameters<typeof encode>[0][number] {
  return { key: null, value: 'x', timestampMs: 0 };
}
