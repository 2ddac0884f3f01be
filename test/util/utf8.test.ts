import fc from 'fast-check';
import { expect, test } from 'vitest';
import { utf8Size, writeUtf8 } from '../../src/util/utf8.js';

/** Texts of any code units, lone surrogates among them, and long ones of each kind. */
const text = fc.oneof(
  fc.string({ maxLength: 40 }),
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 40 }).map((units) => String.fromCharCode(...units)),
  fc.array(fc.constantFrom(0xd83d, 0xde00, 0x61), { maxLength: 20 }).map((units) => String.fromCharCode(...units)),
  fc.tuple(fc.constantFrom('a', 'é', '€', '😀', '\ud800'), fc.nat(700)).map(([unit, count]) => unit.repeat(count)),
);

test('a text takes the size and the bytes that TextEncoder gives it', () => {
  fc.assert(
    fc.property(text, (value) => {
      const expected = new TextEncoder().encode(value);
      expect(utf8Size(value)).toBe(expected.length);
      const out = new Uint8Array(expected.length + 2);
      expect(writeUtf8(out, 1, value, expected.length)).toBe(true);
      expect(out.subarray(1, -1)).toEqual(expected);
      expect([out[0], out.at(-1)]).toEqual([0, 0]);
    }),
    { numRuns: 500 },
  );
});

test('a guess that a text is ASCII is answered with whether it was, and writes nothing beyond it', () => {
  fc.assert(
    fc.property(text, (value) => {
      const expected = new TextEncoder().encode(value);
      const out = new Uint8Array(value.length + 1);
      const right = writeUtf8(out, 0, value, value.length);
      expect(right).toBe(expected.length === value.length);
      if (right) expect(out.subarray(0, -1)).toEqual(expected);
      expect(out.at(-1)).toBe(0);
    }),
    { numRuns: 500 },
  );
});
