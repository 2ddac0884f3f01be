/** A transaction that was given up, as Kafka's transaction index has it. */
export interface AbortedTransaction {
  readonly producerId: number;
  readonly firstOffset: number;
  /** Of the marker. */
  readonly lastOffset: number;
  /** The log's, once the marker was written: all transactions that begin below it had ended then. */
  readonly lastStableOffset: number;
}

/** The aborted transactions whose markers lie in a stretch of the log, all of them, in order of the markers. */
export interface AbortedWindow {
  readonly fromOffset: number;
  /** Exclusive. */
  readonly endOffset: number;
  readonly aborted: readonly AbortedTransaction[];
}

const FIELDS = 4;

/** As rows store them: of each its four numbers, because there may be many. */
export function packAborted(aborted: readonly AbortedTransaction[]): readonly number[] {
  return aborted.flatMap((each) => [each.producerId, each.firstOffset, each.lastOffset, each.lastStableOffset]);
}

export function unpackAborted(packed: readonly number[] = []): AbortedTransaction[] {
  return Array.from({ length: packed.length / FIELDS }, (_, index) => {
    const [producerId, firstOffset, lastOffset, lastStableOffset] = packed.slice(
      index * FIELDS,
      (index + 1) * FIELDS,
    ) as [number, number, number, number];
    return { producerId, firstOffset, lastOffset, lastStableOffset };
  });
}
