import { expect, test } from 'vitest';
import { type Bundle, builtWorker, bundle } from './bundle.js';

/*
 * What is downloaded: minified and gzipped with all dependencies, in thousands of bytes, as the bundler of an app splits
 * it. `goal` is what we want (15 for a client, 30 for the worker), `bound` what holds: it may fall and not rise.
 * What is loaded later counts in the rows that name it, and all of it in the last row of each table, which grows where
 * what starts is made smaller: apart things compress worse.
 */
const KB = 1000;

const PAGE = [
  { what: 'that has made a Kafka and used no client yet', loads: [], goal: 15, bound: 11.9 },
  { what: 'that only produces', loads: ['producer'], goal: 15, bound: 22.9 },
  { what: 'that only consumes, without a group', loads: ['consumer'], goal: 15, bound: 25.8 },
  { what: 'that only consumes, in a group', loads: ['consumer', 'consumer-group'], goal: 15, bound: 32.3 },
  { what: 'that only administers', loads: ['admin'], goal: 15, bound: 17.6 },
  {
    what: 'that produces and consumes in a group',
    loads: ['producer', 'consumer', 'consumer-group'],
    goal: 15,
    bound: 42.5,
  },
];
const WORKER = [
  { what: 'that elects, reads and serves', loads: [], goal: 30, bound: 29.1 },
  { what: 'that leads', loads: ['broker'], goal: 30, bound: 42.1 },
  { what: 'that leads and makes its first topic', loads: ['broker', 'create-topics'], goal: 30, bound: 43.6 },
  { what: 'that is not alone', loads: ['transport'], goal: 30, bound: 31.3 },
];

test.each(PAGE)('a page $what loads at most $bound KB', async ({ what, loads, goal, bound }) => {
  const page = await bundle('test/package/page.ts');
  expectAtMost(`a page ${what}`, page.loading(...loads), { goal, bound });
});

// Goal: what is said here of the sources holds for the package, whose files a bundler can leave out and not take apart.
// Method: the same pages from both. Needs a build.
test.each(PAGE)('a page $what is no larger from the built package', async ({ loads }) => {
  const [page, built] = await Promise.all([bundle('test/package/page.ts'), bundle('test/package/built-page.js')]);
  expect(built.loading(...loads)).toBeLessThan(page.loading(...loads) * 1.01);
});

test('the whole client is at most 57.5 KB', async () => {
  const client = await bundle('test/package/whole.ts');
  expectAtMost('the whole client', client.total, { goal: 15, bound: 57.5 });
});

test.each(WORKER)('a worker $what loads at most $bound KB', async ({ what, loads, goal, bound }) => {
  const worker = await builtWorker('workers/host.worker.ts');
  expectAtMost(`a worker ${what}`, worker.loading(...loads), { goal, bound });
});

test('the whole worker is at most 104.6 KB', async () => {
  const worker = await builtWorker('workers/host.worker.ts');
  expectAtMost('the whole worker', worker.total, { goal: 30, bound: 104.6 });
});

test('what is loaded later is known here', async () => {
  expect(partsOf(await bundle('test/package/page.ts'))).toEqual([
    'admin',
    'batch-recovery',
    'compressed-batches',
    'consumer',
    'consumer-group',
    'encryption',
    'integrity',
    'introducer',
    'message-iteration',
    'producer',
    'storage-watch',
  ]);
  expect(partsOf(await builtWorker('workers/host.worker.ts'))).toEqual([
    'admin-handlers',
    'broker',
    'compressed-batches',
    'create-topics',
    'direct-lines',
    'group-coordinator',
    'idb-journal',
    'idb-raw-store',
    'idb-sealed',
    'idb-upkeep',
    'integrity-handlers',
    'keep-sealed',
    'key-rings',
    'maintenance',
    'memory-store',
    'offset-for-timestamp',
    'read-ahead',
    'room-keeper',
    'salvage',
    'transactions-part',
    'transport',
  ]);
});

function partsOf({ parts }: Bundle): readonly string[] {
  return [...parts].sort();
}

function expectAtMost(what: string, bytes: number, { goal, bound }: { goal: number; bound: number }): void {
  console.log(`${what}: ${(bytes / KB).toFixed(1)} KB, bound ${bound}, goal ${goal}`);
  expect(bytes / KB).toBeLessThanOrEqual(bound);
}
