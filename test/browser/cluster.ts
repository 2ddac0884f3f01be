import { browserRuntime } from '../../src/runtime/browser-runtime.js';
import { databaseName, SCHEMA_VERSION } from '../../src/storage/schema.js';

/** A cluster that no other test knows. */
export function newClusterName(): string {
  return `test-${browserRuntime().random.uuid()}`;
}

/** Polls until true. The limit only tells a hang from slowness. */
export async function until(what: string, isTrue: () => Promise<boolean> | boolean, limitMs = 30_000): Promise<void> {
  const { clock } = browserRuntime();
  const endMs = clock.monotonicMs() + limitMs;
  while (!(await isTrue())) {
    if (clock.monotonicMs() > endMs) throw new Error(`not within ${limitMs} ms: ${what}`);
    await clock.sleep(20);
  }
}

/** The locks of a cluster that are held or waited for. */
export async function locksOf(clusterName: string): Promise<string[]> {
  const { held = [], pending = [] } = await navigator.locks.query();
  return [...held, ...pending]
    .map(({ name = '' }) => name)
    .filter((name) => name.startsWith(`tabstream/${clusterName}/`));
}

/** Resolves to whether some connection was still open and had to be asked to close. */
export function deleteClusterDatabase(clusterName: string): Promise<{ wasOpen: boolean }> {
  return new Promise((resolve, reject) => {
    let wasOpen = false;
    const request = indexedDB.deleteDatabase(databaseName(clusterName, 1));
    request.onblocked = (): void => {
      wasOpen = true;
    };
    request.onsuccess = (): void => resolve({ wasOpen });
    request.onerror = (): void => reject(request.error);
  });
}

/** As a release whose schema is one version further on does, which allows nobody else to read its data. */
export function upgradeClusterDatabase(clusterName: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(databaseName(clusterName, 1), SCHEMA_VERSION + 1);
    request.onupgradeneeded = (): void => {
      request.transaction?.objectStore('meta').put(SCHEMA_VERSION + 1, 'minReaderVersion');
    };
    request.onsuccess = (): void => {
      request.result.close();
      resolve();
    };
    request.onerror = (): void => reject(request.error);
  });
}
