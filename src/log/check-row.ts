import type { LogFinding } from '../protocol/requests.js';
import { type BatchSpan, batchSpanAt, isGap, soundSizeAt } from '../record/batch-header.js';
import { BASE_OFFSET_AT } from '../record/batch-layout.js';
import { setInt64 } from '../util/bytes.js';
import { findSoundBatch } from './sound-stretch.js';

/** One row, or one sealed segment. */
export interface RowToCheck {
  readonly bytes: Uint8Array;
  /** As its key says. */
  readonly lastOffset: number;
  /** What lies before it ends here: with this offset it should begin. */
  readonly nextOffset: number;
  /** It may begin before: part of it is deleted. */
  readonly mayBeginBefore: boolean;
  /** Compaction may have taken offsets out. */
  readonly mayLeaveOut: boolean;
}

/** A stretch of a row that is right, or was put right; or that is lost, where it has no bytes. */
export interface RowPart {
  readonly fromOffset: number;
  /** Exclusive. */
  readonly nextOffset: number;
  readonly bytes: Uint8Array | undefined;
}

export interface CheckedRow {
  readonly findings: readonly LogFinding[];
  /** In offset order, one batch each. */
  readonly parts: readonly RowPart[];
  readonly nextOffset: number;
}

/**
 * Tells what of a row can stay. Batches are found by their checksums, wherever they lie; a base offset, which no checksum
 * covers, is put right where the batches around it agree on it.
 */
export function checkRow(row: RowToCheck): CheckedRow {
  const { bytes, lastOffset: end, mayLeaveOut } = row;
  const findings: LogFinding[] = [];
  const parts: RowPart[] = [];
  let next = row.nextOffset;
  const first = soundSizeAt(bytes, 0) === undefined ? undefined : batchSpanAt(bytes, 0);
  if (row.mayBeginBefore && first !== undefined && first.baseOffset >= 0 && first.baseOffset < next)
    next = first.baseOffset;

  const find = (kind: LogFinding['kind'], nextOffset: number, detail: string): void => {
    findings.push({ kind, fromOffset: next, nextOffset, detail });
  };
  const lose = (kind: LogFinding['kind'], nextOffset: number, detail: string): void => {
    find(kind, nextOffset, detail);
    parts.push({ fromOffset: next, nextOffset, bytes: undefined });
    next = nextOffset;
  };
  const keep = (batch: Uint8Array, { baseOffset, lastOffset }: BatchSpan): void => {
    parts.push({ fromOffset: baseOffset, nextOffset: lastOffset + 1, bytes: batch });
    next = lastOffset + 1;
  };

  for (let at = 0; at < bytes.byteLength; ) {
    const size = soundSizeAt(bytes, at);
    if (size === undefined) {
      const found = findSoundBatch(bytes, at + 1, (span) => span.baseOffset >= next && span.lastOffset <= end);
      const following = found === undefined ? end + 1 : batchSpanAt(bytes, found).baseOffset;
      const text = `expected a sound batch at byte ${at}, found none up to byte ${found ?? bytes.byteLength}`;
      if (following > next) lose('corrupt', following, text);
      else find('corrupt', next, text);
      at = found ?? bytes.byteLength;
      continue;
    }
    const span = batchSpanAt(bytes, at);
    const batch = bytes.subarray(at, at + size);
    const right = next + span.lastOffsetDelta;
    if (span.baseOffset === next && span.lastOffset <= end) {
      keep(batch, span);
      at += size;
      continue;
    }
    const following =
      soundSizeAt(bytes, at + size) === undefined ? undefined : batchSpanAt(bytes, at + size).baseOffset;
    const isOutOfOrder =
      span.baseOffset < next || (following !== undefined && following > next && following <= span.lastOffset);
    if ((!mayLeaveOut || isOutOfOrder) && isFollowedBy(row, at + size, right + 1) && right <= end) {
      find('wrong-offset', right + 1, `expected base offset ${next}, found ${span.baseOffset}`);
      keep(withBaseOffset(batch, next), { ...span, baseOffset: next, lastOffset: right });
    } else if (mayLeaveOut && isOutOfOrder && span.baseOffset > next) {
      lose('corrupt', following ?? end + 1, `expected base offset ${next}, found ${span.baseOffset}`);
    } else if (span.baseOffset > next && span.lastOffset <= end) {
      if (!mayLeaveOut) lose('missing', span.baseOffset, `expected offset ${next}, found ${span.baseOffset}`);
      keep(batch, span);
    } else if (!mayLeaveOut && span.lastOffset < next && span.baseOffset >= 0) {
      find('overlap', next, `expected offset ${next}, found offsets ${span.baseOffset} to ${span.lastOffset} again`);
    } else {
      const found = findSoundBatch(bytes, at + size, (other) => other.baseOffset >= next && other.lastOffset <= end);
      const following = found === undefined ? end + 1 : batchSpanAt(bytes, found).baseOffset;
      if (following > next) lose('corrupt', following, `expected base offset ${next}, found ${span.baseOffset}`);
      at = found ?? bytes.byteLength;
      continue;
    }
    at += size;
  }
  return { findings, parts, nextOffset: next };
}

export interface WholeSpan {
  readonly baseOffset: number;
  readonly lastOffset: number;
  readonly batchCount: number;
}

/** The offsets of a row whose batches are all sound and follow each other; undefined for any other. */
export function wholeSpan(bytes: Uint8Array): WholeSpan | undefined {
  let span: WholeSpan | undefined;
  for (let at = 0; at < bytes.byteLength; ) {
    const size = soundSizeAt(bytes, at);
    if (size === undefined) return undefined;
    const { baseOffset, lastOffset } = batchSpanAt(bytes, at);
    if (baseOffset < 0 || (span !== undefined && baseOffset !== span.lastOffset + 1)) return undefined;
    span = { baseOffset: span?.baseOffset ?? baseOffset, lastOffset, batchCount: (span?.batchCount ?? 0) + 1 };
    at += size;
  }
  return span;
}

export function isGapPart({ bytes }: RowPart): boolean {
  return bytes !== undefined && isGap(batchSpanAt(bytes, 0));
}

/** Whether what lies behind a batch begins with `offset`: the next batch, or the end of the row. */
function isFollowedBy({ bytes, lastOffset }: RowToCheck, at: number, offset: number): boolean {
  if (at === bytes.byteLength) return lastOffset + 1 === offset;
  return soundSizeAt(bytes, at) !== undefined && batchSpanAt(bytes, at).baseOffset === offset;
}

/** A copy of a batch that begins at `baseOffset`. */
function withBaseOffset(batch: Uint8Array, baseOffset: number): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(batch);
  setInt64(copy, BASE_OFFSET_AT, baseOffset);
  return copy;
}
