import { beforeEach, describe, expect, test } from 'vitest';
import { Host, type HostOptions } from '../../src/cluster/host.js';
import { STATIC_CLUSTER_PARTS } from '../../src/cluster/static-cluster-parts.js';
import { errorName, KafkaError } from '../../src/protocol/errors.js';
import type { StorageState, StorageStatus } from '../../src/protocol/storage-state.js';
import type { Locks } from '../../src/runtime/runtime.js';
import type { SimulatedTab } from '../../src/runtime/simulated-tab.js';
import { Simulation } from '../../src/runtime/simulation.js';
import { MemoryDisk } from '../../src/storage/memory-disk.js';
import { MemoryLogStore } from '../../src/storage/memory-log-store.js';
import { storageUnavailableError } from '../../src/storage/storage-errors.js';
import { batch, type ProduceOutcome } from '../broker/harness.js';
import { runIn } from './simulated-run.js';

// Goal: whatever befalls the storage, every tab sees it and says it, and goes on by itself once it can. Method: hosts of
// simulated tabs over one disk, which is told to misbehave.

interface Tab {
  readonly platform: SimulatedTab;
  readonly host: Host;
  /** Every state since the start, the present one last. */
  readonly states: StorageState[];
}

let simulation: Simulation;
let disk: MemoryDisk;

beforeEach(() => {
  simulation = new Simulation({ seed: 11 });
  disk = new MemoryDisk();
});

function run<T>(job: Promise<T>, maxMs = 120_000): Promise<T> {
  return runIn(simulation, job, maxMs);
}

async function open(name: string, options: Partial<HostOptions> = {}): Promise<Tab> {
  const platform = simulation.tab(name);
  const { runtime } = platform;
  const openStore = (): Promise<MemoryLogStore> => openOn(disk, platform);
  const parts = STATIC_CLUSTER_PARTS;
  const host = await run(Host.start({ runtime, openStore, parts, clusterName: 'c', label: name, ...options }));
  const states: StorageState[] = [];
  void follow(host, states);
  return { platform, host, states };
}

function openOn(onDisk: MemoryDisk, { runtime, storageDelay: delay }: SimulatedTab): Promise<MemoryLogStore> {
  return MemoryLogStore.open(onDisk, { newIncarnationId: runtime.random.uuid(), delay, clock: runtime.clock });
}

async function follow(host: Host, states: StorageState[]): Promise<void> {
  let known = { host: '', version: -1 };
  try {
    for (;;) {
      const { changes, ...at } = await host.send('DescribeStorage', known);
      known = { host: at.host, version: at.version };
      states.push(...changes.map(({ state }) => state));
    }
  } catch {
    // the host is closed
  }
}

function statuses({ states }: Tab): StorageStatus[] {
  return states.map(({ status }) => status);
}

function reaches(tab: Tab, status: StorageStatus, maxMs = 60_000): Promise<unknown> {
  return simulation.run({ until: () => tab.states.at(-1)?.status === status, maxMs });
}

async function createTopic({ host }: Tab, config: Readonly<Record<string, string>> = {}): Promise<void> {
  const configs = Object.entries(config).map(([name, value]) => ({ name, value }));
  const topic = { name: 'orders', numPartitions: 1, replicationFactor: -1, assignments: [], configs };
  await run(host.send('CreateTopics', { timeoutMs: 10_000, validateOnly: false, topics: [topic] }));
}

async function produce({ host }: Tab, records: Uint8Array, timeoutMs = 1_000): Promise<ProduceOutcome> {
  const topicData = [{ name: 'orders', partitionData: [{ index: 0, records }] }];
  const { responses } = await host.send('Produce', { transactionalId: null, acks: -1, timeoutMs, topicData });
  return responses[0]!.partitionResponses[0]!;
}

/** As a producer does: until it is acknowledged. */
async function persist(tab: Tab, records: () => Uint8Array): Promise<ProduceOutcome> {
  for (;;) {
    const outcome = await produce(tab, records()).catch(() => undefined);
    if (outcome?.errorCode === 0) return outcome;
    await tab.platform.runtime.clock.sleep(50);
  }
}

const PRODUCER = { producerId: 5, producerEpoch: 0, baseSequence: 0 };

async function endOffset({ host }: Tab): Promise<number | undefined> {
  const topics = [{ name: 'orders', partitions: [{ partitionIndex: 0, timestamp: -1 }] }];
  const answer = await run(host.send('ListOffsets', { isolationLevel: 0, topics }));
  return answer.topics[0]?.partitions[0]?.offset;
}

describe('a request that never settles', () => {
  test.each(['before', 'after'] as const)(
    '%s it took effect: the connection is dropped, sent again it is stored once',
    async (wedge) => {
      const [leader, other] = [await open('a'), await open('b')];
      await createTopic(leader);
      await run(produce(leader, batch(['first'])));
      for (const [asker, sequence] of [
        [leader, 0],
        [other, 1],
      ] as const) {
        const one = { ...PRODUCER, baseSequence: sequence };
        disk.wedgeNext(wedge);
        const lost = run(produce(asker, batch(['once'], one)));
        await expect(lost).rejects.toMatchObject({ type: 'NETWORK_EXCEPTION' });
        const again = await run(persist(asker, () => batch(['once'], one)));
        expect(again).toMatchObject({ errorCode: 0, baseOffset: 1 + sequence });
      }
      expect(await endOffset(leader)).toBe(3);
      const wedged = [leader, other].find((tab) => statuses(tab).includes('wedged'));
      expect(statuses(wedged!).slice(0, 3)).toEqual(['ready', 'wedged', 'ready']);
      expect(wedged?.states[1]).toMatchObject({ reason: expect.stringMatching(/no answer in 20000 ms/) });
    },
  );

  test('while a read does not settle, the tab says so and reads on over a new connection', async () => {
    const tab = await open('a');
    await createTopic(tab);
    await run(produce(tab, batch(['a'])));
    disk.wedgeNext('before');
    const topics = [{ topic: 'orders', partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1000 }] }];
    const fetch = { maxWaitMs: 0, minBytes: 1, maxBytes: 1000, isolationLevel: 0 as const, topics };
    const hung = tab.host.send('Fetch', fetch);
    hung.catch(() => {});
    await simulation.run({ maxMs: 40_000 });
    const { responses } = await run(tab.host.send('Fetch', fetch));
    expect(responses[0]?.partitions[0]?.records.length).toBe(1);
  });
});

test('an opening that is blocked is tried again; requests wait for it', async () => {
  const tab = await open('a');
  await createTopic(tab);
  const unblock = disk.blockOpening();
  disk.disconnect();
  await reaches(tab, 'reopening');
  await simulation.run({ maxMs: 15_000 });
  expect(tab.states.at(-1)).toMatchObject({
    status: 'reopening',
    reason: expect.stringMatching(/no answer in 10000 ms/),
  });
  const waiting = produce(tab, batch(['a']));
  unblock();
  expect(await run(waiting)).toMatchObject({ errorCode: 0, baseOffset: 0 });
  expect(statuses(tab)).toEqual(['ready', 'reopening', 'reopening', 'ready']);
});

// The page hears of the start as soon as the database is open: by then nobody is left to hear that the rest failed.
test('a host that has opened the database and cannot join tries again; requests wait for it', async () => {
  const platform = simulation.tab('a');
  const { runtime } = platform;
  const { locks } = runtime;
  let refusals = 2;
  const hold: Locks['hold'] = async (name, options) => {
    if (name.startsWith('tabstream/c/host/') && refusals-- > 0) throw new Error('no lock now');
    return locks!.hold(name, options);
  };
  const opened: MemoryLogStore[] = [];
  const host = await run(
    Host.start({
      runtime: { ...runtime, locks: { ...locks!, hold } },
      async openStore() {
        const store = await openOn(disk, platform);
        opened.push(store);
        return store;
      },
      parts: STATIC_CLUSTER_PARTS,
      clusterName: 'c',
      label: 'a',
    }),
  );
  const tab: Tab = { platform, host, states: [] };
  await createTopic(tab);
  expect(opened.length).toBe(3);
  for (const store of opened.slice(0, 2)) await expect(run(store.leadership())).rejects.toThrow('closed');
  await run(host.close());
});

test('wiped data is told in every tab, until something is written to the new', async () => {
  const [a, b] = [await open('a'), await open('b')];
  await createTopic(a);
  disk.wipe();
  await reaches(a, 'reset');
  await reaches(b, 'reset');
  const [before] = a.states;
  expect(a.states.at(-1)).toMatchObject({ lostIncarnationId: (before as { incarnationId: string }).incarnationId });
  await createTopic(b);
  await reaches(a, 'ready');
  await reaches(b, 'ready');
  expect(a.states.at(-1)).toEqual(b.states.at(-1));
  for (const tab of [a, b]) expect(statuses(tab)).toEqual(['ready', 'reopening', 'reset', 'ready']);
});

describe('a full disk', () => {
  test('is told with its figures in every tab; a send that waits goes on when there is room', async () => {
    const [leader, other] = [await open('a'), await open('b')];
    await createTopic(leader);
    disk.setQuota(disk.sizeInBytes + 500);
    const refused = await run(produce(other, batch(['x'.repeat(1_000)]), 30_000));
    expect(errorName(refused.errorCode)).toBe('KAFKA_STORAGE_ERROR');
    expect(refused.storage).toEqual({ usage: disk.sizeInBytes, quota: disk.sizeInBytes + 500 });
    for (const tab of [leader, other]) {
      await reaches(tab, 'full');
      expect(tab.states.at(-1)).toMatchObject({
        status: 'full',
        usage: disk.sizeInBytes,
        quota: disk.sizeInBytes + 500,
      });
    }
    const waiting = produce(other, batch(['x'.repeat(1_000)]), 30_000);
    await simulation.run({ maxMs: 400 });
    disk.setQuota(Number.POSITIVE_INFINITY);
    expect(await run(waiting, 2_000)).toMatchObject({ errorCode: 0, baseOffset: 0 });
    for (const tab of [leader, other]) await reaches(tab, 'ready');
  });

  test('where the policy is to reject, sends fail at once and for good', async () => {
    const tab = await open('a');
    await createTopic(tab, { 'storage.full.policy': 'reject' });
    disk.setQuota(disk.sizeInBytes + 500);
    const beginMs = simulation.nowMs;
    for (let i = 0; i < 3; i++) {
      const refused = await run(produce(tab, batch(['x'.repeat(1_000)]), 30_000));
      expect(errorName(refused.errorCode)).toBe('POLICY_VIOLATION');
      expect(refused.errorMessage).toMatch(/orders-0: storage is full, and storage.full.policy is reject/);
      expect(refused.storage?.quota).toBe(disk.sizeInBytes + 500);
    }
    expect(simulation.nowMs - beginMs).toBeLessThan(500);
    disk.setQuota(Number.POSITIVE_INFINITY);
    await simulation.run({ maxMs: 10_000 });
    expect(await run(produce(tab, batch(['x']), 30_000))).toMatchObject({ errorCode: 0 });
    await reaches(tab, 'ready');
  });

  test('where the policy is to drop the oldest, they make way', async () => {
    const tab = await open('a');
    await createTopic(tab, { 'storage.full.policy': 'drop-oldest', 'segment.bytes': '4096' });
    await simulation.run({ maxMs: 11_000 }); // the reserve is taken
    disk.setQuota(disk.sizeInBytes + 2 * 1024 * 1024 + 20_000);
    for (let i = 0; i < 60; i++) {
      for (;;) {
        const { errorCode, baseOffset } = await run(produce(tab, batch(['x'.repeat(1_000)]), 30_000));
        if (errorCode === 0) expect(baseOffset).toBe(i);
        if (errorCode === 0) break;
      }
    }
    expect(await endOffset(tab)).toBe(60);
    const topics = [{ name: 'orders', partitions: [{ partitionIndex: 0, timestamp: -2 }] }];
    const earliest = await run(tab.host.send('ListOffsets', { isolationLevel: 0, topics }));
    expect(earliest.topics[0]?.partitions[0]?.offset).toBeGreaterThan(30);
    expect(earliest.topics[0]?.partitions[0]?.offset).toBeLessThan(60);
  });

  test('the reserve lets retention run, which makes room', async () => {
    const tab = await open('a');
    await createTopic(tab, { 'retention.ms': '60000', 'segment.bytes': '4096' });
    await simulation.run({ maxMs: 11_000 }); // the reserve is taken
    for (let i = 0; i < 20; i++)
      await run(produce(tab, batch(['x'.repeat(1_000)], { timestampMs: tab.platform.runtime.clock.wallMs() })));
    await simulation.run({ maxMs: 5_000 }); // what has closed is sealed, which makes room, too
    disk.setQuota(disk.sizeInBytes + 2 * 1024 * 1024);
    await simulation.run({ maxMs: 61_000 });
    const sent = produce(tab, batch(['x'.repeat(1_000)], { timestampMs: tab.platform.runtime.clock.wallMs() }), 30_000);
    expect(await run(sent)).toMatchObject({ errorCode: 0, baseOffset: 20 });
    expect(statuses(tab)).toEqual(['ready', 'full', 'ready']);
  });

  test('the broker’s own writes may have the reserve', async () => {
    const tab = await open('a');
    await createTopic(tab);
    await simulation.run({ maxMs: 11_000 });
    disk.setQuota(disk.sizeInBytes + 2 * 1024 * 1024 + 100);
    expect((await run(produce(tab, batch(['x'.repeat(1_000)])))).errorCode).not.toBe(0);
    const partitions = [
      { partitionIndex: 0, committedOffset: 0, committedLeaderEpoch: -1, committedMetadata: 'x'.repeat(2_000) },
    ];
    const member = { groupId: 'g', generationIdOrMemberEpoch: -1, memberId: '', groupInstanceId: null };
    const answer = await run(tab.host.send('OffsetCommit', { ...member, topics: [{ name: 'orders', partitions }] }));
    expect(answer.topics[0]?.partitions[0]?.errorCode).toBe(0);
  });

  test('the next leader finds out that there is room', async () => {
    const [leader, other] = [await open('a'), await open('b')];
    await createTopic(leader);
    disk.setQuota(disk.sizeInBytes + 500);
    await run(produce(leader, batch(['x'.repeat(1_000)])));
    await reaches(other, 'full');
    await run(leader.host.close());
    disk.setQuota(Number.POSITIVE_INFINITY);
    await simulation.run({ maxMs: 5_000 });
    expect(await run(produce(other, batch(['x'])))).toMatchObject({ errorCode: 0 });
    await reaches(other, 'ready');
  });
});

describe('a database of a newer version', () => {
  const outdated = (): Promise<never> => Promise.reject(new KafkaError('UNSUPPORTED_VERSION', 'it is of version 2'));

  test('is read on by a tab of the older, which writes nothing and does not try to lead', async () => {
    const old = simulation.tab('old');
    let isOutdated = false;
    const tab = await open('a', {
      runtime: old.runtime,
      openStore: () => (isOutdated ? outdated() : openOn(disk, old)),
      openNewerStore: () => openOn(disk, old),
    });
    await createTopic(tab);
    await run(produce(tab, batch(['a'])));
    isOutdated = true;
    disk.disconnect();
    await reaches(tab, 'read-only');
    await simulation.run({ maxMs: 1_000 });
    expect(tab.states.slice(1)).toEqual([
      expect.objectContaining({ status: 'reopening' }),
      { status: 'read-only', readable: false, reason: 'it is of version 2' },
      { status: 'read-only', readable: true, reason: 'it is of version 2' },
    ]);
    await expect(run(produce(tab, batch(['b'])))).rejects.toMatchObject({ type: 'UNSUPPORTED_VERSION' });
    const newer = await open('newer');
    expect(await run(produce(newer, batch(['c'])))).toMatchObject({ baseOffset: 1 });
    await simulation.run({ maxMs: 60_000 });
    expect(await endOffset(tab)).toBe(2);
    const { hosts } = await run(newer.host.send('DescribeCluster', {}));
    expect(hosts.map(({ label, controller, storage }) => [label, controller, storage]).sort()).toEqual([
      ['a', false, 'read-only'],
      ['newer', true, 'ready'],
    ]);
  });

  test('that must not even be read is said by every request, at once', async () => {
    const tab = await open('a', { openStore: outdated });
    await reaches(tab, 'read-only');
    expect(tab.states.at(-1)).toEqual({ status: 'read-only', readable: false, reason: 'it is of version 2' });
    const request = tab.host.send('Metadata', { topics: null, allowAutoTopicCreation: false });
    await expect(run(request, 100)).rejects.toMatchObject({ type: 'UNSUPPORTED_VERSION' });
    await run(tab.host.close());
  });
});

test('where storage is denied, tabs that may do so run over memory, each for itself', async () => {
  const denied = (): Promise<never> => Promise.reject(storageUnavailableError('SecurityError'));
  await expect(open('refused', { openStore: denied })).rejects.toMatchObject({ type: 'KAFKA_STORAGE_ERROR' });
  const tabs: Tab[] = [];
  for (const name of ['a', 'b']) {
    const own = simulation.tab(`${name} itself`);
    const openMemory = (): Promise<MemoryLogStore> => openOn(new MemoryDisk(), own);
    tabs.push(await open(name, { runtime: own.runtime, openStore: denied, openMemory }));
  }
  for (const tab of tabs) {
    expect(tab.states).toEqual([expect.objectContaining({ status: 'degraded-memory' })]);
    await createTopic(tab);
    expect(await run(produce(tab, batch(['a'])))).toMatchObject({ errorCode: 0, baseOffset: 0 });
    const { hosts } = await run(tab.host.send('DescribeCluster', {}));
    expect(hosts.map(({ storage }) => storage)).toEqual(['degraded-memory']);
  }
});
