import { KafkaError } from '../protocol/errors.js';
import { compressionOf, readBatchHeader } from './batch-header.js';
import type { CompressionType } from './compression-types.js';
import type { StoredRecord } from './record.js';
import { recordOf } from './record-batch-decoder.js';
import { RecordCursor } from './record-cursor.js';

/**
 * The uncompressed batch at `at` with its records compressed, in a buffer of its own; the head says so and is sealed
 * anew.
 * @throws KafkaError UNSUPPORTED_COMPRESSION_TYPE: no codec is registered for it.
 */
export async function compressBatch(bytes: Uint8Array, at: number, type: CompressionType): Promise<Uint8Array> {
  return (await loaded()).compressBatch(bytes, at, type);
}

/**
 * The batch at `at` as an uncompressed batch of the same head, in a buffer of its own. Its checksum is not looked at
 * before: see `verifyBatch`.
 * @throws KafkaError UNSUPPORTED_COMPRESSION_TYPE: no codec is registered for it. CORRUPT_MESSAGE: not the codec's data.
 */
export async function decompressBatch(bytes: Uint8Array, at = 0): Promise<Uint8Array> {
  return (await loaded()).decompressBatch(bytes, at);
}

/**
 * All records of the batch at `at`, compressed or not.
 * @throws KafkaError as `decompressBatch` and `RecordCursor`
 */
export async function decodeBatch(bytes: Uint8Array, at = 0): Promise<StoredRecord[]> {
  const records: StoredRecord[] = [];
  const cursor = await openBatch(bytes, at);
  while (cursor.next()) records.push(recordOf(cursor));
  return records;
}

/**
 * A cursor over the records of the batch at `at`, compressed or not.
 * @throws KafkaError as `decompressBatch` and `RecordCursor`
 */
export async function openBatch(bytes: Uint8Array, at: number): Promise<RecordCursor> {
  const header = readBatchHeader(bytes, at);
  return compressionOf(header) === 0
    ? new RecordCursor(bytes, at, header)
    : new RecordCursor(await decompressBatch(bytes, at));
}

/** With the first batch that is compressed. @throws KafkaError NETWORK_EXCEPTION: the code could not be loaded. */
function loaded(): Promise<typeof import('./compressed-batches.js')> {
  return import('./compressed-batches.js').catch((cause: unknown) => {
    throw new KafkaError('NETWORK_EXCEPTION', `the code for compressed batches could not be loaded: ${cause}`, {
      cause,
    });
  });
}
