import { type IDBPTransaction, wrap } from 'idb';
import { frontOf, rowsFrom } from './idb-request.js';
import type { SealedTransaction } from './idb-sealed.js';
import { type LogId, SLICE_ROWS } from './log-store.js';
import type { LogSchema, StoreName } from './schema.js';

const SCOPE: StoreName[] = ['meta', 'logs', 'chunks', 'segments', 'checkpoints'];

type Transaction = IDBPTransaction<LogSchema, StoreName[], 'readwrite'>;
/** What goes, slice by slice. */
interface Deletion {
  readonly doing: string;
  readonly leaderEpoch: number;
  readonly range: IDBKeyRange;
}

/** The deletions of one database, for `IdbLogStore`, which loads them with the first. Sealed segments are not theirs. */
export class IdbDeletion {
  readonly #transaction: SealedTransaction;

  constructor(transaction: SealedTransaction) {
    this.#transaction = transaction;
  }

  async deleteBefore(log: LogId, offset: number, leaderEpoch: number): Promise<void> {
    const range = IDBKeyRange.bound(frontOf(log), [log, offset], true, true);
    const deletion = { doing: `delete log ${log} before offset ${offset}`, leaderEpoch, range };
    await this.#run(deletion, async (transaction) => {
      const logs = transaction.objectStore('logs');
      const logStartOffset = (await logs.get(log))?.logStartOffset ?? 0;
      if (logStartOffset < offset) await logs.put({ logStartOffset: offset }, log);
    });
    await this.#deleteSlices(deletion, offset);
  }

  async deleteLog(log: LogId, leaderEpoch: number): Promise<void> {
    const deletion = { doing: `delete log ${log}`, leaderEpoch, range: rowsFrom(log, 0) };
    await this.#deleteSlices(deletion, Infinity);
    await this.#run(deletion, async (transaction) => {
      await transaction.objectStore('chunks').delete(frontOf(log)); // by now no sweep beside this finds a row and puts it there
      await transaction.objectStore('checkpoints').delete(log);
      await transaction.objectStore('logs').delete(log);
    });
  }

  /** Whether something of the log is sealed, or is left of what was. */
  holdsSealed(log: LogId): Promise<boolean> {
    return this.#transaction(`look at log ${log}`, ['sealed', 'sealedBytes'], 'readonly', async (raw) => {
      const transaction = wrapped(raw);
      const [segment, bytes] = await Promise.all([
        transaction.objectStore('sealed').getKey(rowsFrom(log, 0)),
        transaction.objectStore('sealedBytes').getKey(rowsFrom(log, 0)),
      ]);
      return segment !== undefined || bytes !== undefined;
    });
  }

  /**
   * Chunks, then the rows of segments that end at `offset` at the latest. Each slice begins behind the one before: LevelDB
   * steps over every row deleted just now.
   */
  async #deleteSlices(deletion: Deletion, offset: number): Promise<void> {
    const { upper, upperOpen } = deletion.range;
    for (const name of ['chunks', 'segments'] as const) {
      for (let rest: IDBKeyRange | undefined = deletion.range; rest !== undefined; ) {
        const slice: IDBKeyRange = rest;
        const keys: [LogId, number][] = await this.#run(deletion, async (transaction) => {
          const store = transaction.objectStore(name);
          const found = await store.getAllKeys(slice, SLICE_ROWS);
          const rows = name === 'segments' ? await transaction.objectStore(name).getAll(slice, SLICE_ROWS) : [];
          // The last one may reach beyond the offset; a damaged row goes, too.
          const passed = found.filter((_key, at) => !((rows[at]?.nextOffset ?? 0) > offset));
          const last = passed.at(-1);
          if (last) await store.delete(IDBKeyRange.bound(passed[0], last));
          return found;
        });
        const lastKey = keys[SLICE_ROWS - 1];
        rest = lastKey && IDBKeyRange.bound(lastKey, upper, true, upperOpen);
      }
    }
  }

  #run<T>({ doing, leaderEpoch }: Deletion, work: (transaction: Transaction) => Promise<T>): Promise<T> {
    return this.#transaction(doing, SCOPE, 'readwrite', (raw) => work(wrapped(raw)), { leaderEpoch });
  }
}

/** As the store that runs it has it. */
function wrapped(transaction: IDBTransaction): Transaction {
  const typed = wrap(transaction) as unknown as Transaction; // typed by its scope and mode, which the caller gave
  typed.done.catch(() => {}); // who runs the IDB transaction hears of its end by itself
  return typed;
}
