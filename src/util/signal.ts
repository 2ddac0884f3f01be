/** A promise with its two ends in the hand of the maker. */
export interface Deferred<T> {
  readonly promise: Promise<T>;
  resolve(value: T | PromiseLike<T>): void;
  reject(reason: unknown): void;
}

export function deferred<T = void>(): Deferred<T> {
  let resolve!: Deferred<T>['resolve'];
  let reject!: Deferred<T>['reject'];
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}

/**
 * Calls `listener` once when the signal aborts, at once if it has. The answer drops the listener again: whoever
 * outlives the wait must call it, because signals live long.
 */
export function onAbort(signal: AbortSignal | undefined, listener: () => void): () => void {
  if (signal === undefined) return () => {};
  if (signal.aborted) {
    listener();
    return () => {};
  }
  signal.addEventListener('abort', listener, { once: true });
  return () => signal.removeEventListener('abort', listener);
}

/** Resolves when the signal aborts. The listener stays until then: for signals that end with the waiter. */
export function whenAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => void onAbort(signal, resolve));
}

/**
 * Settles as `promise` does, or rejects with the signal's reason, whichever is first. What stands behind `promise` runs
 * on; if it fails after the abort, nobody hears of it.
 */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise<T>((resolve, reject) => {
    const drop = onAbort(signal, () => reject(signal.reason));
    promise.then(
      (value) => {
        drop();
        resolve(value);
      },
      (error) => {
        drop();
        reject(error);
      },
    );
  });
}

/** Reason of an abort that only tidies up behind work that is done: the platform would make an error for each. */
export const OVER: unknown = 'the work is over';

/**
 * A controller that also aborts, with the same reason, when one of `signals` does. Its own abort drops the listeners on
 * them: abort it when the work is over.
 */
export function linkedController(...signals: readonly (AbortSignal | undefined)[]): AbortController {
  const controller = new AbortController();
  const drops: (() => void)[] = [];
  controller.signal.addEventListener('abort', () => {
    for (const drop of drops) drop();
  });
  for (const signal of signals) {
    if (controller.signal.aborted) break;
    drops.push(onAbort(signal, () => controller.abort(signal?.reason)));
  }
  return controller;
}
