import { type Chunk, type LogId, MAX_ROW_BYTES } from '../storage/log-store.js';
import { present } from '../util/assert.js';
import { concatBytes } from '../util/bytes.js';

/** Where a stamped batch lies in the bytes of its append. */
export interface StampedBatch {
  readonly at: number;
  readonly sizeInBytes: number;
  readonly baseOffset: number;
  readonly lastOffset: number;
}

export interface StampedBatches {
  readonly bytes: Uint8Array;
  /** Back to back; together they are `bytes`. */
  readonly batches: readonly StampedBatch[];
}

/** A run of batches of one append. */
interface Piece {
  readonly bytes: Uint8Array;
  readonly from: number;
  to: number;
}

/**
 * Joins the appends of one log, which follow each other in offset order, into as few rows as MAX_ROW_BYTES allows.
 * The bytes of a chunk are all of their buffer, since a buffer is stored as a whole: an append that is a row by itself
 * and owns its buffer is passed on as it is, the rest costs one copy.
 */
export function packChunks(log: LogId, appends: readonly StampedBatches[]): Chunk[] {
  const chunks: Chunk[] = [];
  let pieces: Piece[] = [];
  let size = 0;
  let baseOffset = 0;
  let lastOffset = 0;

  const closeRow = (): void => {
    if (size > 0) chunks.push({ log, baseOffset, lastOffset, bytes: joined(pieces) });
    pieces = [];
    size = 0;
  };
  for (const { bytes, batches } of appends) {
    for (const batch of batches) {
      if (size + batch.sizeInBytes > MAX_ROW_BYTES) closeRow();
      if (size === 0) baseOffset = batch.baseOffset;
      const piece = pieces.at(-1);
      if (piece?.bytes === bytes) piece.to += batch.sizeInBytes;
      else pieces.push({ bytes, from: batch.at, to: batch.at + batch.sizeInBytes });
      size += batch.sizeInBytes;
      lastOffset = batch.lastOffset;
    }
  }
  closeRow();
  return chunks;
}

function joined(pieces: readonly Piece[]): Uint8Array {
  const views = pieces.map(({ bytes, from, to }) => bytes.subarray(from, to));
  const first = present(views[0], 'a row has a batch');
  return views.length === 1 && first.byteLength === first.buffer.byteLength ? first : concatBytes(views);
}
