import type { HeldLock, Runtime } from '../runtime/runtime.js';
import type { LogStore } from '../storage/log-store.js';
import { unreachable } from '../util/assert.js';
import { deferred, linkedController } from '../util/signal.js';
import {
  type Claimant,
  type ElectionEffect,
  type ElectionEvent,
  type ElectionState,
  initialElection,
  leaderOf,
  stepElection,
} from './election-state.js';
import type { HostMessage } from './host-messages.js';

/** The lock that the leading host holds and all others queue on. */
export function controllerLockName(clusterName: string): string {
  return `tabstream/${clusterName}/controller`;
}

/** How long our own channel has to bring a message from one of our ends to the other. */
const PROBE_MS = 1_000;
/** A storage call of the election that takes longer has failed. */
const STORAGE_MS = 10_000;
const MAX_JITTER_TICKS = 3;

export interface ElectionOptions {
  readonly runtime: Runtime;
  readonly store: LogStore;
  readonly clusterName: string;
  readonly hostId: string;
  readonly post: (message: HostMessage) => void;
  /** No other host is known: signs of life are for nobody. */
  readonly alone: () => boolean;
  /** Opens a second end of the hosts' channel, posts on the first, resolves to whether it came. */
  readonly echo: (signal: AbortSignal) => Promise<boolean>;
  /** Elected at `epoch`: open the broker. Rejects where that fails; then we resign and rest. */
  readonly openBroker: (epoch: number) => Promise<void>;
  /** Deposed or resigning. Must end soon, whatever the state of storage. */
  readonly closeBroker: () => Promise<void>;
  /** Another host leads than did before, or none does. */
  readonly onLeader: (leader: Claimant | undefined) => void;
}

/** Runs the election of one host: feeds `stepElection` with what happens and carries out what it decides. */
export class ControllerElection {
  readonly #options: ElectionOptions;
  readonly #closing = new AbortController();
  #state: ElectionState;
  #leader: Claimant | undefined;
  #lock: HeldLock | undefined;
  #queue: AbortController | undefined;
  /** Effects in order: closing a broker comes before telling that it is closed. */
  readonly #effects: ElectionEffect[] = [];
  /** Until it is false whoever adds an effect may leave it to the loop; the promise settles a little later. */
  #isRunning = false;
  #running: Promise<void> | undefined;
  #isStarted = false;

  constructor(options: ElectionOptions) {
    this.#options = options;
    this.#state = initialElection(options.hostId, { locks: options.runtime.locks !== undefined });
  }

  get leader(): Claimant | undefined {
    return this.#leader;
  }

  get isStarted(): boolean {
    return this.#isStarted;
  }

  /** Takes part from now on; before, this host only hears who leads. Idempotent. */
  start(): void {
    if (this.#isStarted) return;
    this.#isStarted = true;
    this.dispatch({ type: 'Started' });
  }

  /** The owner's loop turned, at about every TICK_MS; before the start it means nothing. */
  tick(elapsedMs: number): void {
    if (!this.#isStarted) return;
    this.dispatch({ type: 'Tick', elapsedMs, jitterTicks: this.#options.runtime.random.below(MAX_JITTER_TICKS) });
  }

  receive(from: string, message: HostMessage): void {
    if (message.type === 'announcement') this.dispatch({ type: 'Heard', epoch: message.epoch, hostId: from });
    else if (message.type === 'resignation') this.dispatch({ type: 'Resigned', epoch: message.epoch, hostId: from });
    else if (message.type === 'candidacy') this.dispatch({ type: 'CandidacyHeard' });
    else if (message.type === 'ask') this.dispatch({ type: 'Asked' });
  }

  /** Hands the broker over, if it is here, and takes no further part. Resolves once others can take over. */
  async close(): Promise<void> {
    this.dispatch({ type: 'Closed' });
    this.#closing.abort();
    await this.#running;
  }

  dispatch(event: ElectionEvent): void {
    const { state, effects } = stepElection(this.#state, event);
    this.#state = state;
    this.#effects.push(...effects);
    const leader = leaderOf(state);
    if (leader?.epoch !== this.#leader?.epoch || leader?.hostId !== this.#leader?.hostId) {
      this.#leader = leader;
      this.#options.onLeader(leader);
    }
    if (!this.#isRunning && this.#effects.length > 0) this.#running = this.#runEffects();
  }

  async #runEffects(): Promise<void> {
    this.#isRunning = true;
    try {
      for (let effect = this.#effects.shift(); effect !== undefined; effect = this.#effects.shift()) {
        if (effect.type === 'CloseBroker') await this.#options.closeBroker();
        else this.#perform(effect);
      }
    } finally {
      this.#isRunning = false;
    }
  }

  #perform(effect: Exclude<ElectionEffect, { type: 'CloseBroker' }>): void {
    const { post } = this.#options;
    switch (effect.type) {
      case 'QueueLock':
        void this.#queueLock(effect.steal);
        break;
      case 'ReleaseLock':
        this.#releaseLock();
        break;
      case 'Ask':
        post({ type: 'ask' });
        break;
      case 'ReadRow':
        void this.#readRow();
        break;
      case 'Probe':
        void this.#probe();
        break;
      case 'PostCandidacy':
        post({ type: 'candidacy', epoch: effect.epoch });
        break;
      case 'Claim':
        void this.#claim(effect.expectedEpoch);
        break;
      case 'OpenBroker':
        void this.#openBroker(effect.epoch);
        break;
      case 'Announce':
        post({ type: 'announcement', epoch: effect.epoch });
        break;
      case 'Renew':
        void this.#renew(effect.epoch);
        break;
      case 'Resign':
        post({ type: 'resignation', epoch: effect.epoch });
        break;
      default:
        unreachable(effect);
    }
  }

  async #queueLock(steal: boolean): Promise<void> {
    const { runtime, clusterName } = this.#options;
    const queue = new AbortController();
    this.#queue = queue;
    let held: HeldLock;
    try {
      const name = controllerLockName(clusterName);
      held = await runtime.locks!.hold(name, steal ? { steal } : { signal: queue.signal });
    } catch {
      return; // left the queue
    }
    if (this.#queue !== queue) {
      held.release();
      return;
    }
    this.#lock = held;
    held.lost.addEventListener('abort', () => this.#lockLost(held), { once: true });
    this.dispatch({ type: 'LockGranted' });
  }

  #lockLost(held: HeldLock): void {
    if (this.#lock !== held) return;
    this.#lock = undefined;
    this.dispatch({ type: 'LockLost' });
  }

  #releaseLock(): void {
    this.#queue?.abort();
    this.#queue = undefined;
    this.#lock?.release();
    this.#lock = undefined;
  }

  async #readRow(): Promise<void> {
    const row = await this.#stored(() => this.#options.store.leadership());
    if (row !== undefined) this.dispatch({ type: 'RowRead', row });
  }

  async #probe(): Promise<void> {
    const { clock } = this.#options.runtime;
    const probe = new AbortController();
    const echo = await Promise.race([
      this.#options.echo(probe.signal),
      clock.sleep(PROBE_MS, this.#closing.signal).then(
        () => false,
        () => false,
      ),
    ]);
    probe.abort();
    const row = echo ? await this.#stored(() => this.#options.store.leadership()) : undefined;
    this.dispatch({ type: 'Probed', echo, row });
  }

  async #claim(expectedEpoch: number): Promise<void> {
    const { store, hostId, runtime } = this.#options;
    const result = await this.#stored(async () => {
      const epoch = await store.claimLeadership(expectedEpoch, hostId, runtime.clock.wallMs());
      return epoch !== undefined ? { epoch } : { row: await store.leadership() };
    });
    if (result === undefined) this.dispatch({ type: 'ClaimFailed' });
    else if ('row' in result) this.dispatch({ type: 'ClaimLost', row: result.row });
    else this.dispatch({ type: 'Claimed', epoch: result.epoch });
  }

  async #openBroker(epoch: number): Promise<void> {
    try {
      await this.#options.openBroker(epoch);
    } catch {
      if (this.#leads(epoch)) this.dispatch({ type: 'BrokerFailed' });
      return;
    }
    if (this.#leads(epoch)) this.dispatch({ type: 'BrokerOpened' });
  }

  async #renew(epoch: number): Promise<void> {
    const { store, runtime, alone } = this.#options;
    let renewed: boolean;
    try {
      renewed = alone() || (await store.renewLeadership(epoch, { heartbeatMs: runtime.clock.wallMs() }));
    } catch {
      renewed = true; // storage failed: appends will tell, and silence in the row lets others try
    }
    if (this.#leads(epoch)) this.dispatch(renewed ? { type: 'Renewed' } : { type: 'Fenced', epoch });
  }

  #leads(epoch: number): boolean {
    return this.#state.role === 'leading' && this.#state.epoch === epoch;
  }

  /** undefined where storage failed or hangs, or nobody needs it any more. */
  async #stored<T>(read: () => Promise<T>): Promise<T | undefined> {
    const timer = linkedController(this.#closing.signal);
    const result = deferred<T | undefined>();
    const late = () => result.resolve(undefined);
    this.#options.runtime.clock.sleep(STORAGE_MS, timer.signal).then(late, late);
    read().then(result.resolve, late);
    try {
      return await result.promise;
    } finally {
      timer.abort();
    }
  }
}
