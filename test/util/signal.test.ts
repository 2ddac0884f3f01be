import { expect, test } from 'vitest';
import { abortable, deferred, linkedController, onAbort, whenAborted } from '../../src/util/signal.js';

/** How many abort listeners a controller's signal has now. */
function listening(controller: AbortController): () => number {
  let count = 0;
  const { signal } = controller;
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  Object.assign(signal, {
    addEventListener: (type: string, listener: () => void, options?: object) => {
      count++;
      add(type as 'abort', listener, options);
    },
    removeEventListener: (type: string, listener: () => void) => {
      count--;
      remove(type as 'abort', listener);
    },
  });
  return () => count;
}

test('abortable settles as its promise does and leaves no listener behind', async () => {
  const controller = new AbortController();
  const count = listening(controller);
  const work = deferred<number>();
  const result = abortable(work.promise, controller.signal);
  expect(count()).toBe(1);
  work.resolve(7);
  expect(await result).toBe(7);
  await Promise.resolve();
  expect(count()).toBe(0);
  await expect(abortable(Promise.reject(new Error('no')), controller.signal)).rejects.toThrow('no');
});

test('abortable rejects with the reason of the signal, also of one that aborted before', async () => {
  const controller = new AbortController();
  const reason = new Error('enough');
  const waiting = abortable(new Promise(() => {}), controller.signal);
  controller.abort(reason);
  await expect(waiting).rejects.toBe(reason);
  await expect(abortable(new Promise(() => {}), controller.signal)).rejects.toBe(reason);
});

test('a failure after the abort is nobody’s unhandled rejection', async () => {
  const work = deferred();
  const waiting = abortable(work.promise, AbortSignal.abort('over'));
  work.reject(new Error('late'));
  await expect(waiting).rejects.toBe('over');
});

test('whenAborted resolves on abort, at once if it is past', async () => {
  const controller = new AbortController();
  const aborted = whenAborted(controller.signal);
  controller.abort();
  await aborted;
  await whenAborted(controller.signal);
});

test('a dropped abort listener is not called', () => {
  const controller = new AbortController();
  let calls = 0;
  const drop = onAbort(controller.signal, () => calls++);
  drop();
  controller.abort();
  expect(calls).toBe(0);
  onAbort(controller.signal, () => calls++);
  expect(calls).toBe(1);
});

test('a linked controller aborts with the first of its signals, and drops its listeners when it aborts itself', () => {
  const [first, second] = [new AbortController(), new AbortController()];
  const counts = [listening(first), listening(second)];
  const done = linkedController(first.signal, undefined, second.signal);
  expect(counts.map((count) => count())).toEqual([1, 1]);
  done.abort('done');
  expect(counts.map((count) => count())).toEqual([0, 0]);

  const linked = linkedController(first.signal, second.signal);
  second.abort('second');
  expect(linked.signal.reason).toBe('second');
  expect(linkedController(second.signal, first.signal).signal.reason).toBe('second');
});
