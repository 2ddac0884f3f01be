import { errorOf, KafkaError, type KafkaErrorName } from '../../protocol/errors.js';
import type { HeartbeatResponse, JoinGroupResponse } from '../../protocol/requests.js';
import { abortable } from '../../util/signal.js';
import type { GroupMember, GroupMemberAssignment } from '../api/consumer.js';
import type { RetryOptions } from '../api/kafka.js';
import type { Connection } from '../connection.js';
import { KafkaJSError, KafkaJSNumberOfRetriesExceeded, KafkaJSProtocolError, toKafkaJSError } from '../errors.js';
import { isRetriable } from '../retry.js';
import { type MembershipEffect, type MembershipEvent, NOT_JOINED, stepMembership } from './membership-state.js';

/** Leaving is a courtesy: a coordinator that does not answer finds out by the session timeout. */
const LEAVE_TIMEOUT_MS = 5_000;
/** 0 is for KafkaJS "whenever a record was handled"; to heartbeats that follow each other at once nobody else would get a turn. */
const LEAST_HEARTBEAT_INTERVAL_MS = 10;

const REFUSALS: ReadonlySet<KafkaErrorName | undefined> = new Set<KafkaErrorName>([
  'MEMBER_ID_REQUIRED',
  'REBALANCE_IN_PROGRESS',
  'ILLEGAL_GENERATION',
  'UNKNOWN_MEMBER_ID',
]);

/** The coordinator does not take it from this member: the group deals with that, by joining anew. */
export function isRefusal(error: KafkaErrorName): boolean {
  return REFUSALS.has(error);
}

interface Member {
  readonly memberId: string;
  readonly generationId: number;
}

export interface JoinedGroup {
  readonly memberId: string;
  readonly leaderId: string;
  readonly groupProtocol: string;
}

export interface GroupMembershipOptions {
  readonly connection: Connection;
  readonly retry: Required<RetryOptions>;
  readonly groupId: string;
  readonly groupInstanceId: string | null;
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  readonly heartbeatIntervalMs: number;
  /** The subscription, once for each assignor. */
  readonly protocols: () => Promise<readonly { readonly name: string; readonly metadata: Uint8Array }[]>;
  /** As the leader: who gets what. */
  readonly assign: (protocol: string, members: GroupMember[]) => Promise<readonly GroupMemberAssignment[]>;
  readonly onAssigned: (assignment: Uint8Array, group: JoinedGroup) => Promise<void>;
  /** Resolves once nothing of the old assignment is worked on any more. */
  readonly onRevoked: (options: { readonly lost: boolean }) => Promise<void>;
  readonly onHeartbeat: (member: Member, answer: HeartbeatResponse) => void;
  /** The membership has ended by itself. */
  readonly onFailure: (error: unknown) => void;
}

/**
 * Keeps a consumer in its group. Heartbeats go on by themselves, whatever handlers do; `heartbeatIfDue` also lets every
 * answer of a fetch send one.
 */
export class GroupMembership {
  readonly #options: GroupMembershipOptions;
  readonly #ending = new AbortController();
  /** Ends the request for an id, which whoever leaves waits for. */
  readonly #unanswered = new AbortController();
  #state = NOT_JOINED;
  readonly #events: MembershipEvent[] = [];
  /** Until it is false whoever adds an event may leave it to the loop; the promise settles a little later. */
  #isRunning = false;
  #running: Promise<void> | undefined;
  #answer: JoinGroupResponse | undefined;
  #assignment = new Uint8Array();
  /** It names partitions that are gone. */
  #isStale = false;
  #beats: AbortController | undefined;
  #lastBeatMs = 0;
  #beating: Promise<void> | undefined;

  constructor(options: GroupMembershipOptions) {
    this.#options = options;
  }

  /** As of the last join, also while another one or the end is under way: the coordinator judges whether it counts. */
  get member(): Member {
    return { memberId: this.#answer?.memberId ?? '', generationId: this.#answer?.generationId ?? -1 };
  }

  get isStable(): boolean {
    return this.#state.status === 'stable';
  }

  /** Joins; resolves once there is an assignment, rejects where joining failed for good. */
  async join(): Promise<void> {
    this.#events.push({ type: 'Started' });
    await this.#run();
  }

  /** The subscription is another one, or what it stands for. */
  rejoin(): void {
    this.#dispatch({ type: 'RejoinWanted' });
  }

  /** A request of that member was refused by the coordinator. What another one was refused since says nothing of this one. */
  refused(error: KafkaErrorName, { memberId, generationId }: Member = this.member): void {
    const { member } = this;
    const isOurs = memberId === member.memberId && generationId === member.generationId;
    if (isOurs && this.isStable && isRefusal(error)) this.#dispatch({ type: 'Refused', error });
  }

  /**
   * Gives up what is assigned, then leaves. A static member does not say so: it may be back in time (KIP-345), and has what
   * it had; which is why it does where that is not there any more.
   */
  async leave(): Promise<void> {
    this.#ending.abort();
    if (this.#isRunning) await this.#options.connection.lastAnswer(this.#running!);
    this.#unanswered.abort();
    await this.#running?.catch(() => {});
    this.#events.push({ type: 'Left' });
    await this.#run().catch(() => {});
  }

  async heartbeatIfDue(): Promise<void> {
    const { connection, heartbeatIntervalMs } = this.#options;
    if (this.#beats === undefined || this.#beats.signal.aborted) return;
    if (connection.runtime.clock.monotonicMs() - this.#lastBeatMs < heartbeatIntervalMs) return;
    this.#beating ??= this.#beat().finally(() => {
      this.#beating = undefined;
    });
    await this.#beating;
  }

  #dispatch(event: MembershipEvent): void {
    this.#events.push(event);
    this.#run().catch((error) => {
      if (!this.#ending.signal.aborted) this.#options.onFailure(error);
    });
  }

  #run(): Promise<void> {
    if (this.#running === undefined || !this.#isRunning) this.#running = this.#runEvents();
    return this.#running;
  }

  async #runEvents(): Promise<void> {
    this.#isRunning = true;
    try {
      for (let event = this.#events.shift(); event !== undefined; event = this.#events.shift()) {
        const before = this.#state;
        const { state, effects } = stepMembership(before, event);
        this.#state = state;
        for (const effect of effects) await this.#perform(effect, before.status === 'left' ? '' : before.memberId);
      }
    } catch (error) {
      this.#stopBeating();
      this.#events.length = 0;
      throw error;
    } finally {
      this.#isRunning = false;
    }
  }

  async #perform(effect: MembershipEffect, memberId: string): Promise<void> {
    switch (effect.type) {
      case 'SendJoin':
        return this.#sendJoin();
      case 'SendSync':
        return this.#sendSync();
      case 'TakeAssignment': {
        const { memberId: id, leader, protocolName } = this.#answer!;
        this.#startBeating();
        const assigned = this.#options.onAssigned(this.#assignment, {
          memberId: id,
          leaderId: leader,
          groupProtocol: protocolName ?? '',
        });
        assigned.catch((error: unknown) => {
          this.#isStale = error instanceof KafkaJSError && error.type === 'UNKNOWN_TOPIC_OR_PARTITION';
        });
        return abortable(assigned, this.#ending.signal); // who leaves needs no positions any more
      }
      case 'Revoke':
        return this.#options.onRevoked({ lost: effect.lost });
      case 'SendLeave':
        return this.#sendLeave(memberId);
      case 'Fail':
        throw new KafkaJSProtocolError(
          new KafkaError(effect.error, `the group refused this consumer: ${effect.error}`),
        );
    }
  }

  async #sendJoin(): Promise<void> {
    const { connection, groupId, groupInstanceId, sessionTimeoutMs, rebalanceTimeoutMs, protocols } = this.#options;
    this.#stopBeating();
    const state = this.#state;
    if (state.status === 'left') return;
    const request = {
      groupId,
      sessionTimeoutMs,
      rebalanceTimeoutMs,
      memberId: state.memberId,
      groupInstanceId,
      protocolType: 'consumer',
      protocols: await abortable(protocols(), this.#ending.signal),
      clientId: connection.clientId,
      clientHost: '',
    };
    // That is answered at once, and the coordinator waits for whom it has given one: the goodbye has to name it.
    const asksForId = state.memberId === '' && groupInstanceId === null;
    let assignedId: string | undefined;
    await this.#guarded(
      async (ending) => {
        const signal = asksForId ? this.#unanswered.signal : ending;
        const response = await connection.request('JoinGroup', request, { signal, waitMs: rebalanceTimeoutMs });
        assignedId = response.memberId;
        throwOnError(response);
        this.#answer = response;
        const { memberId, generationId } = response;
        this.#events.unshift({ type: 'Joined', memberId, generationId });
      },
      () => assignedId,
    );
  }

  async #sendSync(): Promise<void> {
    const { connection, groupId, groupInstanceId, assign } = this.#options;
    const { generationId, memberId, leader, members, protocolName } = this.#answer!;
    const isLeader = leader === memberId;
    const all = members.map(({ memberId: id, metadata, groupInstanceId: instance }) => ({
      memberId: id,
      memberMetadata: metadata,
      groupInstanceId: instance,
    }));
    const given = isLeader ? await abortable(assign(protocolName ?? '', all), this.#ending.signal) : [];
    const assignments = given.map(({ memberId: id, memberAssignment }) => ({
      memberId: id,
      assignment: memberAssignment,
    }));
    await this.#guarded(async (signal) => {
      const request = { groupId, generationId, memberId, groupInstanceId, assignments };
      const response = await connection.request('SyncGroup', request, {
        signal,
        waitMs: this.#options.rebalanceTimeoutMs,
      });
      throwOnError(response);
      this.#assignment = new Uint8Array(response.assignment);
      this.#events.unshift({ type: 'Synced' });
    });
  }

  async #sendLeave(memberId: string): Promise<void> {
    const { connection, groupId, groupInstanceId } = this.#options;
    this.#stopBeating();
    if (groupInstanceId !== null && !this.#isStale) return;
    const request = { groupId, members: [{ memberId, groupInstanceId }] };
    await connection.request('LeaveGroup', request, { timeoutMs: LEAVE_TIMEOUT_MS });
  }

  /** Sends until answered. A refusal becomes an event; what is neither that nor worth another attempt is thrown. */
  async #guarded(send: (signal: AbortSignal) => Promise<void>, assignedId?: () => string | undefined): Promise<void> {
    const { connection, retry } = this.#options;
    const { signal } = this.#ending;
    try {
      await connection.retry({ options: retry, signal }, () => send(signal));
    } catch (error) {
      if (!(error instanceof KafkaJSProtocolError) || !REFUSALS.has(error.type)) throw error;
      const memberId = assignedId?.();
      this.#events.unshift({ type: 'Refused', error: error.type, ...(memberId !== undefined && { memberId }) });
    }
  }

  #startBeating(): void {
    this.#stopBeating();
    const { connection } = this.#options;
    const { clock } = connection.runtime;
    const heartbeatIntervalMs = Math.max(this.#options.heartbeatIntervalMs, LEAST_HEARTBEAT_INTERVAL_MS);
    const beats = new AbortController();
    this.#beats = beats;
    this.#lastBeatMs = clock.monotonicMs();
    // Each waits at the coordinator until the next is due, or there is news: a rebalance takes no interval to be heard of, and
    // hidden tabs, whose timers may come once a minute, are driven by the answers.
    const beat = async (): Promise<void> => {
      while (!beats.signal.aborted) {
        const sentMs = clock.monotonicMs();
        this.#lastBeatMs = sentMs;
        await this.#heartbeat(beats.signal, heartbeatIntervalMs);
        const earlyMs = sentMs + heartbeatIntervalMs - clock.monotonicMs();
        if (earlyMs > heartbeatIntervalMs / 2) await clock.sleep(earlyMs, beats.signal);
      }
    };
    // While that one is not answered.
    const repeat = async (): Promise<void> => {
      while (!beats.signal.aborted) {
        const dueMs = this.#lastBeatMs + 1.5 * heartbeatIntervalMs - clock.monotonicMs();
        await clock.sleep(Math.max(1, dueMs), beats.signal);
        await this.heartbeatIfDue();
      }
    };
    for (const running of [beat(), repeat()]) {
      running.catch((error) => {
        if (!beats.signal.aborted) this.#options.onFailure(error);
      });
    }
  }

  #stopBeating(): void {
    this.#beats?.abort();
  }

  async #beat(): Promise<void> {
    this.#lastBeatMs = this.#options.connection.runtime.clock.monotonicMs();
    await this.#heartbeat(this.#beats!.signal, 0);
  }

  async #heartbeat(signal: AbortSignal, waitMs: number): Promise<void> {
    const { connection, retry, groupId, groupInstanceId, onHeartbeat } = this.#options;
    const { generationId, memberId } = this.member;
    const request = { groupId, generationId, memberId, groupInstanceId, waitMs };
    const send = async (): Promise<HeartbeatResponse> => {
      const answer = await connection.request('Heartbeat', request, { signal, waitMs });
      throwOnError(answer);
      return answer;
    };
    try {
      // One that waits is to wait at the next coordinator, too, as soon as there is one.
      const answer = await (waitMs > 0 ? connection.retry({ options: retry, signal }, send) : send());
      onHeartbeat({ memberId, generationId }, answer);
    } catch (caught) {
      const error = toKafkaJSError(caught);
      const isOld = signal.aborted || this.member.generationId !== generationId;
      // A coordinator that cannot be reached now may be there for the next one.
      if (isOld || isRetriable(error) || error instanceof KafkaJSNumberOfRetriesExceeded) return;
      if (error instanceof KafkaJSProtocolError) {
        if (this.isStable) this.#dispatch({ type: 'Refused', error: error.type });
        return;
      }
      throw error;
    }
  }
}

function throwOnError(response: { errorCode: number; errorMessage: string | null }): void {
  const error = errorOf(response);
  if (error !== undefined) throw error;
}
