import 'fake-indexeddb/auto';
import { describe, it } from 'vitest';
import { MemoryDisk } from '../../src/storage/memory-disk.js';
import { MemoryLogStore } from '../../src/storage/memory-log-store.js';
import { newIdbFixture } from '../suites/idb-fixture.js';
import { describeRawLogStore } from '../suites/raw-log-store.js';

const newMemoryFixture = async () => {
  const disk = new MemoryDisk();
  return { open: () => MemoryLogStore.open(disk, { newIncarnationId: 'one' }) };
};

describeRawLogStore('MemoryLogStore', newMemoryFixture, { describe, it });
describeRawLogStore('IdbLogStore over fake-indexeddb', newIdbFixture, { describe, it });
