import * as Comlink from 'comlink';
import { jobsOf } from './contender.js';
import { openDatabase, raw, result } from './raw.js';

const database = {
  /** Opens an existing database and reads the last key of a store and its row: what no log can avoid. */
  async lastRow({ name, store }: { name: string; store: string }): Promise<number> {
    const db = await openDatabase(name);
    const rows = db.transaction(store).objectStore(store);
    const cursor = await result(rows.openKeyCursor(null, 'prev'));
    const row = cursor === null ? undefined : await result(rows.get(cursor.key));
    db.close();
    return (row as Uint8Array | undefined)?.byteLength ?? 0;
  },
};

const locks = {
  holdLock({ name }: { name: string }): Promise<void> {
    return new Promise((held) => {
      void navigator.locks.request(name, () => {
        held();
        return new Promise(() => {});
      });
    });
  },
  /** Resolves to the wall time (ms, from the monotonic clock) at which the lock came. */
  waitLock({ name }: { name: string }): Promise<number> {
    return navigator.locks.request(name, () => performance.timeOrigin + performance.now());
  },
};

const echo = { echo: (bytes: Uint8Array): Uint8Array => Comlink.transfer(bytes, [bytes.buffer]) };

Comlink.expose({ ...jobsOf(raw), ...database, ...locks, ...echo });
