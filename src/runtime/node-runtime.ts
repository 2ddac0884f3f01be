import { onAbort } from '../util/signal.js';
import { platformClock, platformRandom } from './browser-runtime.js';
import type { Channels, ClientRuntime, HeldLock, HoldOptions, Locks, Runtime } from './runtime.js';

/**
 * A whole "origin" in one thread: real time, but channels and locks in memory. All hosts that share the object see each
 * other as tabs of one origin do; two objects see nothing of each other. Its sleepers keep no Node process alive: what
 * hosts do by themselves, nobody waits for.
 */
export function inProcessRuntime(): Runtime {
  return { clock: IDLE_CLOCK, random: platformRandom(), locks: memoryLocks(), channels: memoryChannels() };
}

/** That of the clients in this thread, whose sleepers keep a Node process alive: somebody waits for what they do. */
export function inProcessClientRuntime(): ClientRuntime {
  return { clock: platformClock(), deadlineClock: IDLE_CLOCK, random: platformRandom() };
}

const IDLE_CLOCK = platformClock((timer) => (timer as { unref?(): void }).unref?.());

interface Request {
  readonly lost: AbortController;
  readonly shared: boolean;
  /** Idempotent. */
  readonly grant: () => void;
}

function memoryLocks(): Locks {
  /** By name: first the holder, or those who share it, then those who wait. */
  const queues = new Map<string, Request[]>();

  const holders = (queue: readonly Request[]): Request[] => {
    const waiting = queue.findIndex(({ shared }, index) => index > 0 && !(shared && queue[0]?.shared));
    return queue.slice(0, waiting < 0 ? queue.length : waiting);
  };

  const end = (name: string, request: Request): void => {
    const queue = queues.get(name) ?? [];
    const at = queue.indexOf(request);
    if (at < 0) return;
    queue.splice(at, 1);
    if (queue.length === 0) queues.delete(name);
    for (const holder of holders(queue)) holder.grant();
  };

  const hold = (name: string, { signal, steal = false, shared = false }: HoldOptions): Promise<HeldLock> => {
    if (signal?.aborted) return Promise.reject(signal.reason);
    return new Promise((resolve, reject) => {
      const lost = new AbortController();
      const grant = (): void => {
        drop();
        resolve({ lost: lost.signal, release: () => end(name, request) });
      };
      const request: Request = { lost, shared, grant };
      const drop = onAbort(signal, () => {
        end(name, request);
        reject(signal?.reason);
      });
      const queue = queues.get(name) ?? [];
      queues.set(name, queue);
      if (steal) {
        const robbed = queue.splice(0, holders(queue).length, request);
        for (const each of robbed) each.lost.abort(new DOMException(`lock ${name} was stolen`, 'AbortError'));
      } else {
        queue.push(request);
      }
      if (holders(queue).includes(request)) grant();
    });
  };

  return {
    hold: (name, options = {}) => hold(name, options),
    held: async (prefix) => [...queues.keys()].filter((name) => name.startsWith(prefix)),
  };
}

function memoryChannels(): Channels {
  const open = new Map<string, Set<(message: unknown) => void>>();
  return {
    open: (name, onMessage) => {
      const receivers = open.get(name) ?? new Set();
      open.set(name, receivers);
      const receive = (message: unknown): void => {
        if (receivers.has(receive)) onMessage(message);
      };
      receivers.add(receive);
      return {
        post: (message) => {
          if (!receivers.has(receive)) return;
          let copy = structuredClone(message);
          for (const other of receivers) {
            if (other === receive) continue;
            const delivered = copy;
            nextTurn(() => other(delivered));
            copy = structuredClone(message);
          }
        },
        close: () => {
          receivers.delete(receive);
          if (receivers.size === 0 && open.get(name) === receivers) open.delete(name);
        },
      };
    },
  };
}

/** As in the browser: a message is a task of its own. Tasks keep their order. */
function nextTurn(task: () => void): void {
  const { setImmediate } = globalThis as { setImmediate?: (task: () => void) => unknown };
  if (setImmediate !== undefined) setImmediate(task);
  else setTimeout(task, 0);
}
