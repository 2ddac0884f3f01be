import { KafkaError } from '../protocol/errors.js';
import { bigInt64At, int16At, int32At, int64At, setInt16, setInt32, setInt64, uint32At } from '../util/bytes.js';
import { batchChecksum, sealBatch } from './batch-checksum.js';
import {
  ATTRIBUTES_AT,
  BASE_OFFSET_AT,
  BASE_SEQUENCE_AT,
  BASE_TIMESTAMP_AT,
  BATCH_HEADER_BYTES,
  BATCH_LENGTH_AT,
  COMPRESSION_BITS,
  CONTROL_BIT,
  CRC_AT,
  GAP_BIT,
  LAST_OFFSET_DELTA_AT,
  LEADER_EPOCH_AT,
  LOG_APPEND_TIME_BIT,
  MAGIC,
  MAGIC_AT,
  MAX_TIMESTAMP_AT,
  PRODUCER_EPOCH_AT,
  PRODUCER_ID_AT,
  RECORD_COUNT_AT,
  TRANSACTIONAL_BIT,
  UNCOUNTED_BYTES,
} from './batch-layout.js';
import type { BatchHeader } from './record.js';

export {
  BATCH_HEADER_BYTES,
  GAP_BIT,
  NO_PARTITION_LEADER_EPOCH,
  NO_PRODUCER_EPOCH,
  NO_PRODUCER_ID,
  NO_SEQUENCE,
} from './batch-layout.js';

export type TimestampType = 'CreateTime' | 'LogAppendTime';

/** 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd: see `CompressionTypes`. */
export function compressionOf({ attributes }: Pick<BatchHeader, 'attributes'>): number {
  return attributes & COMPRESSION_BITS;
}

export function timestampType({ attributes }: Pick<BatchHeader, 'attributes'>): TimestampType {
  return attributes & LOG_APPEND_TIME_BIT ? 'LogAppendTime' : 'CreateTime';
}

export function isTransactional({ attributes }: Pick<BatchHeader, 'attributes'>): boolean {
  return (attributes & TRANSACTIONAL_BIT) !== 0;
}

/** A control batch holds one commit or abort marker, which consumers do not see. */
export function isControl({ attributes }: Pick<BatchHeader, 'attributes'>): boolean {
  return (attributes & CONTROL_BIT) !== 0;
}

/** A gap batch is empty and stands for records that are lost. */
export function isGap({ attributes }: Pick<BatchHeader, 'attributes'>): boolean {
  return (attributes & GAP_BIT) !== 0;
}

/** The offset of the last record that the batch had when it was written; compaction may have removed it. */
export function lastOffsetOf(header: Pick<BatchHeader, 'baseOffset' | 'lastOffsetDelta'>): number {
  return header.baseOffset + header.lastOffsetDelta;
}

/**
 * Bytes of the whole batch at `at`; undefined where the bytes end before it does.
 * @throws KafkaError CORRUPT_MESSAGE: no length of a v2 batch, or another magic.
 */
export function batchSizeAt(bytes: Uint8Array, at: number): number | undefined {
  const size = claimedSizeAt(bytes, at);
  return size !== undefined && size <= bytes.length - at ? size : undefined;
}

/**
 * Bytes that the batch at `at` says it has, be they there or not; undefined where it has no length yet.
 * @throws KafkaError CORRUPT_MESSAGE: no length of a v2 batch, or another magic.
 */
export function claimedSizeAt(bytes: Uint8Array, at: number): number | undefined {
  const available = bytes.length - at;
  if (available < UNCOUNTED_BYTES) return undefined;
  const size = int32At(bytes, at + BATCH_LENGTH_AT) + UNCOUNTED_BYTES;
  if (size < BATCH_HEADER_BYTES) {
    throw corrupt(at, `expected a length of at least ${BATCH_HEADER_BYTES} bytes, found ${size}`);
  }
  if (available > MAGIC_AT && bytes[at + MAGIC_AT] !== MAGIC) {
    throw corrupt(at, `expected magic ${MAGIC}, found ${bytes[at + MAGIC_AT]}`);
  }
  return size;
}

/** Of the batch at `at`, which must hold its head. */
export function attributesAt(bytes: Uint8Array, at: number): number {
  return int16At(bytes, at + ATTRIBUTES_AT);
}

/**
 * The head of the whole batch at `at`. Its checksum is not looked at: see `verifyBatch`.
 * @throws KafkaError CORRUPT_MESSAGE: not a whole v2 batch. INVALID_RECORD: a 64-bit field beyond the safe integers,
 *   which Kafka allows and this implementation does not (`readBatchFields` reads them).
 */
export function readBatchHeader(bytes: Uint8Array, at = 0): BatchHeader {
  const sizeInBytes = wholeBatchSize(bytes, at);
  const baseOffset = safeInt64(bytes, at + BASE_OFFSET_AT, 'base offset');
  const lastOffsetDelta = int32At(bytes, at + LAST_OFFSET_DELTA_AT);
  if (!Number.isSafeInteger(baseOffset + lastOffsetDelta)) throw unsafe('last offset', baseOffset + lastOffsetDelta);
  return {
    baseOffset,
    sizeInBytes,
    partitionLeaderEpoch: int32At(bytes, at + LEADER_EPOCH_AT),
    crc: uint32At(bytes, at + CRC_AT),
    attributes: int16At(bytes, at + ATTRIBUTES_AT),
    lastOffsetDelta,
    baseTimestampMs: safeInt64(bytes, at + BASE_TIMESTAMP_AT, 'base timestamp'),
    maxTimestampMs: safeInt64(bytes, at + MAX_TIMESTAMP_AT, 'max timestamp'),
    producerId: safeInt64(bytes, at + PRODUCER_ID_AT, 'producer id'),
    producerEpoch: int16At(bytes, at + PRODUCER_EPOCH_AT),
    baseSequence: int32At(bytes, at + BASE_SEQUENCE_AT),
    recordCount: int32At(bytes, at + RECORD_COUNT_AT),
  };
}

/**
 * What a head says, save size and checksum, which follow from the bytes. Kafka's 64-bit fields are bigint where they
 * are beyond the safe integers.
 */
export interface BatchFields {
  readonly baseOffset: number | bigint;
  readonly partitionLeaderEpoch: number;
  readonly attributes: number;
  readonly lastOffsetDelta: number;
  readonly baseTimestampMs: number | bigint;
  readonly maxTimestampMs: number | bigint;
  readonly producerId: number | bigint;
  readonly producerEpoch: number;
  readonly baseSequence: number;
  readonly recordCount: number;
}

/**
 * The head of the whole batch at `at`, exact whatever it holds: for batches that come from elsewhere.
 * @throws KafkaError CORRUPT_MESSAGE: not a whole v2 batch.
 */
export function readBatchFields(bytes: Uint8Array, at = 0): BatchFields {
  wholeBatchSize(bytes, at);
  return {
    baseOffset: exactInt64(bytes, at + BASE_OFFSET_AT),
    partitionLeaderEpoch: int32At(bytes, at + LEADER_EPOCH_AT),
    attributes: int16At(bytes, at + ATTRIBUTES_AT),
    lastOffsetDelta: int32At(bytes, at + LAST_OFFSET_DELTA_AT),
    baseTimestampMs: exactInt64(bytes, at + BASE_TIMESTAMP_AT),
    maxTimestampMs: exactInt64(bytes, at + MAX_TIMESTAMP_AT),
    producerId: exactInt64(bytes, at + PRODUCER_ID_AT),
    producerEpoch: int16At(bytes, at + PRODUCER_EPOCH_AT),
    baseSequence: int32At(bytes, at + BASE_SEQUENCE_AT),
    recordCount: int32At(bytes, at + RECORD_COUNT_AT),
  };
}

/** One whole batch in a longer run of bytes. */
export interface BatchAt {
  readonly header: BatchHeader;
  readonly at: number;
}

/**
 * The whole batches of `bytes`, back to back from `from` on, in order. An incomplete batch at the end ends the
 * iteration. Checksums are not looked at: see `verifyBatch`.
 * @throws KafkaError CORRUPT_MESSAGE and INVALID_RECORD as `readBatchHeader`, when the iteration gets there.
 */
export function* batchesIn(bytes: Uint8Array, from = 0): Generator<BatchAt, void, undefined> {
  for (let at = from; batchSizeAt(bytes, at) !== undefined; ) {
    const header = readBatchHeader(bytes, at);
    yield { header, at };
    at += header.sizeInBytes;
  }
}

/**
 * Refuses what is no sound v2 batch: magic, length, checksum, and counts that do not fit together. Returns its head.
 * The records themselves are not walked.
 * @throws KafkaError CORRUPT_MESSAGE. INVALID_RECORD: a 64-bit field beyond the safe integers.
 */
export function verifyBatch(bytes: Uint8Array, at = 0): BatchHeader {
  verifyBatchBytes(bytes, at);
  return readBatchHeader(bytes, at);
}

/** `verifyBatch` without the bound on 64-bit fields. Returns the size in bytes. */
export function verifyBatchBytes(bytes: Uint8Array, at = 0): number {
  const size = wholeBatchSize(bytes, at);
  const crc = uint32At(bytes, at + CRC_AT);
  const found = batchChecksum(bytes, at, size);
  if (crc !== found) throw corrupt(at, `expected crc ${hex(crc)}, found ${hex(found)}`);
  checkCounts(bytes, at);
  return size;
}

/**
 * Writes the checksum that a batch does not have yet, if it is otherwise sound. Returns its head.
 * @throws KafkaError as `verifyBatch`
 */
export function completeBatch(bytes: Uint8Array, at = 0): BatchHeader {
  const size = wholeBatchSize(bytes, at);
  checkCounts(bytes, at);
  sealBatch(bytes, at, size);
  return readBatchHeader(bytes, at);
}

function checkCounts(bytes: Uint8Array, at: number): void {
  const recordCount = int32At(bytes, at + RECORD_COUNT_AT);
  const lastOffsetDelta = int32At(bytes, at + LAST_OFFSET_DELTA_AT);
  if (recordCount < 0 || lastOffsetDelta < Math.max(0, recordCount - 1)) {
    throw corrupt(at, `${recordCount} records do not fit a last offset delta of ${lastOffsetDelta}`);
  }
}

/** Where a batch lies in its log, as its head says; nothing of it is checked. */
export interface BatchSpan {
  readonly baseOffset: number;
  readonly lastOffset: number;
  /** As it is stored: a damaged base offset may be too large to add to. */
  readonly lastOffsetDelta: number;
  readonly attributes: number;
}

export function batchSpanAt(bytes: Uint8Array, at: number): BatchSpan {
  const baseOffset = int64At(bytes, at + BASE_OFFSET_AT);
  const lastOffsetDelta = int32At(bytes, at + LAST_OFFSET_DELTA_AT);
  return {
    baseOffset,
    lastOffset: baseOffset + lastOffsetDelta,
    lastOffsetDelta,
    attributes: int16At(bytes, at + ATTRIBUTES_AT),
  };
}

/** Whether a v2 batch may begin at `at`. */
export function hasMagic(bytes: Uint8Array, at: number): boolean {
  return bytes[at + MAGIC_AT] === MAGIC && at + BATCH_HEADER_BYTES <= bytes.length;
}

/** The size of the batch at `at` if `verifyBatch` takes it; undefined where it does not. */
export function soundSizeAt(bytes: Uint8Array, at: number): number | undefined {
  try {
    return verifyBatchBytes(bytes, at);
  } catch (error) {
    if (error instanceof KafkaError) return undefined;
    throw error;
  }
}

export interface BatchStamp {
  readonly baseOffset: number;
  readonly partitionLeaderEpoch: number;
  /** Given where the topic uses LogAppendTime: becomes the time of all records of the batch. */
  readonly logAppendTimeMs?: number | undefined;
}

/**
 * Writes into the batch at `at`, in place, what only the leader knows. Base offset and leader epoch lie outside the
 * checksum; a log append time costs a new one.
 */
export function stampBatch(bytes: Uint8Array, at: number, stamp: BatchStamp): void {
  setInt64(bytes, at + BASE_OFFSET_AT, stamp.baseOffset);
  setInt32(bytes, at + LEADER_EPOCH_AT, stamp.partitionLeaderEpoch);
  if (stamp.logAppendTimeMs === undefined) return;
  setInt64(bytes, at + MAX_TIMESTAMP_AT, stamp.logAppendTimeMs);
  setInt16(bytes, at + ATTRIBUTES_AT, int16At(bytes, at + ATTRIBUTES_AT) | LOG_APPEND_TIME_BIT);
  sealBatch(bytes, at, int32At(bytes, at + BATCH_LENGTH_AT) + UNCOUNTED_BYTES);
}

function wholeBatchSize(bytes: Uint8Array, at: number): number {
  const size = batchSizeAt(bytes, at);
  if (size === undefined) throw corrupt(at, `expected a whole batch, found ${bytes.length - at} bytes of one`);
  return size;
}

function safeInt64(bytes: Uint8Array, at: number, field: string): number {
  const value = int64At(bytes, at);
  if (Number.isSafeInteger(value)) return value;
  throw unsafe(field, bigInt64At(bytes, at));
}

function unsafe(field: string, found: number | bigint): KafkaError {
  return new KafkaError('INVALID_RECORD', `${field}: expected a safe integer (below 2^53), found ${found}`);
}

function exactInt64(bytes: Uint8Array, at: number): number | bigint {
  const value = int64At(bytes, at);
  return Number.isSafeInteger(value) ? value : bigInt64At(bytes, at);
}

function corrupt(at: number, text: string): KafkaError {
  return new KafkaError('CORRUPT_MESSAGE', `batch at byte ${at}: ${text}`);
}

function hex(crc: number): string {
  return `0x${crc.toString(16).padStart(8, '0')}`;
}
