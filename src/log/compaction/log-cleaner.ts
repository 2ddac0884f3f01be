import { KafkaError } from '../../protocol/errors.js';
import type { TopicConfig } from '../../protocol/topic-config.js';
import {
  batchesIn,
  isControl,
  NO_PRODUCER_EPOCH,
  NO_PRODUCER_ID,
  NO_SEQUENCE,
  readBatchHeader,
} from '../../record/batch-header.js';
import { CONTROL_BIT, TRANSACTIONAL_BIT } from '../../record/batch-layout.js';
import type { BatchHeader } from '../../record/record.js';
import { emptiedBatch } from '../../record/rewritten-batch.js';
import type { Clock } from '../../runtime/runtime.js';
import type { LogId, LogStore, SegmentRow } from '../../storage/log-store.js';
import { publishStaged, SealedSegmentBuilder } from '../../storage/sealed-segment.js';
import { type AbortedTransaction, packAborted, unpackAborted } from '../aborted-transactions.js';
import type { BatchKeys } from '../batch-keys.js';
import { decidedBehind, rewriteClosed } from '../log-upkeep.js';
import type { PartitionLog } from '../partition-log.js';
import {
  type CleanablePart,
  cleanablePart,
  dirtyRatio,
  dirtySegments,
  isDue,
  type LogToCheck,
} from './cleanable-part.js';
import { type CleanedSegments, compactionPass, type LogToClean } from './compaction-pass.js';
import { slotsWithin } from './offset-map.js';

/** Kafka's `log.cleaner.dedupe.buffer.size`, in a tab's measure: 524,000 keys a pass. */
const MAP_BYTES = 16 * 1024 * 1024;

export interface LogCleanerOptions {
  readonly store: LogStore;
  readonly leaderEpoch: number;
  readonly clock: Clock;
  /** How large the offset map of a pass may become. */
  readonly mapBytes?: number;
  readonly batchKeys?: (() => Promise<BatchKeys | undefined>) | undefined;
}

/** A log whose `cleanup.policy` includes compact. */
export interface CompactedLog {
  readonly log: LogId;
  /** Asked anew at each use. */
  readonly config: () => TopicConfig;
  /** Of the leader. @throws KafkaError: it could not be opened. */
  readonly open: () => Promise<PartitionLog>;
}

/** A log with a pass that is due. */
interface DueLog {
  readonly compacted: CompactedLog;
  readonly segments: readonly SegmentRow[];
  readonly part: CleanablePart;
  /** All that have data in the part. */
  readonly abortedTransactions: readonly AbortedTransaction[];
}

/**
 * The leader's cleaner of compacted logs (Kafka's LogCleaner, with one thread). It works on closed segments, of which it
 * seals the cleaned bytes: those are written beside the log, and take the place of what they replace in one fenced IDB
 * transaction. A kill at any step leaves the log as it was before or after such a step, and the next pass begins where
 * the last whole one ended. Appends go on meanwhile: they wait for no more than one such transaction, which moves no
 * bytes of records.
 */
export class LogCleaner {
  readonly #options: LogCleanerOptions;
  readonly #mapSlots: number;
  /**
   * Damaged, with the log start of then: left alone until it is opened again, which comes behind a repair, or a part is
   * deleted: that may be the damaged one, and what is read while it is deleted looks damaged.
   */
  readonly #uncleanable = new WeakMap<PartitionLog, number>();

  constructor(options: LogCleanerOptions) {
    this.#options = options;
    this.#mapSlots = slotsWithin(options.mapBytes ?? MAP_BYTES);
  }

  /**
   * One pass over each log that needs one, the dirtiest first. A log that fails is left for the next time. Ends early
   * where `signal` aborts, or where a newer leader has taken over, which the group commit then knows.
   */
  async cleanAll(logs: Iterable<CompactedLog>, signal: AbortSignal): Promise<void> {
    const due: DueLog[] = [];
    for (const compacted of logs) {
      if (signal.aborted) return;
      await this.#attempt(async (opened) => due.push(...(await this.#dueLog(compacted, opened))));
    }
    due.sort((a, b) => dirtyRatio(b.part) - dirtyRatio(a.part));
    for (const log of due) {
      if (signal.aborted) return;
      await this.#attempt((opened) => this.#clean(log, opened, signal));
    }
  }

  /** `work` tells with what log it begins. */
  async #attempt(work: (opened: (leader: PartitionLog) => PartitionLog) => Promise<unknown>): Promise<void> {
    let begun: readonly [leader: PartitionLog, logStartOffset: number] | undefined;
    try {
      await work((leader) => {
        begun = [leader, leader.logStartOffset];
        return leader;
      });
    } catch (error) {
      if (!(error instanceof KafkaError)) throw error;
      if (error.type === 'CORRUPT_MESSAGE' && begun) this.#uncleanable.set(...begun);
    }
  }

  async #dueLog(compacted: CompactedLog, opened: (leader: PartitionLog) => PartitionLog): Promise<DueLog[]> {
    const { store, clock } = this.#options;
    const { log } = compacted;
    if (!mayBeDirty(await store.segments(log))) return []; // it need not even be opened
    const leader = opened(await compacted.open());
    if (this.#uncleanable.get(leader) === leader.logStartOffset) return [];
    const config = compacted.config();
    const nowMs = clock.wallMs();
    const segments = await store.segments(log);
    const decided = decidedBehind(leader, segments);
    if (decided === undefined) return []; // a segment closes just now: it will be told of
    const { logStartOffset } = leader;
    const { lastStableOffset: stableOffset } = decided;
    const state: LogToCheck = { segments, logStartOffset, stableOffset, cleanedOffset: cleanedOffsetOf(segments) };
    const part = cleanablePart(state, config, nowMs);
    if (part.dirtyBytes === 0) return [];
    const isBounded = Number.isFinite(config.maxCompactionLagMs);
    const oldestDirtyMs = isBounded ? await this.#oldestDirtyMs(log, dirtySegments(state)) : undefined;
    if (!isDue(part, config, { nowMs, oldestDirtyMs })) return [];
    const ofClosed = segments.flatMap((row) => unpackAborted(row.abortedTransactions));
    return [{ compacted, segments, part, abortedTransactions: [...ofClosed, ...decided.aborted] }];
  }

  /** The least of the timestamps with which the segments begin. */
  async #oldestDirtyMs(
    log: LogId,
    segments: readonly Pick<SegmentRow, 'baseOffset' | 'nextOffset'>[],
  ): Promise<number> {
    let oldestMs = Number.POSITIVE_INFINITY;
    for (const { baseOffset, nextOffset } of segments) {
      const [chunk] = await this.#options.store.read(log, baseOffset, 1, nextOffset);
      if (chunk === undefined) continue;
      for (const { header } of batchesIn(chunk)) {
        if (header.baseOffset < baseOffset) continue; // of the segment before
        if (header.maxTimestampMs > 0) oldestMs = Math.min(oldestMs, header.maxTimestampMs);
        break;
      }
    }
    return oldestMs;
  }

  async #clean(
    { compacted, segments, part, abortedTransactions }: DueLog,
    opened: (leader: PartitionLog) => PartitionLog,
    signal: AbortSignal,
  ): Promise<void> {
    const { store, clock, leaderEpoch, batchKeys } = this.#options;
    const { log } = compacted;
    const leader = opened(await compacted.open());
    // What a dead leader left; and from here on recovery replays nothing of these segments.
    await rewriteClosed(leader, () => store.sweepSealed(log, leaderEpoch));
    const sealed = await store.sealedSegments(log);
    const sealedEndOffset = sealed.at(-1)?.nextOffset ?? 0;
    const source: LogToClean = {
      log,
      segments,
      layout: { logStartOffset: leader.logStartOffset, sealed },
      abortedTransactions,
      producer: (producerId) => leader.producer(producerId),
      read: (offset, maxBytes, endOffset) => {
        signal.throwIfAborted();
        return store.read(log, offset, maxBytes, endOffset);
      },
    };
    const { deleteRetentionMs, segmentBytes } = compacted.config();
    const rules = { deleteRetentionMs, segmentBytes, nowMs: clock.wallMs() };
    const means = { mapSlots: this.#mapSlots, batchKeys: await batchKeys?.() };
    const pass = compactionPass(source, part, { ...rules, ...means });
    let step = await pass.next();
    for (; !step.done; step = await pass.next()) {
      signal.throwIfAborted();
      const cleaned = step.value;
      // Behind what is sealed all is published, changed or not: the sealed part of a log has no holes.
      if (!cleaned.isChanged && cleaned.row.nextOffset <= sealedEndOffset) continue;
      await rewriteClosed(leader, async ({ rewritten }) => {
        await this.#replace(cleaned, abortedTransactions);
        rewritten(cleaned.row.nextOffset);
      });
    }
    const cleanedOffset = step.value;
    await rewriteClosed(leader, async ({ rows }) => {
      await store.sweepSealed(log, leaderEpoch);
      // Kafka's cleaner-offset-checkpoint: kept in the row of the last segment that the pass has cleaned.
      const row = rows.findLast(({ baseOffset }) => baseOffset < cleanedOffset);
      if (row !== undefined) await leader.inside.writeRows({ closedSegment: { ...row, cleanedOffset } });
    });
  }

  async #replace(
    { row, batches, lastBatch }: CleanedSegments,
    abortedTransactions: readonly AbortedTransaction[],
  ): Promise<void> {
    const { store, leaderEpoch } = this.#options;
    const { log, baseOffset, nextOffset, startPosition } = row;
    const builder = new SealedSegmentBuilder(log, baseOffset);
    for (const batch of batches) builder.add(batch);
    // A segment of which nothing is left still tells how old it is.
    if (batches.length === 0 && lastBatch !== undefined) builder.add(emptiedBatch(ofNobody(lastBatch)));
    const { byteCount } = builder;
    const moved = startPosition + row.byteCount - byteCount;
    const maxTimestampMs = maxTimestampOf(row, lastBatch);
    const aborted = indexOf(batches, abortedTransactions);
    const segments = [{ ...row, byteCount, startPosition: moved, maxTimestampMs, ...aborted }];
    const sealed = await store.stageSealed(builder.finish(nextOffset), leaderEpoch);
    await publishStaged(store, { log, baseOffset, nextOffset, sealed: [sealed], segments }, leaderEpoch);
  }
}

/**
 * The aborted transactions that the row of a cleaned segment names: those whose marker is there. Kafka's index forgets one
 * earlier, with its data; but a reader may hold data of before the last pass, and is told here only what is told now.
 */
function indexOf(
  batches: readonly Uint8Array[],
  aborted: readonly AbortedTransaction[],
): Pick<SegmentRow, 'abortedTransactions'> {
  if (aborted.length === 0) return {};
  const headers = batches.map((batch) => readBatchHeader(batch));
  const markers = new Set(
    headers.filter((header) => isControl(header) && header.recordCount > 0).map(({ baseOffset }) => baseOffset),
  );
  const named = aborted.filter(({ lastOffset }) => markers.has(lastOffset));
  return named.length === 0 ? {} : { abortedTransactions: packAborted(named) };
}

/** Of a producer it would pass, in later passes, for data of the transaction that it was part of. */
function ofNobody(header: BatchHeader): BatchHeader {
  return {
    ...header,
    attributes: header.attributes & ~(TRANSACTIONAL_BIT | CONTROL_BIT),
    producerId: NO_PRODUCER_ID,
    producerEpoch: NO_PRODUCER_EPOCH,
    baseSequence: NO_SEQUENCE,
  };
}

function maxTimestampOf({ byteCount, maxTimestampMs }: SegmentRow, lastBatch: BatchHeader | undefined): number {
  return byteCount === 0 && lastBatch !== undefined ? lastBatch.maxTimestampMs : maxTimestampMs;
}

function mayBeDirty(segments: readonly SegmentRow[]): boolean {
  return (cleanedOffsetOf(segments) ?? 0) < (segments.at(-1)?.nextOffset ?? 0);
}

function cleanedOffsetOf(segments: readonly SegmentRow[]): number | undefined {
  return segments.findLast((row) => row.cleanedOffset !== undefined)?.cleanedOffset;
}
