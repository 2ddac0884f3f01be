import fc from 'fast-check';
import { expect, test } from 'vitest';
import { partitionFor } from '../../src/util/murmur2.js';

// The hash itself is checked against known answers: test/record/conformance.test.ts.
test('every key has a partition among those there are, always the same', () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.integer({ min: 1, max: 100 }), (key, count) => {
      const partition = partitionFor(key, count);
      expect(partition).toBeGreaterThanOrEqual(0);
      expect(partition).toBeLessThan(count);
      expect(partitionFor(key.slice(), count)).toBe(partition);
    }),
  );
});
