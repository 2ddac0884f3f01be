import { expect } from 'vitest';
import type { Acknowledged, Read } from './page/tab-api.js';

/** What one tab has read of a topic: dense, in order, each acknowledged record where it was acknowledged, none doubled. */
export function expectWholeLog(
  history: readonly Read[],
  ends: readonly number[],
  acknowledged: readonly Acknowledged[],
): void {
  const valueAt = new Map(history.map(({ partition, offset, value }) => [`${partition}@${offset}`, value]));
  for (const [partition, end] of ends.entries()) {
    const offsets = history.filter((read) => read.partition === partition).map((read) => read.offset);
    expect(offsets, 'offsets are dense and in order').toEqual(Array.from({ length: end }, (_, offset) => offset));
  }
  const values = history.map(({ value }) => value);
  expect(new Set(values).size, 'no record is doubled').toBe(values.length);
  const lost = acknowledged.filter(({ value, partition, offset }) => valueAt.get(`${partition}@${offset}`) !== value);
  expect(lost, 'each acknowledged record lies where it was acknowledged').toEqual([]);
  for (const [stream, sequences] of sequencesByStream(history)) {
    expect(sequences, `the order of ${stream}`).toEqual(sequences.toSorted((a, b) => a - b));
  }
}

/** The sequence numbers that each producer left in each partition, in offset order. */
function sequencesByStream(history: readonly Read[]): ReadonlyMap<string, readonly number[]> {
  const streams = new Map<string, number[]>();
  for (const { partition, value } of history) {
    const [producer, sequence] = value.split(':');
    const stream = `${producer} in partition ${partition}`;
    const sequences = streams.get(stream) ?? [];
    sequences.push(Number(sequence));
    streams.set(stream, sequences);
  }
  return streams;
}
