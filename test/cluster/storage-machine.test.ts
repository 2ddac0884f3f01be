import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  initialStorage,
  type StorageEffect,
  type StorageEvent,
  type StorageMachine,
  stepStorage,
} from '../../src/cluster/storage-machine.js';

// Goal: the machine says what is, and asks for the opening that follows from it. Method: paths of the diagram one by one,
// and random paths beside a dumb model: one opening is under way, or none is needed.

const OPENED: StorageEvent = { type: 'Opened', incarnationId: 'a' };
const OTHER: StorageEvent = { type: 'Opened', incarnationId: 'b' };
const LOST: StorageEvent = { type: 'Lost', wedged: false, reason: 'closed' };
const WEDGED: StorageEvent = { type: 'Lost', wedged: true, reason: 'no answer' };
const FAILED: StorageEvent = { type: 'OpenFailed', failure: 'failed', reason: 'broken' };
const DENIED: StorageEvent = { type: 'OpenFailed', failure: 'denied', reason: 'blocked' };
const OUTDATED: StorageEvent = { type: 'OpenFailed', failure: 'outdated', reason: 'newer' };
const NEWER: StorageEvent = { type: 'OpenedInstead', what: 'newer-database', incarnationId: 'a' };
const MEMORY: StorageEvent = { type: 'OpenedInstead', what: 'memory', incarnationId: 'm' };
const REFUSED: StorageEvent = { type: 'Refused', usage: 90, quota: 100 };
const ROOM: StorageEvent = { type: 'RoomFound' };
const WRITTEN: StorageEvent = { type: 'Written' };

function reached(
  events: readonly StorageEvent[],
  memoryAllowed = false,
): { readonly machine: StorageMachine; readonly effects: readonly StorageEffect[] } {
  let step = initialStorage({ memoryAllowed });
  for (const event of events) step = stepStorage(step.machine, event);
  return step;
}

describe('what is seen', () => {
  test.each([
    ['opening', []],
    ['ready', [OPENED]],
    ['full', [OPENED, REFUSED]],
    ['ready', [OPENED, REFUSED, ROOM]],
    ['reopening', [OPENED, REFUSED, LOST]],
    ['reopening', [OPENED, LOST, FAILED]],
    ['ready', [OPENED, LOST, FAILED, OPENED]],
    ['reopening', [{ ...FAILED, hasOpened: true }]],
    ['ready', [{ ...FAILED, hasOpened: true }, OPENED]],
    ['wedged', [OPENED, WEDGED]],
    ['wedged', [OPENED, WEDGED, FAILED]],
    ['ready', [OPENED, WEDGED, OPENED]],
    ['reset', [OPENED, LOST, OTHER]],
    ['ready', [OPENED, LOST, OTHER, WRITTEN]],
    ['full', [OPENED, LOST, OTHER, REFUSED]],
    ['read-only', [OUTDATED]],
    ['read-only', [OPENED, LOST, OUTDATED, NEWER]],
    ['ready', [OPENED, LOST, OUTDATED, NEWER, LOST, OPENED]],
    ['ready', [OPENED, ROOM, WRITTEN]],
  ] as const)('%s', (status, events) => {
    expect(reached(events).machine.state.status).toBe(status);
  });

  test('of a full disk, its figures; of wiped data, what was lost; of another way to run, why', () => {
    expect(reached([OPENED, REFUSED]).machine.state).toEqual({
      status: 'full',
      incarnationId: 'a',
      usage: 90,
      quota: 100,
    });
    const reset = { status: 'reset', incarnationId: 'b', lostIncarnationId: 'a' };
    expect(reached([OPENED, LOST, OTHER]).machine.state).toEqual(reset);
    const memory = { status: 'degraded-memory', incarnationId: 'm', reason: 'blocked' };
    expect(reached([DENIED, MEMORY], true).machine.state).toEqual(memory);
    expect(reached([OUTDATED]).machine.state).toEqual({ status: 'read-only', readable: false, reason: 'newer' });
    const readable = { status: 'read-only', readable: true, reason: 'newer' };
    expect(reached([OUTDATED, NEWER]).machine.state).toEqual(readable);
  });
});

describe('what is asked for', () => {
  test('memory only where it is allowed, and never in place of data that was open', () => {
    expect(reached([DENIED], true).effects).toEqual([{ type: 'OpenMemory' }]);
    expect(reached([DENIED]).effects).toEqual([{ type: 'GiveUp' }]);
    expect(reached([FAILED], true).effects).toEqual([{ type: 'GiveUp' }]);
    expect(reached([OPENED, LOST, DENIED], true).effects).toEqual([{ type: 'Open', afterMs: 100 }]);
  });

  test('a newer version’s data is opened to be read, once, and not in a loop', () => {
    expect(reached([OPENED, LOST, OUTDATED]).effects).toEqual([{ type: 'OpenReadOnly' }]);
    expect(reached([OPENED, LOST, OUTDATED, OUTDATED]).effects).toEqual([]);
  });

  test('a database that does not open is tried again ever later, and soon again after it was open', () => {
    const rests = [1, 2, 3, 7, 8, 20].map((failures) => {
      return reached([OPENED, LOST, ...Array<StorageEvent>(failures).fill(FAILED)]).effects;
    });
    expect(rests).toEqual([100, 200, 400, 6400, 10_000, 10_000].map((afterMs) => [{ type: 'Open', afterMs }]));
    expect(reached([OPENED, LOST, FAILED, FAILED, OPENED, LOST, FAILED]).effects).toEqual([
      { type: 'Open', afterMs: 100 },
    ]);
  });
});

test('there is never more than one opening under way, and while nothing is open there is one, or the end', () => {
  const fromOpening = fc.constantFrom(OPENED, OTHER, FAILED, DENIED, OUTDATED);
  const whileOpen = fc.constantFrom(LOST, WEDGED, REFUSED, ROOM, WRITTEN);
  const paths = fc.array(fc.tuple(fromOpening, whileOpen), { maxLength: 40 });
  fc.assert(
    fc.property(paths, fc.boolean(), (path, memoryAllowed) => {
      let { machine, effects } = initialStorage({ memoryAllowed });
      for (const [outcome, later] of path) {
        const asked = effects.filter(({ type }) => type !== 'GiveUp');
        expect(asked.length).toBeLessThanOrEqual(1);
        const isOpen = ['ready', 'full', 'reset', 'degraded-memory'].includes(machine.state.status);
        let event: StorageEvent = later;
        if (asked[0]?.type === 'OpenMemory') event = MEMORY;
        else if (asked[0]?.type === 'OpenReadOnly') event = outcome.type === 'Opened' ? NEWER : OUTDATED;
        else if (asked[0]?.type === 'Open') event = outcome;
        else if (!isOpen) return; // gave up, or says that it cannot even read
        ({ machine, effects } = stepStorage(machine, event));
        if (machine.state.status === 'reopening' || machine.state.status === 'wedged') expect(effects).toHaveLength(1);
      }
    }),
  );
});
