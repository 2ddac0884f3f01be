import { expect, test } from 'vitest';
import { free } from '../../src/util/free.js';

test('freed bytes are gone, with all views of their buffer; shared ones and a platform that cannot are left alone', () => {
  const bytes = Uint8Array.of(1, 2, 3);
  const view = bytes.subarray(1);
  free(view);
  expect([bytes.length, view.length]).toEqual([0, 0]);
  const shared = new Uint8Array(new SharedArrayBuffer(3));
  free(shared);
  expect(shared.length).toBe(3);
  const old = Uint8Array.of(1, 2, 3);
  Object.defineProperty(old.buffer, 'transfer', { value: undefined });
  free(old);
  expect(old).toEqual(Uint8Array.of(1, 2, 3));
});
