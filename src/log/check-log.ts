import type { LogFinding, PartitionGap } from '../protocol/requests.js';
import { readableKeyId } from '../record/batch-encryption.js';
import { batchesIn, batchSpanAt, isTransactional, lastOffsetOf, readBatchHeader } from '../record/batch-header.js';
import type { BatchHeader } from '../record/record.js';
import type { LogId, LogStore, SealedSegment, SegmentRow } from '../storage/log-store.js';
import type { RawChunk, RawLogStore } from '../storage/raw-log-store.js';
import { crc32c } from '../util/crc32c.js';
import { asWritten } from './as-written.js';
import { type CheckedRow, checkRow, isGapPart, type RowPart, type WholeSpan, wholeSpan } from './check-row.js';
import { isSameLayout, layoutOf } from './log-layout.js';
import { type RecoveryOptions, recoverLog } from './log-recovery.js';
import { asLogSnapshot } from './log-snapshot.js';
import { LogState } from './log-state.js';
import type { ProducerEntry } from './producer-state.js';

/** Some MiB at most are held at a time, besides one sealed segment. */
const SLICE_ROWS = 32;
/** At a log that is rewritten all the time. */
const MAX_LOOKS = 5;

export interface LogToCheck {
  readonly store: LogStore;
  readonly raw: RawLogStore;
  readonly log: LogId;
  readonly recovery: RecoveryOptions;
  readonly signal: AbortSignal | undefined;
}

/** A row or sealed segment with what was found in it. */
export interface CheckedPiece extends CheckedRow {
  readonly row: RawChunk;
  readonly sealed: SealedSegment | undefined;
  /** Something in it is wrong, and nobody can tell what: whoever wrote it anew would make that last. */
  readonly isDoubtful?: boolean;
}

export interface CheckedLog {
  readonly findings: readonly LogFinding[];
  readonly gaps: readonly PartitionGap[];
  readonly checkedBytes: number;
  /** Under which keys batches are encrypted. */
  readonly keyIds: ReadonlySet<string>;
  /** Rows whose key is not their last offset, with their last offset. */
  readonly misplaced: readonly { readonly row: RawChunk; readonly lastOffset: number }[];
  /** All that follows from the batches, from the log start on: what should be kept of them. */
  readonly state: LogState;
  readonly segments: readonly SegmentRow[];
  /** What the checkpoint knows of producers whose batches are lost or deleted. */
  readonly otherProducers: readonly ProducerEntry[];
}

/**
 * `checkLog` for a log that is in use: where something is found, and the log was sealed, cleaned or cut meanwhile, that may be
 * no more than two looks at different moments, so that it looks again.
 */
export async function checkLogInUse(target: LogToCheck): Promise<CheckedLog> {
  const { store, log } = target;
  for (let looks = 1; ; looks++) {
    const before = await layoutOf(store, log);
    const found = await checkLog(target);
    const isSure = found.findings.length === 0 || isSameLayout(before, await layoutOf(store, log));
    if (isSure || looks === MAX_LOOKS) return found;
  }
}

/**
 * Walks one log through both tiers, from its start to where it ends now, and replays it beside what is kept of it: rows of
 * segments, checkpoint. Reads in slices; nothing is changed. `onPiece` sees each piece in which something was found.
 * @throws KafkaError KAFKA_STORAGE_ERROR; the signal's reason
 */
export async function checkLog(
  target: LogToCheck,
  onPiece: (piece: CheckedPiece) => Promise<void> = async () => {},
): Promise<CheckedLog> {
  const { store, raw, log, recovery } = target;
  const before = await recoverLog(store, log, recovery);
  const { logStartOffset, sealedEndOffset, checkpoint } = await store.ends(log);
  const endOffset = before.state.nextOffset;
  // A row that is written while all of its segment is deleted stays until more is.
  const closed = (await raw.segments(log)).filter(({ row }) => row.nextOffset > logStartOffset);
  const known = closed.map(({ row }) => row);
  const replay = new Replay(target, logStartOffset, known, [
    ...closed.map(({ baseOffset }) => baseOffset).filter((offset) => offset > logStartOffset && offset < endOffset),
    before.state.segment.baseOffset,
  ]);
  const findings: LogFinding[] = [];
  const gaps: PartitionGap[] = [];
  const misplaced: { row: RawChunk; lastOffset: number }[] = [];
  const keyIds = new Set<string>();
  let checkedBytes = 0;
  let nextOffset = logStartOffset;

  const take = async (piece: CheckedPiece): Promise<void> => {
    findings.push(...piece.findings);
    if (piece.findings.length > 0) await onPiece(piece);
    for (const part of piece.parts) {
      if (part.fromOffset >= endOffset) continue; // written since we began, into one row with what was in the journal
      if (isGapPart(part)) gaps.push({ fromOffset: part.fromOffset, nextOffset: part.nextOffset, reason: 'removed' });
      await replay.take(part);
      const keyId = part.bytes && readableKeyId(part.bytes);
      if (keyId !== undefined) keyIds.add(keyId);
    }
    nextOffset = Math.max(nextOffset, piece.nextOffset);
    checkedBytes += piece.row.bytes.byteLength;
  };

  for (const segment of await store.sealedSegments(log)) {
    target.signal?.throwIfAborted();
    if (segment.nextOffset > logStartOffset)
      await take(await checkSealed(raw, segment, { nextOffset, logStartOffset }));
  }
  const firstRowOffset = Math.max(logStartOffset, sealedEndOffset);
  const leftover = (await raw.chunks(log, 0, 1))[0]?.lastOffset ?? Number.POSITIVE_INFINITY;
  const stray = await raw.strayBytes(log);
  if (leftover < firstRowOffset || stray > 0) {
    const detail = `expected rows from offset ${firstRowOffset} on, found one up to ${leftover}`;
    const text = stray > 0 ? `expected no bytes beside those of sealed segments, found ${stray}` : detail;
    findings.push({ kind: 'leftover', fromOffset: 0, nextOffset: firstRowOffset, detail: text });
  }
  for await (const { row, following } of rowsFrom(target, firstRowOffset)) {
    if (nextOffset >= endOffset && row.lastOffset >= endOffset) break; // written since we began
    const span = wholeSpan(row.bytes);
    const followingSpan = following && wholeSpan(following.bytes);
    const isHere = span !== undefined && span.baseOffset <= nextOffset && span.lastOffset >= nextOffset;
    const isMisplaced =
      span !== undefined &&
      span.lastOffset !== row.lastOffset &&
      span.lastOffset < endOffset &&
      !hasWrongOffset(span, row.lastOffset, nextOffset, followingSpan) &&
      // Else it has lost its end.
      !(isHere && span.lastOffset < row.lastOffset && followingSpan?.baseOffset !== span.lastOffset + 1);
    if (isMisplaced) {
      const detail = `expected the key ${span.lastOffset}, found ${row.lastOffset}`;
      findings.push({ kind: 'wrong-key', fromOffset: span.baseOffset, nextOffset: span.lastOffset + 1, detail });
      misplaced.push({ row, lastOffset: span.lastOffset });
      if (!isHere) continue;
    }
    const lastOffset = isMisplaced ? span.lastOffset : row.lastOffset;
    const mayBeginBefore = nextOffset === firstRowOffset; // what lies below is deleted, or sealed
    const rules = { nextOffset, mayBeginBefore, mayLeaveOut: false };
    const found = checkRow({ bytes: row.bytes, lastOffset, ...rules });
    await take({ ...endAt(found, lastOffset, `expected offsets up to the key ${lastOffset}`), row, sealed: undefined });
  }
  if (nextOffset < endOffset) {
    const detail = `expected records up to offset ${endOffset}, which a checkpoint or a segment knows of, found none`;
    const lost = { fromOffset: nextOffset, nextOffset: endOffset };
    const row = { lastOffset: endOffset - 1, bytes: new Uint8Array(0) };
    const parts = [{ ...lost, bytes: undefined }];
    await take({
      findings: [{ kind: 'missing', ...lost, detail }],
      parts,
      nextOffset: endOffset,
      row,
      sealed: undefined,
    });
  }

  const segments = replay.segments(known);
  const isDamaged = findings.some(({ kind }) => kind !== 'leftover');
  const wrongRow = segments.findIndex((row, index) => {
    return replay.untrue.has(row.baseOffset) || !agree(row, known, index, replay.compacted.has(row.baseOffset));
  });
  if (wrongRow >= 0 || known.length !== segments.length) {
    const at = wrongRow < 0 ? segments.length : wrongRow;
    const row = segments[at];
    const detail = `expected ${describe(row)}, found ${describe(known[at])}`;
    findings.push({
      kind: 'segment-row',
      fromOffset: row?.baseOffset ?? 0,
      nextOffset: row?.nextOffset ?? endOffset,
      detail,
    });
  }
  const others = otherProducers(before.state, replay.state, { logStartOffset, gaps: replay.lost });
  const wrong = checkpointProblem(checkpoint, before.state, replay.state, others.contradiction, isDamaged);
  if (wrong !== undefined) {
    findings.push({ kind: 'checkpoint', fromOffset: checkpoint?.offset ?? 0, nextOffset: endOffset, detail: wrong });
  }
  return {
    findings,
    gaps,
    checkedBytes,
    keyIds,
    misplaced,
    state: replay.state,
    segments,
    otherProducers: others.entries,
  };
}

/** A single batch whose place and key agree: it is its offset that is wrong. */
function hasWrongOffset(span: WholeSpan, key: number, nextOffset: number, following: WholeSpan | undefined): boolean {
  const fits = span.batchCount === 1 && key - (span.lastOffset - span.baseOffset) === nextOffset;
  return fits && (following === undefined || following.baseOffset === key + 1);
}

async function checkSealed(
  raw: RawLogStore,
  segment: SealedSegment,
  { nextOffset, logStartOffset }: { readonly nextOffset: number; readonly logStartOffset: number },
): Promise<CheckedPiece> {
  const lastOffset = segment.nextOffset - 1;
  const bytes = await raw.sealedBytes(segment);
  const row = { lastOffset, bytes: bytes ?? new Uint8Array(0) };
  const sealed = segment;
  const range = { fromOffset: Math.max(segment.baseOffset, logStartOffset), nextOffset: segment.nextOffset };
  if (bytes === undefined) {
    const detail = `expected ${segment.byteCount} bytes, found none that can be read`;
    const findings = [{ kind: 'unreadable', ...range, detail } as const];
    return { findings, parts: [{ ...range, bytes: undefined }], nextOffset: segment.nextOffset, row, sealed };
  }
  const written = asWritten(bytes, segment);
  const rules = { nextOffset: segment.baseOffset, mayBeginBefore: false, mayLeaveOut: true };
  const found = checkRow({ bytes: written ?? bytes, lastOffset, ...rules });
  const findings = [...found.findings];
  const isDense = segment.baseOffset <= nextOffset || nextOffset === logStartOffset;
  if (!isDense) {
    const detail = `expected a sealed segment from offset ${nextOffset} on, found one from ${segment.baseOffset} on`;
    findings.push({ kind: 'missing', fromOffset: nextOffset, nextOffset: segment.baseOffset, detail });
  }
  // All its batches are sound, and one of them, or the checksum, is not what was written.
  let isDoubtful = false;
  if (written !== undefined && written !== bytes) findings.push(movedBatch(bytes, written));
  else if (written === undefined) {
    isDoubtful =
      bytes.byteLength === segment.byteCount && found.findings.length === 0 && hasHoles(segment, found.parts);
    const is = `${bytes.byteLength} bytes with checksum ${crc32c(bytes)}`;
    const detail = `expected ${segment.byteCount} bytes with checksum ${segment.crc32c}, found ${is}`;
    const kept = isDoubtful ? '; it is left as it is, for one of its batches may belong elsewhere' : '';
    findings.push({ kind: 'sealed-segment', ...range, detail: detail + kept });
  } else if (!hasRightIndex(segment, found.parts)) {
    const detail = 'expected an index of batches that are there, found another';
    findings.push({ kind: 'sealed-segment', ...range, detail });
  }
  return { findings, parts: found.parts, nextOffset: segment.nextOffset, row, sealed, isDoubtful };
}

/** What the checksum of a whole segment says of the one batch in which the two differ. */
function movedBatch(bytes: Uint8Array, written: Uint8Array): LogFinding {
  const differs = bytes.findIndex((byte, at) => byte !== written[at]);
  let at = 0;
  for (const batch of batchesIn(written)) if (batch.at <= differs) at = batch.at;
  const [was, is] = [readBatchHeader(written, at), batchSpanAt(bytes, at)];
  const isMoved = was.baseOffset !== is.baseOffset;
  const epochs = `expected leader epoch ${was.partitionLeaderEpoch}, found another`;
  return {
    kind: isMoved ? 'wrong-offset' : 'sealed-segment',
    fromOffset: was.baseOffset,
    nextOffset: lastOffsetOf(was) + 1,
    detail: isMoved ? `expected base offset ${was.baseOffset}, found ${is.baseOffset}` : epochs,
  };
}

function hasHoles({ baseOffset, nextOffset }: SealedSegment, parts: readonly RowPart[]): boolean {
  const covered = parts.reduce((count, part) => count + part.nextOffset - part.fromOffset, 0);
  return covered < nextOffset - baseOffset;
}

function hasRightIndex({ index }: SealedSegment, parts: readonly RowPart[]): boolean {
  const positions = new Map<number, number>();
  let position = 0;
  for (const { fromOffset, bytes } of parts) {
    positions.set(fromOffset, position);
    position += bytes?.byteLength ?? 0;
  }
  return (
    index.every((entry) => positions.get(entry.offset) === entry.position) && (index.length > 0 || parts.length === 0)
  );
}

/** A row should end with its key: what lacks is lost. */
function endAt(found: CheckedRow, lastOffset: number, expected: string): CheckedRow {
  const { nextOffset } = found;
  if (nextOffset > lastOffset) return found;
  const lost = { fromOffset: nextOffset, nextOffset: lastOffset + 1 };
  const finding = { kind: 'missing', ...lost, detail: `${expected}, found them up to ${nextOffset - 1}` } as const;
  return {
    findings: [...found.findings, finding],
    parts: [...found.parts, { ...lost, bytes: undefined }],
    nextOffset: lastOffset + 1,
  };
}

async function* rowsFrom(
  { raw, log, signal }: LogToCheck,
  offset: number,
): AsyncGenerator<{ readonly row: RawChunk; readonly following: RawChunk | undefined }> {
  for (let from = offset; ; ) {
    signal?.throwIfAborted();
    const rows = await raw.chunks(log, from, SLICE_ROWS);
    const isLast = rows.length < SLICE_ROWS;
    const shown = isLast ? rows : rows.slice(0, -1);
    for (const [index, row] of shown.entries()) yield { row, following: rows[index + 1] };
    if (isLast) return;
    from = (shown.at(-1)?.lastOffset ?? from) + 1;
  }
}

/** The state of a log by its batches alone, and the rows of its segments, which close where they are known to. */
class Replay {
  readonly state: LogState;
  readonly lost: RowPart[] = [];
  readonly #target: LogToCheck;
  readonly #bounds: number[];
  readonly #closed: SegmentRow[] = [];
  /** Base offsets of segments that compaction has left holes in. */
  readonly compacted: Set<number> = new Set();
  /** Base offsets of segments whose index of times promises too much. */
  readonly untrue: Set<number> = new Set();
  readonly #known: ReadonlyMap<number, SegmentRow>;

  constructor(target: LogToCheck, logStartOffset: number, known: readonly SegmentRow[], bounds: readonly number[]) {
    this.#target = target;
    this.#known = new Map(known.map((row) => [row.baseOffset, row]));
    this.#bounds = [...new Set(bounds)].filter((offset) => offset > logStartOffset).sort((a, b) => a - b);
    const { nowMs, transactions: _, ...producerConfig } = target.recovery;
    this.state = new LogState(logStartOffset, undefined, nowMs, producerConfig);
  }

  async take({ fromOffset, nextOffset, bytes }: RowPart): Promise<void> {
    const { recovery, log } = this.#target;
    while (this.#bounds[0] !== undefined && this.#bounds[0] <= fromOffset) {
      const bound = this.#bounds.shift() ?? 0;
      if (bound > this.state.nextOffset) this.state.skipTo(bound); // compacted away
      const row = this.state.closedRow(log);
      this.state.segmentClosed(row);
      this.#closed.push(row);
    }
    // A segment that begins inside of a batch or of a gap is none.
    while (this.#bounds[0] !== undefined && this.#bounds[0] < nextOffset) this.#bounds.shift();
    if (nextOffset <= this.state.nextOffset) return;
    if (bytes === undefined) {
      this.lost.push({ fromOffset, nextOffset, bytes });
      this.state.brokenOff(nextOffset);
      return;
    }
    const header = readBatchHeader(bytes);
    if (isGapPart({ fromOffset, nextOffset, bytes })) this.lost.push({ fromOffset, nextOffset, bytes });
    if (!this.state.takesTransactions && isTransactional(header)) {
      this.state.takeTransactions(await recovery.transactions());
    }
    const isCompacted = header.baseOffset > this.state.nextOffset || header.recordCount <= header.lastOffsetDelta;
    if (isCompacted) this.compacted.add(this.state.segment.baseOffset);
    this.#checkIndex(header);
    const batch = this.state.read(bytes, { header, at: 0 });
    this.state.adopt([batch], this.state.stage([batch], 'replication', recovery.nowMs));
  }

  /** An entry says of what timestamps all records before its offset are at most; nothing else is asked of it. */
  #checkIndex(header: BatchHeader): void {
    const { baseOffset, maxTimestampMs } = this.state.segment;
    const entries = this.#known.get(baseOffset)?.timeIndex ?? [];
    const last = lastOffsetOf(header);
    const within = entries.filter(({ offset }) => offset >= header.baseOffset && offset <= last);
    if (within.some((entry) => entry.maxTimestampMs < maxTimestampMs)) this.untrue.add(baseOffset);
  }

  /** Instead of the known ones. What is deleted in part keeps its figures, which nobody can count any more. */
  segments(known: readonly SegmentRow[]): SegmentRow[] {
    const { log } = this.#target;
    const [first] = known;
    const rows: SegmentRow[] = [];
    for (const row of this.#closed) {
      const old = known.find(
        ({ baseOffset, nextOffset }) => nextOffset === row.nextOffset && baseOffset <= row.baseOffset,
      );
      const isCut = rows.length === 0 && old !== undefined && old.baseOffset < row.baseOffset;
      const before = rows.at(-1);
      const startPosition = before ? before.startPosition + before.byteCount : Math.max(0, first?.startPosition ?? 0);
      rows.push(isCut ? { ...old, log } : { ...row, startPosition });
    }
    return rows;
  }
}

function agree(row: SegmentRow, rows: readonly SegmentRow[], index: number, isCompacted: boolean): boolean {
  const known = rows[index];
  if (known === undefined) return false;
  const fields = ['log', 'baseOffset', 'nextOffset', 'byteCount'] as const;
  if (fields.some((field) => row[field] !== known[field])) return false;
  // What was rewritten has become shorter or longer since, and ends where it did.
  const before = rows[index - 1];
  if (known.byteCount > 0 && endOf(known) <= (before === undefined ? 0 : endOf(before))) return false;
  // Compaction may keep the times of what it took out.
  return isCompacted ? known.maxTimestampMs >= row.maxTimestampMs : known.maxTimestampMs === row.maxTimestampMs;
}

function endOf({ startPosition, byteCount }: SegmentRow): number {
  return startPosition + byteCount;
}

function describe(row: SegmentRow | undefined): string {
  if (row === undefined) return 'no row';
  const { baseOffset, nextOffset, byteCount, maxTimestampMs } = row;
  return `offsets ${baseOffset} to ${nextOffset}, ${byteCount} bytes, times up to ${maxTimestampMs}`;
}

/** Producers that only the checkpoint knows, or whose newest batch it alone knows because that is lost. */
function otherProducers(
  kept: LogState,
  replayed: LogState,
  { logStartOffset, gaps }: { readonly logStartOffset: number; readonly gaps: readonly RowPart[] },
): { readonly entries: ProducerEntry[]; readonly contradiction: string | undefined } {
  const entries: ProducerEntry[] = [];
  let contradiction: string | undefined;
  for (const entry of kept.producers.producers().values()) {
    const last = entry.batches.at(-1);
    const other = replayed.producers.entry(entry.producerId);
    const otherLast = other?.batches.at(-1);
    if (last === undefined || sameBatch(last, otherLast)) continue;
    const isGone = last.lastOffset < logStartOffset || gaps.some((gap) => within(last.lastOffset, gap));
    if (isGone && (otherLast?.lastOffset ?? -1) < last.lastOffset) entries.push(entry);
    else
      contradiction ??= `expected producer ${entry.producerId} at offset ${otherLast?.lastOffset}, found ${last.lastOffset}`;
  }
  return { entries, contradiction };
}

function within(offset: number, { fromOffset, nextOffset }: RowPart): boolean {
  return offset >= fromOffset && offset < nextOffset;
}

function sameBatch(a: ProducerEntry['batches'][number], b: ProducerEntry['batches'][number] | undefined): boolean {
  return a.lastOffset === b?.lastOffset && a.lastSequence === b.lastSequence;
}

function checkpointProblem(
  checkpoint: { readonly offset: number; readonly snapshot: unknown } | undefined,
  kept: LogState,
  replayed: LogState,
  contradiction: string | undefined,
  isDamaged: boolean,
): string | undefined {
  if (checkpoint === undefined) return undefined;
  const snapshot = asLogSnapshot(checkpoint.snapshot);
  if (snapshot !== undefined && snapshot.producers.offset !== checkpoint.offset) {
    return `expected a snapshot of offset ${checkpoint.offset}, found one of ${snapshot.producers.offset}`;
  }
  if (contradiction !== undefined) return contradiction;
  if (isDamaged || kept.segment.baseOffset !== replayed.segment.baseOffset) return undefined;
  const fields = ['byteCount', 'maxTimestampMs'] as const;
  const wrong = fields.find((field) => kept.segment[field] !== replayed.segment[field]);
  return wrong && `expected ${wrong} ${replayed.segment[wrong]} of the active segment, found ${kept.segment[wrong]}`;
}
