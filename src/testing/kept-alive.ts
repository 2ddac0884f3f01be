import type { Clock } from '../runtime/runtime.js';

/** Passes an answer on. */
export type Awaiting = <T>(answer: Promise<T>) => Promise<T>;

/**
 * Keeps a Node process alive for as long as somebody awaits an answer. By themselves the hosts in it would not: their
 * timers are for work that nobody waits for, so that a process which has nothing else to do may end.
 *
 * @param clock its sleepers keep the process alive.
 */
export function keptAlive(clock: Clock): Awaiting {
  let awaited = 0;
  let awake: AbortController | undefined;
  return (answer) => {
    if (awaited++ === 0) {
      awake = new AbortController();
      clock.sleep(Number.MAX_SAFE_INTEGER, awake.signal).catch(() => {});
    }
    return answer.finally(() => {
      if (--awaited === 0) awake?.abort();
    });
  };
}
