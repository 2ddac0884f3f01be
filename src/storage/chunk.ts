import { assert } from '../util/assert.js';
import { type Commit, MAX_ROW_BYTES } from './log-store.js';

const BASE_OFFSET_BYTES = 8;
/** baseOffset and batchLength: what batchLength does not count. */
const LOG_OVERHEAD_BYTES = 12;

/** A read of small rows may meet full ones: it then gets at most so many times what it asked for, once. */
const OVERREAD_FACTOR = 8;
const MIN_ROW_BOUND = 16;

/**
 * Offset of the first record of a chunk: the first eight bytes of every record batch, as Kafka lays it out. -1 where so
 * many are not there: a row may be damaged.
 */
export function baseOffsetOf(chunk: Uint8Array): number {
  if (chunk.byteLength < BASE_OFFSET_BYTES) return -1;
  const view = new DataView(chunk.buffer, chunk.byteOffset, BASE_OFFSET_BYTES);
  return view.getInt32(0) * 2 ** 32 + view.getUint32(4);
}

export function bytesOf(chunks: readonly Uint8Array[]): number {
  return chunks.reduce((bytes, { byteLength }) => bytes + byteLength, 0);
}

/** What every store checks at its door before it writes. */
export function assertCommit(commit: Commit): void {
  for (const { log, baseOffset, lastOffset, bytes } of commit.chunks) {
    assert(Number.isSafeInteger(log) && log >= 0, 'a log id is a natural number');
    assert(Number.isSafeInteger(baseOffset) && baseOffset >= 0, 'offsets are natural numbers');
    assert(Number.isSafeInteger(lastOffset) && lastOffset >= baseOffset, 'a chunk holds an offset');
    assert(baseOffsetOf(bytes) === baseOffset, 'a chunk is stamped with its base offset');
    assert(bytes.byteLength <= MAX_ROW_BYTES || isOneBatch(bytes), 'only a single batch may be above MAX_ROW_BYTES');
  }
}

/**
 * Picks from `rows`, which follow each other in the log, what a read may answer: at most `maxBytes` beside the
 * `takenBytes` it already has, yet at least one, and none that begins at or above `endOffset`.
 */
export function takeChunks(
  rows: readonly Uint8Array[],
  { takenBytes, maxBytes, endOffset }: { takenBytes: number; maxBytes: number; endOffset: number },
): Uint8Array[] {
  let bytes = takenBytes;
  const end = rows.findIndex((row) => {
    if (bytes > 0 && bytes + row.byteLength > maxBytes) return true;
    bytes += row.byteLength;
    return endOffset !== Infinity && baseOffsetOf(row) >= endOffset;
  });
  return end < 0 ? [...rows] : rows.slice(0, end);
}

/**
 * How many rows the next request of a read asks for. IndexedDB bounds an answer by rows alone, so their size is a
 * guess (`rowBytes`), and rows much larger than the guess must not make the answer larger than a few `maxBytes`.
 */
export function rowsToAsk(remainingBytes: number, maxBytes: number, rowBytes: number): number {
  const atMost = Math.max(MIN_ROW_BOUND, Math.ceil((OVERREAD_FACTOR * maxBytes) / MAX_ROW_BYTES));
  return Math.min(atMost, Math.max(1, Math.floor(remainingBytes / rowBytes)));
}

function isOneBatch(chunk: Uint8Array): boolean {
  const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  return LOG_OVERHEAD_BYTES + view.getInt32(BASE_OFFSET_BYTES) === chunk.byteLength;
}
