import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, test } from 'vitest';
import { browserPaths, serveBuild, TestBrowser, type TestSite } from './harness.js';

// An app of somebody else: it finds `tabstream` in its node_modules, and its bundler has to find the worker.
const APP = new URL('../../node_modules/.consumer-app/', import.meta.url);
const MAIN = `
  import { Kafka } from 'tabstream';
  const kafka = new Kafka({ clientId: 'app' });
  const producer = kafka.producer();
  const consumer = kafka.consumer({ groupId: 'readers' });
  await Promise.all([producer.connect(), consumer.connect()]);
  await producer.send({ topic: 'greetings', messages: [{ value: 'hello' }] });
  await consumer.subscribe({ topics: ['greetings'], fromBeginning: true });
  await consumer.run({ eachMessage: ({ message }) => { document.title = message.value.toString(); } });
`;

beforeAll(() => {
  rmSync(APP, { recursive: true, force: true });
  mkdirSync(new URL('node_modules/', APP), { recursive: true });
  symlinkSync(fileURLToPath(new URL('../../', import.meta.url)), new URL('node_modules/tabstream', APP), 'dir');
  writeFileSync(new URL('index.html', APP), '<!doctype html><script type="module" src="./main.js"></script>');
  writeFileSync(new URL('main.js', APP), MAIN);
});

/** In both forms that Vite gives to workers: modules, which load their parts, and one script with all of them. */
function buildApp(format: 'es' | 'iife'): Promise<TestSite> {
  return serveBuild({
    configFile: false,
    root: fileURLToPath(APP),
    build: { outDir: 'dist', target: 'es2022' },
    worker: { format },
  });
}

const chrome = test.runIf(browserPaths.chrome);
chrome.each(['es', 'iife'] as const)('an app with an %s worker sends a record and reads it back', async (format) => {
  const site = await buildApp(format);
  const browser = await TestBrowser.open('chrome', site);
  try {
    const page = await browser.openPage('/');
    await page.waitForFunction(() => document.title === 'hello', { timeout: 20_000 });
    expect(await page.title()).toBe('hello');
  } finally {
    await browser[Symbol.asyncDispose]();
    await site.close();
  }
});
