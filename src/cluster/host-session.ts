import type { Broker, BrokerApi, BrokerOptions } from '../broker/broker.js';
import { fetchHandler } from '../broker/handle-fetch.js';
import { handleListOffsets } from '../broker/handle-list-offsets.js';
import { handleMetadata } from '../broker/handle-metadata.js';
import { METADATA_LOG } from '../broker/metadata-records.js';
import type { ReadContext } from '../broker/read-context.js';
import { BROKER_ID, BROKER_NODE } from '../protocol/broker-node.js';
import { KafkaError, NO_ERROR } from '../protocol/errors.js';
import type { ApiName, DescribeClusterResponse, MetadataRequest, Requests, Responses } from '../protocol/requests.js';
import type { StorageState } from '../protocol/storage-state.js';
import type { Channel, HeldLock, Runtime } from '../runtime/runtime.js';
import type { LogId, LogStore } from '../storage/log-store.js';
import { abortable, deferred, linkedController, OVER, onAbort } from '../util/signal.js';
import type { ClusterParts } from './cluster-parts.js';
import { ControllerElection } from './controller-election.js';
import { type Claimant, TICK_MS } from './election-state.js';
import { CLUSTER_PROTOCOL_VERSION, type HostEnvelope, type HostMessage, parseHostEnvelope } from './host-messages.js';
import { Hosts, hostLockName } from './hosts.js';
import { LazyTransport } from './lazy-transport.js';
import { HostLogViews } from './log-views.js';
import { MetadataFollower } from './metadata-follower.js';
import type { StorageEvent } from './storage-machine.js';
import type { Answer, AnswerRequest } from './transport.js';

/**
 * A host takes part in the election with its first request that needs a leader, or else this long after its start: reads
 * need none, and the first of them has the worker and the database for itself.
 */
const ELECTION_AFTER_MS = 150;
/** How long a request waits for somebody to lead. */
export const LEADER_WAIT_MS: number = 20_000;
/** A refused request is not sent again sooner, unless a new leader is heard of. */
const REROUTE_MS = 100;
/** A broker that does not end within this time is left behind: its epoch fences it. */
const BROKER_CLOSE_MS = 2_000;
/** How long a leader that has left still refuses what was sent to it, so that it goes to the next one at once. */
const PARTING_MS = 20;
/** A leader in a tab that is hidden for so long hands over, if another tab can be seen. */
const HIDDEN_MS = 30_000;
/** After these the host's own image includes what they changed, before they are answered. */
const METADATA_APIS: ReadonlySet<ApiName> = new Set<ApiName>([
  'CreateTopics',
  'DeleteTopics',
  'CreatePartitions',
  'AlterConfigs',
  'Metadata',
]);

export interface HostSessionOptions {
  readonly runtime: Runtime;
  /** New for each stay. */
  readonly hostId: string;
  /** Held through all stays of a host. */
  readonly workerLock: string;
  readonly store: LogStore;
  readonly parts: ClusterParts;
  readonly clusterName: string;
  readonly brokerConfig: Readonly<Record<string, string>>;
  readonly label: string;
  readonly visible: boolean;
  /** The store is of a newer version and only read: this host never leads, and refuses what only a leader does. */
  readonly readOnly: boolean;
  /** How the storage of this host is; `storageChanged` says that it is another now. */
  readonly storage: () => StorageState;
  readonly onStorage: (event: StorageEvent) => void;
  readonly batchKeys: BrokerOptions['batchKeys'];
}

interface Leading {
  readonly epoch: number;
  readonly broker: Promise<Broker>;
}

/** The channel on which all hosts of a cluster speak about themselves. */
export function hostsChannelName(clusterName: string): string {
  return `tabstream/${clusterName}/hosts`;
}

type LocalApis = { readonly [A in ApiName]?: (request: Requests[A], signal?: AbortSignal) => Promise<Responses[A]> };

/**
 * One host's stay in the cluster over one open database: answers what any host can (reads), takes part in the election,
 * leads when elected, and brings everything else to the leader.
 */
export class HostSession {
  readonly hostId: string;
  readonly #options: HostSessionOptions;
  readonly #ownLock: HeldLock | undefined;
  readonly #closing = new AbortController();
  readonly #channel: Channel;
  readonly #hosts: Hosts;
  readonly #election: ControllerElection;
  readonly #transport: LazyTransport;
  readonly #views: HostLogViews;
  readonly #metadata: MetadataFollower;
  readonly #reads: ReadContext;
  readonly #local: LocalApis;
  #leading: Leading | undefined;
  #leaderChanged = deferred();
  #heardEpoch = 0;
  #hiddenSinceMs: number | undefined;
  #ended: Promise<void> | undefined;

  /** Joins the cluster. The store becomes the session's: `close` closes it. */
  static async start(options: HostSessionOptions): Promise<HostSession> {
    const { runtime, clusterName, hostId } = options;
    const ownLock = await runtime.locks?.hold(hostLockName(clusterName, hostId)); // before anybody hears of us
    return new HostSession(options, ownLock);
  }

  private constructor(options: HostSessionOptions, ownLock: HeldLock | undefined) {
    const { runtime, hostId, store, parts, clusterName, label, visible } = options;
    const { clock, locks } = runtime;
    this.hostId = hostId;
    this.#options = options;
    this.#ownLock = ownLock;
    if (!visible) this.#hiddenSinceMs = clock.monotonicMs();
    const isRead = (log: LogId) => this.#hosts.isRead(log);
    const onReads = (reads: readonly LogId[] | undefined) => this.#hosts.present({ reads });
    const { transactions, readAhead } = parts;
    this.#views = new HostLogViews({ clusterName, runtime, store, isRead, onReads, transactions, readAhead });
    this.#metadata = new MetadataFollower({ views: this.#views, clock }); // first of all: the database answers meanwhile
    this.#channel = runtime.channels.open(hostsChannelName(clusterName), (data) => this.#received(data));
    const post = (message: HostMessage) => this.#channel.post(this.#envelope(message));

    this.#hosts = new Hosts({
      clusterName,
      self: { hostId, label, visible, joinedAtMs: clock.wallMs(), storage: options.storage() },
      clock,
      locks,
      post,
      onGone: (gone) => this.#hostGone(gone),
    });
    const answer: AnswerRequest = (api, request, signal) =>
      this.#lead(api as BrokerApi, request as Requests[BrokerApi], signal);
    this.#transport = new LazyTransport({ clusterName, hostId, runtime, answer }, parts.transport);
    this.#reads = {
      clusterId: clusterName,
      clock,
      views: this.#views,
      store,
      parts,
      image: () => this.#metadata.image,
      refreshImage: (signal) => this.#metadata.refresh(signal),
      leaderEpoch: () => this.#heardEpoch,
    };
    const fetch = fetchHandler(this.#reads);
    this.#local = {
      Fetch: async (request, signal) => {
        await this.#learnOf(
          request.topics.map(({ topic }) => topic),
          signal,
        );
        return fetch(request, signal);
      },
      ListOffsets: async (request, signal) => {
        await this.#learnOf(
          request.topics.map(({ name }) => name),
          signal,
        );
        return handleListOffsets(this.#reads, request);
      },
      Metadata: (request, signal) => this.#describeTopics(request, signal),
      DescribeCluster: async () => this.#describeCluster(),
    };
    this.#election = new ControllerElection({
      runtime,
      store,
      clusterName,
      hostId,
      post,
      alone: () => this.#hosts.count === 1,
      echo: (signal) => this.#echo(signal),
      openBroker: (epoch) => this.#openBroker(epoch),
      closeBroker: () => this.#closeBroker(),
      onLeader: (leader) => this.#leaderIs(leader),
    });
    this.#hosts.join();
    void this.#run();
  }

  /** See `RequestChannel.send`. */
  async send<A extends ApiName>(api: A, request: Requests[A], signal?: AbortSignal): Promise<Responses[A]> {
    this.#closing.signal.throwIfAborted();
    const local = this.#local[api] as
      | ((request: Requests[A], signal?: AbortSignal) => Promise<Responses[A]>)
      | undefined;
    const ended = linkedController(this.#closing.signal, signal);
    try {
      if (local !== undefined) return await local(request, ended.signal);
      const response = await this.#toLeader(api, this.#signed(api, request), ended.signal);
      return api === 'Heartbeat' ? { ...response, metadataOffset: this.#metadata.nextOffset } : response;
    } finally {
      ended.abort(OVER);
    }
  }

  /** Whoever joins a group lives and dies with this worker. */
  #signed<A extends ApiName>(api: A, request: Requests[A]): Requests[A] {
    return api === 'JoinGroup' ? { ...request, clientHost: `/${this.#options.workerLock}` } : request;
  }

  setVisible(visible: boolean): void {
    this.#hiddenSinceMs = visible ? undefined : (this.#hiddenSinceMs ?? this.#options.runtime.clock.monotonicMs());
    this.#hosts.present({ visible });
  }

  /** Tells the others. */
  storageChanged(): void {
    this.#hosts.present({ storage: this.#options.storage() });
  }

  /** Resolves once the database holds metadata, and with it perhaps more; never where the session ends before. */
  async written(): Promise<void> {
    await this.#metadata.reached(1, this.#closing.signal).catch(() => new Promise(() => {}));
  }

  /** Hands over and leaves. `reason` is what requests in flight fail with. Idempotent. */
  close(reason: KafkaError = new KafkaError('NETWORK_EXCEPTION', 'the host is closed')): Promise<void> {
    this.#ended ??= this.#end(reason);
    return this.#ended;
  }

  async #end(reason: KafkaError): Promise<void> {
    this.#closing.abort(reason);
    const led = this.#leading !== undefined;
    await this.#election.close();
    if (led && this.#hosts.count > 1) await this.#options.runtime.clock.sleep(PARTING_MS); // refuses what is under way
    this.#transport.close();
    this.#hosts.close();
    this.#metadata.close();
    this.#views.close();
    this.#channel.close();
    this.#ownLock?.release();
    await this.#options.store.close();
  }

  /** The one loop: heartbeats and housekeeping. */
  async #run(): Promise<void> {
    const { clock } = this.#options.runtime;
    const { signal } = this.#closing;
    await clock.sleep(ELECTION_AFTER_MS, signal).catch(() => {});
    if (!this.#options.readOnly) this.#takePart();
    while (!signal.aborted) {
      const beforeMs = clock.monotonicMs();
      try {
        await clock.sleep(TICK_MS, signal);
      } catch {
        return;
      }
      const elapsedMs = clock.monotonicMs() - beforeMs;
      if (elapsedMs > 4 * TICK_MS) this.#hosts.slept();
      this.#handOverIfHidden();
      this.#election.tick(elapsedMs);
      this.#hosts.tick();
      this.#views.tick();
    }
  }

  #handOverIfHidden(): void {
    if (this.#leading === undefined || this.#hiddenSinceMs === undefined) return;
    if (this.#options.runtime.clock.monotonicMs() - this.#hiddenSinceMs < HIDDEN_MS) return;
    if (this.#hosts.others.some((host) => host.visible)) this.#election.dispatch({ type: 'StepDown' });
  }

  // ---------------------------------------------------------------- requests

  async #describeTopics(request: MetadataRequest, signal?: AbortSignal): Promise<Responses['Metadata']> {
    const missing = () =>
      request.topics === null || request.topics.some(({ name }) => !this.#metadata.image.topics.has(name));
    if (missing()) await this.#metadata.refresh(signal);
    if (request.topics !== null && request.allowAutoTopicCreation && missing()) {
      return this.#toLeader('Metadata', request, signal);
    }
    return handleMetadata(this.#reads, request);
  }

  /** A topic that our image lacks may be in the database: we have just started, or the news of it is under way. */
  async #learnOf(topics: readonly string[], signal: AbortSignal | undefined): Promise<void> {
    const isMissing = (): boolean => topics.some((topic) => !this.#metadata.image.topics.has(topic));
    if (isMissing()) await this.#metadata.caughtUp(signal);
    if (isMissing()) await this.#metadata.refresh(signal);
  }

  #describeCluster(): DescribeClusterResponse {
    const leader = this.#election.leader;
    const hosts = [this.#hosts.self, ...this.#hosts.others].map((host) => ({
      ...host,
      storage: host.storage?.status ?? 'ready',
      controller: host.hostId === leader?.hostId,
      controllerEpoch: host.hostId === leader?.hostId ? leader.epoch : 0,
      self: host.hostId === this.hostId,
    }));
    const { nodeId, host, port } = BROKER_NODE;
    const brokers = [{ brokerId: nodeId, host, port }];
    return { ...NO_ERROR, clusterId: this.#options.clusterName, controllerId: BROKER_ID, brokers, hosts };
  }

  /** To whoever leads, waiting for one if need be; to the next one where the first refused with nothing done. */
  async #toLeader<A extends ApiName>(api: A, request: Requests[A], signal?: AbortSignal): Promise<Responses[A]> {
    const { runtime, readOnly } = this.#options;
    if (readOnly) throw new KafkaError('UNSUPPORTED_VERSION', `${api}: a newer version leads here, reload the page`);
    const { clock } = runtime;
    this.#takePart();
    const untilMs = clock.monotonicMs() + LEADER_WAIT_MS;
    for (;;) {
      const leader = await this.#awaitLeader(untilMs, signal);
      if (leader.hostId !== this.hostId && !this.#transport.isLoaded) {
        await abortable(this.#transport.load(), signal);
        continue; // another may lead by now
      }
      const changed = this.#leaderChanged.promise;
      try {
        const answer = await this.#ask(leader, api, request, signal);
        if (METADATA_APIS.has(api)) await this.#metadata.reached(answer.metadataEndOffset, signal);
        return answer.response;
      } catch (error) {
        const refused = error instanceof KafkaError && error.type === 'NOT_CONTROLLER';
        if (!refused || clock.monotonicMs() >= untilMs) throw error;
      }
      await this.#pause(changed, REROUTE_MS, signal);
    }
  }

  #ask<A extends ApiName>(leader: Claimant, api: A, request: Requests[A], signal?: AbortSignal): Promise<Answer<A>> {
    if (leader.hostId !== this.hostId) return this.#transport.call(leader.hostId, api, request, signal);
    const answer = this.#lead(api as BrokerApi, request as Requests[BrokerApi], signal);
    return answer as Promise<Answer<A>>; // the local APIs do not come here
  }

  async #awaitLeader(untilMs: number, signal: AbortSignal | undefined): Promise<Claimant> {
    for (;;) {
      const { leader } = this.#election;
      if (leader !== undefined) return leader;
      const leftMs = untilMs - this.#options.runtime.clock.monotonicMs();
      if (leftMs <= 0) throw new KafkaError('LEADER_NOT_AVAILABLE', `no host leads after ${LEADER_WAIT_MS} ms`);
      await this.#pause(this.#leaderChanged.promise, leftMs, signal);
    }
  }

  /** Until `over`, at most `ms`. Rejects with the signal's reason. */
  async #pause(over: Promise<void>, ms: number, signal: AbortSignal | undefined): Promise<void> {
    const timer = linkedController(signal);
    const sleep = this.#options.runtime.clock.sleep(ms, timer.signal);
    try {
      await Promise.race([over, sleep]);
    } finally {
      sleep.catch(() => {});
      timer.abort(OVER);
    }
  }

  /** Answers as the leader that we are. @throws KafkaError NOT_CONTROLLER where we are not: nothing was done. */
  async #lead<A extends BrokerApi>(api: A, request: Requests[A], signal?: AbortSignal): Promise<Answer<A>> {
    const leading = this.#leading;
    if (leading === undefined) throw new KafkaError('NOT_CONTROLLER', `host ${this.hostId} does not lead`);
    let broker: Broker;
    try {
      broker = await abortable(leading.broker, signal);
    } catch (error) {
      signal?.throwIfAborted();
      throw new KafkaError('NOT_CONTROLLER', `host ${this.hostId} could not take up epoch ${leading.epoch}`, {
        cause: error,
      });
    }
    if (this.#leading !== leading) throw new KafkaError('NOT_CONTROLLER', `host ${this.hostId} was deposed`);
    const response = await broker.handle(api, request, signal);
    const metadata = await this.#views.open(METADATA_LOG);
    return { response, metadataEndOffset: metadata.highWatermark };
  }

  // ---------------------------------------------------------------- leading

  /** In the election, from now on; what leading takes is loaded meanwhile. */
  #takePart(): void {
    if (this.#election.isStarted) return;
    this.#election.start();
    this.#options.parts.broker().catch(() => {}); // once elected, we hear of it
  }

  async #openBroker(epoch: number): Promise<void> {
    const opening = this.#newBroker(epoch);
    this.#leading = { epoch, broker: opening };
    const broker = await opening;
    onAbort(broker.deposed, () => this.#election.dispatch({ type: 'Fenced', epoch }));
  }

  async #newBroker(epoch: number): Promise<Broker> {
    const { runtime, store, parts, clusterName, brokerConfig, batchKeys } = this.#options;
    const { Broker } = await parts.broker();
    return Broker.open({
      clusterId: clusterName,
      store,
      parts,
      leaderEpoch: epoch,
      clock: runtime.clock,
      random: runtime.random,
      configs: brokerConfig,
      batchKeys,
      onAdvance: (advance) => this.#views.announce(advance),
      isFull: this.#options.storage().status === 'full',
      onFull: (figures) => this.#options.onStorage(figures ? { type: 'Refused', ...figures } : { type: 'RoomFound' }),
      locks: runtime.locks,
    });
  }

  async #closeBroker(): Promise<void> {
    const leading = this.#leading;
    this.#leading = undefined;
    if (leading === undefined) return;
    const closed = leading.broker.then((broker) => broker.close());
    closed.catch(() => {}); // it never opened
    const settled = closed.then(
      () => {},
      () => {},
    );
    await this.#pause(settled, BROKER_CLOSE_MS, undefined);
    this.#views.ledNoMore();
  }

  #leaderIs(leader: Claimant | undefined): void {
    if (leader !== undefined) {
      this.#heardEpoch = leader.epoch;
      const deposed = new KafkaError(
        'NETWORK_EXCEPTION',
        `host ${leader.hostId} leads now, since epoch ${leader.epoch}`,
      );
      this.#transport.failAllBut(leader.hostId, deposed);
    }
    const changed = this.#leaderChanged;
    this.#leaderChanged = deferred();
    changed.resolve();
  }

  // ---------------------------------------------------------------- other hosts

  #hostGone(hostId: string): void {
    this.#transport.gone(hostId, new KafkaError('NETWORK_EXCEPTION', `host ${hostId} is gone; the outcome is unknown`));
    const { leader } = this.#election;
    if (leader?.hostId === hostId) this.#election.dispatch({ type: 'Resigned', ...leader });
  }

  #received(data: unknown): void {
    const envelope = parseHostEnvelope(data);
    if (envelope === undefined || envelope.incarnationId !== this.#options.store.incarnationId) return;
    const { from, message } = envelope;
    if (from === this.hostId) return; // an echo
    if (!this.#transport.isLoaded) this.#transport.load().catch(() => {}); // whoever needs it tries again
    this.#hosts.receive(from, message);
    if (this.#options.readOnly) return;
    this.#election.receive(from, message);
    if (message.type === 'here' && from === this.#election.leader?.hostId) this.#heardOfRoom(message.presence.storage);
  }

  /** Only who leads writes, and so knows whether there is space. */
  #heardOfRoom(storage: StorageState | undefined): void {
    if (storage?.status === 'full') this.#options.onStorage({ ...storage, type: 'Refused' });
    else if (storage?.status === 'ready') this.#options.onStorage({ type: 'RoomFound' });
  }

  #envelope(message: HostMessage): HostEnvelope {
    const { incarnationId } = this.#options.store;
    return { version: CLUSTER_PROTOCOL_VERSION, incarnationId, from: this.hostId, message };
  }

  /** Does our channel still carry what we post? Never resolves to false: the caller has a deadline. */
  #echo(signal: AbortSignal): Promise<boolean> {
    const { runtime, clusterName } = this.#options;
    const nonce = runtime.random.uuid();
    return new Promise((resolve) => {
      const second = runtime.channels.open(hostsChannelName(clusterName), (data) => {
        const message = parseHostEnvelope(data)?.message;
        if (message?.type === 'probe' && message.nonce === nonce) resolve(true);
      });
      onAbort(signal, () => second.close());
      this.#channel.post(this.#envelope({ type: 'probe', nonce }));
    });
  }
}
