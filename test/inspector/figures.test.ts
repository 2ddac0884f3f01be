import { afterEach, expect, test, vi } from 'vitest';
import { bytesText, timeText } from '../../src/inspector/figures.js';

afterEach(() => vi.restoreAllMocks());

test('bytes have three digits and a unit, also where they round up to the next one', () => {
  const texts = [0, 999, 1_000, 12_345, 999_499, 999_500, 999_999, 123_456_789, 999_999_999, 10.7e9, 1e12, 5e15];
  expect(texts.map(bytesText)).toEqual([
    ...['0 B', '999 B', '1.00 kB', '12.3 kB', '999 kB', '1.00 MB', '1.00 MB'],
    ...['123 MB', '1.00 GB', '10.7 GB', '1.00 TB', '5.00 PB'],
  ]);
});

test.each([0, -840, 720])('any timestamp of a record has a text, %i minutes behind UTC', (minutes) => {
  vi.spyOn(Date.prototype, 'getTimezoneOffset').mockReturnValue(minutes);
  expect(timeText(1_700_000_000_123, 'utc')).toBe('2023-11-14 22:13:20.123');
  for (const timestampMs of [8.64e15, -8.64e15, 9e15, -1, Number.MAX_SAFE_INTEGER]) {
    for (const zone of ['utc', 'local'] as const) expect(timeText(timestampMs, zone)).toMatch(/\d/);
  }
});
