import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { StorageStatus } from '../../src/index.js';
import { browserPaths, serveTestPage, type Tab, TestBrowser, type TestSite, until } from './harness.js';

// Goal: every tab sees how the storage is, and goes on by itself once it can; two versions of the code corrupt nothing.
// Method: real tabs over one profile; Chromium is told to bound, clear and deny storage; workers of other versions, and
// workers whose IndexedDB goes quiet.

const TOPIC = 'ledger';

let site: TestSite;
beforeAll(async () => {
  site = await serveTestPage();
});
afterAll(() => site.close());

async function statuses(tab: Tab): Promise<StorageStatus[]> {
  return (await tab.call('storageStates')).map(({ status }) => status);
}

function reaches(tab: Tab, status: StorageStatus, limitMs = 60_000): Promise<void> {
  return until(`a tab is ${status}`, async () => (await statuses(tab)).at(-1) === status, limitMs);
}

async function withBrowser(
  body: (browser: TestBrowser) => Promise<void>,
  options: { readonly blocksSiteData?: boolean } = {},
): Promise<void> {
  const browser = await TestBrowser.open('chrome', site, options);
  try {
    await body(browser);
    expect(browser.uncaught).toEqual([]);
  } finally {
    await browser[Symbol.asyncDispose]();
  }
}

describe.runIf(browserPaths.chrome)('in Chromium', () => {
  test('a full quota is seen in every tab, each topic deals with it in its way, and it is over by itself', async () => {
    await withBrowser(async (browser) => {
      const [one, two] = [await browser.openTab(), await browser.openTab()];
      await one.limitStorage(8_000_000); // before the database is opened: Chromium remembers what room there is
      await one.call('createTopic', TOPIC, 1);
      await one.call('createTopic', 'hasty', 1, { 'storage.full.policy': 'reject' });
      for (const tab of [one, two]) await tab.call('watchStorage');
      await until('the reserve is taken', async () => (await one.call('usage')) > 2_000_000);
      await one.call('startProducing', 'one', TOPIC, 1, { paddingBytes: 40_000 });
      for (const tab of [one, two]) await reaches(tab, 'full');
      const [full] = (await two.call('storageStates')).slice(-1);
      expect(full).toMatchObject({ usage: expect.any(Number), quota: expect.any(Number) });
      await expect(two.call('sendOne', 'hasty', 'x', 100_000)).rejects.toThrow(/storage\.full\.policy is reject/);

      // The broker's own writes have the reserve.
      await two.call('commitOffset', 'group', TOPIC, 7);
      for (const tab of [one, two]) expect((await statuses(tab)).at(-1)).toBe('full');

      const before = browser.acknowledged.length;
      await one.limitStorage(undefined);
      await until('the sends that waited go on', () => browser.acknowledged.length > before + 20, 60_000);
      for (const tab of [one, two]) await reaches(tab, 'ready');
      await one.call('stopProducing');
      expect(browser.failed).toEqual([]);
      const [end] = await two.call('endOffsets', TOPIC);
      expect(browser.acknowledged.map(({ offset }) => offset).sort((a, b) => a - b)).toEqual(
        Array.from({ length: end as number }, (_, offset) => offset),
      );
    });
  });

  test('cleared site data is told in every tab', async () => {
    await withBrowser(async (browser) => {
      const [one, two] = [await browser.openTab(), await browser.openTab()];
      await one.call('createTopic', TOPIC, 1);
      for (const tab of [one, two]) await tab.call('watchStorage');
      for (const tab of [one, two]) await reaches(tab, 'ready');
      await one.clearStorage();
      for (const tab of [one, two]) await reaches(tab, 'reset');
      await two.call('createTopic', TOPIC, 1);
      for (const tab of [one, two]) {
        await reaches(tab, 'ready');
        const seen = await statuses(tab);
        expect([seen[0], ...new Set(seen.slice(1))]).toEqual(['ready', 'reopening', 'reset', 'ready']);
      }
    });
  });

  test('a write that nobody hears of is given up; sent again, it is there once', async () => {
    await withBrowser(async (browser) => {
      const tab = await browser.openTab('wedging');
      await tab.call('createTopic', TOPIC, 1);
      await tab.call('watchStorage');
      expect(await tab.call('sendOne', TOPIC, 'first')).toBe(0);
      await tab.call('wedgeNextWrite');
      await tab.call('startProducing', 'one', TOPIC, 1);
      await reaches(tab, 'wedged');
      await reaches(tab, 'ready');
      await until('it goes on', () => browser.acknowledged.length > 50, 60_000);
      await tab.call('stopProducing');
      expect(await statuses(tab)).toEqual(['ready', 'wedged', 'ready']);
      const [end] = await tab.call('endOffsets', TOPIC);
      expect(browser.failed).toEqual([]);
      expect(browser.acknowledged.map(({ offset }) => offset).sort((a, b) => a - b)).toEqual(
        Array.from({ length: (end as number) - 1 }, (_, i) => i + 1),
      );
    });
  });

  test('beside a newer version an older one reads on, writes nothing, and says so', async () => {
    await withBrowser(async (browser) => {
      const old = await browser.openTab();
      await old.call('createTopic', TOPIC, 1);
      await old.call('watchStorage');
      expect(await old.call('sendOne', TOPIC, 'by the old')).toBe(0);
      const newer = await browser.openTab('newer');
      expect(await newer.call('sendOne', TOPIC, 'by the newer')).toBe(1);
      await until('it may read', async () => {
        const state = (await old.call('storageStates')).at(-1);
        return state?.status === 'read-only' && state.readable;
      });
      await expect(old.call('sendOne', TOPIC, 'too late')).rejects.toThrow(
        /a newer version leads here, reload the page/,
      );
      await old.call('follow', TOPIC);
      expect(await newer.call('sendOne', TOPIC, 'more')).toBe(2);
      await until('the old one reads what the newer writes', async () => (await old.call('followed')).length === 3);
      expect((await old.call('followed')).map(({ value }) => value)).toEqual(['by the old', 'by the newer', 'more']);

      await newer.close();
      await expect(old.call('sendOne', TOPIC, 'still not')).rejects.toThrow(/reload the page/);
      const late = await browser.openTab();
      await late.call('watchStorage');
      await reaches(late, 'read-only');
      await late.call('follow', TOPIC);
      await until('one that is opened later reads, too', async () => (await late.call('followed')).length === 3);
    });
  });

  test('an upgrade that a deaf tab holds up is told in time, and works once that tab is gone', async () => {
    await withBrowser(async (browser) => {
      const old = await browser.openTab();
      await old.call('createTopic', TOPIC, 1);
      const deaf = await browser.openTab();
      await deaf.call('holdDatabase');
      const newer = await browser.openTab('newer');
      await expect(newer.call('createTopic', 'another', 1)).rejects.toThrow(
        /no answer in \d+ ms; another tab may hold it open/,
      );
      await deaf.close();
      await newer.call('createTopic', 'another', 1);
      expect(await newer.call('sendOne', TOPIC, 'by the newer')).toBe(0);
    });
  });

  test('where a person blocks the site’s data, a tab that may do so runs over memory, alone', async () => {
    await withBrowser(
      async (browser) => {
        const [one, two] = [await browser.openTab('memory-if-denied'), await browser.openTab('memory-if-denied')];
        for (const tab of [one, two]) {
          await tab.call('watchStorage');
          await reaches(tab, 'degraded-memory');
          await tab.call('createTopic', TOPIC, 1);
          expect(await tab.call('sendOne', TOPIC, 'x')).toBe(0);
          await tab.call('follow', TOPIC);
          await until('it reads its own', async () => (await tab.call('followed')).length === 1);
        }
      },
      { blocksSiteData: true },
    );
  });
});
