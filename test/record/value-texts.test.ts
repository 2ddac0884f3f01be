import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { readBatchHeader } from '../../src/record/batch-header.js';
import { decodeRecords, RecordCursor } from '../../src/record/record-batch-decoder.js';
import { type RecordBytes, recordBytes } from '../../src/record/record-bytes.js';
import { notePlaces, PLACES, ValueTexts } from '../../src/record/value-texts.js';
import { encode, newRecord } from './record-arbitraries.js';

const ascii = fc.oneof(fc.string({ maxLength: 200 }), fc.constant(null), fc.constant(''));
const asciiRecord = fc.record({ key: fc.constant('kéy'), value: ascii, timestampMs: fc.constant(1) });
const longRecord = fc.record({
  key: ascii,
  value: fc.string({ minLength: 500, maxLength: 900 }),
  timestampMs: fc.nat(),
});

/** The values of the batch at `at`, which know where their texts may come from. */
function valuesOf(bytes: Uint8Array, at: number): (RecordBytes | null)[] {
  const header = readBatchHeader(bytes, at);
  const places = new Int32Array(PLACES * header.recordCount);
  const texts = new ValueTexts(bytes, at, header, places);
  const cursor = new RecordCursor(bytes, at, header);
  const values: (RecordBytes | null)[] = [];
  for (let index = 0; cursor.next(); index++) {
    const { valueStart, valueEnd } = cursor;
    notePlaces(places, index, cursor);
    values.push(valueStart < 0 ? null : recordBytes(bytes, valueStart, valueEnd, texts));
  }
  return values;
}

test('the texts of a batch are those of its values one by one, in any place', () => {
  const records = fc.oneof(
    fc.array(newRecord, { minLength: 1 }),
    fc.array(asciiRecord, { minLength: 1 }),
    fc.array(longRecord, { minLength: 1, maxLength: 5 }),
  );
  fc.assert(
    fc.property(records, fc.nat(5), (written, before) => {
      const bytes = Uint8Array.from([...new Uint8Array(before), ...encode(written)]);
      const copy = bytes.slice();
      const oneByOne = decodeRecords(bytes, before).map(({ value }) => value?.toString() ?? null);
      expect(valuesOf(bytes, before).map((value) => value?.toString() ?? null)).toEqual(oneByOne);
      expect(bytes).toEqual(copy);
    }),
    { numRuns: 300 },
  );
});

test('bytes that are no UTF-8 read as they do by themselves', () => {
  const broken = fc.array(fc.constantFrom(0x41, 0x80, 0xc3, 0xe2, 0x82, 0xf0, 0xff), { maxLength: 6 });
  fc.assert(
    fc.property(fc.array(broken, { minLength: 4, maxLength: 12 }), (values) => {
      const written = values.map((value) => ({ key: null, value: Uint8Array.from(value), timestampMs: 1 }));
      const oneByOne = values.map((value) => new TextDecoder().decode(Uint8Array.from(value)));
      expect(valuesOf(encode(written), 0).map(String)).toEqual(oneByOne);
    }),
    { numRuns: 300 },
  );
});

test('the text of bytes that were changed is that of the changed bytes, and so is that of a part', () => {
  const bytes = encode(['first', 'second', 'third', 'fourth'].map((value) => ({ key: null, value, timestampMs: 1 })));
  const [first, second, third] = valuesOf(bytes, 0) as [RecordBytes, RecordBytes, RecordBytes];
  expect(`${first}`).toBe('first');
  second[0] = 0x53;
  expect(`${second}`).toBe('Second');
  third.set(new TextEncoder().encode('é'), 0);
  expect(`${third}`).toBe('éird');
  expect(`${first.subarray(1, 3)} ${first.slice(3)}`).toBe('ir st');
  structuredClone(first.buffer, { transfer: [first.buffer as ArrayBuffer] });
  expect(`${first}`).toBe('');
});

test('a change of any bits of a value is seen, whatever they become', () => {
  const value = fc.string({ minLength: 1, maxLength: 40, unit: fc.constantFrom('\0', 'a', '\x7f') });
  fc.assert(
    fc.property(fc.array(value, { minLength: 4, maxLength: 9 }), fc.nat(), fc.nat(255), (written, where, bits) => {
      const bytes = encode(written.map((text) => ({ key: null, value: text, timestampMs: 1 })));
      const values = valuesOf(bytes, 0) as RecordBytes[];
      expect(values.map(String)).toEqual(written);
      const changed = values[where % values.length]!;
      changed[where % changed.length]! ^= bits;
      expect(values.map(String)).toEqual(values.map((view) => new TextDecoder().decode(view)));
    }),
    { numRuns: 300 },
  );
});

test('batches that are read by turns, however many, keep their texts', () => {
  const batches = Array.from({ length: 20 }, (_, batch) => {
    const written = Array.from({ length: 6 }, (_, i) => `value ${i} of batch ${batch}`);
    const bytes = encode(written.map((value) => ({ key: null, value, timestampMs: 1 })));
    return { written, values: valuesOf(bytes, 0) };
  });
  for (let i = 0; i < 6; i++) {
    for (const { written, values } of batches) expect(String(values[i])).toBe(written[i]);
  }
  for (const { written, values } of batches.toReversed()) expect(values.map(String)).toEqual(written);
});

test('a batch longer than those of a producer has its texts, too', () => {
  const written = Array.from({ length: 1000 }, (_, i) => `${i}:`.padEnd(150, 'x'));
  expect(valuesOf(encode(written.map((value) => ({ key: null, value, timestampMs: 1 }))), 0).map(String)).toEqual(
    written,
  );
});

test('texts of a batch are looked for together once: where they are not ASCII, each is decoded once more', () => {
  const written = Array.from({ length: 50 }, (_, i) => `Größe ${i}`);
  const values = valuesOf(encode(written.map((value) => ({ key: null, value, timestampMs: 1 }))), 0);
  const decode = vi.spyOn(TextDecoder.prototype, 'decode');
  try {
    expect(values.map(String)).toEqual(written);
    expect(decode).toHaveBeenCalledTimes(1 + written.length);
  } finally {
    decode.mockRestore();
  }
});
