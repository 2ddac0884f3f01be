import type { Endpoint } from 'comlink';
import { Host } from '../../../src/cluster/host.js';
import { STATIC_CLUSTER_PARTS } from '../../../src/cluster/static-cluster-parts.js';
import { browserRuntime } from '../../../src/runtime/browser-runtime.js';
import { serveRequests } from '../../../src/runtime/serve-requests.js';
import { IdbLogStore } from '../../../src/storage/idb-log-store.js';
import { SCHEMA_VERSION } from '../../../src/storage/schema.js';
import type { Variant } from './tab-api.js';
import { goQuietWhenTold } from './wedge.js';

// A worker like ours, and odd in the way that its name says: of a release whose schema is one version further on, or over
// an IndexedDB that goes quiet.

const variant = (globalThis as unknown as { readonly name: Variant }).name;
if (variant === 'wedging') goQuietWhenTold();

serveRequests(globalThis as unknown as Endpoint, async ({ clusterName, label, visible }) => {
  const runtime = browserRuntime();
  const { clock, random } = runtime;
  const schemaVersion = SCHEMA_VERSION + (variant === 'newer' ? 1 : 0);
  const openStore = (): Promise<IdbLogStore> =>
    IdbLogStore.open({ clusterName, brokerId: 1, clock, newIncarnationId: random.uuid(), schemaVersion });
  const host = await Host.start({ runtime, openStore, parts: STATIC_CLUSTER_PARTS, clusterName, label, visible });
  return {
    hostId: host.lockName,
    lockName: host.lockName,
    requests: host,
    visibility: (isVisible) => host.setVisible(isVisible),
    close: () => host.close(),
  };
});
