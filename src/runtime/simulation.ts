import { assert } from '../util/assert.js';
import type { Random } from './runtime.js';
import { seededRandom } from './seeded-random.js';
import { SimulatedNetwork } from './simulated-channels.js';
import { SimulatedLines } from './simulated-lines.js';
import { SimulatedLocks } from './simulated-locks.js';
import { SimulatedTab } from './simulated-tab.js';
import { type Step, StepQueue } from './step-queue.js';

/** Milliseconds, both ends included; drawn anew each time. */
export type DelayMs = readonly [min: number, max: number];

/** What goes wrong, and how slow things are. May be changed while a simulation runs. */
export interface Faults {
  /** Chance that a message never reaches one of its receivers. */
  dropChance: number;
  /** Chance that it reaches one twice. */
  duplicateChance: number;
  /** Messages of one channel to another may overtake each other; else they keep their order. */
  reorder: boolean;
  messageDelayMs: DelayMs;
  lockDelayMs: DelayMs;
  storageDelayMs: DelayMs;
  /** How late a timer fires. */
  timerDelayMs: DelayMs;
}

/** A healthy machine: nothing is lost, delays as measured between tabs of one browser. */
export const NO_FAULTS: Readonly<Faults> = {
  dropChance: 0,
  duplicateChance: 0,
  reorder: false,
  messageDelayMs: [0.05, 2],
  lockDelayMs: [0.05, 2],
  storageDelayMs: [0.2, 4],
  timerDelayMs: [0, 1],
};

export interface SimulationOptions {
  readonly seed: number;
  readonly faults?: Partial<Faults>;
  /** Keep the text of each step, for comparing runs. */
  readonly trace?: boolean;
  /** Resolves when no microtask is left. By default one turn of the event loop. */
  readonly settle?: () => Promise<void>;
}

export interface RunOptions {
  /** Ends the run; asked before each step. */
  readonly until?: () => boolean;
  readonly maxSteps?: number;
  /** Virtual time that the run may take. */
  readonly maxMs?: number;
}

/** `done`: `until` holds. `idle`: nothing will ever happen again. */
export type RunOutcome = 'done' | 'idle' | 'out of steps' | 'out of time';

interface OwnedStep extends Step {
  /** Whose step it is; undefined for the harness, the disk, the browser. */
  readonly tab: SimulatedTab | undefined;
}

/**
 * A browser with its tabs, as a function of a seed: timers, messages, lock grants and storage are steps in one queue,
 * the seed chooses all delays and the order among steps due at once, and time jumps to the next step. One step runs,
 * then all microtasks, then the next step: two runs of one seed are the same run.
 *
 * The code under test gets `tab(name).runtime` and must take nothing from elsewhere. What finishes off the event loop
 * (CompressionStream, crypto.subtle, a real IndexedDB) stays outside.
 */
export class Simulation {
  readonly seed: number;
  /** For the harness: draws what happens. Tabs have generators of their own. */
  readonly random: Random;
  readonly faults: Faults;
  readonly network: SimulatedNetwork;
  readonly lines: SimulatedLines;
  readonly locks: SimulatedLocks;
  /** One line a step, `time tab label`; empty unless asked for. */
  readonly trace: string[] = [];
  readonly #keepsTrace: boolean;
  readonly #settle: () => Promise<void>;
  readonly #queue = new StepQueue<OwnedStep>();
  #nowMs = 0;
  #stepCount = 0;
  #hash = 0;
  #failure: { readonly error: unknown } | undefined;
  #isRunning = false;

  constructor({ seed, faults = {}, trace = false, settle = eventLoopTurn }: SimulationOptions) {
    this.seed = seed;
    this.random = seededRandom(seed);
    this.faults = { ...NO_FAULTS, ...faults };
    this.#keepsTrace = trace;
    this.#settle = settle;
    this.network = new SimulatedNetwork(this);
    this.lines = new SimulatedLines(this);
    this.locks = new SimulatedLocks(this);
  }

  /** Virtual time since the start. */
  get nowMs(): number {
    return this.#nowMs;
  }

  get stepCount(): number {
    return this.#stepCount;
  }

  /** A number of all steps so far, their order and time: differs where two runs differ. */
  get traceHash(): number {
    return this.#hash;
  }

  /** A new tab. A name may be used again once its tab is dead. */
  tab(name: string): SimulatedTab {
    return new SimulatedTab(this, name, seededRandom(this.random.below(2 ** 32)));
  }

  /** What no tab does and no tab's death prevents: the harness, the disk. Runs `delayMs` from now; the answer cancels. */
  background(label: string, delayMs: number, run: () => void): () => void {
    return this.schedule(undefined, label, delayMs, run);
  }

  /** Runs `run` in `tab` `delayMs` from now: later while it is frozen, never once it is dead. The answer cancels. */
  schedule(tab: SimulatedTab | undefined, label: string, delayMs: number, run: () => void): () => void {
    const step = { tab, label, run, dueMs: this.#nowMs + delayMs, tie: this.random.next(), cancelled: false };
    if (delayMs < Number.POSITIVE_INFINITY) this.#queue.push(step);
    return () => {
      step.cancelled = true;
    };
  }

  draw([min, max]: DelayMs): number {
    return min + this.random.next() * (max - min);
  }

  chance(probability: number): boolean {
    return probability > 0 && this.random.next() < probability;
  }

  /**
   * Runs step after step.
   * @throws Error with seed, step and time, and the failure as its cause, where a step threw or a rejection was not
   *   handled.
   */
  async run({ until, maxSteps = Infinity, maxMs = Infinity }: RunOptions = {}): Promise<RunOutcome> {
    assert(!this.#isRunning, 'a simulation runs once at a time');
    this.#isRunning = true;
    const stopWatching = watchRejections((error) => this.fail(error));
    try {
      return await this.#run(until, this.#stepCount + maxSteps, this.#nowMs + maxMs);
    } finally {
      stopWatching();
      this.#isRunning = false;
    }
  }

  /**
   * Runs until `work` settles, and settles as it does.
   * @throws Error also where the run ends before: `work` waits for what will not come within the limits.
   */
  async drive<T>(work: Promise<T>, limits: Omit<RunOptions, 'until'> = {}): Promise<T> {
    let isSettled = false;
    const settle = (): void => {
      isSettled = true;
    };
    work.then(settle, settle);
    const outcome = await this.run({ ...limits, until: () => isSettled });
    if (outcome !== 'done') throw this.#failed(new Error(`still waiting, but the run is ${outcome}`));
    return work;
  }

  /** Ends the run with a failure: for checkers. */
  fail(error: unknown): void {
    this.#failure ??= { error };
  }

  async #run(until: (() => boolean) | undefined, lastStep: number, endMs: number): Promise<RunOutcome> {
    for (;;) {
      await this.#settle();
      if (this.#failure !== undefined) throw this.#failed(this.#failure.error);
      if (until?.()) return 'done';
      if (this.#stepCount >= lastStep) return 'out of steps';
      const step = this.#nextRunnable(endMs);
      if (step === 'out of time') this.#nowMs = endMs;
      if (step === 'out of time' || step === 'idle') return step;
      this.#execute(step);
    }
  }

  #nextRunnable(endMs: number): OwnedStep | 'idle' | 'out of time' {
    for (;;) {
      const step = this.#queue.peek();
      if (step === undefined) return 'idle';
      if (step.dueMs > endMs) return 'out of time';
      this.#queue.pop();
      const { tab } = step;
      if (tab?.isDead) continue;
      if (!tab?.isFrozen) return step;
      tab.holdBack(() => {
        if (!step.cancelled) this.#queue.push({ ...step, dueMs: this.#nowMs, tie: this.random.next() });
      });
    }
  }

  #execute(step: OwnedStep): void {
    this.#nowMs = Math.max(this.#nowMs, step.dueMs);
    this.#stepCount++;
    const text = `${this.#nowMs.toFixed(3)} ${step.tab?.name ?? '-'} ${step.label}`;
    this.#hash = hashText(this.#hash, text);
    if (this.#keepsTrace) this.trace.push(text);
    try {
      step.run();
    } catch (error) {
      this.fail(error);
    }
  }

  #failed(error: unknown): Error {
    const text = error instanceof Error ? error.message : String(error);
    const where = `seed ${this.seed}, step ${this.#stepCount}, ${this.#nowMs.toFixed(3)} ms`;
    return new Error(`${where}: ${text}`, { cause: error });
  }
}

/** FNV-1a over UTF-16 code units, going on from `hash`. */
function hashText(hash: number, text: string): number {
  let h = hash ^ 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return h >>> 0;
}

interface EventLoop {
  readonly setImmediate?: (callback: () => void) => unknown;
  readonly process?: {
    on(type: 'unhandledRejection', listener: (reason: unknown) => void): unknown;
    off(type: 'unhandledRejection', listener: (reason: unknown) => void): unknown;
  };
}

const eventLoop = globalThis as EventLoop;

/** All microtasks have run, and rejections that nobody handled are reported. */
function eventLoopTurn(): Promise<void> {
  if (eventLoop.setImmediate !== undefined) return immediate(eventLoop.setImmediate);
  const { port1, port2 } = new MessageChannel();
  return new Promise((resolve) => {
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}

/**
 * Node runs all immediates that are queued in one turn of its loop, and after each of them what it runs after a turn. So
 * some are queued ahead: a turn, with its look at the system, costs more than a step.
 */
const IMMEDIATES_AHEAD = 32;
const awaitingImmediate: (() => void)[] = [];
let queuedImmediates = 0;

function immediate(setImmediate: NonNullable<EventLoop['setImmediate']>): Promise<void> {
  for (; queuedImmediates <= awaitingImmediate.length; queuedImmediates += IMMEDIATES_AHEAD) {
    for (let i = 0; i < IMMEDIATES_AHEAD; i++) {
      setImmediate(() => {
        queuedImmediates--;
        awaitingImmediate.shift()?.();
      });
    }
  }
  return new Promise((resolve) => awaitingImmediate.push(resolve));
}

function watchRejections(report: (error: unknown) => void): () => void {
  const { process } = eventLoop;
  if (process?.on !== undefined) {
    process.on('unhandledRejection', report);
    return () => process.off('unhandledRejection', report);
  }
  const listener = (event: PromiseRejectionEvent): void => report(event.reason);
  globalThis.addEventListener('unhandledrejection', listener);
  return () => globalThis.removeEventListener('unhandledrejection', listener);
}
