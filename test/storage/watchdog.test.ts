import { expect, test } from 'vitest';
import { Watchdog, WEDGED_MS } from '../../src/storage/watchdog.js';
import { TestClock } from '../broker/harness.js';

function watch(): { readonly clock: TestClock; readonly dog: Watchdog; readonly wedged: string[] } {
  const clock = new TestClock();
  const wedged: string[] = [];
  return { clock, wedged, dog: new Watchdog(clock, (doing) => void wedged.push(doing)) };
}

test('what does not settle in time is told, what settles is not', async () => {
  const { clock, dog, wedged } = watch();
  dog.begin('one')();
  dog.begin('two');
  await clock.advance(WEDGED_MS);
  expect(wedged).toEqual([]);
  await clock.advance(WEDGED_MS / 2);
  expect(wedged[0]).toBe('two');
  expect(new Set(wedged)).toEqual(new Set(['two']));
  dog.close();
  await clock.advance(1);
  expect(clock.sleeperCount).toBe(0);
});

test('a tab that slept through the time first takes what is due', async () => {
  const { clock, dog, wedged } = watch();
  const settled = dog.begin('read');
  await clock.advance(1);
  clock.nowMs += 10 * WEDGED_MS; // frozen
  await clock.advance(WEDGED_MS / 2);
  expect(wedged).toEqual([]);
  settled();
  await clock.advance(2 * WEDGED_MS);
  expect(wedged).toEqual([]);
});

test('there is no timer while nothing is in flight', async () => {
  const { clock, dog } = watch();
  expect(clock.sleeperCount).toBe(0);
  const settled = [dog.begin('one'), dog.begin('two')];
  await clock.advance(1);
  expect(clock.sleeperCount).toBe(1);
  for (const settle of settled) settle();
  await clock.advance(WEDGED_MS);
  expect(clock.sleeperCount).toBe(0);
});
