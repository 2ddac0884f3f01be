import type { ClusterParts } from '../src/cluster/cluster-parts.js';
import { Host } from '../src/cluster/host.js';
import type { BatchKeys } from '../src/log/batch-keys.js';
import type { EncryptionKeys } from '../src/protocol/encryption-keys.js';
import { KafkaError } from '../src/protocol/errors.js';
import { browserRuntime } from '../src/runtime/browser-runtime.js';
import { lazyLines } from '../src/runtime/lazy-lines.js';
import type { Clock } from '../src/runtime/runtime.js';
import { serveRequests } from '../src/runtime/serve-requests.js';
import { IdbLogStore } from '../src/storage/idb-log-store.js';
import type { LogStore } from '../src/storage/log-store.js';

declare const self: DedicatedWorkerGlobalScope;

/** A host that has started loads its parts when there is time, so that none is waited for when it is elected. */
const PRELOAD_AFTER_MS = 1000;
/** One part, then the requests of so long: whoever sends just now is to meet few of them. */
const PRELOAD_EVERY_MS = 250;

const PARTS: ClusterParts = {
  broker: () => loaded(import('../src/broker/broker.js')),
  groups: () => loaded(import('../src/broker/coordinator/group-coordinator.js')),
  topics: () => loaded(import('../src/broker/create-topics.js')),
  maintenance: () => loaded(import('../src/broker/maintenance.js')),
  admin: () => loaded(import('../src/broker/admin-handlers.js')),
  sealing: () => loaded(import('../src/broker/keep-sealed.js')),
  integrity: () => loaded(import('../src/broker/integrity-handlers.js')),
  room: () => loaded(import('../src/broker/room-keeper.js')),
  timestamps: () => loaded(import('../src/log/offset-for-timestamp.js')),
  transactions: () => loaded(import('../src/broker/transactions-part.js')),
  readAhead: () => loaded(import('../src/cluster/read-ahead.js')),
  transport: () => loaded(import('../src/cluster/transport.js')),
};

// The interface is there in dedicated workers alone: a server may import this file, too, and nothing happens.
if ('DedicatedWorkerGlobalScope' in globalThis) {
  serveRequests(self, async ({ clusterName, brokerConfig, label, visible, memoryIfDenied }, introducer) => {
    const lines = lazyLines(async () => (await import('../src/runtime/direct-lines.js')).directLines(introducer));
    const runtime = { ...browserRuntime(), lines };
    const { clock, random } = runtime;
    const options = () => ({ clusterName, brokerId: 1, clock, newIncarnationId: random.uuid() });
    let batchKeys = async (): Promise<BatchKeys | undefined> => undefined;
    const host = await Host.start({
      runtime,
      openStore: () => IdbLogStore.open(options()),
      openNewerStore: () => IdbLogStore.openNewer(options()),
      openMemory: memoryIfDenied ? () => openMemory(random.uuid()) : undefined,
      parts: PARTS,
      clusterName,
      brokerConfig,
      label,
      visible,
      batchKeys: () => batchKeys(),
    });
    void clock.sleep(PRELOAD_AFTER_MS).then(() => preload(clock));
    return {
      hostId: host.hostId ?? host.lockName,
      lockName: host.lockName,
      requests: host,
      visibility: (isVisible) => host.setVisible(isVisible),
      keyRings: (rings) => (batchKeys = keysOf(rings)),
      close: () => host.close(),
    };
  });
}

/** Loaded when first used; one object for the same rings. */
function keysOf(rings: readonly EncryptionKeys[]): () => Promise<BatchKeys> {
  let keys: BatchKeys | undefined;
  return async () => {
    keys ??= (await loaded(import('../src/log/key-rings.js'))).batchKeys(rings);
    return keys;
  };
}

/** Of this worker alone, and gone with it. */
async function openMemory(newIncarnationId: string): Promise<LogStore> {
  const { MemoryDisk, MemoryLogStore } = await import('../src/storage/memory-store.js');
  return MemoryLogStore.open(new MemoryDisk(), { newIncarnationId });
}

async function preload(clock: Clock): Promise<void> {
  for (const load of Object.values(PARTS)) {
    await load().catch(() => {}); // whoever needs it tries again
    await clock.sleep(PRELOAD_EVERY_MS);
  }
}

function loaded<T>(part: Promise<T>): Promise<T> {
  return part.catch((cause: unknown) => {
    throw new KafkaError('COORDINATOR_NOT_AVAILABLE', `a part of the worker could not be loaded: ${cause}`, { cause });
  });
}
