import { expect, test, vi } from 'vitest';
import { CleanedTransactions } from '../../src/log/compaction/cleaned-transactions.js';
import { OffsetMap } from '../../src/log/compaction/offset-map.js';
import { testTableSeeds } from './seeds.js';
import type { TableFault } from './table-scenario.js';
import { describeTableViolations, runTableScenario } from './table-scenario.js';

/** A function of a module is tampered with where it is imported. */
const bug = vi.hoisted(() => ({ allIsDecided: false }));
vi.mock('../../src/log/log-upkeep.js', async (original) => {
  const upkeep = await original<typeof import('../../src/log/log-upkeep.js')>();
  const decidedBehind: typeof upkeep.decidedBehind = (log, closed) => {
    const decided = upkeep.decidedBehind(log, closed);
    return bug.allIsDecided && decided ? { ...decided, lastStableOffset: log.logEndOffset } : decided;
  };
  return { ...upkeep, decidedBehind };
});

testTableSeeds(0, 100);

// Goal: a pass may end at any of its steps, and the next one comes to the same log.
// Method: each call to the database that sealing and compaction make may be a leader's last, before, while or after it
// takes effect.
test('a compacted topic is a table though leaders die at every step of a pass', async () => {
  const killedAt = new Set<string>();
  const failures: string[] = [];
  for (let seed = 5_000; seed < 5_025; seed++) {
    const result = await runTableScenario({ seed, faults: ['kill in pass', ...(seed % 2 ? ['abort' as const] : [])] });
    for (const step of result.killedAt) killedAt.add(step);
    failures.push(describeTableViolations(result));
  }
  expect(failures.join('')).toBe('');
  const steps = ['publishSealed', 'sealedSegments', 'segments', 'stageSealed', 'sweepSealed'];
  expect([...killedAt]).toEqual(expect.arrayContaining(steps));
});

/** What C17 says of runs with a bug in them, until it says something that matches. */
async function c17Finds(pattern: RegExp, faults: readonly TableFault[] = []): Promise<string[]> {
  for (let seed = 0; seed < 60; seed++) {
    const { violations } = await runTableScenario({ seed, faults });
    const found = violations.filter(({ check, text }) => check === 'C17' && pattern.test(text));
    if (found.length > 0) return found.map(({ text }) => text);
  }
  return [];
}

test('C17: a cleaner that keeps the first record of a key is caught', async () => {
  await withBug(OffsetMap.prototype, 'get', firstOffsets, async () => {
    expect(await c17Finds(/neither it nor a later one is left/, ['kill'])).not.toEqual([]);
  });
});

test('C17: a cleaner that keeps no record of a key is caught', async () => {
  const nothing = (): OffsetMap['get'] => () => Number.POSITIVE_INFINITY;
  await withBug(OffsetMap.prototype, 'get', nothing, async () => {
    expect(await c17Finds(/neither it nor a later one is left/)).not.toEqual([]);
  });
});

test('C17: a cleaner to which what was aborted is the last of its key is caught', async () => {
  type Pass = CleanedTransactions['passDataBatch'];
  const neverAborted = (pass: Pass): Pass =>
    function (this: CleanedTransactions, batch) {
      pass.call(this, batch);
      return false;
    };
  await withBug(CleanedTransactions.prototype, 'passDataBatch', neverAborted, async () => {
    expect(await c17Finds(/neither it nor a later one is left/)).not.toEqual([]);
  });
});

test('C17: a cleaner that does not wait for what is undecided is caught', async () => {
  bug.allIsDecided = true;
  try {
    expect(await c17Finds(/neither it nor a later one is left/)).not.toEqual([]);
  } finally {
    bug.allIsDecided = false;
  }
});

test('C17: a cleaner that keeps every marker is caught', async () => {
  type Pass = CleanedTransactions['passControlBatch'];
  const neverOutlived = (pass: Pass): Pass =>
    function (this: CleanedTransactions, ...batch) {
      pass.call(this, ...batch);
      return false;
    };
  await withBug(CleanedTransactions.prototype, 'passControlBatch', neverOutlived, async () => {
    expect(await c17Finds(/markers/)).not.toEqual([]);
  });
});

/** Of each key the first record that is asked for is taken for the last. */
function firstOffsets(get: OffsetMap['get']): OffsetMap['get'] {
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

/** Runs with a method that is not what it should be, in all objects of a class. */
async function withBug<T, Name extends keyof T>(
  prototype: T,
  name: Name,
  tamper: (method: T[Name]) => T[Name],
  work: () => Promise<void>,
): Promise<void> {
  const method = prototype[name];
  prototype[name] = tamper(method);
  try {
    await work();
  } finally {
    prototype[name] = method;
  }
}
