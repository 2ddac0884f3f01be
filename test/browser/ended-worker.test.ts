import { assert } from 'chai';
import { IdbLogStore } from '../../src/storage/idb-log-store.js';
import { newClusterName } from './cluster.js';

const ROUNDS = 20;

// Workers end whenever their page does. What they had begun ends with them, and holds up nobody.
describe('a worker that ends amidst its transactions', function () {
  this.timeout(90_000);

  it('holds up nobody', async () => {
    const clusterName = newClusterName();
    const beside = await IdbLogStore.open({ clusterName, brokerId: 0, newIncarnationId: 'of the page' });
    let isOver = false;
    const others = (async (): Promise<void> => {
      while (!isOver) await beside.renewLeadership(-1, { heartbeatMs: 0 });
    })();
    for (let round = 0; round < ROUNDS; round++) {
      const worker = await busyWorker(clusterName);
      await new Promise((resolve) => setTimeout(resolve, (round * 3) % 32)); // wherever it is by then
      worker.terminate();
      const { epoch } = await beside.leadership();
      assert.equal(await beside.claimLeadership(epoch, 'page', 1), epoch + 1);
    }
    isOver = true;
    await others;
    await beside.close();
  });

  /** Has just written, and goes on. */
  async function busyWorker(clusterName: string): Promise<Worker> {
    const worker = new Worker(new URL('./busy-store.worker.ts', import.meta.url), { type: 'module' });
    await new Promise<void>((resolve, reject) => {
      let written = 0;
      worker.onmessage = (): void => {
        if (++written === 5) resolve();
      };
      worker.onerror = ({ message }): void => reject(new Error(message));
      worker.postMessage({ clusterName });
    });
    return worker;
  }
});
