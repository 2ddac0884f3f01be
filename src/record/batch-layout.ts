/*
 * The head of a record batch (message format v2; Kafka's documentation, "Record Batch"). Big-endian; sizes in bytes:
 *
 *   baseOffset 8 · batchLength 4 · partitionLeaderEpoch 4 · magic 1 · crc 4 · attributes 2
 *   lastOffsetDelta 4 · baseTimestamp 8 · maxTimestamp 8 · producerId 8 · producerEpoch 2
 *   baseSequence 4 · recordCount 4 · records[batchLength - 49]
 *
 * The crc (CRC-32C) covers only what follows it, so that a leader may stamp baseOffset and partitionLeaderEpoch on a
 * finished batch without reading the payload again.
 */
export const BASE_OFFSET_AT = 0;
export const BATCH_LENGTH_AT = 8;
export const LEADER_EPOCH_AT = 12;
export const MAGIC_AT = 16;
export const CRC_AT = 17;
export const ATTRIBUTES_AT = 21;
export const LAST_OFFSET_DELTA_AT = 23;
export const BASE_TIMESTAMP_AT = 27;
export const MAX_TIMESTAMP_AT = 35;
export const PRODUCER_ID_AT = 43;
export const PRODUCER_EPOCH_AT = 51;
export const BASE_SEQUENCE_AT = 53;
export const RECORD_COUNT_AT = 57;

/** Bytes of the head; the records follow. */
export const BATCH_HEADER_BYTES = 61;
/** What batchLength does not count: itself and the base offset. */
export const UNCOUNTED_BYTES = 12;
export const MAGIC = 2;

export const COMPRESSION_BITS = 0x07;
export const NO_COMPRESSION = 0;
/** *Ours*, where Kafka has no codec: the records are encrypted; how they are compressed is inside (batch-encryption.ts). */
export const ENCRYPTED = 7;
export const LOG_APPEND_TIME_BIT = 0x08;
export const TRANSACTIONAL_BIT = 0x10;
export const CONTROL_BIT = 0x20;
export const DELETE_HORIZON_BIT = 0x40;
/** *Ours*, one of the bits that Kafka leaves unused: see gap-batch.ts. */
export const GAP_BIT = 0x4000;

/** Kafka's names for "there is none". */
export const NO_PRODUCER_ID = -1;
export const NO_PRODUCER_EPOCH = -1;
export const NO_SEQUENCE = -1;
export const NO_PARTITION_LEADER_EPOCH = -1;
