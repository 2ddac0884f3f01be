import { expect, test } from 'vitest';
import { type Bundle, bundle } from './bundle.js';

/*
 * What is downloaded: minified and gzipped with all dependencies, in thousands of bytes, as the bundler of an app splits
 * it. `goal` is what we want (15 for a client, 30 for the worker), `bound` what holds: it may fall and not rise.
 * What is loaded later counts in the rows that name it, and all of it in the last row of each table.
 */
const KB = 1000;

const PAGE = [
  { what: 'that only produces', loads: ['producer'], goal: 15, bound: 20.9 },
  { what: 'that only consumes, without a group', loads: ['consumer'], goal: 15, bound: 23.5 },
  { what: 'that only consumes, in a group', loads: ['consumer', 'consumer-group'], goal: 15, bound: 28.9 },
  { what: 'that only administers', loads: ['admin'], goal: 15, bound: 16.3 },
  {
    what: 'that produces and consumes in a group',
    loads: ['producer', 'consumer', 'consumer-group'],
    goal: 15,
    bound: 36.9,
  },
];
const WORKER = [
  { what: 'that elects, appends, reads and serves', loads: [], goal: 30, bound: 37 },
  { what: 'that makes its first topic besides', loads: ['create-topics'], goal: 30, bound: 37.9 },
];

test.each(PAGE)('a page $what loads at most $bound KB', async ({ what, loads, goal, bound }) => {
  const page = await bundle('test/package/page.ts');
  expectAtMost(`a page ${what}`, page.loading(...loads), { goal, bound });
});

test('the whole client is at most 45.7 KB', async () => {
  const client = await bundle('test/package/whole.ts');
  expectAtMost('the whole client', client.total, { goal: 15, bound: 45.7 });
});

test.each(WORKER)('a worker $what loads at most $bound KB', async ({ what, loads, goal, bound }) => {
  const worker = await bundle('workers/host.worker.ts');
  expectAtMost(`a worker ${what}`, worker.loading(...loads), { goal, bound });
});

test('the whole worker is at most 52.7 KB', async () => {
  const worker = await bundle('workers/host.worker.ts');
  expectAtMost('the whole worker', worker.total, { goal: 30, bound: 52.7 });
});

test('what is loaded later is known here', async () => {
  const parts = async (path: string): Promise<readonly string[]> => partsOf(await bundle(path));
  expect(await parts('test/package/page.ts')).toEqual([
    'admin',
    'batch-recovery',
    'compressed-batches',
    'consumer',
    'consumer-group',
    'introducer',
    'producer',
    'storage-watch',
  ]);
  expect(await parts('workers/host.worker.ts')).toEqual([
    'admin-handlers',
    'compressed-batches',
    'direct-lines',
    'group-coordinator',
    'idb-sealed',
    'keep-sealed',
    'memory-store',
    'offset-for-timestamp',
    'room-keeper',
  ]);
});

function partsOf({ parts }: Bundle): readonly string[] {
  return [...parts].sort();
}

function expectAtMost(what: string, bytes: number, { goal, bound }: { goal: number; bound: number }): void {
  console.log(`${what}: ${(bytes / KB).toFixed(1)} KB, bound ${bound}, goal ${goal}`);
  expect(bytes / KB).toBeLessThanOrEqual(bound);
}
