// All checks in order, the quick ones first; stops at the first that fails. The last line counts the tests.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const REPORTS = 'node_modules/.reports';
const vitest = (project) => ['--', '--reporter=default', '--reporter=json', `--outputFile.json=${report(project)}`];
const STEPS = [
  ['typecheck'],
  ['lint'],
  ['test:unit', ...vitest('unit')],
  ['test:simulation', ...vitest('simulation')],
  ['build'],
  ['test:package', ...vitest('package')],
  ['test:browser'],
  ['test:tabs', ...vitest('tabs')],
];

rmSync(REPORTS, { recursive: true, force: true });
mkdirSync(REPORTS, { recursive: true });
for (const [script, ...args] of STEPS) {
  const startedMs = Date.now();
  console.log(`\n[check] ${script}`);
  const { status } = spawnSync('npm', ['run', '-s', script, ...args], {
    stdio: 'inherit',
    shell: process.platform === 'win32',
    env: { ...process.env, WTR_REPORT: report('browser') },
  });
  console.log(`[check] ${script}: ${status === 0 ? 'passed' : 'FAILED'} in ${seconds(startedMs)} s`);
  if (status !== 0) {
    printTotal(true);
    process.exit(1);
  }
}
printTotal();

function report(name) {
  return join(REPORTS, `${name}.json`);
}

function seconds(startedMs) {
  return ((Date.now() - startedMs) / 1000).toFixed(1);
}

/** A step that failed without a failed test (a type error, a crash) counts as one failure. */
function printTotal(isBroken) {
  const reports = ['unit', 'simulation', 'package', 'browser', 'tabs'].map(report).filter(existsSync);
  const counts = reports.map((path) => JSON.parse(readFileSync(path, 'utf8')));
  const sum = (field) => counts.reduce((total, count) => total + count[field], 0);
  const failed = sum('numFailedTests');
  console.log(`\n${sum('numPassedTests')} passed, ${isBroken ? Math.max(failed, 1) : failed} failed`);
}
