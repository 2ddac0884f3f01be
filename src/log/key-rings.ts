import type { EncryptionKeys } from '../protocol/encryption-keys.js';
import {
  type BatchCipher,
  decryptBatch,
  encryptBatch,
  MAX_KEY_ID_BYTES,
  readableKeyId,
} from '../record/batch-encryption.js';
import { AES_GCM, openAesGcm, sealAesGcm } from '../runtime/aes-gcm.js';
import { present } from '../util/assert.js';
import type { BatchKeys } from './batch-keys.js';

/**
 * The key rings of a host, oldest first, as what opens and seals batches. Each ring is one `Kafka`'s: a batch stays in
 * the ring that opens it, of several in the newest. A ring whose key in use may not encrypt is left aside, since nothing
 * that it opens could be stored again.
 */
export function batchKeys(rings: readonly EncryptionKeys[]): BatchKeys {
  const newestFirst = rings.filter(mayEncrypt).reverse();
  const ringsWith = (keyId: string): EncryptionKeys[] => newestFirst.filter(({ keys }) => Object.hasOwn(keys, keyId));
  return {
    rotates: newestFirst.some(({ keyId, keys }) => Object.keys(keys).some((id) => id !== keyId)),
    isOutdated: (bytes, at) => {
      const keyId = readableKeyId(bytes, at);
      return keyId !== undefined && ringsWith(keyId).some((ring) => ring.keyId !== keyId);
    },
    open: async (bytes, at) => {
      const keyId = readableKeyId(bytes, at);
      if (keyId === undefined) return undefined;
      for (const ring of ringsWith(keyId)) {
        const cipher = cipherOf(ring);
        const clear = await openedWith(cipher, bytes, at);
        if (clear === undefined) continue;
        return { clear, isCurrent: ring.keyId === keyId, seal: (batch) => encryptBatch(batch, 0, cipher) };
      }
      return undefined;
    },
  };
}

function mayEncrypt({ keyId, keys }: EncryptionKeys): boolean {
  const key = Object.hasOwn(keys, keyId) ? keys[keyId] : undefined;
  const isNamed = new TextEncoder().encode(keyId).length <= MAX_KEY_ID_BYTES;
  return isNamed && key?.algorithm.name === AES_GCM && key.usages.includes('encrypt');
}

function cipherOf({ keyId: current, keys }: EncryptionKeys): BatchCipher {
  const keyOf = (keyId: string): CryptoKey => present(keys[keyId], 'the ring was chosen for its key');
  return {
    keyId: current,
    seal: async (keyId, content) => sealAesGcm(keyOf(keyId), content),
    open: async (keyId, content) => openAesGcm(keyOf(keyId), content),
  };
}

/** undefined: another key of that id, one that may not decrypt, or the batch was changed. */
async function openedWith(cipher: BatchCipher, bytes: Uint8Array, at: number): Promise<Uint8Array | undefined> {
  try {
    return await decryptBatch(bytes, at, cipher);
  } catch (error) {
    if (error instanceof DOMException) return undefined;
    throw error;
  }
}
