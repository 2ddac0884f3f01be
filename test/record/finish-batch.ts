import { sealBatch } from '../../src/record/batch-checksum.js';
import type { BatchEnding, RecordBatchBuilder } from '../../src/record/record-batch-builder.js';

/**
 * The finished batch, checksum included, in a buffer of exactly its size, which belongs to the caller (it may be
 * transferred). The builder is empty again.
 */
export function finishBatch(builder: RecordBatchBuilder, ending: BatchEnding = {}): Uint8Array<ArrayBuffer> {
  const batch = builder.end(ending).slice();
  builder.clear();
  sealBatch(batch, 0, batch.length);
  return batch;
}
