import type { StorageFigures, StorageState } from '../protocol/storage-state.js';
import { unreachable } from '../util/assert.js';

/** Rest after a database that would not open again; doubles up to MAX_REOPEN_MS. */
const REOPEN_MS = 100;
const MAX_REOPEN_MS = 10_000;

/** Why a database did not open: not let at it, of a newer version than this code, or for another reason. */
export type OpenFailure = 'denied' | 'outdated' | 'failed';

export interface StorageMachine {
  /** What everybody may see. */
  readonly state: StorageState;
  /** Why the last opening failed. */
  readonly failure: string;
  /** Of the data that was open last. */
  readonly incarnationId: string | undefined;
  /** Openings that failed in a row. */
  readonly failures: number;
  /** The application lets the tab run over memory where storage is denied. */
  readonly memoryAllowed: boolean;
}

export type StorageEvent =
  | { readonly type: 'Opened'; readonly incarnationId: string }
  /** In place of the database that this version would write to. */
  | { readonly type: 'OpenedInstead'; readonly what: 'memory' | 'newer-database'; readonly incarnationId: string }
  /** `hasOpened`: it was what follows that failed, when the host had already said that it runs. */
  | {
      readonly type: 'OpenFailed';
      readonly failure: OpenFailure;
      readonly reason: string;
      readonly hasOpened?: boolean;
    }
  /** The open connection is of no use any more; `wedged`: because a request did not settle. */
  | { readonly type: 'Lost'; readonly wedged: boolean; readonly reason: string }
  /** The leader's write was refused for want of space. */
  | ({ readonly type: 'Refused' } & StorageFigures)
  /** A write of the leader went through again. */
  | { readonly type: 'RoomFound' }
  /** The database holds something. */
  | { readonly type: 'Written' };

export type StorageEffect =
  | { readonly type: 'Open'; readonly afterMs: number }
  | { readonly type: 'OpenMemory' }
  | { readonly type: 'OpenReadOnly' }
  /** The first opening failed for good: the host does not start. */
  | { readonly type: 'GiveUp' };

export interface StorageStep {
  readonly machine: StorageMachine;
  readonly effects: readonly StorageEffect[];
}

export function initialStorage(options: { readonly memoryAllowed: boolean }): StorageStep {
  const { memoryAllowed } = options;
  const machine = { state: { status: 'opening' }, failure: '', incarnationId: undefined, failures: 0 } as const;
  return { machine: { ...machine, memoryAllowed }, effects: [{ type: 'Open', afterMs: 0 }] };
}

/**
 * Moves the storage of one host. The caller adopts `machine`, then carries out `effects`; of each opening it tells the
 * outcome.
 *
 *               Opened              Refused
 *   opening ─────────────▶ ready ◀──────────▶ full
 *      │                   ▲ ▲ │   RoomFound    │
 *      │ OpenFailed        │ │ └──────┬─────────┘
 *      │ (denied, allowed) │ │        │ Lost                    Lost (wedged)
 *      ▼                   │ │        ▼                               │
 *   degraded-memory        │ └─ Opened ── reopening, wedged ◀─────────┘
 *                          │    same data     │ Opened, other data
 *                          └── Written ───── reset
 *
 *   opening, reopening, wedged ── OpenFailed (outdated) ──▶ read-only, not readable ── Opened ──▶ read-only, readable
 *
 * A failure to open is tried again with back-off, save at the start, where the application is told; what fails behind an
 * opening is tried again there, too.
 */
export function stepStorage(machine: StorageMachine, event: StorageEvent): StorageStep {
  const { state } = machine;
  switch (event.type) {
    case 'Opened':
      return opened(machine, event.incarnationId);
    case 'OpenedInstead': {
      const { incarnationId, what } = event;
      const reason = machine.failure;
      const instead: StorageState =
        what === 'memory'
          ? { status: 'degraded-memory', incarnationId, reason }
          : { status: 'read-only', readable: true, reason };
      return stay({ ...machine, incarnationId, state: instead });
    }
    case 'OpenFailed':
      return openFailed(machine, event);
    case 'Lost':
      return {
        machine: { ...machine, state: { status: event.wedged ? 'wedged' : 'reopening', reason: event.reason } },
        effects: [{ type: 'Open', afterMs: 0 }],
      };
    case 'Refused': {
      if (state.status !== 'ready' && state.status !== 'full' && state.status !== 'reset') return unmoved(machine);
      const { incarnationId } = state;
      const { usage, quota } = event;
      return stay({ ...machine, state: { status: 'full', incarnationId, usage, quota } });
    }
    case 'RoomFound':
      return state.status === 'full' ? stay(ready(machine, state.incarnationId)) : unmoved(machine);
    case 'Written':
      return state.status === 'reset' ? stay(ready(machine, state.incarnationId)) : unmoved(machine);
    default:
      return unreachable(event);
  }
}

function opened(machine: StorageMachine, incarnationId: string): StorageStep {
  const { incarnationId: lostIncarnationId = incarnationId } = machine;
  const open = { ...machine, incarnationId, failures: 0 };
  if (lostIncarnationId === incarnationId) return stay(ready(open, incarnationId));
  return stay({ ...open, state: { status: 'reset', incarnationId, lostIncarnationId } });
}

function openFailed(before: StorageMachine, event: StorageEvent & { type: 'OpenFailed' }): StorageStep {
  const { failure, reason, hasOpened } = event;
  const machine = { ...before, failure: reason, failures: before.failures + 1 };
  const { state, memoryAllowed } = machine;
  // A newer version's data that cannot be read either: there is nothing to do but to say so.
  if (state.status === 'read-only') return stay({ ...machine, state: { ...state, readable: false } });
  if (failure === 'outdated') {
    const outdated: StorageState = { status: 'read-only', readable: false, reason };
    return { machine: { ...machine, state: outdated }, effects: [{ type: 'OpenReadOnly' }] };
  }
  if (state.status === 'opening' && !hasOpened) {
    return { machine, effects: [{ type: failure === 'denied' && memoryAllowed ? 'OpenMemory' : 'GiveUp' }] };
  }
  const status = state.status === 'wedged' ? 'wedged' : 'reopening';
  const afterMs = Math.min(REOPEN_MS * 2 ** before.failures, MAX_REOPEN_MS);
  return { machine: { ...machine, state: { status, reason } }, effects: [{ type: 'Open', afterMs }] };
}

function ready(machine: StorageMachine, incarnationId: string): StorageMachine {
  return { ...machine, state: { status: 'ready', incarnationId } };
}

function stay(machine: StorageMachine): StorageStep {
  return { machine, effects: [] };
}

function unmoved(machine: StorageMachine): StorageStep {
  return { machine, effects: [] };
}
