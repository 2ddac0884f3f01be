import { KafkaError } from '../protocol/errors.js';
import { assert } from '../util/assert.js';
import { int32At, int64At } from '../util/bytes.js';
import { crc32c } from '../util/crc32c.js';
import type { LogId, LogStore, NewSealedSegment, SealedChange, SealedIndexEntry, SealedSegment } from './log-store.js';
import { storageError } from './storage-errors.js';
import { type OffsetRange, UnreadableRange } from './unreadable-range.js';

/** A look-up reads about this much too much. */
const INDEX_INTERVAL_BYTES = 64 * 1024;

/** One read of a Blob: longer ones are no faster, and whoever waits for the first bytes waits longer. */
const MAX_SLICE_BYTES = 1024 * 1024;

/** The head of a batch, as far as a store looks at it: baseOffset 8 · batchLength 4 · … · lastOffsetDelta 4 at 23. */
const LENGTH_AT = 8;
const LAST_OFFSET_DELTA_AT = 23;
const LOG_OVERHEAD_BYTES = 12;
const MIN_BATCH_BYTES = LAST_OFFSET_DELTA_AT + 4;

/** Gathers the batches of a segment, in offset order, and what is to be known of them. */
export class SealedSegmentBuilder {
  readonly #log: LogId;
  readonly #baseOffset: number;
  readonly #parts: Uint8Array[] = [];
  readonly #index: SealedIndexEntry[] = [];
  #byteCount = 0;
  #crc32c = 0;
  #endOffset: number;

  constructor(log: LogId, baseOffset: number) {
    this.#log = log;
    this.#baseOffset = baseOffset;
    this.#endOffset = baseOffset;
  }

  get byteCount(): number {
    return this.#byteCount;
  }

  /** One or more whole batches; the bytes must not change any more. */
  add(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.byteLength; ) {
      const batch = batchAt(bytes, at);
      assert(batch !== undefined, 'a segment is made of whole batches');
      assert(batch.baseOffset >= this.#endOffset, `expected a batch from offset ${this.#endOffset} on`);
      const position = this.#byteCount + at;
      const last = this.#index.at(-1);
      if (last === undefined || position - last.position >= INDEX_INTERVAL_BYTES) {
        this.#index.push({ offset: batch.baseOffset, position });
      }
      this.#endOffset = batch.lastOffset + 1;
      at = batch.end;
    }
    this.#crc32c = crc32c(bytes, 0, bytes.byteLength, this.#crc32c);
    this.#byteCount += bytes.byteLength;
    this.#parts.push(bytes);
  }

  /** The segment answers for all offsets up to `nextOffset` (exclusive). */
  finish(nextOffset: number): NewSealedSegment {
    assert(nextOffset >= this.#endOffset, `expected a bound behind the last batch, ${this.#endOffset} or more`);
    assert(nextOffset > this.#baseOffset, `expected a segment that covers an offset, found ${nextOffset}`);
    return {
      log: this.#log,
      baseOffset: this.#baseOffset,
      nextOffset,
      byteCount: this.#byteCount,
      crc32c: this.#crc32c,
      index: this.#index,
      parts: this.#parts,
    };
  }
}

/** Versions that one leader may give to the bytes of one base offset. */
const VERSIONS_PER_EPOCH = 1_000_000;

/** The version of bytes that a leader stages beside those of `lastVersion`: epochs tell whose bytes nobody will publish. */
export function stagedVersion(lastVersion: number, leaderEpoch: number): number {
  return Math.max(lastVersion + 1, leaderEpoch * VERSIONS_PER_EPOCH);
}

export function isOfEarlierLeader(version: number, leaderEpoch: number): boolean {
  return version < leaderEpoch * VERSIONS_PER_EPOCH;
}

/** What every store checks before it publishes. */
export function assertSealedChange({ log, baseOffset, nextOffset, sealed, segments }: SealedChange): void {
  let end = baseOffset;
  for (const segment of sealed) {
    assert(segment.log === log && segment.baseOffset === end, `expected a segment of log ${log} from offset ${end} on`);
    end = segment.nextOffset;
  }
  assert(end === nextOffset && end > baseOffset, `expected segments up to offset ${nextOffset}, found ${end}`);
  for (const row of segments) {
    const within = row.log === log && row.baseOffset >= baseOffset && row.nextOffset <= nextOffset;
    assert(within, `a segment's row lies within the change`);
  }
}

/** What is stored around the range of a change. */
export interface SealedSurroundings {
  /** Where the sealed part before the range ends; undefined where there is none. */
  readonly sealedBefore: number | undefined;
  /** Sealed segments that end in the range. */
  readonly within: readonly SealedSegment[];
  /** The base offset of the first sealed segment that ends behind the range. */
  readonly sealedAfter: number | undefined;
  /** The last offset of the first row that is not deleted. */
  readonly firstRow: number | undefined;
}

/** Why a change may not be published: the sealed part of a log is its beginning, without a hole. */
export function sealedChangeProblem(
  { baseOffset, nextOffset }: SealedChange,
  { sealedBefore, within, sealedAfter, firstRow }: SealedSurroundings,
): string | undefined {
  const first = within[0]?.baseOffset;
  if (first !== undefined && first < baseOffset) return `it cuts the sealed segment at ${first}`;
  if (sealedAfter !== undefined && sealedAfter < nextOffset) return `it cuts the sealed segment at ${sealedAfter}`;
  if (sealedAfter !== undefined && within.length === 0) return `what lies behind it is sealed from ${sealedAfter} on`;
  if (sealedBefore !== undefined && sealedBefore !== baseOffset) return `what is sealed ends at ${sealedBefore}`;
  if (sealedBefore !== undefined || first === baseOffset) return undefined;
  if (first !== undefined) return `what is sealed begins at ${first}`;
  return firstRow !== undefined && firstRow < baseOffset
    ? `rows lie before it, the first up to ${firstRow}`
    : undefined;
}

/**
 * Publishes what was staged, or drops it: bytes that this leader leaves, only the next one sweeps.
 * @throws KafkaError as `LogStore.publishSealed`
 */
export async function publishStaged(store: LogStore, change: SealedChange, leaderEpoch: number): Promise<void> {
  try {
    await store.publishSealed(change, leaderEpoch);
  } catch (error) {
    await store.dropStaged(change.sealed).catch(() => {});
    throw error;
  }
}

export function sealedChangeError({ log, baseOffset, nextOffset }: SealedChange, problem: string): KafkaError {
  return storageError(`publish offsets ${baseOffset} to ${nextOffset} of log ${log}`, problem);
}

/** What of a segment is wanted: as `LogStore.read`. */
export interface SealedRead {
  readonly offset: number;
  readonly maxBytes: number;
  readonly endOffset: number;
  /** The read has taken what lies before: from here on only what fits, and only of a segment that begins right here. */
  readonly goesOn?: boolean;
}

/** What a read has taken out of one segment. */
export interface SealedPart {
  readonly chunks: readonly Uint8Array[];
  /** Of the segment nothing is left to read. */
  readonly isEnd: boolean;
}

/** The bytes between two positions. */
export interface SealedSlice {
  readonly from: number;
  readonly to: number;
}

/**
 * Reads a sealed segment: asks for slices, takes their bytes, and answers the batches from the one that holds the offset,
 * or the next one, on.
 * @throws KafkaError CORRUPT_MESSAGE
 */
export function* readingSealed(
  segment: SealedSegment,
  wanted: SealedRead,
): Generator<SealedSlice, SealedPart, Uint8Array> {
  const { index } = segment;
  const doesFit = segment.baseOffset === wanted.offset && positionOf(segment, 1) <= wanted.maxBytes;
  if (wanted.goesOn && !doesFit) return { chunks: [], isEnd: false };
  const most = Math.min(wanted.maxBytes, MAX_SLICE_BYTES);
  for (let at = Math.max(0, indexOf(index, wanted.offset)); at < index.length; ) {
    // As much as is wanted, yet at least one entry's.
    const from = positionOf(segment, at);
    let next = at + 1;
    while (next < index.length && positionOf(segment, next + 1) - from <= most) next++;
    const to = positionOf(segment, next);
    const bytes = yield { from, to };
    if (bytes.byteLength !== to - from) throw unreadable(segment, `${to - from} bytes, found ${bytes.byteLength}`);
    const nextOffset = index[next]?.offset ?? segment.nextOffset;
    const { taken, isAll } = takeBatches(segment, bytes, { ...wanted, nextOffset });
    if (taken !== undefined) return { chunks: [taken], isEnd: isAll && next === index.length };
    if (!isAll) return { chunks: [], isEnd: false };
    at = next; // all that was read lies below the offset
  }
  return { chunks: [], isEnd: true };
}

/**
 * What a read that has taken `chunks` wants of the segment behind the one that it read last. undefined: nothing, since it
 * has half of what it may take, or there is more of this one, or it goes no further.
 */
export function wantedBehind(
  wanted: SealedRead,
  { nextOffset }: SealedSegment,
  { chunks, isEnd }: SealedPart,
): SealedRead | undefined {
  if (!isEnd || nextOffset >= wanted.endOffset) return undefined;
  const goesOn = chunks.length > 0;
  const takenBytes = chunks.reduce((bytes, { byteLength }) => bytes + byteLength, 0);
  if (goesOn && takenBytes >= wanted.maxBytes / 2) return undefined;
  return { ...wanted, offset: nextOffset, maxBytes: wanted.maxBytes - takenBytes, goesOn };
}

/**
 * The batches that are asked for, if any, and whether nothing in the bytes lies behind them. The first of them must end
 * before what follows it, at `nextOffset` at the latest: else a base offset is damaged, and readers would take it for the
 * one they want.
 */
function takeBatches(
  segment: SealedSegment,
  bytes: Uint8Array,
  { offset, maxBytes, endOffset, nextOffset }: SealedRead & { readonly nextOffset: number },
): { readonly taken: Uint8Array | undefined; readonly isAll: boolean } {
  let from: number | undefined;
  let first: BatchBounds | undefined;
  let at = 0;
  while (at < bytes.byteLength) {
    const batch = batchAt(bytes, at);
    if (batch === undefined) throw unreadable(segment, 'whole batches');
    if (first?.end === at && batch.baseOffset <= first.lastOffset) throw unreadable(segment, 'ascending offsets');
    if (batch.lastOffset >= offset) {
      if (batch.baseOffset >= endOffset) break;
      if (from !== undefined && batch.end - from > maxBytes) break;
      from ??= at;
      first ??= batch;
      if (first.lastOffset >= nextOffset) throw unreadable(segment, `offsets below ${nextOffset}`);
    }
    at = batch.end;
  }
  const isAll = at === bytes.byteLength;
  if (from === undefined) return { taken: undefined, isAll };
  return { taken: at - from === bytes.buffer.byteLength ? bytes : bytes.slice(from, at), isAll };
}

/** The last entry at or below `offset`; -1 where all are above. */
function indexOf(index: readonly SealedIndexEntry[], offset: number): number {
  let low = 0;
  let high = index.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (index[middle]!.offset <= offset) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function positionOf({ index, byteCount }: SealedSegment, at: number): number {
  return index[at]?.position ?? byteCount;
}

interface BatchBounds {
  readonly baseOffset: number;
  readonly lastOffset: number;
  /** Where the next one begins. */
  readonly end: number;
}

/** undefined where the bytes are no whole batch. */
function batchAt(bytes: Uint8Array, at: number): BatchBounds | undefined {
  if (at + MIN_BATCH_BYTES > bytes.byteLength) return undefined;
  const baseOffset = int64At(bytes, at);
  const end = at + LOG_OVERHEAD_BYTES + int32At(bytes, at + LENGTH_AT);
  const lastOffsetDelta = int32At(bytes, at + LAST_OFFSET_DELTA_AT);
  const isWhole = end >= at + MIN_BATCH_BYTES && end <= bytes.byteLength && lastOffsetDelta >= 0;
  return isWhole ? { baseOffset, lastOffset: baseOffset + lastOffsetDelta, end } : undefined;
}

/** A sealed segment whose bytes are damaged or gone. */
export function unreadable(segment: OffsetRange, expected: string, cause?: unknown): KafkaError {
  const range = new UnreadableRange(segment, { cause });
  const found = cause instanceof Error || cause instanceof DOMException ? `: ${cause.name}: ${cause.message}` : '';
  const text = `the sealed segment of ${range.message} cannot be read: expected ${expected}${found}`;
  return new KafkaError('CORRUPT_MESSAGE', text, { cause: range });
}
