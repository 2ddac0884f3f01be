import { KafkaError } from '../protocol/errors.js';
import { type BatchSpan, batchSizeAt, batchSpanAt, hasMagic, isGap, soundSizeAt } from '../record/batch-header.js';
import type { LogId } from '../storage/log-store.js';
import { isHole, type KnownHoles } from './known-holes.js';

/** What is read, and where: as `LogStore.read`. */
export interface SoundRead {
  readonly log: LogId;
  readonly offset: number;
  readonly maxBytes: number;
  /** Exclusive: no batch from there on is answered, whatever row it lies in. */
  readonly endOffset: number;
  /** What reads of this log have found compaction to have taken out, and this one may find. */
  readonly holes?: KnownHoles | undefined;
}

/** The begin of what a store has answered, as far as it is sound. */
export interface SoundStretch {
  /** Whole batches, each checked; the first of them holds the offset asked for, or is the next one. */
  readonly chunks: readonly Uint8Array[];
  /** Behind the last batch; the offset asked for where there is none. */
  readonly nextOffset: number;
}

/** What is known of rows beside their bytes. */
export interface KnownOfRows {
  /** The first batch begins where it says. */
  readonly isFirstProved?: boolean;
  /** Nothing lies between them and `endOffset`. */
  readonly isEnd?: boolean;
}

/**
 * What of `rows`, which follow each other in a log, is sound. Nothing where that is doubtful: a batch that begins before
 * `offset`, or that another one overlaps, proves its base offset, which no checksum covers, by the batch before or behind it,
 * or by the end of the log.
 */
export function soundStretch(
  rows: readonly Uint8Array[],
  { offset, holes, endOffset = Infinity }: Pick<SoundRead, 'offset' | 'holes'> & Partial<Pick<SoundRead, 'endOffset'>>,
  { isFirstProved = false, isEnd = false }: KnownOfRows = {},
): SoundStretch {
  const chunks: Uint8Array[] = [];
  let nextOffset = offset;
  let isDoubtful = false;
  let isAlone = false;
  for (const row of rows) {
    const isFirst = chunks.length === 0;
    const { at: start, isProved } = isFirst ? batchHolding(row, offset, holes) : { at: 0, isProved: true };
    let at = start;
    for (let size: number | undefined; at < row.byteLength; at += size) {
      const span = batchSpanAt(row, at);
      const isStart = isFirst && at === start;
      const isNext = span.baseOffset < nextOffset ? isStart : isHole(holes, nextOffset, span.baseOffset);
      const isSound = isNext && !isGap(span);
      size = isSound ? soundSizeAt(row, at) : undefined;
      if (size === undefined) {
        // One of the two is out of place, and only the one before this proves the first.
        if (isAlone && at > 0 && span.baseOffset < nextOffset && soundSizeAt(row, at) !== undefined) isDoubtful = true;
        break;
      }
      isAlone = isStart && !isProved && !isFirstProved;
      isDoubtful = isAlone && span.baseOffset < offset;
      if (span.baseOffset >= endOffset) break; // joined meanwhile with what its reader does not know of yet
      nextOffset = span.lastOffset + 1;
    }
    if (at > start) chunks.push(at - start === row.byteLength ? row : row.subarray(start, at));
    // Where nothing of the first is sound, the next one tells nothing of what is lost.
    if (at < row.byteLength || chunks.length === 0) break;
    if (isEnd && row === rows.at(-1) && nextOffset === endOffset) isDoubtful = false;
  }
  return isDoubtful ? { chunks: [], nextOffset: offset } : { chunks, nextOffset };
}

/**
 * Where the first sound batch begins, from byte `from` on, that `isWanted`; undefined where there is none. Batches are
 * looked for at every byte: what a damaged length says of the next one means nothing.
 */
export function findSoundBatch(
  row: Uint8Array,
  from: number,
  isWanted: (span: BatchSpan) => boolean,
): number | undefined {
  for (let at = from; at < row.byteLength; at++) {
    if (sizeAt(row, at) !== undefined && isWanted(batchSpanAt(row, at)) && soundSizeAt(row, at) !== undefined)
      return at;
  }
  return undefined;
}

/** Where the batch begins that holds `offset`, or the next one; the end of the row where it has no such batch. */
function batchHolding(
  row: Uint8Array,
  offset: number,
  holes: KnownHoles | undefined,
): { readonly at: number; readonly isProved: boolean } {
  let at = 0;
  let endOffset: number | undefined;
  for (let size = sizeAt(row, at); size !== undefined; size = sizeAt(row, at)) {
    const { lastOffset } = batchSpanAt(row, at);
    if (lastOffset >= offset) break;
    endOffset = lastOffset + 1;
    at += size;
  }
  const isWanted = ({ baseOffset, lastOffset }: BatchSpan): boolean =>
    lastOffset >= offset && baseOffset >= (endOffset ?? 0) && isHole(holes, offset, baseOffset);
  const found = findSoundBatch(row, at, isWanted) ?? row.byteLength;
  return { at: found, isProved: found < row.byteLength && batchSpanAt(row, found).baseOffset === endOffset };
}

/** As the length of the batch says; undefined where it says nothing that can be. */
export function sizeAt(row: Uint8Array, at: number): number | undefined {
  if (!hasMagic(row, at)) return undefined;
  try {
    return batchSizeAt(row, at);
  } catch (error) {
    if (error instanceof KafkaError) return undefined;
    throw error;
  }
}
