import assert from 'node:assert/strict';
import { describe, expect, test } from 'vitest';
import { commitError, nextDeadlineMs } from '../../../src/broker/coordinator/group-state.js';
import { errorCode } from '../../../src/protocol/errors.js';
import type { Random } from '../../../src/runtime/runtime.js';
import { seededRandom } from '../../../src/runtime/seeded-random.js';
import { bytes, GroupDriver, text } from './group-driver.js';

const NONE = 0;

function commitOf(memberId: string, generation: number, groupInstanceId: string | null = null) {
  return { groupId: 'g', generationIdOrMemberEpoch: generation, memberId, groupInstanceId, topics: [] };
}

/** Two dynamic members, stable at generation 2, `a` the leader. */
function stablePair(): { group: GroupDriver; a: string; b: string } {
  const group = new GroupDriver();
  const a = group.joined(group.joinNew())?.memberId ?? '';
  group.sync(a, 1, { [a]: 'all' });
  const joinB = group.joinNew();
  group.join({ memberId: a });
  const b = group.joined(joinB)?.memberId ?? '';
  group.sync(b, 2);
  group.sync(a, 2, { [a]: 'left', [b]: 'right' });
  expect(group.state.phase.name).toBe('Stable');
  return { group, a, b };
}

describe('joining', () => {
  test('a new member is told an id first and joins with it', () => {
    const group = new GroupDriver();
    const first = group.joined(group.join({}, 'given'));
    expect(first).toMatchObject({ errorCode: errorCode('MEMBER_ID_REQUIRED'), memberId: 'given' });
    const joined = group.joined(group.join({ memberId: 'given' }));
    expect(joined).toMatchObject({ errorCode: NONE, generationId: 1, leader: 'given', protocolName: 'range' });
    expect(joined?.members.map(({ memberId }) => memberId)).toEqual(['given']);
  });

  test('an id that was not used within the session timeout is forgotten', () => {
    const group = new GroupDriver();
    group.join({ sessionTimeoutMs: 10_000 }, 'late');
    group.advance(10_000);
    const joined = group.joined(group.join({ memberId: 'late' }));
    expect(joined?.errorCode).toBe(errorCode('UNKNOWN_MEMBER_ID'));
    expect(nextDeadlineMs(group.state)).toBeUndefined();
  });

  test('a member that joins a stable group makes the others join again, into the next generation', () => {
    const { group, a, b } = stablePair();
    expect(group.state.generationId).toBe(2);
    const join = group.joinNew();
    expect(group.heartbeat(a, 2)).toBe(errorCode('REBALANCE_IN_PROGRESS'));
    expect(group.joined(join)).toBeUndefined();
    group.join({ memberId: a });
    group.join({ memberId: b });
    expect(group.joined(join)).toMatchObject({ errorCode: NONE, generationId: 3, leader: a, members: [] });
  });

  test('who does not join again before the rebalance timeout is out', () => {
    const { group, a, b } = stablePair();
    const join = group.joinNew();
    group.join({ memberId: a });
    for (let i = 0; i < 6; i++) {
      group.advance(10_000);
      group.heartbeat(b, 2);
    }
    expect(group.joined(join)?.generationId).toBe(3);
    expect([...group.state.members.keys()]).not.toContain(b);
    expect(group.heartbeat(b, 2)).toBe(errorCode('UNKNOWN_MEMBER_ID'));
  });

  test('the protocol is the one that most members prefer among those that all know', () => {
    const group = new GroupDriver({ initialRebalanceDelayMs: 1000 });
    const named = (...names: string[]) => ({ protocols: names.map((name) => ({ name, metadata: bytes(name) })) });
    const calls = [
      group.joinNew(named('sticky', 'range', 'roundrobin')),
      group.joinNew(named('roundrobin', 'range')),
      group.joinNew(named('roundrobin', 'sticky', 'range')),
      group.joinNew(named('roundrobin', 'range')),
    ];
    group.advance(2000);
    for (const call of calls) expect(group.joined(call)?.protocolName).toBe('roundrobin');
    const other = group.joinNew(named('sticky'));
    expect(group.joined(other)?.errorCode).toBe(errorCode('INCONSISTENT_GROUP_PROTOCOL'));
  });

  test('another protocol type, or none, is refused', () => {
    const { group } = stablePair();
    const connect = group.joined(group.join({ protocolType: 'connect' }));
    expect(connect?.errorCode).toBe(errorCode('INCONSISTENT_GROUP_PROTOCOL'));
    const none = new GroupDriver();
    expect(none.joined(none.join({ protocols: [] }))?.errorCode).toBe(errorCode('INCONSISTENT_GROUP_PROTOCOL'));
  });

  test('the first rebalance waits for more members, each coming one anew, up to the rebalance timeout', () => {
    const group = new GroupDriver({ initialRebalanceDelayMs: 3000 });
    const calls = [group.joinNew({ rebalanceTimeoutMs: 7000 })];
    for (let i = 0; i < 3; i++) {
      group.advance(2000);
      expect(group.joined(calls[0]!)).toBeUndefined();
      calls.push(group.joinNew({ rebalanceTimeoutMs: 7000 }));
    }
    group.advance(1000);
    for (const call of calls) expect(group.joined(call)?.generationId).toBe(1);
    expect(group.joined(calls[0]!)?.members).toHaveLength(4);
  });

  test('a group waits for no more members once all that came have left again', () => {
    const group = new GroupDriver({ initialRebalanceDelayMs: 3000 });
    const id = group.joined(group.join())!.memberId;
    group.join({ memberId: id });
    expect(group.state.phase.name).toBe('PreparingRebalance');
    group.leave(id);
    expect(group.state.phase.name).toBe('Empty');
  });

  test('a member whose answer was lost gets it again without a rebalance', () => {
    const { group, b } = stablePair();
    const again = group.joined(group.join({ memberId: b }));
    expect(again).toMatchObject({ errorCode: NONE, generationId: 2 });
    expect(group.state.phase.name).toBe('Stable');
  });

  test('a leader that joins again starts a rebalance, and so does a changed subscription', () => {
    const first = stablePair();
    first.group.join({ memberId: first.a });
    expect(first.group.state.phase.name).toBe('PreparingRebalance');
    const second = stablePair();
    second.group.join({ memberId: second.b, protocols: [{ name: 'range', metadata: bytes('more') }] });
    expect(second.group.state.phase.name).toBe('PreparingRebalance');
  });
});

describe('syncing', () => {
  test('all members get their assignment once the leader has given it, and it is stored before', () => {
    const group = new GroupDriver();
    const { memberId: a } = group.joined(group.joinNew()) ?? { memberId: '' };
    const joinB = group.joinNew();
    group.join({ memberId: a });
    const b = group.joined(joinB)?.memberId ?? '';
    const syncB = group.sync(b, 2);
    expect(group.synced(syncB)).toBeUndefined();
    const syncA = group.sync(a, 2, { [a]: 'p0', [b]: 'p1' });
    expect(group.effects[0]).toEqual({ type: 'Store' });
    expect(text(group.synced(syncA)?.assignment)).toBe('p0');
    expect(text(group.synced(syncB)?.assignment)).toBe('p1');
  });

  test('a sync of another generation is refused, and one during a rebalance too', () => {
    const { group, a } = stablePair();
    expect(group.synced(group.sync(a, 1))?.errorCode).toBe(errorCode('ILLEGAL_GENERATION'));
    group.joinNew();
    expect(group.synced(group.sync(a, 2))?.errorCode).toBe(errorCode('REBALANCE_IN_PROGRESS'));
    expect(group.synced(group.sync('nobody', 2))?.errorCode).toBe(errorCode('UNKNOWN_MEMBER_ID'));
  });

  test('a sync that waits while the group rebalances again is answered REBALANCE_IN_PROGRESS', () => {
    const { group, a, b } = stablePair();
    const join = group.joinNew();
    group.join({ memberId: a });
    group.join({ memberId: b });
    const sync = group.sync(b, 3);
    group.leave(group.joined(join)?.memberId ?? '');
    expect(group.synced(sync)?.errorCode).toBe(errorCode('REBALANCE_IN_PROGRESS'));
  });

  test('a leader that never assigns is out after the rebalance timeout, and the others go on without it', () => {
    const { group, a, b } = stablePair();
    group.join({ memberId: a, rebalanceTimeoutMs: 20_000 });
    group.join({ memberId: b, rebalanceTimeoutMs: 20_000 });
    const sync = group.sync(b, 3);
    group.advance(10_000);
    group.heartbeat(a, 3);
    group.advance(10_000);
    expect(group.synced(sync)?.errorCode).toBe(errorCode('REBALANCE_IN_PROGRESS'));
    expect([...group.state.members.keys()]).toEqual([b]);
  });
});

describe('leaving and dying', () => {
  test('a member that leaves is gone at once, and the group rebalances', () => {
    const { group, a, b } = stablePair();
    expect(group.leave(a).members[0]?.errorCode).toBe(NONE);
    expect(group.leave(a).members[0]?.errorCode).toBe(errorCode('UNKNOWN_MEMBER_ID'));
    expect(group.heartbeat(b, 2)).toBe(errorCode('REBALANCE_IN_PROGRESS'));
    expect(group.joined(group.join({ memberId: b }))).toMatchObject({ generationId: 3, leader: b });
  });

  test('a silent member is out after its session timeout, one that beats or commits is not', () => {
    const { group, a, b } = stablePair();
    group.advance(29_000);
    expect(group.heartbeat(a, 2)).toBe(NONE);
    group.send({ type: 'MemberCommitted', memberId: b });
    group.advance(29_000);
    expect(group.state.members.size).toBe(2);
    expect(group.heartbeat(a, 2)).toBe(NONE);
    group.advance(2000);
    expect([...group.state.members.keys()]).toEqual([a]);
    expect(group.heartbeat(a, 2)).toBe(errorCode('REBALANCE_IN_PROGRESS'));
  });

  test('when the last member goes the group is empty, at a new generation, and that is stored', () => {
    const { group, a, b } = stablePair();
    group.leave(a);
    group.leave(b);
    expect(group.effects).toContainEqual({ type: 'Store' });
    expect(group.state).toMatchObject({ phase: { name: 'Empty' }, generationId: 3, protocolName: null });
  });

  test('a member whose call ended is out when it is not heard of again', () => {
    const { group, a, b } = stablePair();
    const call = group.join({ memberId: a });
    group.endCall(call);
    group.join({ memberId: b });
    expect(group.state.phase.name).toBe('PreparingRebalance');
    group.advance(30_000);
    expect([...group.state.members.keys()]).toEqual([b]);
    expect(group.state.phase.name).toBe('CompletingRebalance');
  });

  test('a new member whose call ended and that joins again waits for the others as long as any', () => {
    const { group, a, b } = stablePair();
    const call = group.joinNew();
    const id = [...group.state.members.keys()].at(-1) ?? '';
    group.endCall(call);
    const again = group.join({ memberId: id });
    group.join({ memberId: a });
    group.advance(25_000);
    group.heartbeat(b, 2); // still at work
    group.advance(25_000);
    group.join({ memberId: b });
    expect(group.joined(again)).toMatchObject({ errorCode: NONE, generationId: 3, memberId: id });
  });
});

describe('static members', () => {
  const instance = { groupInstanceId: 'i1' };

  function stableStatic(): { group: GroupDriver; id: string } {
    const group = new GroupDriver();
    const { memberId: id } = group.joined(group.join(instance)) ?? { memberId: '' };
    group.sync(id, 1, { [id]: 'mine' }, 'i1');
    return { group, id };
  }

  test('a static member that comes back keeps generation and assignment under a new member id', () => {
    const { group, id } = stableStatic();
    const again = group.joined(group.join(instance, 'second'));
    expect(again).toMatchObject({ errorCode: NONE, generationId: 1, memberId: 'second' });
    expect(again?.leader).not.toBe('second');
    expect(group.effects[0]).toEqual({ type: 'Store' });
    expect(group.state.phase.name).toBe('Stable');
    expect(text(group.synced(group.sync('second', 1, {}, 'i1'))?.assignment)).toBe('mine');
    expect(group.heartbeat(id, 1, 'i1')).toBe(errorCode('FENCED_INSTANCE_ID'));
    expect(commitError(group.state, commitOf(id, 1, 'i1'))?.type).toBe('FENCED_INSTANCE_ID');
  });

  test('one that comes back with another subscription makes the others join again', () => {
    const { group, id } = stableStatic();
    const protocols = [{ name: 'range', metadata: bytes('other topic') }];
    const again = group.joined(group.join({ ...instance, protocols }, 'second'));
    expect(again).toMatchObject({ errorCode: NONE, generationId: 2, leader: 'second', memberId: 'second' });
    expect(again?.members.map(({ metadata }) => text(metadata))).toEqual(['other topic']);
    expect(group.heartbeat(id, 1, 'i1')).toBe(errorCode('FENCED_INSTANCE_ID'));
  });

  test('of two with one instance id the one that waits is fenced', () => {
    const { group, id } = stableStatic();
    const other = group.joinNew();
    const waiting = group.join({ ...instance, memberId: id });
    expect(group.joined(waiting)?.generationId).toBe(2);
    const sync = group.sync(group.joined(other)?.memberId ?? '', 2);
    const again = group.join({ ...instance, memberId: id, protocols: [{ name: 'range', metadata: bytes('more') }] });
    expect(group.synced(sync)?.errorCode).toBe(errorCode('REBALANCE_IN_PROGRESS'));
    group.join(instance, 'twin');
    expect(group.joined(again)?.errorCode).toBe(errorCode('FENCED_INSTANCE_ID'));
    expect(group.heartbeat(id, 2, 'i1')).toBe(errorCode('FENCED_INSTANCE_ID'));
  });

  test('an absent static member keeps its place through a rebalance until its session ends', () => {
    const { group, id } = stableStatic();
    const other = group.joinNew({ rebalanceTimeoutMs: 10_000 });
    group.advance(29_000);
    expect([...group.state.members.keys()]).toContain(id);
    group.advance(1000);
    expect([...group.state.members.keys()]).not.toContain(id);
    group.advance(60_000);
    expect(group.joined(other)?.errorCode).toBe(NONE);
  });
});

describe('commits', () => {
  test('only a member of this generation commits while the group has members', () => {
    const { group, a } = stablePair();
    expect(commitError(group.state, commitOf(a, 2))).toBeUndefined();
    expect(commitError(group.state, commitOf(a, 1))?.type).toBe('ILLEGAL_GENERATION');
    expect(commitError(group.state, commitOf('nobody', 2))?.type).toBe('UNKNOWN_MEMBER_ID');
    expect(commitError(group.state, commitOf('', -1))?.type).toBe('UNKNOWN_MEMBER_ID');
  });

  test('a member may commit while the group prepares a rebalance, not while it completes one', () => {
    const { group, a, b } = stablePair();
    group.join({ memberId: a });
    expect(commitError(group.state, commitOf(b, 2))).toBeUndefined();
    group.join({ memberId: b });
    expect(commitError(group.state, commitOf(b, 3))?.type).toBe('REBALANCE_IN_PROGRESS');
  });

  test('anybody commits to an empty group or to none, if they claim no generation', () => {
    expect(commitError(undefined, commitOf('', -1))).toBeUndefined();
    expect(commitError(undefined, commitOf('m', 3))?.type).toBe('ILLEGAL_GENERATION');
    expect(commitError(new GroupDriver().state, commitOf('', -1))).toBeUndefined();
  });
});

// Goal: whatever members do, and whoever dies, (a) every call that waits is one of the state's, so none is forgotten;
// (b) a generation has one leader, and no partition has two owners in it (C7); (c) commits of older generations and of
// strangers are refused (C8); (d) a Tick at the deadline moves the deadline; (e) left alone, the group becomes empty.
// Method: random clients against the pure machine, with lost answers, silences and static twins.
test.each(Array.from({ length: 200 }, (_, seed) => seed))(
  'a group of members that come, go, freeze and die keeps its promises (seed %i)',
  (seed) => {
    const world = new GroupWorld(seededRandom(seed));
    for (let i = 0; i < 250; i++) world.step();
    world.leaveAlone();
  },
);

class GroupWorld {
  readonly #random: Random;
  readonly #group: GroupDriver;
  readonly #asked = new Set<number>();
  readonly #leaders = new Map<number, string>();
  #ids: string[] = [];
  #generation = 0;

  constructor(random: Random) {
    this.#random = random;
    this.#group = new GroupDriver({ initialRebalanceDelayMs: random.below(2) * 3000 });
  }

  step(): void {
    const { state } = this.#group;
    const id = this.#someId();
    const instance = state.members.get(id)?.groupInstanceId ?? null;
    const generation = state.generationId - (this.#random.below(8) === 0 ? 1 : 0);
    switch (this.#random.below(9)) {
      case 0: {
        const groupInstanceId = this.#random.below(3) === 0 ? `i${this.#random.below(3)}` : null;
        this.#ask(this.#group.join({ groupInstanceId, clientHost: this.#someHost() }));
        break;
      }
      case 1:
      case 2:
      case 3:
        this.#ask(
          this.#group.join({
            ...{ memberId: id, groupInstanceId: instance, rebalanceTimeoutMs: 20_000 },
            clientHost: state.members.get(id)?.clientHost ?? this.#someHost(),
          }),
        );
        break;
      case 4:
      case 5:
        this.#ask(this.#group.sync(id, generation, this.#assignments(), instance));
        break;
      case 6:
        if (instance === null && this.#random.below(2) === 0) this.#ask(this.#group.awaitNews(id, generation));
        else this.#group.heartbeat(id, generation, instance);
        break;
      case 7:
        if (this.#random.below(4) === 0) this.#group.leave(id, instance);
        else if (this.#random.below(8) === 0) this.#group.send({ type: 'HostDied', clientHost: this.#someHost() });
        else this.#group.advance(this.#random.below(12_000));
        break;
      default: {
        const waiting = [...this.#asked].find((call) => !this.#group.replies.has(call));
        if (waiting !== undefined && this.#random.below(6) === 0) {
          this.#asked.delete(waiting);
          this.#group.endCall(waiting);
        }
      }
    }
    this.#check();
  }

  leaveAlone(): void {
    for (let i = 0; i < 200 && nextDeadlineMs(this.#group.state) !== undefined; i++) {
      const deadlineMs = nextDeadlineMs(this.#group.state) ?? 0;
      this.#group.nowMs = Math.max(this.#group.nowMs, deadlineMs);
      this.#group.send({ type: 'Tick' });
      expect(nextDeadlineMs(this.#group.state) ?? Infinity).toBeGreaterThan(this.#group.nowMs);
      this.#check();
    }
    expect(this.#group.state.phase.name).toBe('Empty');
    expect([...this.#asked]).toEqual([]);
  }

  #ask(call: number): void {
    this.#asked.add(call);
  }

  #someId(): string {
    for (const effect of this.#group.effects) {
      if (effect.type !== 'Reply' || effect.api !== 'JoinGroup' || effect.response.memberId === '') continue;
      this.#ids = [...new Set([...this.#ids, effect.response.memberId])].slice(-6);
    }
    return this.#ids[this.#random.below(Math.max(1, this.#ids.length))] ?? 'nobody';
  }

  #someHost(): string {
    return `tab${this.#random.below(3)}`;
  }

  #assignments(): Record<string, string> {
    return Object.fromEntries([...this.#group.state.members.keys()].map((id, partition) => [id, `p${partition}`]));
  }

  #check(): void {
    const { state, replies } = this.#group;
    assert(state.generationId >= this.#generation);
    this.#generation = state.generationId;
    const held = [...state.members.values()].flatMap((m) => [m.joinCall, m.syncCall, m.newsCall]);
    for (const call of this.#asked) if (replies.has(call)) this.#asked.delete(call);
    const waiting = [...this.#asked];
    assert.deepEqual(held.filter((call) => call !== undefined).sort(), waiting.sort());

    for (const effect of this.#group.effects) {
      if (effect.type !== 'Reply' || effect.response.errorCode !== NONE) continue;
      if (effect.api === 'JoinGroup' && effect.response.members.length > 0) {
        const { generationId, memberId } = effect.response;
        assert.equal(this.#leaders.get(generationId) ?? memberId, memberId);
        this.#leaders.set(generationId, memberId);
      }
      if (effect.api === 'SyncGroup') {
        const partition = text(effect.response.assignment);
        if (partition === '') continue;
        const owners = [...state.members.values()].filter((member) => text(member.assignment) === partition);
        assert.equal(owners.length, 1);
      }
    }
    for (const id of this.#ids) {
      if (state.generationId > 0) assert(commitError(state, commitOf(id, state.generationId - 1)));
      if (!state.members.has(id)) assert(commitError(state, commitOf(id, state.generationId)));
    }
  }
}

describe('a host that dies', () => {
  /** `a` in one tab; `b`, one that is static, and one that only has its id, in the other. */
  function tabs(): { group: GroupDriver; a: string } {
    const group = new GroupDriver();
    const a = group.joined(group.joinNew({ clientHost: 'here' }))?.memberId ?? '';
    group.sync(a, 1, { [a]: 'all' });
    group.joinNew({ clientHost: 'there' });
    group.join({ groupInstanceId: 'still', clientHost: 'there' }, 'still-1');
    group.join({ memberId: a, clientHost: 'here' });
    group.join({ clientHost: 'there' }, 'pending');
    return { group, a };
  }

  test('takes its members along at once, and those that are about to join, but none that is static', () => {
    const { group, a } = tabs();
    group.send({ type: 'HostDied', clientHost: 'there' });
    expect([...group.state.members.values()].map((m) => m.groupInstanceId ?? m.memberId)).toEqual([a, 'still']);
    expect(group.state.pendingMembers.size).toBe(0);
    expect(group.state.phase.name).toBe('PreparingRebalance');
  });

  test('keeps nobody else waiting: the rest is the next generation', () => {
    const { group, a, b } = stablePair();
    const moved = group.joinNew({ clientHost: 'there' });
    group.join({ memberId: a });
    group.join({ memberId: b });
    expect(group.joined(moved)?.generationId).toBe(3);
    const rejoined = [
      group.joinNew({ clientHost: 'elsewhere' }),
      group.join({ memberId: a }),
      group.join({ memberId: b }),
    ];
    expect(rejoined.map((call) => group.joined(call))).toEqual([undefined, undefined, undefined]);
    group.send({ type: 'HostDied', clientHost: 'there' });
    expect(rejoined.map((call) => group.joined(call)?.generationId)).toEqual([4, 4, 4]);
  });

  test('nothing happens to a group without a member there', () => {
    const { group } = stablePair();
    const before = group.state;
    group.send({ type: 'HostDied', clientHost: 'there' });
    expect(group.state).toEqual(before);
    expect(group.effects).toEqual([]);
  });
});

describe('a heartbeat that waits', () => {
  test('is answered as soon as the group rebalances, where others would only be by their next', () => {
    const { group, a, b } = stablePair();
    const news = [group.awaitNews(a, 2), group.awaitNews(b, 2)];
    expect(news.map((call) => group.replies.has(call))).toEqual([false, false]);
    group.joinNew();
    const codes = news.map((call) => group.replies.get(call)?.response.errorCode);
    expect(codes).toEqual([errorCode('REBALANCE_IN_PROGRESS'), errorCode('REBALANCE_IN_PROGRESS')]);
  });

  test('is answered at once where the group rebalances already, or the member is not of it', () => {
    const { group, a } = stablePair();
    group.joinNew();
    const [during, stranger, old] = [group.awaitNews(a, 2), group.awaitNews('nobody', 2), group.awaitNews(a, 1)];
    const codes = [during, stranger, old].map((call) => group.replies.get(call)?.response.errorCode);
    expect(codes).toEqual(
      (['REBALANCE_IN_PROGRESS', 'UNKNOWN_MEMBER_ID', 'ILLEGAL_GENERATION'] as const).map((name) => errorCode(name)),
    );
  });

  test('is answered when its time is over, or by the next that waits, and is a sign of life but once', () => {
    const { group, a, b } = stablePair();
    const first = group.awaitNews(a, 2);
    group.advance(2_999);
    expect(group.replies.has(first)).toBe(false);
    group.advance(1);
    expect(group.replies.get(first)?.response.errorCode).toBe(NONE);
    const [second, third] = [group.awaitNews(a, 2), group.awaitNews(a, 2)];
    expect([second, third].map((call) => group.replies.get(call)?.response.errorCode)).toEqual([NONE, undefined]);
    group.advance(26_000);
    group.heartbeat(b, 2);
    group.advance(3_999);
    expect([...group.state.members.keys()]).toEqual([a, b]);
    group.advance(1);
    expect([...group.state.members.keys()]).toEqual([b]);
  });

  test('tells of the end of the session', () => {
    const { group, a, b } = stablePair();
    group.advance(10_000);
    group.heartbeat(b, 2);
    group.advance(19_999);
    const request = { groupId: 'g', generationId: 2, memberId: b, groupInstanceId: null, waitMs: 60_000 };
    group.send({ type: 'Heartbeat', call: 99, request });
    group.advance(1);
    expect(group.state.members.has(a)).toBe(false);
    expect(group.replies.get(99)?.response.errorCode).toBe(errorCode('REBALANCE_IN_PROGRESS'));
  });

  test('that nobody waits for any more is forgotten, and the member is not', () => {
    const { group, a } = stablePair();
    const news = group.awaitNews(a, 2);
    group.endCall(news);
    group.joinNew();
    expect(group.replies.has(news)).toBe(false);
    expect(group.heartbeat(a, 2)).toBe(errorCode('REBALANCE_IN_PROGRESS'));
  });

  test('of a member that joins again or leaves is answered', () => {
    const { group, a, b } = stablePair();
    const news = [group.awaitNews(a, 2), group.awaitNews(b, 2)];
    group.leave(b);
    expect(news.map((call) => group.replies.get(call)?.response.errorCode)).toEqual([
      errorCode('REBALANCE_IN_PROGRESS'),
      errorCode('UNKNOWN_MEMBER_ID'),
    ]);
  });
});
