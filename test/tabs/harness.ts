import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CDPSession, Page } from 'puppeteer-core';
import * as vite from 'vite';
import { chromiumPath, firefoxPath, webkitDriverPath } from '../../.ci/browsers.mjs';
import type { BrowserDriver, TabDriver, TabListener } from './driver.js';
import type { Acknowledged, Read, TabApi, Variant } from './page/tab-api.js';
import { PuppeteerDriver } from './puppeteer-driver.js';
import { WebKitDriver } from './webkit-driver.js';

export type BrowserName = 'chrome' | 'firefox' | 'webkit';

/** Of WebKit its driver. */
export const browserPaths: Readonly<Record<BrowserName, string | undefined>> = {
  chrome: chromiumPath(),
  firefox: firefoxPath(),
  webkit: webkitDriverPath(),
};

const PAGE_ROOT = fileURLToPath(new URL('./page', import.meta.url));
const PAGE_BUILD = fileURLToPath(new URL('../../node_modules/.tabs-page', import.meta.url));

export interface TestSite {
  readonly origin: string;
  close(): Promise<void>;
}

/** Builds the page under test and serves it. */
export function serveTestPage(): Promise<TestSite> {
  return serveBuild({
    configFile: false,
    root: PAGE_ROOT,
    worker: { format: 'es' },
    build: {
      outDir: PAGE_BUILD,
      emptyOutDir: true,
      minify: false,
      target: 'es2022',
      rolldownOptions: { input: ['index.html', 'elsewhere.html'].map((name) => join(PAGE_ROOT, name)) },
    },
  });
}

/** Builds the demo as it is, and serves it. */
export function serveDemo(): Promise<TestSite> {
  return serveBuild({ configFile: fileURLToPath(new URL('../../vite.config.ts', import.meta.url)), mode: 'demo' });
}

/** What Vite is told, in words that all its releases understand. */
export interface ViteConfig {
  readonly configFile?: string | false;
  readonly root?: string;
  readonly mode?: string;
  readonly cacheDir?: string;
  readonly worker?: { readonly format: 'es' | 'iife' };
  readonly optimizeDeps?: { exclude: string[] };
  readonly build?: {
    readonly outDir?: string;
    readonly emptyOutDir?: boolean;
    readonly minify?: boolean;
    readonly target?: string;
    readonly rolldownOptions?: { readonly input: string[] };
  };
}

/** What is used of a release of Vite. */
export interface ViteRelease {
  build(config: ViteConfig): Promise<unknown>;
  preview(config: ViteConfig): Promise<HttpServed>;
  createServer(config: ViteConfig): Promise<HttpServed & { listen(): Promise<unknown> }>;
}

interface HttpServed {
  readonly httpServer: { address(): string | AddressInfo | null } | null;
  close(): Promise<void>;
}

const QUIET = { logLevel: 'error' } as const;
const LOOPBACK = { host: '127.0.0.1', port: 0, allowedHosts: true } as const;
/** Resolved in Chromium alone. By its name, unlike that of the loopback, no page of it is a secure context. */
const INSECURE_HOST = 'tabstream.test';

/** A build and its preview: a dev server may reload pages when it pleases. */
export async function serveBuild(config: ViteConfig, { build, preview }: ViteRelease = vite): Promise<TestSite> {
  const quiet = { ...config, ...QUIET, preview: LOOPBACK };
  await build(quiet);
  return siteOf(await preview(quiet));
}

/** A dev server, as a developer starts it. */
export async function serveDev(config: ViteConfig, { createServer }: ViteRelease = vite): Promise<TestSite> {
  const server = await createServer({ ...config, ...QUIET, ...{ server: LOOPBACK } });
  await server.listen();
  return siteOf(server);
}

/** Files as they are. */
export async function serveFolder(folder: string): Promise<TestSite> {
  return siteOf(
    await vite.preview({ configFile: false, root: folder, build: { outDir: '.' }, ...QUIET, preview: LOOPBACK }),
  );
}

function siteOf({ httpServer, close }: HttpServed): TestSite {
  const address = httpServer?.address();
  if (!address || typeof address === 'string') throw new Error('the server has no port');
  return { origin: `http://127.0.0.1:${address.port}`, close: () => close() };
}

/** The same site, in Chromium, as an insecure context: there are no Web Locks, no WebCrypto and no StorageManager. */
export function insecure({ origin, close }: TestSite): TestSite {
  return { origin: origin.replace('127.0.0.1', INSECURE_HOST), close };
}

/** One browser with one profile, so that its tabs share the storage of the origin as a person's do. */
export class TestBrowser implements AsyncDisposable {
  readonly #driver: BrowserDriver;
  readonly #origin: string;
  /** Everything that was acknowledged to any tab, also to those that are gone. */
  readonly acknowledged: Acknowledged[] = [];
  /** What the groups of all tabs have handled, also of those that are gone. */
  readonly handled: Read[] = [];
  /** How long each handler takes. Timed here, since timers of hidden tabs would take much longer. */
  handlingMs = 0;
  /** Sends that failed: what became of them is unknown. */
  readonly failed: { readonly value: string; readonly error: string }[] = [];
  /** What no code of a page caught, rejections included. */
  readonly uncaught: string[] = [];
  readonly #listener: TabListener = {
    reports: {
      reportAck: async (acknowledged) => void this.acknowledged.push(acknowledged),
      beginHandling: () => passed(this.handlingMs),
      reportHandled: async (read) => void this.handled.push(read),
      reportFailure: async (value, error) => void this.failed.push({ value, error }),
    },
    uncaught: (error) => void this.uncaught.push(error),
  };

  private constructor(driver: BrowserDriver, origin: string) {
    this.#driver = driver;
    this.#origin = origin;
  }

  static async open(
    name: BrowserName,
    { origin }: TestSite,
    { blocksSiteData = false }: { blocksSiteData?: boolean } = {},
  ): Promise<TestBrowser> {
    const path = browserPaths[name] ?? name;
    const driver =
      name === 'webkit'
        ? await WebKitDriver.open(path)
        : await PuppeteerDriver.open({
            browser: name,
            executablePath: path,
            insecureHost: INSECURE_HOST,
            blocksSiteData,
          });
    return new TestBrowser(driver, origin);
  }

  /** A tab with any page of the site, driven by puppeteer itself. */
  async openPage(path: string): Promise<Page> {
    const page = puppeteersPage(await this.#driver.newTab(this.#listener));
    await page.goto(this.#origin + path);
    return page;
  }

  /** A tab with the page under test. */
  async openTab(variant?: Variant): Promise<Tab> {
    const driver = await this.#driver.newTab(this.#listener);
    const tab = new Tab(driver, this.#origin, variant);
    await tab.load();
    const isSecure = await driver.evaluate(() => isSecureContext);
    if (isSecure === this.#origin.includes(INSECURE_HOST))
      throw new Error(`${this.#origin}: isSecureContext ${isSecure}`);
    return tab;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#driver.close();
  }
}

/** For what WebDriver has no word for. */
function puppeteersPage({ page }: TabDriver): Page {
  if (page === undefined) throw new Error('a page that is not driven by puppeteer');
  return page;
}

/** A real tab. What it runs is in page/main.ts. */
export class Tab {
  readonly #driver: TabDriver;
  readonly #origin: string;
  readonly #address: string;
  #devTools: CDPSession | undefined;

  constructor(driver: TabDriver, origin: string, variant?: Variant) {
    this.#driver = driver;
    this.#address = `${origin}/index.html${variant === undefined ? '' : `?variant=${variant}`}`;
    this.#origin = origin;
  }

  /** Again: a reload. */
  async load(): Promise<void> {
    await this.#driver.goto(this.#address);
    await this.#pageShown();
  }

  /** Calls a function of page/main.ts. */
  async call<Name extends keyof TabApi>(
    name: Name,
    ...args: Parameters<TabApi[Name]>
  ): Promise<Awaited<ReturnType<TabApi[Name]>>> {
    const result = await this.#driver.evaluate(
      (name: Name, args: readonly unknown[]) => (window.tab[name] as (...args: readonly unknown[]) => unknown)(...args),
      name,
      args as readonly unknown[],
    );
    return result as Awaited<ReturnType<TabApi[Name]>>;
  }

  /** In front of the others, which become hidden. Puppeteer only. */
  async show(): Promise<void> {
    await puppeteersPage(this.#driver).bringToFront();
  }

  async close(): Promise<void> {
    await this.#driver.close();
  }

  /** Kills the renderer, without any event in the page. Chromium only. */
  async crash(): Promise<void> {
    const devTools = await this.#tools();
    const page = puppeteersPage(this.#driver);
    const gone = new Promise((resolve) => page.once('error', resolve));
    devTools.send('Page.crash').catch(() => {}); // never answered
    await gone;
  }

  /** Stops the page and its worker, as the browser does with tabs in the background. Chromium only. */
  async freeze(): Promise<void> {
    await (await this.#tools()).send('Page.setWebLifecycleState', { state: 'frozen' });
  }

  async wake(): Promise<void> {
    await (await this.#tools()).send('Page.setWebLifecycleState', { state: 'active' });
  }

  /**
   * Stops the worker alone, wherever it is, and tells neither it nor the page: as where the system suspends a process, or
   * something keeps its thread busy. It keeps its locks. The answer lets it go on. Chromium only.
   */
  async stopWorker(): Promise<() => Promise<void>> {
    const debuggers = puppeteersPage(this.#driver)
      .workers()
      .map(({ client }) => client);
    for (const each of debuggers) await each.send('Debugger.enable');
    for (const each of debuggers) await each.send('Debugger.pause');
    return async () => {
      for (const each of debuggers) await each.send('Debugger.disable');
    };
  }

  /** Bounds what the origin may store; undefined: as the browser would. Chromium only. */
  async limitStorage(quotaBytes: number | undefined): Promise<void> {
    const quota = quotaBytes === undefined ? {} : { quotaSize: quotaBytes };
    await (await this.#tools()).send('Storage.overrideQuotaForOrigin', { origin: this.#origin, ...quota });
  }

  /** As a person does in the settings, under the open tabs. Chromium only. */
  async clearStorage(): Promise<void> {
    await (await this.#tools()).send('Storage.clearDataForOrigin', { origin: this.#origin, storageTypes: 'all' });
  }

  /** To another page of the origin; this one is discarded or goes to the back/forward cache. */
  async navigateAway(): Promise<void> {
    await this.#driver.evaluate(() => {
      window.wasLeft = true;
    });
    await this.#driver.goto(`${this.#origin}/elsewhere.html`);
  }

  /** Back to the page. Returns whether it came out of the back/forward cache, with all its state. */
  async goBack(): Promise<boolean> {
    await Promise.race([this.#driver.goBack(), this.#pageShown()]);
    await this.#pageShown();
    return this.#driver.evaluate(() => window.wasLeft === true);
  }

  async #pageShown(): Promise<void> {
    await until(`the page is at ${this.#address}`, () =>
      this.#driver.evaluate(() => window.tab !== undefined).catch(() => false),
    );
  }

  async #tools(): Promise<CDPSession> {
    this.#devTools ??= await puppeteersPage(this.#driver).createCDPSession();
    return this.#devTools;
  }
}

function passed(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Polls until true. The limit only tells a hang from slowness. */
export async function until(what: string, isTrue: () => Promise<boolean> | boolean, limitMs = 30_000): Promise<void> {
  const endMs = Date.now() + limitMs;
  while (!(await isTrue())) {
    if (Date.now() > endMs) throw new Error(`not within ${limitMs} ms: ${what}`);
    await passed(25);
  }
}
