import { dropOldest } from '../log/log-upkeep.js';
import type { PartitionLog } from '../log/partition-log.js';
import { ignoreKafkaError, KafkaError } from '../protocol/errors.js';
import type { StorageFigures } from '../protocol/storage-state.js';
import type { TopicConfig } from '../protocol/topic-config.js';
import type { Clock } from '../runtime/runtime.js';
import type { LogStore } from '../storage/log-store.js';
import { isQuotaExceeded } from '../storage/storage-errors.js';
import { deferred, linkedController, OVER } from '../util/signal.js';

/** Rest between two attempts to find room; doubles up to MAX_PROBE_MS. Nobody tries while nobody waits. */
const PROBE_MS = 250;
const MAX_PROBE_MS = 5_000;
/** How long an append waits here before its producer is told to send it again. */
const HOLD_MS = 1_000;
/**
 * `drop-oldest` gives up at most so much before an append goes through again: Chromium gives back the space of deleted rows
 * some time later, when LevelDB compacts, and until then the whole topic could be dropped for nothing.
 */
const MAX_DROPPED_BYTES = 32 * 1024 * 1024;

export interface RoomKeeperOptions {
  readonly store: LogStore;
  readonly leaderEpoch: number;
  readonly clock: Clock;
  /** Aborts when the broker closes. */
  readonly closing: AbortSignal;
  /** Deletes what retention lets go, now. */
  readonly enforceRetention: () => Promise<void>;
  /** Tells the host: undefined says that there is room. */
  readonly onFull: (figures: StorageFigures | undefined) => void;
}

/** An append that was refused for want of space, or would be. */
export interface RoomlessAppend<T> {
  readonly name: string;
  readonly policy: TopicConfig['storageFullPolicy'];
  /** As the producer's request says. */
  readonly timeoutMs: number;
  readonly append: () => Promise<T>;
  /** The one that is appended to. */
  readonly log: () => Promise<PartitionLog>;
}

type Probe<T> = Pick<RoomlessAppend<T>, 'append'> & Partial<RoomlessAppend<T>>;

/**
 * What a leader does while its disk is full.
 *
 *   room ── an append was refused ──▶ full ──┐ at most every PROBE_MS to MAX_PROBE_MS, while an append waits:
 *    ▲                                 ▲     │ drop the reserve, let retention run (and drop-oldest), take the
 *    └── reserve and append went through ────┘ reserve again, try the append
 *
 * The reserve is what deletions need where nothing else is left: they write, too. Since it is taken again before an
 * append of a client is tried, these never eat it.
 */
export class RoomKeeper {
  readonly #options: RoomKeeperOptions;
  /** The last refusal; undefined while there is room. */
  #refusal: KafkaError | undefined;
  #probing = false;
  #restMs = PROBE_MS;
  #nextProbeMs = 0;
  #droppedBytes = 0;
  #moved = deferred();

  constructor(options: RoomKeeperOptions) {
    this.#options = options;
  }

  get isFull(): boolean {
    return this.#refusal !== undefined;
  }

  /** A write was refused, of a client or of the broker itself: the latter may have the reserve. */
  refused(error: KafkaError): void {
    if (this.#refusal === undefined) void this.#dropReserve();
    this.#refusal = error;
    this.#tell(error);
  }

  /** To be called now and then: where nobody waits, this finds out that there is room again. */
  async look(): Promise<void> {
    if (this.#refusal === undefined || this.#probing) return;
    await this.#probe({ append: async () => {} }).catch(ignoreKafkaError);
  }

  /**
   * Appends once there is room.
   * @throws KafkaError POLICY_VIOLATION: the topic's policy is to reject. KAFKA_STORAGE_ERROR: no room in time. Both with
   *   the figures of the storage; nothing was written. Else what `append` throws.
   */
  async append<T>(append: RoomlessAppend<T>): Promise<T> {
    const { clock } = this.#options;
    const untilMs = clock.monotonicMs() + Math.min(append.timeoutMs, HOLD_MS);
    for (;;) {
      const nowMs = clock.monotonicMs();
      const refusal = this.#refusal;
      if (refusal === undefined) {
        try {
          return await append.append();
        } catch (error) {
          if (!isQuotaExceeded(error)) throw error;
          this.refused(error as KafkaError); // that is what it is
          continue;
        }
      }
      if (!this.#probing && nowMs >= this.#nextProbeMs) {
        try {
          return await this.#probe(append);
        } catch (error) {
          if (!isQuotaExceeded(error)) throw error;
          continue;
        }
      }
      if (append.policy === 'reject') throw rejection(append.name, refusal);
      if (nowMs >= untilMs) throw roomless(append.name, refusal);
      await this.#pause((this.#probing ? untilMs : Math.min(untilMs, this.#nextProbeMs)) - nowMs);
    }
  }

  /** Makes what room there is to make, and uses it. */
  async #probe<T>({ append, policy, log }: Probe<T>): Promise<T> {
    const { store, leaderEpoch, enforceRetention, onFull, clock } = this.#options;
    this.#probing = true;
    try {
      await store.dropReserve(leaderEpoch);
      await enforceRetention();
      if (policy === 'drop-oldest' && log !== undefined && this.#droppedBytes < MAX_DROPPED_BYTES) {
        this.#droppedBytes += await dropOldest(await log());
      }
      await store.takeReserve(leaderEpoch);
      const result = await append();
      this.#refusal = undefined;
      this.#restMs = PROBE_MS;
      this.#droppedBytes = 0;
      onFull(undefined);
      return result;
    } catch (error) {
      if (isQuotaExceeded(error)) this.#tell(error as KafkaError); // that is what it is
      await this.#dropReserve();
      this.#nextProbeMs = clock.monotonicMs() + this.#restMs;
      this.#restMs = Math.min(this.#restMs * 2, MAX_PROBE_MS);
      throw error;
    } finally {
      this.#probing = false;
      const moved = this.#moved;
      this.#moved = deferred();
      moved.resolve();
    }
  }

  #tell({ storage = { usage: undefined, quota: undefined } }: KafkaError): void {
    this.#options.onFull(storage);
  }

  /** While it is dropped, the broker's own writes have the space: offsets, metadata, what deletions write. */
  async #dropReserve(): Promise<void> {
    await this.#options.store.dropReserve(this.#options.leaderEpoch).catch(ignoreKafkaError);
  }

  async #pause(ms: number): Promise<void> {
    const { clock, closing } = this.#options;
    const timer = linkedController(closing);
    const sleep = clock.sleep(ms, timer.signal);
    try {
      await Promise.race([this.#moved.promise, sleep]);
    } finally {
      sleep.catch(() => {});
      timer.abort(OVER);
    }
  }
}

/** Says so in terms of the append, whatever it was that was refused last: perhaps the reserve. */
function roomless(name: string, { message, cause, storage }: KafkaError): KafkaError {
  return new KafkaError('KAFKA_STORAGE_ERROR', `${name}: storage is full: ${message}`, { cause, storage });
}

function rejection(name: string, refusal: KafkaError): KafkaError {
  const { message, storage } = refusal;
  const text = `${name}: storage is full, and storage.full.policy is reject: ${message}`;
  return new KafkaError('POLICY_VIOLATION', text, { cause: refusal, storage });
}
