import { expect, test } from 'vitest';
import { describeViolations, runScenario } from './scenario.js';

// Goal: sealing loses, doubles and reorders nothing, whichever of its steps a leader dies at.
// Method: the scenario of the seeds, with leaders that die and disks that abort, fill and go away; segments are so small
// that a hundred are sealed, many of them at the moment of a death.
test('what is guaranteed holds while segments are sealed and leaders die at every step of it', async () => {
  let sealedSegmentCount = 0;
  for (let seed = 70_001; seed <= 70_020; seed++) {
    const result = await runScenario({ seed, faults: ['kill', seed % 2 ? 'abort' : 'quota', 'disconnect'] });
    expect(describeViolations(result)).toBe('');
    sealedSegmentCount += result.sealedSegmentCount;
  }
  expect(sealedSegmentCount).toBeGreaterThan(100);
});
