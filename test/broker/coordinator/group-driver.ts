import {
  type CallId,
  emptyGroup,
  type GroupContext,
  type GroupEffect,
  type GroupEvent,
  type GroupState,
  nextDeadlineMs,
  stepGroup,
} from '../../../src/broker/coordinator/group-state.js';
import type { Requests, Responses } from '../../../src/protocol/requests.js';

export type Reply = Extract<GroupEffect, { type: 'Reply' }>;
type Join = Requests['JoinGroup'];

/** One group machine with a clock and a book of its answers. */
export class GroupDriver {
  state: GroupState = emptyGroup('g');
  nowMs = 0;
  readonly replies = new Map<CallId, Reply>();
  /** Effects of the last event. */
  effects: readonly GroupEffect[] = [];
  readonly #initialRebalanceDelayMs: number;
  #lastCall = 0;

  constructor({ initialRebalanceDelayMs = 0 }: Partial<GroupContext> = {}) {
    this.#initialRebalanceDelayMs = initialRebalanceDelayMs;
  }

  send(event: GroupEvent): void {
    const { nowMs } = this;
    const step = stepGroup(this.state, event, { nowMs, initialRebalanceDelayMs: this.#initialRebalanceDelayMs });
    this.state = step.state;
    this.effects = step.effects;
    for (const effect of step.effects) {
      if (effect.type !== 'Reply') continue;
      if (this.replies.has(effect.call)) throw new Error(`call ${effect.call} was answered twice`);
      this.replies.set(effect.call, effect);
    }
  }

  /** Lets time pass, with a Tick at each deadline on the way. */
  advance(ms: number): void {
    const untilMs = this.nowMs + ms;
    for (;;) {
      const deadlineMs = nextDeadlineMs(this.state);
      if (deadlineMs === undefined || deadlineMs > untilMs) break;
      this.nowMs = Math.max(this.nowMs, deadlineMs);
      this.send({ type: 'Tick' });
    }
    this.nowMs = untilMs;
  }

  join(request: Partial<Join> = {}, newMemberId = `m${this.#lastCall + 1}`): CallId {
    const call = ++this.#lastCall;
    this.send({ type: 'JoinGroup', call, newMemberId, request: joinRequest(request) });
    return call;
  }

  sync(
    memberId: string,
    generationId: number,
    assignments: Record<string, string> = {},
    groupInstanceId: string | null = null,
  ): CallId {
    const call = ++this.#lastCall;
    const list = Object.entries(assignments).map(([id, text]) => ({ memberId: id, assignment: bytes(text) }));
    const request = { groupId: 'g', generationId, memberId, groupInstanceId, assignments: list };
    this.send({ type: 'SyncGroup', call, request });
    return call;
  }

  heartbeat(memberId: string, generationId: number, groupInstanceId: string | null = null): number {
    const call = ++this.#lastCall;
    this.send({ type: 'Heartbeat', call, request: { groupId: 'g', generationId, memberId, groupInstanceId } });
    return this.replies.get(call)?.response.errorCode ?? Number.NaN;
  }

  /** A heartbeat that is answered once there is news, or three seconds later. */
  awaitNews(memberId: string, generationId: number): CallId {
    const call = ++this.#lastCall;
    const request = { groupId: 'g', generationId, memberId, groupInstanceId: null, waitMs: 3_000 };
    this.send({ type: 'Heartbeat', call, request });
    return call;
  }

  leave(memberId: string, groupInstanceId: string | null = null): Responses['LeaveGroup'] {
    const call = ++this.#lastCall;
    this.send({ type: 'LeaveGroup', call, request: { groupId: 'g', members: [{ memberId, groupInstanceId }] } });
    return this.replies.get(call)?.response as Responses['LeaveGroup'];
  }

  endCall(call: CallId): void {
    this.send({ type: 'CallEnded', call });
  }

  joined(call: CallId): Responses['JoinGroup'] | undefined {
    return this.replies.get(call)?.response as Responses['JoinGroup'] | undefined;
  }

  synced(call: CallId): Responses['SyncGroup'] | undefined {
    return this.replies.get(call)?.response as Responses['SyncGroup'] | undefined;
  }

  /** Gets an id and joins with it, as a dynamic member does. */
  joinNew(request: Partial<Join> = {}): CallId {
    const memberId = this.joined(this.join(request))?.memberId ?? '';
    return this.join({ ...request, memberId });
  }
}

export function joinRequest(request: Partial<Join>): Join {
  return {
    groupId: 'g',
    sessionTimeoutMs: 30_000,
    rebalanceTimeoutMs: 60_000,
    memberId: '',
    groupInstanceId: null,
    protocolType: 'consumer',
    protocols: [{ name: 'range', metadata: bytes('topic') }],
    clientId: 'client',
    clientHost: 'tab',
    ...request,
  };
}

export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export function text(value: Uint8Array | undefined): string {
  return new TextDecoder().decode(value);
}
