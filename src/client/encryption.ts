import { decompressBatch } from '../record/batch-compression.js';
import { type BatchCipher, decryptBatch, encryptBatch } from '../record/batch-encryption.js';
import { compressionOf, readBatchHeader } from '../record/batch-header.js';
import { openAesGcm, sealAesGcm } from '../runtime/aes-gcm.js';
import type { EncryptionConfig } from './api/kafka.js';
import { KafkaJSEncryptionError } from './encryption-error.js';

/** @throws KafkaJSEncryptionError: there is no key of the current id, or it may not encrypt. */
export function encryptForTopic(bytes: Uint8Array, config: EncryptionConfig): Promise<Uint8Array> {
  return encryptBatch(bytes, 0, batchCipher(config));
}

/**
 * The encrypted batch at `at` in clear and uncompressed; without `config` no key is known.
 * @throws KafkaJSEncryptionError: no key, a wrong one, or the batch was changed. KafkaError CORRUPT_MESSAGE.
 */
export async function decryptFetched(
  bytes: Uint8Array,
  at: number,
  config: EncryptionConfig | undefined,
): Promise<Uint8Array> {
  const clear = await decryptBatch(bytes, at, batchCipher(config ?? { keyId: '', keys: {} }));
  return compressionOf(readBatchHeader(clear)) === 0 ? clear : decompressBatch(clear);
}

/** The application's keys as what seals and opens batches. */
export function batchCipher({ keyId: current, keys }: EncryptionConfig): BatchCipher {
  return {
    keyId: current,
    seal: async (keyId, content) => {
      const key = await keyOf(keys, keyId);
      return sealAesGcm(key, content).catch((cause: unknown) => {
        const text = `expected key ${quoted(keyId)} to be an AES-GCM key that may encrypt, found ${describe(key)}`;
        throw new KafkaJSEncryptionError(text, { keyId, cause });
      });
    },
    open: async (keyId, content) => {
      const key = await keyOf(keys, keyId);
      return openAesGcm(key, content).catch((cause: unknown) => {
        const text =
          `a batch cannot be decrypted with key ${quoted(keyId)}: ` +
          `it was encrypted with another key of that id, or changed since (${describe(key)})`;
        throw new KafkaJSEncryptionError(text, { keyId, cause });
      });
    },
  };
}

async function keyOf(keys: EncryptionConfig['keys'], keyId: string): Promise<CryptoKey> {
  const key = typeof keys === 'function' ? await keys(keyId) : Object.hasOwn(keys, keyId) ? keys[keyId] : undefined;
  if (key !== undefined) return key;
  const known =
    typeof keys === 'function' ? 'nothing from the look-up' : `keys ${Object.keys(keys).join(', ') || 'none'}`;
  throw new KafkaJSEncryptionError(`expected a key with the id ${quoted(keyId)}, found ${known}`, { keyId });
}

function quoted(keyId: string): string {
  return JSON.stringify(keyId);
}

function describe({ algorithm, usages }: CryptoKey): string {
  return `${algorithm.name} for ${usages.join(', ')}`;
}
