import { encodeBatch } from '../record/encode-batch.js';
import type { NewRecord } from '../record/record.js';
import { assert } from '../util/assert.js';
import { concatBytes } from '../util/bytes.js';

/** Batches stay below the size of a row (storage/log-store.ts). */
const BATCH_BYTES = 32 * 1024;
/** More than lengths, deltas and the text's further bytes take. */
const RECORD_OVERHEAD_BYTES = 32;

/** The broker's own records, all of one time, as batches back to back, at least one, to be appended as one. */
export function internalBatches(records: readonly Omit<NewRecord, 'headers'>[]): Uint8Array {
  const timestampMs = records[0]?.timestampMs ?? -1;
  const batches: Uint8Array[] = [];
  let from = 0;
  let bytes = 0;
  for (const [index, record] of records.entries()) {
    assert(record.timestampMs === timestampMs, 'records of one append are of one time');
    const size = sizeOf(record.key) + sizeOf(record.value) + RECORD_OVERHEAD_BYTES;
    if (bytes > 0 && bytes + size > BATCH_BYTES) {
      batches.push(encodeBatch({ records: records.slice(from, index), timestampMs }));
      from = index;
      bytes = 0;
    }
    bytes += size;
  }
  return concatBytes([...batches, encodeBatch({ records: records.slice(from), timestampMs })]);
}

/** At most: a character is three bytes of UTF-8, or two of them are four. */
function sizeOf(field: NewRecord['key']): number {
  return field === null ? 0 : typeof field === 'string' ? 3 * field.length : field.length;
}
