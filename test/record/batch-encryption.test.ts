import { createDecipheriv } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compressBatch, decodeBatch } from '../../src/record/batch-compression.js';
import { type BatchCipher, decryptBatch, encryptBatch, encryptionKeyId } from '../../src/record/batch-encryption.js';
import {
  BATCH_HEADER_BYTES,
  compressionOf,
  readBatchHeader,
  stampBatch,
  verifyBatch,
} from '../../src/record/batch-header.js';
import { ENCRYPTED } from '../../src/record/batch-layout.js';
import { CompressionTypes } from '../../src/record/compression-types.js';
import { RecordBatchBuilder } from '../../src/record/record-batch-builder.js';
import { decodeRecords } from '../../src/record/record-batch-decoder.js';
import { writeBatchHeader } from '../../src/record/write-batch-header.js';
import { openAesGcm, sealAesGcm } from '../../src/runtime/aes-gcm.js';
import { finishBatch } from './finish-batch.js';

const RAW = Uint8Array.from({ length: 32 }, (_, i) => i);

async function keys(...ids: readonly string[]): Promise<Map<string, CryptoKey>> {
  const key = () => crypto.subtle.generateKey({ name: 'AES-GCM', length: 256 }, false, ['encrypt', 'decrypt']);
  return new Map(await Promise.all(ids.map(async (id) => [id, await key()] as const)));
}

function cipher(keyId: string, known: ReadonlyMap<string, CryptoKey>): BatchCipher {
  const keyOf = (id: string): CryptoKey => {
    const key = known.get(id);
    if (key === undefined) throw new Error(`no key ${id}`);
    return key;
  };
  return {
    keyId,
    seal: async (id, content) => sealAesGcm(keyOf(id), content),
    open: async (id, content) => openAesGcm(keyOf(id), content),
  };
}

function batch(values: readonly string[] = ['two teapots', 'one cup'], keys = 'k'): Uint8Array<ArrayBuffer> {
  const builder = new RecordBatchBuilder();
  for (const [i, value] of values.entries()) {
    builder.append({ key: `${keys}${i}`, value, headers: [{ key: 'from', value: 'shop' }], timestampMs: 1_000 + i });
  }
  return finishBatch(builder, { producerId: 7, producerEpoch: 1, baseSequence: 3 });
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

test('a batch is as it was after encryption and decryption, compressed or not', async () => {
  const one = cipher('a', await keys('a'));
  await fc.assert(
    fc.asyncProperty(fc.array(fc.string(), { minLength: 1 }), fc.boolean(), async (values, compressed) => {
      const clear = batch(values);
      const packed = compressed ? await compressBatch(clear, 0, CompressionTypes.GZIP) : clear;
      const encrypted = await encryptBatch(packed, 0, one);
      verifyBatch(encrypted); // nobody needs the key for that
      expect(compressionOf(readBatchHeader(encrypted))).toBe(ENCRYPTED);
      expect(hex(await decryptBatch(encrypted, 0, one))).toBe(hex(packed));
    }),
    { numRuns: 50 },
  );
});

test('nothing of keys, values and headers is in clear, and no two encryptions are alike', async () => {
  const one = cipher('a', await keys('a'));
  const clear = batch(['two teapots'], 'order-');
  const [first, second] = [await encryptBatch(clear, 0, one), await encryptBatch(clear, 0, one)];
  for (const text of ['teapots', 'order-0', 'shop', 'from']) expect(Buffer.from(first).includes(text)).toBe(false);
  expect(hex(first)).not.toBe(hex(second));
});

// The bytes of the format, so that data of today can be read for ever. Another implementation decrypts them.
test('the format is this one', async () => {
  const key = await crypto.subtle.importKey('raw', RAW, 'AES-GCM', false, ['encrypt', 'decrypt']);
  const nonce = Uint8Array.from({ length: 12 }, (_, i) => 0xa0 + i);
  const fixed: BatchCipher = {
    keyId: 'key-2026',
    seal: async (_keyId, { plaintext, additionalData }) => {
      const algorithm = { name: 'AES-GCM', iv: nonce, additionalData: new Uint8Array(additionalData) };
      const ciphertext = await crypto.subtle.encrypt(algorithm, key, new Uint8Array(plaintext));
      return { nonce, ciphertext: new Uint8Array(ciphertext) };
    },
    open: (_keyId, content) => openAesGcm(key, content),
  };
  const clear = batch(['two teapots']);
  const encrypted = await encryptBatch(clear, 0, fixed);
  expect(hex(encrypted)).toBe(GOLDEN);
  expect(hex(await decryptBatch(encrypted, 0, fixed))).toBe(hex(clear));

  const envelope = encrypted.subarray(BATCH_HEADER_BYTES);
  const prefix = Buffer.from([1, 0, 8, ...Buffer.from('key-2026')]);
  expect(hex(envelope.subarray(0, prefix.length + 12))).toBe(hex(prefix) + hex(nonce));
  const head = Buffer.alloc(16);
  head.writeInt32BE(0, 0);
  head.writeBigInt64BE(1_000n, 4);
  head.writeInt32BE(1, 12);
  const decipher = createDecipheriv('aes-256-gcm', RAW, nonce);
  decipher.setAAD(Buffer.concat([prefix, head]));
  decipher.setAuthTag(envelope.subarray(-16));
  const plaintext = Buffer.concat([decipher.update(envelope.subarray(prefix.length + 12, -16)), decipher.final()]);
  expect(hex(plaintext)).toBe(hex(clear.subarray(BATCH_HEADER_BYTES)));
});

/** Head; version, compression, key id, nonce; ciphertext and tag. */
const GOLDEN =
  '000000000000000000000076ffffffff02fad4980100070000000000000000000003e800000000000003e8000000000000000700010000000300000001' +
  '0100086b65792d32303236a0a1a2a3a4a5a6a7a8a9' +
  'aaabdc187c2d41a032a91612e8f3731fa1ae1fd82a129ad13003f10655ee10db717321cd8d04c5968544f85b39ab6af1';

describe('of the head', () => {
  test('what brokers and producers stamp later may change', async () => {
    const one = cipher('a', await keys('a'));
    const encrypted = await encryptBatch(batch(), 0, one);
    stampBatch(encrypted, 0, { baseOffset: 912, partitionLeaderEpoch: 4, logAppendTimeMs: 5_000 });
    const header = readBatchHeader(encrypted);
    writeBatchHeader(encrypted, 0, encrypted.length, { ...header, producerId: 9, producerEpoch: 2, baseSequence: 0 });
    const records = decodeRecords(await decryptBatch(encrypted, 0, one));
    expect(records.map(({ offset, timestampMs }) => [offset, timestampMs])).toEqual([
      [912, 5_000],
      [913, 5_000],
    ]);
  });

  test.each([
    ['record count', { recordCount: 1 }],
    ['last offset delta', { lastOffsetDelta: 5 }],
    ['base timestamp', { baseTimestampMs: 2_000 }],
  ])('the %s may not', async (_what, change) => {
    const one = cipher('a', await keys('a'));
    const encrypted = await encryptBatch(batch(), 0, one);
    writeBatchHeader(encrypted, 0, encrypted.length, { ...readBatchHeader(encrypted), ...change });
    verifyBatch(encrypted);
    await expect(decryptBatch(encrypted, 0, one)).rejects.toMatchObject({ name: 'OperationError' });
  });
});

test('every changed byte of the envelope is noticed', async () => {
  const one = cipher('a', await keys('a'));
  const encrypted = await encryptBatch(batch(), 0, one);
  const header = readBatchHeader(encrypted);
  for (let at = BATCH_HEADER_BYTES; at < encrypted.length; at++) {
    const changed = encrypted.slice();
    changed[at] = (changed[at] ?? 0) ^ 1;
    writeBatchHeader(changed, 0, changed.length, header); // with a checksum that fits
    await expect(decryptBatch(changed, 0, one)).rejects.toThrow();
  }
});

test('who has no keys at all gets a typed error, not wrong records', async () => {
  const encrypted = await encryptBatch(batch(), 0, cipher('a', await keys('a')));
  await expect(decodeBatch(encrypted)).rejects.toMatchObject({ type: 'UNSUPPORTED_COMPRESSION_TYPE' });
});

test('a key id is of at most 255 bytes, in any script', async () => {
  const id = 'ключ'.repeat(31); // 248 bytes
  const known = await keys(id, `${id}1234567x`);
  expect(encryptionKeyId(await encryptBatch(batch(), 0, cipher(id, known)))).toBe(id);
  await expect(encryptBatch(batch(), 0, cipher(`${id}1234567x`, known))).rejects.toMatchObject({
    type: 'INVALID_CONFIG',
  });
});
