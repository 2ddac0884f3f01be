import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type BrowserName,
  browserPaths,
  serveTestPage,
  type Tab,
  TestBrowser,
  type TestSite,
  until,
} from './harness.js';

// Goal: what a member read goes to the others as soon as its tab is gone, in whatever way, and a tab that comes back waits
// for nobody who is no more.
// Method: real tabs in one group, whose session timeouts and heartbeats are longer than a test may take.

const TOPIC = 'shared';
const PARTITIONS = 6;

let site: TestSite;
beforeAll(async () => {
  site = await serveTestPage();
});
afterAll(() => site.close());

describe.runIf(browserPaths.chrome)('in Chromium', () => {
  test.each([
    ['closed', (tab: Tab) => tab.close()],
    ['crashed', (tab: Tab) => tab.crash()],
    ['left for another page', (tab: Tab) => tab.navigateAway()],
    ['frozen', (tab: Tab) => tab.freeze()],
  ])('the partitions of a tab that is %s go to the others at once, also where it led', async (_, fate) => {
    await oneTabAfterTheOther('chrome', fate);
  });

  test('a tab that is loaded again, and one that is opened when all were closed, joins at once', async () => {
    await using browser = await TestBrowser.open('chrome', site);
    const tab = await browser.openTab();
    await tab.call('createTopic', TOPIC, PARTITIONS);
    await tab.call('joinGroup', 'g', TOPIC);
    await tab.load();
    await tab.call('joinGroup', 'g', TOPIC);
    expect(await tab.call('assignedCount')).toBe(PARTITIONS);
    await tab.close();
    const next = await browser.openTab();
    await next.call('joinGroup', 'g', TOPIC);
    expect(await next.call('assignedCount')).toBe(PARTITIONS);
  });
});

describe.runIf(browserPaths.firefox)('in Firefox', () => {
  test('the partitions of a tab that is closed go to the others at once, also where it led', async () => {
    await oneTabAfterTheOther('firefox', (tab) => tab.close());
  });
});

/** Three tabs share the partitions; the first, which leads, meets its fate, then the next. */
async function oneTabAfterTheOther(browserName: BrowserName, fate: (tab: Tab) => Promise<void>): Promise<void> {
  await using browser = await TestBrowser.open(browserName, site);
  const tabs = [await browser.openTab(), await browser.openTab(), await browser.openTab()];
  await tabs[0]!.call('createTopic', TOPIC, PARTITIONS);
  for (const tab of tabs) await tab.call('joinGroup', 'g', TOPIC);
  for (let left = tabs; left.length > 0; left = left.slice(1)) {
    const share = PARTITIONS / left.length;
    await until(`each of ${left.length} tabs has its share`, async () => {
      const counts = await Promise.all(left.map((tab) => tab.call('assignedCount')));
      return counts.every((count) => count === share);
    });
    await fate(left[0]!);
  }
}
