import { setInt16, setInt32, setInt64 } from '../util/bytes.js';
import type { BatchFields } from './batch-header.js';
import {
  ATTRIBUTES_AT,
  BASE_OFFSET_AT,
  BASE_SEQUENCE_AT,
  BASE_TIMESTAMP_AT,
  BATCH_LENGTH_AT,
  LAST_OFFSET_DELTA_AT,
  LEADER_EPOCH_AT,
  MAGIC,
  MAGIC_AT,
  MAX_TIMESTAMP_AT,
  PRODUCER_EPOCH_AT,
  PRODUCER_ID_AT,
  RECORD_COUNT_AT,
  UNCOUNTED_BYTES,
} from './batch-layout.js';

/**
 * Writes the head of a batch of `size` bytes, save the checksum, which waits for `sealBatch`: producers leave that to the
 * worker that their batches pass through.
 */
export function writeUnsealedHeader(bytes: Uint8Array, at: number, size: number, fields: BatchFields): void {
  setInt64(bytes, at + BASE_OFFSET_AT, fields.baseOffset);
  setInt32(bytes, at + BATCH_LENGTH_AT, size - UNCOUNTED_BYTES);
  setInt32(bytes, at + LEADER_EPOCH_AT, fields.partitionLeaderEpoch);
  bytes[at + MAGIC_AT] = MAGIC;
  setInt16(bytes, at + ATTRIBUTES_AT, fields.attributes);
  setInt32(bytes, at + LAST_OFFSET_DELTA_AT, fields.lastOffsetDelta);
  setInt64(bytes, at + BASE_TIMESTAMP_AT, fields.baseTimestampMs);
  setInt64(bytes, at + MAX_TIMESTAMP_AT, fields.maxTimestampMs);
  setInt64(bytes, at + PRODUCER_ID_AT, fields.producerId);
  setInt16(bytes, at + PRODUCER_EPOCH_AT, fields.producerEpoch);
  setInt32(bytes, at + BASE_SEQUENCE_AT, fields.baseSequence);
  setInt32(bytes, at + RECORD_COUNT_AT, fields.recordCount);
}
