import { expect, test } from 'vitest';
import { OffsetMap } from '../../src/log/compaction/offset-map.js';
import { describeTableViolations, runTableScenario } from './table-scenario.js';

const SEEDS_PER_TEST = 25;

test.each([0, 25, 50, 75])('a compacted topic is a table through all faults (seeds from %i on)', async (first) => {
  const failures: string[] = [];
  for (let seed = first; seed < first + SEEDS_PER_TEST; seed++) {
    const text = await runTableScenario({ seed }).then(
      describeTableViolations,
      (error: unknown) => `${seed}: ${error}`,
    );
    if (text !== '') failures.push(text);
  }
  expect(failures.join('\n')).toBe('');
});

test('C17: a cleaner that keeps the first record of a key is caught', async () => {
  const fired = new Set<string>();
  await withMap(firstOffsets, async () => {
    for (let seed = 0; seed < 10 && !fired.has('C17'); seed++) {
      const { violations } = await runTableScenario({ seed, faults: ['kill'] });
      for (const violation of violations) fired.add(violation.check);
    }
  });
  expect([...fired]).toContain('C17');
});

test('C17: a cleaner that keeps no record of a key is caught', async () => {
  const fired = new Set<string>();
  await withMap(nothing, async () => {
    for (let seed = 0; seed < 10 && !fired.has('C17'); seed++) {
      const { violations } = await runTableScenario({ seed, faults: [] });
      for (const violation of violations) fired.add(violation.check);
    }
  });
  expect([...fired]).toContain('C17');
});

type Get = OffsetMap['get'];

/** Of each key the first record that is asked for is taken for the last. */
function firstOffsets(get: Get): Get {
  const seen = new WeakMap<object, Set<string>>();
  return function (this: OffsetMap, bytes, from, to) {
    const keys = seen.get(this) ?? new Set();
    seen.set(this, keys);
    const key = bytes.subarray(from, to).join();
    if (keys.has(key)) return Number.POSITIVE_INFINITY;
    keys.add(key);
    return get.call(this, bytes, from, to) < 0 ? -1 : 0;
  };
}

/** No record is the last of its key. */
function nothing(): Get {
  return () => Number.POSITIVE_INFINITY;
}

/** Runs with a bug in the map of every pass. */
async function withMap(tamper: (get: Get) => Get, work: () => Promise<void>): Promise<void> {
  const { get } = OffsetMap.prototype;
  OffsetMap.prototype.get = tamper(get);
  try {
    await work();
  } finally {
    OffsetMap.prototype.get = get;
  }
}
