import fc from 'fast-check';
import { expect, test } from 'vitest';
import { packProducers, unpackProducers } from '../../src/log/packed-producers.js';

const offset = fc.maxSafeNat();
const batch = fc.record({ lastSequence: fc.nat(), lastOffset: offset, offsetDelta: fc.nat(), timestampMs: fc.nat() });
const entry = fc.record({
  producerId: fc.nat(),
  producerEpoch: fc.nat(100),
  batches: fc.array(batch),
  coordinatorEpoch: fc.constant(-1),
  lastTimestampMs: fc.nat(),
  currentTxnFirstOffset: fc.option(offset, { nil: undefined }),
});
const snapshot = fc.record({ offset, producers: fc.array(entry) });

test('a snapshot comes back as it was packed, also from a database', () => {
  fc.assert(
    fc.property(snapshot, (given) => {
      expect(unpackProducers(structuredClone(packProducers(given)))).toEqual(given);
    }),
  );
});
