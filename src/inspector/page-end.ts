import type { EndEventPayload, GapEventPayload } from '../index.js';

/** Fetches that may find nothing while this tab has not heard yet of the page's last records. */
const MAX_EMPTY_FETCHES = 20;

/**
 * Tells when a page of a partition has all that there is of it. The last record of a page cannot tell: at its end there may
 * be transaction markers, aborted records, offsets that compaction removed, what is lost, or a transaction that is open.
 */
export class PageEnd {
  /** Everything before it was handled, or is lost. */
  #offset: number;
  /** Of the page, exclusive. */
  #endOffset: number;
  readonly #highWatermark: number;
  readonly #gaps: GapEventPayload[] = [];
  #emptyFetches = 0;

  constructor({ from, high }: { readonly from: number; readonly high: number }) {
    this.#offset = from;
    this.#endOffset = high;
    this.#highWatermark = high;
  }

  get isReached(): boolean {
    return this.#offset >= this.#endOffset;
  }

  /** What a fetch brought was handled up to there. */
  handled(lastOffset: number): void {
    this.#moveTo(lastOffset + 1);
  }

  /** A fetch came to it; what lies before may still be on its way. */
  lost(gap: GapEventPayload): void {
    this.#gaps.push(gap);
    this.#moveTo(this.#offset);
  }

  /** A fetch waited in vain. */
  nothingMore({ offset, highWatermark }: EndEventPayload): void {
    const isBehind = Number(highWatermark) < this.#highWatermark;
    if (isBehind && ++this.#emptyFetches < MAX_EMPTY_FETCHES) return;
    this.#endOffset = Math.min(this.#endOffset, Number(offset));
  }

  #moveTo(offset: number): void {
    this.#offset = offset;
    for (const { fromOffset, nextOffset } of this.#gaps) {
      if (Number(fromOffset) <= this.#offset) this.#offset = Math.max(this.#offset, Number(nextOffset));
    }
  }
}
