import * as Comlink from 'comlink';
import { ByteTally, type Contender, jobsOf, Tally } from './contender.js';
import { completed, openDatabase, pack, result, tallyRow } from './raw.js';

const BLOB_BYTES = 8 * 1024 * 1024;
const SLICE_BYTES = 1024 * 1024;

interface Stored {
  readonly blob: Blob;
  /** Where each row ends. */
  readonly ends: readonly number[];
}

/** The limit of a sealed log: packed text in Blobs, read in slices of kept handles. */
function blobs(): Contender {
  let db: IDBDatabase;
  return {
    async open(name) {
      db = await openDatabase(name, 'blobs');
    },
    async bulkWrite(values) {
      let rows: Uint8Array<ArrayBuffer>[] = [];
      let bytes = 0;
      let serial = 0;
      const flush = async (): Promise<void> => {
        let end = 0;
        const ends = rows.map((row) => (end += row.length));
        const tx = db.transaction('blobs', 'readwrite', { durability: 'relaxed' });
        tx.objectStore('blobs').put({ blob: new Blob(rows), ends } satisfies Stored, serial++);
        rows = [];
        bytes = 0;
        await completed(tx);
      };
      for (const row of pack(values)) {
        if (bytes + row.length > BLOB_BYTES) await flush();
        rows.push(row as Uint8Array<ArrayBuffer>);
        bytes += row.length;
      }
      await flush();
    },
    async read(as) {
      const stored: Stored[] = await result(db.transaction('blobs').objectStore('blobs').getAll());
      const slices = stored.flatMap(({ blob, ends }) => slicesOf(blob, ends));
      const texts = new Tally();
      const views = new ByteTally();
      let next = slices[0]?.read();
      for (const [at, { ends }] of slices.entries()) {
        const bytes = new Uint8Array((await next) ?? new ArrayBuffer(0));
        next = slices[at + 1]?.read();
        let from = 0;
        for (const end of ends) {
          tallyRow(bytes.subarray(from, end), as, { texts, views });
          from = end;
        }
      }
      return as === 'bytes' ? views.end() : texts.end();
    },
    async close() {
      db.close();
    },
  };
}

/** Whole rows up to about SLICE_BYTES; `ends` count from the slice's beginning. */
function slicesOf(blob: Blob, ends: readonly number[]): { ends: number[]; read: () => Promise<ArrayBuffer> }[] {
  const slices: { ends: number[]; read: () => Promise<ArrayBuffer> }[] = [];
  let from = 0;
  let within: number[] = [];
  for (const [at, end] of ends.entries()) {
    within.push(end - from);
    if (end - from < SLICE_BYTES && at < ends.length - 1) continue;
    const start = from;
    slices.push({ ends: within, read: () => blob.slice(start, end).arrayBuffer() });
    from = end;
    within = [];
  }
  return slices;
}

Comlink.expose(jobsOf(blobs));
