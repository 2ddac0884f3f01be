import { expect, test } from 'vitest';
import { countingRuntime } from '../../src/runtime/counting-runtime.js';
import { inProcessRuntime } from '../../src/runtime/node-runtime.js';
import { RUNTIME_CASES } from '../suites/runtime.js';

test.each(RUNTIME_CASES)(
  'a counted runtime keeps the contract and counts down to nothing: $promise',
  async ({ run }) => {
    const { runtime, open } = countingRuntime(inProcessRuntime());
    await run({ a: runtime, b: runtime });
    expect(open()).toEqual({ timers: 0, locks: 0, channels: 0 });
  },
);

test('what is open is counted', async () => {
  const { runtime, open } = countingRuntime(inProcessRuntime());
  const controller = new AbortController();
  const sleeping = runtime.clock.sleep(1e6, controller.signal).catch(() => {});
  const held = await runtime.locks?.hold('x');
  const waiting = runtime.locks?.hold('x', { signal: controller.signal }).catch(() => {});
  const channel = runtime.channels.open('x', () => {});
  expect(open()).toEqual({ timers: 1, locks: 2, channels: 1 });
  controller.abort();
  await Promise.all([sleeping, waiting]);
  const thief = await runtime.locks?.hold('x', { steal: true });
  channel.close();
  expect(open()).toEqual({ timers: 0, locks: 1, channels: 0 });
  held?.release();
  thief?.release();
  expect(open()).toEqual({ timers: 0, locks: 0, channels: 0 });
});
