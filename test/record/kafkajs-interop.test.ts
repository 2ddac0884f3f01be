import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compressBatch, decodeBatch } from '../../src/record/batch-compression.js';
import { verifyBatch } from '../../src/record/batch-header.js';
import { CompressionTypes } from '../../src/record/compression-types.js';
import { batchByKafkaJS, batchesByKafkaJS, type RecordForKafkaJS } from './kafkajs-codec.js';
import { bytesOf, encode, newRecord, plain } from './record-arbitraries.js';

// Goal: batches mean the same to an implementation that shares no line with ours. Method: random records, written by one
// and read by the other, plain and with gzip.

/** KafkaJS takes a header whose name each object has a property of for one that came before. */
const recordForUs = newRecord.map(({ headers, ...record }) => ({
  ...record,
  headers: headers?.map(({ key, value }) => ({ key: `h ${key}`, value })),
}));

const CODECS = [CompressionTypes.None, CompressionTypes.GZIP] as const;

test.each(CODECS)('KafkaJS reads what we write, codec %i', async (codec) => {
  await fc.assert(
    fc.asyncProperty(fc.array(recordForUs, { minLength: 1, maxLength: 20 }), fc.nat(2 ** 40), async (written, base) => {
      const batch = encode(written, { baseOffset: base, producerId: 77, producerEpoch: 3, baseSequence: 9 });
      const [theirs, ...more] = await batchesByKafkaJS(await compressBatch(batch, 0, codec));
      expect(more).toEqual([]);
      expect(theirs).toMatchObject({ producerId: '77', producerEpoch: 3, firstSequence: 9 });
      const read = theirs!.records.map(({ offset, timestamp, key, value, headers }) => ({
        offset: Number(offset),
        timestampMs: Number(timestamp),
        key: bytesOf(key),
        value: bytesOf(value),
        headers: new Map(Object.entries(headers).map(([name, of]) => [name, [of].flat().map(bytesOf)])),
      }));
      expect(read).toEqual(
        written.map(({ timestampMs, key, value, headers = [] }, i) => ({
          offset: base + i,
          timestampMs,
          key: bytesOf(key),
          value: bytesOf(value),
          headers: byName(headers),
        })),
      );
    }),
    { numRuns: 100 },
  );
});

/** KafkaJS gives the headers of one name together. */
function byName(
  headers: readonly { readonly key: string; readonly value: Uint8Array | string | null }[],
): Map<string, (Uint8Array | null)[]> {
  const named = new Map<string, (Uint8Array | null)[]>();
  for (const { key, value } of headers) named.set(key, [...(named.get(key) ?? []), bytesOf(value)]);
  return named;
}

const field = fc.oneof(fc.string({ unit: 'grapheme', maxLength: 150 }), fc.constant(null));
const recordForKafkaJS: fc.Arbitrary<RecordForKafkaJS> = fc.record({
  timestampMs: fc.integer({ min: 1_700_000_000_000, max: 1_700_000_100_000 }),
  key: field,
  value: field,
  headers: fc.dictionary(fc.string({ maxLength: 8 }), fc.string({ unit: 'grapheme', maxLength: 20 }), { maxKeys: 3 }),
});

test.each(CODECS)('we read what KafkaJS writes, codec %i', async (compression) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(recordForKafkaJS, { minLength: 1, maxLength: 20 }),
      fc.nat(2 ** 31 - 100),
      async (written, firstOffset) => {
        const bytes = await batchByKafkaJS(written, { firstOffset, compression });
        expect(verifyBatch(bytes)).toMatchObject({ baseOffset: firstOffset, recordCount: written.length });
        const read = (await decodeBatch(bytes)).map(plain);
        expect(read).toEqual(
          written.map(({ timestampMs, key, value, headers }, i) => ({
            offset: firstOffset + i,
            timestampMs,
            key: bytesOf(key),
            value: bytesOf(value),
            headers: Object.entries(headers).map(([name, text]) => ({ key: name, value: bytesOf(text) })),
          })),
        );
      },
    ),
    { numRuns: 100 },
  );
});
