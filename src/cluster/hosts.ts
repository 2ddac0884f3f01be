import type { Clock, HeldLock, Locks } from '../runtime/runtime.js';
import type { LogId } from '../storage/log-store.js';
import type { HostMessage, HostPresence } from './host-messages.js';

/** A host not heard of for so long is taken for dead where there are no Web Locks. */
const LOST_MS = 15_000;
/** How often a host says again that it is there: repairs lost joins. */
const REPEAT_MS = 4_000;
const MAX_HOSTS = 256;

/** The lock that a host holds while it lives. */
export function hostLockName(clusterName: string, hostId: string): string {
  return `tabstream/${clusterName}/host/${hostId}`;
}

interface Peer {
  readonly presence: HostPresence;
  readonly heardMs: number;
  readonly watch: AbortController;
}

export interface HostsOptions {
  readonly clusterName: string;
  readonly self: HostPresence;
  readonly clock: Clock;
  readonly locks: Locks | undefined;
  readonly post: (message: HostMessage) => void;
  /** A host left or died: whatever was asked of it will not be answered. */
  readonly onGone: (hostId: string) => void;
}

/**
 * Which other hosts live. A host is known from its `join` or `here` and gone once it says `leave`, once its own lock is
 * granted to us (it died), or, without locks, once it was silent for long. A frozen host lives.
 */
export class Hosts {
  readonly #options: HostsOptions;
  readonly #peers = new Map<string, Peer>();
  #self: HostPresence;
  #saidMs: number;

  constructor(options: HostsOptions) {
    this.#options = options;
    this.#self = options.self;
    this.#saidMs = options.clock.monotonicMs();
  }

  get self(): HostPresence {
    return this.#self;
  }

  /** The other hosts, in the order in which they joined. */
  get others(): readonly HostPresence[] {
    return [...this.#peers.values()]
      .map((peer) => peer.presence)
      .sort((a, b) => a.joinedAtMs - b.joinedAtMs || (a.hostId < b.hostId ? -1 : 1));
  }

  get count(): number {
    return this.#peers.size + 1;
  }

  has(hostId: string): boolean {
    return this.#peers.has(hostId);
  }

  /** Whether another host wants to hear of a log, as far as we have heard. */
  isRead(log: LogId): boolean {
    for (const { presence } of this.#peers.values()) if (presence.reads?.includes(log) ?? true) return true;
    return false;
  }

  /** Says hello; the others answer. Our own lock must be held by now, or they take us for dead. */
  join(): void {
    this.#options.post({ type: 'join', presence: this.#self });
  }

  /** Tells the others what has changed of this host. */
  present(changed: Partial<Pick<HostPresence, 'visible' | 'storage' | 'reads'>>): void {
    this.#self = { ...this.#self, ...changed };
    this.#say();
  }

  receive(from: string, message: HostMessage): void {
    switch (message.type) {
      case 'join':
        this.#heard(message.presence);
        this.#say();
        return;
      case 'here':
        this.#heard(message.presence);
        return;
      case 'leave':
        this.#forget(from);
        return;
      default:
        return;
    }
  }

  /** To be called now and then: repeats our presence, forgets the silent where locks cannot tell. */
  tick(): void {
    const now = this.#options.clock.monotonicMs();
    if (now - this.#saidMs >= REPEAT_MS) this.#say();
    if (this.#options.locks !== undefined) return;
    for (const [hostId, peer] of this.#peers) if (now - peer.heardMs > LOST_MS) this.#forget(hostId);
  }

  /** After a long sleep what we heard last says nothing about the others: time starts anew. */
  slept(): void {
    const heardMs = this.#options.clock.monotonicMs();
    for (const [hostId, peer] of this.#peers) this.#peers.set(hostId, { ...peer, heardMs });
    this.join();
  }

  close(): void {
    this.#options.post({ type: 'leave' });
    for (const peer of this.#peers.values()) peer.watch.abort();
    this.#peers.clear();
  }

  #say(): void {
    this.#saidMs = this.#options.clock.monotonicMs();
    this.#options.post({ type: 'here', presence: this.#self });
  }

  #heard(presence: HostPresence): void {
    const heardMs = this.#options.clock.monotonicMs();
    const known = this.#peers.get(presence.hostId);
    if (known !== undefined) {
      this.#peers.set(presence.hostId, { ...known, presence, heardMs });
    } else if (this.#peers.size < MAX_HOSTS) {
      const watch = new AbortController();
      this.#peers.set(presence.hostId, { presence, heardMs, watch });
      void this.#awaitDeath(presence.hostId, watch.signal);
    }
  }

  async #awaitDeath(hostId: string, signal: AbortSignal): Promise<void> {
    const { locks, clusterName } = this.#options;
    if (locks === undefined) return;
    let held: HeldLock;
    try {
      held = await locks.hold(hostLockName(clusterName, hostId), { signal, shared: true });
    } catch {
      return; // no longer asked for
    }
    held.release();
    if (!signal.aborted) this.#forget(hostId);
  }

  #forget(hostId: string): void {
    const peer = this.#peers.get(hostId);
    if (peer === undefined) return;
    this.#peers.delete(hostId);
    peer.watch.abort();
    this.#options.onGone(hostId);
  }
}
