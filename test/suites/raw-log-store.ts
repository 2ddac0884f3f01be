import { assert } from 'chai';
import type { KafkaError } from '../../src/protocol/errors.js';
import type { LogId, LogStore } from '../../src/storage/log-store.js';
import type { LogStoreFixture, TestApi } from './log-store.js';

const LOG = 7;

/** The contract of `LogStore.raw`, in Node (vitest) and in browsers (mocha). */
export function describeRawLogStore(
  name: string,
  newFixture: () => Promise<Pick<LogStoreFixture, 'open'>>,
  api: TestApi,
): void {
  const it = (promise: string, body: (store: LogStore) => Promise<void>): void =>
    api.it(promise, async () => {
      const store = await (await newFixture()).open();
      await store.claimLeadership(0, 'a', 1);
      await body(store);
      await store.close();
    });

  api.describe(`${name}: raw rows`, () => {
    it('are read by key, damaged or not, so many at a time', async (store) => {
      const raw = await store.raw();
      const rows = [1, 3, 8].map((lastOffset) => ({ lastOffset, bytes: Uint8Array.of(lastOffset, 2, 3) }));
      await raw.apply({ log: LOG, putChunks: rows }, 1);
      assert.deepEqual(await raw.chunks(LOG, 0, 10), rows);
      assert.deepEqual(await raw.chunks(LOG, 2, 10), rows.slice(1));
      assert.deepEqual(await raw.chunks(LOG, 0, 2), rows.slice(0, 2));
      assert.deepEqual(await raw.chunks(LOG + 1, 0, 10), []);
      assert.strictEqual(await raw.strayBytes(LOG), 0);
    });

    it('tell which logs there are', async (store) => {
      const raw = await store.raw();
      for (const log of [12, 3, 300]) await putRow(store, log, 5);
      await raw.apply({ log: 40, checkpoint: { log: 40, offset: 1, snapshot: {} } }, 1);
      await raw.apply({ log: 41, segments: [segment(41, 0, 5)] }, 1);
      await store.deleteBefore(42, 9, 1);
      assert.deepEqual(await raw.logs(), [3, 12, 40, 41, 42, 300]);
      await store.deleteLog(12, 1);
      assert.deepEqual(await raw.logs(), [3, 40, 41, 42, 300]);
    });

    it('change together, and not at all for a leader that was deposed', async (store) => {
      const raw = await store.raw();
      await putRow(store, LOG, 5);
      await raw.apply({ log: LOG, segments: [segment(LOG, 0, 2), segment(LOG, 2, 4)] }, 1);
      const change = {
        log: LOG,
        deleteChunks: [5],
        putChunks: [{ lastOffset: 6, bytes: Uint8Array.of(6) }],
        segments: [segment(LOG, 0, 4)],
        checkpoint: { log: LOG, offset: 4, snapshot: { any: 1 } },
      };
      const refused = await raw.apply(change, 4).catch((error: unknown) => error);
      assert.strictEqual((refused as KafkaError).type, 'FENCED_LEADER_EPOCH');
      assert.lengthOf(await raw.segments(LOG), 2);
      await raw.apply(change, 1);
      assert.deepEqual(
        (await raw.chunks(LOG, 0, 10)).map(({ lastOffset }) => lastOffset),
        [6],
      );
      assert.deepEqual(await raw.segments(LOG), [{ baseOffset: 0, row: segment(LOG, 0, 4) }]);
      assert.deepEqual((await store.ends(LOG)).checkpoint, change.checkpoint);
      await raw.apply({ log: LOG, checkpoint: 'none' }, 1);
      assert.strictEqual((await store.ends(LOG)).checkpoint, undefined);
    });

    it('are not put below the log start', async (store) => {
      await store.deleteBefore(LOG, 10, 1);
      await putRow(store, LOG, 9);
      await putRow(store, LOG, 10);
      assert.deepEqual(
        (await (await store.raw()).chunks(LOG, 0, 10)).map(({ lastOffset }) => lastOffset),
        [10],
      );
    });
  });
}

async function putRow(store: LogStore, log: LogId, lastOffset: number): Promise<void> {
  await (await store.raw()).apply({ log, putChunks: [{ lastOffset, bytes: new Uint8Array(70) }] }, 1);
}

function segment(log: LogId, baseOffset: number, nextOffset: number) {
  return { log, baseOffset, nextOffset, byteCount: 1, startPosition: baseOffset, maxTimestampMs: -1, timeIndex: [] };
}
