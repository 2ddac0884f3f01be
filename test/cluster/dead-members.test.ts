import { expect, test } from 'vitest';
import { Host } from '../../src/cluster/host.js';
import { STATIC_CLUSTER_PARTS } from '../../src/cluster/static-cluster-parts.js';
import type { SimulatedTab } from '../../src/runtime/simulated-tab.js';
import { Simulation } from '../../src/runtime/simulation.js';
import { MemoryDisk } from '../../src/storage/memory-disk.js';
import { MemoryLogStore } from '../../src/storage/memory-log-store.js';
import { joinRequest } from '../broker/coordinator/group-driver.js';
import { runIn } from './simulated-run.js';

// Goal: a member of a group is out as soon as its tab is dead, whoever leads, and no sooner.
// Method: simulated tabs are killed or frozen, with sessions far longer than the time that the test gives.

const LONG_MS = 1_800_000;

interface Tab {
  readonly platform: SimulatedTab;
  readonly host: Host;
  readonly stores: MemoryLogStore[];
}

class World {
  readonly simulation: Simulation = new Simulation({ seed: 11 });
  readonly disk = new MemoryDisk();

  run<T>(job: Promise<T>): Promise<T> {
    return runIn(this.simulation, job, 30_000);
  }

  async tab(name: string): Promise<Tab> {
    const platform = this.simulation.tab(name);
    const { runtime, storageDelay: delay } = platform;
    const stores: MemoryLogStore[] = [];
    const openStore = async (): Promise<MemoryLogStore> => {
      const store = await MemoryLogStore.open(this.disk, { newIncarnationId: runtime.random.uuid(), delay });
      stores.push(store);
      return store;
    };
    const options = { runtime, openStore, parts: STATIC_CLUSTER_PARTS, clusterName: 'c', label: name };
    return { platform, stores, host: await this.run(Host.start(options)) };
  }

  /** Joins a group of its own, and has the assignment. */
  async member({ host }: Tab, groupId: string, groupInstanceId: string | null = null): Promise<void> {
    const request = joinRequest({ groupId, groupInstanceId, sessionTimeoutMs: LONG_MS });
    let joined = await this.run(host.send('JoinGroup', request));
    const { memberId } = joined;
    if (groupInstanceId === null) joined = await this.run(host.send('JoinGroup', { ...request, memberId }));
    const { generationId } = joined;
    await this.run(host.send('SyncGroup', { groupId, groupInstanceId, generationId, memberId, assignments: [] }));
  }

  /** After a while. */
  async states({ host, platform }: Tab, groups: readonly string[]): Promise<string[]> {
    await this.run(platform.runtime.clock.sleep(5_000));
    const described = await this.run(host.send('DescribeGroups', { groups }));
    return described.groups.map(({ groupState }) => groupState);
  }
}

function kill({ platform, stores }: Tab): void {
  platform.kill();
  for (const store of stores) store.kill();
}

test('members of a tab that dies are out while their session lasts, also where it led; static ones are not', async () => {
  const world = new World();
  const leader = await world.tab('leader');
  await world.member(leader, 'of-leader');
  const other = await world.tab('other');
  await world.member(other, 'of-other');
  await world.member(other, 'static', 'still-there');
  const third = await world.tab('third');
  await world.member(third, 'of-third');
  const groups = ['of-leader', 'of-other', 'static', 'of-third'];
  expect(await world.states(third, groups)).toEqual(['Stable', 'Stable', 'Stable', 'Stable']);
  kill(other);
  expect(await world.states(third, groups)).toEqual(['Stable', 'Empty', 'Stable', 'Stable']);
  kill(leader);
  expect(await world.states(third, groups)).toEqual(['Empty', 'Empty', 'Stable', 'Stable']);
});

test('the first tab of another day finds no members of the last one', async () => {
  const world = new World();
  const yesterday = await world.tab('yesterday');
  await world.member(yesterday, 'g');
  kill(yesterday);
  expect(await world.states(await world.tab('today'), ['g'])).toEqual(['Empty']);
});

test('a tab that is frozen is not dead, nor are those whose database is opened again', async () => {
  const world = new World();
  const leader = await world.tab('leader');
  const other = await world.tab('other');
  const opened = await world.tab('opened');
  await world.run(leader.host.send('FindCoordinator', { key: 'g', keyType: 0 }));
  await world.member(other, 'frozen');
  await world.member(opened, 'opened-again');
  other.platform.freeze();
  world.disk.disconnect();
  expect(await world.states(leader, ['frozen', 'opened-again'])).toEqual(['Stable', 'Stable']);
  expect(opened.stores).toHaveLength(2);
});
