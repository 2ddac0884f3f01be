import { describe, expect, test } from 'vitest';
import { sealBatch } from '../../src/record/batch-checksum.js';
import { compressBatch } from '../../src/record/batch-compression.js';
import { batchesIn, compressionOf, verifyBatch } from '../../src/record/batch-header.js';
import { ATTRIBUTES_AT, CRC_AT, ENCRYPTED } from '../../src/record/batch-layout.js';
import { CompressionTypes } from '../../src/record/compression-types.js';
import { concatBytes, setInt16, setInt32 } from '../../src/util/bytes.js';
import { batch, errorOf, LOG, leader, readAll, sequenced } from './harness.js';

// Goal: `compression.type` is what batches are stored with, and nothing else of them changes.

const { None, GZIP, LZ4 } = CompressionTypes;
const VALUES = ['a'.repeat(500), 'b'.repeat(500)];

async function storedIn(store: Awaited<ReturnType<typeof leader>>['store']) {
  const chunks = await store.read(LOG, 0, 1 << 20);
  return chunks.flatMap((chunk) => [...batchesIn(chunk)].map(({ at }) => verifyBatch(chunk, at)));
}

/** A batch that says so, whatever it holds. */
function labelled(compression: number): Uint8Array {
  const bytes = batch(['opaque']);
  setInt16(bytes, ATTRIBUTES_AT, compression);
  sealBatch(bytes, 0, bytes.length);
  return bytes;
}

describe('a batch is stored', () => {
  test.each([
    { type: 'producer', sent: None, stored: None },
    { type: 'producer', sent: GZIP, stored: GZIP },
    { type: 'uncompressed', sent: None, stored: None },
    { type: 'uncompressed', sent: GZIP, stored: None },
    { type: 'gzip', sent: None, stored: GZIP },
    { type: 'gzip', sent: GZIP, stored: GZIP },
    { type: 'gzip', sent: ENCRYPTED, stored: ENCRYPTED },
    { type: 'uncompressed', sent: ENCRYPTED, stored: ENCRYPTED },
    { type: 'producer', sent: LZ4, stored: LZ4 },
    // Stored before it was refused to ask for it.
    { type: 'lz4', sent: None, stored: None },
  ])('under $type as $stored where it comes as $sent', async ({ type, sent, stored }) => {
    const { open, store } = await leader();
    const log = await open({ topicConfig: { 'compression.type': type } });
    const isOpaque = sent === ENCRYPTED || sent === LZ4;
    const clear = sequenced(0, VALUES);
    const given = isOpaque ? labelled(sent) : sent === GZIP ? await compressBatch(clear, 0, GZIP) : clear;
    await log.append(concatBytes([given, given.with(0, 0)].slice(0, isOpaque ? 2 : 1)), 'client');
    const [found] = await storedIn(store);
    expect(compressionOf(found!)).toBe(stored);
    if (isOpaque) return;
    expect(found).toMatchObject({ producerId: 1, producerEpoch: 0, baseSequence: 0, recordCount: 2 });
    expect((await readAll(store)).map(({ value }) => value)).toEqual(VALUES);
  });
});

// Goal: what takes turns to compress overtakes nothing, and a repetition is known. Method: appends all at once, each twice.
test('appends keep their order, and are known when they come twice', async () => {
  const { open, store } = await leader();
  const log = await open({ topicConfig: { 'compression.type': 'gzip', 'message.timestamp.type': 'LogAppendTime' } });
  const values = Array.from({ length: 5 }, (_, i) => String(i).repeat(10 ** (5 - i)));
  const results = await Promise.all(
    values.flatMap((value, i) => [0, 1].map(() => log.append(sequenced(i, [value]), 'client'))),
  );
  expect(results.map(({ baseOffset, duplicate }) => [baseOffset, duplicate])).toEqual(
    values.flatMap((_, i) => [false, true].map((isDuplicate) => [i, isDuplicate])),
  );
  const read = await readAll(store);
  expect(read.map(({ value }) => value)).toEqual(values);
  expect(new Set(read.map(({ timestampMs }) => timestampMs))).toEqual(new Set([1_000_000]));
});

describe('what is wrong with a batch is found', () => {
  test.each([
    { what: 'a damaged one', given: batch(['x']).with(CRC_AT, 1), type: 'uncompressed', error: 'CORRUPT_MESSAGE' },
    { what: 'no data of its codec', given: labelled(GZIP), type: 'uncompressed', error: 'CORRUPT_MESSAGE' },
    { what: 'a codec that is not here', given: labelled(LZ4), type: 'gzip', error: 'UNSUPPORTED_COMPRESSION_TYPE' },
    {
      what: 'one that is too large as it comes',
      given: batch(['x'.repeat(5000)]),
      type: 'gzip',
      error: 'MESSAGE_TOO_LARGE',
    },
  ])('$what', async ({ given, type, error }) => {
    const { open } = await leader();
    const log = await open({ topicConfig: { 'compression.type': type, 'max.message.bytes': '1500' } });
    expect(await errorOf(log.append(given, 'client'))).toBe(error);
    expect(log.logEndOffset).toBe(0);
  });

  test('one that is too large as it is stored', async () => {
    const { open } = await leader();
    const log = await open({ topicConfig: { 'compression.type': 'uncompressed', 'max.message.bytes': '1500' } });
    const given = await compressBatch(batch(['x'.repeat(5000)]), 0, GZIP);
    expect(await errorOf(log.append(given, 'client'))).toBe('MESSAGE_TOO_LARGE');
  });

  test('not by its checksum where that is missing', async () => {
    const { open, store } = await leader();
    const log = await open({ topicConfig: { 'compression.type': 'gzip' } });
    const given = batch(VALUES);
    setInt32(given, CRC_AT, 0);
    await log.append(given, 'client', 'missing');
    expect((await readAll(store)).map(({ value }) => value)).toEqual(VALUES);
  });
});
