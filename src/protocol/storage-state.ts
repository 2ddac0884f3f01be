/** What `navigator.storage.estimate()` told, in bytes; undefined where the browser does not tell. */
export interface StorageFigures {
  readonly usage: number | undefined;
  readonly quota: number | undefined;
}

/**
 * The storage of one tab's host.
 *
 * - `opening`: the database is being opened for the first time.
 * - `ready`: open; what is acknowledged is stored.
 * - `full`: a write was refused for want of space. Reading goes on; what becomes of sends is for each topic's
 *   `storage.full.policy` to say. It ends by itself once a write goes through.
 * - `reopening`: the connection was lost (the browser closed it, another tab upgraded or deleted the database) and is
 *   being opened again; requests wait.
 * - `wedged`: a request did not settle in time. Its connection was dropped and is opened again; the outcome of what was in
 *   flight is unknown until it is sent again.
 * - `reset`: the data of before is gone (site data cleared, evicted): a new database, in which nothing was written yet.
 * - `degraded-memory`: IndexedDB is denied or missing, and the application allowed to run without it: nothing outlives
 *   this tab, and no other tab sees it.
 * - `read-only`: a newer version of this library has upgraded the database. Writes fail with UNSUPPORTED_VERSION, reads
 *   too unless `readable`. Reload the page.
 */
export type StorageState =
  | { readonly status: 'opening' }
  | { readonly status: 'ready'; readonly incarnationId: string }
  | ({ readonly status: 'full'; readonly incarnationId: string } & StorageFigures)
  | { readonly status: 'reopening'; readonly reason: string }
  | { readonly status: 'wedged'; readonly reason: string }
  | { readonly status: 'reset'; readonly incarnationId: string; readonly lostIncarnationId: string }
  | { readonly status: 'degraded-memory'; readonly incarnationId: string; readonly reason: string }
  | { readonly status: 'read-only'; readonly readable: boolean; readonly reason: string };

export type StorageStatus = StorageState['status'];
