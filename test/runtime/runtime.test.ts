import { describe, test } from 'vitest';
import { browserRuntime } from '../../src/runtime/browser-runtime.js';
import { inProcessRuntime } from '../../src/runtime/node-runtime.js';
import { Simulation } from '../../src/runtime/simulation.js';
import { RUNTIME_CASES } from '../suites/runtime.js';

describe.each(RUNTIME_CASES)('$promise', ({ run }) => {
  test('in one process', async () => {
    const runtime = inProcessRuntime();
    await run({ a: runtime, b: runtime });
  });

  test('on the platform of Node', async () => {
    await run({ a: browserRuntime(), b: browserRuntime() });
  });

  test.each([1, 2, 3, 4, 5])('in the simulation (seed %i)', async (seed) => {
    const simulation = new Simulation({ seed });
    const pair = { a: simulation.tab('a').runtime, b: simulation.tab('b').runtime };
    await simulation.drive(run(pair), { maxSteps: 10_000 });
  });
});
