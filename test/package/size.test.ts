import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'vite';
import { expect, test } from 'vitest';

const KB = 1000;

// Minified and gzipped with all dependencies, in thousands of bytes.
test.each([
  { what: 'the client', entry: 'src/index.ts', budgetKb: 15 },
  { what: 'the worker of a host with its broker', entry: 'workers/host.worker.ts', budgetKb: 30 },
])('$what weighs at most $budgetKb KB', async ({ what, entry, budgetKb }) => {
  const code = await bundle(entry);
  const size = gzipSync(code, { level: 9 }).byteLength;
  console.log(`${what}: ${(size / KB).toFixed(2)} KB of ${budgetKb} (${(code.length / KB).toFixed(1)} KB minified)`);
  expect(size / KB).toBeLessThanOrEqual(budgetKb);
});

async function bundle(entry: string): Promise<string> {
  const result = await build({
    configFile: false,
    logLevel: 'error',
    publicDir: false,
    plugins: [
      {
        // The worker has a budget of its own: here its URL is not followed.
        name: 'no-worker',
        enforce: 'pre',
        transform: (code: string) => code.replaceAll('import.meta.url', '"/"'),
      },
    ],
    build: {
      write: false,
      target: 'es2022',
      modulePreload: false,
      rolldownOptions: {
        input: fileURLToPath(new URL(`../../${entry}`, import.meta.url)),
        preserveEntrySignatures: 'strict',
      },
    },
  });
  const outputs = [result].flat().flatMap((one) => ('output' in one ? one.output : []));
  return outputs.map((output) => (output.type === 'chunk' ? output.code : '')).join('');
}
