import { globSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { breaches } from './architecture/rules.js';

test('the sources keep the architecture', () => {
  const root = new URL('..', import.meta.url);
  const paths = globSync('{src,workers,demo}/**/*.ts', { cwd: root.pathname });
  const sources = new Map(paths.map((path) => [path, readFileSync(new URL(path, root), 'utf8')]));
  expect(sources.size).toBeGreaterThan(5);
  expect(breaches(sources)).toEqual([]);
});

test('a file that keeps every rule breaks none', () => {
  const fine = `
    import type { Clock } from '../runtime/runtime.js';
    // new Date(), Math.random() and setTimeout in a comment are harmless
    export const text = 'Math.random() in a string';
    export function age(clock: Clock, at: Date, entry: { crypto: string }): string {
      return new Date(clock.wallMs()).toISOString() + entry.crypto + at.getTime();
    }`;
  const runtime = 'export interface Clock { wallMs(): number }';
  expect(breachesOf({ 'src/log/age.ts': fine, 'src/runtime/runtime.ts': runtime })).toEqual([]);
});

test.each([
  ['an import upwards', { 'src/log/a.ts': `import '../broker/b.js';` }, 'src/log may not import src/broker/b.ts'],
  ['a type imported upwards', { 'src/util/a.ts': `import type { B } from '../record/b.js';` }, 'src/util may not'],
  ['a client that knows the log', { 'src/client/a.ts': `export * from '../log/b.js';` }, 'src/client may not'],
  ['an inspector behind the API', { 'src/inspector/a.ts': `await import('../log/b.js');` }, 'src/inspector may not'],
  ['a type import in place', { 'src/util/a.ts': `export type B = import('../log/b.js').B;` }, 'src/util may not'],
  ['a cycle', { 'src/log/a.ts': `import './b.js';`, 'src/log/b.ts': `import './a.js';` }, 'cycle'],
  ['idb outside storage', { 'src/log/a.ts': `import { openDB } from 'idb';` }, 'the package idb'],
  ['comlink in the client', { 'src/client/a.ts': `import { wrap } from 'comlink';` }, 'the package comlink'],
  ['lit in the broker', { 'src/broker/a.ts': `import { html } from 'lit/html.js';` }, 'the package lit'],
  ['a new dependency', { 'src/util/a.ts': `import 'left-pad';` }, 'nowhere in src'],
  ['Date.now', { 'src/log/a.ts': 'export const a = () => Date.now();' }, 'Date.now is ambient'],
  ['new Date()', { 'src/log/a.ts': 'export const a = () => new Date();' }, 'new Date() is ambient'],
  ['Math.random', { 'src/log/a.ts': 'export const a = [Math.random()];' }, 'Math.random is ambient'],
  ['a timer', { 'src/client/a.ts': 'setTimeout(() => {}, 1);' }, 'setTimeout is ambient'],
  ['a timer as a value', { 'src/client/a.ts': 'export const later = globalThis.setTimeout;' }, 'setTimeout is ambient'],
  ['a channel', { 'src/cluster/a.ts': `new BroadcastChannel('x');` }, 'BroadcastChannel is ambient'],
  ['a lock', { 'src/cluster/a.ts': `navigator.locks.request('x', () => {});` }, 'navigator.locks is ambient'],
  [
    'a clock in a template',
    { 'src/log/a.ts': 'export const a = `$' + '{performance.now()}`;' },
    'performance is ambient',
  ],
  ['a name not in kebab-case', { 'src/log/PartitionLog.ts': '' }, 'kebab-case'],
  ['code in an entry', { 'src/index.ts': 'export const version = 1;' }, 're-exports only'],
  ['an insider through the entry', { 'src/log/a.ts': `import './index.js';` }, 'insiders of src/log'],
])('%s is a breach', (_, sources, rule) => {
  const found = breachesOf(sources);
  expect(found.join('\n')).toContain(rule);
  expect(found[0]).toContain(Object.keys(sources)[0]);
});

function breachesOf(sources: object): readonly string[] {
  return breaches(new Map(Object.entries(sources)));
}
