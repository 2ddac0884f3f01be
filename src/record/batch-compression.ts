import { KafkaError } from '../protocol/errors.js';
import { BATCH_HEADER_BYTES, compressionOf, readBatchHeader, replaceRecords } from './batch-header.js';
import { type CompressionType, compressionName } from './compression-types.js';
import type { StoredRecord } from './record.js';
import { decodeRecords } from './record-batch-decoder.js';

const HIGHEST_TYPE = 4;

/** Loaded by the first batch that is compressed. @throws KafkaError NETWORK_EXCEPTION: they could not be. */
function codecs(): Promise<typeof import('./compression.js')> {
  return import('./compression.js').catch((cause: unknown) => {
    throw new KafkaError('NETWORK_EXCEPTION', `the code for compressed batches could not be loaded: ${cause}`, {
      cause,
    });
  });
}

/**
 * The uncompressed batch at `at` with its records compressed, in a buffer of its own; the head says so and is sealed
 * anew.
 * @throws KafkaError UNSUPPORTED_COMPRESSION_TYPE: no codec is registered for it.
 */
export async function compressBatch(bytes: Uint8Array, at: number, type: CompressionType): Promise<Uint8Array> {
  const { compress } = await codecs();
  const { sizeInBytes } = readBatchHeader(bytes, at);
  const records = await compress(type, bytes.subarray(at + BATCH_HEADER_BYTES, at + sizeInBytes));
  return replaceRecords(bytes, at, records, type);
}

/**
 * The batch at `at` as an uncompressed batch of the same head, in a buffer of its own. Its checksum is not looked at
 * before: see `verifyBatch`.
 * @throws KafkaError UNSUPPORTED_COMPRESSION_TYPE: no codec is registered for it. CORRUPT_MESSAGE: not the codec's data.
 */
export async function decompressBatch(bytes: Uint8Array, at = 0): Promise<Uint8Array> {
  const header = readBatchHeader(bytes, at);
  const type = compressionOf(header);
  if (type > HIGHEST_TYPE) {
    throw new KafkaError('UNSUPPORTED_COMPRESSION_TYPE', `batch at byte ${at}: no codec for ${compressionName(type)}`);
  }
  const { decompress } = await codecs();
  const compressed = bytes.subarray(at + BATCH_HEADER_BYTES, at + header.sizeInBytes);
  return replaceRecords(bytes, at, await decompress(type as CompressionType, compressed), 0);
}

/**
 * All records of the batch at `at`, compressed or not.
 * @throws KafkaError as `decompressBatch` and `RecordCursor`
 */
export async function decodeBatch(bytes: Uint8Array, at = 0): Promise<StoredRecord[]> {
  if (compressionOf(readBatchHeader(bytes, at)) === 0) return decodeRecords(bytes, at);
  return decodeRecords(await decompressBatch(bytes, at));
}
