import { expect, test } from 'vitest';
import { inProcessClientRuntime, inProcessRuntime } from '../../src/runtime/node-runtime.js';

/** Timers that keep this process alive. */
function livingTimers(): number {
  return process.getActiveResourcesInfo().filter((resource) => resource === 'Timeout').length;
}

test('only what a client sleeps for keeps the process alive', async () => {
  const controller = new AbortController();
  const before = livingTimers();
  const light = inProcessRuntime().clock.sleep(1e6, controller.signal);
  expect(livingTimers()).toBe(before);
  const { clock, deadlineClock } = inProcessClientRuntime();
  const deadline = deadlineClock?.sleep(1e6, controller.signal);
  expect(livingTimers()).toBe(before);
  const heavy = clock.sleep(1e6, controller.signal);
  expect(livingTimers()).toBe(before + 1);
  controller.abort();
  await Promise.allSettled([light, deadline, heavy]);
  expect(livingTimers()).toBe(before);
});

test('two in-process runtimes see nothing of each other', async () => {
  const [one, other] = [inProcessRuntime(), inProcessRuntime()];
  const received: unknown[] = [];
  const channels = [one.channels.open('x', (m) => received.push(m)), other.channels.open('x', (m) => received.push(m))];
  channels[0]?.post('hello');
  const locks = [await one.locks?.hold('x'), await other.locks?.hold('x')];
  await other.clock.sleep(1);
  expect(received).toEqual([]);
  for (const lock of locks) lock?.release();
});
