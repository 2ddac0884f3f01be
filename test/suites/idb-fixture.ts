import { deleteDB, openDB } from 'idb';
import { IdbLogStore } from '../../src/storage/idb-log-store.js';
import type { DatabaseOptions } from '../../src/storage/open-database.js';
import { databaseName } from '../../src/storage/schema.js';
import type { LogStoreFixture } from './log-store.js';

/** A database of its own in the IndexedDB at hand, which test files that run at the same time share. */
export async function newIdbFixture(
  options: Pick<DatabaseOptions, 'oneTransactionAtATime'> = {},
): Promise<LogStoreFixture> {
  const clusterName = `test-${crypto.randomUUID()}`;
  let opened = 0;
  await deleteDB(databaseName(clusterName, 0));
  return {
    open: (journalRules) =>
      IdbLogStore.open({
        ...options,
        clusterName,
        brokerId: 0,
        newIncarnationId: `incarnation ${++opened}`,
        journalRules,
      }),
    wipe: () => deleteDB(databaseName(clusterName, 0)),
    damageSealed: async (log, baseOffset) => {
      const database = await openDB(databaseName(clusterName, 0));
      await database.delete('sealedBytes', IDBKeyRange.bound([log, baseOffset], [log, baseOffset, Infinity]));
      database.close();
    },
  };
}
