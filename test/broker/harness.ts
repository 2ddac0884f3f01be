import { Broker, type BrokerApi, type BrokerOptions } from '../../src/broker/broker.js';
import type { BrokerParts } from '../../src/broker/broker-parts.js';
import { type FetchHandler, fetchHandler } from '../../src/broker/handle-fetch.js';
import type { ReadContext } from '../../src/broker/read-context.js';
import { STATIC_PARTS } from '../../src/broker/static-parts.js';
import type { AbortedWindow } from '../../src/log/aborted-transactions.js';
import type { LogAdvance, LogView, LogViews } from '../../src/log/log-view.js';
import { errorName, type KafkaErrorName } from '../../src/protocol/errors.js';
import type { FetchResponse, IsolationLevel, Requests, Responses } from '../../src/protocol/requests.js';
import { batchesIn } from '../../src/record/batch-header.js';
import { type BatchEnding, RecordBatchBuilder } from '../../src/record/record-batch-builder.js';
import { decodeRecords } from '../../src/record/record-batch-decoder.js';
import type { Clock } from '../../src/runtime/runtime.js';
import { seededRandom } from '../../src/runtime/seeded-random.js';
import type { LogId, LogStore } from '../../src/storage/log-store.js';
import { MemoryDisk } from '../../src/storage/memory-disk.js';
import { MemoryLogStore } from '../../src/storage/memory-log-store.js';
import { type Deferred, deferred, onAbort } from '../../src/util/signal.js';
import { finishBatch } from '../record/finish-batch.js';

/** All promises that can settle without time have settled. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** Time moves when the test says so. */
export class TestClock implements Clock {
  nowMs = 1_000_000;
  readonly #sleepers = new Set<{ readonly untilMs: number; readonly awake: Deferred<void> }>();

  wallMs(): number {
    return this.nowMs;
  }

  monotonicMs(): number {
    return this.nowMs;
  }

  /** Timers now running. */
  get sleeperCount(): number {
    return this.#sleepers.size;
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const sleeper = { untilMs: this.nowMs + ms, awake: deferred() };
    this.#sleepers.add(sleeper);
    const drop = onAbort(signal, () => sleeper.awake.reject(signal?.reason));
    try {
      await sleeper.awake.promise;
    } finally {
      drop();
      this.#sleepers.delete(sleeper);
    }
  }

  /** Lets time pass; each sleeper wakes in its turn and does what it has to do before the next. */
  async advance(ms: number): Promise<void> {
    const endMs = this.nowMs + ms;
    await settled();
    for (;;) {
      const due = [...this.#sleepers]
        .filter(({ untilMs }) => untilMs <= endMs)
        .sort((a, b) => a.untilMs - b.untilMs)[0];
      if (due === undefined) break;
      this.nowMs = Math.max(this.nowMs, due.untilMs);
      due.awake.resolve();
      await settled();
    }
    this.nowMs = endMs;
  }
}

/** Views over the store, moved by what the broker announces. */
export class TestViews implements LogViews {
  readonly #views = new Map<LogId, TestView>();
  readonly #store: LogStore;

  constructor(store: LogStore) {
    this.#store = store;
  }

  async open(log: LogId): Promise<LogView> {
    const known = this.#views.get(log);
    if (known !== undefined) return known;
    const { logStartOffset, lastOffset } = await this.#store.ends(log);
    const endOffset = lastOffset === undefined ? logStartOffset : lastOffset + 1;
    const view = new TestView(this.#store, log, [logStartOffset, endOffset]);
    this.#views.set(log, this.#views.get(log) ?? view);
    return this.#views.get(log) ?? view;
  }

  announce(advance: LogAdvance): void {
    this.#views.get(advance.log)?.move(advance);
  }

  get waiterCount(): number {
    return [...this.#views.values()].reduce((count, view) => count + view.waiters.size, 0);
  }
}

class TestView implements LogView {
  readonly waiters = new Set<() => void>();
  readonly #store: LogStore;
  readonly #log: LogId;

  logStartOffset: number;
  highWatermark: number;
  lastStableOffset: number;
  aborted: AbortedWindow | undefined;

  constructor(store: LogStore, log: LogId, [logStartOffset, highWatermark]: readonly [number, number]) {
    this.#store = store;
    this.#log = log;
    this.logStartOffset = logStartOffset;
    this.highWatermark = highWatermark;
    this.lastStableOffset = highWatermark;
  }

  move({ logStartOffset, highWatermark, transactions }: LogAdvance): void {
    this.logStartOffset = logStartOffset;
    this.highWatermark = Math.max(this.highWatermark, highWatermark);
    this.lastStableOffset = transactions?.lastStableOffset ?? this.highWatermark;
    if (transactions !== undefined) this.aborted = { ...transactions, endOffset: highWatermark };
    for (const waiter of [...this.waiters]) waiter();
  }

  read(offset: number, maxBytes: number): Promise<Uint8Array[]> {
    return this.#store.read(this.#log, offset, maxBytes, this.highWatermark);
  }

  advancedBeyond(offset: number, signal: AbortSignal, isolationLevel: IsolationLevel = 0): Promise<void> {
    return new Promise((resolve, reject) => {
      const check = (): void => {
        if ((isolationLevel === 0 ? this.highWatermark : this.lastStableOffset) <= offset) return;
        this.waiters.delete(check);
        drop();
        resolve();
      };
      this.waiters.add(check);
      const drop = onAbort(signal, () => {
        this.waiters.delete(check);
        reject(signal.reason);
      });
      check();
    });
  }
}

export interface TestBroker {
  readonly disk: MemoryDisk;
  readonly store: MemoryLogStore;
  readonly broker: Broker;
  readonly clock: TestClock;
  readonly views: TestViews;
  readonly reads: ReadContext;
  readonly fetch: FetchHandler;
  readonly advances: LogAdvance[];
  send<A extends BrokerApi>(api: A, request: Requests[A], signal?: AbortSignal): Promise<Responses[A]>;
}

export interface StartOptions {
  readonly disk?: MemoryDisk;
  readonly clock?: TestClock;
  readonly configs?: Readonly<Record<string, string>>;
  readonly parts?: BrokerParts;
  readonly locks?: BrokerOptions['locks'];
  /** Of the store, what the broker gets. */
  readonly tamper?: (store: LogStore) => LogStore;
}

/** Elects itself and takes up the broker. Several may live on one disk, one after another. */
export async function startBroker({
  disk = new MemoryDisk(),
  clock = new TestClock(),
  configs,
  parts = STATIC_PARTS,
  locks,
  tamper = (store) => store,
}: StartOptions = {}): Promise<TestBroker> {
  const store = await MemoryLogStore.open(disk, { newIncarnationId: 'incarnation' });
  const { epoch } = await store.leadership();
  const leaderEpoch = (await store.claimLeadership(epoch, 'host', clock.wallMs())) ?? -1;
  const views = new TestViews(store);
  const advances: LogAdvance[] = [];
  const broker = await Broker.open({
    clusterId: 'test',
    store: tamper(store),
    parts,
    leaderEpoch,
    clock,
    random: seededRandom(leaderEpoch),
    configs,
    locks,
    onAdvance: (advance) => {
      advances.push(advance);
      views.announce(advance);
    },
  });
  const reads: ReadContext = {
    clusterId: 'test',
    clock,
    views,
    store,
    parts,
    image: () => broker.image,
    refreshImage: async () => {},
    leaderEpoch: () => leaderEpoch,
  };
  const send: TestBroker['send'] = (api, request, signal) => broker.handle(api, request, signal);
  return { disk, store, broker, clock, views, reads, fetch: fetchHandler(reads), advances, send };
}

// ---------------------------------------------------------------- requests

export function batch(
  values: readonly string[],
  {
    key = null,
    timestampMs = 0,
    ...ending
  }: BatchEnding & { readonly key?: string | null; readonly timestampMs?: number } = {},
): Uint8Array {
  const builder = new RecordBatchBuilder();
  for (const value of values) builder.append({ key, value, timestampMs });
  return finishBatch(builder, ending);
}

export function newTopic(name: string, changes: Partial<Requests['CreateTopics']['topics'][number]> = {}) {
  return { name, numPartitions: -1, replicationFactor: -1, assignments: [], configs: [], ...changes };
}

export async function createTopic(
  { send }: TestBroker,
  name: string,
  changes: Partial<Requests['CreateTopics']['topics'][number]> = {},
): Promise<KafkaErrorName> {
  const request = { timeoutMs: 1000, validateOnly: false, topics: [newTopic(name, changes)] };
  const [topic] = (await send('CreateTopics', request)).topics;
  return errorName(topic?.errorCode ?? 0);
}

export type ProduceOutcome = Responses['Produce']['responses'][number]['partitionResponses'][number];

export async function produce(
  { send }: TestBroker,
  name: string,
  records: Uint8Array,
  { index = 0, acks = -1 as 0 | 1 | -1 } = {},
): Promise<ProduceOutcome | undefined> {
  const topicData = [{ name, partitionData: [{ index, records }] }];
  const { responses } = await send('Produce', { transactionalId: null, acks, timeoutMs: 1000, topicData });
  return responses[0]?.partitionResponses[0];
}

export function fetchRequest(
  topics: Readonly<Record<string, readonly (readonly [partition: number, offset: number])[]>>,
  changes: Partial<Requests['Fetch']> & { readonly partitionMaxBytes?: number } = {},
): Requests['Fetch'] {
  const { partitionMaxBytes = 1 << 20, ...others } = changes;
  return {
    maxWaitMs: 0,
    minBytes: 1,
    maxBytes: 1 << 20,
    isolationLevel: 0,
    topics: Object.entries(topics).map(([topic, partitions]) => ({
      topic,
      partitions: partitions.map(([partition, fetchOffset]) => ({ partition, fetchOffset, partitionMaxBytes })),
    })),
    ...others,
  };
}

/** The values in a response, by `topic-partition`. */
export function valuesIn({ responses }: FetchResponse): Record<string, string[]> {
  const values: Record<string, string[]> = {};
  for (const { topic, partitions } of responses) {
    for (const { partitionIndex, records } of partitions) {
      values[`${topic}-${partitionIndex}`] = records.flatMap((chunk) =>
        [...batchesIn(chunk)].flatMap(({ at }) => decodeRecords(chunk, at).map(({ value }) => String(value))),
      );
    }
  }
  return values;
}
