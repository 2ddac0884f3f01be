import { KafkaError } from '../protocol/errors.js';
import { assert } from '../util/assert.js';
import { isBytes } from '../util/bytes.js';
import { utf8Size, writeUtf8 } from '../util/utf8.js';
import { writeVarint } from '../util/varint.js';
import { varintSize, varlongSize } from '../util/varint-size.js';
import { writeVarlong } from '../util/varlong.js';
import {
  BATCH_HEADER_BYTES,
  NO_PARTITION_LEADER_EPOCH,
  NO_PRODUCER_EPOCH,
  NO_PRODUCER_ID,
  NO_SEQUENCE,
} from './batch-layout.js';
import type { NewRecord, NewRecordHeader } from './record.js';
import { writeUnsealedHeader } from './write-unsealed-header.js';

/** `Uint8Array.set` needs a view of its own when it gets many bytes; below, a loop is quicker. */
const SET_FROM = 24;
const FIRST_CAPACITY = 2048;
/** Few steps: each is new memory, which costs the system more than the copy. */
const GROWTH = 8;
const NULL_SIZE = -1;
const NO_TIMESTAMP = -1;
/** The record does not go into this batch any more. */
const FULL = -1;
const NO_HEADERS: readonly NewRecordHeader[] = [];

/** For fewer texts one call of the encoder saves nothing. */
const RUN_FROM = 8;
const RUN_RECORDS = 64;
const RUN_LENGTH = 32 * 1024;
/** By their size. Between two texts lie at most: no headers, a head with all its numbers, the length of the value. */
const GAPS: readonly string[] = Array.from({ length: 40 }, (_, size) => '\0'.repeat(size));
const ENCODER = new TextEncoder();

/** A record is good until the next one is asked for. */
export type RecordAt = (index: number) => NewRecord;

/** What of the records of a run goes into the gaps. */
class Run {
  readonly keySizes = new Int32Array(RUN_RECORDS);
  readonly valueSizes = new Int32Array(RUN_RECORDS);
  readonly timestampDeltasMs = new Float64Array(RUN_RECORDS);
  count = 0;
}

export interface RecordBatchBuilderOptions {
  /** A batch does not grow beyond this; a record that is larger by itself gets a batch of its own. Default: no bound. */
  readonly maxBytes?: number;
  /** What timestamps are relative to. Default: the timestamp of the first record. */
  readonly baseTimestampMs?: number;
  /** The memory that it begins with, at least: more is made as it is needed, in few steps. */
  readonly capacity?: number;
}

export interface BatchEnding {
  readonly attributes?: number;
  readonly producerId?: number | bigint;
  readonly producerEpoch?: number;
  readonly baseSequence?: number;
  /** 0 unless given: leaders stamp it. */
  readonly baseOffset?: number | bigint;
  readonly partitionLeaderEpoch?: number;
  /** Where the batch once ended beyond its last record (compaction). */
  readonly lastOffsetDelta?: number;
  readonly maxTimestampMs?: number;
}

/**
 * Encodes records into one uncompressed v2 batch after another. It keeps its memory between batches, so that one
 * builder serves one stream of batches.
 */
export class RecordBatchBuilder {
  readonly #maxBytes: number;
  readonly #fixedBaseTimestampMs: number | undefined;
  /** Made for the first run: a batch of few records has none. */
  #run: Run | undefined;
  #bytes: Uint8Array<ArrayBuffer>;
  #at = BATCH_HEADER_BYTES;
  #recordCount = 0;
  #lastOffsetDelta = -1;
  #baseTimestampMs = NO_TIMESTAMP;
  #maxTimestampMs = NO_TIMESTAMP;

  constructor({ maxBytes = Number.MAX_SAFE_INTEGER, baseTimestampMs, capacity = 0 }: RecordBatchBuilderOptions = {}) {
    this.#bytes = new Uint8Array(Math.max(capacity, FIRST_CAPACITY));
    this.#maxBytes = maxBytes;
    this.#fixedBaseTimestampMs = baseTimestampMs;
  }

  get recordCount(): number {
    return this.#recordCount;
  }

  /** Of the batch as it stands, its head included. */
  get sizeInBytes(): number {
    return this.#at;
  }

  /** Of the memory that it keeps. */
  get capacity(): number {
    return this.#bytes.length;
  }

  /** -1 while empty. */
  get maxTimestampMs(): number {
    return this.#maxTimestampMs;
  }

  /**
   * Adds a record; false, and nothing has changed, where it would make the batch larger than `maxBytes`. The first
   * record always fits.
   * @throws KafkaError INVALID_RECORD: a key, value or header of another type. INVALID_TIMESTAMP: no safe integer.
   *   Nothing has changed.
   */
  append(record: NewRecord): boolean {
    return this.appendAt(record, this.#lastOffsetDelta + 1);
  }

  /** `append` with an offset delta of its own, above that of the record before: for batches with gaps. */
  appendAt(record: NewRecord, offsetDelta: number): boolean {
    assert(offsetDelta > this.#lastOffsetDelta, 'offset deltas rise');
    const { timestampMs } = record;
    const first = this.#recordCount === 0;
    const baseTimestampMs = first ? (this.#fixedBaseTimestampMs ?? timestampMs) : this.#baseTimestampMs;
    const timestampDeltaMs = timestampMs - baseTimestampMs;
    if (!Number.isSafeInteger(timestampMs) || !Number.isSafeInteger(timestampDeltaMs)) {
      throw new KafkaError('INVALID_TIMESTAMP', `record timestamp: expected whole milliseconds, found ${timestampMs}`);
    }
    const end = this.#write(record, timestampDeltaMs, offsetDelta);
    if (end === FULL) return false;
    this.#at = end;
    this.#recordCount++;
    this.#lastOffsetDelta = offsetDelta;
    if (first) this.#baseTimestampMs = baseTimestampMs;
    if (first || timestampMs > this.#maxTimestampMs) this.#maxTimestampMs = timestampMs;
    return true;
  }

  /**
   * `append` for the records from `from` to `to` (exclusive), in order, until one does not fit; returns how many did.
   *
   * A call of the encoder costs more than encoding a short text. So a run of texts is encoded by one call, and into its
   * place: it has gaps, into which the rest of each record is written then.
   *
   *     ········hello·········world·        · gap
   *
   * @throws KafkaError as `append`; the records before are in the batch.
   */
  appendMany(recordAt: RecordAt, from: number, to: number): number {
    let next = from;
    while (next < to) {
      let count = 0;
      if (to - next >= RUN_FROM && this.#recordCount > 0) {
        const run = (this.#run ??= new Run());
        const text = this.#textOfRun(run, recordAt, next, to);
        count = run.count;
        if (count >= RUN_FROM && this.#encode(text)) {
          for (let i = 0; i < count; i++) this.#fillGaps(run, i);
          next += count;
          continue;
        }
      }
      // What makes no run, or the one record that cannot be part of any.
      for (const stop = next + Math.max(count, 1); next < stop; next++) {
        if (!this.append(recordAt(next))) return next - from;
      }
    }
    return next - from;
  }

  /**
   * The finished batch, save its checksum (see `writeUnsealedHeader`), in the builder's own memory: good until the
   * builder is cleared, which it must be before more.
   */
  end(ending: BatchEnding = {}): Uint8Array<ArrayBuffer> {
    const batch = this.#bytes.subarray(0, this.#at);
    writeUnsealedHeader(batch, 0, batch.length, {
      baseOffset: ending.baseOffset ?? 0,
      partitionLeaderEpoch: ending.partitionLeaderEpoch ?? NO_PARTITION_LEADER_EPOCH,
      attributes: ending.attributes ?? 0,
      lastOffsetDelta: ending.lastOffsetDelta ?? Math.max(0, this.#lastOffsetDelta),
      baseTimestampMs: this.#recordCount === 0 ? (this.#fixedBaseTimestampMs ?? NO_TIMESTAMP) : this.#baseTimestampMs,
      maxTimestampMs: ending.maxTimestampMs ?? this.#maxTimestampMs,
      producerId: ending.producerId ?? NO_PRODUCER_ID,
      producerEpoch: ending.producerEpoch ?? NO_PRODUCER_EPOCH,
      baseSequence: ending.baseSequence ?? NO_SEQUENCE,
      recordCount: this.#recordCount,
    });
    return batch;
  }

  /** Forgets all records. */
  clear(): void {
    this.#at = BATCH_HEADER_BYTES;
    this.#recordCount = 0;
    this.#lastOffsetDelta = -1;
    this.#baseTimestampMs = NO_TIMESTAMP;
    this.#maxTimestampMs = NO_TIMESTAMP;
  }

  /** Writes a record behind the last one; returns where it ends, or FULL. It counts only once `#at` has moved. */
  #write(record: NewRecord, timestampDeltaMs: number, offsetDelta: number): number {
    const key = record.key ?? null;
    const { value } = record;
    const headers = record.headers ?? NO_HEADERS;
    // A text is taken for ASCII at first: then its length is its size, and counting is saved.
    let keySize = guessSize(key, 'key');
    let valueSize = guessSize(value, 'value');
    const headersSize = headers.length === 0 ? 1 : sizeOfHeaders(headers);
    const deltasSize = varlongSize(timestampDeltaMs) + varintSize(offsetDelta);
    for (;;) {
      const bodySize = 1 + deltasSize + sizeWithLength(keySize) + sizeWithLength(valueSize) + headersSize;
      const size = varintSize(bodySize) + bodySize;
      if (this.#at + size > this.#maxBytes && this.#recordCount > 0) return FULL;
      const bytes = this.#room(size);
      let at = writeStart(bytes, this.#at, { bodySize, timestampDeltaMs, offsetDelta });
      at = writeVarint(bytes, at, keySize);
      if (key !== null && !writeField(bytes, at, key, keySize)) {
        keySize = utf8Size(key as string);
        continue;
      }
      at = writeVarint(bytes, keySize > 0 ? at + keySize : at, valueSize);
      if (value !== null && !writeField(bytes, at, value, valueSize)) {
        valueSize = utf8Size(value as string);
        continue;
      }
      if (valueSize > 0) at += valueSize;
      if (headers.length > 0) return writeHeaders(bytes, at, headers);
      bytes[at] = 0;
      return at + 1;
    }
  }

  /** The texts of as many records as make one run, with the gaps between them. A length is taken for a size. */
  #textOfRun(run: Run, recordAt: RecordAt, from: number, to: number): string {
    run.count = 0;
    let text = '';
    for (const most = Math.min(to - from, RUN_RECORDS); run.count < most; run.count++) {
      const { key, value, headers, timestampMs } = recordAt(from + run.count);
      if (!isText(key) || !isText(value) || (headers !== undefined && headers.length > 0)) break;
      const timestampDeltaMs = timestampMs - this.#baseTimestampMs;
      if (!Number.isSafeInteger(timestampMs) || !Number.isSafeInteger(timestampDeltaMs)) break;
      const keySize = key === null ? NULL_SIZE : key.length;
      const valueSize = value === null ? NULL_SIZE : value.length;
      const offsetDelta = this.#lastOffsetDelta + 1 + run.count;
      const deltasSize = varlongSize(timestampDeltaMs) + varintSize(offsetDelta);
      const bodySize = 2 + deltasSize + sizeWithLength(keySize) + sizeWithLength(valueSize);
      const before = run.count > 0 ? 1 : 0; // the end of the record before
      const end = text.length + before + varintSize(bodySize) + bodySize;
      if (end > RUN_LENGTH || this.#at + end > this.#maxBytes) break;
      const beforeKey = before + varintSize(bodySize) + 1 + deltasSize + varintSize(keySize);
      const beforeValue = varintSize(valueSize);
      if (key === null) text += GAPS[beforeKey + beforeValue];
      else text += `${GAPS[beforeKey]}${key}${GAPS[beforeValue]}`;
      if (value !== null) text += value;
      run.keySizes[run.count] = keySize;
      run.valueSizes[run.count] = valueSize;
      run.timestampDeltasMs[run.count] = timestampDeltaMs;
    }
    return text;
  }

  /** Writes a text behind the last record; false: not all of it is ASCII. */
  #encode(text: string): boolean {
    const room = this.#room(text.length + 1);
    return ENCODER.encodeInto(text, room.subarray(this.#at, this.#at + text.length)).read === text.length;
  }

  /** Makes the next record of the run of what is there already. */
  #fillGaps(run: Run, index: number): void {
    const bytes = this.#bytes;
    const keySize = run.keySizes[index]!;
    const valueSize = run.valueSizes[index]!;
    const timestampDeltaMs = run.timestampDeltasMs[index]!;
    const offsetDelta = ++this.#lastOffsetDelta;
    const deltasSize = varlongSize(timestampDeltaMs) + varintSize(offsetDelta);
    const bodySize = 2 + deltasSize + sizeWithLength(keySize) + sizeWithLength(valueSize);
    let at = writeStart(bytes, this.#at, { bodySize, timestampDeltaMs, offsetDelta });
    at = writeVarint(bytes, at, keySize);
    if (keySize > 0) at += keySize;
    at = writeVarint(bytes, at, valueSize);
    if (valueSize > 0) at += valueSize;
    bytes[at] = 0; // headers
    this.#at = at + 1;
    this.#recordCount++;
    this.#maxTimestampMs = Math.max(this.#maxTimestampMs, this.#baseTimestampMs + timestampDeltaMs);
  }

  /** The memory, large enough for `size` more bytes. */
  #room(size: number): Uint8Array {
    const needed = this.#at + size;
    if (needed > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(needed, Math.min(GROWTH * this.#bytes.length, this.#maxBytes)));
      larger.set(this.#bytes.subarray(0, this.#at));
      this.#bytes = larger;
    }
    return this.#bytes;
  }
}

type Field = Uint8Array | string | null;

function isText(field: Field): field is string | null {
  return typeof field === 'string' || field === null;
}

interface RecordStart {
  /** Of all that comes behind it. */
  readonly bodySize: number;
  readonly timestampDeltaMs: number;
  readonly offsetDelta: number;
}

function writeStart(bytes: Uint8Array, from: number, record: RecordStart): number {
  let at = writeVarint(bytes, from, record.bodySize);
  bytes[at++] = 0; // attributes
  at = writeVarlong(bytes, at, record.timestampDeltaMs);
  return writeVarint(bytes, at, record.offsetDelta);
}

function guessSize(field: Field, name: string): number {
  if (typeof field === 'string') return field.length;
  if (field === null) return NULL_SIZE;
  if (isBytes(field)) return field.length;
  throw new KafkaError(
    'INVALID_RECORD',
    `record ${name}: expected a string, a Uint8Array or null, found ${kindOf(field)}`,
  );
}

function kindOf(value: unknown): string {
  if (typeof value !== 'object' || value === null) return typeof value;
  return `an object of ${value.constructor?.name || 'no class'}`;
}

function sizeWithLength(size: number): number {
  return size === NULL_SIZE ? 1 : varintSize(size) + size;
}

/** Writes `size` bytes; false for a text whose size was guessed wrong. */
function writeField(bytes: Uint8Array, at: number, field: Uint8Array | string, size: number): boolean {
  if (typeof field === 'string') return writeUtf8(bytes, at, field, size);
  if (size >= SET_FROM) bytes.set(field, at);
  else for (let i = 0; i < size; i++) bytes[at + i] = field[i]!;
  return true;
}

function sizeOfHeaders(headers: readonly NewRecordHeader[]): number {
  let size = varintSize(headers.length);
  for (const { key, value } of headers) {
    if (typeof key !== 'string') {
      throw new KafkaError('INVALID_RECORD', `record header: expected a string as its key, found ${kindOf(key)}`);
    }
    guessSize(value, `header ${JSON.stringify(key)}`);
    size += sizeWithLength(utf8Size(key)) + sizeWithLength(sizeOf(value));
  }
  return size;
}

function sizeOf(field: Field): number {
  if (field === null) return NULL_SIZE;
  return typeof field === 'string' ? utf8Size(field) : field.length;
}

function writeHeaders(bytes: Uint8Array, from: number, headers: readonly NewRecordHeader[]): number {
  let at = writeVarint(bytes, from, headers.length);
  for (const { key, value } of headers) {
    at = writeSized(bytes, at, key);
    at = writeSized(bytes, at, value);
  }
  return at;
}

function writeSized(bytes: Uint8Array, from: number, field: Field): number {
  const size = sizeOf(field);
  const at = writeVarint(bytes, from, size);
  if (field === null) return at;
  writeField(bytes, at, field, size);
  return at + size;
}
