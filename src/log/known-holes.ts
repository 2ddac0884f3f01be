/**
 * Stretches of a log's offsets that compaction took out, as far as what they lie in was found whole: where each begins, by
 * its exclusive end. None of these offsets comes back, so that this stays true whatever becomes of the segments, and what
 * is damaged later is in none of them. `salvage` adds to it.
 */
export type KnownHoles = Map<number, number>;

/** Whether there was nothing left from the one offset to the other (exclusive), in one hole or in several that touch. */
export function isHole(holes: KnownHoles | undefined, fromOffset: number, nextOffset: number): boolean {
  let end: number | undefined = nextOffset;
  while (end !== undefined && end > fromOffset) end = holes?.get(end);
  return end !== undefined;
}
