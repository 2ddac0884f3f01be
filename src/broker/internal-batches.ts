import type { NewRecord } from '../record/record.js';
import { RecordBatchBuilder } from '../record/record-batch-builder.js';
import { concatBytes } from '../util/bytes.js';

/** Batches stay below the size of a row (storage/log-store.ts). */
const BATCH_BYTES = 32 * 1024;

/** The broker's own records as batches back to back, at least one, to be appended as one. */
export function internalBatches(records: readonly NewRecord[]): Uint8Array {
  const builder = new RecordBatchBuilder({ maxBytes: BATCH_BYTES });
  const batches: Uint8Array[] = [];
  for (const record of records) {
    if (builder.append(record)) continue;
    batches.push(builder.finish());
    builder.append(record);
  }
  return concatBytes([...batches, builder.finish()]);
}
