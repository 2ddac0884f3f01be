import { expect, test } from 'vitest';
import { LazyReadAhead } from '../../src/cluster/lazy-read-ahead.js';
import { ReadAhead } from '../../src/cluster/read-ahead.js';
import { KafkaError } from '../../src/protocol/errors.js';
import { MemoryDisk } from '../../src/storage/memory-disk.js';
import { MemoryLogStore } from '../../src/storage/memory-log-store.js';

const LOG = 3;

test('what is read does not wait for the code, which the second read asks for, nor for it to come after a failure', async () => {
  const store = await MemoryLogStore.open(new MemoryDisk(), { newIncarnationId: 'one' });
  let asked = 0;
  const ahead = new LazyReadAhead(store, async () => {
    if (++asked === 1) throw new KafkaError('COORDINATOR_NOT_AVAILABLE', 'offline');
    return { ReadAhead };
  });
  for (const expected of [0, 1, 2, 2, 2]) {
    expect(await ahead.read({ log: LOG, offset: 0 }, 1000, 0)).toEqual([]);
    await Promise.resolve();
    expect(asked).toBe(expected);
  }
});
