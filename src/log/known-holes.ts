/** Of one log: what is forgotten is found again where it is met. */
const MAX_HOLES = 64 * 1024;

/**
 * Stretches of a log's offsets that compaction took out, as far as what they lie in was found whole. None of these offsets
 * comes back, so that this stays true whatever becomes of the segments, and what is damaged later is in none of them.
 */
export class KnownHoles {
  /** Where each begins, by its exclusive end. */
  readonly #begins = new Map<number, number>();

  /** `nextOffset` is exclusive, and above `fromOffset`. */
  add(fromOffset: number, nextOffset: number): void {
    this.#begins.delete(nextOffset); // to the end: the oldest goes first
    this.#begins.set(nextOffset, fromOffset);
    if (this.#begins.size > MAX_HOLES) this.#begins.delete(this.#begins.keys().next().value!);
  }

  /** Whether there was nothing left from the one offset to the other, in one hole or in several that touch each other. */
  hold(fromOffset: number, nextOffset: number): boolean {
    for (let end: number | undefined = nextOffset; end !== undefined; end = this.#begins.get(end))
      if (end <= fromOffset) return true;
    return false;
  }
}
