import { describe, expect, it, vi } from 'vitest';
import type { SealedSegment } from '../../src/storage/log-store.js';
import { type SealedRead, type SealedSlice, sealedSliceAt } from '../../src/storage/sealed-segment.js';
import { type SealedHandle, SealedSlices } from '../../src/storage/sealed-slices.js';

const ENTRY_BYTES = 256 * 1024;
const WANTED: SealedRead = { offset: 0, maxBytes: 2 * ENTRY_BYTES, endOffset: 1_000 };

/** Ten offsets an entry of the index; every byte says which entry of its segment it is of. */
function handleOf(baseOffset: number, entries: number): SealedHandle & { readonly asked: () => number } {
  const bytes = new Blob(Array.from({ length: entries }, (_, at) => new Uint8Array(ENTRY_BYTES).fill(at)));
  const slice = vi.spyOn(bytes, 'slice');
  const segment: SealedSegment = {
    log: 1,
    baseOffset,
    nextOffset: baseOffset + 10 * entries,
    byteCount: entries * ENTRY_BYTES,
    crc32c: 0,
    version: 1,
    index: Array.from({ length: entries }, (_, at) => ({ offset: baseOffset + 10 * at, position: at * ENTRY_BYTES })),
  };
  return { segment, bytes, asked: () => slice.mock.calls.length };
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
    expect(first.asked()).toBe(2);
    expect(await read(first, 2)).toEqual([2, 2]);
    expect(await read(first, 4)).toEqual([1, 4]);
    expect([first.asked(), next.asked()]).toEqual([3, 1]);
    expect(await read(next, 0)).toEqual([2, 0]);
    expect([first.asked(), next.asked()]).toEqual([3, 1]);
  });

  it('are not read behind a look-up, nor behind what is wanted', async () => {
    const handle = handleOf(0, 5);
    const slices = new SealedSlices();
    const short = { ...WANTED, maxBytes: ENTRY_BYTES / 2 };
    await slices.read(handle, sliceAt(handle, 0, short), { wanted: short, next: undefined });
    expect(handle.asked()).toBe(1);
    const bounded = { ...WANTED, endOffset: 20 };
    await slices.read(handle, sliceAt(handle, 0, bounded), { wanted: bounded, next: undefined });
    expect(handle.asked()).toBe(2);
  });

  it('that fail before anybody asks fail who asks, and are read anew for the next', async () => {
    const handle = handleOf(0, 4);
    const slices = new SealedSlices();
    const real = Blob.prototype.slice.bind(handle.bytes as Blob);
    vi.spyOn(handle.bytes as Blob, 'slice')
      .mockImplementationOnce(real)
      .mockImplementationOnce(() => {
        throw new DOMException('gone', 'NotFoundError');
      });
    const order = { wanted: WANTED, next: undefined };
    await slices.read(handle, sliceAt(handle, 0), order);
    await expect(slices.read(handle, sliceAt(handle, 2), order)).rejects.toThrow('gone');
    expect((await slices.read(handle, sliceAt(handle, 2), order))[0]).toBe(2);
  });

  it('are let go with their handles', async () => {
    const handle = handleOf(0, 4);
    const slices = new SealedSlices();
    const order = { wanted: WANTED, next: undefined };
    await slices.read(handle, sliceAt(handle, 0), order);
    slices.release([]);
    await slices.read(handle, sliceAt(handle, 2), order);
    expect(handle.asked()).toBe(3);
  });
});
