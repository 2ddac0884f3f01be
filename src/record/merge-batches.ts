import { writeVarint } from '../util/varint.js';
import { MAX_VARLONG_BYTES, VarintReader } from '../util/varint-reader.js';
import { varintSize, varlongSize } from '../util/varint-size.js';
import { writeVarlong } from '../util/varlong.js';
import {
  BATCH_HEADER_BYTES,
  compressionOf,
  isControl,
  lastOffsetOf,
  NO_PRODUCER_ID,
  readBatchHeader,
  timestampType,
} from './batch-header.js';
import { deleteHorizonMs } from './delete-horizon.js';
import type { BatchHeader } from './record.js';
import { writeBatchHeader } from './write-batch-header.js';

/** A record's head grows at most by a longer timestamp delta, offset delta and length. */
const MAX_GROWTH_BYTES = MAX_VARLONG_BYTES + 5 + 1;

/** Whether a batch can become part of another at all: records that can be copied, and nothing that is told by batch. */
export function isMergeable(header: BatchHeader): boolean {
  return (
    compressionOf(header) === 0 && !isControl(header) && deleteHorizonMs(header) === undefined && header.recordCount > 0
  );
}

/**
 * Whether `next` can become part of the batch that begins with `first` and so far ends with `last`, so that nobody who
 * reads records, times, epochs or sequences sees a difference. All are mergeable and sound (`verifyBatch`).
 *
 * Of an idempotent producer both offsets and sequences must go on without a gap: what a batch says of its last
 * sequence then stays true. Other batches may have a gap between them, which compaction left.
 */
export function canMerge(first: BatchHeader, last: BatchHeader, next: BatchHeader): boolean {
  const gap = next.baseOffset - lastOffsetOf(last) - 1;
  const sequence = first.baseSequence + (next.baseOffset - first.baseOffset);
  return (
    gap >= 0 &&
    next.attributes === first.attributes &&
    next.partitionLeaderEpoch === first.partitionLeaderEpoch &&
    next.producerId === first.producerId &&
    next.producerEpoch === first.producerEpoch &&
    (next.producerId === NO_PRODUCER_ID || (gap === 0 && next.baseSequence === sequence)) &&
    (timestampType(first) === 'CreateTime' || next.maxTimestampMs === first.maxTimestampMs)
  );
}

/** Batches, each of which `canMerge` with those before it, as one. Records keep offset, time, key, value and headers. */
export function mergeBatches(batches: readonly Uint8Array[]): Uint8Array {
  const headers = batches.map((bytes) => readBatchHeader(bytes));
  const first = headers[0]!;
  const recordCount = headers.reduce((count, header) => count + header.recordCount, 0);
  const size = batches.reduce((bytes, { length }) => bytes + length, 0);
  const out = new Uint8Array(size + recordCount * MAX_GROWTH_BYTES);
  let at = BATCH_HEADER_BYTES;
  for (const [index, bytes] of batches.entries()) at = copyRecords(bytes, headers[index]!, first, out, at);
  writeBatchHeader(out, 0, at, {
    ...first,
    lastOffsetDelta: lastOffsetOf(headers.at(-1)!) - first.baseOffset,
    maxTimestampMs: headers.reduce((max, header) => Math.max(max, header.maxTimestampMs), first.maxTimestampMs),
    recordCount,
  });
  return out.slice(0, at);
}

/** Copies the records of one batch behind those before it; their deltas then count from `first`. */
function copyRecords(bytes: Uint8Array, header: BatchHeader, first: BatchHeader, out: Uint8Array, to: number): number {
  const offsetShift = header.baseOffset - first.baseOffset;
  const timeShiftMs = header.baseTimestampMs - first.baseTimestampMs;
  const reader = new VarintReader(bytes, BATCH_HEADER_BYTES);
  let at = to;
  for (let record = 0; record < header.recordCount; record++) {
    const size = reader.varint();
    const start = reader.at;
    const attributes = bytes[reader.at++]!;
    const timestampDelta = reader.varlong() + timeShiftMs;
    const offsetDelta = reader.varint() + offsetShift;
    const bodyStart = reader.at;
    const end = start + size;
    const headSize = 1 + varlongSize(timestampDelta) + varintSize(offsetDelta);
    at = writeVarint(out, at, headSize + end - bodyStart);
    out[at++] = attributes;
    at = writeVarlong(out, at, timestampDelta);
    at = writeVarint(out, at, offsetDelta);
    out.set(bytes.subarray(bodyStart, end), at);
    at += end - bodyStart;
    reader.at = end;
  }
  return at;
}
