import fc from 'fast-check';
import { expect, test } from 'vitest';
import { firstBatches, withinBytes } from '../../src/log/first-batches.js';
import { batchesIn, lastOffsetOf } from '../../src/record/batch-header.js';
import { concatBytes } from '../../src/util/bytes.js';
import { batch, withBaseOffset } from './harness.js';

/** A chunk of batches of so many records each, of so many bytes. */
function chunkOf(batches: readonly { readonly count: number; readonly size: number }[]): Uint8Array<ArrayBuffer> {
  let offset = 0;
  return concatBytes(
    batches.map(({ count, size }) => {
      const bytes = withBaseOffset(batch(Array(count).fill('x'.repeat(size))), offset);
      offset += count;
      return bytes;
    }),
  );
}

// Goal: Kafka's rule of KIP-74. Method: the batches that end at or behind the offset are added up one by one.
test('a partition answers what fits, from the batch of the offset on, and that one whatever its size', () => {
  const batches = fc.array(fc.record({ count: fc.integer({ min: 1, max: 4 }), size: fc.nat(200) }), {
    minLength: 1,
    maxLength: 8,
  });
  fc.assert(
    fc.property(batches, fc.nat(), fc.integer({ min: 1, max: 2000 }), (sizes, seek, maxBytes) => {
      const chunk = chunkOf(sizes);
      const all = [...batchesIn(chunk)];
      const offset = seek % (lastOffsetOf(all.at(-1)!.header) + 1);
      const wanted = all.filter(({ header }) => lastOffsetOf(header) >= offset);
      let bytes = 0;
      const fitting = wanted.filter(({ header }, index) => {
        bytes += header.sizeInBytes;
        return index === 0 || bytes <= maxBytes;
      });
      const { from, to } = firstBatches(chunk, { offset, maxBytes });
      expect([...batchesIn(chunk.subarray(from, to))].map(({ header }) => header)).toEqual(
        fitting.map(({ header }) => header),
      );
      const [answered] = withinBytes([chunk], { offset, maxBytes });
      if (chunk.byteLength <= maxBytes) expect(answered).toBe(chunk);
      else expect(answered).toEqual(chunk.slice(from, to));
    }),
  );
});
