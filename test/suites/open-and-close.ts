import { openDB } from 'idb';
import { STATIC_CLIENT_PARTS } from '../../src/client/static-client-parts.js';
import { Host } from '../../src/cluster/host.js';
import { STATIC_CLUSTER_PARTS } from '../../src/cluster/static-cluster-parts.js';
import { kafkaOn, logLevel } from '../../src/index.js';
import { BROKER_ID } from '../../src/protocol/broker-node.js';
import type { Runtime } from '../../src/runtime/runtime.js';
import { IdbLogStore } from '../../src/storage/idb-log-store.js';
import { RESERVE_BYTES } from '../../src/storage/log-store.js';
import { databaseName, type StoreName } from '../../src/storage/schema.js';

interface OpenAndClose {
  readonly runtime: Runtime;
  readonly clusterName: string;
  readonly rounds: number;
  /** Fewer rounds where the machine is slow. */
  readonly limitMs: number;
}

export interface StoreSize {
  readonly rows: number;
  readonly bytes: number;
}

const LOGS = 2; // that of the topic, and the metadata

/**
 * What a database may hold whose site was opened `rounds` times, for one record of a new producer each time. A batch of
 * one such record has 73 bytes; the metadata log gets the block of producer ids; the checkpoint of a log names each
 * producer of the last day.
 */
export function boundsAfter(rounds: number): Readonly<Record<StoreName, StoreSize>> {
  return {
    chunks: { rows: LOGS * rounds + 10, bytes: (73 + 150) * rounds + 2_000 },
    checkpoints: { rows: LOGS, bytes: 256 * rounds + 2_000 },
    segments: { rows: LOGS, bytes: LOGS * 200 },
    sealed: { rows: 0, bytes: 0 },
    sealedBytes: { rows: 0, bytes: 0 },
    journal: { rows: 0, bytes: 0 },
    logs: { rows: LOGS, bytes: LOGS * 100 },
    meta: { rows: 4, bytes: RESERVE_BYTES + 1_000 },
  };
}

/** Opens a site, sends a record and closes it, again and again. Returns how often, and what all stores hold then. */
export async function openAndClose({ runtime, clusterName, rounds, limitMs }: OpenAndClose): Promise<{
  readonly rounds: number;
  readonly sizes: Readonly<Record<string, StoreSize>>;
}> {
  const { clock, random } = runtime;
  const Client = kafkaOn({
    runtime,
    parts: STATIC_CLIENT_PARTS,
    async connect() {
      const host = await Host.start({
        runtime,
        openStore: () => IdbLogStore.open({ clusterName, brokerId: BROKER_ID, clock, newIncarnationId: random.uuid() }),
        parts: STATIC_CLUSTER_PARTS,
        clusterName,
        brokerConfig: { 'num.partitions': '1' },
        label: 'page',
        batchKeys: async () => undefined,
      });
      return { send: (api, request, options) => host.send(api, request, options), close: () => host.close() };
    },
  });
  const endMs = clock.monotonicMs() + limitMs;
  let done = 0;
  while (done < rounds && clock.monotonicMs() < endMs) {
    const kafka = new Client({ logLevel: logLevel.NOTHING });
    const [sent] = await kafka.producer().send({ topic: 'visits', messages: [{ value: 'again' }] });
    if (sent?.baseOffset !== String(done)) throw new Error(`expected offset ${done}, found ${sent?.baseOffset}`);
    await kafka.close();
    done++;
  }
  return { rounds: done, sizes: await storeSizes(clusterName) };
}

/** Where a store holds more than it may, in words. */
export function excesses(sizes: Readonly<Record<string, StoreSize>>, rounds: number): string[] {
  const bounds: Readonly<Record<string, StoreSize>> = boundsAfter(rounds);
  return Object.entries(sizes).flatMap(([store, { rows, bytes }]) => {
    const bound = bounds[store] ?? { rows: 0, bytes: 0 };
    if (rows <= bound.rows && bytes <= bound.bytes) return [];
    return `${store}: expected at most ${bound.rows} rows of ${bound.bytes} bytes, found ${rows} of ${bytes}`;
  });
}

async function storeSizes(clusterName: string): Promise<Record<string, StoreSize>> {
  const database = await openDB(databaseName(clusterName, BROKER_ID));
  const sizes: Record<string, StoreSize> = {};
  for (const store of database.objectStoreNames) {
    let rows = 0;
    let bytes = 0;
    const transaction = database.transaction(store);
    for (let at = await transaction.store.openCursor(); at; at = await at.continue()) {
      rows++;
      bytes += sizeOf(at.value);
    }
    await transaction.done; // a connection with work in it is not closed at once
    sizes[store] = { rows, bytes };
  }
  database.close();
  return sizes;
}

/** Bytes, with the names of fields, which structured clones repeat. */
function sizeOf(value: unknown): number {
  if (value instanceof Uint8Array) return value.byteLength;
  if (value instanceof Blob) return value.size;
  if (typeof value === 'string') return value.length;
  if (typeof value !== 'object' || value === null) return 8;
  return Object.entries(value).reduce((sum, [name, field]) => sum + name.length + sizeOf(field), 0);
}
