import type { TopicConfig } from '../protocol/topic-config.js';
import type { SegmentRow } from '../storage/log-store.js';

export type RetentionRules = Pick<TopicConfig, 'cleanupPolicy' | 'retentionBytes' | 'retentionMs'>;

type Segment = Pick<SegmentRow, 'byteCount' | 'maxTimestampMs'>;

/**
 * How many of the oldest segments are to go. `segments` are all of the log, oldest first, the active one last.
 *
 * By time: while the largest timestamp of the oldest is older than `retention.ms`; a segment without timestamps stays.
 * By size: while the rest without the oldest would still be `retention.bytes` or more. (Kafka's rules; the active
 * segment may go, too: it is rolled first.)
 */
export function expiredSegmentCount(segments: readonly Segment[], rules: RetentionRules, nowMs: number): number {
  if (!rules.cleanupPolicy.delete) return 0;
  return Math.max(expiredByTime(segments, rules.retentionMs, nowMs), expiredBySize(segments, rules.retentionBytes));
}

function expiredByTime(segments: readonly Segment[], retentionMs: number, nowMs: number): number {
  if (retentionMs < 0) return 0;
  const kept = segments.findIndex(({ byteCount, maxTimestampMs }) => {
    return byteCount === 0 || maxTimestampMs < 0 || nowMs - maxTimestampMs <= retentionMs;
  });
  return kept < 0 ? segments.length : kept;
}

function expiredBySize(segments: readonly Segment[], retentionBytes: number): number {
  if (retentionBytes < 0) return 0;
  let surplus = segments.reduce((bytes, { byteCount }) => bytes + byteCount, 0) - retentionBytes;
  const kept = segments.findIndex(({ byteCount }) => byteCount === 0 || (surplus -= byteCount) < 0);
  return kept < 0 ? segments.length : kept;
}
