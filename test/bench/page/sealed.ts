import { ConfigResourceTypes, Kafka } from '../../../src/index.js';
import type { Contender } from './contender.js';
import { ours, TOPIC } from './ours.js';
import { openDatabase, result } from './raw.js';
import { sleep } from './values.js';

const SEALED_DEADLINE_MS = 60_000;
const POLL_MS = 100;

/** How our database of a cluster is named; see `src/storage/schema.ts`. */
const databaseOf = (cluster: string): string => `tabstream/${cluster}/1`;

export interface SealedOptions {
  readonly segmentBytes: number;
  /** Each value is sent, and acknowledged, before the next: a batch of its own. */
  readonly oneByOne: boolean;
}

/**
 * tabstream, whose log is sealed before it is read, but for one record behind what was written: rows that are read ahead, and
 * not counted, would be paid for by the records before them.
 */
export function sealed({ segmentBytes, oneByOne }: SealedOptions): Contender {
  const segmentConfig = { 'segment.bytes': String(segmentBytes) };
  const inner = ours(segmentConfig);
  let cluster = '';
  return {
    ...inner,
    async open(name) {
      cluster = name;
      await inner.open(name);
    },
    async bulkWrite(values) {
      if (oneByOne) for (const [id, value] of values.entries()) await inner.writeOne?.(value, id);
      else await inner.bulkWrite?.(values);
      await configure(cluster, { ...segmentConfig, 'segment.ms': '1' });
      await inner.writeOne?.(values[0] ?? '', 0);
      await allSealed(cluster);
    },
  };
}

async function configure(cluster: string, config: Readonly<Record<string, string>>): Promise<void> {
  const admin = new Kafka({ clientId: 'bench', cluster }).admin();
  const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }));
  await admin.connect();
  await admin.alterConfigs({ resources: [{ type: ConfigResourceTypes.TOPIC, name: TOPIC, configEntries }] });
  await admin.disconnect();
}

/** Resolves once all closed segments of the cluster's only log that has some are sealed, and their rows are gone. */
export async function allSealed(cluster: string): Promise<void> {
  const database = await openDatabase(databaseOf(cluster));
  const deadline = performance.now() + SEALED_DEADLINE_MS;
  for (;;) {
    const transaction = database.transaction(['segments', 'sealed', 'chunks']);
    const [segments, sealed, chunks] = await Promise.all([
      result(transaction.objectStore('segments').getAll()),
      result(transaction.objectStore('sealed').getAll()),
      result(transaction.objectStore('chunks').getAllKeys()),
    ]);
    const closed = segments.at(-1);
    const isSealed = closed !== undefined && sealed.at(-1)?.nextOffset === closed.nextOffset;
    const isSwept = (chunks as [number, number][]).every(
      ([log, last]) => log !== closed?.log || last < 0 || last >= closed.nextOffset, // below 0: no chunk
    );
    if (isSealed && isSwept) break;
    if (performance.now() > deadline) throw new Error(`not sealed in ${SEALED_DEADLINE_MS} ms`);
    await sleep(POLL_MS);
  }
  database.close();
}

/** How many records of the cluster's log are sealed: what lies behind them is read otherwise, and is not measured here. */
export async function sealedCount({ name }: { name: string }): Promise<number> {
  const database = await openDatabase(databaseOf(name));
  const segments = await result(database.transaction('sealed').objectStore('sealed').getAll());
  database.close();
  return segments.at(-1)?.nextOffset ?? 0;
}
