/** records.ts --data DIR [--json FILE] [--filter REGEX]: runs the `records` suite; exit code 1 on a failure. */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { RECORD_FILES, recordCases } from './record-cases.js';

const { values: options } = parseArgs({
  options: {
    data: { type: 'string', default: 'test/fixtures/records' },
    json: { type: 'string' },
    filter: { type: 'string', default: '' },
  },
});
const filter = new RegExp(options.filter);

const results: { id: string; feature: string; status: 'pass' | 'fail'; error?: string }[] = [];
for (const file of RECORD_FILES) {
  const cases = recordCases(options.data, file).filter(({ name }) => filter.test(`${file}/${name}`));
  for (const { feature, name, run } of cases) {
    const id = `${feature}/${name}`;
    try {
      await run();
      results.push({ id, feature, status: 'pass' });
    } catch (error) {
      results.push({ id, feature, status: 'fail', error: error instanceof Error ? error.message : String(error) });
    }
  }
  const ofFile = results.filter(({ feature }) => feature === file);
  const passed = ofFile.filter(({ status }) => status === 'pass').length;
  console.log(`${file.padEnd(28)} ${String(passed).padStart(4)} / ${ofFile.length}`);
}

const pass = results.filter(({ status }) => status === 'pass').length;
const total = results.length;
for (const { id, error } of results) if (error !== undefined) console.log(`FAIL ${id}\n   ${error}`);
console.log(`rate ${((100 * pass) / Math.max(1, total)).toFixed(2)} % (${pass}/${total})`);
if (options.json !== undefined) writeFileSync(options.json, JSON.stringify({ pass, total, results }, null, 1));
process.exitCode = pass === total && total > 0 ? 0 : 1;
