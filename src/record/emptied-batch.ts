import {
  attributesOf,
  BATCH_HEADER_BYTES,
  isControl,
  isTransactional,
  timestampType,
  writeBatchHeader,
} from './batch-header.js';
import type { BatchHeader } from './record.js';

const NO_TIMESTAMP = -1;

/**
 * The batch without its records: what is left of it are its offsets, its producer with the sequences, its greatest
 * timestamp, and whether it was transactional or a marker.
 */
export function emptiedBatch(header: BatchHeader): Uint8Array<ArrayBuffer> {
  const batch = new Uint8Array(BATCH_HEADER_BYTES);
  writeBatchHeader(batch, 0, BATCH_HEADER_BYTES, {
    ...header,
    attributes: attributesOf({
      timestampType: timestampType(header),
      isTransactional: isTransactional(header),
      isControl: isControl(header),
    }),
    baseTimestampMs: NO_TIMESTAMP,
    recordCount: 0,
  });
  return batch;
}
