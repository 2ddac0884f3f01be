import type { SealedSegment } from './log-store.js';
import { type SealedRead, type SealedSlice, sealedSliceAt } from './sealed-segment.js';

export type SealedBytes = Blob | Uint8Array;

/** Shorter reads are look-ups: whoever makes one does not go on behind it. */
const IN_ORDER_FROM_BYTES = 256 * 1024;
/** Slices that are under way before anybody asks, of all readers: at most so many MiB. */
const MAX_AHEAD = 4;

/** A sealed segment and the handle of its bytes. */
export interface SealedHandle {
  readonly segment: SealedSegment;
  readonly bytes: SealedBytes;
}

/** What a reader goes on with. */
interface InOrder {
  readonly wanted: SealedRead;
  /** The segment behind, where its handle is kept. */
  readonly next: SealedHandle | undefined;
}

interface Ahead extends SealedSlice {
  readonly handle: SealedHandle;
  /** Rejects unheard where nobody asks. */
  readonly bytes: Promise<Uint8Array>;
}

/**
 * Reads slices of sealed segments; of Blobs the next slice is under way while the last one is being checked and sent, also
 * that of the next segment.
 */
export class SealedSlices {
  /** In order of last use. */
  #ahead: Ahead[] = [];

  /** The bytes of a slice, owned by the caller. */
  read(handle: SealedHandle, slice: SealedSlice, order: InOrder): Promise<Uint8Array> {
    const found = this.#take(handle, slice) ?? sliceOf(handle.bytes, slice);
    this.#readOn(handle, slice, order);
    return found;
  }

  /** Lets go of what belongs to handles that are not `kept`. */
  release(kept: readonly SealedHandle[]): void {
    if (this.#ahead.length > 0) this.#ahead = this.#ahead.filter(({ handle }) => kept.includes(handle));
  }

  #take(handle: SealedHandle, { from, to }: SealedSlice): Promise<Uint8Array> | undefined {
    const found = this.#ahead.find((ahead) => ahead.handle === handle && ahead.from === from && ahead.to === to);
    if (found !== undefined) this.#ahead = this.#ahead.filter((ahead) => ahead !== found);
    return found?.bytes;
  }

  /** Two under way were no faster: the pipe of one is what takes the time. */
  #readOn(handle: SealedHandle, { from, to }: SealedSlice, { wanted, next }: InOrder): void {
    if (wanted.maxBytes < IN_ORDER_FROM_BYTES || to - from < IN_ORDER_FROM_BYTES / 2) return;
    const isRest = to < handle.segment.byteCount;
    const following = isRest ? handle : next;
    if (following === undefined || !(following.bytes instanceof Blob)) return;
    const slice = sealedSliceAt(following.segment, isRest ? to : 0, wanted);
    if (slice === undefined || this.#isUnderWay(following, slice)) return;
    const bytes = sliceOf(following.bytes, slice);
    bytes.catch(() => {}); // who asks for it hears of it
    this.#ahead = [...this.#ahead, { ...slice, handle: following, bytes }].slice(-MAX_AHEAD);
  }

  #isUnderWay(handle: SealedHandle, { from, to }: SealedSlice): boolean {
    return this.#ahead.some((ahead) => ahead.handle === handle && ahead.from === from && ahead.to === to);
  }
}

/** A copy of the bytes between two positions. */
export async function sliceOf(bytes: SealedBytes, { from, to }: SealedSlice): Promise<Uint8Array> {
  if (bytes instanceof Uint8Array) return bytes.slice(from, to);
  return new Uint8Array(await bytes.slice(from, to).arrayBuffer());
}
