import { KafkaError } from '../protocol/errors.js';
import type { Chunk, Commit, LogCheckpoint, LogId, LogStore, SegmentRow } from '../storage/log-store.js';
import { isFenced } from '../storage/storage-errors.js';
import { assert } from '../util/assert.js';
import { type Deferred, deferred } from '../util/signal.js';
import { packChunks, type StampedBatches } from './chunk-packing.js';
import type { AdvanceOfTransactions, LogAdvance } from './log-view.js';

/** A commit takes what is queued up to about this much: sixteen rows and more cost little above one. */
const COMMIT_BYTES = 1024 * 1024;
/** The next commit is handed over while the platform still works on the last one. */
const MAX_COMMITS_IN_FLIGHT = 2;
/** Above this, whoever wants to append waits. */
const MAX_QUEUED_BYTES = 16 * 1024 * 1024;

export interface GroupCommitOptions {
  readonly store: LogStore;
  readonly leaderEpoch: number;
  /**
   * Called after each commit and each move of a log start, before the appends are answered. `chunks` is all that was
   * committed: whoever sends it on leaves out what is large. Must not throw.
   */
  readonly onCommitted: (advances: readonly LogAdvance[]) => void;
  /** Called with each failure that made commits fail, once for all that fail with it. Must not throw. */
  readonly onFailed?: (error: unknown) => void;
}

/** The log behind an append, as far as the group commit needs it. */
export interface CommittingLog {
  readonly log: LogId;
  readonly logStartOffset: () => number;
  /**
   * All its appends below `endOffset` are durable. Called in offset order, before the appends are answered. The answer is
   * what is to be told of its transactions.
   */
  committed(endOffset: number): AdvanceOfTransactions | undefined;
  /** None of its appends that are not yet committed ever will be: offsets must be given anew, from the store. */
  failed(): void;
}

/** An append whose offsets are given, or rows alone (no batches). */
export interface QueuedAppend extends StampedBatches {
  readonly owner: CommittingLog;
  /** Ask the system to flush: for power cuts. */
  readonly strict: boolean;
  /** Rows that are written with it. */
  readonly checkpoint?: LogCheckpoint | undefined;
  readonly closedSegment?: SegmentRow | undefined;
}

interface Waiting {
  readonly append: QueuedAppend;
  readonly done: Deferred<void>;
}

/**
 * One broker's way to its database. While commits are in flight, appends of all logs queue; the next commit takes them
 * together, in the order in which they came. If a commit fails, all that is in flight or queued fails with it, because
 * its offsets build on what was not written; a fenced commit ends the whole for good.
 */
export class GroupCommit {
  readonly #store: LogStore;
  readonly #leaderEpoch: number;
  readonly #onCommitted: (advances: readonly LogAdvance[]) => void;
  readonly #onFailed: ((error: unknown) => void) | undefined;
  readonly #deposed = new AbortController();
  #queue: Waiting[] = [];
  #queuedBytes = 0;
  /** In the order in which they were handed over. */
  readonly #inFlight: Flight[] = [];
  /** After a failure, until all that was in flight has settled. */
  #draining = false;
  #pumpScheduled = false;
  #closed = false;
  readonly #roomWaiters: Deferred<void>[] = [];
  readonly #drainWaiters: Deferred<void>[] = [];
  readonly #idleWaiters: Deferred<void>[] = [];

  constructor({ store, leaderEpoch, onCommitted, onFailed }: GroupCommitOptions) {
    this.#store = store;
    this.#leaderEpoch = leaderEpoch;
    this.#onCommitted = onCommitted;
    this.#onFailed = onFailed;
  }

  /** Aborts when a commit was fenced: a newer leader has taken over. */
  get deposed(): AbortSignal {
    return this.#deposed.signal;
  }

  /** Whether the queue takes an append now; else await `room` first. */
  get hasRoom(): boolean {
    return this.#queuedBytes < MAX_QUEUED_BYTES;
  }

  async room(): Promise<void> {
    while (!this.hasRoom) await waitIn(this.#roomWaiters);
  }

  /**
   * Queues an append at once and resolves when it is durable. Its bytes must not change any more.
   * @throws KafkaError FENCED_LEADER_EPOCH, KAFKA_STORAGE_ERROR: it is not in the log.
   */
  async append(append: QueuedAppend): Promise<void> {
    if (this.#deposed.signal.aborted) throw this.#deposed.signal.reason;
    if (this.#closed) throw new KafkaError('KAFKA_STORAGE_ERROR', 'the log writer is closed: nothing was written');
    const done = deferred();
    this.#queue.push({ append, done });
    this.#queuedBytes += append.bytes.byteLength;
    this.#schedulePump();
    return done.promise;
  }

  /** A write beside the commits, such as a deletion, was fenced: no commit will succeed any more, either. */
  fenced(error: KafkaError): void {
    this.#deposed.abort(error);
  }

  /** Tells the readers of a move that no commit made, such as that of a log start. */
  announce(advance: LogAdvance): void {
    this.#onCommitted([advance]);
  }

  /** Resolves once nothing is in flight that a failure dooms: a log that `failed` may then ask the store. */
  async drained(): Promise<void> {
    while (this.#draining) await waitIn(this.#drainWaiters);
  }

  /** Writes what is queued and takes no more. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    while (!this.#isIdle) await waitIn(this.#idleWaiters);
  }

  /** Not at once, so that appends of one turn of the event loop share a commit. */
  #schedulePump(): void {
    if (this.#pumpScheduled) return;
    this.#pumpScheduled = true;
    void Promise.resolve().then(() => {
      this.#pumpScheduled = false;
      this.#pump();
    });
  }

  #pump(): void {
    if (this.#draining) return;
    while (this.#queue.length > 0 && this.#inFlight.length < MAX_COMMITS_IN_FLIGHT) this.#begin(this.#take());
  }

  #take(): readonly Waiting[] {
    let bytes = 0;
    let count = 0;
    for (const { append } of this.#queue) {
      if (bytes >= COMMIT_BYTES) break;
      bytes += append.bytes.byteLength;
      count++;
    }
    this.#queuedBytes -= bytes;
    if (this.hasRoom) wake(this.#roomWaiters);
    return this.#queue.splice(0, count);
  }

  /** The reactions hang on the store's promise itself: nothing may begin between a failure and our knowing of it. */
  #begin(group: readonly Waiting[]): void {
    const parts = partsOf(group);
    const commit: Commit = {
      leaderEpoch: this.#leaderEpoch,
      chunks: parts.flatMap(({ chunks }) => chunks),
      checkpoints: parts.flatMap(({ checkpoint }) => checkpoint ?? []),
      segments: group.flatMap(({ append }) => append.closedSegment ?? []),
    };
    const strict = group.some(({ append }) => append.strict);
    const flight: Flight = { group, parts, outcome: undefined };
    this.#inFlight.push(flight);
    this.#store.append(commit, strict ? 'strict' : 'relaxed').then(
      () => this.#landed(flight, { committed: true }),
      (error: unknown) => this.#landed(flight, { committed: false, error }),
    );
  }

  /** Outcomes are dealt with in the order of the commits, whatever the order in which they become known. */
  #landed(flight: Flight, outcome: Outcome): void {
    flight.outcome = outcome;
    try {
      for (let first = this.#inFlight[0]; first?.outcome; first = this.#inFlight[0]) {
        this.#inFlight.shift();
        if (first.outcome.committed) this.#succeeded(first.group, first.parts);
        else this.#failed(first.group, first.outcome.error);
      }
    } finally {
      if (this.#inFlight.length === 0) this.#drained();
      this.#schedulePump(); // not now: for the store we know of a failure only after this turn
      if (this.#isIdle) wake(this.#idleWaiters);
    }
  }

  #succeeded(group: readonly Waiting[], parts: readonly Part[]): void {
    assert(!this.#draining, 'a commit behind a failed one fails too');
    const advances: LogAdvance[] = [];
    for (const { owner, chunks } of parts) {
      const last = chunks.at(-1);
      if (last === undefined) continue;
      const highWatermark = last.lastOffset + 1;
      const transactions = owner.committed(highWatermark);
      const logStartOffset = owner.logStartOffset();
      const bounds = { log: owner.log, leaderEpoch: this.#leaderEpoch, logStartOffset, highWatermark };
      advances.push({ ...bounds, chunks, ...(transactions && { transactions }) });
    }
    try {
      if (advances.length > 0) this.#onCommitted(advances);
    } finally {
      for (const { done } of group) done.resolve(); // they are durable, whatever becomes of the announcement
    }
  }

  /** What is in flight behind will fail by itself; its logs must know before they take another append. */
  #failed(group: readonly Waiting[], error: unknown): void {
    if (isFenced(error)) this.fenced(error);
    const queued = this.#draining ? [] : this.#emptyQueue();
    if (!this.#draining) this.#onFailed?.(error);
    this.#draining = true;
    const behind = this.#inFlight.flatMap((flight) => flight.group);
    for (const { append } of [...group, ...behind, ...queued]) append.owner.failed();
    for (const { done } of group) done.reject(error);
    for (const { done } of queued) done.reject(errorBehind(error));
  }

  #emptyQueue(): readonly Waiting[] {
    const queued = this.#queue;
    this.#queue = [];
    this.#queuedBytes = 0;
    wake(this.#roomWaiters);
    return queued;
  }

  #drained(): void {
    this.#draining = false;
    wake(this.#drainWaiters);
  }

  get #isIdle(): boolean {
    return this.#inFlight.length === 0 && this.#queue.length === 0;
  }
}

/** A commit that was handed to the store. */
interface Flight {
  readonly group: readonly Waiting[];
  readonly parts: readonly Part[];
  outcome: Outcome | undefined;
}

type Outcome = { readonly committed: true } | { readonly committed: false; readonly error: unknown };

/** The share of one log in a commit. */
interface Part {
  readonly owner: CommittingLog;
  readonly chunks: readonly Chunk[];
  /** The last one holds all that the earlier ones do. */
  readonly checkpoint: LogCheckpoint | undefined;
}

function partsOf(group: readonly Waiting[]): Part[] {
  const byOwner = new Map<CommittingLog, QueuedAppend[]>();
  for (const { append } of group) {
    const appends = byOwner.get(append.owner);
    if (appends) appends.push(append);
    else byOwner.set(append.owner, [append]);
  }
  return [...byOwner].map(([owner, appends]) => ({
    owner,
    chunks: packChunks(owner.log, appends),
    checkpoint: appends.findLast(({ checkpoint }) => checkpoint !== undefined)?.checkpoint,
  }));
}

function errorBehind(error: unknown): KafkaError {
  if (isFenced(error)) return error;
  const text = error instanceof Error ? error.message : String(error);
  return new KafkaError('KAFKA_STORAGE_ERROR', `a commit ahead failed, nothing was written: ${text}`, { cause: error });
}

function waitIn(waiters: Deferred<void>[]): Promise<void> {
  const waiter = deferred();
  waiters.push(waiter);
  return waiter.promise;
}

function wake(waiters: Deferred<void>[]): void {
  for (const waiter of waiters.splice(0)) waiter.resolve();
}
