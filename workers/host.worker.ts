import { Host } from '../src/cluster/host.js';
import { browserRuntime } from '../src/runtime/browser-runtime.js';
import { serveRequests } from '../src/runtime/serve-requests.js';
import { IdbLogStore } from '../src/storage/idb-log-store.js';
import { present } from '../src/util/assert.js';

declare const self: DedicatedWorkerGlobalScope;

serveRequests(self, async ({ clusterName, brokerConfig, label, visible }) => {
  const runtime = browserRuntime();
  const { clock, random } = runtime;
  const openStore = (): Promise<IdbLogStore> =>
    IdbLogStore.open({ clusterName, brokerId: 1, clock, newIncarnationId: random.uuid() });
  const host = await Host.start({ runtime, openStore, clusterName, brokerConfig, label, visible });
  return {
    hostId: present(host.hostId, 'a host that has started has joined'),
    lockName: host.lockName,
    requests: host,
    visibility: (isVisible) => host.setVisible(isVisible),
    close: () => host.close(),
  };
});
