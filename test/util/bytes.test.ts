import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  bigInt64At,
  concatBytes,
  int16At,
  int32At,
  int64At,
  setInt16,
  setInt32,
  setInt64,
  uint32At,
} from '../../src/util/bytes.js';
import { bytesEqual } from '../../src/util/bytes-equal.js';

test('integers are written and read as a big-endian DataView does it', () => {
  const int64 = fc.oneof(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.maxSafeInteger().map(BigInt));
  fc.assert(
    fc.property(fc.integer({ min: -32768, max: 32767 }), fc.integer(), int64, (a, b, c) => {
      const bytes = new Uint8Array(15);
      setInt16(bytes, 1, a);
      setInt32(bytes, 3, b);
      setInt64(bytes, 7, c);
      const view = new DataView(bytes.buffer);
      expect([view.getInt16(1), view.getInt32(3), view.getBigInt64(7)]).toEqual([a, b, c]);
      expect([int16At(bytes, 1), int32At(bytes, 3), uint32At(bytes, 3)]).toEqual([a, b, b >>> 0]);
      expect(bigInt64At(bytes, 7)).toBe(c);
      const number = int64At(bytes, 7);
      expect(Number.isSafeInteger(number)).toBe(Number.isSafeInteger(Number(c)));
      if (!Number.isSafeInteger(number)) return;
      expect(BigInt(number)).toBe(c);
      const again = new Uint8Array(8);
      setInt64(again, 0, number);
      expect(again).toEqual(bytes.slice(7));
    }),
  );
});

test('joined arrays are equal to their parts in a row', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array()), (parts) => {
      expect(concatBytes(parts)).toEqual(Uint8Array.from(parts.flatMap((part) => [...part])));
    }),
  );
  expect(bytesEqual(Uint8Array.of(1, 2), Uint8Array.of(1, 2))).toBe(true);
  expect(bytesEqual(Uint8Array.of(1, 2), Uint8Array.of(1, 3))).toBe(false);
  expect(bytesEqual(Uint8Array.of(1, 2), Uint8Array.of(1))).toBe(false);
});
