import { describe, it } from 'vitest';
import { MemoryDisk } from '../../src/storage/memory-disk.js';
import { MemoryLogStore } from '../../src/storage/memory-log-store.js';
import { describeLogStore, type LogStoreFixture } from '../suites/log-store.js';

async function newFixture(): Promise<LogStoreFixture> {
  const disk = new MemoryDisk();
  let opened = 0;
  return {
    open: () => MemoryLogStore.open(disk, { newIncarnationId: `incarnation ${++opened}` }),
    wipe: async () => disk.wipe(),
  };
}

describeLogStore('MemoryLogStore', newFixture, { describe, it });
