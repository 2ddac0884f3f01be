import { expect, test } from 'vitest';
import { MemoryDisk } from '../../src/storage/memory-disk.js';
import { MemoryLogStore } from '../../src/storage/memory-log-store.js';

// Goal: between a failed commit and the caller's knowing of it there is no moment in which a commit gets through that
// builds on the failed one. Method: the next commit begins after every number of microtasks in turn.
test.each(Array.from({ length: 60 }, (_, turns) => turns))(
  'a commit that begins before its caller knows of a failure fails, too (after %i microtasks)',
  async (turns) => {
    const disk = new MemoryDisk();
    const store = await MemoryLogStore.open(disk, { newIncarnationId: 'test' });
    const leaderEpoch = (await store.claimLeadership(0, 'host', 0)) ?? -1;
    const append = (baseOffset: number) => {
      const bytes = new Uint8Array(61);
      new DataView(bytes.buffer).setBigInt64(0, BigInt(baseOffset));
      return store.append({ leaderEpoch, chunks: [{ log: 1, baseOffset, lastOffset: baseOffset, bytes }] }, 'relaxed');
    };
    disk.failNextAppend();
    let known = false;
    const first = append(0).catch(() => {
      known = true;
    });
    for (let turn = 0; turn < turns; turn++) await Promise.resolve();
    const knownAtBegin = known;
    const second = append(1).then(
      () => 'committed',
      () => 'failed',
    );
    await first;
    if (!knownAtBegin) expect(await second).toBe('failed');
    await second;
  },
);
