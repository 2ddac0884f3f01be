import { resultOf, rowsFrom } from './idb-request.js';
import type { SealedTransaction } from './idb-sealed.js';
import { type JournalRow, logsIn, partsOf } from './journal.js';
import type { LogId, SealedSegment, SegmentRow } from './log-store.js';
import type { RawChange, RawChunk, RawLogStore, RawSegment } from './raw-log-store.js';
import type { BytesKey, LogRow, StoreName } from './schema.js';
import { undrainedError } from './storage-errors.js';

const BY_LOG_AND_OFFSET: StoreName[] = ['chunks', 'sealed', 'sealedBytes', 'segments'];
const BY_LOG: StoreName[] = ['checkpoints', 'logs'];

/** The rows of one database as they lie, for `IdbLogStore`, which loads it when it is asked for. */
export class IdbRawStore implements RawLogStore {
  readonly #transaction: SealedTransaction;

  constructor(transaction: SealedTransaction) {
    this.#transaction = transaction;
  }

  logs(): Promise<LogId[]> {
    const scope: StoreName[] = [...BY_LOG_AND_OFFSET, ...BY_LOG, 'journal'];
    return this.#transaction('list the logs', scope, 'readonly', async (transaction) => {
      const logs = logsIn(await journalIn(transaction));
      for (const name of BY_LOG_AND_OFFSET) {
        const store = transaction.objectStore(name);
        // From one log to the next: a log of many rows costs as much as one of few.
        for (let from: IDBValidKey = [-1]; ; ) {
          const key: IDBValidKey | undefined = await resultOf(store.getKey(IDBKeyRange.lowerBound(from, true)));
          const log: number | undefined = Array.isArray(key) ? Number(key[0]) : undefined;
          if (log === undefined) break;
          logs.add(log);
          from = [log, []]; // an array is above every number (W3C IndexedDB, "compare two keys")
        }
      }
      for (const name of BY_LOG) {
        for (const key of await resultOf(transaction.objectStore(name).getAllKeys())) logs.add(Number(key));
      }
      return [...logs].sort((a, b) => a - b);
    });
  }

  chunks(log: LogId, fromOffset: number, maxRows: number): Promise<RawChunk[]> {
    const scope: StoreName[] = ['chunks', 'journal'];
    return this.#transaction(`read the rows of log ${log}`, scope, 'readonly', async (transaction) => {
      const store = transaction.objectStore('chunks');
      const keys = store.getAllKeys(rowsFrom(log, fromOffset), maxRows);
      const values = await resultOf<Uint8Array[]>(store.getAll(rowsFrom(log, fromOffset), maxRows));
      const rows = values.map((bytes, index) => ({ lastOffset: (keys.result[index] as [LogId, number])[1], bytes }));
      const parts = rows.length < maxRows ? partsOf(log, await journalIn(transaction)) : [];
      const behind = parts.filter(({ lastOffset }) => lastOffset >= fromOffset);
      return [...rows, ...behind.map(({ lastOffset, bytes }) => ({ lastOffset, bytes }))].slice(0, maxRows);
    });
  }

  segments(log: LogId): Promise<RawSegment[]> {
    return this.#transaction(`read the segments of log ${log}`, ['segments'], 'readonly', async (transaction) => {
      const store = transaction.objectStore('segments');
      const keys = store.getAllKeys(rowsFrom(log, 0));
      const rows = await resultOf<SegmentRow[]>(store.getAll(rowsFrom(log, 0)));
      return rows.map((row, index) => ({ baseOffset: (keys.result[index] as [LogId, number])[1], row }));
    });
  }

  async sealedBytes(segment: SealedSegment): Promise<Uint8Array | undefined> {
    const { log, baseOffset, version } = segment;
    const key: BytesKey = [log, baseOffset, version];
    try {
      const bytes = await this.#transaction(
        `read the sealed bytes of log ${log}`,
        ['sealedBytes'],
        'readonly',
        (transaction) => resultOf<Blob | Uint8Array | undefined>(transaction.objectStore('sealedBytes').get(key)),
      );
      return bytes instanceof Blob ? new Uint8Array(await bytes.arrayBuffer()) : bytes;
    } catch {
      return undefined; // the file behind a Blob vanishes under many names (W3C IndexedDB, issue 423)
    }
  }

  strayBytes(log: LogId): Promise<number> {
    const scope: StoreName[] = ['sealed', 'sealedBytes'];
    return this.#transaction(`read the sealed bytes of log ${log}`, scope, 'readonly', async (transaction) => {
      const segments = await resultOf<SealedSegment[]>(transaction.objectStore('sealed').getAll(rowsFrom(log, 0)));
      const named = new Set(segments.map(({ baseOffset, version }) => [log, baseOffset, version].join()));
      const keys = await resultOf(transaction.objectStore('sealedBytes').getAllKeys(rowsFrom(log, 0)));
      return keys.filter((key) => !named.has(String(key))).length;
    });
  }

  async apply(change: RawChange, leaderEpoch: number): Promise<void> {
    const { log, deleteChunks = [], putChunks = [], segments, checkpoint } = change;
    const scope: StoreName[] = ['meta', 'logs', 'chunks', 'journal', 'segments', 'checkpoints'];
    const work = async (transaction: IDBTransaction): Promise<void> => {
      if (partsOf(log, await journalIn(transaction)).length > 0) throw undrainedError(log);
      const chunks = transaction.objectStore('chunks');
      const logRow = await resultOf<LogRow | undefined>(transaction.objectStore('logs').get(log));
      for (const lastOffset of deleteChunks) await resultOf(chunks.delete([log, lastOffset]));
      for (const { lastOffset, bytes } of putChunks) {
        if (lastOffset < (logRow?.logStartOffset ?? 0)) continue;
        await resultOf(chunks.put(new Uint8Array(bytes), [log, lastOffset]));
      }
      if (segments !== undefined) {
        const rows = transaction.objectStore('segments');
        await resultOf(rows.delete(rowsFrom(log, 0)));
        for (const row of segments) await resultOf(rows.put(row, [log, row.baseOffset]));
      }
      const checkpoints = transaction.objectStore('checkpoints');
      if (checkpoint === 'none') await resultOf(checkpoints.delete(log));
      else if (checkpoint !== undefined) await resultOf(checkpoints.put(checkpoint, log));
    };
    await this.#transaction(`repair log ${log}`, scope, 'readwrite', work, { leaderEpoch });
  }
}

function journalIn(transaction: IDBTransaction): Promise<JournalRow[]> {
  return resultOf<JournalRow[]>(transaction.objectStore('journal').getAll());
}
