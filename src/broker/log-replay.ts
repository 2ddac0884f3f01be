import { batchesIn, lastOffsetOf } from '../record/batch-header.js';
import type { LogId, LogStore } from '../storage/log-store.js';

const READ_BYTES = 1024 * 1024;

/** The offset behind the last batch of the chunk, `otherwise` where it holds none. */
export function endOffsetOf(chunk: Uint8Array, otherwise: number): number {
  let end = otherwise;
  for (const { header } of batchesIn(chunk)) end = lastOffsetOf(header) + 1;
  return end;
}

/** The stored chunks of a log from `offset` on, to where it ends when the reading gets there. */
export async function* chunksFrom(
  store: Pick<LogStore, 'read'>,
  log: LogId,
  offset: number,
): AsyncGenerator<Uint8Array> {
  for (let next = offset; ; ) {
    const chunks = await store.read(log, next, READ_BYTES);
    if (chunks.length === 0) return;
    for (const chunk of chunks) {
      yield chunk;
      next = endOffsetOf(chunk, next);
    }
  }
}
