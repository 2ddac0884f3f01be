import { WEDGE_CHANNEL } from './tab-api.js';

/** Once told, the next IDB transaction that appends completes, and nobody hears of it. */
export function goQuietWhenTold(): void {
  let isDue = false;
  new BroadcastChannel(WEDGE_CHANNEL).onmessage = () => {
    isDue = true;
  };
  const original = IDBDatabase.prototype.transaction;
  IDBDatabase.prototype.transaction = function wedging(this: IDBDatabase, ...args) {
    const transaction = original.apply(this, args);
    if (isDue && transaction.mode === 'readwrite' && transaction.objectStoreNames.contains('chunks')) {
      isDue = false;
      // The first to listen: whoever comes later is not told.
      transaction.addEventListener('complete', (event) => event.stopImmediatePropagation());
    }
    return transaction;
  };
}
