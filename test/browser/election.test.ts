import { assert } from 'chai';
import { Kafka, logLevel } from '../../src/index.js';
import type { HostDescription } from '../../src/protocol/requests.js';
import { browserRuntime } from '../../src/runtime/browser-runtime.js';
import { WorkerLink } from '../../src/runtime/worker-link.js';
import { IdbLogStore } from '../../src/storage/idb-log-store.js';
import { newClusterName, until } from './cluster.js';

/** A host in a worker of its own, as another tab would have it. */
interface Tab {
  readonly link: WorkerLink;
  hosts(): Promise<readonly HostDescription[]>;
  /** Without a goodbye. */
  kill(): void;
}

describe('hosts in real workers', function () {
  this.timeout(90_000);
  const runtime = browserRuntime();
  let cluster: string;
  let tabs: Tab[];
  let store: IdbLogStore;

  beforeEach(async () => {
    cluster = newClusterName();
    tabs = [];
    store = await IdbLogStore.open({ clusterName: cluster, brokerId: 1, newIncarnationId: runtime.random.uuid() });
  });
  afterEach(async () => {
    await Promise.all(tabs.map(({ link }) => link.close()));
    await store.close();
  });

  function openTab(label: string): Tab {
    let worker: Worker | undefined;
    const newWorker = (): Worker => {
      worker = new Worker(new URL('../../workers/host.worker.ts', import.meta.url), { type: 'module' });
      return worker;
    };
    const link = new WorkerLink({ runtime, newWorker, start: { clusterName: cluster, brokerConfig: {}, label } });
    const tab: Tab = {
      link,
      hosts: async () => (await link.send('DescribeCluster', {})).hosts,
      kill: () => {
        tabs = tabs.filter((other) => other !== tab);
        worker?.terminate();
        void link.close();
      },
    };
    tabs.push(tab);
    return tab;
  }

  /** The tab that all agree on, and its epoch. */
  async function agreedLeader(count: number): Promise<{ tab: Tab; epoch: number }> {
    let agreed: { tab: Tab; epoch: number } | undefined;
    await until(`${count} hosts agree on one leader`, async () => {
      const views = await Promise.all(tabs.map((tab) => tab.hosts()));
      if (views.some((hosts) => hosts.length !== count)) return false;
      const leaders = views.map((hosts) => hosts.filter(({ controller }) => controller));
      const first = leaders[0]?.[0];
      if (first === undefined) return false;
      const isSame = leaders.every(
        (found) =>
          found.length === 1 && found[0]?.hostId === first.hostId && found[0].controllerEpoch === first.controllerEpoch,
      );
      if (!isSame) return false;
      for (const tab of tabs) {
        const own = (await tab.hosts()).find(({ self }) => self);
        if (own?.hostId === first.hostId) agreed = { tab, epoch: first.controllerEpoch };
      }
      return agreed !== undefined;
    });
    return agreed as { tab: Tab; epoch: number };
  }

  it('elect one leader, and a new one each time the leader’s worker is terminated, an epoch later each time', async () => {
    for (const label of ['a', 'b', 'c', 'd']) openTab(label);
    let leader = await agreedLeader(4);
    await isStored(leader);
    for (const left of [3, 2, 1]) {
      leader.tab.kill();
      const next = await agreedLeader(left);
      assert.strictEqual(next.epoch, leader.epoch + 1);
      await isStored(next);
      leader = next;
    }
  });

  it('hand over at once when the leader says goodbye', async () => {
    for (const label of ['a', 'b']) openTab(label);
    const leader = await agreedLeader(2);
    tabs = tabs.filter((tab) => tab !== leader.tab);
    await leader.tab.link.close();
    assert.strictEqual((await agreedLeader(1)).epoch, leader.epoch + 1);
  });

  it('write nothing when deposed: the stale append is fenced, and the record is stored once by the next leader', async () => {
    const kafka = new Kafka({ clientId: 'fenced', cluster, logLevel: logLevel.NOTHING });
    const producer = kafka.producer();
    await producer.connect();
    await producer.send({ topic: 'orders', messages: [{ value: 'before', partition: 0 }] });
    const { epoch } = await store.leadership();
    // Somebody took the leadership while the leader was asleep: it does not know yet.
    assert.strictEqual(await store.claimLeadership(epoch, 'another', runtime.clock.wallMs()), epoch + 1);
    const refused = await store
      .append(
        { leaderEpoch: epoch, chunks: [{ log: 99, baseOffset: 0, lastOffset: 0, bytes: new Uint8Array(100) }] },
        'relaxed',
      )
      .catch((error) => error);
    assert.include(refused, { type: 'FENCED_LEADER_EPOCH' });

    const [sent] = await producer.send({ topic: 'orders', messages: [{ value: 'after', partition: 0 }] });
    assert.strictEqual(sent?.baseOffset, '1');
    assert.isAbove((await store.leadership()).epoch, epoch + 1);
    const consumer = kafka.consumer();
    await consumer.assign([{ topic: 'orders', partition: 0, offset: '-2' }]);
    const values: string[] = [];
    for await (const { value } of consumer) if (values.push(String(value)) === 2) break;
    assert.deepEqual(values, ['before', 'after']);
    await kafka.close();
  });

  /** The row in the database that fences all others names this one. */
  async function isStored({ tab, epoch }: { tab: Tab; epoch: number }): Promise<void> {
    const self = (await tab.hosts()).find((host) => host.self);
    const stored = await store.leadership();
    assert.deepEqual([stored.epoch, stored.hostId], [epoch, self?.hostId]);
  }
});
