import type { Host } from '../../src/cluster/host.js';
import { LATEST_TIMESTAMP } from '../../src/protocol/requests.js';
import type { JournalRules } from '../../src/storage/journal.js';
import { check, type Violation } from './checkers.js';
import { ClusterSimulation, type RecordingProducer, type Sabotage, type Tab } from './cluster-simulation.js';
import { type History, logText, type Send, visibleValues } from './history.js';
import { choose, FAULT_KINDS, type FaultKind, messageFaults, strike } from './misfortunes.js';
import { Transactions } from './transactions.js';

const ALREADY_EXISTS = 36;
const TOPIC = 'events';
const PARTITIONS = 3;
/** Records of this topic are deleted from the front while it is read. */
const TRIMMED = 'trimmed';
/** So small that segments close, and are sealed, while things go wrong. */
const SEGMENT_BYTES = '1024';
const GROUPS = ['group-a', 'group-b'] as const;
const MAX_TABS = 4;
/** The metadata log, those of the groups and of the two topics. */
const MAX_LOGS = 2 + PARTITIONS + 1;

export interface ScenarioOptions {
  readonly seed: number;
  /** Default: one to three, as the seed says. */
  readonly faults?: readonly FaultKind[];
  readonly trace?: boolean;
  readonly sabotage?: Sabotage;
  /** Default: as the seed says; see `journalRulesOf`. */
  readonly journalRules?: JournalRules | undefined;
}

export interface ScenarioResult {
  readonly seed: number;
  readonly faults: readonly FaultKind[];
  readonly history: History;
  readonly violations: readonly Violation[];
  readonly traceHash: number;
  readonly trace: readonly string[];
  readonly stepCount: number;
  readonly virtualMs: number;
  /** Of all logs at the end. */
  readonly sealedSegmentCount: number;
  /** The most that ever lay in the journal. */
  readonly journalBytes: number;
}

/**
 * One run: tabs with plain, idempotent and transactional producers (W1), group members and direct readers (W2) and an admin (W5) while things go wrong; then
 * all is healed, everything must come to its end, every partition is read, all tabs close; then the history is checked.
 */
export async function runScenario(options: ScenarioOptions): Promise<ScenarioResult> {
  const { seed } = options;
  const plan = new ClusterSimulation({ seed: seed ^ 0x5eed }).simulation.random; // its own stream of choices
  const faults = options.faults ?? choose(plan, FAULT_KINDS, 1 + plan.below(3));
  const cluster = new ClusterSimulation({
    seed,
    faults: messageFaults(faults),
    abortChance: faults.includes('abort') ? 0.1 : 0,
    journalRules: 'journalRules' in options ? options.journalRules : journalRulesOf(seed),
    ...(options.trace !== undefined && { trace: options.trace }),
    ...(options.sabotage !== undefined && { sabotage: options.sabotage }),
  });
  const scenario = new Scenario(cluster, faults);
  await scenario.run();
  const { history, simulation } = cluster;
  return {
    seed,
    faults,
    history,
    violations: check(history),
    traceHash: simulation.traceHash,
    trace: simulation.trace,
    stepCount: simulation.stepCount,
    virtualMs: simulation.nowMs,
    sealedSegmentCount: range(MAX_LOGS).reduce((sum, log) => sum + cluster.disk.sealedSegments(log).length, 0),
    journalBytes: cluster.disk.mostJournalBytes,
  };
}

/** Two seeds of three meet the journal: with each small commit, or with those of two logs and more. */
export function journalRulesOf(seed: number): JournalRules | undefined {
  const minLogs = seed % 3;
  return minLogs === 0 ? undefined : { minLogs, maxPartBytes: 400, drainBytes: 2_000, maxBytes: 4_000 };
}

/** Violations as a text that says how to see them again. */
export function describeViolations({ seed, faults, violations }: ScenarioResult): string {
  if (violations.length === 0) return '';
  const found = violations.slice(0, 10).map(({ check: id, text }) => `  ${id} ${text}`);
  return [`seed ${seed} (${faults.join(', ')}): npm run simulate -- --seed ${seed} --verbose`, ...found].join('\n');
}

class Scenario {
  readonly #cluster: ClusterSimulation;
  readonly #faults: readonly FaultKind[];
  readonly #producers = new Map<RecordingProducer, Tab>();
  readonly #transactions: Transactions;
  #producing = true;
  #noiseCount = 0;

  constructor(cluster: ClusterSimulation, faults: readonly FaultKind[]) {
    this.#cluster = cluster;
    this.#faults = faults;
    this.#transactions = new Transactions(cluster, TOPIC, (order) => {
      const value = `${order.producer}-${order.order}`;
      const progress = { startMs: cluster.nowMs, endMs: undefined, outcome: 'unknown', offset: undefined } as const;
      const noted: Send = { ...order, idempotent: true, value, ...progress };
      cluster.history.sends.push(noted);
      return { record: { key: null, value }, noted };
    });
  }

  async run(): Promise<void> {
    const cluster = this.#cluster;
    const { random } = cluster.simulation;
    const first = cluster.openTab();
    if ((await cluster.finish('creating the topics', this.#createTopics(first))) === undefined) return;
    this.#populate(first);
    for (let more = 1 + random.below(3); more > 0; more--) this.#populate(cluster.openTab());

    const endMs = cluster.nowMs + 4_000 + random.below(6_000);
    while (cluster.nowMs < endMs) {
      await cluster.runFor(100 + random.below(700));
      this.#misfortune();
    }
    await this.#recover();
  }

  async #createTopics(tab: Tab): Promise<true> {
    for (const topic of [topicOf(TOPIC, PARTITIONS), topicOf(TRIMMED, 1)]) {
      for (let errorCode = -1; errorCode !== 0 && errorCode !== ALREADY_EXISTS; ) {
        const host = await tab.host;
        const request = { timeoutMs: 10_000, validateOnly: false, topics: [topic] };
        const created = await host.send('CreateTopics', request).catch(() => undefined);
        errorCode = created?.topics[0]?.errorCode ?? -1;
      }
    }
    return true;
  }

  /** Gives a tab its clients. */
  #populate(tab: Tab): void {
    const { random } = this.#cluster.simulation;
    this.#spawn(tab, 'producing', () => this.#produce(tab, 150 + random.below(900)));
    if (random.next() < 0.7) {
      const group = GROUPS[random.below(GROUPS.length)]!;
      this.#spawn(tab, 'a member', () => this.#cluster.member(tab, group, [TOPIC, TRIMMED], random.below(30)));
    }
    if (random.next() < 0.4) {
      this.#spawn(tab, 'a reader', () => this.#cluster.reader(tab, TOPIC, range(PARTITIONS)));
    }
    if (random.next() < 0.4) {
      const isProducing = (): boolean => this.#producing;
      this.#spawn(tab, 'transactions', () => this.#transactions.produce(tab, PARTITIONS, isProducing));
    }
    if (random.next() < 0.5) this.#spawn(tab, 'a coordinator', () => this.#transactions.coordinate(tab));
    if (random.next() < 0.3) this.#spawn(tab, 'an admin', () => this.#administrate(tab));
  }

  /** Failures of clients are for the history to judge; a tab that closes takes its clients along. */
  #spawn(tab: Tab, what: string, job: () => Promise<unknown>): void {
    job().catch((error: unknown) => {
      if (!tab.stopping.signal.aborted) this.#cluster.note(`${tab.name}: ${what} failed: ${error}`);
    });
  }

  async #produce(tab: Tab, pauseMs: number): Promise<void> {
    const { clock, random } = tab.platform.runtime;
    const producer = await this.#cluster.producer(tab, {
      deliveryTimeout: 60_000,
      retry: { initialRetryTime: 50, maxRetryTime: 1_000, retries: 100 },
    });
    this.#producers.set(producer, tab);
    const inFlight = new Set<Promise<unknown>>();
    while (this.#producing && !tab.stopping.signal.aborted) {
      const [topic, partition] = random.next() < 0.15 ? [TRIMMED, 0] : [TOPIC, random.below(PARTITIONS)];
      const sending = producer.send(topic, partition, 1 + random.below(3)).finally(() => inFlight.delete(sending));
      inFlight.add(sending);
      if (inFlight.size >= 8) await Promise.race(inFlight);
      await clock.sleep(random.next() * pauseMs, tab.stopping.signal);
    }
    await Promise.all(inFlight);
  }

  /** W5: topics come and go, partitions are added, records are deleted. Whether it works is not the point. */
  async #administrate(tab: Tab): Promise<void> {
    const { clock, random } = tab.platform.runtime;
    const host = await tab.host;
    const name = `noise-${++this.#noiseCount}`;
    const count = PARTITIONS + this.#noiseCount;
    const timeoutMs = 10_000;
    const validateOnly = false;
    const acts: (() => Promise<unknown>)[] = [
      () => host.send('CreateTopics', { timeoutMs, validateOnly, topics: [topicOf(name, 2)] }),
      () => host.send('DeleteTopics', { timeoutMs, topicNames: [name] }),
      () =>
        host.send('CreatePartitions', { timeoutMs, validateOnly, topics: [{ name: TOPIC, count, assignments: null }] }),
      () => this.#trim(host, random.next()),
    ];
    while (this.#producing && !tab.stopping.signal.aborted) {
      await clock.sleep(200 + random.below(1_500), tab.stopping.signal);
      await acts[random.below(acts.length)]!().catch(() => {});
    }
  }

  /** Deletes a share of the trimmed topic's records, from the front. */
  async #trim(host: Host, share: number): Promise<void> {
    const partitions = [{ partitionIndex: 0, timestamp: LATEST_TIMESTAMP }];
    const ends = await host.send('ListOffsets', { isolationLevel: 0, topics: [{ name: TRIMMED, partitions }] });
    const offset = Math.floor(Math.max(0, ends.topics[0]?.partitions[0]?.offset ?? 0) * share); // -1 after an error
    const { deletedBelow } = this.#cluster.history;
    const log = logText(TRIMMED, 0);
    deletedBelow.set(log, Math.max(offset, deletedBelow.get(log) ?? 0));
    const topics = [{ name: TRIMMED, partitions: [{ partitionIndex: 0, offset }] }];
    await host.send('DeleteRecords', { timeoutMs: 10_000, topics });
  }

  /** One thing goes wrong, of those that this run has. */
  #misfortune(): void {
    const cluster = this.#cluster;
    const { random } = cluster.simulation;
    const { awake } = cluster;
    const tab = awake[random.below(Math.max(1, awake.length))];
    const fault = this.#faults[random.below(this.#faults.length)];
    if (cluster.tabs.size === 0 || (cluster.tabs.size < MAX_TABS && random.next() < 0.3)) {
      this.#populate(cluster.openTab());
    }
    if (tab === undefined || random.next() < 0.3) return;
    strike(cluster, tab, fault);
  }

  /** Heals, lets everything come to its end, reads all, closes all. */
  async #recover(): Promise<void> {
    const cluster = this.#cluster;
    const { history } = cluster;
    cluster.heal();
    for (const group of GROUPS) {
      const tab = cluster.openTab();
      this.#spawn(tab, 'a member', () => cluster.member(tab, group, [TOPIC, TRIMMED], 0));
    }
    const last = cluster.openTab();
    this.#spawn(last, 'a reader', () => cluster.reader(last, TOPIC, range(PARTITIONS)));
    this.#spawn(last, 'a coordinator', () => this.#transactions.coordinate(last));
    await cluster.runFor(1_000);
    this.#producing = false;

    const probe = cluster.producer(last).then(async (producer) => {
      for (let partition = 0; partition < PARTITIONS; partition++) {
        const [send] = await producer.send(TOPIC, partition);
        if (send?.outcome !== 'ok') throw new Error(`a send after the healing ended ${send?.outcome}: ${send?.error}`);
      }
    });
    await cluster.finish('sending after the healing', probe);
    const living = (name: string): boolean => [...cluster.tabs.keys()].some((tab) => name.endsWith(`@${tab}`));
    const open = (): number => history.sends.filter((send) => send.endMs === undefined && living(send.producer)).length;
    if (!(await cluster.runUntil(() => open() === 0))) history.stuck.push(`${open()} sends of living tabs did not end`);

    if (!(await cluster.runUntil(() => this.#transactions.allEnded))) history.stuck.push('transactions did not end');

    await cluster.readAll(TOPIC);
    await cluster.readAll(TRIMMED);
    await this.#awaitReaders();
    await cluster.closeAll();
  }

  /** C19: groups and direct readers reach the end. */
  async #awaitReaders(): Promise<void> {
    const cluster = this.#cluster;
    const { history } = cluster;
    const who = [...GROUPS, 'a direct reader'];
    const logsOf = (reader: string): string[] =>
      reader === who[2] ? range(PARTITIONS).map((partition) => logText(TOPIC, partition)) : [...history.final.keys()];
    const isVisible = visibleValues(history);
    const missing = (reader: string): string[] => {
      const places = new Set<string>();
      for (const log of logsOf(reader)) {
        for (const { offset, value } of history.final.get(log) ?? []) {
          if (isVisible(value) && offset >= (history.deletedBelow.get(log) ?? 0)) places.add(`${log}@${offset}`);
        }
      }
      for (const { group, log, offset } of history.reads) {
        if ((group ?? who[2]) === reader) places.delete(`${log}@${offset}`);
      }
      return [...places];
    };
    let reads = -1;
    const allRead = (): boolean => {
      if (history.reads.length === reads) return false; // nothing new: no need to look again
      reads = history.reads.length;
      return who.every((reader) => missing(reader).length === 0);
    };
    if (await cluster.runUntil(allRead)) return;
    for (const reader of who) {
      const places = missing(reader);
      if (places.length > 0) history.stuck.push(`${reader} never read ${places.length} records, such as ${places[0]}`);
    }
  }
}

function topicOf(name: string, numPartitions: number) {
  return {
    name,
    numPartitions,
    replicationFactor: -1,
    assignments: [],
    configs: [{ name: 'segment.bytes', value: SEGMENT_BYTES }],
  };
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}
