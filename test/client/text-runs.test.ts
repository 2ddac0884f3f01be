import fc from 'fast-check';
import { expect, test } from 'vitest';
import { textRuns } from '../../src/client/producer/text-runs.js';

const UTF8 = new TextEncoder();

type Value = string | Uint8Array | null;

/** As the producer does: in order, each taken before the next is asked for. */
function taken(values: readonly Value[]): { readonly values: Value[]; readonly encodedCount: number } {
  const next = textRuns(values.length, (index) => values[index]!);
  let encodedCount = 0;
  const copies = values.map((value, index) => {
    const given = next(index);
    if (typeof value === 'string' && given instanceof Uint8Array) encodedCount++;
    return given instanceof Uint8Array ? given.slice() : given;
  });
  return { values: copies, encodedCount };
}

const asBytes = (value: Value): Value => (typeof value === 'string' ? UTF8.encode(value) : value);

// Goal: what goes into a batch is the same, whichever values are encoded together.
// Method: texts (of any script, and halves of surrogate pairs), bytes and nothing, mixed; each against the encoder alone.
test('every value comes out as its own bytes or its own text', () => {
  const text = fc.oneof(fc.string({ unit: 'binary-ascii', maxLength: 200 }), fc.string({ unit: 'binary' }));
  const pair = fc.constantFrom('\ud83d', '\ude00', 'a\ud83d');
  const large = fc.integer({ min: 10_000, max: 40_000 }).map((length) => 'x'.repeat(length));
  const value = fc.oneof(
    { weight: 20, arbitrary: text },
    { weight: 1, arbitrary: pair },
    { weight: 1, arbitrary: large },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 20 }) },
    { weight: 1, arbitrary: fc.constant(null) },
  );
  fc.assert(
    fc.property(fc.array(value, { maxLength: 150 }), (values: Value[]) => {
      expect(taken(values).values.map(asBytes)).toEqual(values.map(asBytes));
    }),
  );
});

test('short texts in ASCII are encoded together, also beside others', () => {
  const ascii = Array.from({ length: 300 }, (_, i) => `value ${i}`);
  expect(taken(ascii).encodedCount).toBe(300);
  expect(taken([...ascii, null, Uint8Array.of(1), ...ascii]).encodedCount).toBe(600);
  expect(taken(ascii.slice(0, 3)).encodedCount).toBe(0); // too few
  const { encodedCount } = taken(['ä', ...ascii]);
  expect(encodedCount).toBeGreaterThan(200);
  expect(encodedCount).toBeLessThan(300); // those beside it stay text
});

test('a run that fills its room exactly, and is not ASCII, is not taken for one that is', () => {
  const values = Array.from({ length: 64 }, () => 'x'.repeat(512));
  values[63] = `${'x'.repeat(510)}ä`;
  expect(taken(values).values.map(asBytes)).toEqual(values.map(asBytes));
  values[63] = `ä${'x'.repeat(511)}`;
  expect(taken(values).values.map(asBytes)).toEqual(values.map(asBytes));
});
