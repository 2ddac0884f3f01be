import fc from 'fast-check';
import { expect, test } from 'vitest';
import { recordBytes, type TextEncoding } from '../../src/record/record-bytes.js';

const bytes = fc.oneof(
  fc.uint8Array(),
  fc.string({ unit: 'grapheme' }).map((text) => new TextEncoder().encode(text)),
);

const ENCODINGS = [
  'utf8',
  'utf-8',
  'hex',
  'base64',
  'latin1',
  'binary',
  'ascii',
  'UTF-8' as 'utf-8',
  'Hex' as 'hex',
] as const;

test.each(ENCODINGS)('reads as a Buffer does in %s', (encoding) => {
  fc.assert(
    fc.property(bytes, (array) => {
      const padded = Uint8Array.from([9, ...array, 9]);
      const view = recordBytes(padded, 1, padded.length - 1);
      expect(view.toString(encoding)).toBe(Buffer.from(array).toString(encoding));
      expect(view.buffer).toBe(padded.buffer);
    }),
  );
});

test('is a text by itself where one is asked for', () => {
  const value = recordBytes(new TextEncoder().encode('größe'), 0, 7);
  expect(value.toString()).toBe('größe');
  expect(`${value}`).toBe('größe');
  expect(JSON.stringify(value.subarray(0, 2))).toBe(JSON.stringify(Buffer.from('gr')));
  expect(value.equals(new TextEncoder().encode('größe'))).toBe(true);
  expect(value.equals(Uint8Array.of(1))).toBe(false);
});

test('becomes what a Buffer becomes, whatever the language wants of it', () => {
  const number = fc.nat().map((n) => new TextEncoder().encode(String(n)));
  const plus = (value: unknown, more: string): string => (value as string) + more;
  fc.assert(
    fc.property(fc.oneof(bytes, number), fc.string(), (array, more) => {
      const buffer = Buffer.from(array);
      const view = recordBytes(array, 0, array.length);
      expect(String(view)).toBe(String(buffer));
      expect(Number(view)).toBe(Number(buffer));
      expect(plus(view, more)).toBe(plus(buffer, more));
      expect(Object.keys(view)).toEqual(Object.keys(buffer));
    }),
  );
});

test('long bytes have a text too', () => {
  const long = recordBytes(new Uint8Array(300_000).fill(0x61), 0, 300_000);
  for (const encoding of ['utf8', 'latin1'] as const) expect(long.toString(encoding)).toBe('a'.repeat(300_000));
});

test('keeps a byte order mark, as Buffer does', () => {
  expect(recordBytes(Uint8Array.of(0xef, 0xbb, 0xbf, 0x61), 0, 4).toString()).toBe('\ufeffa');
});

test('refuses an encoding that it does not know', () => {
  expect(() => recordBytes(Uint8Array.of(1), 0, 1).toString('utf16' as TextEncoding)).toThrow('found utf16');
});
