import type { BenchBrowser } from '../browser.ts';
import type { Round } from '../table.ts';
import { freshName, inTurn, type Plan } from './plan.ts';

const PAYLOAD_BYTES = 100;
const TOUCHED = 64;
const MANY = 1_000;

/**
 * What many partitions cost. A send to 64 of them, and records read from them: their limit is the same bytes of one. The first record from a broker of
 * 1,000 partitions, produced and fetched in a tab that begins: its limit is a broker of one.
 */
export async function* measureManyPartitions(browser: BenchBrowser, plan: Plan): AsyncGenerator<Round> {
  if (!plan.wants('many-partitions')) return;
  for (let round = 0; round < plan.rounds; round++) {
    const row = { payloadBytes: PAYLOAD_BYTES, unit: 'ms', round } as const;
    const name = freshName('spread');
    const tab = await browser.tab();
    await tab.call('makePartitions', { name, partitions: TOUCHED });
    const args = { name, partitions: TOUCHED, size: PAYLOAD_BYTES, sends: plan.quick ? 20 : 100 };
    const { spread, one } = await tab.call('spreadCost', args);
    const reading = await tab.call('spreadRates', { name, partitions: TOUCHED, count: plan.quick ? 64_000 : 320_000 });
    await tab.page.close();
    yield { id: 'many-partitions-consume', ...row, unit: 'records/s', figures: reading };
    yield { id: 'many-partitions-send', ...row, figures: { ours: spread, limit: one } };

    const produce: Round['figures'] = {};
    const fetch: Round['figures'] = {};
    for (const id of inTurn(['limit', 'ours'] as const, round)) {
      const { produced, fetched } = await opened(browser, id === 'ours' ? MANY : 1);
      produce[id] = produced;
      fetch[id] = fetched;
    }
    yield { id: 'many-partitions-produce', ...row, figures: produce };
    yield { id: 'many-partitions-fetch', ...row, figures: fetch };
  }
}

async function opened(browser: BenchBrowser, partitions: number): Promise<{ produced: number; fetched: number }> {
  const name = freshName('partitions');
  const maker = await browser.tab();
  await maker.call('makePartitions', { name, partitions });
  await maker.page.close();
  const tab = await browser.tab();
  const figures = await tab.call('openPartitions', { name });
  await tab.page.close();
  return figures;
}
