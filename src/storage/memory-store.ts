/** What a tab without IndexedDB runs over; loaded where it is needed. */
export { MemoryDisk } from './memory-disk.js';
export { MemoryLogStore } from './memory-log-store.js';
