import { KafkaError } from '../protocol/errors.js';
import { int16At, setInt16, setInt32 } from '../util/bytes.js';
import { sealBatch } from './batch-checksum.js';
import { compressionOf, readBatchHeader } from './batch-header.js';
import {
  ATTRIBUTES_AT,
  BATCH_HEADER_BYTES,
  BATCH_LENGTH_AT,
  COMPRESSION_BITS,
  UNCOUNTED_BYTES,
} from './batch-layout.js';
import { compress, decompress } from './compression.js';
import { type CompressionType, compressionName } from './compression-types.js';

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

/** A copy of the batch at `at` whose records are `records`, under `compression`. */
function replaceRecords(
  bytes: Uint8Array,
  at: number,
  records: Uint8Array,
  compression: number,
): Uint8Array<ArrayBuffer> {
  const size = BATCH_HEADER_BYTES + records.length;
  const copy = new Uint8Array(size);
  copy.set(bytes.subarray(at, at + BATCH_HEADER_BYTES));
  copy.set(records, BATCH_HEADER_BYTES);
  setInt32(copy, BATCH_LENGTH_AT, size - UNCOUNTED_BYTES);
  setInt16(copy, ATTRIBUTES_AT, (int16At(copy, ATTRIBUTES_AT) & ~COMPRESSION_BITS) | compression);
  sealBatch(copy, 0, size);
  return copy;
}
