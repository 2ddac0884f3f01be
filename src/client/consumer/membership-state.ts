import type { KafkaErrorName } from '../../protocol/errors.js';
import { unreachable } from '../../util/assert.js';

/** Where a consumer stands with its group. `memberId` is '' until the coordinator has given one. */
export type MembershipState =
  | { readonly status: 'joining'; readonly memberId: string }
  | { readonly status: 'syncing'; readonly memberId: string; readonly generationId: number }
  | { readonly status: 'stable'; readonly memberId: string; readonly generationId: number }
  | { readonly status: 'left' };

export type MembershipEvent =
  | { readonly type: 'Started' }
  | { readonly type: 'Joined'; readonly memberId: string; readonly generationId: number }
  | { readonly type: 'Synced' }
  /** Any group request was refused; `memberId` comes with MEMBER_ID_REQUIRED. */
  | { readonly type: 'Refused'; readonly error: KafkaErrorName; readonly memberId?: string }
  /** The subscription or the partitions of its topics are not what was assigned. */
  | { readonly type: 'RejoinWanted' }
  | { readonly type: 'Left' };

export type MembershipEffect =
  | { readonly type: 'SendJoin' }
  | { readonly type: 'SendSync' }
  | { readonly type: 'TakeAssignment' }
  /** Hand back what was assigned; `lost`: it may be somebody else's already, so nothing of it may be committed. */
  | { readonly type: 'Revoke'; readonly lost: boolean }
  | { readonly type: 'SendLeave' }
  | { readonly type: 'Fail'; readonly error: KafkaErrorName };

export interface MembershipStep {
  readonly state: MembershipState;
  readonly effects: readonly MembershipEffect[];
}

export const NOT_JOINED: MembershipState = { status: 'joining', memberId: '' };

/**
 * One member of a consumer group (Kafka's group protocol, eager rebalancing). The caller adopts `state`, then runs
 * `effects` in order.
 *
 *   joining ── Joined ──▶ syncing ── Synced ──▶ stable
 *      ▲                     │                    │
 *      └─── Refused: rebalance, unknown member ───┘      any ── Left ──▶ left
 */
export function stepMembership(state: MembershipState, event: MembershipEvent): MembershipStep {
  if (state.status === 'left') return { state, effects: [] };
  switch (event.type) {
    case 'Started':
      return { state, effects: state.status === 'joining' ? [{ type: 'SendJoin' }] : [] };
    case 'Joined': {
      if (state.status !== 'joining') return { state, effects: [] };
      const { memberId, generationId } = event;
      return { state: { status: 'syncing', memberId, generationId }, effects: [{ type: 'SendSync' }] };
    }
    case 'Synced':
      if (state.status !== 'syncing') return { state, effects: [] };
      return { state: { ...state, status: 'stable' }, effects: [{ type: 'TakeAssignment' }] };
    case 'RejoinWanted':
      return state.status === 'stable' ? rejoin(state, state.memberId, false) : { state, effects: [] };
    case 'Refused':
      return refused(state, event);
    case 'Left':
      return {
        state: { status: 'left' },
        effects: [
          ...(state.status === 'stable' ? [{ type: 'Revoke', lost: false } as const] : []),
          ...(state.memberId === '' ? [] : [{ type: 'SendLeave' } as const]),
        ],
      };
    default:
      return unreachable(event);
  }
}

type Active = Exclude<MembershipState, { status: 'left' }>;

function refused(state: Active, { error, memberId }: Extract<MembershipEvent, { type: 'Refused' }>): MembershipStep {
  switch (error) {
    case 'MEMBER_ID_REQUIRED':
      return rejoin(state, memberId ?? '', false);
    case 'REBALANCE_IN_PROGRESS':
      // Not lost yet: the coordinator waits for us to come, and takes commits until then.
      return rejoin(state, state.memberId, false);
    case 'ILLEGAL_GENERATION':
      return rejoin(state, state.memberId, true);
    case 'UNKNOWN_MEMBER_ID':
      return rejoin(state, '', true);
    default:
      return { state, effects: [{ type: 'Fail', error }] };
  }
}

function rejoin(state: Active, memberId: string, lost: boolean): MembershipStep {
  const revoke: MembershipEffect[] = state.status === 'stable' ? [{ type: 'Revoke', lost }] : [];
  return { state: { status: 'joining', memberId }, effects: [...revoke, { type: 'SendJoin' }] };
}
