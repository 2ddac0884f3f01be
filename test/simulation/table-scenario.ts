import type { Producer } from '../../src/client/api/producer.js';
import type { Host } from '../../src/cluster/host.js';
import { EARLIEST_TIMESTAMP, LATEST_TIMESTAMP } from '../../src/protocol/requests.js';
import { decodeBatch } from '../../src/record/batch-compression.js';
import { batchesIn, isControl, lastOffsetOf } from '../../src/record/batch-header.js';
import type { Random } from '../../src/runtime/runtime.js';
import { check, type Violation } from './checkers.js';
import { ClusterSimulation, type ClusterSimulationOptions, type Sabotage, type Tab } from './cluster-simulation.js';
import { logText, type Transaction } from './history.js';
import type { FinalTable, Put, TableHistory, TableReader, TableRecord } from './table-history.js';
import { type RecordOrder, type TransactionalRecord, Transactions } from './transactions.js';

/** `kill in pass`: the leader dies while it cleans or seals, between two steps or within one. */
export type TableFault = 'kill' | 'kill in pass' | 'freeze' | 'delay' | 'abort' | 'quota' | 'disconnect' | 'blackout';

const FAULTS: readonly TableFault[] = [
  'kill',
  'kill in pass',
  'freeze',
  'delay',
  'abort',
  'quota',
  'disconnect',
  'blackout',
];
/** What a pass of the cleaner, or of the sealer, does in the database. */
const PASS_STEPS = ['segments', 'sealedSegments', 'stageSealed', 'publishSealed', 'dropStaged', 'sweepSealed'] as const;
export type PassStep = (typeof PASS_STEPS)[number];
const TOPIC = 'table';
const PARTITION = 0;
const LOG = logText(TOPIC, PARTITION);
/** The first that is made after the metadata log. */
const TABLE_LOG = 1;
const KEYS = 8;
const ALREADY_EXISTS = 36;
const MAX_TABS = 3;
/** Longer than any run, or so short that tombstones go within it. */
const DELETE_RETENTION_MS = [600_000, 400] as const;
/** About the records of three segments beside one of each key. */
const MAX_RECORDS = 3 * KEYS + 40;
/** Those of three segments, and the last one of each of some producers. */
const MAX_MARKERS = 24;
/** Of a step of a pass, where leaders are killed in passes. */
const KILL_CHANCE = 0.04;
/** A step takes up to 8 ms: some die before it, some in it, some after it. */
const KILL_WITHIN_MS = 12;
/** As many as a marker needs to outlive its transaction, to be given a horizon, and to go; and one. */
const LAST_PASSES = 4;
const SNAPSHOT_MS = 400;
const MAX_PASS_MS = 60_000;
const ID_HEADER = 'id';
const BROKER_CONFIG = { 'group.min.session.timeout.ms': '1000', 'log.retention.check.interval.ms': '300' };

export interface TableScenarioOptions {
  readonly seed: number;
  readonly faults?: readonly TableFault[];
  readonly sabotage?: Sabotage;
}

export interface TableScenarioResult {
  readonly seed: number;
  readonly faults: readonly TableFault[];
  readonly table: TableHistory;
  /** At which a leader was killed. */
  readonly killedAt: readonly PassStep[];
  readonly violations: readonly Violation[];
}

/**
 * One run of W4: tabs put records under few keys into a compacted topic of small segments, alone and in transactions of
 * which some are aborted, and read it from the start, while the leader cleans it all the time and things go wrong; then
 * all is healed and the log is read to its end.
 */
export async function runTableScenario(options: TableScenarioOptions): Promise<TableScenarioResult> {
  const { seed, sabotage } = options;
  const plan = new ClusterSimulation({ seed: seed ^ 0x7ab1e }).simulation.random;
  const faults = options.faults ?? FAULTS.filter(() => plan.below(3) === 0);
  const killedAt: PassStep[] = [];
  const cluster: ClusterSimulation = new ClusterSimulation({
    seed,
    brokerConfig: BROKER_CONFIG,
    ...(faults.includes('kill in pass') && { onStorage: killingInPasses(() => cluster, killedAt) }),
    faults: faults.includes('delay') ? { messageDelayMs: [1, 200], storageDelayMs: [0.2, 30] } : {},
    abortChance: faults.includes('abort') ? 0.1 : 0,
    ...(sabotage !== undefined && { sabotage }),
  });
  const table: TableHistory = {
    deleteRetentionMs: DELETE_RETENTION_MS[plan.below(2)]!,
    puts: [],
    readers: [],
    snapshots: [],
    final: new Map(),
    maxRecords: MAX_RECORDS,
    maxMarkers: MAX_MARKERS,
  };
  await new TableScenario(cluster, table, faults).run();
  return { seed, faults, table, killedAt, violations: check({ ...cluster.history, table }) };
}

type OnStorage = NonNullable<ClusterSimulationOptions['onStorage']>;

function killingInPasses(clusterOf: () => ClusterSimulation, killedAt: PassStep[]): OnStorage {
  return (tab, operation) => {
    const cluster = clusterOf();
    const { simulation } = cluster;
    const step = PASS_STEPS.find((name) => name === operation);
    if (step === undefined || cluster.isHealed || !simulation.chance(KILL_CHANCE)) return;
    simulation.background('kill in a pass', simulation.random.next() * KILL_WITHIN_MS, () => {
      if (cluster.isHealed || cluster.tabs.get(tab.name) !== tab) return;
      killedAt.push(step);
      cluster.kill(tab);
    });
  };
}

export function describeTableViolations({ seed, faults, violations }: TableScenarioResult): string {
  const found = violations.slice(0, 5).map(({ check: id, text }) => `  ${id} ${text}`);
  return violations.length === 0
    ? ''
    : [`table seed ${seed} (${faults.join(', ')}): npm run simulate -- --scenario table --seed ${seed}`, ...found].join(
        '\n',
      );
}

class TableScenario {
  readonly #cluster: ClusterSimulation;
  readonly #table: TableHistory;
  readonly #faults: readonly TableFault[];
  readonly #transactions: Transactions;
  readonly #open = new Map<Put, Tab>();
  #producing = true;
  #count = 0;

  constructor(cluster: ClusterSimulation, table: TableHistory, faults: readonly TableFault[]) {
    this.#cluster = cluster;
    this.#table = table;
    this.#faults = faults;
    this.#transactions = new Transactions(cluster, TOPIC, (order) => this.#newTransactional(order));
  }

  async run(): Promise<void> {
    const cluster = this.#cluster;
    const { random } = cluster.simulation;
    const first = cluster.openTab();
    if ((await cluster.finish('creating the topic', this.#createTopic(first))) === undefined) return;
    this.#populate(first);
    this.#populate(cluster.openTab());
    const endMs = cluster.nowMs + 5_000 + random.below(4_000);
    while (cluster.nowMs < endMs) {
      await cluster.runFor(50 + random.below(500));
      this.#misfortune();
    }
    await this.#recover();
  }

  async #createTopic(tab: Tab): Promise<true> {
    const configs = {
      'cleanup.policy': 'compact',
      'segment.bytes': '1024',
      'min.cleanable.dirty.ratio': '0.01',
      'delete.retention.ms': String(this.#table.deleteRetentionMs),
    };
    const entries = Object.entries(configs).map(([name, value]) => ({ name, value }));
    const topic = { name: TOPIC, numPartitions: 1, replicationFactor: -1, assignments: [], configs: entries };
    for (let errorCode = -1; errorCode !== 0 && errorCode !== ALREADY_EXISTS; ) {
      const host = await tab.host;
      const request = { timeoutMs: 10_000, validateOnly: false, topics: [topic] };
      errorCode = (await host.send('CreateTopics', request).catch(() => undefined))?.topics[0]?.errorCode ?? -1;
    }
    return true;
  }

  #populate(tab: Tab): void {
    const { random } = this.#cluster.simulation;
    this.#spawn(tab, 'producing', () => this.#produce(tab));
    if (random.next() < 0.6) {
      const isolationLevel = random.next() < 0.7 ? 'read_committed' : 'read_uncommitted';
      this.#spawn(tab, 'a reader', () => this.#read(tab, isolationLevel));
    }
    if (random.next() < 0.7) {
      this.#spawn(tab, 'transactions', () => this.#transactions.produce(tab, 1, () => this.#producing));
    }
    if (random.next() < 0.5) this.#spawn(tab, 'snapshots', () => this.#takeSnapshots(tab));
    if (random.next() < 0.5) this.#spawn(tab, 'a coordinator', () => this.#transactions.coordinate(tab));
  }

  #spawn(tab: Tab, what: string, job: () => Promise<unknown>): void {
    job().catch((error: unknown) => {
      if (!tab.stopping.signal.aborted) this.#cluster.note(`${tab.name}: ${what} failed: ${error}`);
    });
  }

  async #produce(tab: Tab): Promise<void> {
    const { clock, random } = tab.platform.runtime;
    const producer = await this.#newProducer(tab);
    while (this.#producing && !tab.stopping.signal.aborted) {
      await Promise.all(Array.from({ length: 1 + random.below(3) }, () => this.#put(tab, producer)));
      await clock.sleep(random.next() * 60, tab.stopping.signal);
    }
  }

  async #newProducer(tab: Tab): Promise<Producer> {
    const { kafka } = this.#cluster.client(tab, 'producer');
    const retry = { initialRetryTime: 50, maxRetryTime: 1_000, retries: 100 };
    const producer = kafka.producer({ allowAutoTopicCreation: false, deliveryTimeout: 60_000, retry });
    tab.clients.add(producer);
    await producer.connect();
    return producer;
  }

  #newPut(random: Random, { keys = 'key', transaction }: { keys?: string; transaction?: Transaction } = {}): Put {
    const id = `put-${this.#count++}`;
    const key = `${keys}-${random.below(KEYS)}`;
    const value = random.below(8) === 0 ? null : `value of ${id}`;
    const progress = { outcome: 'unknown', offset: undefined, endMs: undefined } as const;
    const put: Put = { id, log: LOG, key, value, ...progress, ...(transaction && { transaction }) };
    this.#table.puts.push(put);
    return put;
  }

  #newTransactional({ transaction }: RecordOrder): TransactionalRecord {
    const { random } = this.#cluster.simulation;
    // Half of them under keys that nobody else writes: what is lost for an undecided one is not soon put again.
    const noted = this.#newPut(random, { transaction, keys: random.next() < 0.5 ? 'key' : 'rare' });
    const { id, key, value } = noted;
    return { record: { key, value, headers: [{ key: ID_HEADER, value: id }] }, noted };
  }

  /** Never rejects: the outcome is in the history. */
  async #put(tab: Tab, producer: Producer, keys?: string): Promise<void> {
    const put = this.#newPut(tab.platform.runtime.random, keys === undefined ? {} : { keys });
    this.#open.set(put, tab);
    const { id, key, value } = put;
    const message = { key, value, headers: { [ID_HEADER]: id }, partition: PARTITION };
    try {
      const [metadata] = await producer.send({ topic: TOPIC, messages: [message] });
      put.outcome = 'ok';
      put.offset = Number(metadata?.baseOffset ?? -1);
    } catch (error) {
      if ((error as { outcomeUnknown?: boolean }).outcomeUnknown === false) put.outcome = 'failed';
    }
    put.endMs = this.#cluster.nowMs;
    this.#open.delete(put);
  }

  async #read(tab: Tab, isolationLevel: TableReader['isolationLevel']): Promise<TableReader> {
    const { kafka, name } = this.#cluster.client(tab, 'reader');
    const consumer = kafka.consumer({ readUncommitted: isolationLevel === 'read_uncommitted' });
    tab.clients.add(consumer);
    await consumer.connect();
    tab.stopping.signal.throwIfAborted();
    const records: TableRecord[] = [];
    const reader: TableReader = { name, log: LOG, isolationLevel, records, isWhole: false };
    this.#table.readers.push(reader);
    await consumer.assign([{ topic: TOPIC, partition: PARTITION, offset: '-2' }]);
    await consumer.run({
      eachMessage: ({ message: { offset, key, value, headers } }) => {
        const id = String(headers?.[ID_HEADER]);
        const record = { id, offset: Number(offset), key: String(key), value: value && String(value) };
        records.push({ ...record, atMs: this.#cluster.nowMs });
      },
    });
    return reader;
  }

  /** Reads the log from its start to its end, again and again. */
  async #takeSnapshots(tab: Tab): Promise<void> {
    const cluster = this.#cluster;
    while (!tab.stopping.signal.aborted) {
      await tab.platform.runtime.clock.sleep(SNAPSHOT_MS, tab.stopping.signal);
      const startMs = cluster.nowMs;
      const found = await readLog(tab, () => cluster.nowMs).catch(() => undefined);
      if (found !== undefined) this.#table.snapshots.push({ ...found, log: LOG, startMs });
    }
  }

  #misfortune(): void {
    const cluster = this.#cluster;
    const { random } = cluster.simulation;
    const { awake } = cluster;
    const tab = awake[random.below(Math.max(1, awake.length))];
    const fault = this.#faults[random.below(Math.max(1, this.#faults.length))];
    if (cluster.tabs.size === 0 || (cluster.tabs.size < MAX_TABS && random.next() < 0.3)) {
      this.#populate(cluster.openTab());
    }
    if (tab === undefined) return;
    switch (fault) {
      case 'kill':
        if (awake.length > 1 || random.next() < 0.5) cluster.kill(tab);
        break;
      case 'freeze':
        cluster.freeze(tab, random.below(8_000));
        break;
      case 'quota':
        cluster.disk.setQuota(random.next() < 0.5 ? Number.POSITIVE_INFINITY : cluster.disk.sizeInBytes + 2_000);
        break;
      case 'disconnect':
        if (random.next() < 0.3) cluster.disk.disconnect();
        break;
      case 'blackout':
        if (random.next() < 0.2) for (const each of [...cluster.tabs.values()]) cluster.kill(each);
        break;
      default:
        break; // in force all the time, or none
    }
  }

  /** Heals, lets the cleaner come to its end, reads all, closes all. */
  async #recover(): Promise<void> {
    const cluster = this.#cluster;
    const { history } = cluster;
    cluster.heal();
    const last = cluster.openTab();
    this.#spawn(last, 'a coordinator', () => this.#transactions.coordinate(last));
    await cluster.runFor(1_000);
    this.#producing = false;
    const living = (): number => [...this.#open.values()].filter((tab) => cluster.tabs.has(tab.name)).length;
    if (!(await cluster.runUntil(() => living() === 0))) history.stuck.push(`${living()} puts did not end`);
    if (!(await cluster.runUntil(() => this.#transactions.allEnded))) history.stuck.push('transactions did not end');
    await this.#settle(last);

    const final = await cluster.finish(
      'reading the table to its end',
      readLog(last, () => cluster.nowMs),
    );
    if (final === undefined) return;
    this.#table.final.set(LOG, final);
    for (const isolationLevel of ['read_committed', 'read_uncommitted'] as const) {
      const reader = await cluster.finish('a reader', this.#read(last, isolationLevel));
      if (reader === undefined) return;
      const end = final.records.findLast((record) => this.#isReadAt(isolationLevel, record))?.offset ?? -1;
      const isDone = (): boolean => (reader.records.at(-1)?.offset ?? -1) >= end;
      if (!(await cluster.runUntil(isDone))) history.stuck.push(`${isolationLevel}: nobody came to ${end} of ${LOG}`);
      this.#table.readers.push({ ...reader, name: `${reader.name}, to its end`, isWhole: true });
    }
    await cluster.closeAll();
  }

  /** Passes of the cleaner, with new records, of other keys, for each: what has outlived its use goes in the pass after the one that finds it. */
  async #settle(tab: Tab): Promise<void> {
    const cluster = this.#cluster;
    const producer = await cluster.finish('a producer', this.#newProducer(tab));
    for (let pass = 0; producer && pass < LAST_PASSES; pass++) {
      const before = this.#cleanedOffset();
      const endMs = cluster.nowMs + MAX_PASS_MS;
      while (this.#cleanedOffset() <= before && cluster.nowMs < endMs) {
        const puts = Array.from({ length: 2 * KEYS }, () => this.#put(tab, producer, 'late'));
        await cluster.finish('putting more', Promise.all(puts));
        await cluster.runFor(DELETE_RETENTION_MS[1]);
      }
      if (this.#cleanedOffset() <= before) cluster.history.stuck.push(`the cleaner does not come behind ${before}`);
    }
  }

  /** As the database knows it. */
  #cleanedOffset(): number {
    return (
      this.#cluster.disk.segments(TABLE_LOG).findLast((row) => row.cleanedOffset !== undefined)?.cleanedOffset ?? 0
    );
  }

  #isReadAt(isolationLevel: TableReader['isolationLevel'], { id }: TableRecord): boolean {
    const transaction = this.#table.puts.find((put) => put.id === id)?.transaction;
    return isolationLevel === 'read_uncommitted' || transaction === undefined || transaction.outcome === 'commit';
  }
}

/** Everything, whatever became of its transaction. */
async function readLog(tab: Tab, nowMs: () => number): Promise<FinalTable> {
  const host = await tab.host;
  const records: TableRecord[] = [];
  let markerCount = 0;
  let end = await offsetAt(host, LATEST_TIMESTAMP);
  for (let next = await offsetAt(host, EARLIEST_TIMESTAMP); next < end; end = await offsetAt(host, LATEST_TIMESTAMP)) {
    const partitions = [{ partition: PARTITION, fetchOffset: next, partitionMaxBytes: 100_000 }];
    const limits = { maxWaitMs: 500, minBytes: 1, maxBytes: 100_000, isolationLevel: 0 } as const;
    const { responses } = await host.send('Fetch', { ...limits, topics: [{ topic: TOPIC, partitions }] });
    const { errorCode = -1, errorMessage, records: chunks = [] } = responses[0]?.partitions[0] ?? {};
    if (errorCode !== 0) throw new Error(`fetching ${LOG} from ${next}: ${errorMessage}`);
    for (const bytes of chunks) {
      for (const { at, header } of batchesIn(bytes)) {
        if (isControl(header) && lastOffsetOf(header) >= next) markerCount += header.recordCount;
        for (const { offset, key, value, headers } of isControl(header) ? [] : await decodeBatch(bytes, at)) {
          const id = text(headers.find((each) => each.key === ID_HEADER)?.value ?? null) ?? '';
          const record = { id, offset, key: text(key) ?? '', value: text(value), atMs: nowMs() };
          if (offset >= next) records.push(record);
        }
        next = Math.max(next, lastOffsetOf(header) + 1); // chunks overlap where the log was rewritten while it was read
      }
    }
  }
  return { records, markerCount, atMs: nowMs() };
}

async function offsetAt(host: Host, timestamp: number): Promise<number> {
  const partitions = [{ partitionIndex: PARTITION, timestamp }];
  const answer = await host.send('ListOffsets', { isolationLevel: 0, topics: [{ name: TOPIC, partitions }] });
  const { errorCode = -1, offset = -1 } = answer.topics[0]?.partitions[0] ?? {};
  if (errorCode !== 0) throw new Error(`ListOffsets of ${LOG}: error ${errorCode}`);
  return offset;
}

function text(bytes: Uint8Array | null): string | null {
  return bytes && new TextDecoder().decode(bytes);
}
