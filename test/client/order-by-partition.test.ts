import fc from 'fast-check';
import { expect, test } from 'vitest';
import { orderByPartition } from '../../src/client/producer/order-by-partition.js';
import { STICKY } from '../../src/client/producer/prepare-messages.js';

test('records of a partition come one after the other, in the order they had', () => {
  const partitionCount = 5;
  const chosen = fc.array(fc.nat(partitionCount - 1), { minLength: 8 * partitionCount, maxLength: 200 });
  fc.assert(
    fc.property(chosen, (partitions) => {
      const sorted = partitions.map((_, index) => index).sort((a, b) => partitions[a]! - partitions[b]!); // stable
      expect([...orderByPartition(Int32Array.from(partitions), partitionCount)!]).toEqual(sorted);
    }),
  );
});

test('the order stays where there is little to gain, or where a record has no partition yet', () => {
  const alternating = Int32Array.from({ length: 100 }, (_, i) => i % 2);
  expect(orderByPartition(alternating, 2)).toBeDefined();
  expect(orderByPartition(alternating.subarray(0, 10), 2)).toBeUndefined();
  expect(orderByPartition(new Int32Array(100), 1)).toBeUndefined();
  expect(orderByPartition(Int32Array.from([...alternating, STICKY]), 2)).toBeUndefined();
});
