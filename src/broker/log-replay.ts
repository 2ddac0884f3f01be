import { soundChunks } from '../log/sound-batches.js';
import type { PartitionGap } from '../protocol/requests.js';
import type { LogId, LogStore } from '../storage/log-store.js';

const READ_BYTES = 1024 * 1024;

/**
 * The stored chunks of a log from `offset` on, to where it ends when the reading gets there. What is damaged is left out,
 * and `onGap` hears of it.
 */
export async function* chunksFrom(
  store: LogStore,
  log: LogId,
  offset: number,
  onGap: (gap: PartitionGap) => void = ignore,
): AsyncGenerator<Uint8Array> {
  for (let next = offset; ; ) {
    const { lastOffset = -1, logStartOffset } = await store.ends(log);
    const endOffset = lastOffset + 1;
    if (next >= endOffset) return;
    const from = { log, offset: Math.max(next, logStartOffset), maxBytes: READ_BYTES };
    yield* soundChunks(store, { ...from, endOffset }, onGap);
    next = endOffset;
  }
}

function ignore(): void {}
