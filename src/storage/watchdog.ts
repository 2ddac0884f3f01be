import type { Clock } from '../runtime/runtime.js';

/** A request that has not settled for so long never will: the slowest disks take some seconds. */
export const WEDGED_MS: number = 20_000;
const TURNS = 4;
const TURN_MS: number = WEDGED_MS / TURNS;
/** A turn that takes longer says that we slept: what was due meanwhile is still to come. */
const LATE_FACTOR = 2;

interface Watched {
  readonly doing: string;
  turns: number;
}

/**
 * Tells when a request of a store does not settle in time. Time is counted in turns of its own, of which a sleeper has
 * none. There is one timer while something is in flight, and none otherwise.
 */
export class Watchdog {
  readonly #clock: Clock;
  readonly #onWedged: (doing: string) => void;
  readonly #watched: Set<Watched> = new Set();
  readonly #closing: AbortController = new AbortController();
  #isRunning = false;

  constructor(clock: Clock, onWedged: (doing: string) => void) {
    this.#clock = clock;
    this.#onWedged = onWedged;
  }

  /** Watches until the answer is called, which must be when the request has settled. */
  begin(doing: string): () => void {
    const watched: Watched = { doing, turns: 0 };
    this.#watched.add(watched);
    if (!this.#isRunning) void this.#run();
    return () => this.#watched.delete(watched);
  }

  close(): void {
    this.#watched.clear();
    this.#closing.abort();
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    const { signal } = this.#closing;
    try {
      while (this.#watched.size > 0 && !signal.aborted) {
        const beforeMs = this.#clock.monotonicMs();
        await this.#clock.sleep(TURN_MS, signal);
        const isLate = this.#clock.monotonicMs() - beforeMs > TURN_MS * LATE_FACTOR;
        for (const watched of this.#watched) watched.turns = isLate ? 0 : watched.turns + 1;
        // One more than TURNS, since the first was not whole.
        const wedged = [...this.#watched].find(({ turns }) => turns > TURNS);
        if (wedged !== undefined) this.#onWedged(wedged.doing);
      }
    } catch {
      // closed
    } finally {
      this.#isRunning = false;
    }
  }
}
