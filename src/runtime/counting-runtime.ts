import { onAbort } from '../util/signal.js';
import type { Channels, Clock, HeldLock, Lines, Locks, Runtime } from './runtime.js';

/** What was taken from a runtime and not given back. */
export interface OpenResources {
  /** Sleepers that have not woken. */
  readonly timers: number;
  /** Locks held or asked for. */
  readonly locks: number;
  /** Ends of lines among them. */
  readonly channels: number;
}

/** The same runtime, counted: for tests that nothing is left open. */
export function countingRuntime(inner: Runtime): { readonly runtime: Runtime; open(): OpenResources } {
  const timers = new Set<object>();
  const locks = new Set<object>();
  const channels = new Set<object>();
  const runtime: Runtime = {
    clock: countingClock(inner.clock, timers),
    random: inner.random,
    locks: inner.locks && countingLocks(inner.locks, locks),
    channels: countingChannels(inner.channels, channels),
    lines: inner.lines && countingLines(inner.lines, channels),
  };
  return { runtime, open: () => ({ timers: timers.size, locks: locks.size, channels: channels.size }) };
}

function countingClock(clock: Clock, open: Set<object>): Clock {
  return {
    wallMs: () => clock.wallMs(),
    monotonicMs: () => clock.monotonicMs(),
    sleep: async (ms, signal) => {
      const sleeper = {};
      open.add(sleeper);
      try {
        await clock.sleep(ms, signal);
      } finally {
        open.delete(sleeper);
      }
    },
  };
}

function countingLocks(locks: Locks, open: Set<object>): Locks {
  return {
    held: (prefix) => locks.held(prefix),
    hold: async (name, options): Promise<HeldLock> => {
      const request = {};
      open.add(request);
      try {
        const { lost, release } = await locks.hold(name, options);
        const drop = onAbort(lost, () => open.delete(request));
        const end = (): void => {
          drop();
          open.delete(request);
          release();
        };
        return { lost, release: end };
      } catch (error) {
        open.delete(request);
        throw error;
      }
    },
  };
}

function countingChannels(channels: Channels, open: Set<object>): Channels {
  return {
    open: (name, onMessage) => {
      const channel = channels.open(name, onMessage);
      open.add(channel);
      return {
        post: (message) => channel.post(message),
        close: () => {
          open.delete(channel);
          channel.close();
        },
      };
    },
  };
}

function countingLines(lines: Lines, open: Set<object>): Lines {
  return {
    open: (name, onMessage) => {
      const end = lines.open(name, onMessage);
      open.add(end);
      return {
        join: () => end.join(),
        post: (to, message) => end.post(to, message),
        drop: (to) => end.drop(to),
        close: () => {
          open.delete(end);
          end.close();
        },
      };
    },
  };
}
