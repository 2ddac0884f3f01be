import { KafkaError } from '../protocol/errors.js';
import { concatBytes, setInt32, setInt64 } from '../util/bytes.js';
import { BATCH_HEADER_BYTES, compressionOf, readBatchHeader } from './batch-header.js';
import { ENCRYPTED } from './batch-layout.js';
import type { BatchHeader } from './record.js';
import { replaceRecords } from './rewritten-batch.js';

/*
 * An encrypted batch: its head in clear, with ENCRYPTED where a compression would be; in place of the records
 *
 *   version 1 · compression of the records 1 · length of the key id 1 · key id (UTF-8) · nonce 12 · ciphertext, tag 16
 *
 * The records are compressed first and then encrypted with AES-GCM. What is authenticated with them is all before the
 * nonce, then of the head what the records mean nothing without and nobody stamps later:
 *
 *   lastOffsetDelta 4 · baseTimestamp 8 · recordCount 4
 *
 * Not base offset and leader epoch, which the leader gives; not max timestamp and timestamp type, which it overwrites for
 * LogAppendTime; not the producer's id, epoch and sequence, which a producer that lost them gives anew. The checksum
 * covers the ciphertext: whoever stores, checks or moves a batch needs no key.
 */
const VERSION = 1;
const PREFIX_BYTES = 3;
const NONCE_BYTES = 12;
const HEAD_BYTES = 16;
export const MAX_KEY_ID_BYTES = 255;

const UTF8 = new TextDecoder();

/** AES-GCM under named keys. Rejections are passed on to whoever encrypts or decrypts. */
export interface BatchCipher {
  /** What is encrypted from now on is encrypted with this one. */
  readonly keyId: string;
  /** `nonce` is fresh for each call. */
  seal(
    keyId: string,
    content: { readonly plaintext: Uint8Array; readonly additionalData: Uint8Array },
  ): Promise<{ readonly nonce: Uint8Array; readonly ciphertext: Uint8Array }>;
  /** Rejects where the key is not known, is another one than that of `seal`, or anything was changed. */
  open(keyId: string, content: SealedContent): Promise<Uint8Array>;
}

export interface SealedContent {
  readonly nonce: Uint8Array;
  readonly ciphertext: Uint8Array;
  readonly additionalData: Uint8Array;
}

interface Envelope {
  readonly compression: number;
  readonly keyId: string;
  readonly sealed: SealedContent;
}

/** The batch at `at`, compressed or not, with its records encrypted, in a buffer of its own. */
export async function encryptBatch(
  bytes: Uint8Array,
  at: number,
  cipher: BatchCipher,
): Promise<Uint8Array<ArrayBuffer>> {
  const header = readBatchHeader(bytes, at);
  const plaintext = bytes.subarray(at + BATCH_HEADER_BYTES, at + header.sizeInBytes);
  const { keyId } = cipher;
  const prefix = prefixOf(compressionOf(header), keyId);
  const { nonce, ciphertext } = await cipher.seal(keyId, { plaintext, additionalData: authenticated(prefix, header) });
  return replaceRecords(bytes, at, concatBytes([prefix, nonce, ciphertext]), ENCRYPTED);
}

/**
 * The encrypted batch at `at` as it was before, save what was stamped into its head since, in a buffer of its own.
 * @throws KafkaError CORRUPT_MESSAGE: no envelope that this code knows. Rejects as `BatchCipher.open`.
 */
export async function decryptBatch(
  bytes: Uint8Array,
  at: number,
  cipher: BatchCipher,
): Promise<Uint8Array<ArrayBuffer>> {
  const { compression, keyId, sealed } = envelopeOf(bytes, at);
  return replaceRecords(bytes, at, await cipher.open(keyId, sealed), compression);
}

/** Which key the batch at `at` is encrypted with; undefined: none. @throws KafkaError CORRUPT_MESSAGE */
export function encryptionKeyId(bytes: Uint8Array, at = 0): string | undefined {
  return isEncrypted(readBatchHeader(bytes, at)) ? envelopeOf(bytes, at).keyId : undefined;
}

/** As `encryptionKeyId`; undefined also where the envelope is of a later version. */
export function readableKeyId(bytes: Uint8Array, at = 0): string | undefined {
  try {
    return encryptionKeyId(bytes, at);
  } catch (error) {
    if (error instanceof KafkaError && error.type === 'CORRUPT_MESSAGE') return undefined;
    throw error;
  }
}

export function isEncrypted(header: Pick<BatchHeader, 'attributes'>): boolean {
  return compressionOf(header) === ENCRYPTED;
}

function prefixOf(compression: number, keyId: string): Uint8Array {
  const id = new TextEncoder().encode(keyId);
  if (id.length > MAX_KEY_ID_BYTES) {
    throw new KafkaError('INVALID_CONFIG', `key id: expected at most ${MAX_KEY_ID_BYTES} bytes, found ${id.length}`);
  }
  return concatBytes([Uint8Array.of(VERSION, compression, id.length), id]);
}

function authenticated(prefix: Uint8Array, { lastOffsetDelta, baseTimestampMs, recordCount }: BatchHeader): Uint8Array {
  const head = new Uint8Array(HEAD_BYTES);
  setInt32(head, 0, lastOffsetDelta);
  setInt64(head, 4, baseTimestampMs);
  setInt32(head, 12, recordCount);
  return concatBytes([prefix, head]);
}

function envelopeOf(bytes: Uint8Array, at: number): Envelope {
  const header = readBatchHeader(bytes, at);
  const envelope = bytes.subarray(at + BATCH_HEADER_BYTES, at + header.sizeInBytes);
  const [version, compression = 0, idBytes = 0] = envelope;
  const nonceAt = PREFIX_BYTES + idBytes;
  if (version !== VERSION || !isEncrypted(header) || envelope.length < nonceAt + NONCE_BYTES) {
    const found = `version ${version}, ${envelope.length} bytes`;
    throw new KafkaError(
      'CORRUPT_MESSAGE',
      `batch at byte ${at}: expected encrypted records of version 1, found ${found}`,
    );
  }
  const sealed = {
    nonce: envelope.subarray(nonceAt, nonceAt + NONCE_BYTES),
    ciphertext: envelope.subarray(nonceAt + NONCE_BYTES),
    additionalData: authenticated(envelope.subarray(0, nonceAt), header),
  };
  return { compression, keyId: UTF8.decode(envelope.subarray(PREFIX_BYTES, nonceAt)), sealed };
}
