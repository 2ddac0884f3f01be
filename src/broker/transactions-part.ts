/** What a cluster with transactions needs beyond one without: loaded when the first is met. */
export { recoverLog } from '../log/log-recovery.js';
export { LogTransactions, markerBatch } from '../log/log-transactions.js';
export { writeTxnMarkers } from './handle-txn-markers.js';
export { committedPart, storedLastStableOffset } from './read-committed.js';
