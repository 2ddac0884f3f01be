import { describe, expect, it, vi } from 'vitest';
import { BlobStream } from '../../src/storage/blob-stream.js';
import type { SealedSegment } from '../../src/storage/log-store.js';
import { type SealedRead, type SealedSlice, sealedSliceAt } from '../../src/storage/sealed-segment.js';
import { type SealedHandle, SealedSlices } from '../../src/storage/sealed-slices.js';

const ENTRY_BYTES = 256 * 1024;
const WANTED: SealedRead = { offset: 0, maxBytes: 2 * ENTRY_BYTES, endOffset: 1_000 };

/** What readers ask of a Blob. */
interface Asked {
  /** Streams that were opened. */
  streams: number;
  /** Bytes that were asked of them. */
  streamed: number;
  slices: number;
}

/** Ten offsets an entry of the index; every byte says which entry of its segment it is of. */
function handleOf(baseOffset: number, entries: number): SealedHandle & { readonly bytes: Blob; readonly asked: Asked } {
  const bytes = new Blob(Array.from({ length: entries }, (_, at) => new Uint8Array(ENTRY_BYTES).fill(at)));
  const asked = watch(bytes, { streams: 0, streamed: 0, slices: 0 });
  const segment: SealedSegment = {
    log: 1,
    baseOffset,
    nextOffset: baseOffset + 10 * entries,
    byteCount: entries * ENTRY_BYTES,
    crc32c: 0,
    version: 1,
    index: Array.from({ length: entries }, (_, at) => ({ offset: baseOffset + 10 * at, position: at * ENTRY_BYTES })),
  };
  return { segment, bytes, asked };
}

/** Counts what is asked of a Blob, and of streams of its end. */
function watch(blob: Blob, asked: Asked): Asked {
  const slice = blob.slice.bind(blob);
  const stream = blob.stream.bind(blob);
  vi.spyOn(blob, 'slice').mockImplementation((from, to) => {
    const part = slice(from, to);
    if (to === undefined) watch(part, asked);
    else asked.slices++;
    return part;
  });
  vi.spyOn(blob, 'stream').mockImplementation(() => {
    asked.streams++;
    const opened = stream();
    const reader = opened.getReader({ mode: 'byob' });
    const read = reader.read.bind(reader);
    vi.spyOn(reader, 'read').mockImplementation((view, options) => {
      asked.streamed += view.byteLength;
      return read(view, options);
    });
    vi.spyOn(opened, 'getReader').mockReturnValue(reader as never);
    return opened;
  });
  return asked;
}

function sliceAt(handle: SealedHandle, entry: number, wanted = WANTED): SealedSlice {
  return sealedSliceAt(handle.segment, entry * ENTRY_BYTES, wanted)!;
}

describe('slices of sealed segments', () => {
  it('are under way before a reader in order asks, into the next segment, and each is read once', async () => {
    const [first, next] = [handleOf(0, 5), handleOf(50, 2)];
    const slices = new SealedSlices();
    const read = async (handle: SealedHandle, entry: number): Promise<number[]> => {
      const bytes = await slices.read(handle, sliceAt(handle, entry), {
        wanted: WANTED,
        next: handle === first ? next : undefined,
      });
      return [bytes.byteLength / ENTRY_BYTES, bytes[0]!];
    };
    expect(await read(first, 0)).toEqual([2, 0]);
    expect(first.asked).toEqual({ streams: 1, streamed: 4 * ENTRY_BYTES, slices: 0 });
    expect(await read(first, 2)).toEqual([2, 2]);
    expect(await read(first, 4)).toEqual([1, 4]);
    expect(first.asked).toEqual({ streams: 1, streamed: 5 * ENTRY_BYTES, slices: 0 });
    expect(next.asked.streamed).toBe(2 * ENTRY_BYTES);
    expect(await read(next, 0)).toEqual([2, 0]);
    expect(next.asked).toEqual({ streams: 1, streamed: 2 * ENTRY_BYTES, slices: 0 });
  });

  it('begin anywhere', async () => {
    const handle = handleOf(0, 5);
    const bytes = await new SealedSlices().read(handle, sliceAt(handle, 3), { wanted: WANTED, next: undefined });
    expect([bytes.byteLength / ENTRY_BYTES, bytes[0]]).toEqual([2, 3]);
  });

  it('are not read behind a look-up, nor behind what is wanted', async () => {
    const handle = handleOf(0, 5);
    const slices = new SealedSlices();
    const short = { ...WANTED, maxBytes: ENTRY_BYTES / 2 };
    await slices.read(handle, sliceAt(handle, 0, short), { wanted: short, next: undefined });
    expect(handle.asked).toEqual({ streams: 0, streamed: 0, slices: 1 });
    const bounded = { ...WANTED, endOffset: 20 };
    await slices.read(handle, sliceAt(handle, 0, bounded), { wanted: bounded, next: undefined });
    expect(handle.asked.streamed).toBe(2 * ENTRY_BYTES);
  });

  it('that fail before anybody asks fail who asks, and are read anew for the next', async () => {
    const [first, next] = [handleOf(0, 2), handleOf(20, 2)];
    const slices = new SealedSlices();
    vi.spyOn(next.bytes, 'stream').mockImplementationOnce(() => {
      throw new DOMException('gone', 'NotFoundError');
    });
    await slices.read(first, sliceAt(first, 0), { wanted: WANTED, next });
    const order = { wanted: WANTED, next: undefined };
    await expect(slices.read(next, sliceAt(next, 0), order)).rejects.toThrow('gone');
    expect((await slices.read(next, sliceAt(next, 0), order))[0]).toBe(0);
  });

  it('are let go with their handles', async () => {
    const handle = handleOf(0, 4);
    const slices = new SealedSlices();
    const order = { wanted: WANTED, next: undefined };
    await slices.read(handle, sliceAt(handle, 0), order);
    slices.release([]);
    expect((await slices.read(handle, sliceAt(handle, 2), order))[0]).toBe(2);
    expect(handle.asked.streams).toBe(2);
  });
});

describe('the stream of a Blob', () => {
  const blob = new Blob([Uint8Array.from({ length: 1000 }, (_, at) => at)]);

  it.each([
    ['as it is', (): Blob => blob],
    ['where the platform knows no memory of ours', withoutByob],
    ['where the platform fills less than it may', inPieces],
  ])('gives slices in order, however they are asked for, %s', async (_, make) => {
    const stream = new BlobStream(make());
    const slices = [300, 301, 900, 1000].map((to, at, ends) => ({ from: ends[at - 1] ?? 200, to }));
    const read = await Promise.all(slices.map((slice) => stream.read(slice)));
    stream.close();
    expect(read.map((bytes) => [bytes.byteLength, bytes[0], bytes.at(-1)])).toEqual(
      slices.map(({ from, to }) => [to - from, from & 255, (to - 1) & 255]),
    );
    expect(read.every(({ buffer, byteLength }) => buffer.byteLength === byteLength)).toBe(true);
  });

  it.each([
    ['as it is', (): Blob => blob],
    ['where the platform knows no memory of ours', withoutByob],
    ['where the platform fills less than it may', inPieces],
  ])('is short where the Blob is, %s', async (_, make) => {
    expect((await new BlobStream(make()).read({ from: 900, to: 1200 })).byteLength).toBe(100);
  });

  function withoutByob(): Blob {
    return ofStreams((bytes) => new ReadableStream({ start: (controller) => controller.enqueue(bytes) }));
  }

  /** As browsers that do not know `min`. */
  function inPieces(): Blob {
    return ofStreams((bytes) => {
      let at = 0;
      const stream = new ReadableStream({
        type: 'bytes',
        pull(controller) {
          if (at === bytes.byteLength) controller.close();
          else controller.enqueue(bytes.slice(at, (at = Math.min(at + 70, bytes.byteLength))));
          if (at === bytes.byteLength) controller.byobRequest?.respond(0);
        },
      });
      const reader = stream.getReader({ mode: 'byob' });
      const read = reader.read.bind(reader);
      vi.spyOn(reader, 'read').mockImplementation((view) => read(view));
      vi.spyOn(stream, 'getReader').mockReturnValue(reader as never);
      return stream;
    });
  }

  /** The same bytes out of another kind of stream, from wherever one begins. */
  function ofStreams(streamOf: (bytes: Uint8Array<ArrayBuffer>) => ReadableStream): Blob {
    const given = blob.slice();
    vi.spyOn(given, 'slice').mockImplementation((from, to) => {
      const part = blob.slice(from, to);
      const bytes = Uint8Array.from({ length: part.size }, (_, at) => (from ?? 0) + at);
      vi.spyOn(part, 'stream').mockImplementation(() => streamOf(bytes));
      return part;
    });
    return given;
  }
});
