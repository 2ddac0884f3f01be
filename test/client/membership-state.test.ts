import { expect, test } from 'vitest';
import {
  type MembershipEvent,
  type MembershipState,
  NOT_JOINED,
  stepMembership,
} from '../../src/client/consumer/membership-state.js';
import { seededRandom } from '../../src/runtime/seeded-random.js';

function walk(events: readonly MembershipEvent[]): { state: MembershipState; effects: string[] } {
  let state = NOT_JOINED;
  const effects: string[] = [];
  for (const event of events) {
    const next = stepMembership(state, event);
    state = next.state;
    effects.push(
      ...next.effects.map((effect) => (effect.type === 'Revoke' ? `Revoke lost=${effect.lost}` : effect.type)),
    );
  }
  return { state, effects };
}

const JOINED: readonly MembershipEvent[] = [
  { type: 'Started' },
  { type: 'Refused', error: 'MEMBER_ID_REQUIRED', memberId: 'm' },
  { type: 'Joined', memberId: 'm', generationId: 1 },
  { type: 'Synced' },
];

test('a new member is given an id, joins with it, and takes its assignment', () => {
  expect(walk(JOINED)).toEqual({
    state: { status: 'stable', memberId: 'm', generationId: 1 },
    effects: ['SendJoin', 'SendJoin', 'SendSync', 'TakeAssignment'],
  });
});

test.each([
  ['REBALANCE_IN_PROGRESS', 'm', false],
  ['ILLEGAL_GENERATION', 'm', true],
  ['UNKNOWN_MEMBER_ID', '', true],
] as const)('%s makes a member give up and join again', (error, memberId, lost) => {
  const { state, effects } = walk([...JOINED, { type: 'Refused', error }]);
  expect(state).toEqual({ status: 'joining', memberId });
  expect(effects.slice(4)).toEqual([`Revoke lost=${lost}`, 'SendJoin']);
});

test('a member that leaves gives up first, and hears nothing any more', () => {
  const { state, effects } = walk([...JOINED, { type: 'Left' }, { type: 'Refused', error: 'UNKNOWN_MEMBER_ID' }]);
  expect(state).toEqual({ status: 'left' });
  expect(effects.slice(4)).toEqual(['Revoke lost=false', 'SendLeave']);
});

// Goal: in whatever order answers come, what is assigned is given up exactly once before anything else is assigned.
test.each(Array.from({ length: 50 }, (_, seed) => seed))(
  'an assignment is revoked before the next (seed %i)',
  (seed) => {
    const random = seededRandom(seed);
    const events: MembershipEvent[] = [
      { type: 'Started' },
      { type: 'Joined', memberId: 'm', generationId: 1 },
      { type: 'Synced' },
      { type: 'Refused', error: 'REBALANCE_IN_PROGRESS' },
      { type: 'Refused', error: 'UNKNOWN_MEMBER_ID' },
      { type: 'RejoinWanted' },
    ];
    let state = NOT_JOINED;
    let assigned = false;
    for (let i = 0; i < 300; i++) {
      const next = stepMembership(state, events[random.below(events.length)]!);
      state = next.state;
      for (const { type } of next.effects) {
        if (type === 'TakeAssignment') {
          expect(assigned).toBe(false);
          assigned = true;
        }
        if (type === 'Revoke') {
          expect(assigned).toBe(true);
          assigned = false;
        }
      }
      expect(assigned).toBe(state.status === 'stable');
    }
  },
);
