import { mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import puppeteer, { type Browser, type Page } from 'puppeteer-core';
import { build } from 'vite';
import { chromiumPath } from '../../.ci/browsers.mjs';
import type { Bench } from './page/page.ts';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const ROOT = join(HERE, '../..');
/** The package as it is published: applications bundle that and not our sources, and its worker is cut into other chunks. */
const PACKAGE = join(ROOT, '.bench/dist');
const TYPES: Record<string, string> = { '.html': 'text/html', '.js': 'text/javascript', '.wasm': 'application/wasm' };

/** One Chromium with one profile on disk, over the bench page built with the built package, served so that clocks tick in 5 µs (COOP, COEP). */
export class BenchBrowser {
  readonly #server: Server;
  readonly #url: string;
  readonly #folder: string;
  #browser: Browser;

  private constructor(server: Server, url: string, folder: string, browser: Browser) {
    this.#server = server;
    this.#url = url;
    this.#folder = folder;
    this.#browser = browser;
  }

  static async open(): Promise<BenchBrowser> {
    const folder = mkdtempSync(join(tmpdir(), 'tabstream-bench-'));
    const pages = join(folder, 'pages');
    await buildPackage();
    await build({
      configFile: false,
      root: join(HERE, 'page'),
      logLevel: 'error',
      worker: { format: 'es' },
      resolve: { alias: [{ find: /^.*\/src\/(index|consumer)\.js$/, replacement: join(PACKAGE, '$1.js') }] },
      build: { outDir: pages, emptyOutDir: true, target: 'es2022' },
    });
    const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
      const path = normalize(decodeURIComponent((request.url ?? '/').split('?')[0] ?? '/'));
      const file = join(pages, path === '/' ? 'index.html' : path);
      const headers = {
        'content-type': TYPES[extname(file)] ?? 'application/octet-stream',
        'cross-origin-opener-policy': 'same-origin',
        'cross-origin-embedder-policy': 'require-corp',
      };
      try {
        const body = await readFile(file);
        response.writeHead(200, headers).end(body);
      } catch {
        response.writeHead(404, headers).end();
      }
    };
    const server = createServer((request, response) => void answer(request, response));
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('expected a TCP address');
    const browser = await launch(join(folder, 'profile'));
    return new BenchBrowser(server, `http://127.0.0.1:${address.port}/`, folder, browser);
  }

  /** A new tab with the bench page; `preloaded`: it has the code of consumers from the start. */
  async tab({ preloaded = false }: { readonly preloaded?: boolean } = {}): Promise<Tab> {
    const page = await this.#browser.newPage();
    page.on('console', (message) => {
      if (message.type() === 'error') process.stderr.write(`page: ${message.text()}\n`);
    });
    page.on('pageerror', (error) => process.stderr.write(`page: ${String(error)}\n`));
    await page.goto(preloaded ? `${this.#url}?preloaded` : this.#url);
    await page.waitForSelector('html[data-ready]');
    return new Tab(page);
  }

  /** Process ids of the renderers, from the browser itself. */
  async rendererIds(): Promise<number[]> {
    const session = await this.#browser.target().createCDPSession();
    const { processInfo } = await session.send('SystemInfo.getProcessInfo');
    await session.detach();
    return processInfo.filter(({ type }) => type === 'renderer').map(({ id }) => id);
  }

  /** Closes the browser and starts it again over the same profile: everything is cold but the disk. */
  async restart(): Promise<void> {
    await this.#browser.close();
    this.#browser = await launch(join(this.#folder, 'profile'));
  }

  async close(): Promise<void> {
    await this.#browser.close();
    this.#server.close();
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function buildPackage(): Promise<void> {
  for (const mode of ['lib', 'worker']) {
    const configFile = join(ROOT, 'vite.config.ts');
    await build({ configFile, root: ROOT, mode, logLevel: 'error', build: { outDir: PACKAGE } });
  }
}

function launch(userDataDir: string): Promise<Browser> {
  const executablePath = chromiumPath();
  if (executablePath === undefined) throw new Error('no Chromium found: install one or set CHROMIUM_BIN');
  return puppeteer.launch({
    browser: 'chrome',
    executablePath,
    userDataDir,
    protocolTimeout: 600_000,
    // Without the back/forward cache: there a bare lock, the limit to compare with, would outlive the navigation.
    args: ['--no-sandbox', '--disable-features=SpareRendererForSitePerProcess,BackForwardCache'],
  });
}

export class Tab {
  readonly page: Page;

  constructor(page: Page) {
    this.page = page;
  }

  /** A job of a contender; see `page/contender.ts`. */
  job<T>(contender: string, job: string, args: unknown): Promise<T> {
    return this.page.evaluate(
      (id, name, given) => (globalThis as unknown as { bench: Bench }).bench.call(id, name, given) as Promise<never>,
      contender,
      job,
      args,
    ) as Promise<T>;
  }

  /** Another function of the page; see `page/page.ts`. */
  call<K extends keyof Bench>(name: K, args?: unknown): Promise<Awaited<ReturnType<Bench[K]>>> {
    return this.page.evaluate(
      (key, given) =>
        (
          (globalThis as unknown as { bench: Record<string, (a: unknown) => unknown> }).bench[key] as (
            a: unknown,
          ) => unknown
        )(given),
      name as string,
      args,
    ) as Promise<Awaited<ReturnType<Bench[K]>>>;
  }

  /** Heap and buffers of the tab's host worker. */
  async workerBytes(): Promise<number> {
    const worker = this.page.workers().find((candidate) => candidate.url().includes('host.worker'));
    if (worker === undefined) throw new Error('this tab has no host worker');
    const usage = await worker.client.send('Runtime.getHeapUsage');
    return usage.usedSize + usage.embedderHeapUsedSize + usage.backingStorageSize;
  }

  /** The page's clock minus ours, to the precision of the quickest of some round trips. */
  async clockSkewMs(): Promise<number> {
    let best = Number.POSITIVE_INFINITY;
    let skew = 0;
    for (let i = 0; i < 15; i++) {
      const before = nowMs();
      const theirs = await this.call('now');
      const after = nowMs();
      if (after - before < best) [best, skew] = [after - before, theirs - (before + after) / 2];
    }
    return skew;
  }
}

export function nowMs(): number {
  return performance.timeOrigin + performance.now();
}
