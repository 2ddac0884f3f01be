import type { BrokerOptions } from '../broker/broker.js';
import { parseBrokerConfig } from '../broker/broker-config.js';
import { KafkaError } from '../protocol/errors.js';
import type { RequestChannel, SendOptions } from '../protocol/request-channel.js';
import type { ApiName, DescribeStorageRequest, Requests, Responses } from '../protocol/requests.js';
import type { HeldLock, Runtime } from '../runtime/runtime.js';
import type { LogStore } from '../storage/log-store.js';
import { isStorageUnavailable, isWedged } from '../storage/storage-errors.js';
import { unreachable } from '../util/assert.js';
import { abortable, deferred, onAbort } from '../util/signal.js';
import type { ClusterParts } from './cluster-parts.js';
import { HostSession, type HostSessionOptions } from './host-session.js';
import { initialStorage, type StorageEffect, type StorageEvent } from './storage-machine.js';
import { StorageMonitor } from './storage-monitor.js';

/** How long a request waits for the database to come back. */
const REOPEN_WAIT_MS = 20_000;

export interface HostOptions {
  readonly runtime: Runtime;
  /** Opens the cluster's database; called again when it was lost. */
  readonly openStore: () => Promise<LogStore>;
  /** Opens the database of a newer version of this code, to read it. Absent: such data is refused. */
  readonly openNewerStore?: () => Promise<LogStore>;
  /** A store over memory, where the application allows that in place of a denied database. */
  readonly openMemory?: (() => Promise<LogStore>) | undefined;
  readonly parts: ClusterParts;
  readonly clusterName: string;
  /** Static configs of the broker, should this host lead; by Kafka's dotted names. */
  readonly brokerConfig?: Readonly<Record<string, string>>;
  /** What a person may call this tab. */
  readonly label: string;
  readonly visible?: boolean;
  /** The keys that this tab's application gave to this host, should it lead; asked anew at each use. */
  readonly batchKeys?: BrokerOptions['batchKeys'];
}

/** What was opened. */
type Opened = 'database' | (StorageEvent & { type: 'OpenedInstead' })['what'];

/**
 * One worker's part in the cluster: takes every request of its tab's clients. Keeps the database open and the metadata
 * warm, so that leading costs little when this host is elected. A lost database (cleared, connection cut, wedged) ends
 * the stay; the host opens it again and rejoins under a new host id. What it opens, and when, `stepStorage` decides.
 */
export class Host implements RequestChannel {
  readonly #options: HostOptions;
  readonly #closing = new AbortController();
  readonly #storage: StorageMonitor;
  #session: HostSession | undefined;
  /** The end of the session before. */
  #left: Promise<void> = Promise.resolve();
  /** What the storage machine asked for last. */
  #opening: Promise<void> = Promise.resolve();
  #failure: unknown;
  readonly #started = deferred();
  #joined = deferred();
  readonly #lockName: string;
  #hostId: string | undefined;
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
      await host.#started.promise;
      if (host.#storage.state.status !== 'degraded-memory') await living;
    } catch (error) {
      await host.close();
      throw error;
    }
    return host;
  }

  private constructor(options: HostOptions) {
    const { runtime, clusterName, openMemory } = options;
    this.#options = options;
    this.#visible = options.visible ?? true;
    this.#lockName = `tabstream/${clusterName}/worker/${runtime.random.uuid()}`;
    this.#started.promise.catch(() => {}); // whoever starts it hears of it
    const first = initialStorage({ memoryAllowed: openMemory !== undefined });
    this.#storage = new StorageMonitor({
      hostName: this.#lockName,
      wallMs: () => runtime.clock.wallMs(),
      first,
      carryOut: (effect) => this.#carryOut(effect),
      changed: () => this.#session?.storageChanged(),
    });
    for (const effect of first.effects) this.#carryOut(effect);
  }

  /** By which the others know it, or soon will; another each time that it joins. undefined: it has not tried yet. */
  get hostId(): string | undefined {
    return this.#hostId;
  }

  /** Held from the start until this host is closed or its worker dies. */
  get lockName(): string {
    return this.#lockName;
  }

  async send<A extends ApiName>(api: A, request: Requests[A], options: SendOptions = {}): Promise<Responses[A]> {
    if (api === 'DescribeStorage') {
      if (this.#storage.state.status === 'opening') await this.#awaitSession(options.signal);
      const asked = request as DescribeStorageRequest;
      const answer = this.#storage.describe(asked, options.signal);
      return abortable(answer, this.#closing.signal) as Promise<Responses[A]>;
    }
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
    await this.#left;
    for (let opening = this.#opening; ; opening = this.#opening) {
      await opening;
      if (opening === this.#opening) break;
    }
    this.#lifeLock?.release();
  }

  async #live(): Promise<void> {
    this.#lifeLock = await this.#options.runtime.locks?.hold(this.#lockName);
    if (this.#closing.signal.aborted) this.#lifeLock?.release();
  }

  // ---------------------------------------------------------------- what the storage machine asks for

  #carryOut(effect: StorageEffect): void {
    this.#opening = this.#open(effect);
  }

  async #open(effect: StorageEffect): Promise<void> {
    const { runtime, openStore, openNewerStore = refuseNewer, openMemory = openStore } = this.#options;
    switch (effect.type) {
      case 'GiveUp':
        this.#started.reject(this.#failure);
        return;
      case 'Open':
        await this.#left;
        if (effect.afterMs > 0) await runtime.clock.sleep(effect.afterMs, this.#closing.signal).catch(() => {});
        return this.#join('database', openStore);
      case 'OpenReadOnly':
        await this.#join('newer-database', openNewerStore);
        this.#started.resolve(); // also where it cannot be read: every request then says why
        return;
      case 'OpenMemory':
        return this.#join('memory', openMemory);
      default:
        unreachable(effect);
    }
  }

  async #join(what: Opened, openStore: () => Promise<LogStore>): Promise<void> {
    const { signal } = this.#closing;
    if (signal.aborted) return;
    let store: LogStore | undefined;
    let session: HostSession;
    try {
      store = await openStore();
      if (signal.aborted) return await store.close();
      if (what === 'database') this.#started.resolve(); // who asks first makes ready while we join
      this.#hostId = this.#options.runtime.random.uuid();
      session = await HostSession.start(this.#sessionOptions(what, store, this.#hostId));
    } catch (error) {
      this.#failure = error;
      await store?.close();
      if (signal.aborted) return;
      this.#storage.dispatch({ type: 'OpenFailed', ...whyNotOpened(error), hasOpened: store !== undefined });
      return;
    }
    if (signal.aborted) return session.close();
    this.#session = session;
    const { incarnationId } = store;
    this.#storage.dispatch(
      what === 'database' ? { type: 'Opened', incarnationId } : { type: 'OpenedInstead', what, incarnationId },
    );
    if (this.#storage.state.status === 'reset') void this.#awaitWritten(session);
    this.#started.resolve();
    this.#joined.resolve();
    onAbort(store.lost, () => {
      if (this.#session === session) this.#lost(session, store.lost.reason);
    });
  }

  #sessionOptions(what: Opened, store: LogStore, hostId: string): HostSessionOptions {
    const { runtime, parts, clusterName, brokerConfig = {}, label, batchKeys } = this.#options;
    // Other tabs have memories of their own: no message and no lock is shared with them.
    const alone = what === 'memory';
    return {
      runtime: alone ? { ...runtime, locks: undefined } : runtime,
      hostId,
      workerLock: this.#lockName,
      store,
      parts,
      clusterName: alone ? `${clusterName}/memory/${store.incarnationId}` : clusterName,
      brokerConfig,
      label,
      batchKeys,
      visible: this.#visible,
      readOnly: what === 'newer-database',
      storage: () => this.#storage.state,
      onStorage: (event) => this.#storage.dispatch(event),
    };
  }

  async #awaitWritten(session: HostSession): Promise<void> {
    await session.written();
    if (this.#session === session) this.#storage.dispatch({ type: 'Written' });
  }

  #lost(session: HostSession, cause: unknown): void {
    this.#session = undefined;
    this.#joined = deferred();
    this.#failure = cause;
    const reason = textOf(cause);
    // Whether what is in flight was written nobody knows: it is sent again, and recognised if it was.
    const text = `${reason}; it is being opened again, and what became of the request is unknown`;
    this.#left = session.close(new KafkaError('NETWORK_EXCEPTION', text, { cause }));
    this.#storage.dispatch({ type: 'Lost', wedged: isWedged(cause), reason });
  }

  async #awaitSession(signal: AbortSignal | undefined): Promise<HostSession> {
    const { clock } = this.#options.runtime;
    this.#closing.signal.throwIfAborted();
    this.#assertReadable();
    const timer = new AbortController();
    const late = clock.sleep(REOPEN_WAIT_MS, timer.signal);
    late.catch(() => {});
    try {
      await abortable(abortable(Promise.race([this.#joined.promise, late]), this.#closing.signal), signal);
    } finally {
      timer.abort();
    }
    if (this.#session !== undefined) return this.#session;
    this.#assertReadable();
    const why = textOf(this.#failure);
    throw new KafkaError('KAFKA_STORAGE_ERROR', `the database was not ready within ${REOPEN_WAIT_MS} ms: ${why}`);
  }

  #assertReadable(): void {
    const { state } = this.#storage;
    if (state.status === 'read-only' && !state.readable) throw new KafkaError('UNSUPPORTED_VERSION', state.reason);
  }
}

async function refuseNewer(): Promise<never> {
  throw new KafkaError('UNSUPPORTED_VERSION', 'the database is of a newer version: reload the page');
}

function whyNotOpened(error: unknown): Pick<StorageEvent & { type: 'OpenFailed' }, 'failure' | 'reason'> {
  const reason = textOf(error);
  if (isStorageUnavailable(error)) return { failure: 'denied', reason };
  const isOutdated = error instanceof KafkaError && error.type === 'UNSUPPORTED_VERSION';
  return { failure: isOutdated ? 'outdated' : 'failed', reason };
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
