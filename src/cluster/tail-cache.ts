/** How much of the end of one log is kept. */
export const MAX_TAIL_BYTES: number = 4 * 1024 * 1024;
/** How much all tails of a host hold together. */
export const MAX_TAILS_BYTES: number = 32 * 1024 * 1024;
/** What a chunk takes beside its bytes: one of 80 bytes takes 590 (V8, resident; 200,000 of them). */
export const CHUNK_OVERHEAD_BYTES = 512;

export interface TailChunk {
  readonly baseOffset: number;
  readonly lastOffset: number;
  readonly bytes: Uint8Array;
}

/** What all tails of one host hold together. */
export interface TailBudget {
  bytes: number;
}

/**
 * The last chunks of one log, without a gap, so that consumers at the end need no storage. Bounded in bytes, together
 * with the other tails that share `budget`.
 */
export class TailCache {
  readonly #budget: TailBudget;
  readonly #chunks: TailChunk[] = [];
  #bytes = 0;

  constructor(budget: TailBudget) {
    this.#budget = budget;
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
    this.#count(sizeOf(chunk));
    while (this.#chunks.length > 1 && this.#bytes > MAX_TAIL_BYTES) this.#dropFirst();
    if (this.#budget.bytes > MAX_TAILS_BYTES) this.clear();
  }

  /** Whether the record at `offset` is kept. */
  holds(offset: number): boolean {
    const first = this.#chunks[0];
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
    while (this.#chunks.length > 0 && this.#chunks[0]!.lastOffset < offset) this.#dropFirst();
  }

  clear(): void {
    this.#chunks.length = 0;
    this.#count(-this.#bytes);
  }

  /** Of the first chunk whose last offset is at or above `offset`. */
  #indexOf(offset: number): number {
    let low = 0;
    let high = this.#chunks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#chunks[middle]!.lastOffset < offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #dropFirst(): void {
    const dropped = this.#chunks.shift();
    if (dropped !== undefined) this.#count(-sizeOf(dropped));
  }

  #count(bytes: number): void {
    this.#bytes += bytes;
    this.#budget.bytes += bytes;
  }
}

function sizeOf({ bytes }: TailChunk): number {
  return bytes.byteLength + CHUNK_OVERHEAD_BYTES;
}
