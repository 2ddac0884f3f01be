import { expect, test } from 'vitest';
import { fetchHandler } from '../../src/broker/handle-fetch.js';
import { EMPTY_IMAGE, type MetadataImage } from '../../src/broker/metadata-image.js';
import { readMessages } from '../../src/client/consumer/message.js';
import { HostLogViews } from '../../src/cluster/log-views.js';
import { STATIC_CLUSTER_PARTS } from '../../src/cluster/static-cluster-parts.js';
import { GroupCommit } from '../../src/log/group-commit.js';
import { PartitionLog } from '../../src/log/partition-log.js';
import type { Requests, Responses } from '../../src/protocol/requests.js';
import { parseTopicConfig } from '../../src/protocol/topic-config.js';
import type { Random } from '../../src/runtime/runtime.js';
import { Simulation } from '../../src/runtime/simulation.js';
import { MemoryDisk } from '../../src/storage/memory-disk.js';
import { MemoryLogStore } from '../../src/storage/memory-log-store.js';
import { batch, transactional } from '../log/harness.js';

const LOG = 7;
const CONFIG = parseTopicConfig({ 'segment.bytes': '1500', 'max.message.bytes': '1500' });
const SEEDS = Array.from({ length: 20 }, (_, seed) => seed);

/** What the leader wrote: one entry an offset. */
type Entry =
  | { readonly kind: 'plain'; readonly value: string }
  | { readonly kind: 'data'; readonly value: string; readonly producerId: number; readonly transaction: number }
  | { readonly kind: 'marker' };

interface Written {
  readonly entries: readonly Entry[];
  /** By number of the transaction; undefined: open. */
  readonly ends: ReadonlyMap<number, 'commit' | 'abort'>;
}

// Goal: whatever a host missed or got twice, from whatever offset it reads: a read_committed fetch ends at or below the
// last stable offset of the log, and what a consumer makes of it is what was committed, without gap.
// Method: a leader writes a random log with small segments; a host whose announcements are lost, doubled and delayed
// fetches at random offsets while the log grows; every answer is compared with the list of what was written.
test.each(SEEDS)('a host reads what was committed, and no more, whatever news it missed (seed %i)', async (seed) => {
  const simulation = new Simulation({ seed });
  const { random } = simulation;
  const faults = [
    {},
    { dropChance: 0.5 },
    { duplicateChance: 0.5, reorder: true, messageDelayMs: [0, 50] },
    { dropChance: 1 },
  ];
  Object.assign(simulation.faults, faults[seed % faults.length]);
  const disk = new MemoryDisk();
  const run = async <T>(job: Promise<T>): Promise<T> => {
    let done = false;
    const watched = job.finally(() => (done = true));
    watched.catch(() => {});
    while (!done) {
      await simulation.run({ until: () => done, maxMs: 60_000 });
      if (!done) await import('../../src/log/salvage.js'); // a doubtful read loads it, outside of any queue of steps
    }
    return watched;
  };
  const party = async (name: string) => {
    const { runtime, storageDelay } = simulation.tab(name);
    const store = await run(MemoryLogStore.open(disk, { newIncarnationId: 'one', delay: storageDelay }));
    const { transactions, readAhead } = STATIC_CLUSTER_PARTS;
    const others = { isRead: () => true, onReads: () => {} };
    const views = new HostLogViews({ clusterName: 'c', runtime, store, ...others, transactions, readAhead });
    const { clock } = runtime;
    const reads = {
      clusterId: 'c',
      clock,
      views,
      store,
      parts: STATIC_CLUSTER_PARTS,
      image: () => image(),
      refreshImage: async () => {},
      leaderEpoch: () => 1,
    };
    return { store, views, clock, fetch: fetchHandler(reads) };
  };

  const leader = await party('leader');
  const reader = await party('reader');
  await run(leader.store.claimLeadership(0, 'leader', 0));
  const groupCommit = new GroupCommit({
    store: leader.store,
    leaderEpoch: 1,
    onCommitted: (advances) => {
      for (const advance of advances) leader.views.announce(advance);
    },
  });
  const log = await run(
    PartitionLog.open({
      ...{ store: leader.store, groupCommit, log: LOG, leaderEpoch: 1, name: 't-0' },
      config: () => CONFIG,
      clock: leader.clock,
      transactions: STATIC_CLUSTER_PARTS.transactions,
    }),
  );
  const writer = new RandomWriter(log, random);
  for (let round = 0; round < 60; round++) {
    for (let count = random.below(6); count > 0; count--) await run(writer.write());
    await simulation.run({ maxMs: random.below(5) === 0 ? 3_000 : random.below(20) });
    for (const host of [leader, reader]) {
      const fetchOffset =
        random.below(2) === 0 ? random.below(log.logEndOffset + 1) : Math.max(0, log.logEndOffset - 5);
      const answer = await run(host.fetch(request(fetchOffset)));
      await expectCommitted(answer, fetchOffset, writer.written, log.lastStableOffset);
    }
  }
  expect([...writer.written.ends.values()]).toContain('abort');
  expect((await run(leader.store.segments(LOG))).some((row) => row.abortedTransactions !== undefined)).toBe(true);
  // Who waits at the last stable offset is woken by the markers, or finds out by itself.
  await run(writer.open());
  const stable = (await run(reader.fetch(request(0)))).responses[0]?.partitions[0]?.lastStableOffset ?? -1;
  const waiting = reader.fetch({ ...request(stable), maxWaitMs: 60_000 });
  await run(writer.endAll());
  let told = (await run(waiting)).responses[0]?.partitions[0]?.lastStableOffset ?? -1;
  expect(told).toBeGreaterThan(stable);
  while (told < log.logEndOffset) {
    const answer = await run(reader.fetch({ ...request(told), maxWaitMs: 60_000 }));
    told = answer.responses[0]?.partitions[0]?.lastStableOffset ?? -1;
  }
  expect(told).toBe(log.lastStableOffset);
  for (const each of [leader, reader]) each.views.close();
});

async function expectCommitted(
  { responses }: Responses['Fetch'],
  fetchOffset: number,
  { entries, ends }: Written,
  lastStableOffset: number,
): Promise<void> {
  const answer = responses[0]?.partitions[0];
  expect(answer?.errorCode).toBe(0);
  const { records = [], abortedTransactions = [], lastStableOffset: told = -1 } = answer ?? {};
  expect(told).toBeLessThanOrEqual(lastStableOffset);
  const context = {
    topic: 't',
    partition: 0,
    keySerde: undefined,
    valueSerde: undefined,
    encryption: undefined,
    abortedTransactions,
  };
  const { messages, nextOffset } = await readMessages(records, fetchOffset, context);
  expect(nextOffset).toBeLessThanOrEqual(Math.max(told, fetchOffset));
  if (fetchOffset < told) expect(nextOffset).toBeGreaterThan(fetchOffset);
  const committed = entries.slice(fetchOffset, nextOffset).flatMap((entry) => {
    if (entry.kind === 'marker') return [];
    return entry.kind === 'plain' || ends.get(entry.transaction) === 'commit' ? [entry.value] : [];
  });
  expect(messages.map(({ value }) => String(value))).toEqual(committed);
}

class RandomWriter {
  readonly #log: PartitionLog;
  readonly #random: Random;
  readonly #entries: Entry[] = [];
  readonly #ends = new Map<number, 'commit' | 'abort'>();
  /** Number of the open transaction and next sequence, by producer. */
  readonly #producers = new Map([1, 2, 3].map((id) => [id, { open: -1, next: 0 }]));
  #transactions = 0;

  constructor(log: PartitionLog, random: Random) {
    this.#log = log;
    this.#random = random;
  }

  get written(): Written {
    return { entries: this.#entries, ends: this.#ends };
  }

  async write(): Promise<void> {
    const producerId = this.#random.below(4);
    const producer = this.#producers.get(producerId);
    const values = Array.from({ length: 1 + this.#random.below(3) }, (_, i) => `${this.#entries.length + i}`);
    if (producer === undefined) {
      await this.#log.append(batch(values), 'client');
      this.#entries.push(...values.map((value) => ({ kind: 'plain', value }) as const));
    } else if (producer.open >= 0 && this.#random.below(3) === 0) {
      await this.#end(producerId, this.#random.below(2) === 0 ? 'commit' : 'abort');
    } else {
      if (producer.open < 0) producer.open = this.#transactions++;
      await this.#log.append(transactional(producer.next, values, { id: producerId, epoch: 0 }), 'client');
      producer.next += values.length;
      const { open: transaction } = producer;
      this.#entries.push(...values.map((value) => ({ kind: 'data', value, producerId, transaction }) as const));
    }
  }

  /** Every producer has a transaction. */
  async open(): Promise<void> {
    while ([...this.#producers.values()].some(({ open }) => open < 0)) await this.write();
  }

  async endAll(): Promise<void> {
    for (const [producerId, { open }] of this.#producers) if (open >= 0) await this.#end(producerId, 'abort');
  }

  async #end(producerId: number, type: 'commit' | 'abort'): Promise<void> {
    const producer = this.#producers.get(producerId);
    await this.#log.appendEndMarker({ type, producerId, producerEpoch: 0, coordinatorEpoch: 0 });
    this.#entries.push({ kind: 'marker' });
    if (producer === undefined) return;
    this.#ends.set(producer.open, type);
    producer.open = -1;
  }
}

function request(fetchOffset: number): Requests['Fetch'] {
  const partitions = [{ partition: 0, fetchOffset, partitionMaxBytes: 100_000 }];
  return { maxWaitMs: 0, minBytes: 1, maxBytes: 100_000, isolationLevel: 1, topics: [{ topic: 't', partitions }] };
}

function image(): MetadataImage {
  const topic = { name: 't', topicId: 't', isInternal: false, configs: {}, config: CONFIG };
  return { ...EMPTY_IMAGE, topics: new Map([['t', { ...topic, partitions: [{ partitionId: 0, log: LOG }] }]]) };
}
