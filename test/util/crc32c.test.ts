import fc from 'fast-check';
import { expect, test } from 'vitest';
import { crc32c } from '../../src/util/crc32c.js';

/** The definition, one bit at a time. */
function slowCrc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}

test('any range of any view has the checksum of the definition', () => {
  const range = fc.record({
    bytes: fc.uint8Array({ maxLength: 400, size: 'max' }),
    viewStart: fc.nat(20),
    from: fc.nat(400),
    length: fc.nat(400),
  });
  fc.assert(
    fc.property(range, ({ bytes, viewStart, from, length }) => {
      const view = bytes.subarray(Math.min(viewStart, bytes.length));
      const start = Math.min(from, view.length);
      const end = Math.min(start + length, view.length);
      expect(crc32c(view, start, end)).toBe(slowCrc32c(view.slice(start, end)));
      expect(crc32c(view)).toBe(slowCrc32c(view));
    }),
    { numRuns: 500 },
  );
});
