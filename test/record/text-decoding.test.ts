import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeRecords } from '../../src/record/record-batch-decoder.js';
import { decodeValueTexts } from '../../src/record/text-decoding.js';
import { encode, newRecord } from './record-arbitraries.js';

const ascii = fc.oneof(fc.string({ maxLength: 200 }), fc.constant(null), fc.constant(''));
const asciiRecord = fc.record({ key: fc.constant('kéy'), value: ascii, timestampMs: fc.constant(1) });
const longRecord = fc.record({
  key: ascii,
  value: fc.string({ minLength: 500, maxLength: 900 }),
  timestampMs: fc.nat(),
});

test('the texts of a batch are those of its values one by one, in any place', () => {
  const records = fc.oneof(fc.array(newRecord), fc.array(asciiRecord), fc.array(longRecord, { maxLength: 5 }));
  fc.assert(
    fc.property(records, fc.nat(5), (written, before) => {
      const bytes = Uint8Array.from([...new Uint8Array(before), ...encode(written)]);
      const copy = bytes.slice();
      const oneByOne = decodeRecords(bytes, before).map(({ value }) => value?.toString() ?? null);
      expect(decodeValueTexts(bytes, before)).toEqual(oneByOne);
      expect(bytes).toEqual(copy);
    }),
    { numRuns: 300 },
  );
});
