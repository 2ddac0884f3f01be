import type { BenchBrowser } from '../browser.ts';
import type { ContenderId, Round } from '../table.ts';
import { freshName, inTurn, type Plan } from './plan.ts';

const CONTENDERS: readonly ContenderId[] = ['limit', 'ours', 'dexie', 'idb', 'sqlite'];
const BYTES_READERS: readonly ContenderId[] = ['limit', 'ours'];

/** Bulk write until all acknowledgements, then everything back from the start, each contender in a fresh tab. */
export async function* measureThroughput(browser: BenchBrowser, plan: Plan): AsyncGenerator<Round> {
  if (!plan.wants('produce', 'consume-bytes', 'consume-strings')) return;
  for (let round = 0; round < plan.rounds; round++) {
    for (const [payloadBytes, full] of [
      [100, 100_000],
      [1024, 20_000],
    ] as const) {
      const count = plan.quick ? full / 10 : full;
      const produce: Round['figures'] = {};
      const bytes: Round['figures'] = {};
      const strings: Round['figures'] = {};
      for (const id of inTurn(CONTENDERS, round)) {
        const tab = await browser.tab();
        await tab.job(id, 'open', { name: freshName(id) });
        const rate = async (job: string, args: object): Promise<number> =>
          (await tab.job<{ perSecond: number }>(id, job, args)).perSecond;
        produce[id] = await rate('bulkWrite', { count, size: payloadBytes });
        if (BYTES_READERS.includes(id)) bytes[id] = await rate('read', { as: 'bytes', count });
        strings[id] = await rate('read', { as: 'strings', count });
        await tab.job(id, 'close', {});
        await tab.page.close();
      }
      const row = { payloadBytes, unit: 'records/s', round } as const;
      yield { id: 'produce', ...row, figures: produce };
      yield { id: 'consume-bytes', ...row, figures: bytes };
      yield { id: 'consume-strings', ...row, figures: strings };
    }
  }
}
