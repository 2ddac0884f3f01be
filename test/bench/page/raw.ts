import { ByteTally, type Contender, Tally } from './contender.js';
import { numberOf } from './values.js';

const ROW_BYTES = 60 * 1024;
const RECORDS_PER_COMMIT = 8000;
const ROWS_PER_READ = 64;
const LENGTH_BYTES = 4;

export function completed(tx: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    tx.oncomplete = () => resolve();
    tx.onabort = () => reject(tx.error);
  });
}

export function result<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

export function openDatabase(name: string, store?: string): Promise<IDBDatabase> {
  const request = indexedDB.open(name);
  request.onupgradeneeded = () => {
    if (store !== undefined) request.result.createObjectStore(store);
  };
  return result(request);
}

/** Length-prefixed ASCII texts, packed into rows below the size from which Chromium writes files. */
export function pack(values: readonly string[]): Uint8Array[] {
  const rows: Uint8Array[] = [];
  const row = new Uint8Array(ROW_BYTES);
  let end = 0;
  for (const value of values) {
    const { length } = value;
    if (end + length + LENGTH_BYTES > ROW_BYTES) {
      rows.push(row.slice(0, end));
      end = 0;
    }
    row[end] = length;
    row[end + 1] = length >> 8;
    row[end + 2] = 0;
    row[end + 3] = 0;
    end += LENGTH_BYTES;
    for (let i = 0; i < length; i++) row[end + i] = value.charCodeAt(i);
    end += length;
  }
  rows.push(row.slice(0, end));
  return rows;
}

const decoder = new TextDecoder();

/** Counts the values of a packed row: views of bytes, or texts. */
export function tallyRow(
  row: Uint8Array,
  as: 'bytes' | 'strings',
  { texts, views }: { readonly texts: Tally; readonly views: ByteTally },
): void {
  const text = as === 'strings' ? decoder.decode(row) : '';
  for (let p = 0; p < row.length; ) {
    const length = (row[p] ?? 0) | ((row[p + 1] ?? 0) << 8);
    const start = p + LENGTH_BYTES;
    if (as === 'bytes') views.add(row.subarray(start, start + length));
    else if ((row[p] ?? 0) < 128) texts.add(text.substring(start, start + length));
    else texts.add(decoder.decode(row.subarray(start, start + length)));
    p = start + length;
  }
}

/** The limit: rows of packed text straight into IndexedDB and back, without a log's promises. */
export function raw(): Contender {
  let db: IDBDatabase;
  let nextRow = 0;
  let channel: BroadcastChannel;
  const write = (rows: readonly Uint8Array[]): Promise<void> => {
    const tx = db.transaction('rows', 'readwrite', { durability: 'relaxed' });
    const store = tx.objectStore('rows');
    for (const row of rows) store.put(row, nextRow++);
    return completed(tx);
  };
  const readFrom = (row: number): Promise<Uint8Array[]> =>
    result(db.transaction('rows').objectStore('rows').getAll(IDBKeyRange.lowerBound(row), ROWS_PER_READ));
  return {
    async open(name) {
      db = await openDatabase(name, 'rows');
      channel = new BroadcastChannel(name);
    },
    async bulkWrite(values) {
      const inFlight: Promise<void>[] = [];
      for (let i = 0; i < values.length; i += RECORDS_PER_COMMIT) {
        inFlight.push(write(pack(values.slice(i, i + RECORDS_PER_COMMIT))));
        if (inFlight.length >= 2) await inFlight.shift();
      }
      await Promise.all(inFlight);
    },
    async read(as) {
      const texts = new Tally();
      const views = new ByteTally();
      let at = 0;
      for (let next = readFrom(0); ; ) {
        const rows = await next;
        if (rows.length === 0) break;
        at += rows.length;
        next = readFrom(at);
        for (const row of rows) tallyRow(row, as, { texts, views });
      }
      return as === 'bytes' ? views.end() : texts.end();
    },
    async writeOne(value, id) {
      const rows = pack([value]);
      await write(rows);
      channel.postMessage({ id, row: rows[0] });
    },
    async watch(onValue) {
      channel.onmessage = (event) => {
        const row = event.data.row as Uint8Array;
        onValue(numberOf(new TextDecoder().decode(row.subarray(LENGTH_BYTES))));
      };
    },
    async close() {
      db.close();
      channel.close();
    },
  };
}
