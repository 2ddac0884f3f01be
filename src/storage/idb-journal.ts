import { assert } from '../util/assert.js';
import { takeChunks } from './chunk.js';
import { resultOf } from './idb-request.js';
import type { SealedTransaction } from './idb-sealed.js';
import { Journal, type JournalKey, type JournalRow, type JournalRules, partsOf } from './journal.js';
import type { LogId } from './log-store.js';

/**
 * The journal that the leader of an epoch goes on with.
 * @throws KafkaError FENCED_LEADER_EPOCH, KAFKA_STORAGE_ERROR
 */
export function openJournal(
  transaction: SealedTransaction,
  leaderEpoch: number,
  rules: JournalRules | undefined,
): Promise<Journal> {
  const work = async (raw: IDBTransaction): Promise<Journal> => {
    const store = raw.objectStore('journal');
    const keys = store.getAllKeys();
    const rows = await resultOf<JournalRow[]>(store.getAll());
    const stored = rows.map((row, at) => ({ key: keys.result[at] as JournalKey, row }));
    return new Journal(leaderEpoch, stored, rules);
  };
  return transaction('read the journal', ['meta', 'journal'], 'readonly', work, { leaderEpoch });
}

/** The journal of one database as readers see it, for `IdbLogStore`, which loads it once there is something in it. */
export class JournalReader {
  /** Rows never change, and their keys are never used again. */
  #rows: Map<string, JournalRow> = new Map();
  #isUsed = false;

  /** What the journal adds to a read of rows, from the part on that holds `offset`, as the IDB transaction sees it. */
  async read(
    log: LogId,
    { offset, ...bounds }: { offset: number; takenBytes: number; maxBytes: number; endOffset: number },
    transaction: IDBTransaction,
  ): Promise<Uint8Array[]> {
    const parts = partsOf(log, await this.#rowsIn(transaction)).filter(({ lastOffset }) => lastOffset >= offset);
    const taken = takeChunks(
      parts.map(({ bytes }) => bytes),
      bounds,
    );
    return taken.map((bytes) => new Uint8Array(bytes)); // ours are kept
  }

  /** -1: there is no part of the log. */
  async lastOffset(log: LogId, transaction: IDBTransaction): Promise<number> {
    return partsOf(log, await this.#rowsIn(transaction)).at(-1)?.lastOffset ?? -1;
  }

  releaseUnused(): void {
    if (!this.#isUsed) this.#rows = new Map();
    this.#isUsed = false;
  }

  async #rowsIn(transaction: IDBTransaction): Promise<JournalRow[]> {
    this.#isUsed = true;
    const known = this.#rows; // another read may put its own there meanwhile
    const store = transaction.objectStore('journal');
    const keys = (await resultOf(store.getAllKeys())) as JournalKey[];
    const unknown = keys.filter((key) => !known.has(key.join()));
    const [first] = unknown;
    const fresh = first && (await resultOf<JournalRow[]>(store.getAll(IDBKeyRange.bound(first, unknown.at(-1)))));
    const from = first ? keys.indexOf(first) : 0;
    const rows = new Map<string, JournalRow>();
    for (const [at, key] of keys.entries()) {
      const row = known.get(key.join()) ?? fresh?.[at - from];
      assert(row !== undefined, 'a key of the journal has its row');
      rows.set(key.join(), row);
    }
    this.#rows = rows;
    return [...rows.values()];
  }
}
