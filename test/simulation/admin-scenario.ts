import type { Admin } from '../../src/client/api/admin.js';
import type { Consumer } from '../../src/client/api/consumer.js';
import '../../src/client/integrity.js'; // asked for while a run goes on, and then it is to be there at once
import type { RequestChannel } from '../../src/protocol/request-channel.js';
import { type ApiName, ConfigResourceType, type Requests, type Responses } from '../../src/protocol/requests.js';
import type { Random } from '../../src/runtime/runtime.js';
import type { LogStore } from '../../src/storage/log-store.js';
import { type AdminHistory, adminViolations, type Call, type Copy, REQUEST_TIMEOUT_MS } from './admin-checks.js';
import type { Exchange } from './admin-history.js';
import { check, type Violation } from './checkers.js';
import { ClusterSimulation, type Sabotage, type Tab } from './cluster-simulation.js';
import { logsOnDisk, metadataOnDisk } from './disk-contents.js';
import { type History, logText } from './history.js';
import { choose, FAULT_KINDS, type FaultKind, messageFaults, strike } from './misfortunes.js';
import { PlainBlob } from './plain-blob.js';
import { journalRulesOf } from './scenario.js';

const TOPICS = ['alpha', 'beta', 'gamma'] as const;
const ALL_TOPICS = /^(alpha|beta|gamma)$/;
/** Groups of consumers, and one of which only offsets are set. */
const GROUPS = ['readers', 'others', 'offsets'] as const;
/** Its members read everything, and nobody sets its offsets. */
const PLAIN_GROUP = 'plain';
const STATIC_ID = 'static';
const MAX_TABS = 4;
const MAX_PARTITIONS = 5;
const RETRY = { initialRetryTime: 100, maxRetryTime: 1_000, retries: 3 };
const SESSION_MS = 2_000;
/** What hosts at rest have all heard of, and what is deleted in the background is gone. */
const REST_MS = 12_000;
const BROKER_CONFIG = {
  'group.min.session.timeout.ms': '1000',
  'group.initial.rebalance.delay.ms': '200',
  'log.retention.check.interval.ms': '700',
};
/** What topics are configured with. No record here has the key of another, so that compaction takes none. */
const CONFIGS: readonly Readonly<Record<string, string>>[] = [
  {},
  { 'segment.bytes': '1024' },
  { 'segment.bytes': '1024', 'cleanup.policy': 'compact', 'min.cleanable.dirty.ratio': '0.01' },
  { 'cleanup.policy': 'compact,delete', 'segment.bytes': '2048' },
  { 'flush.messages': '1', 'compression.type': 'uncompressed' },
  { 'storage.full.policy': 'reject' },
  { 'message.timestamp.type': 'LogAppendTime', 'max.message.bytes': '2000' },
];
/** Of records that go by themselves. */
const SHORT_LIVED: Readonly<Record<string, string>> = { 'retention.ms': '1500', 'segment.bytes': '1024' };
/** `kill in write`: who leads dies in the midst of a change. */
export type AdminFault = FaultKind | 'kill in write';
const FAULTS: readonly AdminFault[] = [
  ...FAULT_KINDS.filter((kind) => kind !== 'clock' && kind !== 'throttle'),
  'kill in write',
];
const WRITES: readonly (keyof LogStore)[] = ['append', 'deleteBefore', 'deleteLog', 'stageSealed', 'publishSealed'];
const KILL_CHANCE = 0.02;
/** A write takes up to 8 ms: some die before it, some in it, some after it. */
const KILL_WITHIN_MS = 12;

export interface AdminScenarioOptions {
  readonly seed: number;
  readonly faults?: readonly AdminFault[];
  readonly sabotage?: Sabotage;
}

export interface AdminScenarioResult {
  readonly seed: number;
  readonly faults: readonly AdminFault[];
  readonly history: History;
  readonly admin: AdminHistory;
  readonly violations: readonly Violation[];
  readonly traceHash: number;
  readonly virtualMs: number;
}

/**
 * One run of W5: the whole of what clients can ask, from several tabs at once and in any order, while things go wrong. Topics
 * come, grow, change and go under the same few names; groups read, seek, stop, and lose their offsets; records are
 * deleted, logs checked, exported and imported. Then all is healed, and what is left must be what was acknowledged.
 */
export async function runAdminScenario(options: AdminScenarioOptions): Promise<AdminScenarioResult> {
  const { seed, sabotage } = options;
  const plan = new ClusterSimulation({ seed: seed ^ 0xad317 }).simulation.random;
  const faults = options.faults ?? choose(plan, FAULTS, plan.below(4));
  const exchanges: Exchange[] = [];
  const cluster: ClusterSimulation = new ClusterSimulation({
    seed,
    brokerConfig: BROKER_CONFIG,
    faults: messageFaults(faults.filter(isShared)),
    abortChance: faults.includes('abort') ? 0.1 : 0,
    ...(faults.includes('kill in write') && { onStorage: (tab, operation) => killInWrite(cluster, tab, operation) }),
    journalRules: journalRulesOf(seed),
    watch: (channel, client) => recorded(channel, client, exchanges, () => cluster.nowMs),
    ...(sabotage !== undefined && { sabotage }),
  });
  const isHeardLate = faults.some(
    (fault) => fault !== 'kill' && fault !== 'kill in write' && fault !== 'abort' && fault !== 'quota',
  );
  const admin: AdminHistory = { topics: TOPICS, exchanges, calls: [], copies: [], sleeps: cluster.sleeps, isHeardLate };
  const platformBlob = globalThis.Blob;
  globalThis.Blob = PlainBlob as unknown as typeof Blob; // reading one takes a thread, and so real time
  try {
    await new AdminScenario(cluster, admin, faults).run();
  } finally {
    globalThis.Blob = platformBlob;
  }
  const { history, simulation } = cluster;
  return {
    seed,
    faults,
    history,
    admin,
    violations: [...check(ofGroups(history, admin)), ...adminViolations(history, admin)],
    traceHash: simulation.traceHash,
    virtualMs: simulation.nowMs,
  };
}

export function describeAdminViolations({ seed, faults, violations }: AdminScenarioResult): string {
  if (violations.length === 0) return '';
  const found = violations.slice(0, 6).map(({ check: id, text }) => `  ${id} ${text}`);
  const command = `npm run simulate -- --scenario admin --seed ${seed} --verbose`;
  return [`admin seed ${seed} (${faults.join(', ')}): ${command}`, ...found].join('\n');
}

/** What the checkers of all histories can judge where topics are made anew: generations, which a deleted group loses. */
function ofGroups(history: History, { exchanges }: AdminHistory): History {
  const deleted = new Set(
    exchanges.flatMap(({ api, request }) =>
      api === 'DeleteGroups' ? (request as Requests['DeleteGroups']).groupsNames : [],
    ),
  );
  const isKept = ({ group }: { readonly group: string | undefined }): boolean => !deleted.has(group ?? '');
  return {
    ...history,
    sends: [],
    watermarks: [],
    reads: [],
    final: new Map(),
    finalEnds: new Map(),
    commits: history.commits.filter(isKept),
    // A static member that is back is another, and has what it had, without a rebalance (KIP-345).
    assignments: history.assignments
      .filter(isKept)
      .map((each) => ({ ...each, member: each.member.startsWith(`${STATIC_ID}-`) ? STATIC_ID : each.member })),
  };
}

function recorded(inner: RequestChannel, client: string, exchanges: Exchange[], nowMs: () => number): RequestChannel {
  const send: RequestChannel['send'] = async <A extends ApiName>(
    api: A,
    request: Requests[A],
    options?: Parameters<RequestChannel['send']>[2],
  ): Promise<Responses[A]> => {
    const exchange: Exchange = {
      client,
      api,
      request,
      startMs: nowMs(),
      endMs: undefined,
      response: undefined,
      error: undefined,
    };
    exchanges.push(exchange);
    try {
      const response = await inner.send(api, request, options);
      exchange.response = response;
      return response;
    } catch (error) {
      exchange.error = error;
      throw error;
    } finally {
      exchange.endMs = nowMs();
    }
  };
  return { send, close: async () => {} };
}

function isShared(fault: AdminFault): fault is FaultKind {
  return fault !== 'kill in write';
}

function killInWrite(cluster: ClusterSimulation, tab: Tab, operation: keyof LogStore): void {
  const { simulation } = cluster;
  if (cluster.isHealed || !WRITES.includes(operation) || !simulation.chance(KILL_CHANCE)) return;
  simulation.background('kill in a write', simulation.random.next() * KILL_WITHIN_MS, () => {
    if (!cluster.isHealed && cluster.tabs.get(tab.name) === tab) cluster.kill(tab);
  });
}

class AdminScenario {
  readonly #cluster: ClusterSimulation;
  readonly #admin: AdminHistory;
  readonly #faults: readonly AdminFault[];
  #acting = true;
  #copyCount = 0;

  constructor(cluster: ClusterSimulation, admin: AdminHistory, faults: readonly AdminFault[]) {
    this.#cluster = cluster;
    this.#admin = admin;
    this.#faults = faults;
  }

  async run(): Promise<void> {
    const cluster = this.#cluster;
    const { random } = cluster.simulation;
    for (let tabs = 2 + random.below(2); tabs > 0; tabs--) this.#populate(cluster.openTab());
    const endMs = cluster.nowMs + 3_000 + random.below(5_000);
    while (cluster.nowMs < endMs) {
      await cluster.runFor(100 + random.below(700));
      this.#misfortune();
    }
    await this.#recover();
  }

  #misfortune(): void {
    const cluster = this.#cluster;
    const { random } = cluster.simulation;
    const { awake } = cluster;
    if (cluster.tabs.size === 0 || (cluster.tabs.size < MAX_TABS && random.next() < 0.3)) {
      this.#populate(cluster.openTab());
    }
    const tab = awake[random.below(Math.max(1, awake.length))];
    if (tab === undefined || this.#faults.length === 0 || random.next() < 0.3) return;
    const fault = this.#faults[random.below(this.#faults.length)]!;
    if (isShared(fault)) strike(cluster, tab, fault);
  }

  #populate(tab: Tab): void {
    const { random } = this.#cluster.simulation;
    for (let lanes = 1 + random.below(3); lanes > 0; lanes--)
      this.#spawn(tab, 'an admin', () => this.#administrate(tab));
    this.#spawn(tab, 'producing', () => this.#produce(tab));
    if (random.next() < 0.7) this.#spawn(tab, 'a consumer', () => this.#consume(tab));
    if (random.next() < 0.5) this.#spawn(tab, 'a reader', () => this.#readPlainly(tab));
  }

  #spawn(tab: Tab, what: string, job: () => Promise<unknown>): void {
    job().catch((error: unknown) => {
      if (!tab.stopping.signal.aborted) this.#cluster.note(`${tab.name}: ${what} failed: ${error}`);
    });
  }

  // ---------------------------------------------------------------- clients

  async #produce(tab: Tab): Promise<void> {
    const { clock, random } = tab.platform.runtime;
    const producer = await this.#cluster.producer(tab, { deliveryTimeout: 20_000, retry: { ...RETRY, retries: 100 } });
    const inFlight = new Set<Promise<unknown>>();
    while (this.#acting && !tab.stopping.signal.aborted) {
      const topic = oneOf(random, TOPICS);
      const sending = producer
        .send(topic, random.below(2), 1 + random.below(3), { isKeyed: true })
        .finally(() => inFlight.delete(sending));
      inFlight.add(sending);
      if (inFlight.size >= 6) await Promise.race(inFlight);
      await clock.sleep(random.next() * 250, tab.stopping.signal);
    }
  }

  /** Carries out a call and writes down how it ended. Never rejects. */
  async #call<T>(tab: Tab, client: string, text: string, make: () => T | Promise<T>): Promise<T | undefined> {
    const call: Call = {
      tab: tab.name,
      client,
      text,
      startMs: this.#cluster.nowMs,
      endMs: undefined,
      error: undefined,
    };
    this.#admin.calls.push(call);
    try {
      return await make();
    } catch (error) {
      call.error = error;
      return undefined;
    } finally {
      call.endMs = this.#cluster.nowMs;
    }
  }

  #newAdmin(tab: Tab, kind = 'admin'): { readonly admin: Admin; readonly name: string } {
    const { kafka, name } = this.#cluster.client(tab, kind, { requestTimeout: REQUEST_TIMEOUT_MS, retry: RETRY });
    const admin = kafka.admin();
    tab.clients.add(admin);
    return { admin, name };
  }

  async #administrate(tab: Tab): Promise<void> {
    const { clock, random } = tab.platform.runtime;
    const { admin, name } = this.#newAdmin(tab);
    while (this.#acting && !tab.stopping.signal.aborted) {
      await clock.sleep(random.next() * 400, tab.stopping.signal);
      const [text, act] = this.#anyAct(admin, random);
      await this.#call(tab, name, text, act);
    }
  }

  #anyAct(admin: Admin, random: Random): readonly [text: string, act: () => Promise<unknown>] {
    const topic = oneOf(random, TOPICS);
    const groupId = oneOf(random, GROUPS);
    const partition = random.below(3);
    const count = 1 + random.below(MAX_PARTITIONS);
    const validateOnly = random.below(8) === 0;
    const configs = random.below(12) === 0 ? SHORT_LIVED : oneOf(random, CONFIGS);
    const configEntries = Object.entries(configs).map(([name, value]) => ({ name, value }));
    const offset = String(random.below(30));
    const resource = { type: ConfigResourceType.TOPIC, name: topic };
    const create = () => {
      const topics = [{ topic, numPartitions: count, configEntries }];
      return admin.createTopics({ topics, validateOnly, waitForLeaders: random.below(2) === 0 });
    };
    const remove = () => admin.deleteTopics({ topics: [topic] });
    const acts: Readonly<Record<string, readonly [chance: number, act: () => Promise<unknown>]>> = {
      createTopics: [5, create],
      deleteTopics: [2, remove],
      'deleteTopics, createTopics': [1, () => remove().then(create)],
      createPartitions: [2, () => admin.createPartitions({ validateOnly, topicPartitions: [{ topic, count }] })],
      alterConfigs: [2, () => admin.alterConfigs({ validateOnly, resources: [{ ...resource, configEntries }] })],
      deleteTopicRecords: [
        2,
        () => {
          const partitions = [{ partition: random.below(2), offset: random.below(3) === 0 ? '-1' : offset }];
          return admin.deleteTopicRecords({ topic, partitions });
        },
      ],
      setOffsets: [3, () => admin.setOffsets({ groupId, topic, partitions: [{ partition, offset }] })],
      resetOffsets: [1, () => admin.resetOffsets({ groupId, topic, earliest: random.below(2) === 0 })],
      deleteOffsets: [1, () => admin.deleteOffsets({ groupId, topics: [{ topic, partitions: [partition] }] })],
      deleteGroups: [1, () => admin.deleteGroups([groupId])],
      fetchOffsets: [3, () => admin.fetchOffsets(random.below(2) === 0 ? { groupId } : { groupId, topics: [topic] })],
      'fetchOffsets, resolved': [1, () => admin.fetchOffsets({ groupId, resolveOffsets: true })],
      listTopics: [2, () => admin.listTopics()],
      fetchTopicMetadata: [3, () => admin.fetchTopicMetadata({ topics: [topic] })],
      fetchTopicOffsets: [2, () => admin.fetchTopicOffsets(topic)],
      fetchTopicOffsetsByTimestamp: [1, () => admin.fetchTopicOffsetsByTimestamp(topic, 0)],
      describeConfigs: [2, () => admin.describeConfigs({ resources: [resource] })],
      describeCluster: [1, () => admin.describeCluster()],
      describeLogs: [1, () => admin.describeLogs({ topics: [topic] })],
      listGroups: [1, () => admin.listGroups()],
      describeGroups: [1, () => admin.describeGroups([groupId])],
      checkLogs: [1, () => admin.checkLogs({ repair: random.below(3) === 0 })],
      copy: [1, () => this.#copy(admin, topic, random.below(2))],
    };
    const choices = Object.entries(acts).flatMap(([name, [chance, act]]) =>
      Array.from({ length: chance }, () => [`${name} ${topic} ${groupId}`, act] as const),
    );
    return oneOf(random, choices);
  }

  /** Brings a log out and into a topic that nobody else uses. */
  async #copy(admin: Admin, topic: string, partition: number): Promise<void> {
    const segments: Blob[] = [];
    let [low, high] = ['0', '0'];
    for await (const { log, baseOffset, nextOffset } of admin.exportPartition({
      topic,
      partition,
      segmentBytes: 300,
    })) {
      if (segments.length === 0) low = baseOffset;
      high = nextOffset;
      segments.push(log);
    }
    if (segments.length === 0) return;
    const name = `copy-${this.#copyCount++}`;
    const bytes = segments.map((segment) => (segment as unknown as PlainBlob).bytes);
    const copy: Copy = { topic: name, bytes, isImported: false };
    await admin.createTopics({ topics: [{ topic: name, numPartitions: 1 }] });
    this.#admin.copies.push(copy);
    const bounds = await admin.importPartition({ topic: name, partition: 0, segments });
    copy.isImported = true;
    if (bounds.low === low && bounds.high === high) return;
    const found = `${bounds.low} to ${bounds.high}`;
    this.#cluster.history.stuck.push(`${name}: imported ${low} to ${high} of ${topic}-${partition}, found ${found}`);
  }

  async #consume(tab: Tab): Promise<void> {
    const { clock, random } = tab.platform.runtime;
    const group = GROUPS[random.below(2)]!;
    const { consumer, name } = this.#newConsumer(tab, group);
    while (this.#acting && !tab.stopping.signal.aborted) {
      const [text, act] = this.#anyStep(consumer, { name, group }, random);
      const ended = this.#call(tab, name, text, act);
      if (random.below(3) > 0) await ended;
      await clock.sleep(random.next() * 300, tab.stopping.signal);
    }
  }

  async #readPlainly(tab: Tab): Promise<void> {
    const { clock, random } = tab.platform.runtime;
    while (this.#acting && !tab.stopping.signal.aborted) {
      const { consumer, name } = this.#newConsumer(tab, PLAIN_GROUP);
      await this.#call(tab, name, 'subscribe', () => consumer.subscribe({ topic: ALL_TOPICS, fromBeginning: true }));
      await this.#call(tab, name, 'run', () => this.#run(consumer, { name, group: PLAIN_GROUP }));
      await clock.sleep(500 + random.below(4_000), tab.stopping.signal);
      await this.#call(tab, name, 'disconnect', () => consumer.disconnect());
      tab.clients.delete(consumer);
    }
  }

  #newConsumer(tab: Tab, groupId: string): { readonly consumer: Consumer; readonly name: string } {
    const { kafka, name } = this.#cluster.client(tab, 'consumer', { requestTimeout: REQUEST_TIMEOUT_MS, retry: RETRY });
    const isStatic = this.#acting && groupId !== PLAIN_GROUP && tab.platform.runtime.random.below(6) === 0;
    const consumer = kafka.consumer({
      groupId,
      ...(isStatic && { groupInstanceId: STATIC_ID }),
      sessionTimeout: SESSION_MS,
      heartbeatInterval: SESSION_MS / 4,
      rebalanceTimeout: 4_000,
      metadataMaxAge: 1_500,
      maxWaitTimeInMs: 500,
      allowAutoTopicCreation: this.#cluster.simulation.random.below(5) === 0,
    });
    tab.clients.add(consumer);
    return { consumer, name };
  }

  #anyStep(
    consumer: Consumer,
    who: { readonly name: string; readonly group: string },
    random: Random,
  ): readonly [text: string, act: () => unknown] {
    const topic = oneOf(random, TOPICS);
    const partition = random.below(2);
    const offset = String(random.below(12) - 2);
    const steps: Readonly<Record<string, readonly [chance: number, act: () => unknown]>> = {
      subscribe: [3, () => consumer.subscribe({ topics: [topic, oneOf(random, TOPICS)], fromBeginning: true })],
      'subscribe to all': [2, () => consumer.subscribe({ topic: ALL_TOPICS, fromBeginning: true })],
      run: [6, () => this.#run(consumer, who)],
      stop: [1, () => consumer.stop()],
      disconnect: [1, () => consumer.disconnect()],
      seek: [2, () => consumer.seek({ topic, partition, offset })],
      pause: [1, () => consumer.pause([{ topic }])],
      resume: [2, () => consumer.resume([{ topic }])],
      commitOffsets: [2, () => consumer.commitOffsets([{ topic, partition, offset: String(random.below(12)) }])],
      describeGroup: [1, () => consumer.describeGroup()],
    };
    const choices = Object.entries(steps).flatMap(([name, [chance, act]]) =>
      Array.from({ length: chance }, () => [name, act] as const),
    );
    return oneOf(random, choices);
  }

  #run(consumer: Consumer, { name, group }: { readonly name: string; readonly group: string }): Promise<void> {
    return consumer.run({
      autoCommitInterval: 300,
      eachMessage: ({ topic, partition, message }) => {
        this.#cluster.history.reads.push({
          reader: name,
          group,
          generation: -1,
          log: logText(topic, partition),
          offset: Number(message.offset),
          value: String(message.value),
          atMs: this.#cluster.nowMs,
        });
      },
    });
  }

  // ---------------------------------------------------------------- the end

  /** Heals, lets all calls end, looks at everything from every tab and from the disk, closes all. */
  async #recover(): Promise<void> {
    const cluster = this.#cluster;
    const { history } = cluster;
    cluster.heal();
    const last = cluster.openTab();
    await cluster.runFor(1_000);
    this.#acting = false;
    const open = (): string[] => [
      ...this.#admin.calls
        .filter(({ tab, endMs }) => endMs === undefined && cluster.tabs.has(tab))
        .map(({ text }) => text),
      ...history.sends
        .filter(({ endMs, producer }) => endMs === undefined && cluster.tabs.has(producer.split('@')[1]!))
        .map(({ value }) => value),
    ];
    if (!(await cluster.runUntil(() => open().length === 0))) history.stuck.push(`did not end: ${open().join(', ')}`);
    // Those who have stopped, paused or sought are of no use to their groups.
    await cluster.finish('the consumers leave', this.#disconnectAll());
    await cluster.runFor(REST_MS);
    for (const tab of [...cluster.tabs.values()]) {
      await cluster.finish(`${tab.name} looks at everything`, this.#lookAtEverything(tab));
    }
    const topics = await cluster.finish('listing topics', this.#newAdmin(last).admin.listTopics());
    for (const topic of topics ?? []) if (!topic.startsWith('__')) await cluster.readAll(topic);
    for (const group of [GROUPS[0], PLAIN_GROUP]) await this.#readOn(last, group);
    this.#lookForUnread();
    await this.#lookAtLogs(last);
    await cluster.closeAll();
  }

  async #disconnectAll(): Promise<void> {
    const tabs = [...this.#cluster.tabs.values()];
    await Promise.all(tabs.flatMap(({ clients }) => [...clients].map((client) => client.disconnect())));
  }

  /** What is acknowledged is known everywhere: the answers go into the history, as all others. */
  async #lookAtEverything(tab: Tab): Promise<void> {
    const { admin } = this.#newAdmin(tab, 'onlooker');
    const topics = (await admin.listTopics()).filter((topic) => !topic.startsWith('__'));
    if (topics.length > 0) await admin.fetchTopicMetadata({ topics });
    for (const name of topics) {
      await admin.describeConfigs({ resources: [{ type: ConfigResourceType.TOPIC, name }] });
      await admin.fetchTopicOffsets(name);
    }
    for (const groupId of GROUPS) await admin.fetchOffsets({ groupId });
  }

  /** A group goes on where its offsets are, and comes to the end of all that is there. */
  async #readOn(tab: Tab, group: string): Promise<void> {
    const cluster = this.#cluster;
    const { history } = cluster;
    const { consumer, name } = this.#newConsumer(tab, group);
    const topics = [...new Set([...history.final.keys()].map((log) => log.slice(0, log.lastIndexOf('-'))))];
    const ours = topics.filter((topic) => (TOPICS as readonly string[]).includes(topic));
    if (ours.length === 0) return;
    const { admin } = this.#newAdmin(tab, 'onlooker');
    const start = async (): Promise<void> => {
      await consumer.subscribe({ topics: ours, fromBeginning: true });
      await this.#run(consumer, { name, group });
    };
    await cluster.finish('a last member starts', start());
    let behind: string[] = [];
    const look = async (): Promise<boolean> => {
      behind = [];
      for (const topic of ours) {
        const ends = await admin.fetchTopicOffsets(topic);
        const [committed] = await admin.fetchOffsets({ groupId: group, topics: [topic] });
        for (const { partition, high, low } of ends) {
          const at = committed?.partitions.find((each) => each.partition === partition)?.offset;
          if (high !== low && at !== high) behind.push(`${topic}-${partition} at ${at} of ${low} to ${high}`);
        }
      }
      return behind.length === 0;
    };
    for (let looks = 0; looks < 20; looks++) {
      if (await cluster.finish('looking at the group', look())) return;
      await cluster.runFor(1_000);
    }
    history.stuck.push(`${group} does not come to the end: ${behind.join(', ')}`);
  }

  /** Who only reads, from the beginning, has read all that is there, whatever was there before under the same name. */
  #lookForUnread(): void {
    const { history } = this.#cluster;
    const read = new Set(history.reads.filter(({ group }) => group === PLAIN_GROUP).map(({ value }) => value));
    for (const [log, records] of history.final) {
      if (log.startsWith('copy-')) continue;
      const left = records.filter(({ value }) => !read.has(value)).map(({ offset, value }) => `${offset} ${value}`);
      if (left.length > 0) history.stuck.push(`${PLAIN_GROUP} never read of ${log}: ${left.join(', ')}`);
    }
  }

  /** Nothing is damaged, and nothing is left of what is gone. */
  async #lookAtLogs(tab: Tab): Promise<void> {
    const cluster = this.#cluster;
    const { history } = cluster;
    const found = await cluster.finish('checking the logs', this.#newAdmin(tab).admin.checkLogs());
    const broken = new Set(this.#admin.copies.filter(({ isImported }) => !isImported).map((copy) => copy.topic));
    for (const { topic, partition, log, detail, kind } of found?.findings ?? []) {
      if (kind === 'leftover' && broken.has(topic ?? '')) continue; // bytes of an import that was broken off: a repair's work
      history.leaks.push(`log ${log} of ${topic}-${partition}: ${detail}`);
    }
    for (const { topic, partition, fromOffset, nextOffset } of found?.gaps ?? []) {
      history.leaks.push(`${topic}-${partition}: offsets ${fromOffset} to ${nextOffset} are lost`);
    }
    const image = metadataOnDisk(cluster.disk);
    const owned = new Set([
      0,
      ...[...image.topics.values()].flatMap((topic) => topic.partitions.map(({ log }) => log)),
    ]);
    const left = logsOnDisk(cluster.disk).filter((log) => !owned.has(log));
    if (left.length > 0) history.leaks.push(`logs ${left.join(', ')} lie on the disk, and no topic has them`);
    if (image.removedLogs.size > 0) history.leaks.push(`logs ${[...image.removedLogs].join(', ')} wait to be deleted`);
  }
}

function oneOf<T>(random: Random, from: readonly T[]): T {
  return from[random.below(from.length)]!;
}
