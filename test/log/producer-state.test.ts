import { describe, expect, test } from 'vitest';
import { type ProducerBatch, ProducerState } from '../../src/log/producer-state.js';
import { appendEndMarker, TransactionalProducers } from '../../src/log/transactional-producers.js';
import { KafkaError } from '../../src/protocol/errors.js';

const MAX_SEQUENCE = 2 ** 31 - 1;
const HOUR_MS = 60 * 60 * 1000;

describe('sequences', () => {
  test('go from 2^31 - 1 on to 0, also inside of a batch', () => {
    const state = new ProducerState();
    append(state, { firstSequence: MAX_SEQUENCE - 2, lastSequence: 1, firstOffset: 0, lastOffset: 4 });
    expect(nameOf(() => append(state, { firstSequence: 1, firstOffset: 5 }))).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER');
    append(state, { firstSequence: 2, lastSequence: MAX_SEQUENCE, firstOffset: 5, lastOffset: MAX_SEQUENCE + 3 });
    append(state, { firstSequence: 0, firstOffset: MAX_SEQUENCE + 4 });
  });

  test('are checked within one append as between appends, and nothing is changed by one that fails', () => {
    const state = new ProducerState();
    const prepared = state.prepare(1, 'client');
    prepared.appendBatch(batchOf({ firstSequence: 5, firstOffset: 0 }));
    expect(nameOf(() => prepared.appendBatch(batchOf({ firstSequence: 7, firstOffset: 1 })))).toBe(
      'OUT_OF_ORDER_SEQUENCE_NUMBER',
    );
    expect(state.entry(1)).toBeUndefined();
  });

  test('of a producer that lost its first batch begin with that one', () => {
    const state = new ProducerState();
    state.noteLost([5, 3, 4].map((sequence) => ({ producerId: 1, producerEpoch: 0, sequence })));
    expect(nameOf(() => append(state, { firstSequence: 4, firstOffset: 0 }))).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER');
    append(state, { firstSequence: 3, firstOffset: 0 });
    append(state, { firstSequence: 4, firstOffset: 1 });
    expect([...state.lost()]).toEqual([]);
  });
});

describe('transactions', () => {
  test('hold the first unstable offset until their marker is below the high watermark', () => {
    const state = new TransactionalProducers();
    append(state, { producerId: 1, firstOffset: 10, transactional: true });
    append(state, { producerId: 2, firstOffset: 11, transactional: true });
    expect([state.firstUnstableOffset(), state.firstUndecidedOffset()]).toEqual([10, 10]);
    const completed = end(state, 1, 12);
    expect(state.lastStableOffsetAfter(completed)).toBe(11);
    expect([state.firstUnstableOffset(), state.firstUndecidedOffset()]).toEqual([10, 11]);
    state.highWatermarkAdvanced(12);
    expect(state.firstUnstableOffset()).toBe(10);
    state.highWatermarkAdvanced(13);
    expect(state.firstUnstableOffset()).toBe(11);
    expect(state.lastStableOffsetAfter(end(state, 2, 13))).toBe(14);
    state.highWatermarkAdvanced(14);
    expect([state.firstUnstableOffset(), state.firstUndecidedOffset()]).toEqual([undefined, undefined]);
  });

  test('survive a snapshot, and keep their producer from expiring', () => {
    const state = new TransactionalProducers();
    append(state, { producerId: 1, firstOffset: 10, transactional: true });
    append(state, { producerId: 2, firstOffset: 11 });
    state.producers.advanceTo(12);
    const reloaded = new TransactionalProducers();
    reloaded.load(structuredClone(state.producers.snapshot()), 25 * HOUR_MS);
    expect([...reloaded.producers.producers().keys()]).toEqual([1]);
    expect([reloaded.firstUnstableOffset(), reloaded.producers.mapEndOffset]).toEqual([10, 12]);
  });

  test('an older coordinator is fenced, a replica takes what its leader took', () => {
    const state = new TransactionalProducers();
    end(state, 1, 5, 3);
    const older = { type: 'abort', producerEpoch: 0, coordinatorEpoch: 2, offset: 6, timestampMs: 0 } as const;
    expect(nameOf(() => appendEndMarker(state.producers.prepare(1, 'coordinator'), older))).toBe(
      'TRANSACTION_COORDINATOR_FENCED',
    );
    appendEndMarker(state.producers.prepare(1, 'replication'), older);
  });
});

test('producers expire by silence alone', () => {
  const state = new ProducerState();
  append(state, { producerId: 1, firstOffset: 0, maxTimestampMs: 0 });
  append(state, { producerId: 2, firstOffset: 1, maxTimestampMs: HOUR_MS });
  state.removeExpired(24 * HOUR_MS);
  expect([...state.producers().keys()]).toEqual([2]);
  state.logStartAdvanced(10);
  expect([state.producers().size, state.mapEndOffset]).toEqual([1, 10]);
});

test('as many batches are remembered as was said; of a producer that fell silent only the last five', () => {
  const state = new ProducerState({ batchesRemembered: 20 });
  const known = (): number[] => state.entry(1)!.batches.map(({ lastSequence }) => lastSequence);
  for (let i = 0; i < 30; i++) append(state, { firstSequence: i, firstOffset: i, maxTimestampMs: HOUR_MS });
  const last = Array.from({ length: 20 }, (_, i) => i + 10);
  state.removeExpired(HOUR_MS + 60_000);
  expect(known()).toEqual(last);
  state.removeExpired(2 * HOUR_MS);
  expect(known()).toEqual(last.slice(-5));
  append(state, { firstSequence: 30, firstOffset: 30 });
  expect(known()).toEqual([...last.slice(-5), 30]);
});

function batchOf(changes: Partial<ProducerBatch>): ProducerBatch {
  const firstSequence = changes.firstSequence ?? 0;
  const firstOffset = changes.firstOffset ?? 0;
  return {
    producerEpoch: 0,
    firstSequence,
    lastSequence: firstSequence,
    firstOffset,
    lastOffset: firstOffset,
    maxTimestampMs: 0,
    transactional: false,
    ...changes,
  };
}

function append(
  state: ProducerState | TransactionalProducers,
  { producerId = 1, ...changes }: Partial<ProducerBatch> & { producerId?: number },
): void {
  const prepared = plainOf(state).prepare(producerId, 'client');
  prepared.appendBatch(batchOf(changes));
  state.update(prepared);
}

function plainOf(state: ProducerState | TransactionalProducers): ProducerState {
  return state instanceof TransactionalProducers ? state.producers : state;
}

function end(state: TransactionalProducers, producerId: number, offset: number, coordinatorEpoch = 0) {
  const prepared = state.producers.prepare(producerId, 'coordinator');
  const completed = appendEndMarker(prepared, {
    type: 'commit',
    producerEpoch: 0,
    coordinatorEpoch,
    offset,
    timestampMs: 0,
  });
  state.update(prepared);
  if (completed) state.completeTransaction(completed);
  return completed ?? { producerId, firstOffset: -1, lastOffset: offset, aborted: false };
}

function nameOf(work: () => void): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    if (error instanceof KafkaError) return error.type;
    throw error;
  }
}
