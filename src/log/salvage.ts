import { KafkaError } from '../protocol/errors.js';
import type { GapReason } from '../protocol/requests.js';
import { type BatchSpan, batchSpanAt, isGap, soundSizeAt } from '../record/batch-header.js';
import { baseOffsetOf } from '../storage/chunk.js';
import type { LogId, LogStore } from '../storage/log-store.js';
import type { RawChunk, RawLogStore } from '../storage/raw-log-store.js';
import { crc32c } from '../util/crc32c.js';
import { isHole, type KnownHoles } from './known-holes.js';
import { LogGapError } from './log-gap.js';
import { isSameLayout, type LogLayout, layoutOf } from './log-layout.js';
import { findSoundBatch, type SoundRead, type SoundStretch, sizeAt, soundStretch } from './sound-stretch.js';

/** That are known of one log: what is forgotten is found again where it is met. */
const MAX_HOLES = 64 * 1024;
/** Some MiB at most. */
const SLICE_ROWS = 32;

/** A row or a sealed segment. */
interface Piece {
  /** As its key says. */
  readonly lastOffset: number;
  /** As its key says; of a row as the key of the one before says, undefined where that one is not there. */
  readonly baseOffset: number | undefined;
  /** undefined: they cannot be read. */
  readonly bytes: Uint8Array | undefined;
  readonly isSealed: boolean;
  /** Of a sealed segment: it is as it was written. Where it leaves out offsets, compaction did. */
  readonly isIntact: boolean;
}

/**
 * Reads on where `readSound` found nothing sound at its offset: with the keys of the rows, and whole sealed segments, since
 * damaged bytes do not say where they end.
 * @throws LogGapError: the records at `offset` are lost. KafkaError OFFSET_OUT_OF_RANGE: they were deleted meanwhile.
 */
export async function salvage(store: LogStore, read: SoundRead): Promise<SoundStretch> {
  const holes = read.holes ?? new Map();
  for (let layout = await layoutOf(store, read.log); ; ) {
    try {
      return await salvageIn(layout, store, { ...read, holes });
    } catch (error) {
      if (!(error instanceof LogGapError)) throw error;
      const now = await layoutOf(store, read.log);
      if (isSameLayout(layout, now)) throw error;
      layout = now; // what was looked for may have been replaced, or sealed, between one look and the next
    }
  }
}

async function salvageIn(
  layout: LogLayout,
  store: LogStore,
  read: SoundRead & { readonly holes: KnownHoles },
): Promise<SoundStretch> {
  const { log, offset, endOffset, holes } = read;
  if (layout.logStartOffset > offset) {
    const text = `log ${log} begins at offset ${layout.logStartOffset}, found ${offset}`;
    throw new KafkaError('OFFSET_OUT_OF_RANGE', text);
  }
  let nextOffset = offset;
  let lossReason: GapReason | undefined;
  for await (const piece of piecesFrom(store, log, offset, layout)) {
    if (nextOffset >= endOffset) break;
    const { bytes } = piece;
    if (bytes !== undefined && piece.isIntact) addHoles(bytes, piece, holes);
    const { at, offset: found, reason } = firstReadable(piece, nextOffset, holes);
    lossReason ??= reason;
    nextOffset = found;
    if (bytes === undefined || at === undefined) continue;
    if (lossReason !== undefined) break;
    const wanted = bytes.slice(at, at + Math.max(read.maxBytes, soundSizeAt(bytes, at) ?? 0));
    const { baseOffset } = batchSpanAt(bytes, at);
    return soundStretch([wanted], { offset: baseOffset, holes, endOffset }, { isFirstProved: true });
  }
  const end = Math.min(nextOffset, endOffset);
  if (lossReason !== undefined) throw new LogGapError(log, { fromOffset: offset, nextOffset: end, reason: lossReason });
  if (nextOffset < endOffset && nextOffset >= layout.sealedEndOffset) {
    throw new LogGapError(log, { fromOffset: offset, nextOffset: endOffset, reason: 'missing' });
  }
  return { chunks: [], nextOffset: end }; // all of it was compacted away
}

/** The first record at or above `nextOffset` that can be read, else where the piece ends; and why not all can. */
function firstReadable(
  piece: Piece,
  nextOffset: number,
  holes: KnownHoles,
): { readonly at?: number; readonly offset: number; readonly reason?: GapReason | undefined } {
  const { bytes, lastOffset, isIntact } = piece;
  if (bytes === undefined) return { offset: lastOffset + 1, reason: 'unreadable' };
  let next = nextOffset;
  let reason: GapReason | undefined;
  const batches = isIntact ? [] : soundBatchesOf(bytes);
  const counted = countedOffsets(piece, bytes, batches);
  for (let at = 0; ; at++) {
    const found = findSoundBatch(bytes, at, (span) => span.lastOffset >= next && span.baseOffset <= lastOffset);
    if (found === undefined) break;
    at = found;
    if (!isIntact && isContradicted(piece, bytes, at, { next, counted: counted.get(at), batches })) continue;
    const span = batchSpanAt(bytes, at);
    if (!isHole(holes, next, span.baseOffset)) reason ??= at === 0 ? 'missing' : 'corrupt';
    if (!isGap(span)) return { at, offset: Math.max(span.baseOffset, next), reason };
    reason ??= 'removed';
    next = span.lastOffset + 1;
  }
  if (!isHole(holes, next, lastOffset + 1)) reason ??= 'corrupt';
  return { offset: Math.max(next, lastOffset + 1), reason };
}

/**
 * What compaction took out of a sealed segment: there, one sound batch lies right behind the other. What was damaged when
 * the segment was written is none of it.
 */
function addHoles(bytes: Uint8Array, { baseOffset = 0, lastOffset }: Piece, holes: KnownHoles): void {
  let before = { at: -1, nextOffset: baseOffset };
  const isSound = (at: number): boolean => at < 0 || at === bytes.byteLength || soundSizeAt(bytes, at) !== undefined;
  const add = (at: number, nextOffset: number): void => {
    if (before.nextOffset >= nextOffset || !isSound(before.at) || !isSound(at)) return;
    holes.delete(nextOffset); // to the end: the oldest goes first
    holes.set(nextOffset, before.nextOffset);
    if (holes.size > MAX_HOLES) holes.delete(holes.keys().next().value!);
  };
  for (let at = 0; at < bytes.byteLength; ) {
    const size = sizeAt(bytes, at);
    if (size === undefined) {
      before = { at, nextOffset: Infinity };
      at = findSoundBatch(bytes, at + 1, isAny) ?? bytes.byteLength;
      continue;
    }
    const { baseOffset: next, lastOffset: last } = batchSpanAt(bytes, at);
    add(at, next);
    before = { at, nextOffset: last + 1 };
    at += size;
  }
  add(bytes.byteLength, lastOffset + 1);
}

/** Its base offset, which no checksum covers, does not fit what is around it. */
function isContradicted(
  piece: Piece,
  bytes: Uint8Array,
  at: number,
  {
    next,
    counted,
    batches,
  }: { readonly next: number; readonly counted: number | undefined; readonly batches: readonly FoundBatch[] },
): boolean {
  const { baseOffset: begin, lastOffset: end, isSealed } = piece;
  const { baseOffset, lastOffset } = batchSpanAt(bytes, at);
  if (counted !== undefined) return baseOffset !== counted;
  if (lastOffset > end) return true;
  const index = batches.findIndex((found) => found.at === at);
  if (isSealed) return isOutOfPlace(piece, batches, index, index) || isOutOfPlace(piece, batches, index - 1, index);
  if (baseOffset === next || (at === 0 && baseOffset === begin)) return false;
  const { end: behind } = batches[index]!;
  if (behind === bytes.byteLength) return lastOffset < end;
  const following = batches[index + 1];
  return following?.at === behind && following.span.baseOffset !== lastOffset + 1;
}

/**
 * Of a sealed segment, which may leave out offsets: whether the batch at `first` overlaps the one behind it, and that at
 * `index` is the wrong one of the two, or may be. It is not where there would be no room for it elsewhere.
 */
function isOutOfPlace(
  { baseOffset = 0, lastOffset }: Piece,
  batches: readonly FoundBatch[],
  first: number,
  index: number,
): boolean {
  const [one, other] = [batches[first]?.span, batches[first + 1]?.span];
  if (one === undefined || other === undefined || other.baseOffset > one.lastOffset) return false;
  const before = batches[first - 1]?.span.lastOffset ?? baseOffset - 1;
  const behind = batches[first + 2]?.span.baseOffset ?? lastOffset + 1;
  const mayBeOne = before + one.lastOffsetDelta + 1 < other.baseOffset;
  const mayBeOther = one.lastOffset + other.lastOffsetDelta + 1 < behind;
  return first === index ? mayBeOne || !mayBeOther : mayBeOther || !mayBeOne;
}

/** A batch whose checksum holds. */
interface FoundBatch {
  readonly at: number;
  readonly end: number;
  readonly span: BatchSpan;
}

/** In order of place. */
function soundBatchesOf(bytes: Uint8Array): FoundBatch[] {
  const found: FoundBatch[] = [];
  for (let at = findSoundBatch(bytes, 0, isAny); at !== undefined; ) {
    const end = at + (soundSizeAt(bytes, at) ?? 0);
    found.push({ at, end, span: batchSpanAt(bytes, at) });
    at = findSoundBatch(bytes, end, isAny);
  }
  return found;
}

/**
 * By position: where each batch must begin, counted back from where the piece ends, over sound batches, since checksums
 * cover how many offsets each has. Nothing where the count may be wrong: no batch of a row agrees with it, so that its end
 * is gone; or a sealed segment has holes, so that it does not begin where its key says.
 */
function countedOffsets(
  { baseOffset, lastOffset, isSealed }: Piece,
  bytes: Uint8Array,
  batches: readonly FoundBatch[],
): ReadonlyMap<number, number> {
  const counted = new Map<number, number>();
  let isAgreed = false;
  let nextOffset = lastOffset + 1;
  let begin = bytes.byteLength;
  for (const { at, end, span } of batches.toReversed()) {
    if (end !== begin) break;
    begin = at;
    nextOffset -= span.lastOffsetDelta + 1;
    counted.set(at, nextOffset);
    if (span.baseOffset === nextOffset) isAgreed = true;
  }
  const isRight = isSealed ? begin === 0 && nextOffset === baseOffset : isAgreed;
  return isRight ? counted : NONE;
}

const NONE: ReadonlyMap<number, number> = new Map();

function isAny(): boolean {
  return true;
}

/** All that ends at or behind `offset`: sealed segments, then rows. */
async function* piecesFrom(
  store: LogStore,
  log: LogId,
  offset: number,
  { logStartOffset, sealedEndOffset, sealed }: LogLayout,
): AsyncGenerator<Piece, void, undefined> {
  const raw = await store.raw();
  for (const segment of sealed.filter(({ nextOffset }) => nextOffset > offset)) {
    const bytes = await raw.sealedBytes(segment);
    const isIntact = bytes?.byteLength === segment.byteCount && crc32c(bytes) === segment.crc32c;
    yield { baseOffset: segment.baseOffset, lastOffset: segment.nextOffset - 1, bytes, isSealed: true, isIntact };
  }
  const firstOffset = Math.max(logStartOffset, sealedEndOffset);
  for (let from = Math.max(offset, sealedEndOffset); ; ) {
    const rows = await raw.chunks(log, from, SLICE_ROWS);
    for (const row of rows) {
      const baseOffset = await provedBaseOffset(raw, { ...row, log, firstOffset });
      yield { ...row, baseOffset, isSealed: false, isIntact: false };
    }
    const last = rows.at(-1);
    if (last === undefined || rows.length < SLICE_ROWS) return;
    from = last.lastOffset + 1;
  }
}

/**
 * The offset that a row says it begins at, if it is the one behind the key of the row before, or where the log begins, or
 * behind what is sealed: rows leave out nothing. undefined where it is not: the row says it wrongly, or the one before is
 * gone.
 */
async function provedBaseOffset(
  raw: RawLogStore,
  row: RawChunk & { readonly log: LogId; readonly firstOffset: number },
): Promise<number | undefined> {
  const baseOffset = baseOffsetOf(row.bytes);
  if (baseOffset < row.firstOffset || baseOffset > row.lastOffset) return undefined;
  const isFirst = baseOffset === row.firstOffset;
  const around = await raw.chunks(row.log, isFirst ? baseOffset : baseOffset - 1, 2);
  const [before, found] = isFirst ? [undefined, around[0]] : around;
  const isNext = isFirst || before?.lastOffset === baseOffset - 1;
  return isNext && found?.lastOffset === row.lastOffset ? baseOffset : undefined;
}
