import { browserRuntime } from '../../src/runtime/browser-runtime.js';
import { RUNTIME_CASES } from '../suites/runtime.js';

const failures: string[] = [];
for (const { promise, run } of RUNTIME_CASES) {
  try {
    await run({ a: browserRuntime(), b: browserRuntime() });
  } catch (error) {
    failures.push(`${promise}: ${String(error)}`);
  }
}
postMessage(failures);
