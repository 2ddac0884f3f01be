import { assert } from '../util/assert.js';

/** Epoch `epoch` wrote from `startOffset` on, up to where the next entry starts. */
export interface EpochEntry {
  readonly epoch: number;
  readonly startOffset: number;
}

/**
 * Where each leader epoch of a log began (Kafka's leader epoch cache, KIP-101, KIP-279), oldest first. Epochs and start
 * offsets both rise strictly from entry to entry.
 */
export type LeaderEpochs = readonly EpochEntry[];

/** Kafka's answer for an epoch that is not known. */
export const UNDEFINED_EPOCH_END: { readonly epoch: number; readonly endOffset: number } = { epoch: -1, endOffset: -1 };

/**
 * Notes that `epoch` writes from `startOffset` on; a later batch of the latest epoch changes nothing. Entries that
 * contradict the new one are replaced by it.
 */
export function withEpoch(entries: LeaderEpochs, epoch: number, startOffset: number): LeaderEpochs {
  assert(epoch >= 0 && startOffset >= 0, `epoch ${epoch} and its start offset ${startOffset} are not negative`);
  const latest = entries.at(-1);
  if (latest?.epoch === epoch && startOffset >= latest.startOffset) return entries;
  const kept = entries.filter((entry) => entry.epoch < epoch && entry.startOffset < startOffset);
  return [...kept, { epoch, startOffset }];
}

/** Without what lies before `startOffset`; the epoch that wrote there starts there from now on. */
export function truncatedFromStart(entries: LeaderEpochs, startOffset: number): LeaderEpochs {
  const at = entries.findLastIndex((entry) => entry.startOffset <= startOffset);
  const first = entries[at];
  if (first === undefined || first.startOffset === startOffset) return entries.slice(Math.max(at, 0));
  return [{ epoch: first.epoch, startOffset }, ...entries.slice(at + 1)];
}

/** Without what lies at or after `endOffset`. */
export function truncatedFromEnd(entries: LeaderEpochs, endOffset: number): LeaderEpochs {
  return endOffset < 0 ? entries : entries.filter((entry) => entry.startOffset < endOffset);
}

/** The entry of exactly this epoch. */
export function epochEntry(entries: LeaderEpochs, epoch: number): EpochEntry | undefined {
  return entries.find((entry) => entry.epoch === epoch);
}

/** The entry of the greatest known epoch below `epoch`. */
export function previousEntry(entries: LeaderEpochs, epoch: number): EpochEntry | undefined {
  return entries.findLast((entry) => entry.epoch < epoch);
}

/** The entry of the least known epoch above `epoch`. */
export function nextEntry(entries: LeaderEpochs, epoch: number): EpochEntry | undefined {
  return entries.find((entry) => entry.epoch > epoch);
}

/** The epoch that wrote `offset`; undefined below the first entry. */
export function epochForOffset(entries: LeaderEpochs, offset: number): number | undefined {
  return entries.findLast((entry) => entry.startOffset <= offset)?.epoch;
}

/**
 * The greatest known epoch not above `epoch`, and where it ended: what a follower truncates to. An epoch above all
 * known ones is undefined; one below all known ones ends where the first of them starts.
 */
export function endOffsetFor(
  entries: LeaderEpochs,
  epoch: number,
  logEndOffset: number,
): { readonly epoch: number; readonly endOffset: number } {
  if (epoch < 0) return UNDEFINED_EPOCH_END;
  if (epoch === entries.at(-1)?.epoch) return { epoch, endOffset: logEndOffset };
  const next = nextEntry(entries, epoch);
  if (next === undefined) return UNDEFINED_EPOCH_END;
  const found = epochEntry(entries, epoch) ?? previousEntry(entries, epoch);
  return { epoch: found?.epoch ?? epoch, endOffset: next.startOffset };
}
