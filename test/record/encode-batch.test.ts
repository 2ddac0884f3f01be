import fc from 'fast-check';
import { expect, test } from 'vitest';
import { internalBatches } from '../../src/broker/internal-batches.js';
import { batchesIn, verifyBatch } from '../../src/record/batch-header.js';
import { encodeBatch } from '../../src/record/encode-batch.js';
import { RecordBatchBuilder } from '../../src/record/record-batch-builder.js';
import { decodeRecords } from '../../src/record/record-batch-decoder.js';
import { finishBatch } from './finish-batch.js';

const field = fc.option(fc.oneof(fc.string({ unit: 'binary' }), fc.uint8Array({ maxLength: 200 })), { nil: null });
const records = fc.array(fc.record({ key: field, value: field }), { minLength: 1, maxLength: 200 });
const ending = fc.record({
  attributes: fc.constantFrom(0, 0x30),
  producerId: fc.maxSafeInteger(),
  producerEpoch: fc.nat(32_767),
});

test('a batch of few records is byte for byte what the builder makes of them', () => {
  fc.assert(
    fc.property(records, fc.nat(), ending, (list, timestampMs, fields) => {
      const builder = new RecordBatchBuilder();
      for (const record of list) builder.append({ ...record, timestampMs });
      expect(encodeBatch({ records: list, timestampMs, ...fields })).toEqual(finishBatch(builder, fields));
    }),
  );
});

test('many internal records become batches that each fit a row, and read back in order', () => {
  const text = fc.string({ unit: 'binary', minLength: 1, maxLength: 9_000 });
  fc.assert(
    fc.property(fc.array(text, { minLength: 1, maxLength: 40 }), (values) => {
      const bytes = internalBatches(values.map((value) => ({ key: null, value, timestampMs: 7 })));
      const found: string[] = [];
      for (const { at } of batchesIn(bytes)) {
        expect(verifyBatch(bytes, at).sizeInBytes).toBeLessThanOrEqual(32 * 1024);
        for (const { value, timestampMs } of decodeRecords(bytes, at)) {
          expect(timestampMs).toBe(7);
          found.push(new TextDecoder('utf-8', { ignoreBOM: true }).decode(value!));
        }
      }
      expect(found).toEqual(values.map((value) => value.toWellFormed()));
    }),
    { numRuns: 30 },
  );
});
