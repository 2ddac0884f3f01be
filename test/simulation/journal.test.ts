import { expect, test } from 'vitest';
import { describeViolations, runScenario } from './scenario.js';

// Goal: the journal loses, doubles and reorders nothing, whatever becomes of the commits that fill it and drain it.
// Method: the scenario of the seeds, with every small commit in the journal and little room in it, while leaders die, commits
// abort and hang, and disks fill and go away.
test('what is guaranteed holds while commits go through the journal and leaders die', async () => {
  const journalRules = { minLogs: 1, maxPartBytes: 300, drainBytes: 1_500, maxBytes: 3_000 };
  let journaledRuns = 0;
  for (let seed = 80_001; seed <= 80_030; seed++) {
    const faults = [
      'kill',
      seed % 2 ? 'abort' : 'quota',
      (['disconnect', 'wedge', 'freeze'] as const)[seed % 3]!,
    ] as const;
    const result = await runScenario({ seed, faults, journalRules });
    expect(describeViolations(result)).toBe('');
    if (result.journalBytes > journalRules.drainBytes) journaledRuns++;
  }
  expect(journaledRuns).toBeGreaterThan(20);
});

// A view that had not heard of a transaction read a row that a drain had joined with it, and took it for decided.
test('who reads a row that was joined meanwhile sees no more of it than it knows of (seed 1619)', async () => {
  expect(describeViolations(await runScenario({ seed: 1619 }))).toBe('');
});
