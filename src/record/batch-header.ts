import { KafkaError } from '../protocol/errors.js';
import { bigInt64At, int16At, int32At, int64At, setInt16, setInt32, setInt64, uint32At } from '../util/bytes.js';
import { crc32c } from '../util/crc32c.js';
import type { BatchHeader } from './record.js';

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
const BASE_OFFSET_AT = 0;
const BATCH_LENGTH_AT = 8;
const LEADER_EPOCH_AT = 12;
const MAGIC_AT = 16;
const CRC_AT = 17;
const ATTRIBUTES_AT = 21;
const LAST_OFFSET_DELTA_AT = 23;
const BASE_TIMESTAMP_AT = 27;
const MAX_TIMESTAMP_AT = 35;
const PRODUCER_ID_AT = 43;
const PRODUCER_EPOCH_AT = 51;
const BASE_SEQUENCE_AT = 53;
const RECORD_COUNT_AT = 57;

/** Bytes of the head; the records follow. */
export const BATCH_HEADER_BYTES = 61;
/** What batchLength does not count: itself and the base offset. */
const UNCOUNTED_BYTES = 12;
const MAGIC = 2;

const COMPRESSION_BITS = 0x07;
const LOG_APPEND_TIME_BIT = 0x08;
const TRANSACTIONAL_BIT = 0x10;
const CONTROL_BIT = 0x20;
const DELETE_HORIZON_BIT = 0x40;

/** Kafka's names for "there is none". */
export const NO_PRODUCER_ID = -1;
export const NO_PRODUCER_EPOCH = -1;
export const NO_SEQUENCE = -1;
export const NO_PARTITION_LEADER_EPOCH = -1;

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

/** When compaction may drop the tombstones of this batch; undefined where no pass has set it yet (KIP-534). */
export function deleteHorizonMs(header: Pick<BatchHeader, 'attributes' | 'baseTimestampMs'>): number | undefined {
  return header.attributes & DELETE_HORIZON_BIT ? header.baseTimestampMs : undefined;
}

/** The offset of the last record that the batch had when it was written; compaction may have removed it. */
export function lastOffsetOf(header: Pick<BatchHeader, 'baseOffset' | 'lastOffsetDelta'>): number {
  return header.baseOffset + header.lastOffsetDelta;
}

export interface AttributeFlags {
  readonly compression?: number;
  readonly timestampType?: TimestampType;
  readonly isTransactional?: boolean;
  readonly isControl?: boolean;
  readonly hasDeleteHorizon?: boolean;
}

/** The attribute bits that stand for these flags; what is not given is off. */
export function attributesOf(flags: AttributeFlags): number {
  return (
    (flags.compression ?? 0) |
    (flags.timestampType === 'LogAppendTime' ? LOG_APPEND_TIME_BIT : 0) |
    (flags.isTransactional ? TRANSACTIONAL_BIT : 0) |
    (flags.isControl ? CONTROL_BIT : 0) |
    (flags.hasDeleteHorizon ? DELETE_HORIZON_BIT : 0)
  );
}

/**
 * Bytes of the whole batch at `at`; undefined where the bytes end before it does.
 * @throws KafkaError CORRUPT_MESSAGE: no length of a v2 batch, or another magic.
 */
export function batchSizeAt(bytes: Uint8Array, at: number): number | undefined {
  const available = bytes.length - at;
  if (available < UNCOUNTED_BYTES) return undefined;
  const size = int32At(bytes, at + BATCH_LENGTH_AT) + UNCOUNTED_BYTES;
  if (size < BATCH_HEADER_BYTES) {
    throw corrupt(at, `expected a length of at least ${BATCH_HEADER_BYTES} bytes, found ${size}`);
  }
  if (available > MAGIC_AT && bytes[at + MAGIC_AT] !== MAGIC) {
    throw corrupt(at, `expected magic ${MAGIC}, found ${bytes[at + MAGIC_AT]}`);
  }
  return size <= available ? size : undefined;
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
 * Where the last whole batch of `bytes` ends: what is behind is an incomplete tail, as a write that was cut short or
 * a read with a byte limit leaves it. `bytes.subarray(0, wholeBatchesEnd(bytes))` is whole batches.
 * @throws KafkaError CORRUPT_MESSAGE: something that is not a batch.
 */
export function wholeBatchesEnd(bytes: Uint8Array, from = 0): number {
  let at = from;
  for (;;) {
    const size = batchSizeAt(bytes, at);
    if (size === undefined) return at;
    at += size;
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
  const found = crc32c(bytes, at + ATTRIBUTES_AT, at + size);
  if (crc !== found) throw corrupt(at, `expected crc ${hex(crc)}, found ${hex(found)}`);
  const recordCount = int32At(bytes, at + RECORD_COUNT_AT);
  const lastOffsetDelta = int32At(bytes, at + LAST_OFFSET_DELTA_AT);
  if (recordCount < 0 || lastOffsetDelta < Math.max(0, recordCount - 1)) {
    throw corrupt(at, `${recordCount} records do not fit a last offset delta of ${lastOffsetDelta}`);
  }
  return size;
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

/** Writes the head of a batch of `size` bytes whose records are already in place behind it, checksum included. */
export function writeBatchHeader(bytes: Uint8Array, at: number, size: number, fields: BatchFields): void {
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
  sealBatch(bytes, at, size);
}

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

function sealBatch(bytes: Uint8Array, at: number, size: number): void {
  setInt32(bytes, at + CRC_AT, crc32c(bytes, at + ATTRIBUTES_AT, at + size));
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
