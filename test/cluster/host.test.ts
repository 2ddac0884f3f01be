import { beforeEach, describe, expect, test } from 'vitest';
import { METADATA_LOG } from '../../src/broker/metadata-records.js';
import type { ClusterParts } from '../../src/cluster/cluster-parts.js';
import { Host } from '../../src/cluster/host.js';
import { hostsChannelName } from '../../src/cluster/host-session.js';
import { STATIC_CLUSTER_PARTS } from '../../src/cluster/static-cluster-parts.js';
import { errorOf, KafkaError } from '../../src/protocol/errors.js';
import type { HostDescription, Requests, Responses } from '../../src/protocol/requests.js';
import { verifyBatch } from '../../src/record/batch-header.js';
import { encodeBatch } from '../../src/record/encode-batch.js';
import type { Channels, Locks, Runtime } from '../../src/runtime/runtime.js';
import type { SimulatedTab } from '../../src/runtime/simulated-tab.js';
import { Simulation } from '../../src/runtime/simulation.js';
import { MemoryDisk } from '../../src/storage/memory-disk.js';
import { MemoryLogStore } from '../../src/storage/memory-log-store.js';
import { present } from '../../src/util/assert.js';
import { concatBytes } from '../../src/util/bytes.js';
import { deferred } from '../../src/util/signal.js';
import { seenProduce, verifiedBatches } from './seen-produce.js';
import { runIn } from './simulated-run.js';

interface Tab {
  readonly platform: SimulatedTab;
  readonly host: Host;
  readonly stores: MemoryLogStore[];
}

const PRODUCE = { transactionalId: null, acks: -1, timeoutMs: 1_000 } as const;
const PRODUCER = { transactionalId: null, transactionTimeoutMs: 1_000, producerId: -1, producerEpoch: -1 };

let simulation: Simulation;
let disk: MemoryDisk;

beforeEach(() => {
  simulation = new Simulation({ seed: 7 });
  disk = new MemoryDisk();
});

function run<T>(job: Promise<T>, maxMs = 60_000): Promise<T> {
  return runIn(simulation, job, maxMs);
}

async function open(
  name: string,
  { locks = true, changed = asItIs, broker = STATIC_CLUSTER_PARTS.broker } = {},
): Promise<Tab> {
  const platform = simulation.tab(name);
  const runtime = changed(locks ? platform.runtime : { ...platform.runtime, locks: undefined });
  const stores: MemoryLogStore[] = [];
  const openStore = async (): Promise<MemoryLogStore> => {
    const newIncarnationId = runtime.random.uuid();
    const store = await MemoryLogStore.open(disk, { newIncarnationId, delay: platform.storageDelay });
    stores.push(store);
    return store;
  };
  const host = await run(
    Host.start({ runtime, openStore, parts: { ...STATIC_CLUSTER_PARTS, broker }, clusterName: 'c', label: name }),
  );
  return { platform, host, stores };
}

function asItIs(runtime: Runtime): Runtime {
  return runtime;
}

/** A host that leads by the time that it is returned. */
async function openLeader(name: string): Promise<Tab> {
  const tab = await open(name);
  await run(act(tab));
  return tab;
}

function kill({ platform, stores }: Tab): void {
  platform.kill();
  for (const store of stores) store.kill();
}

/** Something only a leader can do. */
async function act({ host }: Tab): Promise<number> {
  return (await host.send('InitProducerId', PRODUCER)).producerId;
}

/** As a client does: what failed with an unknown outcome is asked again. */
function persist(tab: Tab): Promise<number> {
  return act(tab).catch(() => act(tab));
}

async function createTopic(tab: Tab, name: string): Promise<number> {
  const [errorCode] = await createTopics(tab, [name]);
  return present(errorCode, 'an answer for the topic');
}

async function createTopics({ host }: Tab, names: readonly string[]): Promise<number[]> {
  const options = { numPartitions: 1, replicationFactor: -1, assignments: [], configs: [] };
  const topics = names.map((name) => ({ name, ...options }));
  const created = await host.send('CreateTopics', { timeoutMs: 10_000, validateOnly: false, topics });
  return created.topics.map(({ errorCode }) => errorCode);
}

async function deleteTopics({ host }: Tab, names: readonly string[]): Promise<void> {
  await host.send('DeleteTopics', { timeoutMs: 10_000, topicNames: names });
}

async function topicsOf({ host }: Tab): Promise<string[]> {
  const { topics } = await host.send('Metadata', { topics: null, allowAutoTopicCreation: false });
  return topics.map(({ name }) => name ?? '');
}

async function leader({ host }: Tab): Promise<HostDescription | undefined> {
  const { hosts } = await run(host.send('DescribeCluster', {}));
  return hosts.find(({ controller }) => controller);
}

describe('hosts of one cluster', () => {
  test('any of them takes any request', async () => {
    const [a, b] = [await openLeader('a'), await open('b')];
    expect(new Set([await run(act(a)), await run(act(b)), await run(act(a))]).size).toBe(3);
    expect((await leader(b))?.label).toBe('a');
  });

  // Goal: the leader in another tab gets batches that it can check, whoever made them; the page made them without checksums.
  // Method: all that the second host posts is looked at, and then it leads itself.
  test('batches without checksums get them before they leave their tab', async () => {
    const a = await openLeader('a');
    const posted: Requests['Produce'][] = [];
    const changed = (runtime: Runtime): Runtime => seenProduce(runtime, (request) => posted.push(request));
    const b = await open('b', { changed });
    await run(createTopic(b, 'orders'));
    const send = (value: string) => {
      const bytes = encodeBatch({ records: [{ key: null, value }], timestampMs: 0 }).fill(0, 17, 21);
      const topicData = [{ name: 'orders', partitionData: [{ index: 0, records: bytes }] }];
      return b.host.send('Produce', { ...PRODUCE, checksums: 'missing', topicData });
    };
    const offset = ({ responses }: Responses['Produce']) => responses[0]?.partitionResponses[0]?.baseOffset;
    expect(offset(await run(send('a')))).toBe(0);
    expect(posted.map(({ checksums }) => checksums)).toEqual([undefined]);
    expect(posted.map(verifiedBatches)).toEqual([1]);

    kill(a);
    expect(offset(await run(send('b').catch(() => send('b'))))).toBe(1);
    const read = { maxWaitMs: 0, minBytes: 0, maxBytes: 1000, isolationLevel: 0 } as const;
    const topics = [{ topic: 'orders', partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1000 }] }];
    const { responses } = await run(b.host.send('Fetch', { ...read, topics }));
    const records = concatBytes(responses[0]?.partitions[0]?.records ?? []);
    expect([verifyBatch(records).baseOffset, verifyBatch(records, records.length / 2).baseOffset]).toEqual([0, 1]);
  });

  test('a host knows the topic that it has just created through another', async () => {
    const [, b] = [await open('a'), await open('b')];
    expect(await run(createTopic(b, 'orders'))).toBe(0);
    const read = { maxWaitMs: 0, minBytes: 0, maxBytes: 1, isolationLevel: 0 } as const;
    const topics = [{ topic: 'orders', partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1 }] }];
    const fetched = await run(b.host.send('Fetch', { ...read, topics }));
    expect(fetched.responses[0]?.partitions[0]?.errorCode).toBe(0);
  });

  test('a host that has just started knows every topic, before it has followed the metadata log', async () => {
    const first = await open('a');
    await run(createTopic(first, 'orders'));
    kill(first);
    const { host } = await open('b');
    const topics = [{ topic: 'orders', partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1000 }] }];
    const fetch = { maxWaitMs: 0, minBytes: 0, maxBytes: 1000, isolationLevel: 0, topics } as const;
    const fetched = await run(host.send('Fetch', fetch));
    expect(fetched.responses[0]?.partitions[0]?.errorCode).toBe(0);
  });

  test('a host takes part in the election with the first request that needs a leader', async () => {
    const { host } = await open('a');
    await run(host.send('Metadata', { topics: null, allowAutoTopicCreation: false }));
    expect(disk.leadership().epoch).toBe(0);
    const startedMs = simulation.nowMs;
    await run(host.send('InitProducerId', PRODUCER));
    expect(simulation.nowMs - startedMs).toBeLessThan(60);
    expect(disk.leadership().epoch).toBe(1);
  });

  test('a host that is only read from takes part in the election a little later', async () => {
    const { host } = await open('a');
    await simulation.run({ maxMs: 100 });
    expect(disk.leadership().epoch).toBe(0);
    await simulation.run({ maxMs: 400 });
    expect(disk.leadership()).toMatchObject({ epoch: 1, hostId: host.hostId });
  });

  test('what leading takes is asked for with the first request that needs it, and again where it could not be loaded', async () => {
    const asked: number[] = [];
    const broker: ClusterParts['broker'] = async () => {
      asked.push(simulation.nowMs);
      if (asked.length < 3) throw new KafkaError('COORDINATOR_NOT_AVAILABLE', 'offline');
      return STATIC_CLUSTER_PARTS.broker();
    };
    const a = await open('a', { broker });
    await run(topicsOf(a));
    expect(asked).toEqual([]);
    expect(await run(act(a))).toBeGreaterThan(0);
    expect(asked.length).toBe(3);
  });

  test('a host that cannot load it leaves the lead to one that can', async () => {
    const broker = () => Promise.reject(new KafkaError('COORDINATOR_NOT_AVAILABLE', 'offline'));
    const [a, b] = [await open('a', { broker }), await open('b')];
    await run(act(a));
    expect((await leader(a))?.hostId).toBe(b.host.hostId);
  });

  test('one that is closed before it takes part never does', async () => {
    const { host, platform } = await open('a');
    await run(host.close());
    await simulation.run({ maxMs: 5_000 });
    expect(disk.leadership().epoch).toBe(0);
    expect([platform.openTimers, platform.heldLocks, platform.lockRequests]).toEqual([0, 0, 0]);
  });

  test('the start waits for the database, not for the host to join; requests and watchers do', async () => {
    const platform = simulation.tab('a');
    const { runtime } = platform;
    const joining = deferred();
    const locks: Locks = {
      ...present(runtime.locks, 'simulated tabs have locks'),
      hold: async (name, options) => {
        if (name.includes('/host/')) await joining.promise;
        return present(runtime.locks, 'simulated tabs have locks').hold(name, options);
      },
    };
    const openStore = () => MemoryLogStore.open(disk, { newIncarnationId: 'one', delay: platform.storageDelay });
    const parts = STATIC_CLUSTER_PARTS;
    const host = await run(
      Host.start({ runtime: { ...runtime, locks }, openStore, parts, clusterName: 'c', label: 'a' }),
    );
    expect(host.hostId).toMatch(/^[0-9a-f-]{36}$/);
    const answers: string[] = [];
    const asked = [
      host
        .send('DescribeStorage', { host: '', version: 0 })
        .then(({ changes }) => answers.push(`${changes[0]?.state.status}`)),
      host.send('DescribeCluster', {}).then(({ hosts }) => answers.push(`${hosts[0]?.hostId}`)),
    ];
    await simulation.run({ maxMs: 1_000 });
    expect(answers).toEqual([]);
    joining.resolve();
    await run(Promise.all(asked));
    expect(answers.sort()).toEqual([`${host.hostId}`, 'ready'].sort());
  });

  // Goal: a host that slept while the metadata log was written anew knows what there is, and nothing that is gone.
  test('a host that wakes behind a snapshot of the metadata knows the topics of now', async () => {
    const [a, b] = [await open('a'), await open('b')];
    expect(await run(createTopic(a, 'early'))).toBe(0);
    expect(await run(createTopic(a, 'stays'))).toBe(0);
    await run(topicsOf(b));
    b.platform.freeze();
    await run(deleteTopics(a, ['early']));
    for (let round = 0; round < 36; round++) {
      const names = Array.from({ length: 100 }, (_, i) => `t-${round}-${i}`);
      await run(createTopics(a, names));
      await run(deleteTopics(a, names));
    }
    const start = async (): Promise<number> =>
      (await present(a.stores[0], 'a store').ends(METADATA_LOG)).logStartOffset;
    for (let i = 0; i < 60 && (await run(start())) === 0; i++) await simulation.run({ maxMs: 1_000 });
    expect(await run(start())).toBeGreaterThan(10_000);
    b.platform.wake();
    expect(await run(topicsOf(b))).toEqual(['stays']);
  });

  // Goal: who waits for more of a topic hears of its end when its host does, not when the wait is over. Method: the wait is
  // longer than the run; the host finds both changes at once in the database, for it hears of none.
  test.each([
    { what: 'deleted', isAnew: false, fetchOffset: 0, expected: 'UNKNOWN_TOPIC_OR_PARTITION' },
    { what: 'made anew', isAnew: true, fetchOffset: 0, expected: undefined },
    { what: 'made anew, and shorter', isAnew: true, fetchOffset: 1, expected: 'OFFSET_OUT_OF_RANGE' },
  ])('a fetch that waits for a topic is answered once that is $what', async ({ isAnew, fetchOffset, expected }) => {
    const hosts = hostsChannelName('c');
    const changed = ({ channels, ...others }: Runtime): Runtime => {
      const open: Channels['open'] = (name, heard) => channels.open(name, name === hosts ? heard : () => {});
      return { ...others, channels: { open } };
    };
    const [a, b] = [await openLeader('a'), await open('b', { changed })];
    await run(createTopics(a, ['kept', 'orders']));
    const records = encodeBatch({ records: [{ key: null, value: 'x' }], timestampMs: 0 });
    if (fetchOffset > 0) {
      const topicData = [{ name: 'orders', partitionData: [{ index: 0, records }] }];
      await run(a.host.send('Produce', { transactionalId: null, acks: -1, timeoutMs: 1_000, topicData }));
    }
    const fetch = ({ host }: Tab, maxWaitMs: number) => {
      const topics = ['kept', 'orders'].map((topic) => {
        const from = topic === 'orders' ? fetchOffset : 0;
        return { topic, partitions: [{ partition: 0, fetchOffset: from, partitionMaxBytes: 1_000 }] };
      });
      return host.send('Fetch', { maxWaitMs, minBytes: 1, maxBytes: 1_000, isolationLevel: 0, topics });
    };
    const logOf = ({ responses }: Responses['Fetch']) => responses[1]?.partitions[0]?.log;
    const old = logOf(await run(fetch(b, 0)));
    const waiting = fetch(b, 600_000);
    await simulation.run({ maxMs: 5_000 });
    await run(deleteTopics(a, ['orders']));
    if (isAnew) await run(createTopic(a, 'orders'));
    const answer = await run(waiting);
    const [kept, orders] = answer.responses.map(({ partitions }) => present(partitions[0], 'an answer'));
    expect(kept).toMatchObject({ errorCode: 0, records: [] });
    expect(errorOf(present(orders, 'an answer'))?.type).toBe(expected);
    expect(logOf(answer)).not.toBe(old);
    expect(await run(topicsOf(b))).toEqual(isAnew ? ['kept', 'orders'] : ['kept']);
  });

  test('a killed leader is followed as soon as its lock is free', async () => {
    const [a, b] = [await openLeader('a'), await open('b')];
    await run(act(b));
    kill(a);
    const diedMs = simulation.nowMs;
    await run(persist(b));
    expect(simulation.nowMs - diedMs).toBeLessThan(60);
    expect((await leader(b))?.controllerEpoch).toBe(2);
  });

  test('requests under way to a killed leader fail at once, their outcome unknown', async () => {
    const [a, b] = [await openLeader('a'), await open('b')];
    await run(act(b));
    a.platform.freeze();
    const pending = act(b).catch((error: unknown) => error);
    await simulation.run({ maxMs: 20 });
    kill(a);
    const diedMs = simulation.nowMs;
    expect(await run(pending)).toMatchObject({ type: 'NETWORK_EXCEPTION' });
    expect(simulation.nowMs - diedMs).toBeLessThan(60);
  });

  test('a leader that closes hands over before it is gone: no request fails, nothing is left behind', async () => {
    const [a, b] = [await openLeader('a'), await open('b')];
    await run(act(b));
    const closing = a.host.close();
    const closedMs = simulation.nowMs;
    await run(act(b));
    expect(simulation.nowMs - closedMs).toBeLessThan(150);
    await run(closing);
    const { openTimers, openChannels, heldLocks, lockRequests } = a.platform;
    expect([openTimers, openChannels, heldLocks, lockRequests]).toEqual([0, 0, 0, 0]);
  });

  test('a frozen leader, which keeps its lock, is followed within seconds, and follows when it wakes', async () => {
    const [a, b] = [await openLeader('a'), await open('b')];
    await run(act(b));
    a.platform.freeze();
    const froze = simulation.nowMs;
    await run(simulation.tab('clock').runtime.clock.sleep(100));
    await run(persist(b));
    expect(simulation.nowMs - froze).toBeLessThan(8_000);
    a.platform.wake();
    await simulation.run({ maxMs: 2_000 });
    expect((await leader(a))?.label).toBe('b');
    expect(await run(act(a))).toBeGreaterThan(0);
  });

  test('a host that slept itself does not depose a healthy leader', async () => {
    const [a, b, c] = [await openLeader('a'), await open('b'), await open('c')];
    await run(act(b));
    b.platform.freeze();
    await simulation.run({ maxMs: 60_000 });
    b.platform.wake();
    await simulation.run({ maxMs: 10_000 });
    expect([await leader(a), await leader(c)].map((each) => each?.controllerEpoch)).toEqual([1, 1]);
  });

  test('a host with a dead channel does not depose a healthy leader', async () => {
    const [a, b] = [await openLeader('a'), await open('b')];
    await run(act(b));
    simulation.network.cut('a', 'b'); // it hears nothing of the leader, whose signs of life are in the database
    await simulation.run({ maxMs: 30_000 });
    expect((await leader(a))?.controllerEpoch).toBe(1);
  });

  test('without Web Locks one of them is elected, and another after its death', async () => {
    const options = { locks: false };
    const [a, b, c] = [await open('a', options), await open('b', options), await open('c', options)];
    await run(act(c));
    const first = present(await leader(c), 'somebody leads');
    const dead = present(
      [a, b, c].find(({ host }) => host.hostId === first.hostId),
      'the leader is one of them',
    );
    kill(dead);
    const [left] = [a, b, c].filter((tab) => tab !== dead);
    await run(persist(left!));
    expect((await leader(left!))?.controllerEpoch).toBeGreaterThan(first.controllerEpoch);
  });

  test('a lost connection to the database is opened again, with the next request at the latest', async () => {
    const a = await open('a');
    await run(createTopic(a, 'orders'));
    disk.disconnect();
    await run(persist(a));
    expect(await run(createTopic(a, 'orders'))).toBe(36); // TOPIC_ALREADY_EXISTS: nothing was lost
  });

  test('a store that does not open is an error at the start', async () => {
    const { runtime } = simulation.tab('a');
    const openStore = (): Promise<never> => Promise.reject(new Error('no IndexedDB here'));
    await expect(
      run(Host.start({ runtime, openStore, parts: STATIC_CLUSTER_PARTS, clusterName: 'c', label: 'a' })),
    ).rejects.toThrow('no IndexedDB');
  });
});
