import { type IDBPTransaction, wrap } from 'idb';
import type { SealedTransaction } from './idb-sealed.js';
import { RESERVE_BYTES } from './log-store.js';
import type { LogSchema } from './schema.js';

type Meta = IDBPTransaction<LogSchema, ['meta'], 'readwrite'>['store'];

/**
 * See `LogStore.takeReserve`. One value, which Chromium keeps in a file of its own: its deletion gives back the space at
 * once, that of rows does not.
 */
export function takeReserve(transaction: SealedTransaction, leaderEpoch: number): Promise<void> {
  const take = async (meta: Meta): Promise<void> => {
    if ((await meta.count('reserve')) === 0) await meta.put(noise(RESERVE_BYTES), 'reserve');
  };
  return transaction('take the reserve', ['meta'], 'readwrite', (raw) => take(metaOf(raw)), { leaderEpoch });
}

export function dropReserve(transaction: SealedTransaction, leaderEpoch: number): Promise<void> {
  const drop = (meta: Meta): Promise<void> => meta.delete('reserve');
  return transaction('drop the reserve', ['meta'], 'readwrite', (raw) => drop(metaOf(raw)), { leaderEpoch });
}

function metaOf(transaction: IDBTransaction): Meta {
  const wrapped = wrap(transaction) as unknown as IDBPTransaction<LogSchema, ['meta'], 'readwrite'>;
  wrapped.done.catch(() => {}); // who runs the IDB transaction hears of its end by itself
  return wrapped.objectStore('meta');
}

/** Bytes that no database compresses (xorshift32). */
function noise(byteCount: number): Uint8Array {
  const words = new Uint32Array(byteCount / 4);
  let word = 0x9e3779b9;
  for (let at = 0; at < words.length; at++) {
    word ^= word << 13;
    word ^= word >>> 17;
    word ^= word << 5;
    words[at] = word;
  }
  return new Uint8Array(words.buffer);
}
