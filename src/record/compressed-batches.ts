import { KafkaError } from '../protocol/errors.js';
import { compressionOf, readBatchHeader } from './batch-header.js';
import { BATCH_HEADER_BYTES } from './batch-layout.js';
import { compress, decompress } from './compression.js';
import { compressionName } from './compression-name.js';
import type { CompressionType } from './compression-types.js';
import { replaceRecords } from './rewritten-batch.js';

const HIGHEST_TYPE = 4;

/** See `compressBatch` of `batch-compression.ts`. */
export async function compressBatch(bytes: Uint8Array, at: number, type: CompressionType): Promise<Uint8Array> {
  const { sizeInBytes } = readBatchHeader(bytes, at);
  const records = await compress(type, bytes.subarray(at + BATCH_HEADER_BYTES, at + sizeInBytes));
  return replaceRecords(bytes, at, records, type);
}

/** See `decompressBatch` of `batch-compression.ts`. */
export async function decompressBatch(bytes: Uint8Array, at: number): Promise<Uint8Array> {
  const header = readBatchHeader(bytes, at);
  const type = compressionOf(header);
  if (type > HIGHEST_TYPE) {
    throw new KafkaError('UNSUPPORTED_COMPRESSION_TYPE', `batch at byte ${at}: no codec for ${compressionName(type)}`);
  }
  const compressed = bytes.subarray(at + BATCH_HEADER_BYTES, at + header.sizeInBytes);
  return replaceRecords(bytes, at, await decompress(type as CompressionType, compressed), 0);
}
