import * as Comlink from 'comlink';
import { type Jobs, jobsOf } from './contender.js';
import { dexie } from './dexie.js';
import { firstRecord, ours, readThrough, sendForever, stopSending, stretchCost } from './ours.js';
import { makePartitions, openPartitions, spreadCost, spreadRates } from './partitions.js';
import { plainIdb } from './plain-idb.js';
import { raw } from './raw.js';
import { sealed, sealedCount } from './sealed.js';
import { sendBesideUpkeep } from './upkeep.js';
import { latency, percentile } from './values.js';

type Callable = Record<string, (args: never) => unknown>;

const inPage: Record<string, () => Jobs> = {
  ours: () => jobsOf(() => ours()),
  'ours-sealed': () => jobsOf(() => sealed({ segmentBytes: 8 << 20, oneByOne: false })),
  'ours-sealed-bulk': () => jobsOf(() => sealed({ segmentBytes: 1 << 20, oneByOne: false })),
  'ours-sealed-single': () => jobsOf(() => sealed({ segmentBytes: 1 << 20, oneByOne: true })),
  dexie: () => jobsOf(dexie),
  idb: () => jobsOf(plainIdb),
  /** The raw loop in the page itself: for what begins and ends there. */
  'limit-in-page': () => jobsOf(raw),
};
const inWorker: Record<string, () => Worker> = {
  limit: () => new Worker(new URL('./raw.worker.ts', import.meta.url), { type: 'module' }),
  'limit-sealed': () => new Worker(new URL('./blobs.worker.ts', import.meta.url), { type: 'module' }),
  sqlite: () => new Worker(new URL('./sqlite.worker.ts', import.meta.url), { type: 'module' }),
};
const contenders = new Map<string, Callable>();
const acks: number[] = [];

function contender(id: string): Callable {
  let found = contenders.get(id);
  if (found === undefined) {
    const page = inPage[id];
    const worker = inWorker[id];
    found = (page ? page() : Comlink.wrap((worker as () => Worker)())) as unknown as Callable;
    contenders.set(id, found);
  }
  return found;
}

/** The driver's way in: `call('limit', 'read', {…})`. */
const bench = {
  call: (id: string, job: string, args: unknown): unknown => contender(id)[job]?.(args as never),
  now: (): number => performance.timeOrigin + performance.now(),
  firstRecord,
  readThrough,
  stretchCost,
  /** What opening the database and reading its last row costs, worker start included on both sides. */
  async bareOpen(args: { name: string; store: string }): Promise<number> {
    const start = performance.now();
    await contender('limit')['lastRow']?.(args as never);
    return performance.now() - start;
  },
  /** Per second. A batch of one record has 80 bytes more than the record. */
  async callRate({ inFlight, each, size }: { inFlight: number; each: number; size: number }): Promise<number> {
    const echo = contender('limit')['echo'] as unknown as (bytes: Uint8Array) => Promise<Uint8Array>;
    const start = performance.now();
    const run = async (): Promise<void> => {
      for (let i = 0; i < each; i++) {
        const bytes = new Uint8Array(size + 80);
        await echo(Comlink.transfer(bytes, [bytes.buffer]));
      }
    };
    await Promise.all(Array.from({ length: inFlight }, run));
    return (inFlight * each) / ((performance.now() - start) / 1000);
  },
  sealedCount,
  makePartitions,
  openPartitions,
  spreadCost,
  spreadRates,
  sendBesideUpkeep,
  startSending(args: { name: string }): void {
    acks.length = 0;
    sendForever(args, acks).catch((error) => console.error('bench sender:', String(error)));
  },
  ackCount: (): number => acks.length,
  /** The acknowledgement that ended the longest silence around a moment: the old leader may answer a little longer. */
  resumedAt({ sinceMs, withinMs }: { sinceMs: number; withinMs: number }): number {
    let resumed = Number.NaN;
    let longest = 0;
    for (const [i, at] of acks.entries()) {
      const silence = at - (acks[i - 1] ?? at);
      if (at > sinceMs && at < sinceMs + withinMs && silence > longest) [longest, resumed] = [silence, at];
    }
    return resumed;
  },
  stopSending,
  latency,
  percentile,
};

export type Bench = typeof bench;
Object.assign(globalThis, { bench });
// As of a page that imports it: one bundle cannot be both. It is there before anything is measured.
if (location.search === '?preloaded') await import('../../../src/consumer.js');
document.documentElement.dataset['ready'] = '';
