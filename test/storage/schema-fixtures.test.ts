import 'fake-indexeddb/auto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { afterEach, describe, expect, it, test } from 'vitest';
import { SCHEMA_VERSION } from '../../src/storage/schema.js';
import type { SchemaFixture } from '../fixtures/schema/schema-fixture.js';
import { describeSchemaFixture } from '../suites/schema-fixture.js';

const FOLDER = new URL('../fixtures/schema/', import.meta.url);
const FIXTURES = readdirSync(FOLDER).filter((name) => /^v\d+\.json$/.test(name));

test('every version before the present one has its fixture', () => {
  for (let version = 1; version < SCHEMA_VERSION; version++) {
    const name = `v${version}.json`;
    expect(existsSync(new URL(name, FOLDER)), `${name}: see test/fixtures/schema/README.md`).toBe(true);
  }
  expect(FIXTURES.length).toBeGreaterThan(0);
});

for (const name of FIXTURES) {
  const load = async (): Promise<SchemaFixture> =>
    JSON.parse(readFileSync(new URL(name, FOLDER), 'utf8')) as SchemaFixture;
  describeSchemaFixture(name, load, { describe, it: (promise, body) => void it(promise, body), afterEach });
}
