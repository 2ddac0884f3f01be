/**
 * The cases of the `records` conformance suite: what its README asks, one case for each vector of each file. A case
 * throws where our code does not do what the vector says.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { KafkaError } from '../../src/protocol/errors.js';
import { attributesOf } from '../../src/record/batch-attributes.js';
import { compressBatch, decodeBatch, decompressBatch } from '../../src/record/batch-compression.js';
import {
  type BatchFields,
  batchSizeAt,
  compressionOf,
  isControl,
  isTransactional,
  readBatchFields,
  readBatchHeader,
  stampBatch,
  timestampType,
  verifyBatchBytes,
} from '../../src/record/batch-header.js';
import { compressionName } from '../../src/record/compression-name.js';
import type { CompressionType } from '../../src/record/compression-types.js';
import { controlRecordKey } from '../../src/record/control-record.js';
import { deleteHorizonMs } from '../../src/record/delete-horizon.js';
import type { StoredRecord } from '../../src/record/record.js';
import { RecordBatchBuilder } from '../../src/record/record-batch-builder.js';
import { recordOf } from '../../src/record/record-batch-decoder.js';
import { RecordCursor } from '../../src/record/record-cursor.js';
import { wholeBatchesEnd } from '../../src/record/whole-batches.js';
import { readBigVarlong, writeBigVarlong } from '../../src/util/big-varint.js';
import { crc32c } from '../../src/util/crc32c.js';
import { murmur2, partitionFor } from '../../src/util/murmur2.js';
import { writeUnsignedVarint, writeVarint } from '../../src/util/varint.js';
import { VarintReader } from '../../src/util/varint-reader.js';
import { writeVarlong } from '../../src/util/varlong.js';
import { finishBatch } from '../record/finish-batch.js';
import './codecs.js';

export interface RecordCase {
  /** The file without `.json`. */
  readonly feature: string;
  readonly name: string;
  run(): void | Promise<void>;
}

export const RECORD_FILES = ['murmur2', 'crc32c', 'varint', 'batches', 'damaged'] as const;

/** The cases of one file of the folder `data`; none where the folder does not have it. */
export function recordCases(data: string, feature: (typeof RECORD_FILES)[number]): RecordCase[] {
  const file = join(data, `${feature}.json`);
  if (!existsSync(file)) return [];
  const content: unknown = JSON.parse(readFileSync(file, 'utf8'));
  return CASES_OF[feature](content as never).map(([name, run]) => ({ feature, name, run }));
}

type NamedCase = [name: string, run: () => void | Promise<void>];

const CASES_OF = {
  murmur2: murmur2Cases,
  crc32c: crc32cCases,
  varint: varintCases,
  batches: batchCases,
  damaged: damagedCases,
};

// ---------------------------------------------------------------- checksums, varints

interface Murmur2File {
  readonly partitionCounts: number[];
  readonly vectors: { name: string; key: string; hash: number; partitions: number[] }[];
}

function murmur2Cases({ partitionCounts, vectors }: Murmur2File): NamedCase[] {
  return vectors.map(({ name, key, hash, partitions }) => [
    name,
    () => {
      assert.equal(murmur2(fromHex(key)), hash);
      assert.deepEqual(
        partitionCounts.map((count) => partitionFor(fromHex(key), count)),
        partitions,
      );
    },
  ]);
}

function crc32cCases({ vectors }: { vectors: { name: string; data: string; crc: number }[] }): NamedCase[] {
  return vectors.map(({ name, data, crc }) => [
    name,
    () => {
      assert.equal(crc32c(fromHex(data)), crc);
      // The same bytes at every alignment, between others.
      for (let before = 1; before <= 4; before++) {
        const bytes = fromHex(`${'ee'.repeat(before)}${data}dd`);
        assert.equal(crc32c(bytes, before, bytes.length - 1), crc);
      }
    },
  ]);
}

interface VarintFile {
  readonly varint: { value: number; bytes: string }[];
  readonly varlong: { value: string; bytes: string }[];
  readonly unsignedVarint: { value: number; bytes: string }[];
}

function varintCases(file: VarintFile): NamedCase[] {
  return [
    ...file.varint.map(
      ({ value, bytes }): NamedCase => [
        `varint ${value}`,
        () => {
          assert.equal(
            written((out) => writeVarint(out, 0, value)),
            bytes,
          );
          assert.equal(
            readAll(bytes, (reader) => reader.varint()),
            value,
          );
        },
      ],
    ),
    ...file.unsignedVarint.map(
      ({ value, bytes }): NamedCase => [
        `unsigned varint ${value}`,
        () => {
          assert.equal(
            written((out) => writeUnsignedVarint(out, 0, value)),
            bytes,
          );
          assert.equal(
            readAll(bytes, (reader) => reader.unsignedVarint()),
            value,
          );
        },
      ],
    ),
    ...file.varlong.map(
      ({ value, bytes }): NamedCase => [
        `varlong ${value}`,
        () => {
          assert.equal(
            written((out) => writeBigVarlong(out, 0, BigInt(value))),
            bytes,
          );
          assert.equal(
            readAll(bytes, (reader) => readBigVarlong(reader)),
            BigInt(value),
          );
          const number = readAll(bytes, (reader) => reader.varlong());
          assert.equal(Number.isSafeInteger(number), Number.isSafeInteger(Number(value)));
          if (!Number.isSafeInteger(number)) return;
          assert.equal(number, Number(value));
          assert.equal(
            written((out) => writeVarlong(out, 0, number)),
            bytes,
          );
        },
      ],
    ),
  ];
}

function written(write: (out: Uint8Array) => number): string {
  const out = new Uint8Array(16);
  return hexOf(out.subarray(0, write(out)));
}

function readAll<T>(bytes: string, read: (reader: VarintReader) => T): T {
  const reader = new VarintReader(fromHex(bytes), 0);
  const value = read(reader);
  assert.equal(reader.at, bytes.length / 2);
  return value;
}

// ---------------------------------------------------------------- batches

interface Head {
  readonly baseOffset: string;
  readonly length: number;
  readonly partitionLeaderEpoch: number;
  readonly magic: number;
  readonly crc: number;
  readonly crcOk: boolean;
  readonly attributes: number;
  readonly compression: string;
  readonly timestampType: 'CreateTime' | 'LogAppendTime';
  readonly transactional: boolean;
  readonly control: boolean;
  readonly deleteHorizon: boolean;
  readonly lastOffsetDelta: number;
  readonly baseTimestamp: string;
  readonly maxTimestamp: string;
  readonly producerId: string;
  readonly producerEpoch: number;
  readonly baseSequence: number;
  readonly count: number;
}

interface RecordVector {
  readonly offset: string;
  readonly timestamp: string;
  readonly key: string | null;
  readonly value: string | null;
  readonly headers: { key: string; value: string | null }[] | [string, string | null][];
  readonly controlRecord?: { version: number; type: string };
}

interface BatchVector {
  readonly name: string;
  readonly bytes: string;
  readonly batches: { head: Head; records: RecordVector[] }[];
}

function batchCases({ vectors }: { vectors: BatchVector[] }): NamedCase[] {
  return vectors.flatMap((vector): NamedCase[] => [
    [`read ${vector.name}`, () => readSegment(vector)],
    [`write ${vector.name}`, () => writeSegment(vector)],
  ]);
}

async function readSegment({ bytes: text, batches }: BatchVector): Promise<void> {
  const bytes = fromHex(text);
  let at = 0;
  for (const { head, records } of batches) {
    const size = verifyBatchBytes(bytes, at);
    assert.equal(size, head.length + 12);
    const fields = readBatchFields(bytes, at);
    compareHead(bytes, at, fields, head);
    compareRecords(fields, await readRecords(bytes, at, fields), records);
    at += size;
  }
  assert.equal(at, bytes.length);
  assert.equal(wholeBatchesEnd(bytes), bytes.length);
}

function compareHead(bytes: Uint8Array, at: number, fields: BatchFields, head: Head): void {
  const { attributes } = fields;
  assert.deepEqual(
    {
      baseOffset: String(fields.baseOffset),
      partitionLeaderEpoch: fields.partitionLeaderEpoch,
      attributes,
      compression: compressionName(compressionOf({ attributes })),
      timestampType: timestampType({ attributes }),
      transactional: isTransactional({ attributes }),
      control: isControl({ attributes }),
      deleteHorizon: deleteHorizonMs({ attributes, baseTimestampMs: 0 }) !== undefined,
      lastOffsetDelta: fields.lastOffsetDelta,
      baseTimestamp: String(fields.baseTimestampMs),
      maxTimestamp: String(fields.maxTimestampMs),
      producerId: String(fields.producerId),
      producerEpoch: fields.producerEpoch,
      baseSequence: fields.baseSequence,
      count: fields.recordCount,
    },
    {
      baseOffset: head.baseOffset,
      partitionLeaderEpoch: head.partitionLeaderEpoch,
      attributes: head.attributes,
      compression: head.compression.replace(/-raw$/, ''),
      timestampType: head.timestampType,
      transactional: head.transactional,
      control: head.control,
      deleteHorizon: head.deleteHorizon,
      lastOffsetDelta: head.lastOffsetDelta,
      baseTimestamp: head.baseTimestamp,
      maxTimestamp: head.maxTimestamp,
      producerId: head.producerId,
      producerEpoch: head.producerEpoch,
      baseSequence: head.baseSequence,
      count: head.count,
    },
  );
  if (hasBigFields(fields)) {
    assert.throws(() => readBatchHeader(bytes, at), { type: 'INVALID_RECORD' });
    return;
  }
  const header = readBatchHeader(bytes, at);
  assert.equal(header.crc, head.crc);
  assert.equal(header.sizeInBytes, head.length + 12);
  assert.deepEqual(fieldsOf(header), fieldsOf(fields));
}

/**
 * The records as the decoder gives them. It counts in safe integers; for a batch beyond them it is given a header with
 * stand-ins, and offsets are relative (`compareRecords` adds the base exactly).
 */
async function readRecords(bytes: Uint8Array, at: number, fields: BatchFields): Promise<StoredRecord[]> {
  if (!hasBigFields(fields)) return decodeBatch(bytes, at);
  assert.equal(compressionOf(fields), 0, 'a compressed batch with fields beyond the safe integers is not in the data');
  const sizeInBytes = batchSizeAt(bytes, at);
  assert.ok(sizeInBytes);
  const { baseTimestampMs, maxTimestampMs } = fields;
  assert.ok(typeof baseTimestampMs === 'number' && typeof maxTimestampMs === 'number', 'timestamps are safe integers');
  const header = { ...fields, sizeInBytes, crc: 0, baseOffset: 0, producerId: -1, baseTimestampMs, maxTimestampMs };
  const records: StoredRecord[] = [];
  const cursor = new RecordCursor(bytes, at, header);
  while (cursor.next()) records.push(recordOf(cursor));
  return records;
}

function compareRecords(fields: BatchFields, found: readonly StoredRecord[], expected: readonly RecordVector[]): void {
  const base = hasBigFields(fields) ? BigInt(fields.baseOffset) : 0n;
  assert.equal(found.length, expected.length);
  for (const [i, record] of found.entries()) {
    const vector = expected[i];
    assert.ok(vector);
    assert.deepEqual(
      {
        offset: String(base + BigInt(record.offset)),
        timestamp: String(record.timestampMs),
        key: base64Of(record.key),
        value: base64Of(record.value),
        headers: record.headers.map(({ key, value }) => ({ key, value: base64Of(value) })),
        controlRecord: vector.controlRecord && controlRecordKey(record.key),
      },
      {
        offset: vector.offset,
        timestamp: vector.timestamp,
        key: vector.key,
        value: vector.value,
        headers: headersOf(vector),
        controlRecord: vector.controlRecord,
      },
    );
  }
}

/** Uncompressed batches must be the same bytes; compressed ones must read back. */
async function writeSegment({ bytes: text, batches }: BatchVector): Promise<void> {
  const bytes = fromHex(text);
  let at = 0;
  for (const { head, records } of batches) {
    const size = head.length + 12;
    const compression = compressionOf(head);
    const created = compression === 0 ? createTimes(bytes, at) : undefined;
    const batch = writeBatch(head, records, created);
    if (compression === 0) assert.equal(hexOf(batch), hexOf(bytes.subarray(at, at + size)));
    else {
      const compressed = await compressBatch(batch, 0, compression as CompressionType);
      verifyBatchBytes(compressed);
      const fields = readBatchFields(compressed);
      assert.deepEqual(fields, readBatchFields(bytes, at));
      compareRecords(fields, await decodeBatch(compressed), records);
      assert.equal(hexOf(await decompressBatch(compressed)), hexOf(batch));
    }
    at += size;
  }
}

function writeBatch(
  head: Head,
  records: readonly RecordVector[],
  createdMs: readonly number[] | undefined,
): Uint8Array {
  const builder = new RecordBatchBuilder({ baseTimestampMs: Number(head.baseTimestamp) });
  for (const [i, { offset, timestamp, key, value, ...record }] of records.entries()) {
    const fields = { key: fromBase64(key), value: fromBase64(value), timestampMs: createdMs?.[i] ?? Number(timestamp) };
    const headers = headersOf(record).map((header) => ({ key: header.key, value: fromBase64(header.value) }));
    builder.appendAt({ ...fields, headers }, Number(BigInt(offset) - BigInt(head.baseOffset)));
  }
  const isStamped = head.timestampType === 'LogAppendTime';
  const batch = finishBatch(builder, {
    attributes: attributesOf({
      isTransactional: head.transactional,
      isControl: head.control,
      hasDeleteHorizon: head.deleteHorizon,
    }),
    producerId: exact(head.producerId),
    producerEpoch: head.producerEpoch,
    baseSequence: head.baseSequence,
    baseOffset: exact(head.baseOffset),
    partitionLeaderEpoch: head.partitionLeaderEpoch,
    lastOffsetDelta: head.lastOffsetDelta,
    maxTimestampMs: Number(head.maxTimestamp),
  });
  if (isStamped) {
    const { partitionLeaderEpoch, baseOffset, maxTimestamp } = head;
    stampBatch(batch, 0, {
      baseOffset: Number(baseOffset),
      partitionLeaderEpoch,
      logAppendTimeMs: Number(maxTimestamp),
    });
  }
  return batch;
}

/** What producers gave as times, which a log append time hides from readers; undefined where nothing is hidden. */
function createTimes(bytes: Uint8Array, at: number): number[] | undefined {
  const fields = readBatchFields(bytes, at);
  if (timestampType(fields) === 'CreateTime') return undefined;
  const header = { ...readBatchHeader(bytes, at), attributes: 0 };
  const times: number[] = [];
  const cursor = new RecordCursor(bytes, at, header);
  while (cursor.next()) times.push(cursor.timestampMs);
  return times;
}

// ---------------------------------------------------------------- damage

function damagedCases({ vectors }: { vectors: { name: string; bytes: string }[] }): NamedCase[] {
  return vectors.map(({ name, bytes: text }) => [
    name,
    async () => {
      const bytes = fromHex(text);
      // By its head and checksum, or, where the damage was there before the checksum, by its records.
      await assert.rejects(async () => {
        verifyBatchBytes(bytes);
        await decodeBatch(bytes);
      }, isCorrupt);
      // A segment's reader cuts it off as an incomplete tail, or comes to refuse it as above.
      try {
        assert.ok([0, bytes.length].includes(wholeBatchesEnd(bytes)));
      } catch (error) {
        if (!isCorrupt(error)) throw error;
      }
    },
  ]);
}

function isCorrupt(error: unknown): boolean {
  return error instanceof KafkaError && error.type === 'CORRUPT_MESSAGE';
}

// ---------------------------------------------------------------- encodings of the data

function hasBigFields(fields: BatchFields): boolean {
  return Object.values(fields).some((field) => typeof field === 'bigint');
}

function fieldsOf({ baseOffset, baseTimestampMs, maxTimestampMs, producerId, ...rest }: BatchFields): unknown {
  const { partitionLeaderEpoch, attributes, lastOffsetDelta, producerEpoch, baseSequence, recordCount } = rest;
  const small = { partitionLeaderEpoch, attributes, lastOffsetDelta, producerEpoch, baseSequence, recordCount };
  return { baseOffset, baseTimestampMs, maxTimestampMs, producerId, ...small };
}

function headersOf({ headers }: Pick<RecordVector, 'headers'>): { key: string; value: string | null }[] {
  return headers.map((header) => (Array.isArray(header) ? { key: header[0], value: header[1] } : header));
}

function exact(text: string): number | bigint {
  return Number.isSafeInteger(Number(text)) ? Number(text) : BigInt(text);
}

function fromHex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, 'hex'));
}

function fromBase64(text: string | null): Uint8Array | null {
  return text === null ? null : Uint8Array.from(Buffer.from(text, 'base64'));
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

function base64Of(bytes: Uint8Array | null): string | null {
  return bytes === null ? null : Buffer.from(bytes).toString('base64');
}
