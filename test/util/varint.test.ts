import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readBigVarlong, writeBigVarlong } from '../../src/util/big-varint.js';
import { writeUnsignedVarint, writeVarint } from '../../src/util/varint.js';
import { VarintReader } from '../../src/util/varint-reader.js';
import { varintSize, varlongSize } from '../../src/util/varint-size.js';
import { writeVarlong } from '../../src/util/varlong.js';

const int32 = fc.oneof(fc.integer(), fc.integer({ min: -300, max: 300 }));
const safeInteger = fc.oneof(fc.maxSafeInteger(), fc.integer(), fc.integer({ min: -300, max: 300 }));
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });

test('a varint reads back as it was written, in the bytes that its size says', () => {
  fc.assert(
    fc.property(int32, (value) => {
      const { bytes, reader } = write((out) => writeVarint(out, 1, value));
      expect(bytes).toBe(varintSize(value));
      expect(reader.varint()).toBe(value);
      expect(reader.at).toBe(1 + bytes);
    }),
  );
});

test('an unsigned varint keeps all 32 bits', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 0xffffffff }), (value) => {
      expect(write((out) => writeUnsignedVarint(out, 1, value)).reader.unsignedVarint()).toBe(value);
    }),
  );
});

test('a varlong of a safe integer reads back as it was written, in the bytes that its size says', () => {
  fc.assert(
    fc.property(safeInteger, (value) => {
      const { bytes, reader } = write((out) => writeVarlong(out, 1, value));
      expect(bytes).toBe(varlongSize(value));
      expect(reader.varlong()).toBe(value);
      expect(reader.at).toBe(1 + bytes);
    }),
  );
});

test('numbers and bigints are written alike, and both readers agree on what is safe', () => {
  fc.assert(
    fc.property(fc.oneof(int64, safeInteger.map(BigInt)), (value) => {
      const { bytes, out } = write((array) => writeBigVarlong(array, 1, value));
      expect(readBigVarlong(new VarintReader(out, 1))).toBe(value);
      const number = new VarintReader(out, 1).varlong();
      expect(Number.isSafeInteger(number)).toBe(Number.isSafeInteger(Number(value)));
      if (!Number.isSafeInteger(number)) return;
      expect(BigInt(number)).toBe(value);
      const again = write((array) => writeVarlong(array, 1, number));
      expect(again.out).toEqual(out);
      expect(again.bytes).toBe(bytes);
    }),
  );
});

test('integers that are longer than their type are refused', () => {
  const endless = new Uint8Array(20).fill(0xff);
  expect(() => new VarintReader(endless, 0).varint()).toThrow(RangeError);
  expect(() => new VarintReader(endless, 0).varlong()).toThrow(RangeError);
  expect(() => readBigVarlong(new VarintReader(endless, 0))).toThrow(RangeError);
});

function write(action: (out: Uint8Array) => number): { bytes: number; out: Uint8Array; reader: VarintReader } {
  const out = new Uint8Array(16);
  const bytes = action(out) - 1; // position 1, so that a mistaken start shows
  return { bytes, out, reader: new VarintReader(out, 1) };
}
