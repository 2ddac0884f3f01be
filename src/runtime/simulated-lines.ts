import type { Channel, Lines, LinesEnd } from './runtime.js';
import type { SimulatedTab } from './simulated-tab.js';
import type { Simulation } from './simulation.js';

type OnMessage = Parameters<Lines['open']>[1];

/**
 * The lines of a simulated browser. Each is a channel of its own with the faults of all channels; it is up some time
 * after it was first wanted, if the other end has joined.
 */
export class SimulatedLines {
  readonly #simulation: Simulation;
  readonly #joined = new Map<string, SimulatedLinesEnd>();
  #dialled = 0;

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
  }

  ofTab(tab: SimulatedTab): Lines {
    return { open: (name, onMessage) => new SimulatedLinesEnd(this, { tab, name, onMessage }) };
  }

  openChannel(tab: SimulatedTab, name: string, onMessage: (message: unknown) => void): Channel {
    return this.#simulation.network.open(tab, name, onMessage);
  }

  join(end: SimulatedLinesEnd): void {
    this.#joined.set(end.name, end);
  }

  leave(end: SimulatedLinesEnd): void {
    if (this.#joined.get(end.name) === end) this.#joined.delete(end.name);
  }

  /** Calls `up` with the name of a new line once the other end has it, which may be never. */
  dial(from: SimulatedLinesEnd, to: string, up: (line: string) => void): void {
    const line = `line ${++this.#dialled} from ${from.name} to ${to}`;
    const { messageDelayMs } = this.#simulation.faults;
    const later = (tab: SimulatedTab, run: () => void): void =>
      void tab.schedule(line, this.#simulation.draw(messageDelayMs), run);
    later(from.tab, () => {
      const other = this.#joined.get(to);
      if (other === undefined) return;
      later(other.tab, () => {
        if (this.#joined.get(to) !== other) return;
        other.accept(from.name, line);
        later(from.tab, () => up(line));
      });
    });
  }
}

interface Place {
  readonly tab: SimulatedTab;
  readonly name: string;
  readonly onMessage: OnMessage;
}

class SimulatedLinesEnd implements LinesEnd {
  readonly #lines: SimulatedLines;
  readonly #place: Place;
  /** By the one at the other end; undefined while it is being made. */
  readonly #dialled = new Map<string, Channel | undefined>();
  readonly #accepted = new Map<string, Channel>();
  #isClosed = false;

  constructor(lines: SimulatedLines, place: Place) {
    this.#lines = lines;
    this.#place = place;
  }

  get tab(): SimulatedTab {
    return this.#place.tab;
  }

  get name(): string {
    return this.#place.name;
  }

  join(): void {
    if (!this.#isClosed) this.#lines.join(this);
  }

  post(to: string, message: unknown): boolean {
    this.join();
    const line = this.#dialled.get(to);
    if (line !== undefined) line.post(message);
    else if (!this.#dialled.has(to)) this.#dial(to);
    return line !== undefined;
  }

  drop(to: string): void {
    this.#dialled.get(to)?.close();
    this.#dialled.delete(to);
    this.#accepted.get(to)?.close();
    this.#accepted.delete(to);
  }

  close(): void {
    this.#isClosed = true;
    for (const name of [...this.#dialled.keys(), ...this.#accepted.keys()]) this.drop(name);
    this.#lines.leave(this);
  }

  accept(from: string, line: string): void {
    this.#accepted.get(from)?.close();
    this.#accepted.set(from, this.#open(line));
  }

  #dial(to: string): void {
    this.#dialled.set(to, undefined);
    this.#lines.dial(this, to, (line) => {
      if (this.#dialled.has(to) && this.#dialled.get(to) === undefined) this.#dialled.set(to, this.#open(line));
    });
  }

  #open(line: string): Channel {
    const reply = (message: unknown): void => channel.post(message);
    const channel = this.#lines.openChannel(this.tab, line, (message) => this.#place.onMessage(message, reply));
    return channel;
  }
}
