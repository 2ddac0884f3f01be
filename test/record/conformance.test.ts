import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { RECORD_FILES, recordCases } from '../conformance/record-cases.js';

const DATA = fileURLToPath(new URL('../fixtures/records', import.meta.url));

// Known answers, computed by packages that know nothing of this project: see the README beside the data.
describe.each(RECORD_FILES)('known answers of %s', (file) => {
  const cases = recordCases(DATA, file);
  expect(cases.length).toBeGreaterThan(0);
  test.each(cases)('$name', ({ run }) => run());
});
