import { errorFields, KafkaError, NO_ERROR } from '../../protocol/errors.js';
import type { Requests, Responses } from '../../protocol/requests.js';
import { assert, present, unreachable } from '../../util/assert.js';
import { bytesEqual } from '../../util/bytes-equal.js';

/** Names one request that waits for its answer; given by the coordinator, never used twice. */
export type CallId = number;

export interface GroupMember {
  readonly memberId: string;
  /** Static member (KIP-345): keeps its place while it is away, until its session ends. */
  readonly groupInstanceId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  /** In the order of the member's preference. */
  readonly protocols: readonly { readonly name: string; readonly metadata: Uint8Array }[];
  readonly assignment: Uint8Array;
  /** Without a sign of life until then the member is removed. Stands still while it waits for an answer. */
  readonly sessionDeadlineMs: number;
  /** Has not been in a generation yet. */
  readonly isNew: boolean;
  /** Has been told of the generation and has not asked for its assignment. */
  readonly owesSync: boolean;
  readonly joinCall: CallId | undefined;
  readonly syncCall: CallId | undefined;
  /** A heartbeat that waits for news, until then. The session runs on meanwhile. */
  readonly newsCall: CallId | undefined;
  readonly newsDueMs: number;
}

/** Was given its id and has not used it to join yet (KIP-394). */
export interface PendingMember {
  readonly clientHost: string;
  readonly lapsesMs: number;
}

export type GroupPhase =
  | { readonly name: 'Empty' }
  | {
      readonly name: 'PreparingRebalance';
      /** Members that have not joined until then are out. */
      readonly deadlineMs: number;
      /** The first rebalance of an empty group waits for more members, at most `remainingMs` beyond the deadline. */
      readonly initial: { readonly remainingMs: number; readonly grew: boolean } | undefined;
    }
  /** Members that owe their sync at the deadline are out, in both. */
  | { readonly name: 'CompletingRebalance'; readonly deadlineMs: number }
  | { readonly name: 'Stable'; readonly deadlineMs: number };

export interface GroupState {
  readonly groupId: string;
  readonly phase: GroupPhase;
  readonly generationId: number;
  readonly protocolType: string | null;
  readonly protocolName: string | null;
  readonly leaderId: string | null;
  /** By member id, in the order of their coming. */
  readonly members: ReadonlyMap<string, GroupMember>;
  /** By member id. */
  readonly pendingMembers: ReadonlyMap<string, PendingMember>;
}

export type GroupEvent =
  | {
      readonly type: 'JoinGroup';
      readonly call: CallId;
      readonly request: Requests['JoinGroup'];
      readonly newMemberId: string;
    }
  | { readonly type: 'SyncGroup'; readonly call: CallId; readonly request: Requests['SyncGroup'] }
  | { readonly type: 'Heartbeat'; readonly call: CallId; readonly request: Requests['Heartbeat'] }
  | { readonly type: 'LeaveGroup'; readonly call: CallId; readonly request: Requests['LeaveGroup'] }
  /** A commit of the member was taken: as good as a heartbeat. */
  | { readonly type: 'MemberCommitted'; readonly memberId: string }
  /** All that lived there is dead, which nobody has to wait a session timeout for; save static members, who may be back. */
  | { readonly type: 'HostDied'; readonly clientHost: string }
  /** Nobody waits for this answer any more. */
  | { readonly type: 'CallEnded'; readonly call: CallId }
  /** Time has passed. */
  | { readonly type: 'Tick' };

type AnsweredApi = 'JoinGroup' | 'SyncGroup' | 'Heartbeat' | 'LeaveGroup';

export type GroupEffect =
  /** The new state must be in the log before anything of this step is adopted or answered. */
  | { readonly type: 'Store' }
  | {
      readonly [A in AnsweredApi]: {
        readonly type: 'Reply';
        readonly call: CallId;
        readonly api: A;
        readonly response: Responses[A];
      };
    }[AnsweredApi];

export interface GroupContext {
  /** Monotonic. */
  readonly nowMs: number;
  /** Kafka's `group.initial.rebalance.delay.ms`. */
  readonly initialRebalanceDelayMs: number;
}

/** How long a new member may wait for the first answer to its join, whatever its session timeout (as in Kafka). */
export const NEW_MEMBER_JOIN_TIMEOUT_MS: number = 300_000;

const NO_BYTES = new Uint8Array();

export function emptyGroup(groupId: string): GroupState {
  return {
    groupId,
    phase: { name: 'Empty' },
    generationId: 0,
    protocolType: null,
    protocolName: null,
    leaderId: null,
    members: new Map(),
    pendingMembers: new Map(),
  };
}

/**
 * Moves one group of the classic protocol. The caller stores the new state where told to, adopts it, then replies.
 *
 *                    a member joins, leaves, is silent            all have joined, or the deadline
 *   Empty ──join──▶ PreparingRebalance ◀───────────────┬───────┐ ──────────────────────────────────┐
 *     ▲                    │ nobody joined              │       │                                   ▼
 *     └────────────────────┘                          Stable ◀──┴── leader syncs ──── CompletingRebalance
 *
 * - Each passage through PreparingRebalance ends with a generation one higher.
 * - Every join and sync that waits is answered: by the end of the phase, or when its member goes.
 * - Deadlines are data: the caller sends Tick at `nextDeadlineMs`.
 */
export function stepGroup(
  state: GroupState,
  event: GroupEvent,
  context: GroupContext,
): { readonly state: GroupState; readonly effects: readonly GroupEffect[] } {
  const group: Draft = { ...state, members: new Map(state.members), pendingMembers: new Map(state.pendingMembers) };
  const step: Step = { group, effects: [], ...context };
  switch (event.type) {
    case 'JoinGroup':
      join(step, event);
      break;
    case 'SyncGroup':
      sync(step, event);
      break;
    case 'Heartbeat':
      heartbeat(step, event);
      break;
    case 'LeaveGroup':
      leave(step, event);
      break;
    case 'MemberCommitted':
      seen(step, event.memberId);
      break;
    case 'HostDied':
      hostDied(step, event.clientHost);
      break;
    case 'CallEnded':
      endCall(step, event.call);
      break;
    case 'Tick':
      tick(step);
      break;
    default:
      unreachable(event);
  }
  return { state: group, effects: step.effects };
}

type Draft = { -readonly [F in keyof GroupState]: GroupState[F] } & {
  members: Map<string, GroupMember>;
  pendingMembers: Map<string, PendingMember>;
};

interface Step extends GroupContext {
  readonly group: Draft;
  readonly effects: GroupEffect[];
}

// ---------------------------------------------------------------- join

type JoinEvent = Extract<GroupEvent, { type: 'JoinGroup' }>;

function join(step: Step, event: JoinEvent): void {
  const { group, nowMs } = step;
  const { call, request, newMemberId } = event;
  const { memberId, groupInstanceId } = request;
  if (!agreesOnProtocol(group, request)) return failJoin(step, call, memberId, noCommonProtocol(group, request));

  if (memberId === '') {
    if (groupInstanceId === null) {
      const { clientHost, sessionTimeoutMs } = request;
      group.pendingMembers.set(newMemberId, { clientHost, lapsesMs: nowMs + sessionTimeoutMs });
      const error = new KafkaError('MEMBER_ID_REQUIRED', `join again as member ${newMemberId}`);
      return failJoin(step, call, newMemberId, error);
    }
    const previous = staticMember(group, groupInstanceId);
    return previous === undefined ? addMember(step, event, newMemberId) : replaceStaticMember(step, event, previous);
  }
  if (groupInstanceId === null && group.pendingMembers.has(memberId)) return addMember(step, event, memberId);

  const error = memberError(group, request);
  if (error !== undefined) return failJoin(step, call, memberId, error);
  const member = present(group.members.get(memberId), 'memberError checked it');
  const unchanged = sameProtocols(member.protocols, request.protocols);
  switch (group.phase.name) {
    case 'CompletingRebalance': // our answer was lost
      if (unchanged) return void step.effects.push(joinReply(call, group, member));
      break;
    case 'Stable': // a leader that joins again wants a rebalance, e.g. because partitions were added
      if (unchanged && group.leaderId !== memberId) return void step.effects.push(joinReply(call, group, member));
      break;
    case 'PreparingRebalance':
      break;
    case 'Empty':
      assert(false, 'an empty group has no member');
  }
  awaitJoin(step, call, member, request);
  prepareRebalance(step);
}

function addMember(step: Step, { call, request }: JoinEvent, memberId: string): void {
  const { group, nowMs } = step;
  group.pendingMembers.delete(memberId);
  if (group.members.size === 0) group.protocolType = request.protocolType;
  group.members.set(memberId, {
    memberId,
    groupInstanceId: request.groupInstanceId,
    clientId: request.clientId,
    clientHost: request.clientHost,
    sessionTimeoutMs: request.sessionTimeoutMs,
    rebalanceTimeoutMs: request.rebalanceTimeoutMs,
    protocols: request.protocols,
    assignment: NO_BYTES,
    sessionDeadlineMs: nowMs + NEW_MEMBER_JOIN_TIMEOUT_MS,
    isNew: true,
    owesSync: false,
    joinCall: call,
    syncCall: undefined,
    newsCall: undefined,
    newsDueMs: 0,
  });
  const { phase } = group;
  if (phase.name === 'PreparingRebalance' && phase.initial !== undefined) {
    group.phase = { ...phase, initial: { ...phase.initial, grew: true } };
  }
  prepareRebalance(step);
}

/**
 * A static member came back under a new member id: the old id is fenced, and nobody rebalances if nothing changes. Kafka
 * does not where only the subscription did; what the member no longer reads would then be read by nobody.
 */
function replaceStaticMember(step: Step, { call, request, newMemberId }: JoinEvent, previous: GroupMember): void {
  const { group, nowMs } = step;
  const { leaderId: leaderBefore, protocolName: protocolBefore } = group;
  const fenced = new KafkaError('FENCED_INSTANCE_ID', `${previous.groupInstanceId} is now member ${newMemberId}`);
  failCalls(step, previous, fenced);
  // In the old one's place, so that the order of members stays.
  const member: GroupMember = {
    ...previous,
    memberId: newMemberId,
    joinCall: undefined,
    syncCall: undefined,
    newsCall: undefined,
    sessionDeadlineMs: nowMs + request.sessionTimeoutMs,
  };
  group.members = new Map(
    [...group.members.values()].map((m) => (m === previous ? member : m)).map((m) => [m.memberId, m]),
  );
  if (leaderBefore === previous.memberId) group.leaderId = newMemberId;
  awaitJoin(step, call, member, request);

  const isUnchanged = bytesEqual(metadataOf(previous, protocolBefore), metadataOf(request, protocolBefore));
  if (group.phase.name === 'Stable' && selectProtocol(group) === protocolBefore && isUnchanged) {
    const joined = { ...present(group.members.get(newMemberId), 'just set'), joinCall: undefined };
    group.members.set(newMemberId, joined);
    step.effects.push({ type: 'Store' });
    // With the old leader's id even to the leader itself: it must not assign anew.
    step.effects.push(joinReply(call, { ...group, leaderId: leaderBefore }, joined));
    return;
  }
  prepareRebalance(step);
}

function awaitJoin(step: Step, call: CallId, member: GroupMember, request: Requests['JoinGroup']): void {
  failCalls(step, member, replaced(member));
  const { protocols, sessionTimeoutMs, rebalanceTimeoutMs, clientId, clientHost } = request;
  step.group.members.set(member.memberId, {
    ...member,
    ...{ protocols, sessionTimeoutMs, rebalanceTimeoutMs, clientId, clientHost },
    // An earlier call of it that ended, or of the static member before it, ran its session.
    ...(member.isNew && { sessionDeadlineMs: step.nowMs + NEW_MEMBER_JOIN_TIMEOUT_MS }),
    joinCall: call,
    syncCall: undefined,
    newsCall: undefined,
  });
}

/** From any live phase into PreparingRebalance; and out of it at once if nobody is waited for. */
function prepareRebalance(step: Step): void {
  const { group, nowMs, initialRebalanceDelayMs: delayMs } = step;
  const timeoutMs = rebalanceTimeoutMs(group);
  switch (group.phase.name) {
    case 'Empty':
      group.phase =
        delayMs > 0
          ? {
              name: 'PreparingRebalance',
              deadlineMs: nowMs + delayMs,
              initial: { remainingMs: Math.max(timeoutMs - delayMs, 0), grew: false },
            }
          : { name: 'PreparingRebalance', deadlineMs: nowMs + timeoutMs, initial: undefined };
      break;
    case 'CompletingRebalance':
    case 'Stable':
      for (const member of group.members.values()) {
        const assignment = group.phase.name === 'Stable' ? member.assignment : NO_BYTES;
        const left = { syncCall: undefined, newsCall: undefined, owesSync: false };
        group.members.set(member.memberId, { ...member, ...left, assignment });
        if (member.newsCall !== undefined) replyHeartbeat(step, member.newsCall, rebalancing(group));
        if (member.syncCall === undefined) continue;
        seen(step, member.memberId); // its session stood still while it waited
        replySync(step, member.syncCall, rebalancing(group));
      }
      group.phase = { name: 'PreparingRebalance', deadlineMs: nowMs + timeoutMs, initial: undefined };
      break;
    case 'PreparingRebalance':
      break;
    default:
      unreachable(group.phase);
  }
  completeJoinIfAllCame(step);
}

function completeJoinIfAllCame(step: Step): void {
  const { phase, members, pendingMembers } = step.group;
  if (phase.name !== 'PreparingRebalance' || (phase.initial !== undefined && members.size > 0)) return;
  if (members.size > 0 && pendingMembers.size > 0) return; // they will join in a moment
  for (const { joinCall } of members.values()) if (joinCall === undefined) return;
  completeJoin(step);
}

/** The next generation, of those who came; a static member that is away keeps its place until its session ends. */
function completeJoin(step: Step): void {
  const { group, nowMs } = step;
  for (const member of [...group.members.values()]) {
    if (member.joinCall === undefined && member.groupInstanceId === null) group.members.delete(member.memberId);
  }
  const joined = [...group.members.values()].filter(({ joinCall }) => joinCall !== undefined);
  const deadlineMs = nowMs + rebalanceTimeoutMs(group);
  const [first] = joined;
  if (first === undefined && group.members.size > 0) {
    group.phase = { name: 'PreparingRebalance', deadlineMs, initial: undefined };
    return;
  }
  group.generationId += 1;
  if (first === undefined) {
    group.phase = { name: 'Empty' };
    group.protocolName = null;
    group.leaderId = null;
    step.effects.push({ type: 'Store' });
    return;
  }
  group.phase = { name: 'CompletingRebalance', deadlineMs };
  group.protocolName = selectProtocol(group);
  if (!joined.some(({ memberId }) => memberId === group.leaderId)) group.leaderId = first.memberId;
  for (const member of joined) {
    const sessionDeadlineMs = nowMs + member.sessionTimeoutMs;
    const told = { ...member, joinCall: undefined, isNew: false, owesSync: true, sessionDeadlineMs };
    group.members.set(member.memberId, told);
  }
  for (const member of joined) step.effects.push(joinReply(present(member.joinCall, 'it joined'), group, member));
}

/** The protocol that most members prefer among those that all support; ties go to the first member's order. */
function selectProtocol(group: GroupState): string {
  const members = [...group.members.values()];
  const candidates = present(members[0], 'the group has members')
    .protocols.map(({ name }) => name)
    .filter((name) => members.every(({ protocols }) => protocols.some((protocol) => protocol.name === name)));
  const votes = new Map(candidates.map((name) => [name, 0]));
  for (const { protocols } of members) {
    const vote = protocols.find(({ name }) => votes.has(name))?.name;
    if (vote !== undefined) votes.set(vote, (votes.get(vote) ?? 0) + 1);
  }
  const [winner] = [...votes].sort(([, a], [, b]) => b - a);
  return present(winner, 'agreesOnProtocol keeps one protocol common')[0];
}

function agreesOnProtocol(group: GroupState, { protocolType, protocols }: Requests['JoinGroup']): boolean {
  if (group.members.size === 0) return protocolType !== '' && protocols.length > 0;
  if (protocolType !== group.protocolType) return false;
  const members = [...group.members.values()];
  return protocols.some(({ name }) => members.every((member) => member.protocols.some((other) => other.name === name)));
}

function sameProtocols(a: GroupMember['protocols'], b: GroupMember['protocols']): boolean {
  return (
    a.length === b.length &&
    a.every(({ name, metadata }, i) => name === b[i]?.name && bytesEqual(metadata, b[i]?.metadata ?? NO_BYTES))
  );
}

function metadataOf({ protocols }: Pick<GroupMember, 'protocols'>, protocolName: string | null): Uint8Array {
  return protocols.find(({ name }) => name === protocolName)?.metadata ?? NO_BYTES;
}

// ---------------------------------------------------------------- sync

function sync(step: Step, { call, request }: Extract<GroupEvent, { type: 'SyncGroup' }>): void {
  const { group } = step;
  const error = generationError(group, request);
  if (error !== undefined) return replySync(step, call, error);
  const member = present(group.members.get(request.memberId), 'generationError checked it');
  switch (group.phase.name) {
    case 'PreparingRebalance':
      return replySync(step, call, rebalancing(group));
    case 'CompletingRebalance':
      if (member.syncCall !== undefined) replySync(step, member.syncCall, replaced(member));
      group.members.set(member.memberId, { ...member, syncCall: call, owesSync: false });
      if (group.leaderId === member.memberId) assign(step, group.phase.deadlineMs, request.assignments);
      return;
    case 'Stable':
      group.members.set(member.memberId, { ...member, owesSync: false });
      seen(step, member.memberId);
      return replySync(step, call, member.assignment);
    case 'Empty':
      return assert(false, 'generationError refuses all in it');
    default:
      unreachable(group.phase);
  }
}

function assign(step: Step, deadlineMs: number, assignments: Requests['SyncGroup']['assignments']): void {
  const { group } = step;
  const assignmentOf = new Map(assignments.map(({ memberId, assignment }) => [memberId, assignment]));
  group.phase = { name: 'Stable', deadlineMs };
  step.effects.push({ type: 'Store' });
  for (const member of group.members.values()) {
    const assignment = assignmentOf.get(member.memberId) ?? NO_BYTES;
    group.members.set(member.memberId, { ...member, assignment, syncCall: undefined });
    if (member.syncCall === undefined) continue;
    seen(step, member.memberId);
    replySync(step, member.syncCall, assignment);
  }
}

// ---------------------------------------------------------------- life and death

function heartbeat(step: Step, { call, request }: Extract<GroupEvent, { type: 'Heartbeat' }>): void {
  const { group, nowMs } = step;
  const { memberId, waitMs = 0 } = request;
  let error = generationError(group, request);
  if (error === undefined) {
    seen(step, memberId);
    if (group.phase.name === 'PreparingRebalance') error = rebalancing(group);
  }
  if (error !== undefined) return replyHeartbeat(step, call, error);
  if (!(waitMs > 0)) return replyHeartbeat(step, call);
  const member = present(group.members.get(memberId), 'generationError checked it');
  if (member.newsCall !== undefined) replyHeartbeat(step, member.newsCall);
  group.members.set(memberId, { ...member, newsCall: call, newsDueMs: nowMs + waitMs });
}

function leave(step: Step, { call, request }: Extract<GroupEvent, { type: 'LeaveGroup' }>): void {
  const { group } = step;
  const countBefore = group.members.size;
  const members = request.members.map(({ memberId, groupInstanceId }) => {
    const outcome = { memberId, groupInstanceId, ...NO_ERROR };
    if (groupInstanceId === null && group.pendingMembers.delete(memberId)) return outcome;
    const found =
      memberId === '' && groupInstanceId !== null ? staticMember(group, groupInstanceId)?.memberId : memberId;
    const error = memberError(group, { memberId: found ?? memberId, groupInstanceId });
    if (error !== undefined) return { ...outcome, ...errorFields(error) };
    remove(step, present(group.members.get(found ?? ''), 'memberError checked it'));
    return outcome;
  });
  membersWent(step, countBefore);
  step.effects.push({ type: 'Reply', call, api: 'LeaveGroup', response: { ...NO_ERROR, members } });
}

function hostDied(step: Step, clientHost: string): void {
  const { group } = step;
  const countBefore = group.members.size;
  for (const [memberId, pending] of group.pendingMembers) {
    if (pending.clientHost === clientHost) group.pendingMembers.delete(memberId);
  }
  for (const member of [...group.members.values()]) {
    if (member.clientHost === clientHost && member.groupInstanceId === null) remove(step, member);
  }
  membersWent(step, countBefore);
}

function tick(step: Step): void {
  const { group, nowMs } = step;
  let countBefore = group.members.size;
  for (const [memberId, { lapsesMs }] of group.pendingMembers)
    if (lapsesMs <= nowMs) group.pendingMembers.delete(memberId);
  for (const member of [...group.members.values()]) if (sessionEndMs(member) <= nowMs) remove(step, member);
  membersWent(step, countBefore);
  for (const member of [...group.members.values()]) {
    if (member.newsCall === undefined || member.newsDueMs > nowMs) continue;
    replyHeartbeat(step, member.newsCall);
    group.members.set(member.memberId, { ...member, newsCall: undefined });
  }

  const { phase } = group;
  if (!('deadlineMs' in phase) || phase.deadlineMs > nowMs) return;
  if (phase.name !== 'PreparingRebalance') {
    countBefore = group.members.size;
    for (const member of [...group.members.values()]) if (member.owesSync) remove(step, member);
    return membersWent(step, countBefore);
  }
  const { initial } = phase;
  if (initial === undefined || !initial.grew || initial.remainingMs === 0) {
    group.phase = { ...phase, initial: undefined };
    return completeJoin(step);
  }
  const moreMs = Math.min(step.initialRebalanceDelayMs, initial.remainingMs);
  const remainingMs = initial.remainingMs - moreMs;
  group.phase = { ...phase, deadlineMs: nowMs + moreMs, initial: { remainingMs, grew: false } };
}

/** When the next Tick does something; undefined where only a request can. */
export function nextDeadlineMs(group: GroupState): number | undefined {
  const { phase } = group;
  let next = Number.POSITIVE_INFINITY;
  let owed = phase.name === 'PreparingRebalance';
  for (const { lapsesMs } of group.pendingMembers.values()) next = Math.min(next, lapsesMs);
  for (const member of group.members.values()) {
    next = Math.min(next, sessionEndMs(member), member.newsCall === undefined ? next : member.newsDueMs);
    owed ||= member.owesSync;
  }
  if (owed && 'deadlineMs' in phase) next = Math.min(next, phase.deadlineMs);
  return next === Number.POSITIVE_INFINITY ? undefined : next;
}

function sessionEndMs({ isNew, joinCall, syncCall, sessionDeadlineMs }: GroupMember): number {
  const waits = joinCall !== undefined || syncCall !== undefined;
  return waits && !isNew ? Number.POSITIVE_INFINITY : sessionDeadlineMs;
}

function seen(step: Step, memberId: string): void {
  const member = step.group.members.get(memberId);
  if (member === undefined || member.isNew) return;
  step.group.members.set(memberId, { ...member, sessionDeadlineMs: step.nowMs + member.sessionTimeoutMs });
}

/** The member may be dead: from now on its session runs. */
function endCall({ group, nowMs }: Step, call: CallId): void {
  for (const member of group.members.values()) {
    if (member.newsCall === call) group.members.set(member.memberId, { ...member, newsCall: undefined });
    if (member.joinCall !== call && member.syncCall !== call) continue;
    const sessionDeadlineMs = nowMs + member.sessionTimeoutMs;
    const owesSync = member.owesSync || member.syncCall === call;
    group.members.set(member.memberId, {
      ...member,
      joinCall: undefined,
      syncCall: undefined,
      owesSync,
      sessionDeadlineMs,
    });
  }
}

function remove(step: Step, member: GroupMember): void {
  failCalls(step, member, unknownMember(step.group, member.memberId));
  step.group.members.delete(member.memberId);
}

/** After members, or pending ones, were removed: the others rebalance, or no longer wait. */
function membersWent(step: Step, countBefore: number): void {
  if (step.group.members.size < countBefore) prepareRebalance(step);
  else completeJoinIfAllCame(step);
}

function rebalanceTimeoutMs(group: GroupState): number {
  return Math.max(0, ...[...group.members.values()].map((member) => member.rebalanceTimeoutMs));
}

function staticMember(group: GroupState, groupInstanceId: string): GroupMember | undefined {
  for (const member of group.members.values()) if (member.groupInstanceId === groupInstanceId) return member;
  return undefined;
}

// ---------------------------------------------------------------- checks

interface MemberClaim {
  readonly memberId: string;
  readonly groupInstanceId: string | null;
}

function memberError(group: GroupState, { memberId, groupInstanceId }: MemberClaim): KafkaError | undefined {
  if (groupInstanceId !== null) {
    const member = staticMember(group, groupInstanceId);
    if (member !== undefined && member.memberId !== memberId) {
      const text = `instance ${groupInstanceId} of group ${group.groupId} is member ${member.memberId}, found ${memberId}`;
      return new KafkaError('FENCED_INSTANCE_ID', text);
    }
    if (member === undefined) return unknownMember(group, memberId);
  }
  return group.members.has(memberId) ? undefined : unknownMember(group, memberId);
}

function generationError(
  group: GroupState,
  claim: MemberClaim & { readonly generationId: number },
): KafkaError | undefined {
  const error = memberError(group, claim);
  if (error !== undefined || claim.generationId === group.generationId) return error;
  const text = `group ${group.groupId} is at generation ${group.generationId}, found ${claim.generationId}`;
  return new KafkaError('ILLEGAL_GENERATION', text);
}

/**
 * Whether offsets may be committed: by a member of this generation, or by anybody who claims no membership while the
 * group is empty. `group` undefined: no such group.
 */
export function commitError(group: GroupState | undefined, request: Requests['OffsetCommit']): KafkaError | undefined {
  const { groupId, memberId, groupInstanceId, generationIdOrMemberEpoch: generationId } = request;
  const claimsMembership = generationId >= 0 || memberId !== '' || groupInstanceId !== null;
  if (group === undefined) {
    if (generationId < 0) return undefined;
    return new KafkaError('ILLEGAL_GENERATION', `group ${groupId} does not exist, found generation ${generationId}`);
  }
  if (generationId < 0 && group.phase.name === 'Empty') return undefined;
  if (!claimsMembership) {
    return new KafkaError(
      'UNKNOWN_MEMBER_ID',
      `group ${groupId} has members: only they may commit, with their member id`,
    );
  }
  const error = generationError(group, { memberId, groupInstanceId, generationId });
  if (error !== undefined) return error;
  return group.phase.name === 'CompletingRebalance' ? rebalancing(group) : undefined;
}

function unknownMember(group: GroupState, memberId: string): KafkaError {
  return new KafkaError('UNKNOWN_MEMBER_ID', `group ${group.groupId} has no member ${JSON.stringify(memberId)}`);
}

function rebalancing(group: GroupState): KafkaError {
  return new KafkaError('REBALANCE_IN_PROGRESS', `group ${group.groupId} is in ${group.phase.name}`);
}

function replaced(member: GroupMember): KafkaError {
  return new KafkaError('REBALANCE_IN_PROGRESS', `member ${member.memberId} has asked again`);
}

function noCommonProtocol(group: GroupState, { protocolType, protocols }: Requests['JoinGroup']): KafkaError {
  const found = `found type ${JSON.stringify(protocolType)} with ${protocols.map(({ name }) => name).join(', ') || 'none'}`;
  const expected =
    group.members.size === 0 ? 'a protocol type and a protocol' : `type ${group.protocolType}, shared by all`;
  return new KafkaError('INCONSISTENT_GROUP_PROTOCOL', `group ${group.groupId}: expected ${expected}, ${found}`);
}

// ---------------------------------------------------------------- answers

function failCalls(step: Step, { memberId, joinCall, syncCall, newsCall }: GroupMember, error: KafkaError): void {
  if (newsCall !== undefined) replyHeartbeat(step, newsCall, error);
  if (joinCall !== undefined) failJoin(step, joinCall, memberId, error);
  if (syncCall !== undefined) replySync(step, syncCall, error);
}

function failJoin({ effects }: Step, call: CallId, memberId: string, error: KafkaError): void {
  const failure = { generationId: -1, protocolType: null, protocolName: null, leader: '', memberId, members: [] };
  effects.push({ type: 'Reply', call, api: 'JoinGroup', response: { ...errorFields(error), ...failure } });
}

function joinReply(call: CallId, group: GroupState, member: GroupMember): GroupEffect {
  const { generationId, protocolType, protocolName, leaderId } = group;
  const members = leaderId === member.memberId ? [...group.members.values()] : [];
  const response: Responses['JoinGroup'] = {
    ...NO_ERROR,
    ...{ generationId, protocolType, protocolName, leader: leaderId ?? '', memberId: member.memberId },
    members: members.map((each) => {
      const { memberId, groupInstanceId } = each;
      return { memberId, groupInstanceId, metadata: metadataOf(each, protocolName) };
    }),
  };
  return { type: 'Reply', call, api: 'JoinGroup', response };
}

function replyHeartbeat({ effects }: Step, call: CallId, error?: KafkaError): void {
  const response = error === undefined ? NO_ERROR : errorFields(error);
  effects.push({ type: 'Reply', call, api: 'Heartbeat', response });
}

function replySync({ effects }: Step, call: CallId, answer: KafkaError | Uint8Array): void {
  const response =
    answer instanceof KafkaError
      ? { ...errorFields(answer), assignment: NO_BYTES }
      : { ...NO_ERROR, assignment: answer };
  effects.push({ type: 'Reply', call, api: 'SyncGroup', response });
}
