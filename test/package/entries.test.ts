import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = new URL('../../', import.meta.url);
const { exports } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')) as {
  exports: Record<string, string | { types: string; default: string }>;
};
const entries = Object.entries(exports)
  .map(([name, target]) => ({ name, path: typeof target === 'string' ? target : target.default }))
  .filter(({ path }) => path.endsWith('.js'));

test('every path of the exports map exists after a build', () => {
  const paths = Object.values(exports).flatMap((target) =>
    typeof target === 'string' ? [target] : Object.values(target),
  );
  expect(paths.filter((path) => !existsSync(new URL(path, root)))).toEqual([]);
});

// Goal: a server that renders pages may import tabstream. Method: a Node process of its own, without a DOM, in which every
// change of a global, every timer and every open handle is counted; the process must also end by itself.
test.each(entries)('importing $name in Node touches nothing and throws nothing', ({ path }) => {
  const script = `
    await import('lit'); // leaves shims of its own on a server
    const globals = new Set(Reflect.ownKeys(globalThis));
    const listeners = [];
    for (const target of [globalThis, process]) {
      for (const method of ['addEventListener', 'on', 'once']) {
        const original = target[method];
        if (typeof original === 'function') target[method] = (name, ...rest) => (listeners.push(name), original.call(target, name, ...rest));
      }
    }
    const methods = new Set(Reflect.ownKeys(globalThis));
    await import(${JSON.stringify(new URL(path, root).href)});
    const added = Reflect.ownKeys(globalThis).filter((key) => !globals.has(key) && !methods.has(key));
    const handles = process.getActiveResourcesInfo().filter((kind) => !/^(TTYWrap|PipeWrap|FSReq|FileHandle)/.test(kind));
    console.log(JSON.stringify({ added: added.map(String), listeners, handles }));
  `;
  const output = execFileSync(process.execPath, ['--input-type=module', '--eval', script], {
    cwd: fileURLToPath(root),
    encoding: 'utf8',
    timeout: 20_000,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const { added, listeners, handles } = JSON.parse(output) as Record<string, string[]>;
  expect(added).toEqual([]);
  expect(listeners).toEqual([]);
  expect(handles).toEqual([]);
});
