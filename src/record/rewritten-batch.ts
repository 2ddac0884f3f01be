import { int16At, setInt16, setInt32 } from '../util/bytes.js';
import { sealBatch } from './batch-checksum.js';
import {
  ATTRIBUTES_AT,
  BATCH_HEADER_BYTES,
  BATCH_LENGTH_AT,
  COMPRESSION_BITS,
  DELETE_HORIZON_BIT,
  UNCOUNTED_BYTES,
} from './batch-layout.js';
import type { BatchHeader } from './record.js';
import { writeBatchHeader } from './write-batch-header.js';

const NO_TIMESTAMP = -1;

/** A copy of the batch at `at` whose records are `records`, under `compression`. */
export function replaceRecords(
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

/** The attributes of a batch whose base timestamp has become a delete horizon (KIP-534). */
export function withDeleteHorizon(attributes: number): number {
  return attributes | DELETE_HORIZON_BIT;
}

/**
 * The batch without its records: what is left of it are its offsets, its producer with the sequences, its greatest
 * timestamp, and whether it was transactional or a marker.
 */
export function emptiedBatch(header: BatchHeader): Uint8Array<ArrayBuffer> {
  const batch = new Uint8Array(BATCH_HEADER_BYTES);
  writeBatchHeader(batch, 0, BATCH_HEADER_BYTES, {
    ...header,
    attributes: header.attributes & ~(COMPRESSION_BITS | DELETE_HORIZON_BIT),
    baseTimestampMs: NO_TIMESTAMP,
    recordCount: 0,
  });
  return batch;
}
