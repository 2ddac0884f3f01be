import { KafkaError } from '../../protocol/errors.js';
import { compressBatch, decompressBatch } from '../../record/batch-compression.js';
import {
  BATCH_HEADER_BYTES,
  type BatchAt,
  compressionOf,
  isControl,
  readBatchHeader,
  timestampType,
} from '../../record/batch-header.js';
import { ENCRYPTED } from '../../record/batch-layout.js';
import type { CompressionType } from '../../record/compression-types.js';
import { deleteHorizonMs } from '../../record/delete-horizon.js';
import type { BatchHeader } from '../../record/record.js';
import { NULL_START, RecordCursor } from '../../record/record-batch-decoder.js';
import { emptiedBatch, withDeleteHorizon } from '../../record/rewritten-batch.js';
import { writeBatchHeader } from '../../record/write-batch-header.js';
import { writeVarint } from '../../util/varint.js';
import { VarintReader } from '../../util/varint-reader.js';
import { varlongSize } from '../../util/varint-size.js';
import { writeVarlong } from '../../util/varlong.js';
import type { BatchKeys } from '../batch-keys.js';
import { type BatchRetention, batchRetention, hasExpired, type RetentionRules } from './batch-retention.js';
import type { CleanedTransactions } from './cleaned-transactions.js';
import type { DirtyPart } from './offset-map.js';

export interface Cleaning extends RetentionRules {
  readonly dirty: DirtyPart;
  readonly transactions: CleanedTransactions;
  readonly batchKeys: BatchKeys | undefined;
}

/**
 * What compaction leaves of a batch: the same bytes, a batch of the same head with fewer records, an empty one, or
 * nothing. Every batch of the log has to come by, in order. Offsets and sequences never change; a batch that keeps
 * tombstones for the first time gets its delete horizon (KIP-534). A batch that cannot be decompressed or
 * decrypted here is kept whole; what is decrypted is encrypted again, under the key that is in use.
 * @throws KafkaError CORRUPT_MESSAGE: its records cannot be read.
 */
export async function cleanBatch(
  bytes: Uint8Array,
  batch: BatchAt,
  cleaning: Cleaning,
): Promise<Uint8Array | undefined> {
  const { header } = batch;
  const retention = batchRetention(bytes, batch, cleaning.transactions, cleaning);
  if (retention.discardsRecords) return emptied(bytes, batch, retention);
  return compressionOf(header) === ENCRYPTED
    ? cleanEncrypted(bytes, batch, retention, cleaning)
    : cleanClear(bytes, batch, retention, cleaning);
}

async function cleanEncrypted(
  bytes: Uint8Array,
  batch: BatchAt,
  retention: BatchRetention,
  cleaning: Cleaning,
): Promise<Uint8Array | undefined> {
  const opened = await cleaning.batchKeys?.open(bytes, batch.at);
  if (opened === undefined) return whole(bytes, batch);
  const { clear, isCurrent } = opened;
  const cleaned = await cleanClear(clear, { at: 0, header: readBatchHeader(clear) }, retention, cleaning);
  if (cleaned === undefined || cleaned.length === BATCH_HEADER_BYTES) return cleaned;
  return cleaned === clear && isCurrent ? whole(bytes, batch) : opened.seal(cleaned);
}

async function cleanClear(
  bytes: Uint8Array,
  batch: BatchAt,
  retention: BatchRetention,
  cleaning: Cleaning,
): Promise<Uint8Array | undefined> {
  const { header, at } = batch;
  const type = compressionOf(header);
  if (type === 0) return cleanUncompressed(bytes, batch, retention, cleaning);

  const plain = await decompressed(bytes, at);
  if (plain === undefined) return whole(bytes, batch);
  const plainBatch = { at: 0, header: { ...header, attributes: header.attributes & ~type, sizeInBytes: plain.length } };
  const cleaned = cleanUncompressed(plain, plainBatch, retention, cleaning);
  if (cleaned === plain) return whole(bytes, batch);
  if (cleaned === undefined || cleaned.length === BATCH_HEADER_BYTES) return cleaned;
  return compressBatch(cleaned, 0, type as CompressionType);
}

/**
 * The batch at `at`, which is compressed or encrypted, as neither; undefined where that cannot be done here.
 * @throws KafkaError CORRUPT_MESSAGE
 */
export async function laidOpen(
  bytes: Uint8Array,
  at: number,
  batchKeys: BatchKeys | undefined,
): Promise<Uint8Array | undefined> {
  if (compressionOf(readBatchHeader(bytes, at)) !== ENCRYPTED) return decompressed(bytes, at);
  const clear = (await batchKeys?.open(bytes, at))?.clear;
  return clear === undefined || compressionOf(readBatchHeader(clear)) === 0 ? clear : decompressed(clear, 0);
}

async function decompressed(bytes: Uint8Array, at: number): Promise<Uint8Array | undefined> {
  try {
    return await decompressBatch(bytes, at);
  } catch (error) {
    if (error instanceof KafkaError && error.type === 'UNSUPPORTED_COMPRESSION_TYPE') return undefined;
    throw error;
  }
}

/** The records that stay. */
interface KeptRecords {
  readonly count: number;
  /** Where they are, ascending: start, end, start, end… */
  readonly runs: readonly number[];
  readonly hasTombstones: boolean;
  readonly maxTimestampMs: number;
}

function cleanUncompressed(
  bytes: Uint8Array,
  batch: BatchAt,
  retention: BatchRetention,
  cleaning: Cleaning,
): Uint8Array | undefined {
  const { header } = batch;
  const kept = keptRecords(bytes, batch, cleaning);
  if (kept.count === 0) return emptied(bytes, batch, retention);
  const wantsHorizon = (kept.hasTombstones || retention.isOutlivedMarker) && deleteHorizonMs(header) === undefined;
  const horizonMs = cleaning.nowMs + cleaning.deleteRetentionMs;
  // One that is beyond all times is the same as none.
  if (wantsHorizon && horizonMs < Number.MAX_SAFE_INTEGER) return withHorizon(bytes, header, kept, horizonMs);
  return kept.count === header.recordCount ? whole(bytes, batch) : withKept(bytes, header, kept);
}

function keptRecords(bytes: Uint8Array, { header, at }: BatchAt, { dirty, nowMs }: Cleaning): KeptRecords {
  const keepsTombstones = !hasExpired(header, nowMs);
  const cursor = new RecordCursor(bytes, at, header);
  const runs: number[] = [];
  let count = 0;
  let hasTombstones = false;
  let maxTimestampMs = timestampType(header) === 'LogAppendTime' ? header.maxTimestampMs : Number.NEGATIVE_INFINITY;
  for (let start = cursor.end; cursor.next(); start = cursor.end) {
    const isTombstone = cursor.valueStart === NULL_START;
    if (!isControl(header) && !isNeeded(cursor, dirty, keepsTombstones)) continue;
    if (start === runs.at(-1)) runs[runs.length - 1] = cursor.end;
    else runs.push(start, cursor.end);
    count++;
    hasTombstones ||= isTombstone;
    maxTimestampMs = Math.max(maxTimestampMs, cursor.timestampMs);
  }
  return { count, runs, hasTombstones, maxTimestampMs };
}

function isNeeded(
  { bytes, offset, keyStart, keyEnd, valueStart }: RecordCursor,
  { offsets, latestOffset }: DirtyPart,
  keepsTombstones: boolean,
): boolean {
  if (offset > latestOffset) return true;
  if (keyStart === NULL_START || offset < offsets.get(bytes, keyStart, keyEnd)) return false;
  return keepsTombstones || valueStart !== NULL_START;
}

function emptied(bytes: Uint8Array, batch: BatchAt, { staysEmpty }: BatchRetention): Uint8Array | undefined {
  if (!staysEmpty) return undefined;
  return batch.header.recordCount === 0 ? whole(bytes, batch) : emptiedBatch(batch.header);
}

function whole(bytes: Uint8Array, { header, at }: BatchAt): Uint8Array {
  if (at === 0 && header.sizeInBytes === bytes.length) return bytes;
  return bytes.subarray(at, at + header.sizeInBytes);
}

/** Deltas stay as they are, since both bases do. */
function withKept(bytes: Uint8Array, header: BatchHeader, { count, runs, maxTimestampMs }: KeptRecords): Uint8Array {
  const size = sumOfRuns(runs);
  const out = new Uint8Array(BATCH_HEADER_BYTES + size);
  let at = BATCH_HEADER_BYTES;
  for (const [start, end] of pairs(runs)) {
    out.set(bytes.subarray(start, end), at);
    at += end - start;
  }
  writeBatchHeader(out, 0, at, { ...header, recordCount: count, maxTimestampMs });
  return out;
}

/** The base timestamp becomes the horizon, so that every timestamp delta changes. */
function withHorizon(bytes: Uint8Array, header: BatchHeader, kept: KeptRecords, horizonMs: number): Uint8Array {
  const { count, runs, maxTimestampMs } = kept;
  const baseTimestampMs = timestampType(header) === 'LogAppendTime' ? maxTimestampMs : header.baseTimestampMs;
  const out = new Uint8Array(BATCH_HEADER_BYTES + sumOfRuns(runs) + count * MAX_GROWTH);
  let at = BATCH_HEADER_BYTES;
  for (const [start, end] of pairs(runs)) {
    const reader = new VarintReader(bytes, start);
    while (reader.at < end) {
      const size = reader.varint();
      const recordEnd = reader.at + size;
      const attributes = bytes[reader.at++]!;
      const timestampAt = reader.at;
      const oldDeltaMs = reader.varlong();
      const deltaMs = baseTimestampMs + (timestampType(header) === 'LogAppendTime' ? 0 : oldDeltaMs) - horizonMs;
      at = writeVarint(out, at, size - (reader.at - timestampAt) + varlongSize(deltaMs));
      out[at++] = attributes;
      at = writeVarlong(out, at, deltaMs);
      out.set(bytes.subarray(reader.at, recordEnd), at);
      at += recordEnd - reader.at;
      reader.at = recordEnd;
    }
  }
  writeBatchHeader(out, 0, at, {
    ...header,
    attributes: withDeleteHorizon(header.attributes),
    baseTimestampMs: horizonMs,
    recordCount: count,
    maxTimestampMs,
  });
  return out.slice(0, at);
}

/** Of a record: its timestamp delta by at most nine bytes, the length by at most one. */
const MAX_GROWTH = 10;

function sumOfRuns(runs: readonly number[]): number {
  let sum = 0;
  for (const [start, end] of pairs(runs)) sum += end - start;
  return sum;
}

function* pairs(runs: readonly number[]): Generator<readonly [number, number], void, undefined> {
  for (let i = 0; i < runs.length; i += 2) yield [runs[i]!, runs[i + 1]!];
}
