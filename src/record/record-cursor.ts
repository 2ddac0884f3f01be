import { KafkaError } from '../protocol/errors.js';
import { VarintReader } from '../util/varint-reader.js';
import { BATCH_HEADER_BYTES, compressionOf, readBatchHeader, timestampType } from './batch-header.js';
import type { BatchHeader } from './record.js';

const NO_BYTES = -1;

/** Where a null key or value starts. */
export const NULL_START = -1;

/**
 * Walks the records of one uncompressed batch without making an object a record:
 *
 *   const cursor = new RecordCursor(bytes, at);
 *   while (cursor.next()) use(cursor.offset, cursor.valueStart, cursor.valueEnd);
 *
 * Positions are indices of `bytes`. The record format, lengths and deltas being varints:
 *
 *   length · attributes 1 · timestampDelta · offsetDelta · keyLength · key · valueLength · value · headerCount ·
 *   (keyLength · key · valueLength · value)*
 */
export class RecordCursor {
  readonly bytes: Uint8Array;
  readonly header: BatchHeader;
  /** Of the record that `next` has come to. */
  offset = -1;
  timestampMs = -1;
  /** NULL_START for a null key; then `keyEnd` means nothing. */
  keyStart = NULL_START;
  keyEnd = 0;
  /** NULL_START for a tombstone; then `valueEnd` means nothing. */
  valueStart = NULL_START;
  valueEnd = 0;
  headerCount = 0;
  /** Where the first header starts, if there is one. */
  headersStart = 0;

  readonly #reader: VarintReader;
  readonly #end: number;
  readonly #baseOffset: number;
  readonly #baseTimestampMs: number;
  readonly #logAppendTime: boolean;
  #remaining: number;

  /**
   * At the batch that begins at `at`, before its first record. The checksum is not looked at: see `verifyBatch`.
   * @throws KafkaError CORRUPT_MESSAGE, INVALID_RECORD: no readable batch head. UNSUPPORTED_COMPRESSION_TYPE: it is
   *   compressed; `decompressBatch` first.
   */
  constructor(bytes: Uint8Array, at = 0, header: BatchHeader = readBatchHeader(bytes, at)) {
    if (compressionOf(header) !== 0) {
      throw new KafkaError(
        'UNSUPPORTED_COMPRESSION_TYPE',
        `batch at byte ${at}: expected an uncompressed batch, found compression ${compressionOf(header)}`,
      );
    }
    this.bytes = bytes;
    this.header = header;
    this.#reader = new VarintReader(bytes, at + BATCH_HEADER_BYTES);
    this.#end = at + header.sizeInBytes;
    this.#baseOffset = header.baseOffset;
    this.#logAppendTime = timestampType(header) === 'LogAppendTime';
    this.#baseTimestampMs = this.#logAppendTime ? header.maxTimestampMs : header.baseTimestampMs;
    this.#remaining = header.recordCount;
  }

  /** Where the record ends; before the first `next`, where the records begin. */
  get end(): number {
    return this.#reader.at;
  }

  /**
   * Moves to the next record; false behind the last.
   * @throws KafkaError CORRUPT_MESSAGE: the bytes are no record, or records and count do not fit.
   */
  next(): boolean {
    const reader = this.#reader;
    if (this.#remaining <= 0) {
      if (reader.at !== this.#end) throw this.#corrupt(`${this.#end - reader.at} bytes follow the last record`);
      return false;
    }
    this.#remaining--;
    try {
      this.#read(reader);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw this.#corrupt(error.message);
    }
    return true;
  }

  /** A view of the key. */
  key(): Uint8Array | null {
    return this.keyStart === NULL_START ? null : this.bytes.subarray(this.keyStart, this.keyEnd);
  }

  /** A view of the value; null is a tombstone. */
  value(): Uint8Array | null {
    return this.valueStart === NULL_START ? null : this.bytes.subarray(this.valueStart, this.valueEnd);
  }

  #read(reader: VarintReader): void {
    const length = reader.varint();
    const end = reader.at + length;
    if (length < 0 || end > this.#end) throw this.#corrupt(`a record of ${length} bytes does not fit its batch`);
    reader.at++; // attributes: none are in use
    const timestampDeltaMs = reader.varlong();
    this.timestampMs = this.#logAppendTime ? this.#baseTimestampMs : this.#baseTimestampMs + timestampDeltaMs;
    if (!Number.isSafeInteger(this.timestampMs))
      throw this.#corrupt(`timestamp ${this.timestampMs} is no safe integer`);
    const offsetDelta = reader.varint();
    this.offset = this.#baseOffset + offsetDelta;
    if (offsetDelta < 0 || offsetDelta > this.header.lastOffsetDelta) {
      throw this.#corrupt(`offset delta ${offsetDelta} is outside 0 to ${this.header.lastOffsetDelta}`);
    }
    this.keyStart = skip(reader, reader.varint());
    this.keyEnd = reader.at;
    this.valueStart = skip(reader, reader.varint());
    this.valueEnd = reader.at;
    this.headerCount = reader.varint();
    if (this.headerCount !== 0) this.#skipHeaders(reader, end);
    if (reader.at !== end)
      throw this.#corrupt(`expected a record of ${length} bytes, found ${reader.at - end + length}`);
  }

  #skipHeaders(reader: VarintReader, end: number): void {
    if (this.headerCount < 0) throw this.#corrupt(`${this.headerCount} headers`);
    this.headersStart = reader.at;
    for (let i = 0; i < this.headerCount && reader.at <= end; i++) {
      if (skip(reader, reader.varint()) === NULL_START) throw this.#corrupt('a header without a key');
      skip(reader, reader.varint());
    }
  }

  #corrupt(text: string): KafkaError {
    return new KafkaError('CORRUPT_MESSAGE', `batch at offset ${this.#baseOffset}, byte ${this.#reader.at}: ${text}`);
  }
}

/** Steps over `length` bytes; returns where they start, or NULL_START for the length of a null. */
export function skip(reader: VarintReader, length: number): number {
  if (length < 0) {
    if (length !== NO_BYTES) throw new RangeError(`expected a length of at least -1, found ${length}`);
    return NULL_START;
  }
  const start = reader.at;
  reader.at = start + length;
  return start;
}
