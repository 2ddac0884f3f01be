import { existsSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { browserPaths, TestBrowser, type TestSite } from './harness.js';

// The built files as a plain web server has them: one script tag, no bundler.
const DIST = new URL('../../dist/', import.meta.url);
const PAGE = `<!doctype html><title>inspector</title><link rel="icon" href="data:,">
  <script type="module" src="/dist/standalone/inspector.js"></script>
  <stream-inspector></stream-inspector>`;

let server: Server;
let site: TestSite;
beforeAll(async () => {
  server = createServer((request, response) => {
    const file = new URL((request.url ?? '/').replace(/^\/dist\//, './'), DIST);
    const isFile = request.url?.startsWith('/dist/') && existsSync(file);
    response.writeHead(200, { 'content-type': isFile ? 'text/javascript' : 'text/html' });
    response.end(isFile ? readFileSync(file) : PAGE);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  site = { origin: `http://127.0.0.1:${port}`, close: async () => void server.close() };
});
afterAll(() => site.close());

test.runIf(browserPaths.chrome)('the inspector works from a built file with one script tag', async () => {
  const browser = await TestBrowser.open('chrome', site);
  try {
    const page = await browser.openPage('/');
    await page.waitForSelector('stream-inspector >>> button', { timeout: 20_000 });
    for (const button of await page.$$('stream-inspector >>> button')) {
      if ((await button.evaluate((element) => element.textContent)) === 'Tabs') await button.click();
    }
    // One row: the host that the inspector's own worker became. So the worker's file was found too.
    await page.waitForSelector('stream-inspector >>> tabstream-hosts >>> tbody tr', { timeout: 20_000 });
    expect(await page.$$('stream-inspector >>> tabstream-hosts >>> tbody tr')).toHaveLength(1);
  } finally {
    await browser[Symbol.asyncDispose]();
  }
});
