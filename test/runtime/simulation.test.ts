import { describe, expect, test } from 'vitest';
import type { HeldLock } from '../../src/runtime/runtime.js';
import type { SimulatedTab } from '../../src/runtime/simulated-tab.js';
import { type Faults, Simulation } from '../../src/runtime/simulation.js';

const SEEDS = Array.from({ length: 20 }, (_, seed) => seed);

/** Three tabs that chat, take turns at a lock and write to disk, for half a second. */
async function chatter(
  seed: number,
  faults: Partial<Faults> = {},
): Promise<{ simulation: Simulation; heard: string[] }> {
  const simulation = new Simulation({ seed, faults, trace: true });
  const heard: string[] = [];
  for (const name of ['a', 'b', 'c']) void chat(simulation.tab(name), heard);
  await simulation.run({ maxMs: 500 });
  return { simulation, heard };
}

async function chat(tab: SimulatedTab, heard: string[]): Promise<void> {
  const { clock, random, locks, channels } = tab.runtime;
  const channel = channels.open('chat', (message) => heard.push(`${tab.name} hears ${String(message)}`));
  for (let i = 0; ; i++) {
    await clock.sleep(random.below(20));
    const turn = await locks?.hold('turn');
    await tab.storageDelay('write');
    await tab.storageDelay('completion');
    channel.post(`${tab.name}${i} ${random.uuid()}`);
    turn?.release();
  }
}

describe('determinism', () => {
  test.each(SEEDS)('two runs of seed %i are the same run', async (seed) => {
    const faults = { dropChance: 0.1, duplicateChance: 0.1, reorder: seed % 2 === 0 };
    const [first, second] = [await chatter(seed, faults), await chatter(seed, faults)];
    expect(first.simulation.trace.length).toBeGreaterThan(100);
    expect(second.simulation.trace).toEqual(first.simulation.trace);
    expect(second.simulation.traceHash).toBe(first.simulation.traceHash);
    expect(second.heard).toEqual(first.heard);
  });

  test('different seeds are different runs', async () => {
    const hashes = new Set<number>();
    for (const seed of SEEDS) hashes.add((await chatter(seed)).simulation.traceHash);
    expect(hashes.size).toBe(SEEDS.length);
  });
});

describe('time', () => {
  test('jumps to the next step, so that a year takes no time', async () => {
    const simulation = new Simulation({ seed: 1 });
    const { clock } = simulation.tab('a').runtime;
    let isOver = false;
    void clock.sleep(365 * 86_400_000).then(() => (isOver = true));
    expect(await simulation.run()).toBe('idle');
    expect(isOver).toBe(true);
    expect(simulation.stepCount).toBe(1);
  });

  test('a run ends when it should: by its condition, its steps, its time, or with nothing left to do', async () => {
    const simulation = new Simulation({ seed: 1, faults: { timerDelayMs: [0, 0] } });
    const { clock } = simulation.tab('a').runtime;
    let ticks = 0;
    void (async () => {
      for (; ticks < 10; ticks++) await clock.sleep(100);
    })();
    expect(await simulation.run({ until: () => ticks === 2 })).toBe('done');
    expect(await simulation.run({ maxSteps: 3 })).toBe('out of steps');
    expect(ticks).toBe(5);
    expect(await simulation.run({ maxMs: 250 })).toBe('out of time');
    expect(ticks).toBe(7);
    expect(simulation.nowMs).toBe(750);
    expect(await simulation.run()).toBe('idle');
    expect(ticks).toBe(10);
  });

  test('a wall clock may jump in one tab alone; the monotonic one does not', async () => {
    const simulation = new Simulation({ seed: 1 });
    const [a, b] = [simulation.tab('a'), simulation.tab('b')];
    a.jumpWallClock(-3_600_000);
    expect(b.runtime.clock.wallMs() - a.runtime.clock.wallMs()).toBe(3_600_000);
    expect(a.runtime.clock.monotonicMs()).toBe(b.runtime.clock.monotonicMs());
  });

  test('throttled timers fire once a second', async () => {
    const simulation = new Simulation({ seed: 1 });
    const tab = simulation.tab('a');
    tab.throttleTimers(1000);
    const firedMs: number[] = [];
    for (const ms of [1, 500, 990, 1500]) void tab.runtime.clock.sleep(ms).then(() => firedMs.push(simulation.nowMs));
    await simulation.run();
    expect(firedMs).toEqual([1000, 1000, 1000, 2000]);
  });
});

describe('failures', () => {
  test('what waits for something that never comes fails, and does not hang', async () => {
    const simulation = new Simulation({ seed: 42 });
    const { clock } = simulation.tab('a').runtime;
    expect(await simulation.drive(clock.sleep(1).then(() => 7))).toBe(7);
    await expect(simulation.drive(clock.sleep(1).then(() => Promise.reject(new Error('no'))))).rejects.toThrow('no');
    await expect(simulation.drive(new Promise(() => {}))).rejects.toThrow(/^seed 42, .* is idle$/);
    await expect(simulation.drive(clock.sleep(1000), { maxMs: 10 })).rejects.toThrow('is out of time');
  });

  test('a step that throws fails the run and names the seed', async () => {
    const simulation = new Simulation({ seed: 42 });
    const { channels } = simulation.tab('a').runtime;
    const cause = new Error('cannot take this');
    channels.open('x', () => {
      throw cause;
    });
    channels.open('x', () => {}).post('hello');
    await expect(simulation.run()).rejects.toMatchObject({ message: /^seed 42, step 1, .* cannot take this$/, cause });
  });

  test('a rejection that nobody handles fails the run', async () => {
    const others = process.listeners('unhandledRejection');
    process.removeAllListeners('unhandledRejection'); // the test runner would fail too
    try {
      const simulation = new Simulation({ seed: 42 });
      const { clock } = simulation.tab('a').runtime;
      void clock.sleep(10).then(() => Promise.reject(new Error('nobody listens')));
      await expect(simulation.run()).rejects.toThrow(/^seed 42, step 1, .* nobody listens$/);
    } finally {
      for (const listener of others) process.on('unhandledRejection', listener);
    }
  });
});

describe('tabs', () => {
  test('nothing of a dead tab ever runs again', async () => {
    const simulation = new Simulation({ seed: 1 });
    const [dead, alive] = [simulation.tab('dead'), simulation.tab('alive')];
    const ran: string[] = [];
    const note = (what: string) => () => void ran.push(what);
    const controller = new AbortController();
    const { clock, locks, channels } = dead.runtime;
    const channel = channels.open('x', note('message'));
    const sender = alive.runtime.channels.open('x', note('message from the dead'));
    const held = await holding(simulation, dead, 'mine');
    void clock.sleep(5).then(note('timer'));
    clock.sleep(1e6, controller.signal).catch(note('aborted timer'));
    void locks?.hold('other').then(note('lock'));
    void dead.storageDelay('completion').then(note('completion'));
    held.lost.addEventListener('abort', note('lost'));
    sender.post('too late');
    dead.kill();
    controller.abort();
    channel.post('from beyond');
    void clock.sleep(1).then(note('timer after death'));
    void locks?.hold('another').then(note('lock after death'));
    void dead.storageDelay('write').then(note('write after death'));
    channels.open('x', note('channel after death'));
    sender.post('to nobody');
    await simulation.run();
    expect(ran).toEqual([]);
    expect(dead).toMatchObject({ openTimers: 0, openChannels: 0, heldLocks: 0, lockRequests: 0 });
  });

  test('a write that was issued happens although its tab died; nobody hears of it', async () => {
    const simulation = new Simulation({ seed: 1 });
    const tab = simulation.tab('a');
    const trace: string[] = [];
    void (async () => {
      await tab.storageDelay('write');
      trace.push('written');
      await tab.storageDelay('completion');
      trace.push('completed');
    })();
    tab.kill();
    await simulation.run();
    expect(trace).toEqual(['written']);
  });

  test.each(SEEDS)('the locks of a dead tab go to the next in the queue (seed %i)', async (seed) => {
    const simulation = new Simulation({ seed });
    const [dead, second, third] = [simulation.tab('dead'), simulation.tab('second'), simulation.tab('third')];
    await holding(simulation, dead, 'leader');
    const holders: string[] = [];
    void dead.runtime.locks?.hold('leader');
    void second.runtime.locks?.hold('leader').then(() => holders.push('second'));
    void third.runtime.locks?.hold('leader').then(() => holders.push('third'));
    await simulation.run();
    expect(holders).toEqual([]);
    dead.kill();
    await simulation.run();
    expect(holders).toEqual(['second']);
    second.kill();
    await simulation.run();
    expect(holders).toEqual(['second', 'third']);
  });

  test.each(SEEDS)(
    'a frozen tab keeps its lock and its mail, and gets all at once on waking (seed %i)',
    async (seed) => {
      const simulation = new Simulation({ seed });
      const [frozen, other] = [simulation.tab('frozen'), simulation.tab('other')];
      const received: unknown[] = [];
      frozen.runtime.channels.open('x', (message) => received.push(message));
      const channel = other.runtime.channels.open('x', () => {});
      await holding(simulation, frozen, 'leader');
      let isStolen = false;
      void other.runtime.locks?.hold('leader').then(() => (isStolen = true));
      void frozen.runtime.clock.sleep(50).then(() => received.push('timer'));
      channel.post(1);
      frozen.freeze();
      for (let i = 2; i < 10; i++) channel.post(i);
      void other.runtime.clock.sleep(10_000);
      await simulation.run();
      expect(received).toEqual([]);
      expect(isStolen).toBe(false);
      expect(frozen.heldLocks).toBe(1);

      const wokenMs = simulation.nowMs;
      frozen.wake();
      await simulation.run();
      expect(simulation.nowMs).toBe(wokenMs);
      expect(received.filter((message) => message !== 'timer')).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
      expect(received).toContain('timer');
    },
  );

  test('a frozen leader hears on waking that its lock was stolen', async () => {
    const simulation = new Simulation({ seed: 1 });
    const [frozen, thief] = [simulation.tab('frozen'), simulation.tab('thief')];
    const held = await holding(simulation, frozen, 'leader');
    frozen.freeze();
    await holding(simulation, thief, 'leader', true);
    await simulation.run();
    expect(held.lost.aborted).toBe(false);
    frozen.wake();
    await simulation.run();
    expect(held.lost.aborted).toBe(true);
  });

  test('counts what is open, so that leaks show', async () => {
    const simulation = new Simulation({ seed: 1 });
    const tab = simulation.tab('a');
    const { clock, channels, locks } = tab.runtime;
    const controller = new AbortController();
    const sleeping = clock.sleep(1000, controller.signal).catch(() => {});
    const channel = channels.open('x', () => {});
    const lock = await holding(simulation, tab, 'l');
    const waiting = locks?.hold('l', { signal: controller.signal }).catch(() => {});
    expect(tab).toMatchObject({ openTimers: 1, openChannels: 1, heldLocks: 1, lockRequests: 1 });
    controller.abort();
    channel.close();
    lock.release();
    await Promise.all([sleeping, waiting]);
    expect(tab).toMatchObject({ openTimers: 0, openChannels: 0, heldLocks: 0, lockRequests: 0 });
    expect(await simulation.run()).toBe('idle');
    expect(simulation.nowMs).toBeLessThan(1000);
  });
});

describe('channels', () => {
  const COUNT = 300;

  async function deliver(seed: number, faults: Partial<Faults>, disturb?: (simulation: Simulation) => void) {
    const simulation = new Simulation({ seed, faults });
    const received: number[] = [];
    const [from, to] = [simulation.tab('from'), simulation.tab('to')];
    to.runtime.channels.open('x', (message) => received.push(message as number));
    const channel = from.runtime.channels.open('x', () => {});
    disturb?.(simulation);
    for (let i = 0; i < COUNT; i++) channel.post(i);
    await simulation.run();
    return received;
  }

  const all = Array.from({ length: COUNT }, (_, i) => i);

  test.each(SEEDS)('keep the order between two channels, unless told to (seed %i)', async (seed) => {
    expect(await deliver(seed, {})).toEqual(all);
    const reordered = await deliver(seed, { reorder: true });
    expect(reordered).not.toEqual(all);
    expect(reordered.toSorted((a, b) => a - b)).toEqual(all);
  });

  test.each(SEEDS)('lose and double messages as often as told (seed %i)', async (seed) => {
    const lossy = await deliver(seed, { dropChance: 0.3 });
    expect(lossy.length).toBeGreaterThan(0.5 * COUNT);
    expect(lossy.length).toBeLessThan(0.9 * COUNT);
    const doubling = await deliver(seed, { duplicateChance: 0.3 });
    expect(new Set(doubling).size).toBe(COUNT);
    expect(doubling.length).toBeGreaterThan(1.1 * COUNT);
    expect(doubling.length).toBeLessThan(1.5 * COUNT);
  });

  test('can be cut in one direction, and healed', async () => {
    expect(await deliver(1, {}, ({ network }) => network.cut('from', 'to'))).toEqual([]);
    expect(await deliver(1, {}, ({ network }) => network.cut('to', 'from'))).toEqual(all);
    const heal = ({ network }: Simulation): void => {
      network.cut('from', 'to');
      network.heal();
    };
    expect(await deliver(1, {}, heal)).toEqual(all);
  });
});

// Goal: whatever happens to the tabs, no two hold one lock, and whoever still wants it gets it in the end.
// Method: tabs ask, hold, give up, freeze, die and are replaced at random; a plain counter beside the lock manager.
test.each(SEEDS)('a lock that is not stolen never has two living holders (seed %i)', async (seed) => {
  const simulation = new Simulation({ seed });
  const { random } = simulation;
  const holders = new Set<SimulatedTab>();
  const tabs: SimulatedTab[] = [];
  let heldCount = 0;

  const contend = async (tab: SimulatedTab): Promise<void> => {
    const { clock, locks } = tab.runtime;
    for (;;) {
      const patience = new AbortController();
      if (tab.runtime.random.next() < 0.3) {
        void clock.sleep(tab.runtime.random.below(30)).then(() => patience.abort());
      }
      const lock = await locks?.hold('one', { signal: patience.signal }).catch(() => undefined);
      if (lock === undefined) continue;
      for (const holder of holders) if (holder.isDead) holders.delete(holder);
      holders.add(tab);
      heldCount++;
      if (holders.size > 1) throw new Error(`${[...holders].map(({ name }) => name).join(', ')} hold the lock`);
      await clock.sleep(tab.runtime.random.below(10));
      holders.delete(tab);
      lock.release();
      await clock.sleep(tab.runtime.random.below(10));
    }
  };
  const open = (name: string): void => {
    const tab = simulation.tab(name);
    tabs.push(tab);
    void contend(tab);
  };
  const disturb = (): void => {
    const at = random.below(tabs.length);
    const tab = tabs[at] as SimulatedTab;
    if (tab.isFrozen) tab.wake();
    else if (random.next() < 0.5) tab.freeze();
    else {
      tab.kill();
      tabs.splice(at, 1);
      open(`${tab.name}'`);
    }
    simulation.background('disturb', random.below(100), disturb);
  };

  for (const name of ['a', 'b', 'c', 'd']) open(name);
  simulation.background('disturb', 50, disturb);
  expect(await simulation.run({ maxMs: 5000 })).toBe('out of time');
  for (const tab of tabs) tab.wake();
  const before = heldCount;
  expect(await simulation.run({ until: () => heldCount > before + 10, maxMs: 1000 })).toBe('done');
});

async function holding(simulation: Simulation, tab: SimulatedTab, name: string, steal = false): Promise<HeldLock> {
  const { locks } = tab.runtime;
  if (locks === undefined) throw new Error('a simulated tab has locks');
  return simulation.drive(locks.hold(name, { steal }));
}
