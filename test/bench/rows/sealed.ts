import type { BenchBrowser } from '../browser.ts';
import type { ContenderId, Round } from '../table.ts';
import { freshName, inTurn, type Plan } from './plan.ts';

const CONTENDERS: readonly ContenderId[] = ['limit', 'ours', 'sqlite'];
const PAGE_IDS: Partial<Record<ContenderId, string>> = { limit: 'limit-sealed', ours: 'ours-sealed' };
/** Reads are repeated, and their median counts. */
const READS = 5;

/** A sealed log from the start, beside slices of kept Blob handles; each contender reads in a tab that did not write. */
export async function* measureSealed(browser: BenchBrowser, plan: Plan): AsyncGenerator<Round> {
  if (!plan.wants('consume-sealed-bytes', 'consume-sealed-strings')) return;
  for (let round = 0; round < plan.rounds; round++) {
    for (const [payloadBytes, full] of [
      [100, 400_000],
      [1024, 60_000],
    ] as const) {
      const count = plan.quick ? full / 4 : full;
      const bytes: Round['figures'] = {};
      const strings: Round['figures'] = {};
      for (const id of inTurn(CONTENDERS, round)) {
        const rates = await rewritten(browser, PAGE_IDS[id] ?? id, { count, size: payloadBytes });
        if (id !== 'sqlite') bytes[id] = rates.bytes;
        strings[id] = rates.strings;
      }
      const row = { payloadBytes, unit: 'records/s', round } as const;
      yield { id: 'consume-sealed-bytes', ...row, figures: bytes };
      yield { id: 'consume-sealed-strings', ...row, figures: strings };
    }
  }
}

/** A log written one record at a time, once sealed: its limit is a log of the same records loaded in bulk. */
export async function* measureSealedSingle(browser: BenchBrowser, plan: Plan): AsyncGenerator<Round> {
  if (!plan.wants('consume-sealed-single')) return;
  const payloadBytes = 100;
  const written = { count: plan.quick ? 10_000 : 40_000, size: payloadBytes };
  for (let round = 0; round < plan.rounds; round++) {
    const figures: Round['figures'] = {};
    for (const id of inTurn(['limit', 'ours'] as const, round)) {
      const pageId = id === 'ours' ? 'ours-sealed-single' : 'ours-sealed-bulk';
      figures[id] = (await rewritten(browser, pageId, written)).bytes;
    }
    yield { id: 'consume-sealed-single', payloadBytes, unit: 'records/s', round, figures };
  }
}

async function rewritten(
  browser: BenchBrowser,
  id: string,
  { count, size }: { readonly count: number; readonly size: number },
): Promise<{ readonly bytes: number; readonly strings: number }> {
  const name = freshName(id);
  let tab = await browser.tab();
  await tab.job(id, 'open', { name });
  await tab.job(id, 'bulkWrite', { count, size });
  if (id !== 'sqlite') {
    // Whoever wrote has the end of the log in memory.
    await tab.job(id, 'close', {});
    await tab.page.close();
    tab = await browser.tab();
    await tab.job(id, 'open', { name });
  }
  const read = id.startsWith('ours') ? await tab.call('sealedCount', { name }) : count;
  if (read === 0) throw new Error(`expected a sealed segment of ${count} records of ${size} B, found none`);
  const rate = async (as: 'bytes' | 'strings'): Promise<number> => {
    const rates: number[] = [];
    for (let i = 0; i < READS; i++) {
      rates.push((await tab.job<{ perSecond: number }>(id, 'read', { as, count: read })).perSecond);
    }
    return rates.sort((a, b) => a - b)[Math.floor(READS / 2)] as number;
  };
  const rates = { bytes: await rate('bytes'), strings: await rate('strings') };
  await tab.job(id, 'close', {});
  await tab.page.close();
  return rates;
}
