import { BlobStream, type SealedBytes, sliceOf } from './blob-stream.js';
import type { SealedSegment } from './log-store.js';
import type { SealedSlice } from './sealed-segment.js';

/** Shorter slices are look-ups: whoever makes one does not go on behind it. */
const IN_ORDER_FROM_BYTES = 128 * 1024;
/** Streams that are kept for their readers to go on: in each pipe stand some MiB. */
const MAX_STREAMS = 4;

/** A sealed segment and the handle of its bytes. */
export interface SealedHandle {
  readonly segment: SealedSegment;
  readonly bytes: SealedBytes;
}

/** A stream of which somebody has read the bytes before `at`. */
interface OpenStream {
  readonly handle: SealedHandle;
  readonly at: number;
  readonly stream: BlobStream;
}

/**
 * Reads slices of sealed segments. Of Blobs, a reader in order gets them out of one stream: the browser fills its pipe while
 * the last slice is being checked and sent.
 */
export class SealedSlices {
  /** In order of last use. */
  #open: readonly OpenStream[] = [];
  /** Held, so that no collector takes a stream together with who waits for it. */
  readonly #reading = new Set<BlobStream>();

  /** The bytes of a slice, owned by the caller. */
  async read(handle: SealedHandle, slice: SealedSlice): Promise<Uint8Array> {
    const { bytes, segment } = handle;
    const { from, to } = slice;
    if (!(bytes instanceof Blob) || to - from < IN_ORDER_FROM_BYTES) return sliceOf(bytes, slice);
    const found = this.#open.find((open) => open.handle === handle && open.at === from);
    const stream = found?.stream ?? new BlobStream(bytes);
    this.#open = this.#open.filter((open) => open !== found);
    this.#reading.add(stream);
    const read = await stream.read(slice).finally(() => this.#reading.delete(stream));
    if (to === segment.byteCount) stream.close();
    else this.#keep([...this.#open, { handle, at: to, stream }].slice(-MAX_STREAMS));
    return read;
  }

  /** Lets go of what belongs to handles that are not `kept`. */
  release(kept: readonly SealedHandle[]): void {
    this.#keep(this.#open.filter(({ handle }) => kept.includes(handle)));
  }

  #keep(kept: readonly OpenStream[]): void {
    for (const open of this.#open) if (!kept.includes(open)) open.stream.close();
    this.#open = kept;
  }
}
