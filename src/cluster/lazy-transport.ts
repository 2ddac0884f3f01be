import type { KafkaError } from '../protocol/errors.js';
import type { ApiName, Requests } from '../protocol/requests.js';
import type { Channel } from '../runtime/runtime.js';
import { present } from '../util/assert.js';
import type { ClusterParts } from './cluster-parts.js';
import { inboxName } from './host-messages.js';
import type { Answer, Transport, TransportOptions } from './transport.js';

/** Messages that wait for the code; who sent more asks again. */
const MAX_WAITING = 256;

/** The `Transport` of a host, whose code is loaded once there is somebody to speak to: a lone host needs none. */
export class LazyTransport {
  readonly #options: TransportOptions;
  readonly #part: ClusterParts['transport'];
  readonly #inbox: Channel;
  #waiting: unknown[] = [];
  #loading: Promise<void> | undefined;
  #transport: Transport | undefined;
  #isClosed = false;

  constructor(options: TransportOptions, part: ClusterParts['transport']) {
    this.#options = options;
    this.#part = part;
    const { runtime, clusterName, hostId } = options;
    this.#inbox = runtime.channels.open(inboxName(clusterName, hostId), (data) => this.#receive(data));
  }

  get isLoaded(): boolean {
    return this.#transport !== undefined;
  }

  /** @throws KafkaError COORDINATOR_NOT_AVAILABLE: the code could not be loaded; the next call tries again. */
  load(): Promise<void> {
    this.#loading ??= this.#load().catch((error: unknown) => {
      this.#loading = undefined;
      throw error;
    });
    return this.#loading;
  }

  async #load(): Promise<void> {
    const { Transport } = await this.#part();
    if (this.#isClosed) return;
    this.#transport = new Transport(this.#options);
    for (const data of this.#waiting.splice(0)) this.#transport.receive(data);
  }

  /** See `Transport.call`. It must be loaded. */
  call<A extends ApiName>(to: string, api: A, request: Requests[A], signal?: AbortSignal): Promise<Answer<A>> {
    return present(this.#transport, 'the transport is loaded').call(to, api, request, signal);
  }

  /** See `Transport.failAllBut`. */
  failAllBut(leader: string, error: KafkaError): void {
    this.#transport?.failAllBut(leader, error);
  }

  /** `hostId` is gone for good: what it has not answered fails, what it asked for is forgotten. */
  gone(hostId: string, error: KafkaError): void {
    this.#transport?.fail(hostId, error);
    this.#transport?.forget(hostId);
  }

  close(): void {
    this.#isClosed = true;
    this.#transport?.close();
    this.#inbox.close();
  }

  #receive(data: unknown): void {
    if (this.#transport !== undefined) return this.#transport.receive(data);
    if (this.#waiting.length < MAX_WAITING) this.#waiting.push(data);
    this.load().catch(() => {}); // whoever waits for an answer asks again
  }
}
