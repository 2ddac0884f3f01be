import fc from 'fast-check';
import { expect, test } from 'vitest';
import { completeBatch, readBatchHeader } from '../../src/record/batch-header.js';
import { RecordBatchBuilder } from '../../src/record/record-batch-builder.js';
import { decodeRecords } from '../../src/record/record-batch-decoder.js';
import { splitBatch } from '../../src/record/split-batch.js';
import { finishBatch } from './finish-batch.js';

const text = fc.option(fc.string({ maxLength: 200 }));
const record = fc.record({
  key: text,
  value: text,
  timestampMs: fc.integer({ min: 0, max: 2 ** 45 }),
  headers: fc.array(fc.record({ key: fc.string(), value: text }), { maxLength: 2 }),
});

test('the two halves of a batch hold its records, each a batch of the same producer, sound but for its checksum', () => {
  fc.assert(
    fc.property(
      fc.array(record, { minLength: 2, maxLength: 200 }),
      fc.nat(),
      fc.boolean(),
      (records, cut, sequenced) => {
        const builder = new RecordBatchBuilder({ maxBytes: Number.POSITIVE_INFINITY });
        for (const one of records) builder.append(one);
        const ending = sequenced ? { producerId: 7, producerEpoch: 1, baseSequence: 40 } : {};
        const whole = finishBatch(builder, ending);
        const count = 1 + (cut % (records.length - 1));
        const pieces = splitBatch(whole, count);
        for (const piece of pieces) completeBatch(piece);
        const plain = (bytes: Uint8Array): object[] =>
          decodeRecords(bytes).map(({ key, value, timestampMs, headers }) => ({ key, value, timestampMs, headers }));
        expect(pieces.flatMap(plain)).toEqual(plain(whole));
        pieces.forEach((piece, index) => {
          const { recordCount, lastOffsetDelta, maxTimestampMs, baseSequence, producerId } = readBatchHeader(piece);
          const from = index * count;
          const timestamps = records.slice(from, from + recordCount).map(({ timestampMs }) => timestampMs);
          expect(lastOffsetDelta).toBe(recordCount - 1);
          expect(maxTimestampMs).toBe(Math.max(...timestamps));
          expect(decodeRecords(piece).map(({ offset }) => offset)).toEqual(timestamps.map((_, i) => i));
          expect([producerId, baseSequence]).toEqual(sequenced ? [7, 40 + from] : [-1, -1]);
        });
      },
    ),
    { numRuns: 200 },
  );
});
