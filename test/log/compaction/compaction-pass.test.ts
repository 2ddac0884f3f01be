import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { incrementSequence } from '../../../src/log/producer-state.js';
import { decodeBatch } from '../../../src/record/batch-compression.js';
import {
  isControl,
  isTransactional,
  lastOffsetOf,
  readBatchHeader,
  verifyBatch,
} from '../../../src/record/batch-header.js';
import { controlRecordType } from '../../../src/record/control-record.js';
import { CompactedLog, type CompactionStep } from '../../conformance/drivers/compacted-log.js';

const DELETE_RETENTION_MS = 1000;
const KEYS = ['a', 'b', 'c', 'd', 'e'];
const PLAIN = 0;

/** What the model keeps of each record that was ever written. */
interface Written {
  readonly offset: number;
  readonly key: string;
  readonly value: string | null;
  readonly producerId: number;
  /** Of a transactional record, once the marker is there. */
  outcome: 'commit' | 'abort' | 'open' | 'plain';
}

interface Left {
  readonly offset: number;
  readonly key: string;
  readonly value: string | null;
  readonly visible: boolean;
}

type Op =
  | { readonly op: 'append'; readonly producerId: number; readonly records: [string, string | null][] }
  | { readonly op: 'end'; readonly producerId: number; readonly type: 'commit' | 'abort' }
  | { readonly op: 'clean'; readonly slots: number; readonly sleptMs: number };

const records = fc.array(fc.tuple(fc.constantFrom(...KEYS), fc.option(fc.string({ maxLength: 3 }), { freq: 3 })), {
  minLength: 1,
  maxLength: 4,
});

/** Producer 0 is none, 1 and 2 are idempotent, 3 and 4 transactional. */
const op: fc.Arbitrary<Op> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ op: fc.constant('append' as const), producerId: fc.nat(4), records }) },
  {
    weight: 3,
    arbitrary: fc.record({
      op: fc.constant('end' as const),
      producerId: fc.constantFrom(3, 4),
      type: fc.constantFrom('commit' as const, 'abort' as const),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      op: fc.constant('clean' as const),
      slots: fc.constantFrom(3, 6, 1000),
      sleptMs: fc.constantFrom(0, 0, DELETE_RETENTION_MS / 2, DELETE_RETENTION_MS),
    }),
  },
);

/** A log and a list of all that was ever written to it. */
class Modelled {
  readonly log = new CompactedLog({ deleteRetentionMs: DELETE_RETENTION_MS, segmentBytes: 400 }, 1_000_000);
  readonly written: Written[] = [];
  readonly sequences = new Map<number, number>();
  readonly openSince = new Map<number, number>();
  nextOffset = 0;

  async run(step: Op): Promise<void> {
    if (step.op === 'append') await this.#append(step.producerId, step.records);
    else if (step.op === 'end') await this.#end(step.producerId, step.type);
    else await this.clean(step.slots, step.sleptMs);
  }

  async clean(slots: number, sleptMs: number): Promise<void> {
    // Kafka's rule, see cleanablePart: the dirty part ends before the first open transaction.
    for (const producerId of this.openSince.keys()) await this.#end(producerId, 'commit');
    await this.#apply({ op: 'sleep', ms: sleptMs });
    await this.#apply({ op: 'roll' });
    await this.#apply({ op: 'cleanPass', slots });
  }

  async #append(producerId: number, batch: readonly [string, string | null][]): Promise<void> {
    const txn = producerId > 2;
    const sequence = this.sequences.get(producerId) ?? 0;
    const producer = producerId === PLAIN ? {} : { producerId, epoch: 0, sequence, txn };
    await this.#apply({ op: 'append', records: batch, ...producer });
    this.sequences.set(producerId, sequence + batch.length);
    if (txn && !this.openSince.has(producerId)) this.openSince.set(producerId, this.nextOffset);
    for (const [key, value] of batch) {
      this.written.push({ offset: this.nextOffset++, key, value, producerId, outcome: txn ? 'open' : 'plain' });
    }
  }

  async #end(producerId: number, type: 'commit' | 'abort'): Promise<void> {
    if (!this.openSince.delete(producerId)) return;
    await this.#apply({ op: 'marker', type, producerId, epoch: 0 });
    this.nextOffset++;
    for (const record of this.written) {
      if (record.producerId === producerId && record.outcome === 'open') record.outcome = type;
    }
  }

  #apply(step: Pick<CompactionStep, 'op'> & Partial<CompactionStep>): Promise<void> {
    return this.log.apply({ records: [], type: 'commit', ms: 0, ...step });
  }

  /** As a read_committed consumer sees it: by the aborted transactions and the markers, as Kafka's client does. */
  async left(): Promise<Left[]> {
    const left: Left[] = [];
    const ahead = this.log.aborted.toSorted((a, b) => a.firstOffset - b.firstOffset);
    const aborted = new Set<number>();
    for (const batch of this.log.batches()) {
      const header = verifyBatch(batch);
      while (ahead[0] && ahead[0].firstOffset <= lastOffsetOf(header)) aborted.add(ahead.shift()!.producerId);
      const decoded = await decodeBatch(batch);
      if (isControl(header)) {
        if (decoded[0] && controlRecordType(decoded[0].key) === 'abort') aborted.delete(header.producerId);
        continue;
      }
      const visible = !(isTransactional(header) && aborted.has(header.producerId));
      for (const { offset, key, value } of decoded) {
        left.push({ offset, key: String(key), value: value && String(value), visible });
      }
    }
    return left;
  }
}

describe('after any appends and passes', () => {
  // Goal: S1 of guarantees.md. Method: a list of all records ever written; what a pass may not have covered (the map was
  // full) is only held to "nothing needed is gone".
  test('of each key at least the last record is left, of what was cleaned at most that; nothing moved or changed', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(op, { maxLength: 40 }), async (steps) => {
        const modelled = new Modelled();
        for (const step of [...steps, { op: 'clean', slots: 1000, sleptMs: 0 } as const]) {
          await modelled.run(step);
          if (step.op === 'clean') await expectCompacted(modelled);
        }
      }),
      { numRuns: 300 },
    );
  });

  test('a pass that runs again finds nothing to do', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(op, { maxLength: 30 }), async (steps) => {
        const modelled = new Modelled();
        for (const step of steps) await modelled.run(step);
        // The first drops data of aborted transactions, the second marks the markers without data.
        for (let pass = 0; pass < 3; pass++) await modelled.clean(1000, 0);
        const before = modelled.log.batches().map((batch) => [...batch]);
        await modelled.clean(1000, 0);
        expect(modelled.log.batches().map((batch) => [...batch])).toEqual(before);
      }),
      { numRuns: 60 },
    );
  });

  test('a tombstone is left for delete.retention.ms after the first pass that met it, then goes', async () => {
    const modelled = new Modelled();
    await modelled.run({ op: 'append', producerId: PLAIN, records: [['a', '1']] });
    await modelled.run({ op: 'append', producerId: PLAIN, records: [['a', null]] });
    await modelled.run({ op: 'append', producerId: PLAIN, records: [['b', '2']] });
    await modelled.clean(1000, 0);
    expect(await offsetsLeft(modelled)).toEqual([1, 2]);
    await modelled.clean(1000, DELETE_RETENTION_MS - 1);
    expect(await offsetsLeft(modelled)).toEqual([1, 2]);
    await modelled.clean(1000, 1);
    expect(await offsetsLeft(modelled)).toEqual([2]);
  });

  test('what a segment lacks at its end does not hold up the pass whose map is full there', async () => {
    const log = new CompactedLog({ segmentBytes: 160 }, 1_000_000);
    const apply = (step: Pick<CompactionStep, 'op'> & Partial<CompactionStep>) =>
      log.apply({ records: [], type: 'commit', ms: 0, ...step });
    for (const segment of ['ab', 'bc']) {
      for (const key of segment) await apply({ op: 'append', records: [[key, '1']] });
      await apply({ op: 'roll' });
    }
    await apply({ op: 'clean', from: 0 });
    expect(log.batches().map((batch) => readBatchHeader(batch).baseOffset)).toEqual([0, 2, 3]);
    await apply({ op: 'clean', from: 0, slots: 2 }); // room for one key
    expect(log.dirtyOffset).toBe(2);
  });

  test('data of an aborted transaction replaces nothing', async () => {
    const modelled = new Modelled();
    await modelled.run({ op: 'append', producerId: PLAIN, records: [['a', '1']] });
    await modelled.run({ op: 'append', producerId: 3, records: [['a', '2']] });
    await modelled.run({ op: 'end', producerId: 3, type: 'abort' });
    await modelled.clean(1000, 0);
    expect(await offsetsLeft(modelled)).toEqual([0]);
  });

  test('an abort marker outlives its data by one pass and delete.retention.ms, its index entry by none', async () => {
    const modelled = new Modelled();
    const indexed = () => modelled.log.aborted.map(({ firstOffset, lastOffset }) => [firstOffset, lastOffset]);
    const batches = () => modelled.log.batches().map((batch) => readBatchHeader(batch).baseOffset);
    await modelled.run({ op: 'append', producerId: 3, records: [['a', '1']] });
    await modelled.run({ op: 'append', producerId: PLAIN, records: [['b', '1']] });
    await modelled.run({ op: 'end', producerId: 3, type: 'abort' });
    await modelled.run({ op: 'append', producerId: 3, records: [['c', '1']] });
    await modelled.run({ op: 'end', producerId: 3, type: 'commit' });
    await modelled.clean(1000, 0);
    expect([batches(), indexed()]).toEqual([[1, 2, 3, 4], [[0, 2]]]);
    await modelled.clean(1000, 0);
    expect([batches(), indexed()]).toEqual([[1, 2, 3, 4], []]);
    await modelled.clean(1000, DELETE_RETENTION_MS - 1);
    expect(batches()).toEqual([1, 2, 3, 4]);
    await modelled.clean(1000, 1);
    expect(batches()).toEqual([1, 3, 4]);
  });
});

async function offsetsLeft(modelled: Modelled): Promise<number[]> {
  return (await modelled.left()).map(({ offset }) => offset);
}

async function expectCompacted(modelled: Modelled): Promise<void> {
  const { written, log } = modelled;
  const left = await modelled.left();
  const byOffset = new Map(written.map((record) => [record.offset, record]));
  expect(left.map(({ offset }) => offset)).toEqual(left.map(({ offset }) => offset).sort((a, b) => a - b));
  for (const { offset, key, value, visible } of left) {
    expect(byOffset.get(offset)).toMatchObject({ key, value });
    expect(visible).toBe(byOffset.get(offset)?.outcome !== 'abort');
  }

  const needed = written.filter(({ outcome }) => outcome !== 'abort');
  const leftOffsets = new Set(left.map(({ offset }) => offset));
  for (const key of KEYS) {
    const last = needed.findLast((record) => record.key === key);
    if (last && last.value !== null) expect(leftOffsets).toContain(last.offset);
    const cleaned = left.filter((record) => record.key === key && record.offset < log.dirtyOffset);
    const lastCleaned = needed.findLast((record) => record.key === key && record.offset < log.dirtyOffset);
    // What a pass beyond its map left is cleaned by the next one: only then is there one record of each key.
    if (log.dirtyOffset === modelled.nextOffset) {
      expect(cleaned.length).toBeLessThanOrEqual(1);
      if (cleaned[0]) expect(cleaned[0].offset).toBe(lastCleaned?.offset);
      if (cleaned.length === 0) expect(lastCleaned?.value ?? null).toBe(null);
    }
  }

  // Offsets, and of every producer the last sequence, can be told from what is left.
  const headers = log.batches().map((batch) => readBatchHeader(batch));
  if (modelled.nextOffset > 0) expect(lastOffsetOf(headers.at(-1)!)).toBe(modelled.nextOffset - 1);
  for (const [producerId, sequence] of modelled.sequences) {
    if (producerId === PLAIN) continue;
    const last = headers.findLast((header) => header.producerId === producerId && !isControl(header))!;
    expect(incrementSequence(last.baseSequence, last.lastOffsetDelta + 1)).toBe(sequence);
  }
}
