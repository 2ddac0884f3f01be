import fc from 'fast-check';
import { expect, test } from 'vitest';
import * as serdes from '../../src/record/serdes.js';

function roundTrip<T>(serde: serdes.Serde<T>, value: T): T {
  const written = serde.serialize(value);
  const bytes = typeof written === 'string' ? new TextEncoder().encode(written) : written;
  return serde.deserialize(Uint8Array.from([7, ...bytes, 7]).subarray(1, -1)); // a view, as values are
}

const INVALID = expect.objectContaining({ type: 'INVALID_RECORD' });

test('values come back as they were', () => {
  const sameBy = <T>(serde: serdes.Serde<T>, values: fc.Arbitrary<T>, expected = (value: T): T => value): void => {
    const isSame = (value: T): void => expect(roundTrip(serde, value)).toEqual(expected(value));
    fc.assert(
      fc.property(values, (value) => {
        isSame(value);
      }),
    );
  };
  sameBy(serdes.string, fc.string({ unit: 'grapheme' }));
  sameBy(serdes.bytes, fc.uint8Array());
  sameBy(serdes.int32, fc.integer());
  sameBy(serdes.float64, fc.double());
  sameBy(serdes.int64, fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }));
  sameBy(
    serdes.json(),
    fc.jsonValue() as fc.Arbitrary<unknown>,
    (value) => JSON.parse(JSON.stringify(value)) as unknown,
  );
});

test('numbers have the bytes of the Java serializers', () => {
  expect(serdes.int32.serialize(-2)).toEqual(Uint8Array.of(255, 255, 255, 254));
  expect(serdes.int64.serialize(258n)).toEqual(Uint8Array.of(0, 0, 0, 0, 0, 0, 1, 2));
  expect(serdes.float64.serialize(1)).toEqual(Uint8Array.of(0x3f, 0xf0, 0, 0, 0, 0, 0, 0));
});

test.each<[string, () => unknown, string]>([
  ['a string that is none', () => serdes.string.serialize(3 as never), 'expected a string, found 3'],
  ['bytes that are none', () => serdes.bytes.serialize('x' as never), 'expected a Uint8Array, found string'],
  ['an int32 of 33 bits', () => serdes.int32.serialize(2 ** 31), 'expected an integer of 32 bits, found 2147483648'],
  ['an int32 with a fraction', () => serdes.int32.serialize(0.5), 'found 0.5'],
  ['an int64 of 65 bits', () => serdes.int64.serialize(2n ** 63n), 'expected a bigint of 64 bits'],
  ['an int64 that is a number', () => serdes.int64.serialize(1 as never), 'expected a bigint of 64 bits, found 1'],
  ['a float64 that is a text', () => serdes.float64.serialize('1' as never), 'expected a number, found string'],
  ['five bytes as int32', () => serdes.int32.deserialize(new Uint8Array(5)), 'int32: expected 4 bytes, found 5'],
  ['no bytes as float64', () => serdes.float64.deserialize(new Uint8Array(0)), 'float64: expected 8 bytes, found 0'],
  ['undefined as JSON', () => serdes.json().serialize(undefined), 'a value that JSON can hold, found undefined'],
  ['a bigint as JSON', () => serdes.json().serialize(1n), 'a value that JSON can hold'],
  ['bytes that are no JSON', () => serdes.json().deserialize(Uint8Array.of(0x7b)), 'expected JSON'],
])('%s is INVALID_RECORD, and the text says what was expected', (_name, action, text) => {
  expect(action).toThrow(text);
  expect(action).toThrow(INVALID);
});

/** A schema as a library would make it: an object with a positive `count`, which a text may stand for. */
const countSchema: serdes.StandardSchema<{ count: number }> = {
  '~standard': {
    version: 1,
    vendor: 'test',
    validate: (value) => {
      const count = Number((value as { count?: unknown } | null)?.count);
      if (count > 0) return { value: { count } };
      return { issues: [{ message: 'must be positive', path: ['count', { key: 0 }] }, { message: 'no such thing' }] };
    },
  },
};

test('a schema is asked on both sides; what is read is its output', () => {
  const serde = serdes.standardSchema(countSchema);
  expect(roundTrip(serde, { count: 3 })).toEqual({ count: 3 });
  expect(serde.deserialize(new TextEncoder().encode('{"count":"4","more":1}'))).toEqual({ count: 4 });
  const text = 'the value does not fit its schema: count.0: must be positive; no such thing';
  expect(() => serde.serialize({ count: 0 })).toThrow(text);
  expect(() => serde.deserialize(new TextEncoder().encode('{}'))).toThrow(INVALID);
});

test('a schema that answers later is refused, since records are written at once', () => {
  const later: serdes.StandardSchema<unknown> = {
    '~standard': { version: 1, vendor: 'test', validate: async (value) => ({ value }) },
  };
  expect(() => serdes.standardSchema(later).serialize(1)).toThrow('validates at once');
});
