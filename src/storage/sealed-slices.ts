import { BlobStream } from './blob-stream.js';
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
  /** Goes on at `to`. */
  readonly stream: BlobStream;
}

/**
 * Reads slices of sealed segments. Of Blobs, a reader in order gets them out of one stream, and the next slice is under way
 * while the last one is being checked and sent, also that of the next segment.
 */
export class SealedSlices {
  /** In order of last use. */
  #ahead: Ahead[] = [];

  /** The bytes of a slice, owned by the caller. */
  read(handle: SealedHandle, slice: SealedSlice, order: InOrder): Promise<Uint8Array> {
    const { bytes } = handle;
    if (!(bytes instanceof Blob) || !isInOrder(slice, order)) return sliceOf(bytes, slice);
    const found = this.#find(handle, slice);
    this.#forget(found);
    const stream = found?.stream ?? new BlobStream(bytes);
    const read = found?.bytes ?? stream.read(slice);
    this.#readOn(handle, slice, { ...order, stream });
    return read;
  }

  /** Lets go of what belongs to handles that are not `kept`. */
  release(kept: readonly SealedHandle[]): void {
    for (const ahead of this.#ahead) {
      if (kept.includes(ahead.handle)) continue;
      this.#forget(ahead);
      ahead.stream.close();
    }
  }

  /** Two under way were no faster: the pipe of one is what takes the time. */
  #readOn(
    handle: SealedHandle,
    { to }: SealedSlice,
    { wanted, next, stream }: InOrder & { readonly stream: BlobStream },
  ): void {
    const isRest = to < handle.segment.byteCount;
    const following = isRest ? handle : next;
    const slice = following && sealedSliceAt(following.segment, isRest ? to : 0, wanted);
    const blob = following?.bytes;
    if (!following || !slice || !(blob instanceof Blob) || this.#find(following, slice)) return stream.close();
    if (!isRest) stream.close();
    const goesOn = isRest ? stream : new BlobStream(blob);
    const bytes = goesOn.read(slice);
    bytes.catch(() => {}); // who asks for it hears of it
    this.#ahead.push({ ...slice, handle: following, bytes, stream: goesOn });
    if (this.#ahead.length > MAX_AHEAD) this.#ahead.shift()?.stream.close();
  }

  #find(handle: SealedHandle, { from, to }: SealedSlice): Ahead | undefined {
    return this.#ahead.find((ahead) => ahead.handle === handle && ahead.from === from && ahead.to === to);
  }

  #forget(forgotten: Ahead | undefined): void {
    this.#ahead = this.#ahead.filter((ahead) => ahead !== forgotten);
  }
}

function isInOrder({ from, to }: SealedSlice, { wanted }: InOrder): boolean {
  return wanted.maxBytes >= IN_ORDER_FROM_BYTES && to - from >= IN_ORDER_FROM_BYTES / 2;
}

/** A copy of the bytes between two positions. */
export async function sliceOf(bytes: SealedBytes, { from, to }: SealedSlice): Promise<Uint8Array> {
  if (bytes instanceof Uint8Array) return bytes.slice(from, to);
  return new Uint8Array(await bytes.slice(from, to).arrayBuffer());
}
