import type { Clock } from '../../src/runtime/runtime.js';
import { onAbort } from '../../src/util/signal.js';

interface Sleeper {
  readonly atMs: number;
  wake(): void;
}

/** A clock that goes as the real one does, and skips, when told so, over the time for which nobody does anything. */
export class SkippingClock implements Clock {
  readonly #real: Clock;
  readonly #sleepers = new Set<Sleeper>();
  #skippedMs = 0;

  constructor(real: Clock) {
    this.#real = real;
  }

  wallMs(): number {
    return Math.floor(this.#real.wallMs() + this.#skippedMs);
  }

  monotonicMs(): number {
    return this.#real.monotonicMs() + this.#skippedMs;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    return new Promise((resolve, reject) => {
      const real = new AbortController();
      const end = (): void => {
        this.#sleepers.delete(sleeper);
        drop();
        real.abort();
      };
      const wake = (): void => {
        end();
        resolve();
      };
      const sleeper: Sleeper = { atMs: this.monotonicMs() + ms, wake };
      const drop = onAbort(signal, () => {
        end();
        reject(signal?.reason);
      });
      this.#sleepers.add(sleeper);
      this.#real.sleep(ms, real.signal).then(wake, () => {});
    });
  }

  /** How many ms pass until `work` settles: where nothing goes on, the next sleeper wakes. @throws after ten minutes */
  async elapsed(work: Promise<unknown>): Promise<number> {
    const startMs = this.monotonicMs();
    let isSettled = false;
    work.then(
      () => (isSettled = true),
      () => (isSettled = true),
    );
    for (;;) {
      await quiet();
      const passedMs = Math.floor(this.monotonicMs() - startMs);
      if (isSettled) return passedMs;
      if (passedMs > 600_000) throw new Error('not settled within ten minutes');
      this.#wakeNext();
    }
  }

  /** Lets so many ms pass. */
  async skip(ms: number): Promise<void> {
    await this.elapsed(this.sleep(ms));
  }

  #wakeNext(): void {
    const [next] = [...this.#sleepers].sort((a, b) => a.atMs - b.atMs);
    if (next === undefined) return;
    this.#skippedMs += Math.max(0, next.atMs - this.monotonicMs());
    next.wake();
  }
}

/** What can go on at once has gone on: the cluster of a test is in memory. */
async function quiet(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
}
