import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { browserPaths, serveTestPage, type Tab, TestBrowser, type TestSite, until } from './harness.js';
import type { Read } from './page/tab-api.js';

// Goal: where the disk is full or the site's data is cleared, producers are told, nothing acknowledged is lost, no offset
// is taken for another, and all goes on by itself once it can. Method: real tabs, and Chromium told to do so.

const TOPIC = 'ledger';

let site: TestSite;
beforeAll(async () => {
  site = await serveTestPage();
});
afterAll(() => site.close());

describe.runIf(browserPaths.chrome)('in Chromium', () => {
  test('a full quota is told with its figures, loses nothing, stops no reader, and is over when there is room', async () => {
    await withTabs(async (browser, [producing, following]) => {
      // Before the database is opened: Chromium remembers for half a minute how much room there is.
      await producing.limitStorage(6_000_000);
      await producing.call('createTopic', TOPIC, 1);
      await following.call('follow', TOPIC);
      const isProducing = { paddingBytes: 20_000, deliveryTimeoutMs: 4_000 };
      await producing.call('startProducing', 'one', TOPIC, 1, isProducing);

      await until('a send fails', () => browser.failed.some(({ error }) => /QuotaExceededError/.test(error)), 60_000);
      const told = browser.failed.find(({ error }) => /QuotaExceededError/.test(error));
      expect(told?.error).toMatch(/KafkaJSNumberOfRetriesExceeded/);
      expect(told?.error).toMatch(
        /ledger-0: storage is full: .+ \(\d+ bytes are used of a quota of \d+\): QuotaExceededError/,
      );
      for (const { error } of browser.failed) expect(error).toMatch(/QuotaExceededError|not acknowledged within/);

      await until('the follower has all that was acknowledged', async () => {
        const read = new Set((await following.call('followed')).map(({ value }) => value));
        return browser.acknowledged.every(({ value }) => read.has(value));
      });
      const late = await browser.openTab();
      await late.call('follow', TOPIC);
      await until('a tab that opens now reads', async () => (await late.call('followed')).length > 50);

      await producing.limitStorage(undefined);
      const before = browser.acknowledged.length;
      await until('more records are acknowledged', () => browser.acknowledged.length > before + 50);
      await producing.call('stopProducing');
      const [end] = await following.call('endOffsets', TOPIC);
      for (const tab of [following, late]) {
        await until('all is read', async () => (await tab.call('followed')).length >= (end as number));
        expectAcknowledged(await tab.call('followed'), browser);
      }
    });
  });

  test('where the site’s data is cleared the cluster begins anew, and no old offset is taken for a new one', async () => {
    await withTabs(async (browser, tabs) => {
      const [producing, following] = tabs;
      await producing.call('createTopic', TOPIC, 1);
      await Promise.all(tabs.map((tab) => tab.call('follow', TOPIC)));
      await producing.call('startProducing', 'one', TOPIC, 1);
      await following.call('startProducing', 'two', TOPIC, 1);
      await until('many records are acknowledged', () => browser.acknowledged.length > 200);

      await following.clearStorage();
      const atOffset0 = (): number => browser.acknowledged.filter(({ offset }) => offset === 0).length;
      await until('offset 0 is acknowledged a second time', () => atOffset0() === 2, 60_000);
      const start = browser.acknowledged.findLastIndex(({ offset }) => offset === 0);
      await until('many more are acknowledged', () => browser.acknowledged.length > start + 300, 60_000);
      await Promise.all(tabs.map((tab) => tab.call('stopProducing')));

      const late = await browser.openTab();
      await late.call('follow', TOPIC);
      const [end] = await late.call('endOffsets', TOPIC);
      await until('the new log is read', async () => (await late.call('followed')).length >= (end as number));
      const whole = await late.call('followed');
      expect(whole.map(({ offset }) => offset)).toEqual(whole.map((_, offset) => offset));
      const inNewLog = new Map(whole.map(({ value, offset }) => [value, offset]));
      for (const { value, offset } of browser.acknowledged.slice(start)) expect(inNewLog.get(value)).toBe(offset);

      for (const tab of tabs) {
        await until('a follower from before has read the new log', async () => {
          return sinceBegunAnew(await tab.call('followed')).length >= whole.length;
        });
        expect(sinceBegunAnew(await tab.call('followed'))).toEqual(whole);
      }
    });
  });

  test('where a person blocks the site’s data, clients say so at once', async () => {
    const browser = await TestBrowser.open('chrome', site, { blocksSiteData: true });
    try {
      const tab = await browser.openTab();
      await expect(tab.call('createTopic', TOPIC, 1)).rejects.toThrow(/IndexedDB cannot be used here/);
      await expect(tab.call('follow', TOPIC)).rejects.toThrow(/IndexedDB cannot be used here/);
      expect(browser.uncaught).toEqual([]);
    } finally {
      await browser[Symbol.asyncDispose]();
    }
  });
});

async function withTabs(body: (browser: TestBrowser, tabs: readonly [Tab, Tab]) => Promise<void>): Promise<void> {
  const browser = await TestBrowser.open('chrome', site);
  try {
    await body(browser, [await browser.openTab(), await browser.openTab()]);
    expect(browser.uncaught).toEqual([]);
  } finally {
    await browser[Symbol.asyncDispose]();
  }
}

/** Offsets are dense, and each acknowledged record lies where it was acknowledged. */
function expectAcknowledged(reads: readonly Read[], { acknowledged }: TestBrowser): void {
  expect(reads.map(({ offset }) => offset)).toEqual(reads.map((_, offset) => offset));
  const lost = acknowledged.filter(({ value, offset }) => reads[offset]?.value !== value);
  expect(lost).toEqual([]);
  expect(new Set(reads.map(({ value }) => value)).size, 'no record is doubled').toBe(reads.length);
}

/** What a follower read since it came back to offset 0. */
function sinceBegunAnew(reads: readonly Read[]): readonly Read[] {
  return reads.slice(reads.findLastIndex(({ offset }) => offset === 0));
}
