import type { SchemaFixture } from '../fixtures/schema/schema-fixture.js';
import { describeSchemaFixture } from '../suites/schema-fixture.js';

for (const name of ['v1.json', 'v2.json']) {
  const load = async (): Promise<SchemaFixture> => {
    const answer = await fetch(new URL(`../fixtures/schema/${name}`, import.meta.url));
    return (await answer.json()) as SchemaFixture;
  };
  describeSchemaFixture(name, load, { describe, it, afterEach });
}
