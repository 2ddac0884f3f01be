import sqlite3InitModule from '@sqlite.org/sqlite-wasm';
import * as Comlink from 'comlink';
import { type Contender, jobsOf, Tally } from './contender.js';

const PER_BULK = 10_000;

/** sqlite-wasm on OPFS (the SyncAccessHandle pool), synchronous=FULL: its durable set-up. */
function sqlite(): Contender {
  // biome-ignore lint/suspicious/noExplicitAny: the package types its OO1 API loosely
  let db: any;
  // biome-ignore lint/suspicious/noExplicitAny: as above
  let insert: any;
  return {
    async open(name) {
      const module = await sqlite3InitModule();
      const pool = await module.installOpfsSAHPoolVfs({ name: `pool-${name}`, directory: `.pool-${name}` });
      db = new pool.OpfsSAHPoolDb('/bench.db');
      db.exec('PRAGMA synchronous=FULL');
      db.exec('CREATE TABLE rows(id INTEGER PRIMARY KEY, value TEXT)');
      insert = db.prepare('INSERT INTO rows VALUES(?,?)');
    },
    async bulkWrite(values) {
      for (let i = 0; i < values.length; i += PER_BULK) {
        db.exec('BEGIN');
        for (const [k, value] of values.slice(i, i + PER_BULK).entries()) {
          insert.bind([i + k, value]);
          insert.stepReset();
        }
        db.exec('COMMIT');
      }
    },
    async read() {
      const tally = new Tally();
      const query = db.prepare('SELECT value FROM rows ORDER BY id');
      while (query.step()) tally.add(query.get(0));
      query.finalize();
      return tally.end();
    },
    async writeOne(value, id) {
      insert.bind([id, value]);
      insert.stepReset();
    },
    async close() {
      insert.finalize();
      db.close();
    },
  };
}

Comlink.expose(jobsOf(sqlite));
