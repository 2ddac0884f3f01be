import { expect, test } from 'vitest';
import { describeTableViolations, runTableScenario } from './table-scenario.js';

const SEEDS_PER_TEST = 25;

/** As `testSeeds`, for compacted topics. */
export function testTableSeeds(first: number, count: number): void {
  for (let from = first; from < first + count; from += SEEDS_PER_TEST) {
    const end = Math.min(first + count, from + SEEDS_PER_TEST);
    test(`a compacted topic with transactions is a table through the faults of seeds ${from} to ${end - 1}`, async () => {
      const failures: string[] = [];
      for (let seed = from; seed < end; seed++) {
        const text = await runTableScenario({ seed }).then(
          describeTableViolations,
          (error: unknown) => `${seed}: ${error}`,
        );
        if (text !== '') failures.push(text);
      }
      expect(failures.join('\n')).toBe('');
    });
  }
}
