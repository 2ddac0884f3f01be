/**
 * Async jobs one at a time, in the order they were given: how one writer owns a piece of state.
 * A job that fails fails for its caller alone; the next one runs all the same. A job must not wait for a job that it
 * gives to the same `Serial`: that would wait for ever.
 */
export class Serial {
  #tail: Promise<unknown> = Promise.resolve();

  /** Runs `job` after all earlier ones have settled; settles as the job does. */
  run<T>(job: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(job);
    this.#tail = result.then(ignore, ignore);
    return result;
  }

  /** Resolves once all jobs given so far have settled; never rejects. */
  async idle(): Promise<void> {
    await this.#tail;
  }
}

function ignore(): void {}
