import { expect, test } from 'vitest';
import type { SimulatedTab } from '../../src/runtime/simulated-tab.js';
import { Simulation } from '../../src/runtime/simulation.js';
import { MemoryDisk } from '../../src/storage/memory-disk.js';
import { MemoryLogStore } from '../../src/storage/memory-log-store.js';

const SEEDS = Array.from({ length: 20 }, (_, seed) => seed);

/** One disk, and two tabs that opened it. */
async function twoTabs(seed: number) {
  const simulation = new Simulation({ seed });
  const disk = new MemoryDisk();
  const [a, b] = [simulation.tab('a'), simulation.tab('b')];
  const open = (tab: SimulatedTab): Promise<MemoryLogStore> =>
    MemoryLogStore.open(disk, { newIncarnationId: 'once', delay: tab.storageDelay });
  const [storeA, storeB] = await simulation.drive(Promise.all([open(a), open(b)]));
  return { simulation, disk, a, b, storeA, storeB };
}

test.each(SEEDS)('what a dead tab had begun to write is written, and it never hears of it (seed %i)', async (seed) => {
  const { simulation, disk, a, storeA } = await twoTabs(seed);
  let isAnswered = false;
  void storeA.claimLeadership(0, 'a', 1).then(() => (isAnswered = true));
  a.kill();
  await simulation.run();
  expect(disk.leadership()).toMatchObject({ epoch: 1, hostId: 'a' });
  expect(isAnswered).toBe(false);
});

test.each(SEEDS)('a connection that dies with its tab takes what is not committed along (seed %i)', async (seed) => {
  const { simulation, disk, a, storeA } = await twoTabs(seed);
  a.onKill(() => storeA.kill());
  let isAnswered = false;
  void storeA.claimLeadership(0, 'a', 1).finally(() => (isAnswered = true));
  a.kill();
  await simulation.run();
  expect(disk.leadership().epoch).toBe(0);
  expect(isAnswered).toBe(false);
});

test.each(SEEDS)(
  'a frozen tab’s reads and writes hold up nobody, and are answered on waking (seed %i)',
  async (seed) => {
    const { simulation, a, storeA, storeB } = await twoTabs(seed);
    const answers: string[] = [];
    void storeA.leadership().then(() => answers.push('a read'));
    void storeA.claimLeadership(0, 'a', 1).then((epoch) => answers.push(`a leads ${epoch}`));
    a.freeze();
    void storeB.claimLeadership(1, 'b', 1).then((epoch) => answers.push(`b leads ${epoch}`));
    await simulation.run();
    expect(answers).toEqual(['b leads 2']);
    a.wake();
    await simulation.run();
    expect(answers).toHaveLength(3);
    expect(answers).toContain('a leads 1');
  },
);
