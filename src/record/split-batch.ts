import { writeVarint } from '../util/varint.js';
import { VarintReader } from '../util/varint-reader.js';
import { varintSize } from '../util/varint-size.js';
import { BATCH_HEADER_BYTES, readBatchHeader } from './batch-header.js';
import type { BatchHeader } from './record.js';
import { writeUnsealedHeader } from './write-unsealed-header.js';

/**
 * An uncompressed batch as two: its first `count` records, and the rest, which takes up the sequence behind them.
 * Records are copied as they are, save for their offset delta, which counts from the first of the batch.
 * Their checksums are not written.
 */
export function splitBatch(bytes: Uint8Array, count: number): readonly [Uint8Array, Uint8Array] {
  const header = readBatchHeader(bytes);
  const reader = new VarintReader(bytes, BATCH_HEADER_BYTES);
  return [copyRecords(reader, header, 0, count), copyRecords(reader, header, count, header.recordCount)];
}

/** The records from `from` to `to` (exclusive), of which the reader is at the first, as a batch; moves behind them. */
function copyRecords(reader: VarintReader, header: BatchHeader, from: number, to: number): Uint8Array {
  const { bytes } = reader;
  const out = new Uint8Array(bytes.length); // no delta grows
  let at = BATCH_HEADER_BYTES;
  let maxDeltaMs = Number.NEGATIVE_INFINITY;
  for (let offsetDelta = 0; offsetDelta < to - from; offsetDelta++) {
    const size = reader.varint();
    const start = reader.at;
    reader.at++; // attributes
    maxDeltaMs = Math.max(maxDeltaMs, reader.varlong());
    const deltaStart = reader.at;
    reader.varint();
    const deltaEnd = reader.at;
    const end = start + size;
    at = writeVarint(out, at, size - (deltaEnd - deltaStart) + varintSize(offsetDelta));
    out.set(bytes.subarray(start, deltaStart), at);
    at = writeVarint(out, at + deltaStart - start, offsetDelta);
    out.set(bytes.subarray(deltaEnd, end), at);
    at += end - deltaEnd;
    reader.at = end;
  }
  writeUnsealedHeader(out, 0, at, {
    ...header,
    lastOffsetDelta: to - from - 1,
    maxTimestampMs: header.baseTimestampMs + maxDeltaMs,
    baseSequence: header.baseSequence < 0 ? header.baseSequence : header.baseSequence + from,
    recordCount: to - from,
  });
  return out.slice(0, at);
}
