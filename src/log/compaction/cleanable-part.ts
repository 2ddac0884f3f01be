import type { TopicConfig } from '../../protocol/topic-config.js';
import type { SegmentRow } from '../../storage/log-store.js';

export type CleanableSegment = Pick<SegmentRow, 'baseOffset' | 'nextOffset' | 'byteCount' | 'maxTimestampMs'>;

export type CompactionRules = Pick<TopicConfig, 'maxCompactionLagMs' | 'minCleanableDirtyRatio' | 'minCompactionLagMs'>;

export interface LogToCheck {
  /** Oldest first, the active one not among them. */
  readonly segments: readonly CleanableSegment[];
  readonly logStartOffset: number;
  /**
   * Nothing from here on is cleaned: the least of the base offset of the active segment, the first offset of an open
   * transaction, and what recovery would replay.
   */
  readonly stableOffset: number;
  /** Where the last pass ended; undefined before the first. */
  readonly cleanedOffset: number | undefined;
}

/** What a pass over a log would clean, and how much there is to gain. */
export interface CleanablePart {
  readonly firstDirtyOffset: number;
  /** Exclusive end: the base offset of a segment. */
  readonly endOffset: number;
  /** Of what earlier passes have cleaned, and of what none has. A segment in which a pass ended counts twice. */
  readonly cleanBytes: number;
  readonly dirtyBytes: number;
}

/**
 * The part of a log that may be cleaned now, of whole closed segments: it ends before the stable offset, and before the
 * first dirty segment with a timestamp of less than `min.compaction.lag.ms` ago (Kafka's LogCleanerManager).
 */
export function cleanablePart(log: LogToCheck, rules: CompactionRules, nowMs: number): CleanablePart {
  const firstDirtyOffset = firstDirtyOffsetOf(log);
  const dirty = dirtySegments(log, firstDirtyOffset);
  const youngestMs = nowMs - rules.minCompactionLagMs;
  const end = dirty.findIndex(({ nextOffset, maxTimestampMs }) => {
    return nextOffset > log.stableOffset || (rules.minCompactionLagMs > 0 && maxTimestampMs > youngestMs);
  });
  const cleanable = end < 0 ? dirty : dirty.slice(0, end);
  return {
    firstDirtyOffset,
    endOffset: Math.max(firstDirtyOffset, cleanable.at(-1)?.nextOffset ?? 0),
    cleanBytes: bytesOf(log.segments.filter(({ baseOffset }) => baseOffset < firstDirtyOffset)),
    dirtyBytes: bytesOf(cleanable),
  };
}

/** Closed segments with an offset that no pass has covered. */
export function dirtySegments(log: LogToCheck, firstDirtyOffset: number = firstDirtyOffsetOf(log)): CleanableSegment[] {
  return log.segments.filter(({ nextOffset }) => nextOffset > firstDirtyOffset);
}

/** The share of bytes that no pass has cleaned yet. */
export function dirtyRatio({ cleanBytes, dirtyBytes }: CleanablePart): number {
  return dirtyBytes === 0 ? 0 : dirtyBytes / (cleanBytes + dirtyBytes);
}

export interface DirtyAge {
  readonly nowMs: number;
  /** The least timestamp with which a dirty segment begins; undefined where it does not matter. */
  readonly oldestDirtyMs: number | undefined;
}

/**
 * Whether a pass is due: more of the log is dirty than `min.cleanable.dirty.ratio`, or a dirty segment began longer than
 * `max.compaction.lag.ms` ago.
 */
export function isDue(part: CleanablePart, rules: CompactionRules, { nowMs, oldestDirtyMs }: DirtyAge): boolean {
  if (part.dirtyBytes === 0) return false;
  const isOverdue = oldestDirtyMs !== undefined && oldestDirtyMs < nowMs - rules.maxCompactionLagMs;
  return isOverdue || dirtyRatio(part) > rules.minCleanableDirtyRatio;
}

/** A log that lost its beginning is dirty from its start; so is one that ends before the last pass did. */
function firstDirtyOffsetOf({ cleanedOffset, logStartOffset, stableOffset, segments }: LogToCheck): number {
  const endOffset = Math.max(stableOffset, segments.at(-1)?.nextOffset ?? 0);
  if (cleanedOffset === undefined || cleanedOffset > endOffset) return logStartOffset;
  return Math.max(cleanedOffset, logStartOffset);
}

function bytesOf(segments: readonly CleanableSegment[]): number {
  return segments.reduce((bytes, { byteCount }) => bytes + byteCount, 0);
}
