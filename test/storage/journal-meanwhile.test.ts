import 'fake-indexeddb/auto';
import { openDB } from 'idb';
import { expect, test } from 'vitest';
import { ReadAhead } from '../../src/cluster/read-ahead.js';
import { checkLogInUse } from '../../src/log/check-log.js';
import { batchesIn, lastOffsetOf, stampBatch } from '../../src/record/batch-header.js';
import { IdbLogStore } from '../../src/storage/idb-log-store.js';
import type { Chunk } from '../../src/storage/log-store.js';
import { calling } from '../log/calling.js';
import { batch, transactions } from '../log/harness.js';

const LOGS = 10;
const COMMITS = 24;

/** A leader that writes a record to each of many logs, in one commit each. */
class Writer {
  readonly store: IdbLogStore;
  readonly #leaderEpoch: number;
  #nextOffset: number;

  constructor(store: IdbLogStore, leaderEpoch: number, nextOffset: number) {
    this.store = store;
    this.#leaderEpoch = leaderEpoch;
    this.#nextOffset = nextOffset;
  }

  async commit(bytesOfFirst = 10): Promise<void> {
    const offset = this.#nextOffset++;
    const chunks = Array.from({ length: LOGS }, (_, at): Chunk => {
      const bytes = batch([`${offset}`.padEnd(at === 0 ? bytesOfFirst : 10, '.')]);
      stampBatch(bytes, 0, { baseOffset: offset, partitionLeaderEpoch: this.#leaderEpoch });
      return { log: at + 1, baseOffset: offset, lastOffset: offset, bytes };
    });
    await this.store.append({ leaderEpoch: this.#leaderEpoch, chunks }, 'relaxed');
  }

  drain(): Promise<void> {
    return this.store.drain(1, this.#leaderEpoch);
  }

  cut(): Promise<void> {
    return this.store.deleteBefore(1, 5, this.#leaderEpoch);
  }

  get nextOffset(): number {
    return this.#nextOffset;
  }
}

let databases = 0;

async function opened(clusterName: string): Promise<IdbLogStore> {
  const clock = { wallMs: () => 0, monotonicMs: () => 0, sleep: () => new Promise<never>(() => {}) };
  const journalRules = { minLogs: 9, maxPartBytes: 500, drainBytes: 6_000, maxBytes: 12_000 };
  return IdbLogStore.open({ clusterName, brokerId: 1, clock, newIncarnationId: 'test', journalRules });
}

// Goal: whoever reads a log of which a part lies in the journal gets every record, once, in order, whatever is moved meanwhile,
// and a check finds nothing. Method: something is moved at each of the calls to the store, one by one.
test.each<{ what: string; change: (writer: Writer, name: string) => Promise<unknown> }>([
  { what: 'is moved', change: (writer) => writer.drain() },
  { what: 'goes along with a large chunk', change: (writer) => writer.commit(600) },
  {
    what: 'is moved by commits',
    change: async (writer) => [await writer.commit(), await writer.commit(), await writer.commit()],
  },
  { what: 'is cut', change: (writer) => writer.cut() },
  {
    what: 'gets another leader, who goes on',
    change: async (writer, name) => {
      const store = await opened(name);
      const next = new Writer(store, (await store.claimLeadership(1, 'next', 0)) ?? 0, writer.nextOffset);
      for (let i = 0; i < 3; i++) await next.commit(i === 1 ? 600 : 10);
      await next.drain();
      await store.close();
    },
  },
])('what lies in the journal $what while it is read', async ({ what, change }) => {
  for (const reading of ['read', 'checked']) {
    for (let calls = 1, isDone = false; !isDone; calls++) {
      const name = `journal-meanwhile-${++databases}`;
      const writer = new Writer(await opened(name), 1, 0);
      await writer.store.claimLeadership(0, 'host', 0);
      for (let i = 0; i < COMMITS; i++) await writer.commit(i % 9 === 8 ? 600 : 10);
      expect(await journalRows(name)).toBeGreaterThan(0);
      const reader = await opened(name);
      let left = calls;
      const store = calling(reader, async () => void (--left === 0 && (await change(writer, name))));
      if (reading === 'read') {
        const offsets = await readThrough(new ReadAhead(store));
        expect(offsets).toEqual([...new Set(offsets)].sort((a, b) => a - b));
        expect(offsets.filter((offset) => offset >= 5)).toEqual(Array.from({ length: COMMITS - 5 }, (_, at) => at + 5));
        if (what !== 'is cut') expect(offsets).toHaveLength(COMMITS);
      } else {
        const target = {
          store,
          raw: await store.raw(),
          log: 1,
          recovery: { nowMs: 0, transactions },
          signal: undefined,
        };
        const { findings } = await checkLogInUse(target);
        expect(findings.filter(({ kind }) => kind !== 'leftover')).toEqual([]);
      }
      isDone = left > 0;
      await writer.store.close();
      await reader.close();
    }
  }
});

async function journalRows(clusterName: string): Promise<number> {
  const database = await openDB(`tabstream/${clusterName}/1`);
  const count = await database.count('journal');
  database.close();
  return count;
}

async function readThrough(ahead: ReadAhead): Promise<number[]> {
  const offsets: number[] = [];
  for (let offset = 0; offset < COMMITS; ) {
    const chunks = await ahead.read({ log: 1, offset }, 300, COMMITS).catch((error: { type?: string }) => {
      if (error.type !== 'OFFSET_OUT_OF_RANGE') throw error;
      return undefined;
    });
    if (chunks === undefined) offset = 5;
    for (const chunk of chunks ?? []) {
      for (const { header } of batchesIn(chunk)) {
        if (lastOffsetOf(header) < offset) continue;
        offsets.push(header.baseOffset);
        offset = lastOffsetOf(header) + 1;
      }
    }
  }
  return offsets;
}
