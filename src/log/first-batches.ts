import { batchSizeAt, batchSpanAt } from '../record/batch-header.js';

/**
 * Where in `chunk`, of whole batches, those lie that one partition may put into a response: from the batch that holds
 * `offset` on, at most `maxBytes`, yet that one whatever its size (KIP-74). `to` is exclusive.
 */
export function firstBatches(
  chunk: Uint8Array,
  { offset, maxBytes }: { readonly offset: number; readonly maxBytes: number },
): { readonly from: number; readonly to: number } {
  let from = 0;
  let to = 0;
  for (let size = batchSizeAt(chunk, 0); size !== undefined; size = batchSizeAt(chunk, to)) {
    const isBefore = batchSpanAt(chunk, to).lastOffset < offset;
    if (to > from && !isBefore && to + size - from > maxBytes) break;
    to += size;
    if (isBefore) from = to;
  }
  return { from, to };
}

/** What may be answered of `chunks`, of which the first alone may be larger than `maxBytes`. */
export function withinBytes(
  chunks: readonly Uint8Array[],
  limit: { readonly offset: number; readonly maxBytes: number },
): readonly Uint8Array[] {
  const [first] = chunks;
  if (first === undefined || first.byteLength <= limit.maxBytes) return chunks;
  const { from, to } = firstBatches(first, limit);
  return [first.slice(from, to)];
}
