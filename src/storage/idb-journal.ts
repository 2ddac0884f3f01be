import { resultOf } from './idb-request.js';
import { type JournalKey, type JournalRow, partsOf } from './journal.js';
import type { Chunk, LogId } from './log-store.js';

export { Journal } from './journal.js';

/** The journal of one database as readers see it, for `IdbLogStore`, which loads it once there is something in it. */
export class JournalReader {
  /** Rows never change, and their keys are never used again. */
  #rows: Map<string, JournalRow> = new Map();
  #isUsed = false;

  /** As the IDB transaction sees it, in offset order. The bytes are not the caller's. */
  async partsOf(log: LogId, transaction: IDBTransaction): Promise<Chunk[]> {
    return partsOf(log, await this.#rowsIn(transaction));
  }

  releaseUnused(): void {
    if (!this.#isUsed) this.#rows = new Map();
    this.#isUsed = false;
  }

  async #rowsIn(transaction: IDBTransaction): Promise<JournalRow[]> {
    this.#isUsed = true;
    const store = transaction.objectStore('journal');
    const keys = (await resultOf(store.getAllKeys())) as JournalKey[];
    const unknown = keys.filter((key) => !this.#rows.has(key.join()));
    const range = unknown.length > 0 && IDBKeyRange.bound(unknown[0], unknown.at(-1));
    const fresh = range ? await resultOf<JournalRow[]>(store.getAll(range)) : [];
    const rows = new Map<string, JournalRow>();
    const first = keys.findIndex((key) => key === unknown[0]);
    for (const [at, key] of keys.entries()) {
      const row = this.#rows.get(key.join()) ?? fresh[at - first];
      if (row !== undefined) rows.set(key.join(), row);
    }
    this.#rows = rows;
    return [...rows.values()];
  }
}
