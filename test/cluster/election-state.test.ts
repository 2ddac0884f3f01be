import { describe, expect, test } from 'vitest';
import {
  type ElectionEffect,
  type ElectionEvent,
  type ElectionState,
  initialElection,
  leaderOf,
  stepElection,
  TICK_MS,
} from '../../src/cluster/election-state.js';
import { seededRandom } from '../../src/runtime/seeded-random.js';

const TICK: ElectionEvent = { type: 'Tick', elapsedMs: TICK_MS, jitterTicks: 0 };

/** Feeds events in order; collects all effects. */
function run(
  events: readonly ElectionEvent[],
  from: ElectionState = initialElection('me', { locks: true }),
): { state: ElectionState; effects: ElectionEffect[]; types: string[] } {
  let state = from;
  const effects: ElectionEffect[] = [];
  for (const event of events) {
    const step = stepElection(state, event);
    state = step.state;
    effects.push(...step.effects);
  }
  return { state, effects, types: effects.map((effect) => effect.type) };
}

const following = (): ElectionState => run([{ type: 'Started' }, { type: 'Heard', epoch: 4, hostId: 'other' }]).state;
const leading = (): ElectionState =>
  run([{ type: 'Started' }, { type: 'LockGranted' }, { type: 'Claimed', epoch: 5 }]).state;
const row = (heartbeatMs: number, epoch = 4) => ({ epoch, hostId: 'other', heartbeatMs });

/** Enough silence that a leader is suspected, the row read on the way. */
function suspect(state: ElectionState, heartbeatMs = 1): ElectionState {
  return run([TICK, TICK, { type: 'RowRead', row: row(heartbeatMs) }, TICK, TICK, TICK], state).state;
}

describe('becoming leader', () => {
  test('a granted lock is turned into a claim of the known epoch at once', () => {
    const { effects } = run([{ type: 'LockGranted' }], following());
    expect(effects).toContainEqual({ type: 'Claim', expectedEpoch: 4 });
  });

  test('with the lock held, a claim of an old epoch is repeated with the stored one', () => {
    const { effects } = run([{ type: 'LockGranted' }, { type: 'ClaimLost', row: row(1, 9) }], following());
    expect(effects.at(-1)).toEqual({ type: 'Claim', expectedEpoch: 9 });
  });

  test('the broker opens only under an epoch that was claimed, and is announced', () => {
    const { effects, state } = run(
      [{ type: 'Started' }, { type: 'LockGranted' }, { type: 'Claimed', epoch: 5 }],
      following(),
    );
    expect(effects.slice(-2)).toEqual([
      { type: 'OpenBroker', epoch: 5 },
      { type: 'Announce', epoch: 5 },
    ]);
    expect(leaderOf(state)).toEqual({ epoch: 5, hostId: 'me' });
  });

  test('without locks, silence alone makes a candidate', () => {
    const start = run(
      [{ type: 'Started' }, { type: 'Heard', epoch: 4, hostId: 'other' }],
      initialElection('me', { locks: false }),
    );
    const { effects } = run([{ type: 'Probed', echo: true, row: row(1) }], suspect(start.state));
    expect(effects).toEqual([
      { type: 'PostCandidacy', epoch: 4 },
      { type: 'Claim', expectedEpoch: 4 },
    ]);
  });

  test('without locks, a resignation makes candidates of all at once', () => {
    const start = run([{ type: 'Heard', epoch: 4, hostId: 'other' }], initialElection('me', { locks: false }));
    const { types } = run([{ type: 'Resigned', epoch: 4, hostId: 'other' }], start.state);
    expect(types).toContain('Claim');
  });
});

describe('a silent leader that holds its lock', () => {
  test('is robbed only after a probe of our own channel and an unchanged row', () => {
    const suspecting = suspect(following());
    const { effects } = run([{ type: 'Probed', echo: true, row: row(1) }], suspecting);
    expect(effects).toEqual([{ type: 'ReleaseLock' }, { type: 'QueueLock', steal: true }]);
  });

  test.each([
    ['our own channel is dead', { type: 'Probed', echo: false, row: undefined }],
    ['it left a sign of life in the database', { type: 'Probed', echo: true, row: row(2) }],
    ['the database could not be read', { type: 'Probed', echo: true, row: undefined }],
  ] satisfies [string, ElectionEvent][])('is left alone where %s', (_, probed) => {
    expect(run([probed], suspect(following())).types).toEqual([]);
  });

  test('is left alone by a host that slept itself', () => {
    const ticks: ElectionEvent[] = Array.from({ length: 50 }, () => ({ ...TICK, elapsedMs: 60_000 }));
    expect(run(ticks, following()).types).not.toContain('Probe');
  });

  test('is robbed once an epoch', () => {
    const robbed = run([{ type: 'Probed', echo: true, row: row(1) }], suspect(following())).state;
    const silence: ElectionEvent[] = [];
    for (let i = 0; i < 40; i++) silence.push(TICK, { type: 'RowRead', row: row(1) });
    const again = run([...silence, { type: 'Probed', echo: true, row: row(1) }], robbed);
    expect(again.types).toContain('Probe');
    expect(again.effects).not.toContainEqual({ type: 'QueueLock', steal: true });
  });

  test('clears itself of suspicion with a late heartbeat', () => {
    const cleared = run(
      [
        { type: 'Heard', epoch: 4, hostId: 'other' },
        { type: 'Probed', echo: true, row: row(1) },
      ],
      suspect(following()),
    );
    expect(cleared.types).toEqual([]);
  });
});

describe('a leader that is deposed', () => {
  test.each([
    ['its lock was stolen', { type: 'LockLost' }],
    ['a write was fenced', { type: 'Fenced', epoch: 5 }],
    ['it hears a higher epoch', { type: 'Heard', epoch: 6, hostId: 'other' }],
  ] satisfies [string, ElectionEvent][])('closes its broker first and then waits in line (%s)', (_, event) => {
    const { types, state } = run([event], leading());
    expect(types).toEqual(['CloseBroker', 'ReleaseLock', 'QueueLock']);
    expect(state.role).toBe('standby');
  });

  test('is not what a leader becomes by late mail', () => {
    const late: ElectionEvent[] = [
      { type: 'Heard', epoch: 4, hostId: 'other' },
      { type: 'Resigned', epoch: 4, hostId: 'other' },
      { type: 'Fenced', epoch: 3 },
    ];
    expect(run(late, leading()).state.role).toBe('leading');
  });
});

describe('a leader that resigns', () => {
  test('frees the lock only after its broker has closed and the others were told', () => {
    for (const event of [{ type: 'Closed' }, { type: 'StepDown' }, { type: 'BrokerFailed' }] as const) {
      expect(run([event], leading()).types).toEqual(['CloseBroker', 'Resign', 'ReleaseLock']);
    }
  });

  test('rests the longer, the more often its broker failed to open', () => {
    let state = leading();
    const rests: number[] = [];
    for (let i = 0; i < 3; i++) {
      state = run([{ type: 'BrokerFailed' }], state).state;
      let ticks = 0;
      for (; state.role === 'standby' && state.lock === 'none'; ticks++) state = run([TICK], state).state;
      rests.push(ticks);
      state = run([{ type: 'LockGranted' }, { type: 'Claimed', epoch: 6 + i }], state).state;
    }
    expect(rests).toEqual([2, 4, 8]);
  });

  test('is not revived by its own late heartbeat', () => {
    const { state } = run(
      [
        { type: 'Resigned', epoch: 4, hostId: 'other' },
        { type: 'Heard', epoch: 4, hostId: 'other' },
      ],
      following(),
    );
    expect(leaderOf(state)).toBeUndefined();
  });
});

// Goal: whatever happens in whatever order, the machine keeps its few promises. Method: random events into the pure
// step; a model counts open brokers and what of the lock is asked for.
test('no order of events opens two brokers, or leads without a claim, or forgets the lock (200 seeds)', () => {
  for (let seed = 0; seed < 200; seed++) {
    const random = seededRandom(seed);
    let state = initialElection('me', { locks: random.next() < 0.8 });
    let brokers = 0;
    let claimed = 0;
    let epoch = 0;
    for (let i = 0; i < 300; i++) {
      const event = i === 0 ? ({ type: 'Started' } as const) : randomEvent(random, state, epoch);
      if (event.type === 'Claimed') claimed = event.epoch;
      const step = stepElection(state, event);
      state = step.state;
      for (const effect of step.effects) {
        if (effect.type === 'OpenBroker') {
          expect(effect.epoch).toBe(claimed);
          brokers++;
        }
        if (effect.type === 'CloseBroker') brokers--;
        if (effect.type === 'Claim') epoch = Math.max(epoch, effect.expectedEpoch);
      }
      expect(brokers).toBe(state.role === 'leading' ? 1 : 0);
      expect(state.epoch).toBeGreaterThanOrEqual(0);
      if (state.role === 'standby' && state.locks && state.restTicks <= 1 && state.lock === 'none') {
        const next = stepElection(state, TICK);
        expect(next.effects.map((effect) => effect.type)).toContain('QueueLock');
      }
    }
  }
});

function randomEvent(random: ReturnType<typeof seededRandom>, state: ElectionState, epoch: number): ElectionEvent {
  const some = Math.max(0, epoch - 1) + random.below(4);
  const events: ElectionEvent[] = [
    TICK,
    TICK,
    { type: 'Tick', elapsedMs: random.below(5000), jitterTicks: random.below(3) },
    { type: 'Heard', epoch: some, hostId: random.below(2) === 0 ? 'other' : 'third' },
    { type: 'Resigned', epoch: some, hostId: 'other' },
    { type: 'CandidacyHeard' },
    { type: 'Asked' },
    { type: 'RowRead', row: row(random.below(3), some) },
    { type: 'Probed', echo: random.next() < 0.8, row: row(random.below(3), some) },
    { type: 'BrokerOpened' },
    { type: 'BrokerFailed' },
    { type: 'Fenced', epoch: some },
    { type: 'Renewed' },
    { type: 'StepDown' },
    { type: 'LockLost' },
  ];
  if (state.role === 'standby') events.push({ type: 'LockGranted' }, { type: 'LockGranted' });
  if (state.role === 'claiming') {
    events.push({ type: 'Claimed', epoch: state.epoch + 1 }, { type: 'Claimed', epoch: state.epoch + 1 });
    events.push({ type: 'ClaimLost', row: row(0, state.epoch + 1) }, { type: 'ClaimFailed' });
  }
  return events[random.below(events.length)]!;
}
