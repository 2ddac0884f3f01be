import type { LogAdvance } from '../log/log-view.js';
import type { Clock } from '../runtime/runtime.js';
import type { LogId } from '../storage/log-store.js';
import { free } from '../util/free.js';

/** How much of the end of one log is kept. */
export const MAX_TAIL_BYTES: number = 16 * 1024 * 1024;
/** How much all tails of a host hold together; beyond, the longest one gives a part of it. */
export const MAX_TAILS_BYTES: number = 32 * 1024 * 1024;
/** So that what is held is not compared at each append. */
const PART_GIVEN = 1 / 4;
/** What a chunk takes beside its bytes: one of 80 bytes takes 590 (V8, resident; 200,000 of them). */
export const CHUNK_OVERHEAD_BYTES = 512;

const NOTHING: TailChunk = { baseOffset: 0, lastOffset: -1, bytes: new Uint8Array(0) };

export interface TailChunk {
  readonly baseOffset: number;
  readonly lastOffset: number;
  /** All of their buffer, which is given back when the chunk is dropped. */
  readonly bytes: Uint8Array;
}

/** The tails of all logs that a host reads or leads: what was written last is read from memory, as from Kafka's page cache. */
export class TailCaches {
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #tails = new Map<LogId, TailCache>();
  #bytes = 0;

  constructor(clock: Pick<Clock, 'monotonicMs'>) {
    this.#clock = clock;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** What is committed since; where something is missing, all that was before it goes. */
  take({ log, logStartOffset, highWatermark, chunks, rewrittenOffset = 0 }: TailNews): void {
    let tail = this.#tails.get(log);
    if (tail === undefined && chunks.length === 0) return;
    if (tail === undefined) this.#tails.set(log, (tail = new TailCache()));
    const before = tail.bytes;
    tail.usedMs = this.#clock.monotonicMs();
    for (const chunk of chunks) tail.append(chunk);
    if ((tail.endOffset ?? 0) < highWatermark) tail.clear();
    tail.deleteBefore(logStartOffset);
    tail.forgetBelow(rewrittenOffset);
    this.#bytes += tail.bytes - before;
    while (this.#bytes > MAX_TAILS_BYTES) this.#shorten();
  }

  /** Whether the record at `offset` is kept. */
  holds(log: LogId, offset: number): boolean {
    return this.#tails.get(log)?.holds(offset) === true;
  }

  /** See `TailCache.read`. */
  read(log: LogId, offset: number, maxBytes: number, endOffset: number): Uint8Array[] | undefined {
    const tail = this.#tails.get(log);
    if (tail === undefined) return undefined;
    tail.usedMs = this.#clock.monotonicMs();
    return tail.read(offset, maxBytes, endOffset);
  }

  drop(log: LogId): void {
    const tail = this.#tails.get(log);
    if (tail === undefined) return;
    this.#tails.delete(log);
    this.#bytes -= tail.bytes;
    tail.clear();
  }

  /** What was neither written nor read since. */
  dropIdle(sinceMs: number): void {
    for (const [log, { usedMs }] of this.#tails) if (usedMs < sinceMs) this.drop(log);
  }

  dropAllBut(kept: ReadonlyMap<LogId, unknown>): void {
    for (const log of this.#tails.keys()) if (!kept.has(log)) this.drop(log);
  }

  #shorten(): void {
    const longest = [...this.#tails.values()].reduce((found, tail) => (tail.bytes > found.bytes ? tail : found));
    const before = longest.bytes;
    longest.shorten(before * (1 - PART_GIVEN));
    this.#bytes += longest.bytes - before;
  }
}

export type TailNews = Pick<LogAdvance, 'log' | 'logStartOffset' | 'highWatermark' | 'chunks' | 'rewrittenOffset'>;

/** The last chunks of one log, without a gap, bounded in bytes. */
export class TailCache {
  /** For its owner. */
  usedMs = 0;
  readonly #chunks: TailChunk[] = [];
  /** Those before are dropped: to shift an array of thousands takes longer than a commit. */
  #first = 0;
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  /** One past the last offset kept; undefined where nothing is. */
  get endOffset(): number | undefined {
    const last = this.#chunks.at(-1);
    return last && last.lastOffset + 1;
  }

  /** Takes what follows the end. What is known already is skipped; after a gap all that was before it goes. */
  append(chunk: TailChunk): void {
    const end = this.endOffset;
    if (end !== undefined && chunk.lastOffset < end) return;
    if (end !== undefined && chunk.baseOffset !== end) this.clear();
    this.#chunks.push(chunk);
    this.#bytes += sizeOf(chunk);
    while (this.#bytes > MAX_TAIL_BYTES && this.#first < this.#chunks.length - 1) this.#dropFirst();
  }

  /** To at most so many bytes. */
  shorten(maxBytes: number): void {
    while (this.#bytes > maxBytes && this.#first < this.#chunks.length) this.#dropFirst();
  }

  /** Whether the record at `offset` is kept. */
  holds(offset: number): boolean {
    const first = this.#chunks[this.#first];
    return first !== undefined && offset >= first.baseOffset && offset < (this.endOffset ?? 0);
  }

  /**
   * Copies of the chunks from the one that holds `offset` on, below `endOffset`: at most `maxBytes`, at least one.
   * undefined where `offset` is not kept: ask the store.
   */
  read(offset: number, maxBytes: number, endOffset: number): Uint8Array[] | undefined {
    if (!this.holds(offset)) return undefined;
    const found: Uint8Array[] = [];
    let bytes = 0;
    for (let i = this.#indexOf(offset); i < this.#chunks.length; i++) {
      const chunk = this.#chunks[i]!;
      if (chunk.baseOffset >= endOffset) break;
      bytes += chunk.bytes.byteLength;
      if (found.length > 0 && bytes > maxBytes) break;
      found.push(chunk.bytes.slice());
    }
    return found;
  }

  /** Drops what lies wholly below `offset` (retention, DeleteRecords). */
  deleteBefore(offset: number): void {
    while ((this.#chunks[this.#first]?.lastOffset ?? Infinity) < offset) this.#dropFirst();
  }

  /** Drops also what lies in part below `offset`: what is there now, the store knows. */
  forgetBelow(offset: number): void {
    while ((this.#chunks[this.#first]?.baseOffset ?? Infinity) < offset) this.#dropFirst();
  }

  clear(): void {
    this.shorten(0);
  }

  /** Of the first chunk whose last offset is at or above `offset`. */
  #indexOf(offset: number): number {
    let low = this.#first;
    let high = this.#chunks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#chunks[middle]!.lastOffset < offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #dropFirst(): void {
    const dropped = this.#chunks[this.#first]!;
    this.#chunks[this.#first++] = NOTHING;
    this.#bytes -= sizeOf(dropped);
    free(dropped.bytes);
    if (this.#first < this.#chunks.length / 2) return;
    this.#chunks.splice(0, this.#first);
    this.#first = 0;
  }
}

function sizeOf({ bytes }: TailChunk): number {
  return bytes.byteLength + CHUNK_OVERHEAD_BYTES;
}
