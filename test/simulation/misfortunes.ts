import type { Faults } from '../../src/runtime/simulation.js';
import type { ClusterSimulation, Tab } from './cluster-simulation.js';

/** What may go wrong; a seed picks some of them. */
export type FaultKind =
  | 'kill'
  | 'close'
  | 'freeze'
  | 'delay'
  | 'duplicate'
  | 'drop'
  | 'reorder'
  | 'cut'
  | 'abort'
  | 'quota'
  | 'disconnect'
  | 'clock'
  | 'throttle'
  | 'blackout'
  | 'wedge'
  | 'block';

export const FAULT_KINDS: readonly FaultKind[] = [
  'kill',
  'close',
  'freeze',
  'delay',
  'duplicate',
  'drop',
  'reorder',
  'cut',
  'abort',
  'quota',
  'disconnect',
  'clock',
  'throttle',
  'blackout',
  'wedge',
  'block',
];

export function messageFaults(faults: readonly FaultKind[]): Partial<Faults> {
  return {
    ...(faults.includes('delay') && { messageDelayMs: [1, 400] as const, storageDelayMs: [0.2, 60] as const }),
    ...(faults.includes('duplicate') && { duplicateChance: 0.2 }),
    ...(faults.includes('drop') && { dropChance: 0.1 }),
    ...(faults.includes('reorder') && { reorder: true, messageDelayMs: [0.05, 30] as const }),
  };
}

/** One thing goes wrong, with this tab or with what all share. What is in force all the time is `messageFaults`. */
export function strike(cluster: ClusterSimulation, tab: Tab, fault: FaultKind | undefined): void {
  const { random, network } = cluster.simulation;
  const { awake } = cluster;
  switch (fault) {
    case 'kill':
      if (awake.length > 1 || random.next() < 0.5) cluster.kill(tab);
      break;
    case 'close':
      if (tab.stopping.signal.aborted) break;
      cluster.spawn(`closing ${tab.name}`, cluster.close(tab));
      break;
    case 'freeze':
      cluster.freeze(tab, random.next() < 0.5 ? random.below(2_000) : random.below(15_000));
      break;
    case 'cut': {
      const others = awake.filter((other) => other !== tab);
      if (random.next() < 0.4) network.heal();
      else for (const other of others) if (random.next() < 0.6) network.cut(tab.name, other.name);
      cluster.note(`${tab.name} is cut off, or all are joined`);
      break;
    }
    case 'quota':
      cluster.disk.setQuota(random.next() < 0.5 ? Number.POSITIVE_INFINITY : cluster.disk.sizeInBytes + 500);
      cluster.note('quota changes');
      break;
    case 'disconnect':
      if (random.next() < 0.5) {
        cluster.disk.disconnect();
        cluster.note('all connections to the database are lost');
      }
      break;
    case 'wedge':
      if (random.next() < 0.3) {
        cluster.disk.wedgeNext(random.next() < 0.5 ? 'before' : 'after');
        cluster.note('a request of the database never settles');
      }
      break;
    case 'block':
      if (random.next() < 0.5) cluster.unblockOpening();
      else {
        cluster.blockOpening();
        cluster.disk.disconnect();
        cluster.note('all connections are lost, and none can be opened');
      }
      break;
    case 'clock':
      tab.platform.jumpWallClock((random.next() - 0.5) * 7_200_000);
      break;
    case 'throttle':
      tab.platform.throttleTimers([0, 1_000, 5_000][random.below(3)]!);
      break;
    case 'blackout':
      if (random.next() < 0.3) for (const each of [...cluster.tabs.values()]) cluster.kill(each);
      break;
    default:
      break; // in force all the time
  }
}

export function choose<T>(random: { below(n: number): number }, from: readonly T[], count: number): T[] {
  const left = [...from];
  return Array.from({ length: count }, () => left.splice(random.below(left.length), 1)[0]!);
}
