import type { BenchBrowser } from '../browser.ts';
import type { ContenderId, Round } from '../table.ts';
import { freshName, inTurn, type Plan } from './plan.ts';

const CONTENDERS: readonly ContenderId[] = ['limit', 'ours', 'dexie', 'idb', 'sqlite'];
const BYTES_READERS: readonly ContenderId[] = ['limit', 'ours'];

/**
 * Bulk write until all acknowledgements, then everything back from the start, each contender in a fresh tab. Who wrote may
 * have the end in memory, as we do: `consume-rows-bytes` reads it once more, in a tab that did not write.
 */
export async function* measureThroughput(browser: BenchBrowser, plan: Plan): AsyncGenerator<Round> {
  if (!plan.wants('produce', 'consume-bytes', 'consume-strings', 'consume-rows-bytes')) return;
  for (let round = 0; round < plan.rounds; round++) {
    for (const [payloadBytes, full] of [
      [100, 100_000],
      [1024, 20_000],
    ] as const) {
      const count = plan.quick ? full / 10 : full;
      const produce: Round['figures'] = {};
      const bytes: Round['figures'] = {};
      const strings: Round['figures'] = {};
      const rows: Round['figures'] = {};
      for (const id of inTurn(CONTENDERS, round)) {
        const name = freshName(id);
        let tab = await browser.tab();
        await tab.job(id, 'open', { name });
        const rate = async (job: string, args: object): Promise<number> =>
          (await tab.job<{ perSecond: number }>(id, job, args)).perSecond;
        produce[id] = await rate('bulkWrite', { count, size: payloadBytes });
        if (BYTES_READERS.includes(id)) bytes[id] = await rate('read', { as: 'bytes', count });
        strings[id] = await rate('read', { as: 'strings', count });
        if (BYTES_READERS.includes(id)) {
          await tab.job(id, 'close', {});
          await tab.page.close();
          tab = await browser.tab();
          await tab.job(id, 'open', { name });
          rows[id] = await rate('read', { as: 'bytes', count });
        }
        await tab.job(id, 'close', {});
        await tab.page.close();
      }
      const row = { payloadBytes, unit: 'records/s', round } as const;
      yield { id: 'produce', ...row, figures: produce };
      yield { id: 'consume-bytes', ...row, figures: bytes };
      yield { id: 'consume-strings', ...row, figures: strings };
      yield { id: 'consume-rows-bytes', ...row, figures: rows };
    }
  }
}
