import fc from 'fast-check';
import { expect, test } from 'vitest';
import { plainCopy } from '../../src/util/plain-copy.js';

const plain = fc.letrec((tie) => ({
  value: fc.oneof(
    fc.constantFrom<unknown>(undefined, null, -0, NaN, 7n, 'text', true, new Date(5), new Map([[1, { a: 1 }]])),
    fc.double(),
    fc.uint8Array(),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(
      fc.string().filter((name) => name !== '__proto__'),
      tie('value'),
      { maxKeys: 4, noNullPrototype: true },
    ),
  ),
})).value;

test('a plain copy is what structuredClone makes of it', () => {
  fc.assert(
    fc.property(plain, (value) => {
      expect(plainCopy(value)).toStrictEqual(structuredClone(value));
    }),
  );
});

test('a copy shares nothing that may change, and bytes are cut from their buffer', () => {
  const bytes = Uint8Array.of(1, 2, 3, 4).subarray(1, 3);
  const given = { list: [{ bytes }], none: undefined };
  const copy = plainCopy(given);
  expect(copy).toStrictEqual(given);
  bytes.fill(9);
  given.list.push({ bytes });
  expect(copy).toStrictEqual({ list: [{ bytes: Uint8Array.of(2, 3) }], none: undefined });
  expect(copy.list[0]?.bytes.buffer.byteLength).toBe(2);
});

test('what cannot be cloned is refused, however deep it lies', () => {
  for (const value of [() => {}, Symbol('s'), { deep: [{ call: () => {} }] }]) {
    expect(() => plainCopy<unknown>(value)).toThrow(expect.objectContaining({ name: 'DataCloneError' }));
  }
});
