import { assert } from 'chai';
import { deleteDB, openDB } from 'idb';
import { IdbLogStore } from '../../src/storage/idb-log-store.js';
import { databaseName, SCHEMA_VERSION } from '../../src/storage/schema.js';
import { rejectsWith, type TestApi } from './log-store.js';

interface Opening {
  readonly clusterName: string;
  readonly brokerId: number;
  readonly newIncarnationId: string;
}

/**
 * Nobody who upgrades or deletes waits for a store, from the moment when its connection is open: also while the store
 * itself is still being opened. Who asks right behind it is heard in between. In Node (vitest) and in browsers (mocha).
 */
export function describeMakingWay(name: string, api: TestApi): void {
  const it = (promise: string, body: (options: Opening, databaseName: string) => Promise<void>): void =>
    api.it(promise, async () => {
      const options = { clusterName: `way-${crypto.randomUUID()}`, brokerId: 0, newIncarnationId: 'first' };
      await (await IdbLogStore.open(options)).close();
      await body(options, databaseName(options.clusterName, 0));
    });

  api.describe(`${name}: while it is being opened`, () => {
    it('it makes way for an upgrade, and says that there is a newer version', async (options, database) => {
      const opening = openDespite(
        () => upgrade(database, SCHEMA_VERSION + 1),
        () => IdbLogStore.open(options),
      );
      await rejectsWith('UNSUPPORTED_VERSION', opening);
    });

    it('to read beside a newer version, it makes way for an even newer one', async (options, database) => {
      await upgrade(database, SCHEMA_VERSION + 1);
      const open = (): Promise<IdbLogStore> => IdbLogStore.openNewer(options);
      await (await openDespite(() => upgrade(database, SCHEMA_VERSION + 2), open)).close();
    });

    it('it makes way for a deletion, and is made anew', async (options, database) => {
      const open = (): Promise<IdbLogStore> => IdbLogStore.open({ ...options, newIncarnationId: 'second' });
      const store = await openDespite(() => deleteDB(database), open);
      assert.equal(store.incarnationId, 'second');
      await store.claimLeadership(0, 'a', 1);
      await store.close();
    });
  });
}

async function upgrade(database: string, version: number): Promise<void> {
  (await openDB(database, version)).close();
}

/** Opens while somebody changes the database, who came right behind us and waits until all have made way. */
async function openDespite(change: () => Promise<void>, open: () => Promise<IdbLogStore>): Promise<IdbLogStore> {
  const [opened] = await Promise.allSettled([open(), change()]);
  if (opened.status === 'rejected') throw opened.reason;
  if (!opened.value.lost.aborted) return opened.value;
  await opened.value.close(); // it was open by then, and made way
  return open();
}
