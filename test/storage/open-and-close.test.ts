import 'fake-indexeddb/auto';
import { expect, test } from 'vitest';
import { inProcessRuntime } from '../../src/runtime/node-runtime.js';
import { excesses, openAndClose } from '../suites/open-and-close.js';

// test/browser/open-and-close.test.ts does so a thousand times in real browsers.
test('a site that is opened and closed again and again keeps its records and little beside', async () => {
  const options = { runtime: inProcessRuntime(), clusterName: 'visited', rounds: 150, limitMs: 60_000 };
  const { rounds, sizes } = await openAndClose(options);
  expect(rounds).toBe(150);
  expect(sizes['chunks']?.rows).toBeGreaterThanOrEqual(rounds);
  expect(excesses(sizes, rounds)).toEqual([]);
});
