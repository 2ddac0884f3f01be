import Dexie, { liveQuery, type Table } from 'dexie';
import { type Contender, Tally } from './contender.js';

interface Row {
  readonly id: number;
  readonly value: string;
}

const PER_BULK = 10_000;

export function dexie(): Contender {
  let db: Dexie;
  let rows: Table<Row, number>;
  return {
    async open(name) {
      db = new Dexie(name);
      db.version(1).stores({ rows: 'id' });
      await db.open();
      rows = db.table('rows');
    },
    async bulkWrite(values) {
      for (let i = 0; i < values.length; i += PER_BULK) {
        await rows.bulkAdd(values.slice(i, i + PER_BULK).map((value, k) => ({ id: i + k, value })));
      }
    },
    async read() {
      const tally = new Tally();
      for (let from = -1; ; ) {
        const page = await rows.where('id').above(from).limit(PER_BULK).toArray();
        if (page.length === 0) return tally.end();
        for (const row of page) tally.add(row.value);
        from = page.at(-1)?.id ?? from;
      }
    },
    async writeOne(value, id) {
      await rows.add({ id, value });
    },
    async watch(onValue) {
      liveQuery(() => rows.orderBy('id').last()).subscribe((row) => {
        if (row) onValue(row.id);
      });
    },
    async close() {
      db.close();
    },
  };
}
