import { VarintReader } from '../util/varint-reader.js';
import type { RecordHeader, StoredRecord } from './record.js';
import { recordBytes } from './record-bytes.js';
import { NULL_START, RecordCursor, skip } from './record-cursor.js';

export { NULL_START, RecordCursor };

const UTF8 = new TextDecoder('utf-8', { ignoreBOM: true });
const NO_HEADERS: readonly RecordHeader[] = [];

/**
 * All records of the uncompressed batch at `at`. Their bytes are views. Where speed counts, use `RecordCursor`.
 * @throws KafkaError as `RecordCursor`
 */
export function decodeRecords(bytes: Uint8Array, at = 0): StoredRecord[] {
  const records: StoredRecord[] = [];
  const cursor = new RecordCursor(bytes, at);
  while (cursor.next()) records.push(recordOf(cursor));
  return records;
}

/** The record that a cursor has come to, as an object. */
export function recordOf(cursor: RecordCursor): StoredRecord {
  const { bytes, offset, timestampMs, keyStart, keyEnd, valueStart, valueEnd } = cursor;
  return {
    offset,
    timestampMs,
    key: keyStart === NULL_START ? null : recordBytes(bytes, keyStart, keyEnd),
    value: valueStart === NULL_START ? null : recordBytes(bytes, valueStart, valueEnd),
    headers: headersOf(cursor),
  };
}

/** The headers of that record in the order written; values are views. */
export function headersOf({ bytes, headerCount, headersStart }: RecordCursor): readonly RecordHeader[] {
  if (headerCount === 0) return NO_HEADERS;
  const reader = new VarintReader(bytes, headersStart);
  return Array.from({ length: headerCount }, () => {
    const keyStart = skip(reader, reader.varint());
    const key = UTF8.decode(bytes.subarray(keyStart, reader.at));
    const valueStart = skip(reader, reader.varint());
    return { key, value: valueStart === NULL_START ? null : recordBytes(bytes, valueStart, reader.at) };
  });
}
