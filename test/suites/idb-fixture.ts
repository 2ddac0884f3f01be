import { deleteDB } from 'idb';
import { IdbLogStore } from '../../src/storage/idb-log-store.js';
import { databaseName } from '../../src/storage/schema.js';
import type { LogStoreFixture } from './log-store.js';

let made = 0;

/** A database of its own in the IndexedDB at hand. */
export async function newIdbFixture(): Promise<LogStoreFixture> {
  const clusterName = `test-${++made}`;
  let opened = 0;
  await deleteDB(databaseName(clusterName, 0));
  return {
    open: () => IdbLogStore.open({ clusterName, brokerId: 0, newIncarnationId: `incarnation ${++opened}` }),
    wipe: () => deleteDB(databaseName(clusterName, 0)),
  };
}
