import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Page } from 'puppeteer-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { browserPaths, serveDemo, TestBrowser, type TestSite, until } from './harness.js';

let site: TestSite;
beforeAll(async () => {
  site = await serveDemo();
});
afterAll(() => site.close());

describe.runIf(browserPaths.chrome)('the demo', () => {
  test('goes on where it was after its only tab was closed half-way, with every record once', async () => {
    const browser = await TestBrowser.open('chrome', site);
    try {
      const first = await openDemo(browser);
      await startReplays(first);
      await until('the replay is half-way', async () => (await recordsInLog(first, 'flights')) > 4_000);
      await first.close();

      const second = await openDemo(browser);
      await waitForCompletion(second);
      expect(await checkedLines(second)).toEqual([
        'flights: 20,000 records, each row once, unaltered',
        'flights-200k: 200,000 records, each row once, unaltered',
        'the live results equal those computed from the file',
      ]);
    } finally {
      await browser[Symbol.asyncDispose]();
    }
  });

  test('shows the same results in every tab, also when the sending tab is closed', async () => {
    const browser = await TestBrowser.open('chrome', site);
    try {
      const sender = await openDemo(browser);
      await startReplays(sender);
      const others = [await openDemo(browser), await openDemo(browser)];
      const front = others[1] as Page; // the others are hidden, and hidden tabs draw nothing
      await until('the replay is under way', async () => (await recordsInLog(front, 'flights')) > 4_000);
      await sender.close();

      for (const tab of others) {
        await tab.bringToFront();
        await waitForCompletion(tab);
        expect(await textOf(tab, '[data-name=by-hour] header p')).toContain('20,000 flights counted');
      }
      const [one, other] = await Promise.all(others.map((tab) => textOf(tab, '[data-name=by-airport] table')));
      expect(one).toBe(other);
      expect((await checkedLines(front)).at(-1)).toBe('the live results equal those computed from the file');
    } finally {
      await browser[Symbol.asyncDispose]();
    }
  });
});

// WebKit under its driver gives no tabs; its engine runs the inspector's tests of this kind in test/browser.
describe.each(['chrome', 'firefox'] as const)('the page of the demo, in %s', (name) => {
  test.runIf(browserPaths[name])('has no fault that axe can find, whatever it shows, and keeps the focus', async () => {
    const browser = await TestBrowser.open(name, site);
    try {
      const page = await openDemo(browser);
      await page.evaluate(readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8'));
      await hasNoFault(page, 'before anything is sent');
      await startReplays(page);
      await until('the replay is under way', async () => (await recordsInLog(page, 'flights')) > 4_000);
      await page.focus('[data-name=pause-flights]');
      await hasNoFault(page, 'replaying');
      await waitForCompletion(page);
      expect(await page.evaluate(() => document.activeElement?.textContent?.trim())).toBe('All sent');
      await page.focus('[data-name=run-check]');
      await checkedLines(page);
      expect(await page.evaluate(() => document.activeElement?.getAttribute('data-name'))).toBe('run-check');
      await hasNoFault(page, 'checked');
    } finally {
      await browser[Symbol.asyncDispose]();
    }
  });

  test.runIf(browserPaths[name])('tells what is wrong where it cannot be opened, and offers to try again', async () => {
    const browser = await TestBrowser.open(name, site);
    try {
      const page = await browser.openPage('/?');
      await page.evaluateOnNewDocument(() => {
        Reflect.deleteProperty(window, 'Worker');
      });
      await page.reload();
      await page.waitForSelector('[role=alert]', { timeout: 30_000 });
      expect(await textOf(page, '[role=alert]')).toMatch(/^The log could not be opened\. /);
      expect(await textOf(page, 'main button')).toBe('Try again');
      await page.evaluate(readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8'));
      await hasNoFault(page, 'not opened');
    } finally {
      await browser[Symbol.asyncDispose]();
    }
  });
});

/** Light and dark, wide and as narrow as a page of 1280 pixels is at 400 %, where it must not scroll sideways. */
async function hasNoFault(page: Page, state: string): Promise<void> {
  for (const [scheme, width] of [
    ['light', 1280],
    ['dark', 320],
  ] as const) {
    await page.setViewport({ width, height: 800 });
    const found = await page.evaluate(async (scheme) => {
      document.documentElement.style.colorScheme = scheme;
      for (let i = 0; i < 2; i++) await new Promise(requestAnimationFrame);
      const { violations } = await axe.run({ resultTypes: ['violations'] });
      const faults = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
      return { faults, isTooWide: document.documentElement.scrollWidth > innerWidth };
    }, scheme);
    expect(found, `${state}, ${scheme}, ${width}`).toEqual({ faults: [], isTooWide: false });
  }
}

declare const axe: {
  run(options: object): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }>;
};

async function openDemo(browser: TestBrowser): Promise<Page> {
  const page = await browser.openPage('/');
  await page.waitForSelector('[data-name=start-flights], [data-name=pause-flights]', { timeout: 30_000 });
  return page;
}

async function startReplays(page: Page): Promise<void> {
  await page.$eval('[data-name=rate]', (input) => {
    (input as HTMLInputElement).value = '5000';
    input.dispatchEvent(new Event('change'));
  });
  await until('the rate is set', async () => (await textOf(page, '.rate output')) === '5,000/s');
  await page.click('[data-name=start-flights]');
  await page.click('[data-name=start-flights-200k]');
}

async function waitForCompletion(page: Page): Promise<void> {
  for (const topic of ['flights', 'flights-200k']) {
    const header = `[data-name=replay-${topic}] header p`;
    await until(`${topic} is complete`, async () => (await textOf(page, header)) === 'complete', 60_000);
  }
  const counted = '[data-name=by-hour] header p';
  await until('all is counted', async () => (await textOf(page, counted)).startsWith('20,000 '), 30_000);
}

async function recordsInLog(page: Page, topic: string): Promise<number> {
  const text = await textOf(page, `[data-name=replay-${topic}] .figures dd`);
  return Number(text.replaceAll(',', ''));
}

async function checkedLines(page: Page): Promise<string[]> {
  await page.click('[data-name=run-check]');
  await page.waitForSelector('.checks li', { timeout: 60_000 });
  return page.$$eval('.checks li', (lines) =>
    lines.map((line) => (line.textContent ?? '').replace(/\s+/g, ' ').trim()),
  );
}

function textOf(page: Page, selector: string): Promise<string> {
  return page.$eval(selector, (element) => (element.textContent ?? '').replace(/\s+/g, ' ').trim());
}
