import type { StorageFigures } from '../protocol/storage-state.js';

/** How much the origin uses and may use, as far as the browser tells: rounded, and padded by some. */
export async function quotaFigures(): Promise<StorageFigures> {
  try {
    const { usage, quota } = await navigator.storage.estimate();
    return { usage, quota };
  } catch {
    return { usage: undefined, quota: undefined };
  }
}
