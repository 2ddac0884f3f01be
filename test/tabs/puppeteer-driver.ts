import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import puppeteer, { type Browser, type Page } from 'puppeteer-core';
import { chromiumArgs } from '../../.ci/browsers.mjs';
import type { BrowserDriver, TabDriver, TabListener } from './driver.js';

export interface PuppeteerOptions {
  readonly browser: 'chrome' | 'firefox';
  readonly executablePath: string;
  /** Resolved as the loopback. Chromium only. */
  readonly insecureHost: string;
  /** As in the settings. Chromium only. */
  readonly blocksSiteData: boolean;
}

/** What puppeteer tells Chromium otherwise. Without it timers of hidden tabs come once a second, as in a person's browser. */
const SPARING_HIDDEN_TABS = [
  '--disable-background-timer-throttling',
  '--disable-backgrounding-occluded-windows',
  '--disable-renderer-backgrounding',
];

/** Chromium or Firefox, with a profile on disk. */
export class PuppeteerDriver implements BrowserDriver {
  readonly #browser: Browser;
  readonly #profile: string;

  private constructor(browser: Browser, profile: string) {
    this.#browser = browser;
    this.#profile = profile;
  }

  static async open({
    browser,
    executablePath,
    insecureHost,
    blocksSiteData,
  }: PuppeteerOptions): Promise<BrowserDriver> {
    const profile = await mkdtemp(join(tmpdir(), 'tabstream-tabs-'));
    if (blocksSiteData) await blockSiteData(profile);
    const isChromium = browser === 'chrome';
    const launched = await puppeteer.launch({
      browser,
      executablePath,
      userDataDir: profile,
      protocolTimeout: 20_000,
      ignoreDefaultArgs: isChromium ? SPARING_HIDDEN_TABS : false,
      args: isChromium ? [...chromiumArgs(), `--host-resolver-rules=MAP ${insecureHost} 127.0.0.1`] : [],
      // One process a tab also for tabs of one site.
      extraPrefsFirefox: { 'dom.ipc.processCount.webIsolated': 16, 'dom.ipc.processPrelaunch.enabled': false },
    });
    return new PuppeteerDriver(launched, profile);
  }

  async newTab({ reports, uncaught }: TabListener): Promise<TabDriver> {
    const page = await this.#browser.newPage();
    page.on('pageerror', (error) => uncaught(String(error)));
    for (const [name, report] of Object.entries(reports)) await page.exposeFunction(name, report);
    return new PuppeteerTab(page);
  }

  async close(): Promise<void> {
    await this.#browser.close();
    await rm(this.#profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

class PuppeteerTab implements TabDriver {
  readonly page: Page;

  constructor(page: Page) {
    this.page = page;
  }

  async goto(address: string): Promise<void> {
    await this.page.goto(address);
  }

  async evaluate<Args extends readonly unknown[], Result>(
    call: (...args: Args) => Result,
    ...args: Args
  ): Promise<Awaited<Result>> {
    return (await this.page.evaluate(call as unknown as (...args: unknown[]) => unknown, ...args)) as Awaited<Result>;
  }

  async goBack(): Promise<void> {
    // A page out of the back/forward cache fires no load event.
    await this.page.goBack({ timeout: 5_000 }).catch(() => {});
  }

  async close(): Promise<void> {
    await this.page.close();
  }
}

/** What Chromium's settings call "block all cookies": no storage of any kind. */
async function blockSiteData(profile: string): Promise<void> {
  const preferences = { profile: { default_content_setting_values: { cookies: 2 } } };
  await mkdir(join(profile, 'Default'));
  await writeFile(join(profile, 'Default', 'Preferences'), JSON.stringify(preferences));
}
