/** What an admin loads when it is asked to look for damage, or to bring whole logs in and out. */
export { checkLogs } from './check-logs.js';
export { exportPartition, importPartition } from './segment-files.js';
