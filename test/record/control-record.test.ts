import { expect, test } from 'vitest';
import { controlRecordType, coordinatorEpochOf, encodeMarker } from '../../src/record/control-record.js';

test.each(['commit', 'abort'] as const)('a %s marker is read as it was written', (type) => {
  const { key, value } = encodeMarker({ type, coordinatorEpoch: 70_000 });
  expect(controlRecordType(key)).toBe(type);
  expect(coordinatorEpochOf(value)).toBe(70_000);
});

test('control records of other types and of newer versions are not mistaken for markers', () => {
  expect(controlRecordType(Uint8Array.of(0, 0, 0, 2))).toBe('unknown');
  expect(controlRecordType(Uint8Array.of(0, 9, 0, 1, 42))).toBe('commit'); // newer versions only add fields
});

test('what is no control record is CORRUPT_MESSAGE', () => {
  const corrupt = expect.objectContaining({ type: 'CORRUPT_MESSAGE' });
  for (const key of [null, Uint8Array.of(0, 0), Uint8Array.of(0xff, 0, 0, 0)]) {
    expect(() => controlRecordType(key)).toThrow(corrupt);
  }
  for (const value of [null, Uint8Array.of(0, 0, 0, 1)]) expect(() => coordinatorEpochOf(value)).toThrow(corrupt);
});
