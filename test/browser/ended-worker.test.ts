import { assert } from 'chai';
import { IdbLogStore } from '../../src/storage/idb-log-store.js';
import { newClusterName } from './cluster.js';

/** With several transactions at a time WebKit stands still behind one end in eight (bug 324094). */
const ROUNDS = 16;
const TIMEOUT_MS = 90_000;

// Workers end whenever their page does. What they had begun ends with them, and holds up nobody.
describe('a worker that ends amidst its transactions', function () {
  this.timeout(TIMEOUT_MS + 5_000);

  it('holds up nobody', async () => {
    let now = 'the page opens';
    let renewals = 0;
    let late: ReturnType<typeof setTimeout> | undefined;
    const tooLate = new Promise<never>((_, reject) => {
      const tell = (): void => reject(new Error(`still: ${now}, ${renewals} renewals`));
      late = setTimeout(tell, TIMEOUT_MS);
    });
    await Promise.race([endWorkers(), tooLate]).finally(() => clearTimeout(late));

    async function endWorkers(): Promise<void> {
      const clusterName = newClusterName();
      const beside = await IdbLogStore.open({ clusterName, brokerId: 0, newIncarnationId: 'of the page' });
      let isOver = false;
      const others = (async (): Promise<void> => {
        for (; !isOver; renewals++) await beside.renewLeadership(-1, { heartbeatMs: 0 });
      })();
      for (let round = 0; round < ROUNDS; round++) {
        now = `worker ${round} begins`;
        const worker = await busyWorker(clusterName, (news) => (now = `worker ${round}: ${news}`));
        await new Promise((resolve) => setTimeout(resolve, (round * 3) % 32)); // wherever it is by then
        worker.terminate();
        now = `the page reads behind worker ${round}`;
        const { epoch } = await beside.leadership();
        now = `the page claims behind worker ${round}`;
        assert.equal(await beside.claimLeadership(epoch, 'page', 1), epoch + 1);
      }
      now = 'the page closes';
      isOver = true;
      await others;
      await beside.close();
    }
  });

  /** Has just written, and goes on. */
  async function busyWorker(clusterName: string, tell: (news: string) => void): Promise<Worker> {
    const worker = new Worker(new URL('./busy-store.worker.ts', import.meta.url), { type: 'module' });
    await new Promise<void>((resolve, reject) => {
      let written = 0;
      worker.onmessage = ({ data }): void => {
        tell(String(data));
        if (typeof data === 'number' && ++written === 5) resolve();
      };
      worker.onerror = ({ message }): void => reject(new Error(message));
      worker.postMessage({ clusterName });
    });
    return worker;
  }
});
