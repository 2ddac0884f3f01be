import type { Consumer } from '../../src/client/api/consumer.js';
import type { Producer } from '../../src/client/api/producer.js';
import type { Host } from '../../src/cluster/host.js';
import { EARLIEST_TIMESTAMP, LATEST_TIMESTAMP } from '../../src/protocol/requests.js';
import { decodeBatch } from '../../src/record/batch-compression.js';
import { batchesIn, lastOffsetOf } from '../../src/record/batch-header.js';
import { check, type Violation } from './checkers.js';
import { ClusterSimulation, type Sabotage, type Tab } from './cluster-simulation.js';
import { logText } from './history.js';
import type { Put, TableHistory, TableReader, TableRecord } from './table-history.js';

export type TableFault = 'kill' | 'freeze' | 'delay' | 'abort' | 'quota' | 'disconnect' | 'blackout';

const FAULTS: readonly TableFault[] = ['kill', 'freeze', 'delay', 'abort', 'quota', 'disconnect', 'blackout'];
const TOPIC = 'table';
const PARTITION = 0;
const LOG = logText(TOPIC, PARTITION);
const KEYS = 8;
const ALREADY_EXISTS = 36;
const MAX_TABS = 3;
/** Longer than any run, or so short that tombstones go within it. */
const DELETE_RETENTION_MS = [600_000, 400] as const;
/** About the records of three segments beside one of each key. */
const MAX_RECORDS = KEYS + 60;
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
  readonly violations: readonly Violation[];
}

/**
 * One run of W4: tabs put records under few keys into a compacted topic of small segments and read it from the start,
 * while the leader cleans it all the time and things go wrong; then all is healed and the log is read to its end.
 */
export async function runTableScenario(options: TableScenarioOptions): Promise<TableScenarioResult> {
  const { seed, sabotage } = options;
  const plan = new ClusterSimulation({ seed: seed ^ 0x7ab1e }).simulation.random;
  const faults = options.faults ?? FAULTS.filter(() => plan.below(3) === 0);
  const cluster = new ClusterSimulation({
    seed,
    brokerConfig: BROKER_CONFIG,
    faults: faults.includes('delay') ? { messageDelayMs: [1, 200], storageDelayMs: [0.2, 30] } : {},
    abortChance: faults.includes('abort') ? 0.1 : 0,
    ...(sabotage !== undefined && { sabotage }),
  });
  const table: TableHistory = {
    deleteRetentionMs: DELETE_RETENTION_MS[plan.below(2)]!,
    puts: [],
    readers: [],
    final: new Map(),
    maxRecords: MAX_RECORDS,
  };
  await new TableScenario(cluster, table, faults).run();
  return { seed, faults, table, violations: check({ ...cluster.history, table }) };
}

export function describeTableViolations({ seed, faults, violations }: TableScenarioResult): string {
  const found = violations.slice(0, 5).map(({ check: id, text }) => `  ${id} ${text}`);
  return violations.length === 0 ? '' : [`table seed ${seed} (${faults.join(', ')})`, ...found].join('\n');
}

class TableScenario {
  readonly #cluster: ClusterSimulation;
  readonly #table: TableHistory;
  readonly #faults: readonly TableFault[];
  readonly #open = new Map<Put, Tab>();
  #producing = true;
  #count = 0;

  constructor(cluster: ClusterSimulation, table: TableHistory, faults: readonly TableFault[]) {
    this.#cluster = cluster;
    this.#table = table;
    this.#faults = faults;
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
      'min.cleanable.dirty.ratio': '0.1',
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
    this.#spawn(tab, 'producing', () => this.#produce(tab));
    if (this.#cluster.simulation.random.next() < 0.6) this.#spawn(tab, 'a reader', () => this.#read(tab));
  }

  #spawn(tab: Tab, what: string, job: () => Promise<unknown>): void {
    job().catch((error: unknown) => {
      if (!tab.stopping.signal.aborted) this.#cluster.note(`${tab.name}: ${what} failed: ${error}`);
    });
  }

  async #produce(tab: Tab): Promise<void> {
    const { clock, random } = tab.platform.runtime;
    const { kafka } = this.#cluster.client(tab, 'producer');
    const retry = { initialRetryTime: 50, maxRetryTime: 1_000, retries: 100 };
    const producer = kafka.producer({ allowAutoTopicCreation: false, deliveryTimeout: 60_000, retry });
    tab.clients.add(producer);
    await producer.connect();
    while (this.#producing && !tab.stopping.signal.aborted) {
      await Promise.all(Array.from({ length: 1 + random.below(3) }, () => this.#put(tab, producer)));
      await clock.sleep(random.next() * 60, tab.stopping.signal);
    }
  }

  /** Never rejects: the outcome is in the history. */
  async #put(tab: Tab, producer: Producer): Promise<void> {
    const { random } = tab.platform.runtime;
    const key = `key-${random.below(KEYS)}`;
    const value = random.below(8) === 0 ? null : `value-${this.#count++}`;
    const put: Put = { log: LOG, key, value, outcome: 'unknown', offset: undefined, endMs: undefined };
    this.#table.puts.push(put);
    this.#open.set(put, tab);
    try {
      const [metadata] = await producer.send({ topic: TOPIC, messages: [{ key, value, partition: PARTITION }] });
      put.outcome = 'ok';
      put.offset = Number(metadata?.baseOffset ?? -1);
    } catch (error) {
      if ((error as { outcomeUnknown?: boolean }).outcomeUnknown === false) put.outcome = 'failed';
    }
    put.endMs = this.#cluster.nowMs;
    this.#open.delete(put);
  }

  async #read(tab: Tab): Promise<{ consumer: Consumer; records: TableRecord[]; name: string }> {
    const { kafka, name } = this.#cluster.client(tab, 'reader');
    const consumer = kafka.consumer();
    tab.clients.add(consumer);
    await consumer.connect();
    tab.stopping.signal.throwIfAborted();
    const records: TableRecord[] = [];
    const reader: TableReader = { name, log: LOG, records, isWhole: false };
    this.#table.readers.push(reader);
    await consumer.assign([{ topic: TOPIC, partition: PARTITION, offset: '-2' }]);
    await consumer.run({
      eachMessage: ({ message: { offset, key, value } }) => {
        records.push({ offset: Number(offset), key: String(key), value: value && String(value) });
      },
    });
    return { consumer, records, name };
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
    await cluster.runFor(1_000);
    this.#producing = false;
    const living = (): number => [...this.#open.values()].filter((tab) => cluster.tabs.has(tab.name)).length;
    if (!(await cluster.runUntil(() => living() === 0))) history.stuck.push(`${living()} puts did not end`);
    await cluster.runFor(5_000);

    const records = await cluster.finish('reading the table to its end', readLog(last));
    if (records === undefined) return;
    this.#table.final.set(LOG, { records, atMs: cluster.nowMs });
    const reader = await cluster.finish('a reader', this.#read(last));
    if (reader === undefined) return;
    const end = records.at(-1)?.offset ?? -1;
    const isDone = (): boolean => (reader.records.at(-1)?.offset ?? -1) >= end;
    if (!(await cluster.runUntil(isDone))) history.stuck.push(`a reader never came to offset ${end} of ${LOG}`);
    this.#table.readers.push({ name: `${reader.name}, to its end`, log: LOG, records: reader.records, isWhole: true });
    await cluster.closeAll();
  }
}

async function readLog(tab: Tab): Promise<TableRecord[]> {
  const host = await tab.host;
  const found: TableRecord[] = [];
  const end = await offsetAt(host, LATEST_TIMESTAMP);
  for (let next = await offsetAt(host, EARLIEST_TIMESTAMP); next < end; ) {
    const partitions = [{ partition: PARTITION, fetchOffset: next, partitionMaxBytes: 100_000 }];
    const limits = { maxWaitMs: 500, minBytes: 1, maxBytes: 100_000, isolationLevel: 0 } as const;
    const { responses } = await host.send('Fetch', { ...limits, topics: [{ topic: TOPIC, partitions }] });
    const { errorCode = -1, errorMessage, records = [] } = responses[0]?.partitions[0] ?? {};
    if (errorCode !== 0) throw new Error(`fetching ${LOG} from ${next}: ${errorMessage}`);
    for (const bytes of records) {
      for (const { at, header } of batchesIn(bytes)) {
        for (const { offset, key, value } of await decodeBatch(bytes, at)) {
          if (offset >= next) found.push({ offset, key: text(key) ?? '', value: text(value) });
        }
        next = lastOffsetOf(header) + 1;
      }
    }
  }
  return found;
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
