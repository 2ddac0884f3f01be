import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { KafkaError } from '../../src/protocol/errors.js';
import { attributesOf } from '../../src/record/batch-attributes.js';
import {
  BATCH_HEADER_BYTES,
  batchesIn,
  completeBatch,
  compressionOf,
  isControl,
  isTransactional,
  lastOffsetOf,
  readBatchHeader,
  stampBatch,
  timestampType,
  verifyBatch,
} from '../../src/record/batch-header.js';
import { deleteHorizonMs } from '../../src/record/delete-horizon.js';
import type { NewRecord, StoredRecord } from '../../src/record/record.js';
import { RecordBatchBuilder } from '../../src/record/record-batch-builder.js';
import { decodeRecords, headersOf } from '../../src/record/record-batch-decoder.js';
import { NULL_START, RecordCursor } from '../../src/record/record-cursor.js';
import { wholeBatchesEnd } from '../../src/record/whole-batches.js';
import { concatBytes } from '../../src/util/bytes.js';
import { crc32c } from '../../src/util/crc32c.js';
import { finishBatch } from './finish-batch.js';
import { bytesOf, encode, expected, newRecord, plain } from './record-arbitraries.js';

const records = fc.array(newRecord, { minLength: 1, maxLength: 12 });
const hello: NewRecord = { key: 'k', value: 'hello', timestampMs: 1_700_000_000_000 };

describe('a batch', () => {
  test('gives back every record as it was written: nulls, empty fields, headers, any timestamps', () => {
    fc.assert(
      fc.property(records, fc.maxSafeInteger().map(Math.abs), (written, baseOffset) => {
        fc.pre(Number.isSafeInteger(baseOffset + written.length));
        const batch = encode(written, { baseOffset });
        expect(verifyBatch(batch).recordCount).toBe(written.length);
        expect(decodeRecords(batch).map(plain)).toEqual(written.map((record, i) => expected(record, baseOffset + i)));
      }),
    );
  });

  test('has the bytes that a plain reading of the format gives', () => {
    const ending = fc.record({
      baseOffset: fc.nat(),
      partitionLeaderEpoch: fc.integer({ min: -1 }),
      attributes: fc.constantFrom(0, 16, 48),
      producerId: fc.integer({ min: -1 }),
      producerEpoch: fc.integer({ min: -1, max: 32767 }),
      baseSequence: fc.integer({ min: -1 }),
    });
    fc.assert(
      fc.property(records, ending, (written, fields) => {
        expect(encode(written, fields)).toEqual(encodePlainly(written, fields));
      }),
    );
  });

  test('lies in a buffer of its own that holds nothing else', () => {
    const batch = encode([hello]);
    expect(batch.byteOffset).toBe(0);
    expect(batch.buffer.byteLength).toBe(batch.length);
    expect(readBatchHeader(batch).sizeInBytes).toBe(batch.length);
  });

  test('is read at any place of a longer run of bytes', () => {
    fc.assert(
      fc.property(fc.nat(7), records, (before, written) => {
        const bytes = concatBytes([new Uint8Array(before), encode(written, { baseOffset: 5 })]);
        expect(decodeRecords(bytes, before).map(plain)).toEqual(written.map((record, i) => expected(record, 5 + i)));
        expect(decodeRecords(bytes.subarray(before)).map(plain)).toHaveLength(written.length);
      }),
    );
  });

  test('stands for itself in its attributes', () => {
    const attributes = attributesOf({ isTransactional: true, hasDeleteHorizon: true, compression: 4 });
    const header = readBatchHeader(encode([hello], { attributes, producerId: 7, producerEpoch: 1, baseSequence: 3 }));
    expect(isTransactional(header)).toBe(true);
    expect(isControl(header)).toBe(false);
    expect(compressionOf(header)).toBe(4);
    expect(timestampType(header)).toBe('CreateTime');
    expect(deleteHorizonMs(header)).toBe(hello.timestampMs);
    expect(deleteHorizonMs(readBatchHeader(encode([hello])))).toBeUndefined();
    expect(lastOffsetOf(readBatchHeader(encode([hello, hello], { baseOffset: 40 })))).toBe(41);
    expect([header.producerId, header.producerEpoch, header.baseSequence]).toEqual([7, 1, 3]);
  });
});

describe('the builder', () => {
  test('refuses what would not fit, changes nothing, and takes a first record of any size', () => {
    fc.assert(
      fc.property(records, fc.integer({ min: 70, max: 400 }), (written, maxBytes) => {
        const builder = new RecordBatchBuilder({ maxBytes });
        const batches: Uint8Array[] = [];
        for (const record of written) {
          const sizeBefore = builder.sizeInBytes;
          if (builder.append(record)) continue;
          expect(builder.sizeInBytes).toBe(sizeBefore);
          batches.push(finishBatch(builder));
          expect(builder.append(record)).toBe(true);
        }
        const size = builder.sizeInBytes;
        batches.push(finishBatch(builder));
        expect(batches.at(-1)?.length).toBe(size);
        for (const batch of batches)
          if (verifyBatch(batch).recordCount > 1) expect(batch.length).toBeLessThanOrEqual(maxBytes);
        const values = batches.flatMap((batch) => decodeRecords(batch).map(({ value }) => bytesOf(value)));
        expect(values).toEqual(written.map(({ value }) => bytesOf(value)));
      }),
    );
  });

  // Goal: what goes into a batch is the same, whichever texts are encoded together.
  // Method: texts (of any script, and halves of surrogate pairs), bytes and nothing, mixed, in runs and alone; records one
  // by one beside as many as fit at once.
  test('takes many records as it takes one after the other', () => {
    const ascii = fc.string({ unit: 'binary-ascii', maxLength: 200 });
    const large = fc.integer({ min: 5_000, max: 40_000 }).map((length) => 'x'.repeat(length));
    const odd = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('\ud83d', '\ude00', 'a\ud83d'));
    const value = fc.oneof(
      { weight: 60, arbitrary: ascii },
      { weight: 1, arbitrary: odd },
      { weight: 1, arbitrary: large },
      { weight: 1, arbitrary: fc.uint8Array({ maxLength: 20 }) },
      { weight: 3, arbitrary: fc.constant(null) },
    );
    const header = fc.record({ key: fc.string(), value });
    const record: fc.Arbitrary<NewRecord> = fc.record({
      key: fc.oneof({ weight: 1, arbitrary: value }, { weight: 2, arbitrary: fc.constant(null) }),
      value,
      headers: fc.oneof({ weight: 30, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: fc.array(header) }),
      timestampMs: fc.oneof(fc.integer({ min: 1_700_000_000_000, max: 1_700_000_001_000 }), fc.maxSafeNat()),
    });
    const sends = fc.array(fc.array(record, { maxLength: 150, size: 'max' }), { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(sends, fc.integer({ min: 70, max: 20_000 }), (written, maxBytes) => {
        expect(batchesOfMany(written, maxBytes)).toEqual(batchesOfEach(written.flat(), maxBytes));
      }),
      { numRuns: 200 },
    );
  });

  test('a run that fills its room exactly, and is not ASCII, is not taken for one that is', () => {
    for (const last of [`${'x'.repeat(510)}ä`, `ä${'x'.repeat(511)}`, `${'x'.repeat(512)}\ud83d`]) {
      const values = [...Array.from({ length: 63 }, () => 'x'.repeat(512)), last];
      const written = values.map((value) => ({ ...hello, value }));
      expect(batchesOfMany([written], 60_000)).toEqual(batchesOfEach(written, 60_000));
    }
  });

  // Goal: nothing but the time shows whether texts are encoded together, so count the calls.
  test('short texts in ASCII are encoded together, also beside others', () => {
    const ascii: NewRecord[] = Array.from({ length: 300 }, (_, i) => ({ ...hello, value: `value ${i}` }));
    expect(encoderCalls(ascii)).toBe(5);
    expect(encoderCalls([...ascii, { ...hello, value: Uint8Array.of(1) }, ...ascii])).toBe(10);
    expect(encoderCalls(ascii.slice(0, 8))).toBe(0); // too few behind the first
    expect(encoderCalls([hello, { ...hello, value: 'ä' }, ...ascii])).toBe(5); // those beside it are written one by one
  });

  test('leaves the checksum to others, who complete the batch', () => {
    fc.assert(
      fc.property(records, (written) => {
        const builder = new RecordBatchBuilder();
        for (const record of written) builder.append(record);
        const batch = builder.end({ producerId: 3 }).slice();
        expect(readBatchHeader(batch).crc).toBe(0);
        expect(completeBatch(batch)).toEqual(verifyBatch(batch));
        expect(batch).toEqual(encode(written, { producerId: 3 }));
      }),
    );
  });

  test('is completed only where all else is sound', () => {
    const isCorrupt = expect.objectContaining({ type: 'CORRUPT_MESSAGE' });
    const batch = encode([hello, hello]);
    expect(() => completeBatch(batch.subarray(0, -1))).toThrow(isCorrupt);
    expect(() => completeBatch(encode([hello, hello], { lastOffsetDelta: 0 }))).toThrow(isCorrupt);
    const ofOtherMagic = batch.with(16, 1);
    expect(() => completeBatch(ofOtherMagic)).toThrow(isCorrupt);
    expect(ofOtherMagic).toEqual(batch.with(16, 1)); // unchanged
  });

  test('is empty after a batch, and the next one knows nothing of it', () => {
    const builder = new RecordBatchBuilder();
    builder.append({ ...hello, timestampMs: 99 });
    builder.append(hello);
    finishBatch(builder);
    expect([builder.recordCount, builder.sizeInBytes]).toEqual([0, BATCH_HEADER_BYTES]);
    builder.append(hello);
    expect(finishBatch(builder)).toEqual(encode([hello]));
  });

  test.each<[unknown, string]>([
    [{ ...hello, value: 12 }, 'record value: expected a string, a Uint8Array or null, found number'],
    [{ ...hello, value: undefined }, 'record value: expected a string, a Uint8Array or null, found undefined'],
    [{ ...hello, value: { a: 1 } }, 'record value: expected a string, a Uint8Array or null, found an object of Object'],
    [{ ...hello, key: true }, 'record key: expected a string, a Uint8Array or null, found boolean'],
    [
      { ...hello, headers: [{ key: 'h', value: 1 }] },
      'record header "h": expected a string, a Uint8Array or null, found number',
    ],
    [{ ...hello, headers: [{ key: 1, value: 'v' }] }, 'record header: expected a string as its key, found number'],
  ])('refuses %o as INVALID_RECORD, and the records beside it are still written', (bad, text) => {
    const builder = new RecordBatchBuilder();
    builder.append(hello);
    expect(() => builder.append(bad as NewRecord)).toThrow(text);
    expect(() => builder.append(bad as NewRecord)).toThrow(expect.objectContaining({ type: 'INVALID_RECORD' }));
    builder.append(hello);
    expect(finishBatch(builder)).toEqual(encode([hello, hello]));
  });

  test('refuses a timestamp that is no whole number of milliseconds', () => {
    for (const timestampMs of [1.5, Number.NaN, 2 ** 53]) {
      expect(() => encode([{ ...hello, timestampMs }])).toThrow(expect.objectContaining({ type: 'INVALID_TIMESTAMP' }));
    }
  });

  test('takes a record without a key as one with the key null, as KafkaJS does', () => {
    const keyless = { value: hello.value, timestampMs: hello.timestampMs };
    expect(encode([keyless as NewRecord])).toEqual(encode([{ ...hello, key: null }]));
  });
});

describe('stamping', () => {
  test('changes base offset and leader epoch alone, and the checksum holds', () => {
    const batch = encode([hello, hello]);
    stampBatch(batch, 0, { baseOffset: 9_007_199_254_740_000, partitionLeaderEpoch: 7 });
    const header = verifyBatch(batch);
    expect([header.baseOffset, header.partitionLeaderEpoch]).toEqual([9_007_199_254_740_000, 7]);
    expect(batch).toEqual(encode([hello, hello], { baseOffset: 9_007_199_254_740_000, partitionLeaderEpoch: 7 }));
  });

  test('with a log append time gives it to every record, and the checksum holds', () => {
    const bytes = concatBytes([encode([hello]), encode([hello, { ...hello, timestampMs: 5 }])]);
    const at = encode([hello]).length;
    stampBatch(bytes, at, { baseOffset: 1, partitionLeaderEpoch: 0, logAppendTimeMs: 1_800_000_000_000 });
    const header = verifyBatch(bytes, at);
    expect(timestampType(header)).toBe('LogAppendTime');
    expect(header.maxTimestampMs).toBe(1_800_000_000_000);
    const times = decodeRecords(bytes, at).map(({ timestampMs }) => timestampMs);
    expect(times).toEqual([1_800_000_000_000, 1_800_000_000_000]);
    expect(decodeRecords(bytes, 0)[0]?.timestampMs).toBe(hello.timestampMs);
  });
});

describe('a run of batches', () => {
  const segments = fc.array(records, { minLength: 1, maxLength: 4 });

  test('cut anywhere gives its whole batches and nothing else', () => {
    fc.assert(
      fc.property(segments, fc.nat(), (batches, position) => {
        const { bytes, ends, all } = segment(batches);
        const cut = bytes.subarray(0, position % (bytes.length + 1));
        const found: StoredRecord[] = [];
        for (const { at } of batchesIn(cut)) {
          verifyBatch(cut, at);
          found.push(...decodeRecords(cut, at).map(plain));
        }
        expect(wholeBatchesEnd(cut)).toBe(ends.findLast((end) => end <= cut.length) ?? 0);
        expect(found).toEqual(all.slice(0, found.length));
        if (cut.length === bytes.length) expect(found).toEqual(all);
      }),
    );
  });

  test('with one byte changed is refused or gives no other records', () => {
    fc.assert(
      fc.property(segments, fc.nat(), fc.integer({ min: 1, max: 255 }), (batches, position, change) => {
        const { bytes, all } = segment(batches);
        const at = position % bytes.length;
        bytes[at] = bytes[at]! ^ change;
        const found = readSoundBatches(bytes);
        // Base offset and leader epoch are outside the checksum: only what the records hold is protected.
        const contents = found.map((record) => ({ ...record, offset: 0 }));
        expect(contents).toEqual(all.slice(0, found.length).map((record) => ({ ...record, offset: 0 })));
      }),
      { numRuns: 500 },
    );
  });

  test('of any bytes at all is read or refused by name, verified or not', () => {
    const noise = fc.record({
      batch: records.map((written) => encode(written)),
      changes: fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 8 }),
      cut: fc.nat(),
    });
    fc.assert(
      fc.property(noise, ({ batch, changes, cut }) => {
        for (const [at, byte] of changes) batch[at % batch.length] = byte;
        const bytes = batch.subarray(0, Math.max(batch.length - (cut % 20), 0));
        attempt(() => readSoundBatches(bytes));
        attempt(() => decodeRecords(bytes));
        attempt(() => wholeBatchesEnd(bytes));
      }),
      { numRuns: 2000 },
    );
  });

  function readSoundBatches(bytes: Uint8Array): StoredRecord[] {
    const found: StoredRecord[] = [];
    attempt(() => {
      for (const { at } of batchesIn(bytes)) {
        verifyBatch(bytes, at);
        found.push(...decodeRecords(bytes, at).map(plain));
      }
    });
    return found;
  }

  function attempt(action: () => unknown): void {
    try {
      action();
    } catch (error) {
      expect(error).toBeInstanceOf(KafkaError);
    }
  }

  function segment(batches: NewRecord[][]): { bytes: Uint8Array; ends: number[]; all: StoredRecord[] } {
    const parts: Uint8Array[] = [];
    const ends: number[] = [];
    const all: StoredRecord[] = [];
    for (const written of batches) {
      parts.push(encode(written, { baseOffset: all.length }));
      ends.push((ends.at(-1) ?? 0) + (parts.at(-1)?.length ?? 0));
      for (const record of written) all.push(expected(record, all.length));
    }
    return { bytes: concatBytes(parts), ends, all };
  }
});

describe('the cursor', () => {
  test('shows where keys and values lie without making them', () => {
    const batch = encode([hello, { ...hello, key: null, value: null, headers: [{ key: 'h', value: null }] }]);
    const cursor = new RecordCursor(batch);
    expect(cursor.next()).toBe(true);
    const { keyStart, keyEnd, valueStart, valueEnd } = cursor;
    expect(new TextDecoder().decode(batch.subarray(keyStart, keyEnd))).toBe('k');
    expect(new TextDecoder().decode(batch.subarray(valueStart, valueEnd))).toBe('hello');
    expect(cursor.next()).toBe(true);
    expect([cursor.keyStart, cursor.valueStart, cursor.headerCount]).toEqual([NULL_START, NULL_START, 1]);
    expect([cursor.key(), cursor.value(), headersOf(cursor)]).toEqual([null, null, [{ key: 'h', value: null }]]);
    expect(cursor.next()).toBe(false);
    expect(cursor.next()).toBe(false);
  });

  test('refuses a batch whose record count does not match its records, though the checksum holds', () => {
    for (const recordCount of [1, 3]) {
      const batch = encode([hello, hello], { lastOffsetDelta: 5 });
      batch[BATCH_HEADER_BYTES - 1] = recordCount;
      const view = new DataView(batch.buffer);
      view.setUint32(17, crc32c(batch, 21));
      verifyBatch(batch);
      expect(() => decodeRecords(batch)).toThrow(expect.objectContaining({ type: 'CORRUPT_MESSAGE' }));
    }
  });

  test('refuses a compressed batch', () => {
    const batch = encode([hello], { attributes: 1 });
    expect(() => new RecordCursor(batch)).toThrow(expect.objectContaining({ type: 'UNSUPPORTED_COMPRESSION_TYPE' }));
  });
});

test('64-bit fields beyond the safe integers are refused by name, not rounded', () => {
  const batch = encode([hello], { producerId: 2n ** 63n - 1n });
  expect(() => verifyBatch(batch)).toThrow(
    'producer id: expected a safe integer (below 2^53), found 9223372036854775807',
  );
  expect(() => verifyBatch(batch)).toThrow(expect.objectContaining({ type: 'INVALID_RECORD' }));
});

interface PlainEnding {
  readonly baseOffset: number;
  readonly partitionLeaderEpoch: number;
  readonly attributes: number;
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly baseSequence: number;
}

/** The batches that sends of these records fill, of which each gives the builder what it has left. */
function batchesOfMany(sends: readonly (readonly NewRecord[])[], maxBytes: number): Uint8Array[] {
  const builder = new RecordBatchBuilder({ maxBytes });
  const batches: Uint8Array[] = [];
  for (const written of sends) {
    for (let from = 0; from < written.length; ) {
      from += builder.appendMany((index) => written[index]!, from, written.length);
      if (from < written.length) batches.push(finishBatch(builder));
    }
  }
  if (builder.recordCount > 0) batches.push(finishBatch(builder));
  return batches;
}

function batchesOfEach(written: readonly NewRecord[], maxBytes: number): Uint8Array[] {
  const builder = new RecordBatchBuilder({ maxBytes });
  const batches: Uint8Array[] = [];
  for (const record of written) {
    if (builder.append(record)) continue;
    batches.push(finishBatch(builder));
    builder.append(record);
  }
  if (builder.recordCount > 0) batches.push(finishBatch(builder));
  return batches;
}

/** How often the platform's encoder is called for the records of one send. */
function encoderCalls(written: readonly NewRecord[]): number {
  const encodeInto = vi.spyOn(TextEncoder.prototype, 'encodeInto');
  try {
    expect(new RecordBatchBuilder().appendMany((index) => written[index]!, 0, written.length)).toBe(written.length);
    return encodeInto.mock.calls.length;
  } finally {
    encodeInto.mockRestore();
  }
}

/** The format written down once more, without a thought for speed. */
function encodePlainly(written: readonly NewRecord[], ending: PlainEnding): Uint8Array {
  const base = written[0]!.timestampMs;
  const max = Math.max(...written.map(({ timestampMs }) => timestampMs));
  const body = written.flatMap((record, i) => {
    const headers = record.headers ?? [];
    const content = [
      0,
      ...varlong(record.timestampMs - base),
      ...varlong(i),
      ...sized(record.key),
      ...sized(record.value),
      ...varlong(headers.length),
      ...headers.flatMap(({ key, value }) => [...sized(key), ...sized(value)]),
    ];
    return [...varlong(content.length), ...content];
  });
  const checked = [
    ...integer(ending.attributes, 2),
    ...integer(written.length - 1, 4),
    ...integer(base, 8),
    ...integer(max, 8),
    ...integer(ending.producerId, 8),
    ...integer(ending.producerEpoch, 2),
    ...integer(ending.baseSequence, 4),
    ...integer(written.length, 4),
    ...body,
  ];
  const counted = [
    ...integer(ending.partitionLeaderEpoch, 4),
    2,
    ...integer(crc32c(Uint8Array.from(checked)), 4),
    ...checked,
  ];
  return Uint8Array.from([...integer(ending.baseOffset, 8), ...integer(counted.length, 4), ...counted]);
}

function sized(field: Uint8Array | string | null): number[] {
  const bytes = bytesOf(field);
  return bytes === null ? varlong(-1) : [...varlong(bytes.length), ...bytes];
}

function varlong(value: number): number[] {
  let rest = BigInt.asUintN(64, (BigInt(value) << 1n) ^ (BigInt(value) >> 63n));
  const bytes: number[] = [];
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return [...bytes, Number(rest)];
}

function integer(value: number, size: number): number[] {
  return Array.from({ length: size }, (_, i) => Number((BigInt(value) >> BigInt(8 * (size - 1 - i))) & 255n));
}
