import { type IDBPTransaction, wrap } from 'idb';
import type { SealedTransaction } from './idb-sealed.js';
import type { LogId } from './log-store.js';
import type { LogSchema, StoreName } from './schema.js';

/** Rows that one slice of a deletion takes. Appends wait for a slice: 16 full rows are no more than a commit writes. */
const SLICE_ROWS = 16;

const SCOPE: StoreName[] = ['meta', 'logs', 'chunks', 'segments', 'checkpoints'];

type Transaction = IDBPTransaction<LogSchema, StoreName[], 'readwrite'>;
type Step = (transaction: Transaction) => Promise<void>;

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
    const range = IDBKeyRange.bound([log], [log, offset], false, true);
    const deletion = { doing: `delete log ${log} before offset ${offset}`, leaderEpoch, range };
    await this.#deleteChunks(deletion, async (transaction) => {
      const logs = transaction.objectStore('logs');
      const logStartOffset = (await logs.get(log))?.logStartOffset ?? 0;
      if (logStartOffset < offset) await logs.put({ logStartOffset: offset }, log);
    });
    await this.#deleteSegments(deletion, offset);
  }

  async deleteLog(log: LogId, leaderEpoch: number): Promise<void> {
    const doing = `delete log ${log}`;
    const deletion = { doing, leaderEpoch, range: rowsOf(log) };
    await this.#deleteChunks(deletion, async () => {});
    await this.#deleteSegments(deletion, Infinity);
    const forget = async (raw: IDBTransaction): Promise<void> => {
      const transaction = wrapped(raw);
      await transaction.objectStore('checkpoints').delete(log);
      await transaction.objectStore('logs').delete(log);
    };
    await this.#transaction(doing, SCOPE, 'readwrite', forget, { leaderEpoch });
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

  /** Deletes chunks; `first` is a part of the first slice. */
  #deleteChunks(deletion: Deletion, first: Step): Promise<void> {
    return this.#inSlices(deletion, async (transaction, slice) => {
      if (slice === deletion.range) await first(transaction);
      const chunks = transaction.objectStore('chunks');
      const keys = await chunks.getAllKeys(slice, SLICE_ROWS);
      const lastKey = keys.at(-1);
      if (lastKey) await chunks.delete(IDBKeyRange.bound(keys[0], lastKey));
      return keys.length === SLICE_ROWS ? lastKey : undefined;
    });
  }

  /** Deletes the rows of segments that end at `offset` at the latest. */
  #deleteSegments(deletion: Deletion, offset: number): Promise<void> {
    return this.#inSlices(deletion, async (transaction, slice) => {
      const store = transaction.objectStore('segments');
      const [keys, rows] = await Promise.all([store.getAllKeys(slice, SLICE_ROWS), store.getAll(slice, SLICE_ROWS)]);
      const passed = keys.filter((_key, at) => !((rows[at]?.nextOffset ?? 0) > offset)); // a damaged one goes, too
      await Promise.all(passed.map((key) => store.delete(key)));
      const lastKey = keys.at(-1);
      return keys.length === SLICE_ROWS ? lastKey : undefined;
    });
  }

  /**
   * Each slice begins behind the key that the one before resolved to: LevelDB steps over every row deleted just now.
   * undefined: nothing is left.
   */
  async #inSlices(
    { doing, leaderEpoch, range }: Deletion,
    work: (transaction: Transaction, slice: IDBKeyRange) => Promise<readonly [LogId, number] | undefined>,
  ): Promise<void> {
    for (let rest: IDBKeyRange | undefined = range; rest !== undefined; ) {
      const slice: IDBKeyRange = rest;
      const run = (raw: IDBTransaction): Promise<readonly [LogId, number] | undefined> => work(wrapped(raw), slice);
      const lastKey = await this.#transaction(doing, SCOPE, 'readwrite', run, { leaderEpoch });
      rest = lastKey && IDBKeyRange.bound(lastKey, range.upper, true, range.upperOpen);
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
