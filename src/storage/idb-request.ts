import type { LogId } from './log-store.js';

/**
 * What a request answers. Rejects with why it failed, or why its IDB transaction was aborted, which may leave a request
 * without an answer. A request to open or delete a database has no `transaction`.
 */
export function resultOf<T>(request: IDBRequest<T>, transaction = request.transaction): Promise<T> {
  return new Promise((resolve, reject) => {
    request.addEventListener('success', () => resolve(request.result));
    request.addEventListener('error', () => reject(request.error));
    transaction?.addEventListener('abort', () => reject(transaction.error));
  });
}

/** Resolves on `complete`, rejects with what made it abort. */
export function completionOf(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = (): void => resolve();
    transaction.onabort = (): void => reject(transaction.error);
  });
}

/** The key of the empty row in front of a log's chunks: below every offset, so that no look-up from an offset on meets it. */
export function frontOf(log: LogId): [LogId, number] {
  return [log, -1];
}

/** The keys of a log's rows from `offset` on, in any object store whose keys begin so. */
export function rowsFrom(log: LogId, offset: number): IDBKeyRange {
  return IDBKeyRange.bound([log, offset], [log, Infinity]);
}
