import { plainCopy } from '../util/plain-copy.js';
import type { Channel } from './runtime.js';
import type { SimulatedTab } from './simulated-tab.js';
import type { Simulation } from './simulation.js';

interface Port {
  readonly tab: SimulatedTab;
  readonly name: string;
  readonly onMessage: (message: unknown) => void;
  /** What is under way to it, by sender, in order. */
  readonly inbound: Map<Port, Link>;
}

interface Link {
  readonly messages: unknown[];
  lastDueMs: number;
}

/** The broadcast channels of a simulated browser: messages are late, and lost, doubled or cut off as the faults say. */
export class SimulatedNetwork {
  readonly #simulation: Simulation;
  readonly #open = new Map<string, Set<Port>>();
  readonly #cuts = new Set<string>();

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
  }

  /** From now on nothing that `from` posts reaches `to`; the other way is untouched. Names of tabs. */
  cut(from: string, to: string): void {
    this.#cuts.add(cutKey(from, to));
  }

  /** Ends all cuts. */
  heal(): void {
    this.#cuts.clear();
  }

  open(tab: SimulatedTab, name: string, onMessage: (message: unknown) => void): Channel {
    const port: Port = { tab, name, onMessage, inbound: new Map() };
    if (!tab.isDead) this.#ports(name).add(port);
    return { post: (message) => this.#post(port, message), close: () => this.#close(port) };
  }

  openChannels(tab: SimulatedTab): number {
    return this.#portsOf(tab).length;
  }

  /** A tab died. */
  closeAll(tab: SimulatedTab): void {
    for (const port of this.#portsOf(tab)) this.#close(port);
  }

  #post(from: Port, message: unknown): void {
    const ports = this.#open.get(from.name);
    if (!ports?.has(from)) return;
    const posted = plainCopy(message); // what cannot be cloned fails here, also where nobody listens
    let isTaken = false;
    for (const to of ports) {
      if (to === from) continue;
      const copies = this.#copies(from, to);
      for (let i = 0; i < copies; i++) {
        this.#deliver(from, to, isTaken ? plainCopy(message) : posted);
        isTaken = true;
      }
    }
  }

  #copies(from: Port, to: Port): number {
    const { faults } = this.#simulation;
    if (this.#cuts.size > 0 && this.#cuts.has(cutKey(from.tab.name, to.tab.name))) return 0;
    if (this.#simulation.chance(faults.dropChance)) return 0;
    return this.#simulation.chance(faults.duplicateChance) ? 2 : 1;
  }

  #deliver(from: Port, to: Port, message: unknown): void {
    const { faults, nowMs } = this.#simulation;
    const label = `message ${to.name} from ${from.tab.name}`;
    const delayMs = this.#simulation.draw(faults.messageDelayMs);
    const receive = (received: unknown): void => {
      if (this.#open.get(to.name)?.has(to)) to.onMessage(received);
    };
    if (faults.reorder) {
      to.tab.schedule(label, delayMs, () => receive(message));
      return;
    }
    // In order: each step takes the oldest message of its link, and none is due before its predecessor.
    const link = to.inbound.get(from) ?? { messages: [], lastDueMs: 0 };
    to.inbound.set(from, link);
    link.messages.push(message);
    link.lastDueMs = Math.max(link.lastDueMs, nowMs + delayMs);
    to.tab.schedule(label, link.lastDueMs - nowMs, () => {
      const received = link.messages.shift();
      if (link.messages.length === 0) to.inbound.delete(from);
      receive(received);
    });
  }

  #close(port: Port): void {
    const ports = this.#open.get(port.name);
    ports?.delete(port);
    if (ports?.size === 0) this.#open.delete(port.name);
  }

  #ports(name: string): Set<Port> {
    const ports = this.#open.get(name) ?? new Set();
    this.#open.set(name, ports);
    return ports;
  }

  #portsOf(tab: SimulatedTab): Port[] {
    return [...this.#open.values()].flatMap((ports) => [...ports].filter((port) => port.tab === tab));
  }
}

function cutKey(from: string, to: string): string {
  return JSON.stringify([from, to]);
}
