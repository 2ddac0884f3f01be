import { internalBatches } from './internal-batches.js';
import type { MetadataRecord } from './metadata-records.js';

/** The records as batches of the metadata log, to be appended as one. */
export function metadataBatches(records: readonly MetadataRecord[], timestampMs: number): Uint8Array {
  return internalBatches(records.map((record) => ({ key: null, value: JSON.stringify(record), timestampMs })));
}
