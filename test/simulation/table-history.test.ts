import { expect, test } from 'vitest';
import { compactionViolations, type Put, type TableRecord } from './table-history.js';

const LOG = 'table-0';
const END_MS = 1_000;

const VALUE: Put = put({ id: 'put-0', value: 'kept', outcome: 'ok', offset: 0, endMs: 10 });

function put(fields: Pick<Put, 'id' | 'value' | 'outcome' | 'offset' | 'endMs'>): Put {
  return { log: LOG, key: 'key', ...fields };
}

/** A tombstone whose producer was killed before it had an answer. */
function unheardOf(outcome: Put['outcome']): Put {
  return put({ id: 'put-1', value: null, outcome, offset: undefined, endMs: undefined });
}

function violations(puts: Put[], records: readonly TableRecord[], deleteRetentionMs: number): string[] {
  const final = new Map([[LOG, { records, markerCount: 0, atMs: END_MS }]]);
  const bounds = { maxRecords: 10, maxMarkers: 10 };
  return compactionViolations({ deleteRetentionMs, puts, readers: [], snapshots: [], final, ...bounds });
}

test('a tombstone of which nobody heard may have taken an acknowledged record with it, once it may be gone itself', () => {
  expect(violations([VALUE, unheardOf('unknown')], [], END_MS / 2)).toEqual([]);
  expect(violations([VALUE, unheardOf('unknown')], [], 2 * END_MS)).toHaveLength(1);
});

test('one that was refused has not, nor has one that left what is older', () => {
  expect(violations([VALUE], [], END_MS / 2)).toHaveLength(1);
  expect(violations([VALUE, unheardOf('failed')], [], END_MS / 2)).toHaveLength(1);
  const newer = { ...VALUE, id: 'put-2', value: 'newer', offset: 5 };
  const older = { id: VALUE.id, offset: 0, key: 'key', value: VALUE.value, atMs: END_MS };
  expect(violations([VALUE, newer, unheardOf('unknown')], [older], END_MS / 2)).toHaveLength(1);
});
