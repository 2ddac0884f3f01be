import { type IDBPDatabase, openDB } from 'idb';
import { type Contender, Tally } from './contender.js';

const PER_BULK = 10_000;

/** A row per record, as most applications would write with `idb`. */
export function plainIdb(): Contender {
  let db: IDBPDatabase;
  let next = 0;
  return {
    async open(name) {
      db = await openDB(name, 1, { upgrade: (fresh) => void fresh.createObjectStore('rows') });
    },
    async bulkWrite(values) {
      for (let i = 0; i < values.length; i += PER_BULK) {
        const tx = db.transaction('rows', 'readwrite', { durability: 'relaxed' });
        for (const value of values.slice(i, i + PER_BULK)) void tx.store.put(value, next++);
        await tx.done;
      }
    },
    async read() {
      const tally = new Tally();
      for (let from = 0; ; ) {
        const page: string[] = await db.getAll('rows', IDBKeyRange.lowerBound(from), PER_BULK);
        if (page.length === 0) return tally.end();
        for (const value of page) tally.add(value);
        from += page.length;
      }
    },
    async writeOne(value, id) {
      const tx = db.transaction('rows', 'readwrite', { durability: 'relaxed' });
      void tx.store.put(value, id);
      await tx.done;
    },
    async close() {
      db.close();
    },
  };
}
