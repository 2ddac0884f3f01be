/** What a request answers. Rejects with why it failed; the browser may abort its IDB transaction and leave it unanswered. */
export function resultOf<T>(request: IDBRequest<T>): Promise<T> {
  const { transaction } = request;
  return new Promise((resolve, reject) => {
    request.onsuccess = (): void => resolve(request.result);
    request.onerror = (): void => reject(request.error);
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
