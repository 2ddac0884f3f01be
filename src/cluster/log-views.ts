import type { AbortedWindow } from '../log/aborted-transactions.js';
import { hasTransactions } from '../log/log-snapshot.js';
import type { FirstRead, LogAdvance, LogView, LogViews } from '../log/log-view.js';
import { KafkaError } from '../protocol/errors.js';
import type { IsolationLevel } from '../protocol/requests.js';
import type { Runtime } from '../runtime/runtime.js';
import type { LogId, LogStore } from '../storage/log-store.js';
import { deferred, onAbort } from '../util/signal.js';
import { Announcements } from './announcements.js';
import type { ClusterParts } from './cluster-parts.js';
import { LazyReadAhead } from './lazy-read-ahead.js';
import { TailCaches } from './tail-cache.js';

/** While somebody waits, the database is asked this often at first, later less: announcements may be lost. */
const POLL_MS = 1_000;
const MAX_POLL_MS = 8_000;
/** Appends wait for what reads their stores: many views ask in as many groups, one after the other. */
const POLL_GROUPS = 16;
/** The first time it is asked sooner: whether the leader has heard of a new reader nobody knows. */
const FIRST_POLL_MS = 100;
/** Who reads more logs than this is told of all. */
const MAX_TOLD_READS = 64;
/** A view that nobody used for so long is closed, and a tail forgotten. */
const IDLE_MS = 30_000;
/** Channels that a leader keeps open only to tell; beyond, the one that was silent longest is closed. */
const MAX_TOLD_LOGS = 256;
/** Aborted transactions that a view remembers, at most twice as many; older ones are read from the database. */
const MAX_ABORTED = 1024;

export interface HostLogViewsOptions {
  readonly clusterName: string;
  readonly runtime: Runtime;
  readonly store: LogStore;
  /** Whether another host wants to be told of a log. */
  readonly isRead: (log: LogId) => boolean;
  /** What we want to be told of from now on; undefined: of all logs. Also when the leader seems not to know it. */
  readonly onReads: (reads: readonly LogId[] | undefined) => void;
  /** Asked for where a log has transactions. */
  readonly transactions: ClusterParts['transactions'];
  readonly readAhead: ClusterParts['readAhead'];
}

/** The views of one host: each fed by the leader's announcements and by the shared database. */
export class HostLogViews implements LogViews {
  readonly #options: HostLogViewsOptions;
  readonly #tails: TailCaches;
  readonly #ahead: LazyReadAhead;
  readonly #views = new Map<LogId, Promise<HostLogView>>();
  /** Of logs that this host leads and does not read. */
  readonly #told = new Map<LogId, Announcements>();
  readonly #open = new Map<LogId, HostLogView>();
  #closed = false;
  #isTellingReads = false;

  constructor(options: HostLogViewsOptions) {
    this.#options = options;
    this.#tails = new TailCaches(options.runtime.clock);
    this.#ahead = new LazyReadAhead(options.store, options.readAhead);
  }

  open(log: LogId, first?: FirstRead): Promise<HostLogView> {
    const known = this.#views.get(log);
    this.#open.get(log)?.used();
    if (known !== undefined) return known;
    if (first && !this.#tails.holds(log, first.fetchOffset)) this.#ahead.begin(log, first);
    const opening = this.#openView(log);
    this.#views.set(log, opening);
    opening.catch(() => this.#views.delete(log));
    return opening;
  }

  /** The broker of this host committed: our own views know at once, the others are told. The bytes are ours now. */
  announce(advance: LogAdvance): void {
    if (this.#closed) return;
    const view = this.#open.get(advance.log);
    if (this.#options.isRead(advance.log)) (view?.announcements ?? this.#teller(advance.log)).post(advance);
    if (view) view.apply(advance);
    else this.#tails.take(advance); // who reads it here finds it
  }

  /** To be called every now and then: asks for what nobody announced, closes what nobody has used for long. */
  tick(): void {
    this.#options.store.releaseUnused();
    const nowMs = this.#options.runtime.clock.monotonicMs();
    this.#tails.dropIdle(nowMs - IDLE_MS);
    for (const [log, view] of this.#open) {
      view.tick(nowMs);
      if (!view.idleSince(nowMs - IDLE_MS)) continue;
      this.#open.delete(log);
      this.#views.delete(log);
      this.#tails.drop(log); // of what is written anew from now on, only the leader knows
      view.close();
      this.#tellReads();
    }
  }

  /** What this host wrote and does not read, others may write anew, and nobody tells it. */
  ledNoMore(): void {
    this.#tails.dropAllBut(this.#open);
  }

  /** A log is deleted with its topic: whoever waits for more of it goes on, and nobody waits again. */
  remove(log: LogId): void {
    this.#tails.drop(log);
    const view = this.#open.get(log);
    if (view === undefined) return;
    this.#open.delete(log);
    this.#views.delete(log);
    view.remove();
    this.#tellReads();
  }

  close(): void {
    this.#closed = true;
    this.#tails.dropAllBut(new Map());
    for (const view of this.#open.values()) view.close();
    for (const teller of this.#told.values()) teller.close();
    this.#open.clear();
    this.#views.clear();
    this.#told.clear();
  }

  async #openView(log: LogId): Promise<HostLogView> {
    const { clusterName, runtime, store, transactions } = this.#options;
    this.#told.get(log)?.close();
    this.#told.delete(log);
    const { incarnationId } = store;
    const { channels, clock } = runtime;
    const onAdvance = (advance: LogAdvance) => view.apply(advance);
    const announcements = new Announcements({ clusterName, incarnationId, channels, log, onAdvance });
    const ahead = this.#ahead;
    const onMissed = () => this.#tellReads();
    const tails = this.#tails;
    const view = new HostLogView({ log, clock, store, transactions, announcements, tails, ahead, onMissed });
    this.#open.set(log, view);
    this.#tellReads();
    try {
      await view.refresh(); // after the channel is open: nothing falls in between
    } catch (error) {
      this.#open.delete(log);
      view.close();
      throw error;
    }
    if (this.#closed) view.close();
    return view;
  }

  /** Once for all that changes in a turn. */
  #tellReads(): void {
    if (this.#isTellingReads) return;
    this.#isTellingReads = true;
    void Promise.resolve().then(() => {
      this.#isTellingReads = false;
      if (!this.#closed) this.#options.onReads(this.#open.size <= MAX_TOLD_READS ? [...this.#open.keys()] : undefined);
    });
  }

  #teller(log: LogId): Announcements {
    const { clusterName, runtime, store } = this.#options;
    const known = this.#told.get(log);
    if (known !== undefined) {
      this.#told.delete(log); // to the end: the order is that of last use
      this.#told.set(log, known);
      return known;
    }
    if (this.#told.size >= MAX_TOLD_LOGS) {
      const [oldest, teller] = this.#told.entries().next().value!;
      teller.close();
      this.#told.delete(oldest);
    }
    const { incarnationId } = store;
    const { channels } = runtime;
    const teller = new Announcements({ clusterName, incarnationId, channels, log, onAdvance: () => {} });
    this.#told.set(log, teller);
    return teller;
  }
}

interface HostLogViewOptions {
  readonly log: LogId;
  readonly clock: Runtime['clock'];
  readonly store: LogStore;
  readonly transactions: HostLogViewsOptions['transactions'];
  readonly announcements: Announcements;
  readonly tails: TailCaches;
  readonly ahead: LazyReadAhead;
  /** The database had what nobody announced. */
  readonly onMissed: () => void;
}

interface Waiter {
  readonly offset: number;
  readonly isolationLevel: IsolationLevel;
  readonly resolve: () => void;
}

/** One log as one host sees it. What it claims is committed; it may be behind, by an announcement that is under way. */
export class HostLogView implements LogView {
  readonly announcements: Announcements;
  readonly #options: HostLogViewOptions;
  readonly #waiters = new Set<Waiter>();
  readonly #closing = new AbortController();
  #logStartOffset = 0;
  #highWatermark = 0;
  #lastStableOffset = 0;
  #aborted: AbortedWindow | undefined;
  #usedMs: number;
  #isRemoved = false;
  /** 0: nobody has waited yet. */
  #pollMs = 0;
  #pollAtMs = Infinity;

  constructor(options: HostLogViewOptions) {
    this.#options = options;
    this.announcements = options.announcements;
    this.#usedMs = options.clock.monotonicMs();
  }

  get logStartOffset(): number {
    return this.#logStartOffset;
  }

  get highWatermark(): number {
    return this.#highWatermark;
  }

  get lastStableOffset(): number {
    return this.#lastStableOffset;
  }

  get aborted(): AbortedWindow | undefined {
    return this.#aborted;
  }

  async read(offset: number, maxBytes: number, signal?: AbortSignal): Promise<Uint8Array[]> {
    this.used();
    const endOffset = this.#highWatermark;
    if (offset >= endOffset) return [];
    const { ahead, log, tails } = this.#options;
    const kept = tails.read(log, offset, maxBytes, endOffset);
    if (kept === undefined) return ahead.read({ log, offset, signal }, maxBytes, endOffset);
    ahead.forget({ log, offset });
    return kept;
  }

  async advancedBeyond(offset: number, signal: AbortSignal, isolationLevel: IsolationLevel = 0): Promise<void> {
    this.used();
    signal.throwIfAborted();
    if (this.#isRemoved || this.#endOffset(isolationLevel) > offset) return;
    this.#closing.signal.throwIfAborted();
    const { promise, resolve, reject } = deferred();
    const waiter: Waiter = { offset, isolationLevel, resolve };
    this.#waiters.add(waiter);
    this.#keepPolling();
    const dropOurs = onAbort(this.#closing.signal, () => reject(this.#closing.signal.reason));
    const drop = onAbort(signal, () => reject(signal.reason));
    try {
      await promise;
    } finally {
      drop();
      dropOurs();
      this.#waiters.delete(waiter);
      this.used();
    }
  }

  #endOffset(isolationLevel: IsolationLevel): number {
    return isolationLevel === 0 ? this.#highWatermark : this.#lastStableOffset;
  }

  apply(advance: Omit<LogAdvance, 'log' | 'leaderEpoch'>): void {
    const { tails, ahead, log } = this.#options;
    const { logStartOffset, highWatermark, transactions, rewrittenOffset } = advance;
    // What late news says was true then, and none of the three ever falls.
    this.#logStartOffset = Math.max(this.#logStartOffset, logStartOffset);
    this.#highWatermark = Math.max(this.#highWatermark, highWatermark);
    tails.take({ ...advance, log, logStartOffset: this.#logStartOffset, highWatermark: this.#highWatermark });
    if (rewrittenOffset !== undefined) ahead.forgetLog(log);
    if (transactions !== undefined) this.#applyAborted({ ...transactions, endOffset: highWatermark });
    this.#lastStableOffset = Math.max(this.#lastStableOffset, transactions?.lastStableOffset ?? highWatermark);
    for (const waiter of this.#waiters) if (this.#endOffset(waiter.isolationLevel) > waiter.offset) waiter.resolve();
  }

  /** Goes on where the window ends, else begins a new one: readers find in the database what is before it. */
  #applyAborted({ fromOffset, endOffset, aborted: added }: AbortedWindow): void {
    const known = this.#aborted;
    if (known === undefined || fromOffset > known.endOffset) this.#aborted = { fromOffset, endOffset, aborted: added };
    if (known === undefined || fromOffset > known.endOffset || endOffset <= known.endOffset) return;
    const aborted = [...known.aborted, ...added.filter(({ lastOffset }) => lastOffset >= known.endOffset)];
    const kept = aborted.length > 2 * MAX_ABORTED ? aborted.slice(-MAX_ABORTED) : aborted;
    const first = kept === aborted ? known.fromOffset : (kept[0]?.lastOffset ?? endOffset);
    this.#aborted = { fromOffset: first, endOffset, aborted: kept };
  }

  /** Asks the database how far the log reaches. */
  async refresh(): Promise<void> {
    const { store, log, clock, transactions } = this.#options;
    const { logStartOffset, lastOffset, checkpoint } = await store.ends(log);
    const highWatermark = lastOffset === undefined ? logStartOffset : lastOffset + 1;
    if (highWatermark <= this.#highWatermark && logStartOffset <= this.#logStartOffset) return;
    if (!hasTransactions(checkpoint)) return this.apply({ logStartOffset, highWatermark, chunks: [] });
    const { recoverLog } = await transactions();
    const recovered = await recoverLog(store, log, { nowMs: clock.wallMs(), transactions });
    this.apply({ ...recovered.committed, chunks: [] });
  }

  idleSince(ms: number): boolean {
    return this.#waiters.size === 0 && this.#usedMs < ms;
  }

  remove(): void {
    this.#isRemoved = true;
    for (const waiter of this.#waiters) waiter.resolve();
    this.close();
  }

  close(): void {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(new KafkaError('NETWORK_EXCEPTION', `the view of log ${this.#options.log} is closed`));
    this.announcements.close();
    this.#options.ahead.forgetLog(this.#options.log);
  }

  /** The time to ask the database; only the first time there is a timer for it. */
  tick(nowMs: number): void {
    if (nowMs >= this.#pollAtMs) void this.#poll();
  }

  async #poll(): Promise<void> {
    this.#pollAtMs = Infinity;
    if (this.#waiters.size === 0) return;
    const before = this.#highWatermark;
    await this.refresh().catch(() => {}); // a failing database shows itself to whoever reads
    const isMissed = this.#highWatermark > before;
    if (isMissed) this.#options.onMissed();
    this.#planPoll(isMissed ? POLL_MS : Math.min(this.#pollMs * 2, MAX_POLL_MS));
  }

  #planPoll(pollMs: number): void {
    const { log, clock } = this.#options;
    this.#pollMs = pollMs;
    this.#pollAtMs = clock.monotonicMs() + pollMs * (1 + (log % POLL_GROUPS) / POLL_GROUPS);
  }

  /** Somebody waits. */
  #keepPolling(): void {
    if (this.#pollAtMs < Infinity) return;
    if (this.#pollMs === 0) {
      this.#options.clock.sleep(FIRST_POLL_MS, this.#closing.signal).then(
        () => this.#poll(),
        () => {}, // closing
      );
    }
    this.#planPoll(POLL_MS);
  }

  /** Keeps it from being closed for a while. */
  used(): void {
    this.#usedMs = this.#options.clock.monotonicMs();
  }
}
