import { onAbort } from '../util/signal.js';
import type {
  Chance,
  Channels,
  ClientRuntime,
  Clock,
  HeldLock,
  HoldOptions,
  Locks,
  Random,
  Runtime,
} from './runtime.js';
import { uuidFrom } from './seeded-random.js';

/** The longest delay that timers take; a longer one would fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** The runtime of the platform: in windows, in dedicated workers, and in Node from version 24 on. */
export function browserRuntime(): Runtime {
  return { clock: platformClock(), random: platformRandom(), locks: webLocks(), channels: BROADCAST_CHANNELS };
}

/** That of a page for its clients. */
export function pageRuntime(): ClientRuntime {
  return { clock: platformClock(), random: PLATFORM_CHANCE };
}

/** `onTimer` sees each timer that is set. */
export function platformClock(onTimer: (timer: unknown) => void = () => {}): Clock {
  return {
    wallMs: () => Date.now(),
    monotonicMs: () => performance.now(),
    sleep: (ms, signal) => sleep(ms, signal, onTimer),
  };
}

const PLATFORM_CHANCE: Chance = {
  next: () => Math.random(),
  below: (n) => Math.floor(Math.random() * n),
};

export function platformRandom(): Random {
  return {
    ...PLATFORM_CHANCE,
    // Insecure contexts have no randomUUID.
    uuid: () => crypto.randomUUID?.() ?? uuidFrom(crypto.getRandomValues(new Uint8Array(16))),
  };
}

function sleep(ms: number, signal: AbortSignal | undefined, onTimer: (timer: unknown) => void): Promise<void> {
  if (signal?.aborted) return Promise.reject(signal.reason);
  return new Promise((resolve, reject) => {
    let leftMs = ms;
    let timer: ReturnType<typeof setTimeout>;
    const wait = (): void => {
      const delayMs = Math.min(leftMs, MAX_TIMER_MS);
      leftMs -= delayMs;
      timer = setTimeout(leftMs > 0 ? wait : end, delayMs);
      onTimer(timer);
    };
    const end = (): void => {
      drop();
      resolve();
    };
    const drop = onAbort(signal, () => {
      clearTimeout(timer);
      reject(signal?.reason);
    });
    wait();
  });
}

function webLocks(): Locks | undefined {
  const locks: LockManager | undefined = globalThis.navigator?.locks;
  if (locks === undefined) return undefined;
  return {
    hold: (name, options = {}) => holdWebLock(locks, name, options),
    held: async (prefix) => {
      const { held = [] } = await locks.query();
      return held.flatMap(({ name }) => (name?.startsWith(prefix) ? [name] : []));
    },
  };
}

function holdWebLock(
  locks: LockManager,
  name: string,
  { signal, steal = false, shared = false }: HoldOptions,
): Promise<HeldLock> {
  if (signal?.aborted) return Promise.reject(signal.reason);
  return new Promise((granted, refused) => {
    const lost = new AbortController();
    let state: 'waiting' | 'held' | 'released' = 'waiting';
    const hold = (): Promise<void> =>
      new Promise((released) => {
        const release = (): void => {
          state = 'released';
          released();
        };
        state = 'held';
        granted({ lost: lost.signal, release });
      });
    // The platform refuses a signal together with `steal`, which never waits anyway.
    const options: LockOptions = steal
      ? { steal }
      : { mode: shared ? 'shared' : 'exclusive', ...(signal && { signal }) };
    locks.request(name, options, hold).catch((error: unknown) => {
      if (state === 'waiting') refused(signal?.aborted ? signal.reason : error);
      else if (state === 'held') lost.abort(error); // AbortError: stolen
    });
  });
}

const BROADCAST_CHANNELS: Channels = {
  open: (name, onMessage) => {
    let channel: BroadcastChannel | undefined = new BroadcastChannel(name);
    // Also a message that arrived before the close may be handed out after it.
    channel.onmessage = ({ data }: MessageEvent<unknown>) => {
      if (channel !== undefined) onMessage(data);
    };
    return {
      post: (message) => channel?.postMessage(message),
      close: () => {
        channel?.close();
        channel = undefined;
      },
    };
  },
};
