import type { StorageState } from '../protocol/storage-state.js';
import type { LogId } from '../storage/log-store.js';

/** Raised when a message changes its meaning; a host ignores, or refuses by name, what another version sent. */
export const CLUSTER_PROTOCOL_VERSION: number = 1;

/** The channel on which a host gets what is meant for it alone. */
export function inboxName(clusterName: string, hostId: string): string {
  return `tabstream/${clusterName}/host/${hostId}`;
}

/** How a host presents itself to the others. */
export interface HostPresence {
  readonly hostId: string;
  readonly label: string;
  readonly visible: boolean;
  readonly joinedAtMs: number;
  /** Absent in what hosts of earlier releases say. */
  readonly storage?: StorageState;
  /** Logs whose advances it wants to hear of. Absent: of all. */
  readonly reads?: readonly LogId[] | undefined;
}

/** What hosts tell each other on the one channel that all of them listen to. Hints: each may come late, twice or never. */
export type HostMessage =
  /** `join` asks the others to answer with `here`. */
  | { readonly type: 'join' | 'here'; readonly presence: HostPresence }
  | { readonly type: 'leave' }
  /** The sender leads at `epoch`: news at first, a heartbeat later. */
  | { readonly type: 'announcement'; readonly epoch: number }
  | { readonly type: 'resignation'; readonly epoch: number }
  /** The sender is about to try to move the epoch on from `epoch`. */
  | { readonly type: 'candidacy'; readonly epoch: number }
  /** Who leads? The leader announces itself. */
  | { readonly type: 'ask' }
  /** Sent by a host to itself, to see whether its channel still carries messages. */
  | { readonly type: 'probe'; readonly nonce: string };

export interface HostEnvelope {
  readonly version: number;
  /** Hosts of a wiped database know nothing of use to the others. */
  readonly incarnationId: string;
  readonly from: string;
  readonly message: HostMessage;
}

const TYPES: ReadonlySet<string> = new Set<HostMessage['type']>([
  'join',
  'here',
  'leave',
  'announcement',
  'resignation',
  'candidacy',
  'ask',
  'probe',
]);

/** The envelope, or undefined for what this version does not understand. */
export function parseHostEnvelope(data: unknown): HostEnvelope | undefined {
  if (typeof data !== 'object' || data === null) return undefined;
  const envelope = data as Partial<HostEnvelope>;
  if (envelope.version !== CLUSTER_PROTOCOL_VERSION || typeof envelope.from !== 'string') return undefined;
  if (typeof envelope.message !== 'object' || !TYPES.has(envelope.message.type)) return undefined;
  return envelope as HostEnvelope; // ours: same version, same shape
}
