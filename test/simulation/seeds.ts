import { expect, test } from 'vitest';
import { describeAdminViolations, runAdminScenario } from './admin-scenario.js';
import { describeViolations, runScenario } from './scenario.js';
import { describeTableViolations, runTableScenario } from './table-scenario.js';

interface Seeds {
  /** What they test. */
  readonly what: string;
  readonly perTest: number;
  /** Runs one. Resolves to what is wrong, and how to replay it; empty where nothing is. */
  readonly run: (seed: number) => Promise<string>;
}

/** Some seeds from `first` on, so many a test. */
function tested({ what, perTest, run }: Seeds): (first: number, count: number) => void {
  return (first, count) => {
    for (let from = first; from < first + count; from += perTest) {
      const end = Math.min(first + count, from + perTest);
      test(`${what} through the faults of seeds ${from} to ${end - 1}`, async () => {
        const failures: string[] = [];
        for (let seed = from; seed < end; seed++) {
          const text = await run(seed).catch((error: unknown) => `seed ${seed}: ${error}`);
          if (text !== '') failures.push(text);
        }
        expect(failures.join('\n')).toBe('');
      });
    }
  };
}

export const testSeeds = tested({
  what: 'what is guaranteed holds',
  perTest: 25,
  run: (seed) => runScenario({ seed }).then(describeViolations),
});

export const testTableSeeds = tested({
  what: 'a compacted topic with transactions is a table',
  perTest: 25,
  run: (seed) => runTableScenario({ seed }).then(describeTableViolations),
});

export const testAdminSeeds = tested({
  what: 'what is asked of a cluster is done or not',
  perTest: 20,
  run: (seed) => runAdminScenario({ seed }).then(describeAdminViolations),
});
