import '../conformance/codecs.js';
import fc from 'fast-check';
import { afterEach, expect, test } from 'vitest';
import { compressBatch, decodeBatch, decompressBatch } from '../../src/record/batch-compression.js';
import { compressionOf, readBatchHeader, verifyBatch } from '../../src/record/batch-header.js';
import { CompressionCodecs, compress, decompress } from '../../src/record/compression.js';
import { CompressionTypes } from '../../src/record/compression-types.js';
import { int32At } from '../../src/util/bytes.js';
import { encode, expected, newRecord, plain } from './record-arbitraries.js';

const { GZIP, LZ4, None, Snappy, ZSTD } = CompressionTypes;
const registered = { ...CompressionCodecs };
afterEach(() => void Object.assign(CompressionCodecs, registered));

const hello = { key: null, value: 'hello '.repeat(30), timestampMs: 1 };

test.each([GZIP, Snappy, LZ4, ZSTD])('records under codec %i are read as they were written', async (type) => {
  const records = fc.array(newRecord, { minLength: 1, maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(records, async (written) => {
      const batch = encode(written, { baseOffset: 3 });
      const compressed = await compressBatch(batch, 0, type);
      expect(compressionOf(verifyBatch(compressed))).toBe(type);
      expect(await decompressBatch(compressed)).toEqual(batch);
      expect((await decodeBatch(compressed)).map(plain)).toEqual(written.map((record, i) => expected(record, 3 + i)));
    }),
    { numRuns: 25 },
  );
});

test('the head of a compressed batch differs in size, checksum and codec alone', async () => {
  const batch = encode([hello, hello], { producerId: 4, producerEpoch: 0, baseSequence: 9, attributes: 16 });
  const before = readBatchHeader(batch);
  const after = readBatchHeader(await compressBatch(batch, 0, GZIP));
  const { sizeInBytes, crc } = after;
  expect(after).toEqual({ ...before, attributes: before.attributes | GZIP, sizeInBytes, crc });
  expect(sizeInBytes).toBeLessThan(before.sizeInBytes);
});

test('a codec that nobody registered is UNSUPPORTED_COMPRESSION_TYPE, when writing and when reading', async () => {
  delete CompressionCodecs[LZ4];
  const refused = expect.objectContaining({ type: 'UNSUPPORTED_COMPRESSION_TYPE' });
  await expect(compressBatch(encode([hello]), 0, LZ4)).rejects.toThrow(refused);
  await expect(decodeBatch(encode([hello], { attributes: LZ4 }))).rejects.toThrow(refused);
  await expect(decodeBatch(encode([hello], { attributes: LZ4 }))).rejects.toThrow('no codec for lz4');
  await expect(decodeBatch(encode([hello], { attributes: 7 }))).rejects.toThrow(refused);
});

test.each([GZIP, Snappy, LZ4, ZSTD])('bytes that codec %i did not write are CORRUPT_MESSAGE', async (type) => {
  const noise = Uint8Array.from({ length: 50 }, (_, i) => 200 - 3 * i);
  await expect(decompress(type, noise)).rejects.toThrow(expect.objectContaining({ type: 'CORRUPT_MESSAGE' }));
});

test('gzip data that was cut short is CORRUPT_MESSAGE', async () => {
  const whole = await compress(GZIP, new Uint8Array(5000).fill(7));
  for (let end = 0; end < whole.length; end += 3) {
    const cut = decompress(GZIP, whole.subarray(0, end));
    await expect(cut).rejects.toThrow(expect.objectContaining({ type: 'CORRUPT_MESSAGE' }));
  }
});

test('no compression leaves the bytes as they are', async () => {
  const bytes = Uint8Array.of(1, 2, 3);
  expect(await decompress(None, await compress(None, bytes))).toBe(bytes);
});

test('snappy is written in the frame that Java clients read, and read as frames of many blocks or as a bare block', async () => {
  const bytes = new TextEncoder().encode('snappy '.repeat(40));
  const framed = await compress(Snappy, bytes);
  expect([...framed.subarray(0, 8)]).toEqual([0x82, ...new TextEncoder().encode('SNAPPY'), 0]);
  expect([int32At(framed, 8), int32At(framed, 12), int32At(framed, 16)]).toEqual([1, 1, framed.length - 20]);
  expect(await decompress(Snappy, framed)).toEqual(bytes);

  const block = framed.subarray(20);
  expect(await decompress(Snappy, block)).toEqual(bytes);
  const twice = Uint8Array.from([...framed, ...framed.subarray(16)]);
  expect(await decompress(Snappy, twice)).toEqual(Uint8Array.from([...bytes, ...bytes]));
  await expect(decompress(Snappy, twice.subarray(0, -1))).rejects.toThrow('no whole block');
});
