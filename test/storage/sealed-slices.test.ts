import { describe, expect, it, vi } from 'vitest';
import { BlobStream } from '../../src/storage/blob-stream.js';
import type { SealedSegment } from '../../src/storage/log-store.js';
import type { SealedSlice } from '../../src/storage/sealed-segment.js';
import { type SealedHandle, SealedSlices } from '../../src/storage/sealed-slices.js';

const ENTRY_BYTES = 256 * 1024;

/** What readers ask of a Blob. */
interface Asked {
  /** Streams that were opened. */
  streams: number;
  /** Bytes that were asked of them. */
  streamed: number;
  slices: number;
}

/** Ten offsets an entry of the index; every byte says which entry of its segment it is of. */
function handleOf(baseOffset: number, count: number): SealedHandle & { readonly bytes: Blob; readonly asked: Asked } {
  const bytes = new Blob(Array.from({ length: count }, (_, at) => new Uint8Array(ENTRY_BYTES).fill(at)));
  const asked = watch(bytes, { streams: 0, streamed: 0, slices: 0 });
  const segment: SealedSegment = {
    log: 1,
    baseOffset,
    nextOffset: baseOffset + 10 * count,
    byteCount: count * ENTRY_BYTES,
    crc32c: 0,
    version: 1,
    index: Array.from({ length: count }, (_, at) => ({ offset: baseOffset + 10 * at, position: at * ENTRY_BYTES })),
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

/** Of the entries of the index from `from` to `to` (exclusive). */
function entries(from: number, to: number): SealedSlice {
  return { from: from * ENTRY_BYTES, to: to * ENTRY_BYTES };
}

describe('slices of sealed segments', () => {
  it('come out of one stream where a reader goes on, and of another where it does not', async () => {
    const handle = handleOf(0, 7);
    const slices = new SealedSlices();
    const read = async (from: number, to: number): Promise<number[]> => {
      const bytes = await slices.read(handle, entries(from, to));
      return [bytes.byteLength / ENTRY_BYTES, bytes[0]!, bytes.at(-1)!];
    };
    expect(await read(1, 3)).toEqual([2, 1, 2]);
    expect(await read(3, 4)).toEqual([1, 3, 3]);
    expect(handle.asked).toEqual({ streams: 1, streamed: 3 * ENTRY_BYTES, slices: 0 });
    expect(await read(3, 5)).toEqual([2, 3, 4]);
    expect(await read(4, 7)).toEqual([3, 4, 6]);
    expect(await read(5, 7)).toEqual([2, 5, 6]);
    expect(handle.asked.streams).toBe(2);
    expect(await read(1, 2)).toEqual([1, 1, 1]);
    expect(handle.asked).toEqual({ streams: 3, streamed: 11 * ENTRY_BYTES, slices: 0 });
  });

  it('are given to each of some readers of one segment', async () => {
    const handle = handleOf(0, 4);
    const slices = new SealedSlices();
    for (let at = 0; at < 4; at++) {
      const both = await Promise.all([1, 2].map(() => slices.read(handle, entries(at, at + 1))));
      expect(both.map((bytes) => bytes[0])).toEqual([at, at]);
    }
    expect(handle.asked).toEqual({ streams: 2, streamed: 8 * ENTRY_BYTES, slices: 0 });
  });

  it('open no stream for a look-up', async () => {
    const handle = handleOf(0, 5);
    const bytes = await new SealedSlices().read(handle, { from: ENTRY_BYTES, to: ENTRY_BYTES + 1000 });
    expect([bytes.byteLength, bytes[0]]).toEqual([1000, 1]);
    expect(handle.asked).toEqual({ streams: 0, streamed: 0, slices: 1 });
  });

  it('that fail are read anew for the next', async () => {
    const handle = handleOf(0, 4);
    const slices = new SealedSlices();
    const gone = new DOMException('gone', 'NotFoundError');
    const failing = new ReadableStream({ type: 'bytes', pull: (controller) => controller.error(gone) });
    vi.spyOn(handle.bytes, 'stream').mockReturnValueOnce(failing as ReadableStream<Uint8Array<ArrayBuffer>>);
    await expect(slices.read(handle, entries(0, 2))).rejects.toThrow('gone');
    expect((await slices.read(handle, entries(0, 2)))[0]).toBe(0);
  });

  it('are let go with their handles, and the oldest for others', async () => {
    const handle = handleOf(0, 4);
    const slices = new SealedSlices();
    await slices.read(handle, entries(0, 1));
    slices.release([handle]);
    await slices.read(handle, entries(1, 2));
    expect(handle.asked.streams).toBe(1);
    slices.release([]);
    await slices.read(handle, entries(2, 3));
    expect(handle.asked.streams).toBe(2);
    const others = Array.from({ length: 4 }, (_, at) => handleOf(100 * (at + 1), 4));
    for (const other of others) await slices.read(other, entries(0, 1));
    expect((await slices.read(handle, entries(3, 4)))[0]).toBe(3);
    expect(handle.asked.streams).toBe(3);
    for (const other of others) expect((await slices.read(other, entries(1, 2)))[0]).toBe(1);
    expect(others.map(({ asked }) => asked.streams)).toEqual([1, 1, 1, 1]);
  });
});

describe('the stream of a Blob', () => {
  const blob = new Blob([Uint8Array.from({ length: 1000 }, (_, at) => at)]);

  it.each([
    ['as it is', (): Blob => blob],
    ['where the platform knows no memory of ours', withoutByob],
    ['where the platform fills less than it may', inPieces],
  ])('gives slices in order, %s', async (_, make) => {
    const stream = new BlobStream(make());
    const slices = [300, 301, 900, 1000].map((to, at, ends) => ({ from: ends[at - 1] ?? 200, to }));
    const read: Uint8Array[] = [];
    for (const slice of slices) read.push(await stream.read(slice));
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
