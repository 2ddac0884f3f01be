import type { Clock } from '../runtime/runtime.js';

interface Deadline {
  readonly atMs: number;
  readonly expire: () => void;
}

/** The deadlines of many short waits over one timer: it stays when what it was set for is done, for those to come. */
export class Deadlines {
  readonly #clock: Clock;
  readonly #waiting = new Set<Deadline>();
  #timer: { readonly atMs: number; readonly controller: AbortController } | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Calls `expire` in `ms`, unless the answer is called before. */
  add(ms: number, expire: () => void): () => void {
    const deadline: Deadline = { atMs: this.#clock.monotonicMs() + ms, expire };
    this.#waiting.add(deadline);
    if (this.#timer === undefined || deadline.atMs < this.#timer.atMs) this.#setTimer(deadline.atMs, ms);
    return () => this.#waiting.delete(deadline);
  }

  /** Forgets all; no timer remains. */
  clear(): void {
    this.#waiting.clear();
    this.#timer?.controller.abort();
    this.#timer = undefined;
  }

  #setTimer(atMs: number, ms: number): void {
    this.#timer?.controller.abort();
    const timer = { atMs, controller: new AbortController() };
    this.#timer = timer;
    this.#clock.sleep(ms, timer.controller.signal).then(
      () => this.#timer === timer && this.#expire(),
      () => {}, // one that is nearer took its place, or all were forgotten
    );
  }

  #expire(): void {
    this.#timer = undefined;
    const nowMs = this.#clock.monotonicMs();
    let nearestMs = Number.POSITIVE_INFINITY;
    for (const deadline of this.#waiting) {
      if (deadline.atMs > nowMs) {
        nearestMs = Math.min(nearestMs, deadline.atMs);
        continue;
      }
      this.#waiting.delete(deadline);
      deadline.expire();
    }
    if (nearestMs < Number.POSITIVE_INFINITY) this.#setTimer(nearestMs, nearestMs - nowMs);
  }
}
