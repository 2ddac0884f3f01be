import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type BrowserName,
  browserPaths,
  insecure,
  serveTestPage,
  type Tab,
  TestBrowser,
  type TestSite,
  until,
} from './harness.js';
import { expectWholeLog } from './whole-log.js';

// Goal: whatever becomes of the leading tab, no acknowledged record is lost, doubled or out of order.
// Method: three tabs produce and two follow, real tabs of one profile; the leading tab meets its fate in mid-stream;
// then every surviving tab reads the log to its end.

const TOPIC = 'journeys';
const PARTITIONS = 2;
/** Enough to be in mid-stream, with many sends in flight. */
const SOME_RECORDS = 150;

let site: TestSite;
beforeAll(async () => {
  site = await serveTestPage();
});
afterAll(() => site.close());

async function closes({ leader, gone }: Scene): Promise<void> {
  await leader.close();
  gone(leader);
}

async function crashes({ leader, gone }: Scene): Promise<void> {
  await leader.crash();
  gone(leader);
}

async function freezesAndWakes({ leader, anotherLeads, moreRecords }: Scene): Promise<void> {
  await leader.freeze();
  await anotherLeads();
  await moreRecords(SOME_RECORDS);
  await leader.wake();
}

describe.runIf(browserPaths.chrome)('in Chromium', () => {
  test('a leading tab that is closed loses and doubles no record', async () => {
    await withProducingTabs('chrome', closes);
  });

  test('a leading tab whose process dies loses and doubles no record', async () => {
    await withProducingTabs('chrome', crashes);
  });

  test('a leading tab that is frozen is replaced, and when it wakes writes nothing it may not', async () => {
    await withProducingTabs('chrome', freezesAndWakes);
  });

  test('a leading tab that is navigated away and back loses and doubles no record', async () => {
    await withProducingTabs('chrome', async (scene) => {
      await scene.leader.navigateAway();
      await scene.anotherLeads();
      await scene.moreRecords(SOME_RECORDS);
      const isSamePage = await scene.leader.goBack();
      if (!isSamePage) scene.gone(scene.leader); // a new page: its producer is no more
    });
  });

  test('eight tabs that lose one leader after the other lose and double no record', async () => {
    await withProducingTabs(
      'chrome',
      async (scene) => {
        for (let round = 0; round < 3; round++) {
          const leader = await scene.currentLeader();
          await leader.close();
          scene.gone(leader);
          await scene.moreRecords(SOME_RECORDS);
        }
      },
      { tabCount: 8 },
    );
  });
});

describe.runIf(browserPaths.chrome)('in Chromium, from an insecure origin', () => {
  test('a leading tab that is closed loses and doubles no record', async () => {
    await withProducingTabs('chrome', closes, { from: insecure(site) });
  });

  test('a leading tab whose process dies loses and doubles no record', async () => {
    await withProducingTabs('chrome', crashes, { from: insecure(site) });
  });

  test('a leading tab that is frozen is replaced, and when it wakes writes nothing it may not', async () => {
    await withProducingTabs('chrome', freezesAndWakes, { from: insecure(site) });
  });
});

describe.runIf(browserPaths.firefox)('in Firefox', () => {
  test('a leading tab that is closed loses and doubles no record', async () => {
    await withProducingTabs('firefox', closes);
  });
});

interface Scene {
  /** The tab that led at the beginning. */
  readonly leader: Tab;
  currentLeader(): Promise<Tab>;
  /** Takes a tab out of the count. */
  gone(tab: Tab): void;
  /** Resolves when a tab other than `leader` leads. */
  anotherLeads(): Promise<void>;
  /** Resolves when so many more records are acknowledged. */
  moreRecords(count: number): Promise<void>;
}

async function withProducingTabs(
  browserName: BrowserName,
  fate: (scene: Scene) => Promise<void>,
  { tabCount = 3, from = site }: { readonly tabCount?: number; readonly from?: TestSite } = {},
): Promise<void> {
  const browser = await TestBrowser.open(browserName, from);
  try {
    const tabs: Tab[] = [];
    for (let i = 0; i < tabCount; i++) tabs.push(await browser.openTab());
    await tabs[0]?.call('createTopic', TOPIC, PARTITIONS);
    const moreRecords = (count: number): Promise<void> => {
      const wanted = browser.acknowledged.length + count;
      return until(`${count} more records acknowledged`, () => browser.acknowledged.length >= wanted);
    };
    await Promise.all(tabs.map((tab) => tab.call('follow', TOPIC)));
    await Promise.all(tabs.map((tab, i) => tab.call('startProducing', `producer-${i}`, TOPIC, PARTITIONS)));
    await moreRecords(SOME_RECORDS);

    const alive = new Set(tabs);
    const leader = await leadingTab(alive);
    await fate({
      leader,
      currentLeader: () => leadingTab(alive),
      gone: (tab) => alive.delete(tab),
      anotherLeads: async () => {
        const others = [...alive].filter((tab) => tab !== leader);
        await until('another tab leads', async () => (await find(others, leads)) !== undefined);
      },
      moreRecords,
    });
    await moreRecords(SOME_RECORDS);
    await Promise.all([...alive].map((tab) => tab.call('stopProducing')));

    const first = [...alive][0];
    if (!first) throw new Error('no tab is left to read');
    const ends = await first.call('endOffsets', TOPIC);
    const total = ends.reduce((sum, end) => sum + end, 0);
    for (const tab of alive) {
      await until('a follower has read all', async () => (await tab.call('followed')).length >= total);
    }
    const histories = await Promise.all([...alive].map((tab) => tab.call('followed')));
    for (const history of histories) expectWholeLog(history, ends, browser.acknowledged);
    expect(browser.failed).toEqual([]);
  } finally {
    await browser[Symbol.asyncDispose]();
  }
}

async function leadingTab(tabs: Iterable<Tab>): Promise<Tab> {
  let found: Tab | undefined;
  await until('a tab leads', async () => {
    found = await find([...tabs], leads);
    return found !== undefined;
  });
  return found as Tab;
}

async function leads(tab: Tab): Promise<boolean> {
  const hosts = await tab.call('hosts');
  return hosts.some((host) => host.self && host.controller);
}

async function find<T>(items: readonly T[], isWanted: (item: T) => Promise<boolean>): Promise<T | undefined> {
  for (const item of items) if (await isWanted(item)) return item;
  return undefined;
}
