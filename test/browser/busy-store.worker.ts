import { IdbLogStore } from '../../src/storage/idb-log-store.js';

// A store at work: commits and reads without end, several at a time. Says how far it is.

const LOG = 1;
self.onunhandledrejection = ({ reason }): void => self.postMessage(`fails: ${reason}`);
const { clusterName } = await new Promise<{ clusterName: string }>((resolve) => {
  self.onmessage = ({ data }): void => resolve(data);
});
self.postMessage('opens');
const store = await IdbLogStore.open({ clusterName, brokerId: 0, newIncarnationId: 'of the worker' });
self.postMessage('claims');
const { epoch } = await store.leadership();
const leaderEpoch = await store.claimLeadership(epoch, 'worker', 1);
if (leaderEpoch === undefined) throw new Error('somebody else leads');
self.postMessage('reads the ends');
let { lastOffset = -1 } = await store.ends(LOG);

for (let at = 0; at < 3; at++) {
  void again(async () => {
    const baseOffset = ++lastOffset;
    const bytes = new Uint8Array(20_000);
    new DataView(bytes.buffer).setBigInt64(0, BigInt(baseOffset)); // as in a record batch
    await store.append({ leaderEpoch, chunks: [{ log: LOG, baseOffset, lastOffset: baseOffset, bytes }] }, 'relaxed');
    self.postMessage(baseOffset);
  });
  void again(() => store.read(LOG, Math.max(0, lastOffset - 5), 100_000));
  void again(() => store.ends(LOG));
}

async function again(work: () => Promise<unknown>): Promise<void> {
  for (;;) await work();
}
