import type { EncryptionKeys } from '../protocol/encryption-keys.js';
import { KafkaError } from '../protocol/errors.js';
import type { RequestChannel, SendOptions } from '../protocol/request-channel.js';
import type { ApiName, Requests, Responses } from '../protocol/requests.js';
import { type HostStart, type HostStarted, LINK_VERSION } from './host-api.js';
import { isPageVisible, watchPage } from './page-lifecycle.js';
import { WorkerPeer, type WorkerPeerOptions } from './worker-peer.js';

export interface WorkerLinkOptions extends Omit<WorkerPeerOptions, 'start'> {
  readonly start: Omit<HostStart, 'version' | 'visible'>;
}

/** The oldest are forgotten. */
const MAX_KEY_RINGS = 16;

type State =
  | { readonly status: 'open'; readonly peer: WorkerPeer }
  /** The page is cached, frozen or going: without a worker until it is back. */
  | { readonly status: 'suspended' }
  | { readonly status: 'closed' };

/**
 * The way from a page to the host in its worker, over the Worker itself: a message for a request and one for its answer,
 * Comlink for all else. Record bytes are transferred, both ways.
 *
 *   open ── page hidden for good, cached, frozen ──▶ suspended (worker ended: its locks are free at once)
 *    ▲ └─ worker gone ─▶ open with a new one,        │
 *    │                   at the next request         │
 *    └──────────────────────────── page is back ─────┘          any ── close ─▶ closed
 *
 * What is in flight when a worker ends fails with NETWORK_EXCEPTION (outcome unknown); later requests go to the next.
 */
export class WorkerLink implements RequestChannel {
  readonly #options: WorkerLinkOptions;
  readonly #stopWatching: () => void;
  #state: State;
  #keyRings: readonly EncryptionKeys[] = [];
  #closing: Promise<void> | undefined;

  constructor(options: WorkerLinkOptions) {
    this.#options = options;
    this.#state = { status: 'open', peer: this.#newPeer() };
    this.#stopWatching = watchPage({
      suspend: () => this.#suspend(),
      resume: () => this.#resume(),
      visibility: (visible) => this.#state.status === 'open' && this.#state.peer.visibility(visible),
    });
  }

  /** Who serves this page now. @throws KafkaError where the host does not start. */
  async host(): Promise<HostStarted> {
    return this.#peer().started;
  }

  async send<A extends ApiName>(api: A, request: Requests[A], { signal }: SendOptions = {}): Promise<Responses[A]> {
    return this.#peer().send(api, request, signal);
  }

  /** The keys of one more `Kafka` of this page, for this worker and those that take its place. */
  giveKeys(keys: EncryptionKeys): void {
    if (this.#keyRings.includes(keys)) return;
    this.#keyRings = [...this.#keyRings, keys].slice(-MAX_KEY_RINGS);
    if (this.#state.status === 'open') this.#state.peer.keyRings(this.#keyRings);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const state = this.#state;
    this.#state = { status: 'closed' };
    this.#stopWatching();
    if (state.status === 'open') await state.peer.close(new KafkaError('NETWORK_EXCEPTION', 'the client was closed'));
  }

  #peer(): WorkerPeer {
    switch (this.#state.status) {
      case 'open':
        if (this.#state.peer.ended.aborted) this.#state = { status: 'open', peer: this.#newPeer() };
        return this.#state.peer;
      case 'suspended':
        throw new KafkaError('NETWORK_EXCEPTION', 'the page is frozen or hidden for good: its worker was ended');
      case 'closed':
        throw new KafkaError('BROKER_NOT_AVAILABLE', 'the link to the worker is closed');
    }
  }

  #suspend(): void {
    if (this.#state.status !== 'open') return;
    const { peer } = this.#state;
    this.#state = { status: 'suspended' };
    peer.end(new KafkaError('NETWORK_EXCEPTION', 'the page was frozen or left: its worker was ended'));
  }

  #resume(): void {
    if (this.#state.status === 'suspended') this.#state = { status: 'open', peer: this.#newPeer() };
  }

  #newPeer(): WorkerPeer {
    const start = { ...this.#options.start, version: LINK_VERSION, visible: isPageVisible() };
    const peer = new WorkerPeer({ ...this.#options, start });
    if (this.#keyRings[0]) peer.keyRings(this.#keyRings);
    return peer;
  }
}
