import { batchSizeAt } from './batch-header.js';

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
