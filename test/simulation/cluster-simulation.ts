import type { Consumer } from '../../src/client/api/consumer.js';
import type { Kafka, KafkaConfig } from '../../src/client/api/kafka.js';
import { logLevel } from '../../src/client/api/logger.js';
import type { Producer, ProducerConfig } from '../../src/client/api/producer.js';
import { kafkaOn } from '../../src/client/kafka.js';
import { STATIC_CLIENT_PARTS } from '../../src/client/static-client-parts.js';
import { Host } from '../../src/cluster/host.js';
import { STATIC_CLUSTER_PARTS } from '../../src/cluster/static-cluster-parts.js';
import type { RequestChannel } from '../../src/protocol/request-channel.js';
import { EARLIEST_TIMESTAMP, type IsolationLevel, LATEST_TIMESTAMP } from '../../src/protocol/requests.js';
import { decodeBatch } from '../../src/record/batch-compression.js';
import { batchesIn, isControl, lastOffsetOf } from '../../src/record/batch-header.js';
import type { Runtime } from '../../src/runtime/runtime.js';
import type { SimulatedTab } from '../../src/runtime/simulated-tab.js';
import { type Faults, NO_FAULTS, Simulation } from '../../src/runtime/simulation.js';
import type { JournalRules } from '../../src/storage/journal.js';
import type { LogStore } from '../../src/storage/log-store.js';
import { MemoryDisk } from '../../src/storage/memory-disk.js';
import { MemoryLogStore } from '../../src/storage/memory-log-store.js';
import { deferred } from '../../src/util/signal.js';
import { type History, logText, newHistory, type Send, type StoredValue } from './history.js';
import { type Membership, recordingChannel } from './recording-channel.js';

const CLUSTER = 'simulated';
const OFFSET_OUT_OF_RANGE = 1;
/** Short, so that members are taken for dead within a run. */
const SESSION_MS = 2_000;
const BROKER_CONFIG = { 'group.min.session.timeout.ms': '1000' };
/** As `WorkerPeer` has it. */
const GOODBYE_MS = 1_000;
/** Virtual time that the end of a run may take, until everything is read, and until everything is closed. */
const HEAL_MS = 120_000;
const CLOSE_MS = 60_000;

/** Bugs put in on purpose, to show that the checkers see them. */
export interface Sabotage {
  readonly store?: (store: LogStore, disk: MemoryDisk) => LogStore;
  readonly channel?: (channel: RequestChannel, client: string, runtime: Runtime) => RequestChannel;
  /** What producers are made with in truth; the history takes them for idempotent all the same. */
  readonly producer?: ProducerConfig;
}

export interface ClusterSimulationOptions {
  readonly seed: number;
  readonly faults?: Partial<Faults>;
  /** Chance of each commit that its IDB transaction aborts, until all is healed. */
  readonly abortChance?: number;
  readonly brokerConfig?: Readonly<Record<string, string>>;
  readonly trace?: boolean;
  /** Default: those of the code, under which a few partitions never meet the journal. */
  readonly journalRules?: JournalRules | undefined;
  /** Told of what the host of a tab is about to do in the database, for faults that hit a step of it. */
  readonly onStorage?: (tab: Tab, operation: keyof LogStore) => void;
  readonly sabotage?: Sabotage;
  /** Sees all that a client asks its host, and what it hears. */
  readonly watch?: (channel: RequestChannel, client: string) => RequestChannel;
}

/** One tab: its platform, its host, the clients in it. */
export interface Tab {
  readonly name: string;
  readonly platform: SimulatedTab;
  readonly host: Promise<Host>;
  readonly stores: MemoryLogStore[];
  /** Clients that are to be disconnected when the tab closes in order. */
  readonly clients: Set<{ disconnect(): Promise<void> }>;
  /** Aborts when its workload is to stop. */
  readonly stopping: AbortController;
}

export interface Sleep {
  readonly tab: string;
  readonly fromMs: number;
  toMs: number;
}

export interface Client {
  readonly kafka: Kafka;
  readonly membership: () => Membership;
}

/** A cluster in the tabs of a simulated browser, with all that its clients do written down. */
export class ClusterSimulation {
  readonly simulation: Simulation;
  readonly disk: MemoryDisk;
  readonly history: History = newHistory();
  readonly tabs = new Map<string, Tab>();
  /** When tabs were frozen, in order. */
  readonly sleeps: Sleep[] = [];
  readonly #options: ClusterSimulationOptions;
  #abortChance: number;
  #unblock = (): void => {};
  #tabCount = 0;
  #clientCount = 0;
  #pending = 0;
  #isHealed = false;

  constructor(options: ClusterSimulationOptions) {
    const { seed, faults = {}, trace = false } = options;
    this.#options = options;
    this.#abortChance = options.abortChance ?? 0;
    this.simulation = new Simulation({ seed, faults, trace });
    this.disk = new MemoryDisk({ aborts: () => this.simulation.chance(this.#abortChance) });
  }

  get nowMs(): number {
    return this.simulation.nowMs;
  }

  /** From now on nothing goes wrong. */
  get isHealed(): boolean {
    return this.#isHealed;
  }

  /** Tabs that are neither dead nor frozen. */
  get awake(): Tab[] {
    return [...this.tabs.values()].filter((tab) => !tab.platform.isFrozen);
  }

  /** Until it is healed, or unblocked, no tab opens the database. */
  blockOpening(): void {
    this.unblockOpening();
    this.#unblock = this.disk.blockOpening();
  }

  unblockOpening(): void {
    this.#unblock();
    this.#unblock = (): void => {};
  }

  note(text: string): void {
    this.history.events.push(`${this.nowMs.toFixed(1)} ${text}`);
  }

  // ---------------------------------------------------------------- tabs

  openTab(): Tab {
    const name = `tab${++this.#tabCount}`;
    const platform = this.simulation.tab(name);
    const stores: MemoryLogStore[] = [];
    const { sabotage, onStorage, brokerConfig = BROKER_CONFIG, journalRules } = this.#options;
    const openStore = async (): Promise<LogStore> => {
      const newIncarnationId = platform.runtime.random.uuid();
      const { storageDelay: delay, runtime } = platform;
      const { clock } = runtime;
      const store = await MemoryLogStore.open(this.disk, { newIncarnationId, delay, clock, journalRules });
      stores.push(store);
      const watched = onStorage ? watchedStore(store, (operation) => onStorage(tab, operation)) : store;
      return sabotage?.store?.(watched, this.disk) ?? watched;
    };
    const { runtime } = platform;
    const host = Host.start({
      runtime,
      openStore,
      parts: STATIC_CLUSTER_PARTS,
      clusterName: CLUSTER,
      brokerConfig,
      label: name,
    });
    const tab: Tab = { name, platform, host, stores, clients: new Set(), stopping: new AbortController() };
    this.tabs.set(name, tab);
    this.note(`${name} opens`);
    return tab;
  }

  /** The tab dies as a process does: no goodbye. */
  kill(tab: Tab): void {
    this.note(`${tab.name} is killed`);
    this.tabs.delete(tab.name);
    tab.platform.kill();
    for (const store of tab.stores) store.kill();
  }

  /**
   * The tab closes in order; then its platform must be as empty as at the start (C20). A host that takes too long to say
   * goodbye, since its storage does not answer, is terminated, as a page does it.
   */
  async close(tab: Tab): Promise<void> {
    this.note(`${tab.name} closes`);
    tab.stopping.abort();
    await Promise.all([...tab.clients].map((client) => client.disconnect()));
    const host = await tab.host;
    const late = deferred<boolean>();
    const cancel = this.simulation.schedule(tab.platform, 'goodbye', GOODBYE_MS, () => late.resolve(true));
    const isLate = await Promise.race([host.close().then(() => false), late.promise]);
    cancel();
    if (isLate) return this.kill(tab);
    this.note(`${tab.name} has closed`);
    const { openTimers, openChannels, heldLocks, lockRequests } = tab.platform;
    const left = { openTimers, openChannels, heldLocks, lockRequests };
    if (Object.values(left).some((count) => count > 0)) this.history.leaks.push(`${tab.name}: ${JSON.stringify(left)}`);
    this.tabs.delete(tab.name);
  }

  freeze(tab: Tab, forMs: number): void {
    this.note(`${tab.name} freezes for ${Math.round(forMs)} ms`);
    if (!tab.platform.isFrozen) this.sleeps.push({ tab: tab.name, fromMs: this.nowMs, toMs: Number.POSITIVE_INFINITY });
    tab.platform.freeze();
    this.simulation.background('wake', forMs, () => this.wake(tab));
  }

  wake(tab: Tab): void {
    if (!tab.platform.isFrozen) return;
    this.note(`${tab.name} wakes`);
    const sleep = this.sleeps.findLast((each) => each.tab === tab.name);
    if (sleep !== undefined) sleep.toMs = this.nowMs;
    tab.platform.wake();
  }

  // ---------------------------------------------------------------- clients

  client(tab: Tab, kind: string, config: KafkaConfig = {}): Client & { readonly name: string } {
    const name = `${kind}${++this.#clientCount}@${tab.name}`;
    const { sabotage, watch } = this.#options;
    let membership: Membership = { generation: -1, memberId: '' };
    const connect = async (): Promise<RequestChannel> => {
      const host = await tab.host;
      const channel = sabotage?.channel?.(host, name, tab.platform.runtime) ?? host;
      const recorder = recordingChannel(channel, name, this.history, () => this.nowMs);
      membership = recorder.membership;
      return watch?.(recorder.channel, name) ?? recorder.channel;
    };
    const KafkaHere = kafkaOn({ runtime: tab.platform.runtime, parts: STATIC_CLIENT_PARTS, connect });
    const kafka = new KafkaHere({ ...config, clientId: name, cluster: CLUSTER, logLevel: logLevel.NOTHING });
    return { name, kafka, membership: () => membership };
  }

  async producer(tab: Tab, config: ProducerConfig = {}): Promise<RecordingProducer> {
    const { name, kafka } = this.client(tab, 'producer');
    const producer = kafka.producer({ allowAutoTopicCreation: false, ...config, ...this.#options.sabotage?.producer });
    tab.clients.add(producer);
    await producer.connect();
    tab.stopping.signal.throwIfAborted();
    return new RecordingProducer(this, name, producer, config.idempotent ?? true);
  }

  /** A member of `group` that writes down what it handles; `handlingMs` is how long a record takes at most. */
  async member(tab: Tab, group: string, topics: readonly string[], handlingMs: number): Promise<Consumer> {
    const { name, kafka, membership } = this.client(tab, 'member');
    const consumer = kafka.consumer({
      groupId: group,
      sessionTimeout: SESSION_MS,
      heartbeatInterval: SESSION_MS / 4,
      metadataMaxAge: 5_000,
    });
    tab.clients.add(consumer);
    await consumer.connect();
    tab.stopping.signal.throwIfAborted(); // after `disconnect` a client would connect anew
    await consumer.subscribe({ topics, fromBeginning: true });
    tab.stopping.signal.throwIfAborted();
    const { clock, random } = tab.platform.runtime;
    await consumer.run({
      autoCommitInterval: 500,
      eachMessage: async ({ topic, partition, message }) => {
        this.history.reads.push({
          reader: `${name} ${membership().memberId}`,
          group,
          generation: membership().generation,
          log: logText(topic, partition),
          offset: Number(message.offset),
          value: String(message.value),
          atMs: this.nowMs,
        });
        if (handlingMs > 0 && random.next() < 0.2) await clock.sleep(random.next() * handlingMs, tab.stopping.signal);
      },
    });
    return consumer;
  }

  /** Reads the partitions directly from their start, and writes down what it gets. */
  async reader(tab: Tab, topic: string, partitions: readonly number[]): Promise<Consumer> {
    const { name, kafka } = this.client(tab, 'reader');
    const consumer = kafka.consumer();
    tab.clients.add(consumer);
    await consumer.connect();
    tab.stopping.signal.throwIfAborted();
    await consumer.assign(partitions.map((partition) => ({ topic, partition, offset: '-2' })));
    await consumer.run({
      eachMessage: ({ partition, message }) => {
        this.history.reads.push({
          reader: name,
          group: undefined,
          generation: -1,
          log: logText(topic, partition),
          offset: Number(message.offset),
          value: String(message.value),
          atMs: this.nowMs,
        });
      },
    });
    return consumer;
  }

  // ---------------------------------------------------------------- running

  /** Harness code that runs beside the steps; its failure fails the run. */
  spawn(what: string, job: Promise<unknown>): void {
    this.#pending++;
    job.then(
      () => this.#pending--,
      (error: unknown) => {
        this.#pending--;
        this.simulation.fail(new Error(`${what}: ${error instanceof Error ? error.message : error}`, { cause: error }));
      },
    );
  }

  runFor(ms: number): Promise<unknown> {
    return this.simulation.run({ maxMs: ms });
  }

  /** True once `until` holds; false where it does not within `maxMs` of virtual time. */
  async runUntil(until: () => boolean, maxMs: number = HEAL_MS): Promise<boolean> {
    return (await this.simulation.run({ until, maxMs })) === 'done';
  }

  /** The result of a job that needs steps to run. Undefined, and noted as stuck, where it does not end in time. */
  async finish<T>(what: string, job: Promise<T>, maxMs: number = HEAL_MS): Promise<T | undefined> {
    let outcome: { readonly value: T } | { readonly error: unknown } | undefined;
    job.then(
      (value) => (outcome = { value }),
      (error: unknown) => (outcome = { error }),
    );
    const ended = await this.runUntil(() => outcome !== undefined, maxMs);
    const result = outcome as { readonly value: T } | { readonly error: unknown } | undefined;
    if (!ended || result === undefined) {
      this.history.stuck.push(`${what} did not end within ${maxMs} ms`);
      return undefined;
    }
    if ('value' in result) return result.value;
    const { error } = result;
    this.history.stuck.push(`${what} failed: ${error instanceof Error ? `${error.name} ${error.message}` : error}`);
    return undefined;
  }

  /** Ends all faults: every tab awake, no message lost, no commit aborted, room on the disk. */
  heal(): void {
    this.note('healed');
    this.#isHealed = true;
    Object.assign(this.simulation.faults, NO_FAULTS);
    this.simulation.network.heal();
    this.#abortChance = 0;
    this.disk.setQuota(Number.POSITIVE_INFINITY);
    this.disk.takeWedge();
    this.unblockOpening();
    for (const tab of this.tabs.values()) {
      tab.platform.throttleTimers(0);
      this.wake(tab);
    }
  }

  /** Reads every partition of a topic to its end, in a tab of its own, into the history. */
  async readAll(topic: string): Promise<void> {
    const tab = this.openTab();
    const read = async (): Promise<void> => {
      const channel = await tab.host;
      const metadata = await channel.send('Metadata', { topics: [{ name: topic }], allowAutoTopicCreation: false });
      const partitions = metadata.topics[0]?.partitions.map(({ partitionIndex }) => partitionIndex) ?? [];
      await Promise.all(partitions.map((partition) => this.#readLog(tab, topic, partition)));
    };
    await this.finish(`reading ${topic} to its end`, read());
  }

  async #readLog(tab: Tab, topic: string, partition: number): Promise<void> {
    const channel = await tab.host;
    const found: StoredValue[] = [];
    let next = await this.#offsetAt(channel, topic, partition, EARLIEST_TIMESTAMP);
    const end = await this.#offsetAt(channel, topic, partition, LATEST_TIMESTAMP);
    while (next < end) {
      const partitions = [{ partition, fetchOffset: next, partitionMaxBytes: 1_000_000 }];
      const topics = [{ topic, partitions }];
      const limits = { maxWaitMs: 500, minBytes: 1, maxBytes: 1_000_000, isolationLevel: 0 } as const;
      const { responses } = await channel.send('Fetch', { ...limits, topics });
      const { errorCode = -1, errorMessage, records = [] } = responses[0]?.partitions[0] ?? {};
      if (errorCode === OFFSET_OUT_OF_RANGE) next = await this.#offsetAt(channel, topic, partition, EARLIEST_TIMESTAMP);
      else if (errorCode !== 0) throw new Error(`fetching ${logText(topic, partition)}: ${errorMessage}`);
      for (const bytes of records) {
        for (const { at, header } of batchesIn(bytes)) {
          for (const { offset, value } of isControl(header) ? [] : await decodeBatch(bytes, at)) {
            if (offset >= next) found.push({ offset, value: new TextDecoder().decode(value ?? new Uint8Array()) });
          }
          next = Math.max(next, lastOffsetOf(header) + 1); // a chunk may begin before what was asked for
        }
      }
    }
    const log = logText(topic, partition);
    const lastStableOffset = await this.#offsetAt(channel, topic, partition, LATEST_TIMESTAMP, 1);
    this.history.final.set(log, found);
    this.history.finalEnds.set(log, { highWatermark: end, lastStableOffset });
  }

  async #offsetAt(
    channel: RequestChannel,
    topic: string,
    partition: number,
    timestamp: number,
    isolationLevel: IsolationLevel = 0,
  ): Promise<number> {
    const partitions = [{ partitionIndex: partition, timestamp }];
    const answer = await channel.send('ListOffsets', { isolationLevel, topics: [{ name: topic, partitions }] });
    const { errorCode = -1, offset = -1 } = answer.topics[0]?.partitions[0] ?? {};
    if (errorCode !== 0) throw new Error(`ListOffsets of ${logText(topic, partition)}: error ${errorCode}`);
    return offset;
  }

  /** Closes all tabs in order. */
  async closeAll(): Promise<void> {
    const closing = [...this.tabs.values()].map((tab) => this.close(tab));
    await this.finish('closing all tabs', Promise.all(closing), CLOSE_MS);
  }
}

function watchedStore(store: LogStore, onCall: (operation: keyof LogStore) => void): LogStore {
  return new Proxy(store, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      return (...given: unknown[]): unknown => {
        onCall(name as keyof LogStore);
        return value.apply(target, given);
      };
    },
  });
}

/** A producer that writes down each send and what became of it. */
export class RecordingProducer {
  readonly name: string;
  readonly #cluster: ClusterSimulation;
  readonly #producer: Producer;
  readonly #idempotent: boolean;
  #order = 0;

  constructor(cluster: ClusterSimulation, name: string, producer: Producer, idempotent: boolean) {
    this.#cluster = cluster;
    this.name = name;
    this.#producer = producer;
    this.#idempotent = idempotent;
  }

  /** Never rejects: the outcome is in the history. */
  async send(topic: string, partition: number, count = 1, { isKeyed = false } = {}): Promise<readonly Send[]> {
    const { history } = this.#cluster;
    const sends = Array.from({ length: count }, (): Send => {
      const order = this.#order++;
      return {
        producer: this.name,
        idempotent: this.#idempotent,
        order,
        log: logText(topic, partition),
        value: `${this.name}-${order}`,
        startMs: this.#cluster.nowMs,
        endMs: undefined,
        outcome: 'unknown',
        offset: undefined,
      };
    });
    history.sends.push(...sends);
    try {
      const messages = sends.map(({ value }) => ({ value, partition, ...(isKeyed && { key: value }) }));
      const [metadata] = await this.#producer.send({ topic, messages });
      const baseOffset = Number(metadata?.baseOffset ?? -1);
      sends.forEach((send, i) => {
        send.outcome = 'ok';
        if (baseOffset >= 0) send.offset = baseOffset + i;
      });
    } catch (error) {
      const unknown = (error as { outcomeUnknown?: boolean }).outcomeUnknown !== false;
      for (const send of sends) {
        send.outcome = unknown ? 'unknown' : 'failed';
        send.error = String(error);
      }
    }
    for (const send of sends) send.endMs = this.#cluster.nowMs;
    return sends;
  }
}
