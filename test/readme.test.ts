import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { afterEach, expect, test, vi } from 'vitest';
import { type Kafka as KafkaClient, logLevel } from '../src/index.js';
import { topicConfigDefaults } from '../src/protocol/topic-config.js';
import { dropCluster, InProcessCluster, Kafka } from '../src/testing/index.js';
import { deferred } from '../src/util/signal.js';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');

afterEach(async () => {
  vi.restoreAllMocks();
  await dropCluster('default');
});

// Goal: nobody's first minutes are spoilt by an outdated README. Method: the code block is run as it stands, save that
// `tabstream` is the cluster in this thread.
test('the quick start runs and prints what the README says', async () => {
  const code = /```js\n([\s\S]*?)```/.exec(readme)?.[1] ?? '';
  const promised = /It prints `([^`]*)`/.exec(readme)?.[1];
  expect(code.trim().split('\n').length).toBeLessThanOrEqual(15);
  const printed = new Promise((resolve) => vi.spyOn(console, 'log').mockImplementation(resolve));
  await import(/* @vite-ignore */ exampleFile('quick-start.ts', code));
  expect(await printed).toBe(promised);
});

// The same for the example of looking after the data.
test('the example of check, export and import runs', async () => {
  const section = readme.slice(readme.indexOf('## Looking after the data'));
  const code = /```js\n([\s\S]*?)```/.exec(section)?.[1] ?? '';
  expect(code).toContain('importPartition');
  const kafka = new Kafka({ clientId: 'test' });
  const producer = kafka.producer();
  await producer.connect();
  for (const value of ['one', 'two']) await producer.send({ topic: 'orders', messages: [{ value }] });
  const printed: unknown[][] = [];
  vi.spyOn(console, 'log').mockImplementation((...texts) => printed.push(texts));
  await import(/* @vite-ignore */ exampleFile('care.ts', code));
  expect(printed).toEqual([['orders-copy-0 holds offsets 0 to 2, 0 gaps']]);
  await kafka.close();
});

test('the example of encryption runs and prints what the README says', async () => {
  const section = readme.slice(readme.indexOf('## Encryption'));
  const code = /```js\n([\s\S]*?)```/.exec(section)?.[1] ?? '';
  const promised = /It prints `([^`]*)`/.exec(section)?.[1];
  const printed = new Promise((resolve) => vi.spyOn(console, 'log').mockImplementation(resolve));
  await import(/* @vite-ignore */ exampleFile('encryption.ts', code));
  expect(await printed).toBe(promised);
});

test('the example of rotation runs and prints what the README says', async () => {
  const section = readme.slice(readme.indexOf('To rotate, add a key'));
  const code = /```js\n([\s\S]*?)```/.exec(section)?.[1] ?? '';
  const promised = /It prints `([^`]*)`/.exec(section)?.[1];
  const printed = new Promise((resolve) => vi.spyOn(console, 'log').mockImplementation(resolve));
  await import(/* @vite-ignore */ exampleFile('rotation.ts', code));
  expect(await printed).toBe(promised);
});

// It stands in a page that has a client, a signal and a way to warn: here over a disk that fills, and is given room again.
test('the example of watching the storage warns of a full disk, and ends with its signal', async () => {
  const section = readme.slice(readme.indexOf('## When storage fails'));
  const code = /```js\n([\s\S]*?)```/.exec(section)?.[1] ?? '';
  await using cluster = new InProcessCluster();
  await using kafka = new cluster.Kafka({ clientId: 'test', logLevel: logLevel.NOTHING });
  const producer = kafka.producer();
  await producer.send({ topic: 'orders', messages: [{ value: 'a' }] });
  const page = exampleFile('storage.ts', `export default async (kafka, signal, warn) => {\n${code}\n};`);
  const { default: watch } = (await import(/* @vite-ignore */ page)) as { default: Watch };
  const ended = new AbortController();
  const warned = deferred<string>();
  const watching = watch(kafka, ended.signal, warned.resolve);
  const quota = cluster.disk.sizeInBytes + 1_000;
  cluster.disk.setQuota(quota);
  const sent = producer.send({ topic: 'orders', messages: [{ value: 'x'.repeat(10_000) }] });
  expect(await warned.promise).toBe(`${cluster.disk.sizeInBytes} of ${quota} bytes are used`);
  cluster.disk.setQuota(Number.POSITIVE_INFINITY);
  await sent;
  ended.abort();
  await watching;
});

type Watch = (kafka: KafkaClient, signal: AbortSignal, warn: (text: string) => void) => Promise<void>;

function exampleFile(name: string, code: string): string {
  const folder = new URL('../node_modules/.readme/', import.meta.url);
  mkdirSync(folder, { recursive: true });
  const file = new URL(name, folder);
  const testing = new URL('../src/testing/index.ts', import.meta.url).pathname;
  writeFileSync(file, code.replace("from 'tabstream'", `from '${testing}'`));
  return file.pathname;
}

test('the table of topic configs names them all, with their defaults', () => {
  const section = readme.slice(readme.indexOf('| topic config |'));
  const table = section.slice(0, section.indexOf('\n\n'));
  const rows = Array.from(table.matchAll(/^\| `([^`]+)` \| `?([^`|]+?)`? \|/gm), ([, name, text]) => ({
    name,
    default: text,
  }));
  expect(rows).toEqual(topicConfigDefaults());
});
