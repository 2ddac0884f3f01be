/**
 * npm run conformance -- <name> [--data DIR] [--json FILE] [...]
 *
 * Runs one conformance suite against our sources and ends with its exit code; every further argument goes to the suite.
 *
 * - `records` is our own runner, records.ts, over the data of ../shared/conformance/records, or else of
 *   test/fixtures/records.
 * - `broker`, `connect`, `streams` and `ksql` are runners of their own in ../shared/conformance/<name>/run.mjs. They get
 *   our driver, drivers/<name>.ts or drivers/<name>.mjs: a module that exports what that folder's README asks for
 *   (`createBrokerDriver` for `broker`). A driver may be TypeScript and imports our sources as they import each other
 *   (`../../../src/log/producer-state.js`); typescript-sources.mjs resolves it.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const SUITES = ['records', 'broker', 'connect', 'streams', 'ksql'];
const SHARED = new URL('../../../shared/conformance/', import.meta.url);

const [name, ...rest] = process.argv.slice(2);
process.exitCode = run(name, rest);

function run(name, rest) {
  if (!SUITES.includes(name)) {
    console.error(
      `expected one of ${SUITES.join(', ')}, found ${name ?? 'nothing'}\n` +
        'usage: npm run conformance -- <name> [--data DIR] [--json FILE] [...]',
    );
    return 2;
  }
  if (name === 'records') return runNode([path('records.ts', import.meta.url), ...recordsArguments(rest)]);

  const runner = path(`${name}/run.mjs`, SHARED);
  if (!existsSync(runner)) {
    console.log(`conformance ${name}: skipped, ${runner} is not there`);
    return 0;
  }
  const driver = [`drivers/${name}.ts`, `drivers/${name}.mjs`]
    .map((file) => path(file, import.meta.url))
    .find(existsSync);
  if (driver === undefined) {
    console.log(`conformance ${name}: skipped, there is no driver test/conformance/drivers/${name}.ts yet`);
    return 0;
  }
  return runNode([runner, '--driver', driver, ...rest]);
}

function recordsArguments(rest) {
  if (rest.some((argument) => /^--data(=|$)/.test(argument))) return rest;
  const shared = path('records', SHARED);
  return ['--data', existsSync(shared) ? shared : path('../fixtures/records', import.meta.url), ...rest];
}

function runNode(args) {
  const preload = new URL('typescript-sources.mjs', import.meta.url).href;
  return spawnSync(process.execPath, ['--import', preload, ...args], { stdio: 'inherit' }).status ?? 1;
}

function path(file, base) {
  return fileURLToPath(new URL(file, base));
}
