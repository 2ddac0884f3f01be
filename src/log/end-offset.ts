import { batchSizeAt, lastOffsetOf, readBatchHeader } from '../record/batch-header.js';

/** One past the last offset of a chunk. */
export function endOffsetOf(chunk: Uint8Array): number {
  let lastAt = 0;
  for (let at = 0, size = batchSizeAt(chunk, 0); size !== undefined; size = batchSizeAt(chunk, at)) {
    lastAt = at;
    at += size;
  }
  return lastOffsetOf(readBatchHeader(chunk, lastAt)) + 1;
}
