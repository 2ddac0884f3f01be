import fc from 'fast-check';
import type { NewRecord, StoredRecord } from '../../src/record/record.js';
import { type BatchEnding, RecordBatchBuilder } from '../../src/record/record-batch-builder.js';
import { finishBatch } from './finish-batch.js';

const text = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 12 }),
  fc.string({ minLength: 60, maxLength: 140 }), // around the length at which a varint takes a second byte
);
const field = fc.oneof(text, fc.uint8Array({ maxLength: 150 }), fc.constant(null), fc.constant(''));
const header = fc.record({ key: fc.string({ unit: 'grapheme', maxLength: 8 }), value: field });

/** Timestamps near each other, as a producer makes them, and far apart in both directions. */
const timestampMs = fc.oneof(
  fc.integer({ min: 1_700_000_000_000, max: 1_700_000_001_000 }),
  fc.constantFrom(-1, 0, 1_099_511_627_776),
);

export const newRecord: fc.Arbitrary<NewRecord> = fc.record({
  key: field,
  value: field,
  headers: fc.oneof(fc.constant(undefined), fc.array(header, { maxLength: 3 })),
  timestampMs,
});

/** What a reader should get for a record that was written. */
export function expected(record: NewRecord, offset: number): StoredRecord {
  return {
    offset,
    timestampMs: record.timestampMs,
    key: bytesOf(record.key),
    value: bytesOf(record.value),
    headers: (record.headers ?? []).map(({ key, value }) => ({ key, value: bytesOf(value) })),
  };
}

/** A record that was read, its bytes as plain arrays, to be compared. */
export function plain(record: StoredRecord): StoredRecord {
  return {
    ...record,
    key: bytesOf(record.key),
    value: bytesOf(record.value),
    headers: record.headers.map(({ key, value }) => ({ key, value: bytesOf(value) })),
  };
}

export function bytesOf(value: Uint8Array | string | null): Uint8Array | null {
  if (value === null) return null;
  return typeof value === 'string' ? new TextEncoder().encode(value) : new Uint8Array(value);
}

export function encode(records: readonly NewRecord[], ending?: BatchEnding): Uint8Array<ArrayBuffer> {
  const builder = new RecordBatchBuilder();
  for (const record of records) builder.append(record);
  return finishBatch(builder, ending);
}
