import type { BatchKeys } from '../log/batch-keys.js';
import { enforceRetention } from '../log/log-upkeep.js';
import type { PartitionLog } from '../log/partition-log.js';
import { ignoreKafkaError } from '../protocol/errors.js';
import type { Clock } from '../runtime/runtime.js';
import type { LogId, LogStore } from '../storage/log-store.js';
import { abortable } from '../util/signal.js';
import type { BrokerConfig } from './broker-config.js';
import type { BrokerParts } from './broker-parts.js';
import type { Controller } from './controller.js';
import type { GroupCoordinator } from './coordinator/group-coordinator.js';
import type { ProduceContext } from './handle-produce.js';
import { logOf } from './metadata-image.js';
import { keepMetadataShort } from './metadata-snapshot.js';
import type { PartitionLogs } from './partition-logs.js';

/** After it took up the work, a broker has more urgent things to do than what its predecessors left to be sealed. */
const SEALING_AFTER_MS = 2_000;

export interface MaintenanceContext {
  readonly store: LogStore;
  readonly leaderEpoch: number;
  readonly clock: Clock;
  readonly parts: BrokerParts;
  /** Ends it all. */
  readonly signal: AbortSignal;
  readonly controller: Controller;
  readonly logs: PartitionLogs;
  readonly partitions: ProduceContext;
  readonly config: () => BrokerConfig;
  /** Nothing where no group has ever been. Expected failures are left for the next time. */
  readonly withGroups: (work: (groups: GroupCoordinator) => Promise<void>) => Promise<void>;
  /** Logs of which a segment has closed since the last call; resolves once there may be one. */
  readonly segmentsClosed: () => Promise<ReadonlySet<LogId>>;
  /** After every retention. */
  readonly onRetained: () => Promise<void>;
  readonly batchKeys?: (() => Promise<BatchKeys | undefined>) | undefined;
}

/** What a broker does when nobody asks: retention, sealing, compaction, and the deletion of what was removed. */
export class Maintenance {
  readonly #context: MaintenanceContext;
  #deleting: Promise<void> | undefined;

  constructor(context: MaintenanceContext) {
    this.#context = context;
  }

  /** Until the signal aborts; then nothing of it is left. */
  async run(): Promise<void> {
    this.deleteRemovedLogs();
    const sinceRetention = this.#sinceRetention();
    await Promise.all([
      this.#keepRetention(sinceRetention),
      this.#keepOffsetsExpiry(sinceRetention),
      this.#keepSealed(),
    ]);
    await this.#deleting;
  }

  /**
   * In the background, one log after another, until none is left; what a dead leader left over is found at open. The
   * metadata log, which grows with every topic that came and went, is kept short meanwhile.
   */
  deleteRemovedLogs(): void {
    this.#deleting ??= this.#deleteLogs().finally(() => (this.#deleting = undefined));
  }

  async #deleteLogs(): Promise<void> {
    const { store, leaderEpoch, clock, controller, logs: open, signal } = this.#context;
    try {
      for (;;) {
        await keepMetadataShort(controller, clock);
        if (controller.image.removedLogs.size === 0) return;
        const logs = [...controller.image.removedLogs];
        for (const log of logs) {
          if (signal.aborted) return;
          await open.drop(log);
          await store.deleteLog(log, leaderEpoch);
        }
        const records = [{ type: 'RemoveLogsRecord', logs } as const];
        await controller.change(() => ({ records, answer: undefined }));
      }
    } catch (error) {
      ignoreKafkaError(error); // the next retention check or leader tries again
    }
  }

  /** Each interval of the wall clock, whoever leads: of a page that is left after a minute each leader lives so long. */
  async #keepRetention(sinceRetention: Promise<number>): Promise<void> {
    const { clock, store, leaderEpoch } = this.#context;
    const interval = (): number => this.#context.config().logRetentionCheckIntervalMs;
    let waitMs = this.#firstWaitMs(interval(), interval() - (await sinceRetention));
    while (await this.#slept(waitMs)) {
      this.deleteRemovedLogs();
      await this.enforceRetention();
      await store.renewLeadership(leaderEpoch, { retainedMs: clock.wallMs() }).catch(ignoreKafkaError);
      await this.#context.onRetained();
      waitMs = interval();
    }
  }

  /** How long ago any leader enforced retention; Infinity where none did, or the storage does not say. */
  async #sinceRetention(): Promise<number> {
    const { clock, store } = this.#context;
    try {
      const { retainedMs = Number.NEGATIVE_INFINITY } = await store.leadership();
      return clock.wallMs() - retainedMs;
    } catch (error) {
      ignoreKafkaError(error);
      return Number.POSITIVE_INFINITY;
    }
  }

  /** A clock that jumped may say anything: never longer than the interval. */
  #firstWaitMs(intervalMs: number, dueInMs: number): number {
    return Math.min(intervalMs, Math.max(this.#context.config().logInitialTaskDelayMs, dueInMs));
  }

  /**
   * Applies the retention of every topic, log after log; a log that fails is left for the next time. One that is only
   * compacted forgets its silent producers, if it is open: who opens it later finds those that are left.
   */
  async enforceRetention(): Promise<void> {
    const { partitions, logs, signal } = this.#context;
    for (const topic of partitions.image().topics.values()) {
      for (const partition of topic.partitions) {
        if (signal.aborted) return;
        if (logOf(partitions.image(), topic.name, partition.partitionId) !== partition.log) continue;
        try {
          const deletes = topic.config.cleanupPolicy.delete;
          const log = await (deletes ? partitions.open(topic, partition) : logs.known(partition.log));
          if (log) await enforceRetention(log);
        } catch (error) {
          ignoreKafkaError(error);
        }
      }
    }
  }

  async #keepSealed(): Promise<void> {
    if (!(await this.#slept(SEALING_AFTER_MS))) return;
    const { store, leaderEpoch, clock, parts, signal, partitions, segmentsClosed, batchKeys } = this.#context;
    try {
      const { keepSealed } = await abortable(parts.sealing(), signal);
      await keepSealed({
        store,
        leaderEpoch,
        clock,
        signal,
        partitions,
        logs: () => this.#openers(),
        segmentsClosed,
        batchKeys,
      });
    } catch (error) {
      ignoreKafkaError(error); // a part that cannot be loaded: the next leader seals
    }
  }

  #openers(): ReadonlyMap<LogId, () => Promise<PartitionLog>> {
    const { partitions } = this.#context;
    const openers = new Map<LogId, () => Promise<PartitionLog>>();
    for (const topic of partitions.image().topics.values()) {
      for (const partition of topic.partitions) openers.set(partition.log, () => partitions.open(topic, partition));
    }
    return openers;
  }

  /**
   * Where somebody led a while ago, groups had the time to come back, and a leader that lives shortly does it, too. Else
   * the cluster has not run for long, maybe for longer than the retention, and they get the whole interval.
   */
  async #keepOffsetsExpiry(sinceRetention: Promise<number>): Promise<void> {
    const { config, withGroups } = this.#context;
    const interval = (): number => config().offsetsRetentionCheckIntervalMs;
    const sinceMs = await sinceRetention;
    const isInUse = sinceMs >= 0 && sinceMs <= 2 * interval();
    let waitMs = isInUse ? this.#firstWaitMs(interval(), 0) : interval();
    while (await this.#slept(waitMs)) {
      await withGroups((groups) => groups.expireOffsets());
      waitMs = interval();
    }
  }

  /** False once the broker is closed. */
  async #slept(ms: number): Promise<boolean> {
    const { clock, signal } = this.#context;
    try {
      await clock.sleep(ms, signal);
      return true;
    } catch {
      return false;
    }
  }
}
