import { onAbort } from '../util/signal.js';
import type { Clock, Random, Runtime } from './runtime.js';
import type { Simulation } from './simulation.js';

/** Where virtual time begins on the wall. */
const START_WALL_MS = Date.UTC(2026, 0, 1);

/**
 * What storage waits for, as `MemoryLogStore` names it. `read` and `write` end when the disk's turn comes, for which a
 * request once issued no longer needs its tab: also while that is frozen or dead. `completion` ends when the tab hears
 * of it: later when frozen, never when dead. So an operation of a store is
 *
 *   await delay('write'); effect on the shared disk; await delay('completion'); back to the caller
 */
export type StorageDelay = 'read' | 'write' | 'completion';

/** One tab of a simulated browser: a `Runtime`, and what may happen to it. */
export class SimulatedTab {
  readonly name: string;
  readonly runtime: Runtime;
  readonly #simulation: Simulation;
  readonly #bornMs: number;
  #state: 'alive' | 'frozen' | 'dead' = 'alive';
  #heldBack: (() => void)[] = [];
  #wallOffsetMs = 0;
  #timerGrainMs = 0;
  #openTimers = 0;
  readonly #dying: (() => void)[] = [];

  /** Use `Simulation.tab`. */
  constructor(simulation: Simulation, name: string, random: Random) {
    this.#simulation = simulation;
    this.#bornMs = simulation.nowMs;
    this.name = name;
    const clock: Clock = {
      wallMs: () => Math.floor(START_WALL_MS + simulation.nowMs + this.#wallOffsetMs),
      monotonicMs: () => simulation.nowMs - this.#bornMs,
      sleep: (ms, signal) => this.#sleep(ms, signal),
    };
    this.runtime = {
      clock,
      random,
      locks: simulation.locks.ofTab(this),
      channels: { open: (channel, onMessage) => simulation.network.open(this, channel, onMessage) },
      lines: simulation.lines.ofTab(this),
    };
  }

  get isDead(): boolean {
    return this.#state === 'dead';
  }

  get isFrozen(): boolean {
    return this.#state === 'frozen';
  }

  /** Sleepers that have not woken. */
  get openTimers(): number {
    return this.#openTimers;
  }

  get openChannels(): number {
    return this.#simulation.network.openChannels(this);
  }

  get heldLocks(): number {
    return this.#simulation.locks.count(this).held;
  }

  /** Locks asked for and not yet held. */
  get lockRequests(): number {
    return this.#simulation.locks.count(this).waiting;
  }

  /** Runs `run` in this tab `delayMs` from now; not while it is frozen, not once it is dead. The answer cancels. */
  schedule(label: string, delayMs: number, run: () => void): () => void {
    return this.isDead ? () => {} : this.#simulation.schedule(this, label, delayMs, run);
  }

  /** Nothing of it ever runs again. Its channels close at once, its locks go to the next a little later. */
  kill(): void {
    if (this.isDead) return;
    this.#state = 'dead';
    this.#heldBack = [];
    this.#openTimers = 0;
    this.#simulation.network.closeAll(this);
    this.#simulation.locks.freeAll(this);
    for (const listener of this.#dying) listener();
  }

  /** For what the browser does when the tab dies, such as dropping its connections to the disk. */
  onKill(listener: () => void): void {
    this.#dying.push(listener);
  }

  /** Holds back all its steps; it keeps its locks and its channels. */
  freeze(): void {
    if (this.#state === 'alive') this.#state = 'frozen';
  }

  /** Goes on: what was held back (timers due, messages, locks, completions) comes in a burst. */
  wake(): void {
    if (this.#state !== 'frozen') return;
    this.#state = 'alive';
    const heldBack = this.#heldBack;
    this.#heldBack = [];
    for (const resume of heldBack) resume();
  }

  /** Moves this tab's wall clock, forward or back. */
  jumpWallClock(ms: number): void {
    this.#wallOffsetMs += ms;
  }

  /** From now on timers fire at multiples of `ms` only, as in hidden pages; 0 ends it. */
  throttleTimers(ms: number): void {
    this.#timerGrainMs = ms;
  }

  /** For the stores of this tab. */
  readonly storageDelay = (kind: StorageDelay): Promise<void> => {
    if (this.isDead) return NEVER;
    const delayMs = this.#simulation.draw(this.#simulation.faults.storageDelayMs);
    return new Promise((resolve) => {
      if (kind === 'completion') this.schedule('storage completion', delayMs, resolve);
      else this.#simulation.background(`storage ${kind} for ${this.name}`, delayMs, resolve);
    });
  };

  /** For `Simulation`: a step that came due while the tab is frozen. */
  holdBack(resume: () => void): void {
    this.#heldBack.push(resume);
  }

  #sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
    if (this.isDead) return NEVER;
    if (signal?.aborted) return Promise.reject(signal.reason);
    return new Promise((resolve, reject) => {
      this.#openTimers++;
      const cancel = this.schedule('timer', this.#untilTimerMs(ms), () => {
        this.#openTimers--;
        drop();
        resolve();
      });
      const drop = onAbort(signal, () => {
        if (this.isDead) return;
        this.#openTimers--;
        cancel();
        reject(signal?.reason);
      });
    });
  }

  #untilTimerMs(ms: number): number {
    const { nowMs, faults } = this.#simulation;
    const wanted = Math.max(0, ms) + this.#simulation.draw(faults.timerDelayMs);
    const grain = this.#timerGrainMs;
    return grain === 0 ? wanted : Math.ceil((nowMs + wanted) / grain) * grain - nowMs;
  }
}

/** What the dead wait for. */
const NEVER: Promise<never> = new Promise(() => {});
