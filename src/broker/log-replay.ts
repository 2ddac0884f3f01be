import { batchesIn, lastOffsetOf } from '../record/batch-header.js';
import type { LogId, LogStore } from '../storage/log-store.js';

const READ_BYTES = 1024 * 1024;

/** The offset behind the last batch of the chunk, `otherwise` where it holds none. */
export function endOffsetOf(chunk: Uint8Array, otherwise: number): number {
  let end = otherwise;
  for (const { header } of batchesIn(chunk)) end = lastOffsetOf(header) + 1;
  return end;
}

/**
 * The stored batches of a log from the one that holds `offset` on, each once, to where it ends when the reading gets there.
 */
export async function* chunksFrom(
  store: Pick<LogStore, 'read'>,
  log: LogId,
  offset: number,
): AsyncGenerator<Uint8Array> {
  for (let next = offset; ; ) {
    const chunks = await store.read(log, next, READ_BYTES);
    if (chunks.length === 0) return;
    for (const chunk of chunks) {
      yield chunk.subarray(startOf(chunk, next));
      next = endOffsetOf(chunk, next);
    }
  }
}

/** Where the first batch that reaches `offset` begins: behind what is sealed, a row may repeat its end. */
function startOf(chunk: Uint8Array, offset: number): number {
  for (const { header, at } of batchesIn(chunk)) if (lastOffsetOf(header) >= offset) return at;
  return chunk.length;
}
