import { expect, test } from 'vitest';
import { describeAdminViolations, runAdminScenario } from './admin-scenario.js';

const SEEDS_PER_TEST = 20;

/** As `testSeeds`, for all that clients can ask. */
export function testAdminSeeds(first: number, count: number): void {
  for (let from = first; from < first + count; from += SEEDS_PER_TEST) {
    const end = Math.min(first + count, from + SEEDS_PER_TEST);
    test(`what is asked of a cluster is done or not, through the faults of seeds ${from} to ${end - 1}`, async () => {
      const failures: string[] = [];
      for (let seed = from; seed < end; seed++) {
        const text = await runAdminScenario({ seed }).then(
          describeAdminViolations,
          (error: unknown) => `${seed}: ${error}`,
        );
        if (text !== '') failures.push(text);
      }
      expect(failures.join('\n')).toBe('');
    });
  }
}
