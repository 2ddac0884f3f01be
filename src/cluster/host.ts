import { parseBrokerConfig } from '../broker/broker-config.js';
import type { BrokerParts } from '../broker/broker-parts.js';
import { KafkaError } from '../protocol/errors.js';
import type { RequestChannel, SendOptions } from '../protocol/request-channel.js';
import type { ApiName, Requests, Responses } from '../protocol/requests.js';
import type { HeldLock, Runtime } from '../runtime/runtime.js';
import type { LogStore } from '../storage/log-store.js';
import { abortable, deferred, onAbort } from '../util/signal.js';
import { HostSession } from './host-session.js';

/** Rest after a database that would not open again; doubles up to MAX_REOPEN_MS. */
const REOPEN_MS = 100;
const MAX_REOPEN_MS = 10_000;
/** How long a request waits for the database to come back. */
const REOPEN_WAIT_MS = 20_000;

export interface HostOptions {
  readonly runtime: Runtime;
  /** Opens the cluster's database; called again when it was lost. */
  readonly openStore: () => Promise<LogStore>;
  readonly parts: BrokerParts;
  readonly clusterName: string;
  /** Static configs of the broker, should this host lead; by Kafka's dotted names. */
  readonly brokerConfig?: Readonly<Record<string, string>>;
  /** What a person may call this tab. */
  readonly label: string;
  readonly visible?: boolean;
}

/**
 * One worker's part in the cluster: takes every request of its tab's clients. Keeps the database open and the metadata
 * warm, so that leading costs little when this host is elected. A lost database (cleared, connection cut) ends the
 * stay; the host opens it again and rejoins under a new host id.
 */
export class Host implements RequestChannel {
  readonly #options: HostOptions;
  readonly #closing = new AbortController();
  #session: HostSession | undefined;
  /** The end of one session and the start of the next, after the database was lost. */
  #rejoining: Promise<void> | undefined;
  #rejoined = deferred();
  readonly #lockName: string;
  #lifeLock: HeldLock | undefined;
  #visible: boolean;
  #ended: Promise<void> | undefined;

  /**
   * Resolves once requests can be sent, long before somebody leads.
   * @throws what `openStore` throws: this platform cannot keep the cluster's data. INVALID_CONFIG: of the broker.
   */
  static async start(options: HostOptions): Promise<Host> {
    parseBrokerConfig(options.brokerConfig ?? {}); // now, rather than when it is elected
    const host = new Host(options);
    try {
      // Where storage is denied so are locks; it is the database that says why.
      const living = host.#live();
      living.catch(() => {});
      await host.#join();
      await living;
    } catch (error) {
      await host.close();
      throw error;
    }
    return host;
  }

  private constructor(options: HostOptions) {
    this.#options = options;
    this.#visible = options.visible ?? true;
    this.#lockName = `tabstream/${options.clusterName}/worker/${options.runtime.random.uuid()}`;
  }

  /** undefined while the database is being opened again. */
  get hostId(): string | undefined {
    return this.#session?.hostId;
  }

  /** Held from the start until this host is closed or its worker dies. */
  get lockName(): string {
    return this.#lockName;
  }

  async send<A extends ApiName>(api: A, request: Requests[A], options: SendOptions = {}): Promise<Responses[A]> {
    const session = this.#session ?? (await this.#awaitSession(options.signal));
    return session.send(api, request, options.signal);
  }

  /** A hidden leader hands over to a visible tab after a while. */
  setVisible(visible: boolean): void {
    this.#visible = visible;
    this.#session?.setVisible(visible);
  }

  close(): Promise<void> {
    this.#ended ??= this.#end();
    return this.#ended;
  }

  async #end(): Promise<void> {
    this.#closing.abort(new KafkaError('NETWORK_EXCEPTION', 'the host is closed'));
    const session = this.#session;
    this.#session = undefined;
    await session?.close();
    await this.#rejoining;
    this.#lifeLock?.release();
  }

  async #live(): Promise<void> {
    this.#lifeLock = await this.#options.runtime.locks?.hold(this.#lockName);
    if (this.#closing.signal.aborted) this.#lifeLock?.release();
  }

  async #join(): Promise<void> {
    const { runtime, parts, clusterName, brokerConfig = {}, label } = this.#options;
    const store = await this.#options.openStore();
    if (this.#closing.signal.aborted) {
      await store.close();
      return;
    }
    const visible = this.#visible;
    const session = await HostSession.start({ runtime, store, parts, clusterName, brokerConfig, label, visible });
    if (this.#closing.signal.aborted) {
      await session.close();
      return;
    }
    this.#session = session;
    this.#rejoined.resolve();
    onAbort(store.lost, () => {
      if (this.#session === session) this.#rejoining = this.#rejoin(session);
    });
  }

  async #rejoin(lost: HostSession): Promise<void> {
    this.#session = undefined;
    this.#rejoined = deferred();
    await lost.close(new KafkaError('KAFKA_STORAGE_ERROR', 'the database was lost; it is being opened again'));
    const { signal } = this.#closing;
    for (let restMs = REOPEN_MS; !signal.aborted; restMs = Math.min(restMs * 2, MAX_REOPEN_MS)) {
      try {
        await this.#join();
        return;
      } catch {
        await this.#options.runtime.clock.sleep(restMs, signal).catch(() => {});
      }
    }
  }

  async #awaitSession(signal: AbortSignal | undefined): Promise<HostSession> {
    const { clock } = this.#options.runtime;
    this.#closing.signal.throwIfAborted();
    const timer = new AbortController();
    const late = clock.sleep(REOPEN_WAIT_MS, timer.signal);
    late.catch(() => {});
    try {
      await abortable(abortable(Promise.race([this.#rejoined.promise, late]), this.#closing.signal), signal);
    } finally {
      timer.abort();
    }
    if (this.#session !== undefined) return this.#session;
    throw new KafkaError('KAFKA_STORAGE_ERROR', `the database could not be opened again within ${REOPEN_WAIT_MS} ms`);
  }
}
