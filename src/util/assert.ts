/** A broken invariant of our own: a bug, never an answer to bad input. Nobody catches it but a worker's last line. */
export class AssertionError extends Error {
  override readonly name: string = 'AssertionError';
}

/** Stops a run whose invariant is broken. `claim` says what should have held. */
export function assert(condition: unknown, claim: string): asserts condition {
  if (!condition) throw new AssertionError(`expected: ${claim}`);
}

/** The end of an exhaustive `switch`: the compiler proves that no value gets here. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable value ${JSON.stringify(value)}`);
}

/** A value that an invariant says is there. */
export function present<T>(value: T | undefined | null, claim: string): T {
  assert(value !== undefined && value !== null, claim);
  return value;
}
