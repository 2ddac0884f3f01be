import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build as esbuild } from 'esbuild';
import * as vite7 from 'vite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import webpack from 'webpack';
import {
  browserPaths,
  serveBuild,
  serveDev,
  serveFolder,
  TestBrowser,
  type TestSite,
  type ViteConfig,
} from '../harness.js';

/*
 * Apps of somebody else, who has installed `tabstream`: what they are built with, or served by, has to find its worker
 * and what the page and that worker load later. What a way needs besides is what the README tells its users.
 */

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
/** Where the dependencies of the package are found as in any app: in `node_modules` further up. */
const APPS = join(ROOT, 'node_modules/.apps');

const MAIN = `
  import { Kafka } from 'tabstream';
  import { defineStreamInspector } from 'tabstream/inspector';

  export const run = (config) => sendAndRead(config).catch((error) => { document.title = String(error); });

  async function sendAndRead(config) {
    defineStreamInspector();
    const kafka = new Kafka({ clientId: 'app', ...config });
    const producer = kafka.producer();
    const consumer = kafka.consumer({ groupId: 'readers' });
    await Promise.all([producer.connect(), consumer.connect()]);
    await producer.send({ topic: 'greetings', messages: [{ value: 'hello' }] });
    await consumer.subscribe({ topics: ['greetings'], fromBeginning: true });
    await consumer.run({ eachMessage: async ({ message }) => { document.title = message.value.toString(); } });
  }
`;
const AS_IT_IS = `import { run } from './app.js'; run({});`;
const WITH_ITS_WORKER = `
  import { run } from './app.js';
  run({ worker: () => new Worker('/tabstream/host.worker.js', { type: 'module' }) });
`;

interface App {
  readonly folder: string;
  /** Writes a file of the app. */
  write(name: string, text: string): void;
}

type Way = (app: App) => Promise<TestSite>;

const WAYS: Readonly<Record<string, Way>> = {
  'Vite 8, its dev server': (app) => serveDev(viteConfig(app)),
  'Vite 8': (app) => serveBuild(viteConfig(app)),
  'Vite 8, the worker as one script': (app) => serveBuild({ ...viteConfig(app), worker: { format: 'iife' } }),
  'Vite 7, its dev server': (app) => serveDev({ ...viteConfig(app), ...FOR_VITE_7 }, vite7),
  'Vite 7': (app) => serveBuild({ ...viteConfig(app), ...FOR_VITE_7 }, vite7),
  webpack: async (app) => {
    const dist = join(app.folder, 'dist');
    await runWebpack({
      mode: 'production',
      context: app.folder,
      entry: './main.js',
      output: { path: dist },
      optimization: { minimize: false }, // it takes a quarter of a minute, and no other worker
    });
    app.write('dist/index.html', htmlOf('main.js'));
    return serveFolder(dist);
  },
  'esbuild, with the worker beside it': async (app) => {
    const dist = join(app.folder, 'dist');
    app.write('main.js', WITH_ITS_WORKER);
    await esbuild({
      entryPoints: [join(app.folder, 'main.js')],
      bundle: true,
      splitting: true,
      format: 'esm',
      target: 'es2022',
      outdir: dist,
      logLevel: 'error',
    });
    const built = join(app.folder, 'node_modules/tabstream/dist');
    cpSync(built, join(dist, 'tabstream'), { recursive: true, filter: isFolderOrHost });
    app.write('dist/index.html', htmlOf('main.js'));
    return serveFolder(dist);
  },
  'no bundler, but an import map': async (app) => {
    for (const name of ['comlink', 'lit', 'lit-html', 'lit-element', '@lit/reactive-element']) {
      cpSync(join(ROOT, 'node_modules', name), join(app.folder, 'modules', name), { recursive: true });
    }
    cpSync(join(app.folder, 'node_modules/tabstream'), join(app.folder, 'modules/tabstream'), { recursive: true });
    const imports = {
      tabstream: '/modules/tabstream/dist/index.js',
      'tabstream/inspector': '/modules/tabstream/dist/inspector/index.js',
      comlink: '/modules/comlink/dist/esm/comlink.mjs',
      lit: '/modules/lit/index.js',
      'lit/': '/modules/lit/',
      'lit-html': '/modules/lit-html/lit-html.js',
      'lit-html/': '/modules/lit-html/',
      'lit-element/': '/modules/lit-element/',
      '@lit/reactive-element': '/modules/@lit/reactive-element/reactive-element.js',
      '@lit/reactive-element/': '/modules/@lit/reactive-element/',
    };
    app.write('index.html', `<script type="importmap">${JSON.stringify({ imports })}</script>${htmlOf('main.js')}`);
    return serveFolder(app.folder);
  },
};

/** As the README has it for releases before 8. */
const FOR_VITE_7: ViteConfig = { optimizeDeps: { exclude: ['tabstream'] }, worker: { format: 'es' } };

beforeAll(() => rmSync(APPS, { recursive: true, force: true }));
afterAll(() => rmSync(APPS, { recursive: true, force: true }));

const chrome = test.runIf(browserPaths.chrome);

chrome.each(Object.entries(WAYS))('%s: an app sends a record and reads it back in a group', async (name, serve) => {
  expect(await titleOf(await serve(makeApp(name)))).toBe('hello');
});

chrome('where the worker is not found, the error says where to look', async () => {
  const title = await titleOf(await serveDev(viteConfig(makeApp('Vite 7 as it comes')), vite7));
  expect(title).toMatch(
    /^KafkaJSConnectionError: .*host\.worker\.js cannot be loaded.*for bundlers, and for Node, see tabstream's README/,
  );
});

/** What an app has to say: the record that it read, or why it could not. */
async function titleOf(site: TestSite): Promise<string> {
  const browser = await TestBrowser.open('chrome', site);
  try {
    const page = await browser.openPage('/');
    await page.waitForFunction(() => document.title !== '', { timeout: 20_000 });
    return await page.title();
  } finally {
    await browser[Symbol.asyncDispose]();
    await site.close();
  }
}

/** An app with the package as npm would install it. */
function makeApp(name: string): App {
  const folder = join(APPS, name.replaceAll(/\W+/g, '-'));
  const write = (file: string, text: string): void => {
    const path = join(folder, file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  };
  write('package.json', '{ "type": "module" }');
  write('index.html', htmlOf('main.js'));
  write('main.js', AS_IT_IS);
  write('app.js', MAIN);
  const installed = join(folder, 'node_modules/tabstream');
  for (const part of ['package.json', 'dist']) cpSync(join(ROOT, part), join(installed, part), { recursive: true });
  return { folder, write };
}

function htmlOf(script: string): string {
  return `<!doctype html><body><script type="module" src="./${script}"></script>`;
}

function viteConfig({ folder }: App): ViteConfig {
  return { configFile: false, root: folder, cacheDir: join(folder, '.vite'), build: { target: 'es2022' } };
}

function isFolderOrHost(path: string): boolean {
  return path.endsWith('dist') || /host\.[\w-]+\.js$/.test(path);
}

function runWebpack(config: webpack.Configuration): Promise<void> {
  return new Promise((done, failed) => {
    webpack(config, (error, stats) => {
      if (error !== null) failed(error);
      else if (stats?.hasErrors()) failed(new Error(stats.toString('errors-only')));
      else done();
    });
  });
}
