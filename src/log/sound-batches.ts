import { KafkaError } from '../protocol/errors.js';
import { type BatchSpan, batchSizeAt, batchSpanAt, isGap, soundSizeAt } from '../record/batch-header.js';
import type { LogId, LogStore } from '../storage/log-store.js';
import { unreadableRangeOf } from '../storage/unreadable-range.js';

/** What is read, and where: as `LogStore.read`. */
export interface SoundRead {
  readonly log: LogId;
  readonly offset: number;
  readonly maxBytes: number;
  /** Exclusive. */
  readonly endOffset: number;
  /** As far as the reader knows it: below, offsets may be missing (`LogEnds`). */
  readonly sealedEndOffset: number;
}

/** The begin of what a store has answered, as far as it is sound. */
export interface SoundStretch {
  /** Whole batches, each checked; the first of them holds the offset asked for, or is the next one. */
  readonly chunks: readonly Uint8Array[];
  /** Behind the last batch; the offset asked for where there is none. */
  readonly nextOffset: number;
  /** As it is known now. */
  readonly sealedEndOffset: number;
}

/**
 * As `LogStore.read`, but of sound batches alone, from the one that holds `offset` on: checksums hold, and no offset is
 * left out. What lies before damage is answered first.
 * @throws LogGapError: damage at `offset` itself. KafkaError KAFKA_STORAGE_ERROR, OFFSET_OUT_OF_RANGE
 */
export async function readSound(store: LogStore, read: SoundRead): Promise<SoundStretch> {
  const { log, offset, maxBytes, endOffset } = read;
  if (offset >= endOffset) return { ...read, chunks: [], nextOffset: offset };
  try {
    const stretch = soundStretch(await store.read(log, offset, maxBytes, endOffset), read);
    if (stretch.chunks.length > 0) return stretch;
  } catch (error) {
    if (unreadableRangeOf(error) === undefined) throw error;
  }
  return (await salvagePart()).salvage(store, read);
}

/** The sound chunks of a log from `offset` to `endOffset` (exclusive), or to where it ends; gaps are left out. */
export async function* soundChunks(store: LogStore, from: SoundRead): AsyncGenerator<Uint8Array, void, undefined> {
  for (let read = from; read.offset < read.endOffset; ) {
    try {
      const { chunks, nextOffset, sealedEndOffset } = await readSound(store, read);
      yield* chunks;
      if (nextOffset === read.offset) return;
      read = { ...read, offset: nextOffset, sealedEndOffset };
    } catch (error) {
      const { gap } = error as { gap?: { nextOffset: number } };
      if (!(error instanceof KafkaError) || gap === undefined) throw error;
      read = { ...read, offset: gap.nextOffset };
    }
  }
}

/** What of `rows`, which follow each other in a log, is sound. */
export function soundStretch(
  rows: readonly Uint8Array[],
  { offset, sealedEndOffset }: Pick<SoundRead, 'offset' | 'sealedEndOffset'>,
): SoundStretch {
  const chunks: Uint8Array[] = [];
  let nextOffset = offset;
  for (const row of rows) {
    const isFirst = chunks.length === 0;
    const start = isFirst ? batchHolding(row, offset, sealedEndOffset) : 0;
    let at = start;
    for (let size: number | undefined; at < row.byteLength; at += size) {
      const span = batchSpanAt(row, at);
      const isNext =
        (span.baseOffset === nextOffset || (isFirst && at === start) || span.baseOffset > nextOffset) &&
        span.baseOffset <= Math.max(nextOffset, sealedEndOffset);
      size = isNext && !isGap(span) ? soundSizeAt(row, at) : undefined;
      if (size === undefined) break;
      nextOffset = span.lastOffset + 1;
    }
    if (at > start) chunks.push(at - start === row.byteLength ? row : row.subarray(start, at));
    if (at < row.byteLength) break;
  }
  return { chunks, nextOffset, sealedEndOffset };
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
function batchHolding(row: Uint8Array, offset: number, sealedEndOffset: number): number {
  const isWanted = ({ baseOffset, lastOffset }: BatchSpan): boolean =>
    lastOffset >= offset && baseOffset <= Math.max(offset, sealedEndOffset);
  let at = 0;
  for (let size = sizeAt(row, at); size !== undefined; size = sizeAt(row, at)) {
    const span = batchSpanAt(row, at);
    if (span.lastOffset >= offset) break;
    at += size;
  }
  return findSoundBatch(row, at, isWanted) ?? row.byteLength;
}

/** As the length of the batch says. */
function sizeAt(row: Uint8Array, at: number): number | undefined {
  try {
    return batchSizeAt(row, at);
  } catch (error) {
    if (error instanceof KafkaError) return undefined;
    throw error;
  }
}

/** Damage is rare: what deals with it is loaded then. */
function salvagePart(): Promise<typeof import('./salvage.js')> {
  return import('./salvage.js').catch((cause: unknown) => {
    throw new KafkaError('KAFKA_STORAGE_ERROR', `a part of the worker could not be loaded: ${cause}`, { cause });
  });
}
