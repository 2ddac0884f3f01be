import { assert } from '../util/assert.js';

/** Epoch `epoch` wrote from `startOffset` on, up to where the next entry starts. */
export interface EpochEntry {
  readonly epoch: number;
  readonly startOffset: number;
}

/** Kafka's answer for an epoch that is not known. */
export const UNDEFINED_EPOCH_END: { readonly epoch: number; readonly endOffset: number } = { epoch: -1, endOffset: -1 };

/**
 * Where each leader epoch of a log began (Kafka's leader epoch cache, KIP-101, KIP-279). Epochs and start offsets both
 * rise strictly from entry to entry; an entry that would break this replaces those it contradicts.
 */
export class LeaderEpochs {
  #entries: readonly EpochEntry[];

  /** `entries`: as `entries()` gave them. */
  constructor(entries: readonly EpochEntry[] = []) {
    this.#entries = entries;
  }

  /** Ascending; the array does not change any more. */
  entries(): readonly EpochEntry[] {
    return this.#entries;
  }

  /** Notes that `epoch` writes from `startOffset` on; a later batch of the latest epoch changes nothing. */
  assign(epoch: number, startOffset: number): void {
    assert(epoch >= 0 && startOffset >= 0, `epoch ${epoch} and its start offset ${startOffset} are not negative`);
    const latest = this.#entries.at(-1);
    if (latest?.epoch === epoch && startOffset >= latest.startOffset) return;
    const kept = this.#entries.filter((entry) => entry.epoch < epoch && entry.startOffset < startOffset);
    this.#entries = [...kept, { epoch, startOffset }];
  }

  latestEpoch(): number | undefined {
    return this.#entries.at(-1)?.epoch;
  }

  /** The entry of exactly this epoch. */
  entry(epoch: number): EpochEntry | undefined {
    return this.#entries.find((entry) => entry.epoch === epoch);
  }

  /** The entry of the greatest known epoch below `epoch`. */
  previous(epoch: number): EpochEntry | undefined {
    return this.#entries.findLast((entry) => entry.epoch < epoch);
  }

  /** The entry of the least known epoch above `epoch`. */
  next(epoch: number): EpochEntry | undefined {
    return this.#entries.find((entry) => entry.epoch > epoch);
  }

  /** The epoch that wrote `offset`; undefined below the first entry. */
  epochForOffset(offset: number): number | undefined {
    return this.#entries.findLast((entry) => entry.startOffset <= offset)?.epoch;
  }

  /**
   * The greatest known epoch not above `epoch`, and where it ended: what a follower truncates to. An epoch above all
   * known ones is undefined; one below all known ones ends where the first of them starts.
   */
  endOffsetFor(epoch: number, logEndOffset: number): { readonly epoch: number; readonly endOffset: number } {
    if (epoch < 0) return UNDEFINED_EPOCH_END;
    if (epoch === this.latestEpoch()) return { epoch, endOffset: logEndOffset };
    const next = this.next(epoch);
    if (next === undefined) return UNDEFINED_EPOCH_END;
    const found = this.entry(epoch) ?? this.previous(epoch);
    return { epoch: found?.epoch ?? epoch, endOffset: next.startOffset };
  }

  /** Forgets what lies at or after `endOffset`. */
  truncateFromEnd(endOffset: number): void {
    if (endOffset < 0) return;
    this.#entries = this.#entries.filter((entry) => entry.startOffset < endOffset);
  }

  /** Forgets what lies before `startOffset`; the epoch that wrote there starts there from now on. */
  truncateFromStart(startOffset: number): void {
    const at = this.#entries.findLastIndex((entry) => entry.startOffset <= startOffset);
    const first = this.#entries[at];
    if (first === undefined || first.startOffset === startOffset) this.#entries = this.#entries.slice(Math.max(at, 0));
    else this.#entries = [{ epoch: first.epoch, startOffset }, ...this.#entries.slice(at + 1)];
  }

  clear(): void {
    this.#entries = [];
  }
}
