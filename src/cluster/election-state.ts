import { assert, unreachable } from '../util/assert.js';

/** How often the leader beats and every host looks. A tick later than TICK_MS × LATE_FACTOR proves that we slept. */
export const TICK_MS: number = 500;
const LATE_FACTOR = 3;
/** Silence of a leader before it is suspected, both in own ticks and in own monotonic time. */
const PATIENCE_TICKS = 5;
const MAX_PATIENCE_TICKS = 40;
/** After so many silent ticks the leadership row is read for comparison, see `RowRead`. */
const BASELINE_TICKS = 2;
/** Ticks between two signs of life that the leader leaves in the database: shorter than patience minus baseline. */
const RENEW_TICKS = 2;
/** A renewal that takes longer than so many ticks: storage hangs, another host shall try. */
const STUCK_TICKS = 20;
/** Rest after a broker that failed to open: doubles from 1 tick. */
const MAX_REST_TICKS = 20;
/** Claims in a row, each with a freshly read epoch, before a lock holder lets others try. */
const MAX_CLAIMS = 3;

/** The row in the database, or a message: who moved the epoch last. */
export interface Claimant {
  readonly epoch: number;
  readonly hostId: string;
}

/** What is read from the database: `heartbeatMs` is only ever compared with itself, so clocks may jump. */
export interface LeadershipRow extends Claimant {
  readonly heartbeatMs: number;
}

interface Common {
  /** This host. */
  readonly self: string;
  /** Web Locks are there: a granted lock is what makes a candidate. Without them silence alone does. */
  readonly locks: boolean;
  /** Highest epoch heard of or read. */
  readonly epoch: number;
  /** Epoch of the last leader whose lock we stole: once per epoch. */
  readonly stolenEpoch: number;
  /** Brokers that failed to open in a row. */
  readonly failures: number;
}

export interface Standby extends Common {
  readonly role: 'standby';
  readonly leader: string | undefined;
  /** The leader of `epoch` said that it has stopped: its late mail does not revive it. */
  readonly resigned: boolean;
  /** What of the lock is ours; `none` while we rest. */
  readonly lock: 'none' | 'queued';
  readonly silentTicks: number;
  readonly silentMs: number;
  readonly patienceTicks: number;
  /** The row as it was when silence began. */
  readonly baseline: LeadershipRow | undefined;
  /** A self-probe and the second reading of the row are under way. */
  readonly probing: boolean;
  readonly restTicks: number;
}

export interface Claiming extends Common {
  readonly role: 'claiming';
  readonly claims: number;
}

export interface Leading extends Common {
  readonly role: 'leading';
  readonly ticks: number;
  /** Ticks since a renewal was begun that has not ended; 0: none is under way. */
  readonly renewingTicks: number;
}

export interface Closed extends Common {
  readonly role: 'closed';
}

export type ElectionState = Standby | Claiming | Leading | Closed;

export type ElectionEvent =
  | { readonly type: 'Started' }
  /** The controller lock is ours. */
  | { readonly type: 'LockGranted' }
  /** Somebody stole it. */
  | { readonly type: 'LockLost' }
  /** An announcement or heartbeat: `hostId` leads at `epoch`. */
  | ({ readonly type: 'Heard' } & Claimant)
  | ({ readonly type: 'Resigned' } & Claimant)
  /** Another host tries to become leader. */
  | { readonly type: 'CandidacyHeard' }
  /** Somebody asks who leads. */
  | { readonly type: 'Asked' }
  /** Our own loop turned; `elapsedMs` of monotonic time since it last did. `jitterTicks` is random, small. */
  | { readonly type: 'Tick'; readonly elapsedMs: number; readonly jitterTicks: number }
  | { readonly type: 'RowRead'; readonly row: LeadershipRow }
  /** The self-probe ended; `echo`: our own channel carries messages. The row was read after it. */
  | { readonly type: 'Probed'; readonly echo: boolean; readonly row: LeadershipRow | undefined }
  /** The compare-and-set succeeded: we committed `epoch`. */
  | { readonly type: 'Claimed'; readonly epoch: number }
  /** The compare-and-set found another epoch. */
  | { readonly type: 'ClaimLost'; readonly row: LeadershipRow }
  /** Storage failed during the claim: nothing is known. */
  | { readonly type: 'ClaimFailed' }
  | { readonly type: 'BrokerOpened' }
  | { readonly type: 'BrokerFailed' }
  /** A write was refused: the stored epoch is not ours any more. */
  | { readonly type: 'Fenced'; readonly epoch: number }
  | { readonly type: 'Renewed' }
  /** Let another host lead, this tab is hidden or frozen soon. */
  | { readonly type: 'StepDown' }
  | { readonly type: 'Closed' };

export type ElectionEffect =
  | { readonly type: 'QueueLock'; readonly steal: boolean }
  /** Leaves the queue, or frees what is held. */
  | { readonly type: 'ReleaseLock' }
  /** Posts the question who leads: the leader answers at once. */
  | { readonly type: 'Ask' }
  | { readonly type: 'ReadRow' }
  | { readonly type: 'Probe' }
  | { readonly type: 'PostCandidacy'; readonly epoch: number }
  | { readonly type: 'Claim'; readonly expectedEpoch: number }
  | { readonly type: 'OpenBroker'; readonly epoch: number }
  | { readonly type: 'CloseBroker' }
  | { readonly type: 'Announce'; readonly epoch: number }
  | { readonly type: 'Renew'; readonly epoch: number }
  | { readonly type: 'Resign'; readonly epoch: number };

/** What means nothing to a role: whoever adds an event decides for each role whether it does. */
type Ignored<T extends ElectionEvent['type']> = Extract<ElectionEvent, { readonly type: T }>;

export interface ElectionStep {
  readonly state: ElectionState;
  readonly effects: readonly ElectionEffect[];
}

/** A host that has just started: knows nothing, waits for `Started`. */
export function initialElection(self: string, options: { readonly locks: boolean }): ElectionState {
  return standby({ self, locks: options.locks, epoch: 0, stolenEpoch: 0, failures: 0 }, {});
}

/** Who leads, as far as this host knows. */
export function leaderOf(state: ElectionState): Claimant | undefined {
  if (state.role === 'leading') return { epoch: state.epoch, hostId: state.self };
  if (state.role !== 'standby' || state.leader === undefined) return undefined;
  return { epoch: state.epoch, hostId: state.leader };
}

/**
 * Moves one host's election. The caller adopts `state`, then runs `effects` in order.
 *
 *                 LockGranted (without locks: silence)            Claimed
 *      ┌─ standby ───────────────────────────────────▶ claiming ───────────▶ leading ─┐
 *      │   ▲  ▲ ▲                                          │                      │   │
 *      │   │  │ └──────── ClaimLost, ClaimFailed, LockLost ┘                      │   │
 *      │   │  └── Heard(higher epoch), Fenced, LockLost, BrokerFailed, StepDown ──┘   │
 *      │   └─ silence, probe, row unchanged: steal the lock, once per epoch            │
 *      └──────────────────────────────── Closed ──▶ closed ◀───────────────────────────┘
 *
 * Nothing here is needed for safety: two hosts may believe that they lead, the compare-and-set of the epoch in the
 * database decides who may write. What is decided here is that somebody leads soon, and that nobody is deposed
 * without need: a sleeper that wakes (its tick is late), a host with a dead channel (no echo) and a host whose
 * leader still leaves signs of life in the database (the row changed since silence began) accuse nobody.
 */
export function stepElection(state: ElectionState, event: ElectionEvent): ElectionStep {
  if (event.type === 'Closed') return close(state);
  switch (state.role) {
    case 'standby':
      return stepStandby(state, event);
    case 'claiming':
      return stepClaiming(state, event);
    case 'leading':
      return stepLeading(state, event);
    case 'closed':
      return event.type === 'LockGranted' ? { state, effects: [{ type: 'ReleaseLock' }] } : still(state);
    default:
      return unreachable(state);
  }
}

function stepStandby(state: Standby, event: Exclude<ElectionEvent, { type: 'Closed' }>): ElectionStep {
  switch (event.type) {
    case 'Started':
      return {
        state: { ...state, lock: state.locks ? 'queued' : 'none' },
        effects: [{ type: 'Ask' }, { type: 'ReadRow' }, ...(state.locks ? [queue(false)] : [])],
      };
    case 'LockGranted':
      return state.lock === 'none' ? { state, effects: [{ type: 'ReleaseLock' }] } : claim(state, 1);
    case 'Heard':
      return still(heard(state, event));
    case 'Resigned':
      if (event.epoch < state.epoch) return still(state);
      return lockless(forget({ ...state, epoch: event.epoch, leader: undefined, resigned: true }));
    case 'CandidacyHeard':
      return still(state.locks ? state : forget(state)); // give it the time to win
    case 'Tick':
      return standbyTick(state, event);
    case 'RowRead':
      return rowRead(state, event.row);
    case 'Probed':
      return probed(state, event);
    case 'Claimed': // won, but the lock was stolen meanwhile: the thief comes next
      return still(forget({ ...state, epoch: Math.max(state.epoch, event.epoch), leader: undefined }));
    case 'ClaimLost':
      return still(heard(state, event.row));
    default:
      event satisfies Ignored<
        'LockLost' | 'Asked' | 'Renewed' | 'Fenced' | 'BrokerOpened' | 'BrokerFailed' | 'StepDown' | 'ClaimFailed'
      >;
      return still(state);
  }
}

function standbyTick(state: Standby, event: Extract<ElectionEvent, { type: 'Tick' }>): ElectionStep {
  if (event.elapsedMs > TICK_MS * LATE_FACTOR) return { state: forget(state), effects: [{ type: 'Ask' }] }; // we slept
  if (state.restTicks > 1) return still({ ...state, restTicks: state.restTicks - 1 });
  if (state.locks && state.lock === 'none') {
    return { state: { ...forget(state), restTicks: 0, lock: 'queued' }, effects: [queue(false)] };
  }
  if (state.probing) return still(state);

  const silentTicks = state.silentTicks + 1;
  const silentMs = state.silentMs + event.elapsedMs;
  const silent = { ...state, restTicks: 0, silentTicks, silentMs };
  const patience = state.patienceTicks + event.jitterTicks;
  if (silentTicks >= patience && silentMs >= patience * TICK_MS && state.baseline !== undefined) {
    return { state: { ...silent, probing: true }, effects: [{ type: 'Ask' }, { type: 'Probe' }] };
  }
  if (silentTicks < BASELINE_TICKS) return still(silent);
  return {
    state: silent,
    effects: [{ type: 'Ask' }, ...(state.baseline === undefined ? [{ type: 'ReadRow' } as const] : [])],
  };
}

/** A row read while silence begins; the next reading must differ, or the leader is silent in the database too. */
function rowRead(state: Standby, row: LeadershipRow): ElectionStep {
  if (row.epoch > state.epoch) return still({ ...heard(state, row), baseline: row });
  if (row.epoch === 0 && state.epoch === 0 && !state.locks) return claim(state, 1); // nobody ever led: no need to wait
  return still({ ...state, baseline: state.silentTicks >= BASELINE_TICKS ? row : state.baseline });
}

function probed(state: Standby, event: Extract<ElectionEvent, { type: 'Probed' }>): ElectionStep {
  if (!state.probing) return still(state); // heard from a leader meanwhile
  const { row } = event;
  const calm = { ...forget(state), patienceTicks: Math.min(MAX_PATIENCE_TICKS, state.patienceTicks * 2) };
  if (!event.echo || row === undefined) return still(calm);
  if (row.epoch > state.epoch) return still(heard(state, row));
  const before = state.baseline;
  assert(before !== undefined, 'nobody is suspected before the row was read');
  if (row.epoch !== before.epoch || row.heartbeatMs !== before.heartbeatMs) return still(calm);
  if (!state.locks) return claim({ ...state, epoch: row.epoch }, 1);
  if (state.stolenEpoch === row.epoch && row.epoch > 0) return still(calm);
  return {
    state: { ...calm, lock: 'queued', stolenEpoch: row.epoch },
    effects: [{ type: 'ReleaseLock' }, queue(true)],
  };
}

function stepClaiming(state: Claiming, event: Exclude<ElectionEvent, { type: 'Closed' }>): ElectionStep {
  switch (event.type) {
    case 'Claimed':
      return {
        state: { ...common(state), epoch: event.epoch, role: 'leading', ticks: 0, renewingTicks: 0 },
        effects: [
          { type: 'OpenBroker', epoch: event.epoch },
          { type: 'Announce', epoch: event.epoch },
        ],
      };
    case 'ClaimLost':
      // With the lock in hand the known epoch was only old; without locks the other one leads.
      if (state.locks && state.claims < MAX_CLAIMS)
        return claim({ ...state, epoch: event.row.epoch }, state.claims + 1);
      return rest(heard(standby(common(state), {}), event.row), 1);
    case 'ClaimFailed':
      return rest(standby(common(state), {}), 2);
    case 'LockLost':
      return requeue(standby(common(state), {}));
    default:
      event satisfies Ignored<
        | 'Started'
        | 'LockGranted'
        | 'Heard'
        | 'Resigned'
        | 'CandidacyHeard'
        | 'Asked'
        | 'Tick'
        | 'RowRead'
        | 'Probed'
        | 'BrokerOpened'
        | 'BrokerFailed'
        | 'Fenced'
        | 'Renewed'
        | 'StepDown'
      >;
      return still(state);
  }
}

function stepLeading(state: Leading, event: Exclude<ElectionEvent, { type: 'Closed' }>): ElectionStep {
  const announce: ElectionEffect = { type: 'Announce', epoch: state.epoch };
  switch (event.type) {
    case 'Heard':
      if (event.epoch > state.epoch) return deposed(heard(standby(common(state), {}), event));
      return event.hostId === state.self ? still(state) : { state, effects: [announce] }; // a deposed one learns it
    case 'Asked':
    case 'CandidacyHeard':
      return { state, effects: [announce] };
    case 'Fenced':
      return event.epoch < state.epoch ? still(state) : deposed(standby(common(state), {}));
    case 'LockLost':
      return deposed(standby(common(state), {}));
    case 'BrokerOpened':
      return still({ ...state, failures: 0 });
    case 'BrokerFailed': {
      const failures = state.failures + 1;
      return resign({ ...state, failures }, Math.min(MAX_REST_TICKS, 2 ** Math.min(failures, 10)));
    }
    case 'StepDown':
      return resign(state, RENEW_TICKS);
    case 'Renewed':
      return still({ ...state, renewingTicks: 0 });
    case 'Tick': {
      if (state.renewingTicks >= STUCK_TICKS) return resign(state, MAX_REST_TICKS);
      const ticks = state.ticks + 1;
      if (state.renewingTicks > 0) {
        return { state: { ...state, ticks, renewingTicks: state.renewingTicks + 1 }, effects: [announce] };
      }
      if (ticks % RENEW_TICKS !== 0) return { state: { ...state, ticks }, effects: [announce] };
      return {
        state: { ...state, ticks, renewingTicks: 1 },
        effects: [announce, { type: 'Renew', epoch: state.epoch }],
      };
    }
    default:
      event satisfies Ignored<
        'Started' | 'LockGranted' | 'Resigned' | 'RowRead' | 'Probed' | 'Claimed' | 'ClaimLost' | 'ClaimFailed'
      >;
      return still(state);
  }
}

function close(state: ElectionState): ElectionStep {
  const closed: ElectionState = { ...common(state), role: 'closed' };
  if (state.role === 'closed') return still(state);
  if (state.role !== 'leading') return { state: closed, effects: [{ type: 'ReleaseLock' }] };
  return {
    state: closed,
    effects: [{ type: 'CloseBroker' }, { type: 'Resign', epoch: state.epoch }, { type: 'ReleaseLock' }],
  };
}

function still(state: ElectionState): ElectionStep {
  return { state, effects: [] };
}

function queue(steal: boolean): ElectionEffect {
  return { type: 'QueueLock', steal };
}

function common({ self, locks, epoch, stolenEpoch, failures }: Common): Common {
  return { self, locks, epoch, stolenEpoch, failures };
}

function standby(base: Common, fields: Partial<Standby>): Standby {
  return {
    ...base,
    role: 'standby',
    leader: undefined,
    resigned: false,
    lock: 'none',
    silentTicks: 0,
    silentMs: 0,
    patienceTicks: PATIENCE_TICKS,
    baseline: undefined,
    probing: false,
    restTicks: 0,
    ...fields,
  };
}

/** Silence starts anew. */
function forget(state: Standby): Standby {
  return { ...state, silentTicks: 0, silentMs: 0, baseline: undefined, probing: false };
}

/** Late mail of a lower epoch, or of a leader that resigned at this one, changes nothing. */
function heard(state: Standby, { epoch, hostId }: Claimant): Standby {
  if (epoch < state.epoch || (epoch === state.epoch && state.resigned)) return state;
  const leader = hostId === state.self || epoch === 0 ? undefined : hostId;
  return { ...forget(state), epoch, leader, resigned: false, patienceTicks: PATIENCE_TICKS };
}

function claim(state: Standby | Claiming, claims: number): ElectionStep {
  return {
    state: { ...common(state), role: 'claiming', claims },
    effects: [
      ...(claims === 1 ? [{ type: 'PostCandidacy', epoch: state.epoch } as const] : []),
      { type: 'Claim', expectedEpoch: state.epoch },
    ],
  };
}

/** Without locks a resignation is the signal to try; the compare-and-set picks one of all who do. */
function lockless(state: Standby): ElectionStep {
  return state.locks ? still(state) : claim(state, 1);
}

function requeue(state: Standby): ElectionStep {
  if (!state.locks) return still(state);
  return { state: { ...state, lock: 'queued' }, effects: [{ type: 'ReleaseLock' }, queue(false)] };
}

function rest(state: Standby, restTicks: number): ElectionStep {
  return { state: { ...state, lock: 'none', restTicks }, effects: [{ type: 'ReleaseLock' }] };
}

/** Others lead now: stop, then wait in line like everybody, with twice the patience. */
function deposed(to: Standby): ElectionStep {
  const next = requeue({ ...to, patienceTicks: PATIENCE_TICKS * 2 });
  return { state: next.state, effects: [{ type: 'CloseBroker' }, ...next.effects] };
}

function resign(state: Leading, restTicks: number): ElectionStep {
  return {
    state: standby(common(state), { restTicks, resigned: true }),
    effects: [{ type: 'CloseBroker' }, { type: 'Resign', epoch: state.epoch }, { type: 'ReleaseLock' }],
  };
}
