/**
 * Has the browser open the origin's databases while the worker starts: a gigabyte takes tens of milliseconds (Chromium).
 * Asking for their names does that and nothing else. What fails here fails again, visibly, where the database is opened.
 */
export function warmStorage(): void {
  try {
    indexedDB.databases().catch(() => {});
  } catch {
    // Denied, or not there.
  }
}
