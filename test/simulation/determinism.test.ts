import { expect, test } from 'vitest';
import { runScenario } from './scenario.js';

test.each([3, 14, 159])('two runs of seed %i are the same run, step by step', async (seed) => {
  const [first, second] = [await runScenario({ seed, trace: true }), await runScenario({ seed, trace: true })];
  expect(first.trace.length).toBeGreaterThan(500);
  const differs = first.trace.findIndex((step, i) => step !== second.trace[i]);
  expect(differs < 0 ? '' : `${differs}: ${first.trace[differs]} / ${second.trace[differs]}`).toBe('');
  expect(second.traceHash).toBe(first.traceHash);
  expect(second.history.reads).toEqual(first.history.reads);
});
