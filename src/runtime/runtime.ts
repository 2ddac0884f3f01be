/**
 * All that is not a function of its inputs, except storage, which comes through `LogStore`.
 * The browser, Node and the seeded simulation each make one; nothing else in `src` reads a clock, draws a random
 * number, takes a lock or opens a channel.
 */
export interface Runtime {
  readonly clock: Clock;
  readonly random: Random;
  /** undefined where the platform has no Web Locks (insecure contexts): heartbeats alone must then suffice. */
  readonly locks: Locks | undefined;
  readonly channels: Channels;
  /** undefined where the platform cannot introduce two tabs to each other. */
  readonly lines?: Lines | undefined;
}

/** The part of it that a client needs: the rest is the host's. */
export interface ClientRuntime {
  /** Whoever sleeps by it, a caller waits for that. */
  readonly clock: Clock;
  /** For deadlines, whose timer outlasts what they were for: nobody waits for it. By default `clock`. */
  readonly deadlineClock?: Clock;
  readonly random: Chance;
}

export interface Clock {
  /** Milliseconds since the epoch. May jump, forward and back. */
  wallMs(): number;
  /** Milliseconds from an arbitrary start, never back; fractions of a millisecond where the platform has them. */
  monotonicMs(): number;
  /**
   * Resolves after `ms`, later where the platform throttles. Rejects with the signal's reason when aborted and leaves
   * no timer behind.
   */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export interface Chance {
  /** Uniform in [0, 1). */
  next(): number;
  /** Uniform integer in [0, n). */
  below(n: number): number;
}

export interface Random extends Chance {
  /** A version 4 UUID. */
  uuid(): string;
}

/** Web Locks (W3C): exclusive, queued first come first served, freed when the holder's agent dies, kept while it is frozen. */
export interface Locks {
  /**
   * Resolves once the lock is held. With `steal` the present holder loses it at once (its `lost` aborts); the holder
   * itself runs on, so that writes still need a fence. With `shared` it is held together with all who ask for it so: of
   * those who wait for the death of another, one that is frozen keeps none of the others waiting.
   * Rejects with the signal's reason when aborted before it is held; afterwards the signal means nothing.
   */
  hold(name: string, options?: HoldOptions): Promise<HeldLock>;
  /** Names now held anywhere in the origin that begin with `prefix`. */
  held(prefix: string): Promise<readonly string[]>;
}

export interface HoldOptions {
  readonly signal?: AbortSignal | undefined;
  readonly steal?: boolean;
  /** Not together with `steal`. */
  readonly shared?: boolean;
}

export interface HeldLock {
  /** Aborts when somebody stole the lock; not when we released it. */
  readonly lost: AbortSignal;
  /** Idempotent. */
  release(): void;
}

/** BroadcastChannel (HTML): to every other open channel of the name in the origin, never to itself; no promise of delivery. */
export interface Channels {
  open(name: string, onMessage: (message: unknown) => void): Channel;
}

export interface Channel {
  /** Structured clone. Does nothing once closed. */
  post(message: unknown): void;
  close(): void;
}

/** Direct ways from one tab to another: quicker than a channel, and no third tab pays for what goes there. */
export interface Lines {
  /** The end of one who is called `name`. `onMessage` may answer by `reply`, over the line on which the message came. */
  open(name: string, onMessage: (message: unknown, reply: (message: unknown) => void) => void): LinesEnd;
}

export interface LinesEnd {
  /** From now on others get through to us. Idempotent. */
  join(): void;
  /**
   * Structured clone. False while there is no line to `to`: it went nowhere, and a line is being made. As with channels,
   * no promise of delivery; nothing tells that the other end has died.
   */
  post(to: string, message: unknown): boolean;
  /** Closes the lines from and to one who is gone; the next `post` makes a new one. */
  drop(to: string): void;
  close(): void;
}
