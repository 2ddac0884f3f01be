import { type IDBPTransaction, wrap } from 'idb';
import type { SealedTransaction } from './idb-sealed.js';
import type { LogId } from './log-store.js';
import type { LogSchema, StoreName } from './schema.js';

/** Rows that one slice of a deletion takes: appends wait for a slice, some 10 to 20 ms in Chromium. */
const SLICE_ROWS = 32;

const SCOPE: StoreName[] = ['meta', 'logs', 'chunks', 'segments', 'checkpoints'];

type Transaction = IDBPTransaction<LogSchema, StoreName[], 'readwrite'>;
type Part = (transaction: Transaction) => Promise<void>;

/** The deletions of one database, for `IdbLogStore`, which loads them with the first. Sealed segments are not theirs. */
export class IdbDeletion {
  readonly #transaction: SealedTransaction;

  constructor(transaction: SealedTransaction) {
    this.#transaction = transaction;
  }

  async deleteBefore(log: LogId, offset: number, leaderEpoch: number): Promise<void> {
    const below = IDBKeyRange.bound([log], [log, offset], false, true);
    await this.#deleteInSlices(`delete log ${log} before offset ${offset}`, below, {
      leaderEpoch,
      first: async (transaction) => {
        const logs = transaction.objectStore('logs');
        const logStartOffset = (await logs.get(log))?.logStartOffset ?? 0;
        if (logStartOffset < offset) await logs.put({ logStartOffset: offset }, log);
      },
      last: async (transaction) => {
        const store = transaction.objectStore('segments');
        const passed = (await store.getAll(below)).filter(({ nextOffset }) => nextOffset <= offset);
        await Promise.all(passed.map(({ baseOffset }) => store.delete([log, baseOffset])));
      },
    });
  }

  async deleteLog(log: LogId, leaderEpoch: number): Promise<void> {
    const all = rowsOf(log);
    await this.#deleteInSlices(`delete log ${log}`, all, {
      leaderEpoch,
      first: async () => {},
      last: async (transaction) => {
        await transaction.objectStore('segments').delete(all);
        await transaction.objectStore('checkpoints').delete(log);
        await transaction.objectStore('logs').delete(log);
      },
    });
  }

  /** Whether something of the log is sealed, or is left of what was. */
  holdsSealed(log: LogId): Promise<boolean> {
    return this.#transaction(`look at log ${log}`, ['sealed', 'sealedBytes'], 'readonly', async (raw) => {
      const transaction = wrapped(raw);
      const [segment, bytes] = await Promise.all([
        transaction.objectStore('sealed').getKey(rowsOf(log)),
        transaction.objectStore('sealedBytes').getKey(rowsOf(log)),
      ]);
      return segment !== undefined || bytes !== undefined;
    });
  }

  /**
   * Deletes the chunks in `range`, slice by slice, and does `first` and `last` in the IDB transactions of the first
   * and the last slice. Each slice begins behind the one before: LevelDB steps over every row deleted just now.
   */
  async #deleteInSlices(
    doing: string,
    range: IDBKeyRange,
    { leaderEpoch, first, last }: { leaderEpoch: number; first: Part; last: Part },
  ): Promise<void> {
    let rest: IDBKeyRange | undefined = range;
    while (rest !== undefined) {
      const slice: IDBKeyRange = rest;
      const work = async (raw: IDBTransaction): Promise<IDBKeyRange | undefined> => {
        const transaction = wrapped(raw);
        if (slice === range) await first(transaction);
        const chunks = transaction.objectStore('chunks');
        const keys = await chunks.getAllKeys(slice, SLICE_ROWS);
        const lastKey = keys.at(-1);
        if (lastKey) await chunks.delete(IDBKeyRange.bound(keys[0], lastKey));
        if (lastKey && keys.length === SLICE_ROWS) {
          return IDBKeyRange.bound(lastKey, range.upper, true, range.upperOpen);
        }
        await last(transaction);
        return undefined;
      };
      rest = await this.#transaction(doing, SCOPE, 'readwrite', work, { leaderEpoch });
    }
  }
}

/** As the store that runs it has it. */
function wrapped(transaction: IDBTransaction): Transaction {
  const typed = wrap(transaction) as unknown as Transaction; // typed by its scope and mode, which the caller gave
  typed.done.catch(() => {}); // who runs the IDB transaction hears of its end by itself
  return typed;
}

function rowsOf(log: LogId): IDBKeyRange {
  return IDBKeyRange.bound([log, 0], [log, Infinity]);
}
