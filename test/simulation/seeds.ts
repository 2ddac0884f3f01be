import { expect, test } from 'vitest';
import { describeViolations, runScenario } from './scenario.js';

/** How many seeds run together in one test; all files together run at least a thousand. */
const SEEDS_PER_TEST = 25;

/** Runs the scenarios of the seeds from `first` on; each file takes a stretch, so that they run in parallel. */
export function testSeeds(first: number, count: number): void {
  for (let from = first; from < first + count; from += SEEDS_PER_TEST) {
    const end = Math.min(first + count, from + SEEDS_PER_TEST);
    test(`what is guaranteed holds through the faults of seeds ${from} to ${end - 1}`, async () => {
      const failures: string[] = [];
      for (let seed = from; seed < end; seed++) {
        const text = await runScenario({ seed }).then(describeViolations, (error: unknown) => `seed ${seed}: ${error}`);
        if (text !== '') failures.push(text);
      }
      expect(failures.join('\n')).toBe('');
    });
  }
}
