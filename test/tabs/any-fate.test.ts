import { afterAll, beforeAll, expect, test } from 'vitest';
import { seededRandom } from '../../src/runtime/seeded-random.js';
import {
  type BrowserName,
  browserPaths,
  serveTestPage,
  type Tab,
  TestBrowser,
  type TestSite,
  until,
} from './harness.js';
import type { Read } from './page/tab-api.js';
import { expectWholeLog } from './whole-log.js';

// Goal: whatever becomes of tabs, one after the other and in any order, no acknowledged record is lost or doubled, and a
// group handles each. Method: tabs of one profile that produce, follow and are members of a group; a seeded random choice
// of what a person and a browser do to them. TABS_SEED and TABS_STEPS choose other runs.

const { TABS_SEED, TABS_STEPS } = process.env;
const TOPIC = 'fates';
const GROUP = 'witnesses';
const PARTITIONS = 3;
/** Acknowledged between two steps. */
const SOME_RECORDS = 60;
/** So long that what becomes of a tab mostly finds a handler at work. */
const HANDLING_MS = 20;
/** A leader is replaced in less; one that holds the database open is not, and is let go. */
const STOPPED_MS = 6_000;

let site: TestSite;
beforeAll(async () => {
  site = await serveTestPage();
});
afterAll(() => site.close());

/** What may become of a tab. */
type Fate = 'open' | 'close' | 'reload' | 'crash' | 'freeze' | 'wake' | 'leave' | 'show' | 'stop';

interface Run {
  readonly browser: BrowserName;
  readonly seed: number;
  readonly steps: number;
  readonly mostTabs: number;
  /** One of them at each step, where it can be. */
  readonly fates: readonly Fate[];
  /** Of each record. */
  readonly paddingBytes?: number;
  /** A page that is left, for any reason, has many reads under way. */
  readonly readsWhenLeft?: boolean;
}

const RUNS: Readonly<Record<string, Run>> = {
  'in Chromium': {
    browser: 'chrome',
    seed: 1,
    steps: 14,
    mostTabs: 5,
    fates: ['open', 'close', 'crash', 'freeze', 'wake', 'leave', 'show', 'stop'],
  },
  'in Firefox': {
    browser: 'firefox',
    seed: 1,
    steps: 4,
    mostTabs: 5,
    fates: ['open', 'close', 'reload', 'leave'],
  },
  // A process that is killed ends the session of WebDriver: here tabs end in good order, and their workers in the middle of
  // transactions, of which none may stay behind. Records are so large that they are read from the database.
  'in WebKit': {
    browser: 'webkit',
    seed: 1,
    steps: 9,
    mostTabs: 3,
    fates: ['open', 'close', 'reload', 'leave'],
    paddingBytes: 4_000,
    readsWhenLeft: true,
  },
};

for (const [where, run] of Object.entries(RUNS)) {
  const { browser, seed, steps, ...rest } = run;
  const chosen = { browser, seed: Number(TABS_SEED ?? seed), steps: Number(TABS_STEPS ?? steps), ...rest };
  const title = `${where}, whatever becomes of tabs, nothing is lost or doubled (seed ${chosen.seed})`;
  test.runIf(browserPaths[browser])(title, { timeout: 120_000 + 10_000 * chosen.steps }, () => meetFates(chosen));
}

async function meetFates(run: Run): Promise<void> {
  const { seed, steps, mostTabs, fates: possibleFates, paddingBytes = 0, readsWhenLeft = false } = run;
  const random = seededRandom(seed);
  const browser = await TestBrowser.open(run.browser, site);
  const done: string[] = [];
  try {
    const awake = new Set<Tab>();
    const frozen = new Set<Tab>();
    let opened = 0;
    const one = (tabs: ReadonlySet<Tab>): Tab => [...tabs][random.below(tabs.size)] as Tab;
    const taken = (tabs: Set<Tab>): Tab => {
      const tab = one(tabs);
      tabs.delete(tab);
      return tab;
    };
    const start = async (tab: Tab): Promise<void> => {
      await tab.call('follow', TOPIC);
      await tab.call('handleIn', GROUP, TOPIC);
      await tab.call('startProducing', `producer-${++opened}`, TOPIC, PARTITIONS, { paddingBytes });
      awake.add(tab);
    };
    const moreRecords = async (limitMs = 60_000): Promise<void> => {
      const wanted = browser.acknowledged.length + SOME_RECORDS;
      await until(`more records after ${done.join(', ')}`, () => browser.acknowledged.length >= wanted, limitMs);
    };
    /** The one that leads, if it is awake, else any. */
    const takenLeader = async (): Promise<Tab> => {
      for (const tab of awake) {
        const isLeading = (await tab.call('hosts')).some(({ self, controller }) => self && controller);
        if (!isLeading) continue;
        awake.delete(tab);
        return tab;
      }
      return taken(awake);
    };
    const takenInMidRead = async (): Promise<Tab> => {
      const tab = taken(awake);
      if (readsWhenLeft) await tab.call('reread', TOPIC);
      return tab;
    };
    const fates: Readonly<Record<Fate, { readonly can: () => boolean; readonly run: () => Promise<void> }>> = {
      open: { can: () => awake.size + frozen.size < mostTabs, run: async () => start(await browser.openTab()) },
      close: { can: () => awake.size > 1, run: async () => (await takenInMidRead()).close() },
      reload: {
        can: () => awake.size > 0,
        async run() {
          const tab = await takenInMidRead();
          await tab.load();
          await start(tab);
        },
      },
      crash: { can: () => awake.size > 1, run: () => taken(awake).crash() },
      freeze: {
        can: () => awake.size > 1,
        async run() {
          const tab = taken(awake);
          await tab.freeze();
          frozen.add(tab);
        },
      },
      wake: {
        can: () => frozen.size > 0,
        async run() {
          const tab = taken(frozen);
          await tab.wake();
          awake.add(tab);
        },
      },
      leave: {
        can: () => awake.size > 1,
        async run() {
          const tab = await takenInMidRead();
          await tab.navigateAway();
          await moreRecords();
          const isSamePage = await tab.goBack();
          if (isSamePage) awake.add(tab);
          else await start(tab);
        },
      },
      show: { can: () => true, run: async () => one(awake).show() },
      stop: {
        can: () => awake.size > 1,
        async run() {
          const tab = await takenLeader();
          const goOn = await tab.stopWorker();
          await moreRecords(STOPPED_MS).catch(() => {});
          if (random.below(2) === 0) return tab.crash();
          await goOn();
          awake.add(tab);
        },
      },
    };

    browser.handlingMs = HANDLING_MS;
    const first = await browser.openTab();
    await first.call('createTopic', TOPIC, PARTITIONS);
    await start(first);
    for (let step = 0; step < steps; step++) {
      const possible = possibleFates.filter((name) => fates[name].can());
      const name = possible[random.below(possible.length)] as Fate;
      done.push(name);
      await fates[name].run();
      await moreRecords();
    }

    for (const tab of frozen) {
      await tab.wake();
      awake.add(tab);
    }
    await Promise.all([...awake].map((tab) => tab.call('stopProducing')));
    const ends = await one(awake).call('endOffsets', TOPIC);
    const total = ends.reduce((sum, end) => sum + end, 0);
    // The others have heard much of it as it came; this one reads what is stored.
    const reader = await browser.openTab();
    await reader.call('follow', TOPIC);
    awake.add(reader);
    for (const tab of awake) {
      await until('a follower has read all', async () => (await tab.call('followed')).length >= total, 60_000);
      expectWholeLog(await tab.call('followed'), ends, browser.acknowledged);
    }
    await Promise.all([...awake].map((tab) => tab.call('handleInHaste')));
    const placeOf = ({ partition, offset }: Read): string => `${partition}@${offset}`;
    const places = (): Set<string> => new Set(browser.handled.map(placeOf));
    await until('the group has handled all', () => places().size === total, 90_000);
    const valueAt = new Map((await one(awake).call('followed')).map((read) => [placeOf(read), read.value]));
    expect(browser.handled.filter((read) => valueAt.get(placeOf(read)) !== read.value)).toEqual([]);
    expect(await reader.call('damage')).toEqual([]);
    expect(browser.failed).toEqual([]);
    expect(browser.uncaught).toEqual([]);
  } catch (error) {
    throw new Error(`seed ${seed}, after ${done.join(', ')}`, { cause: error });
  } finally {
    await browser[Symbol.asyncDispose]();
  }
}
