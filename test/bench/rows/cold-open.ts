import type { BenchBrowser } from '../browser.ts';
import type { Round } from '../table.ts';
import { freshName, type Plan } from './plan.ts';

const PAYLOAD_BYTES = 1024;
const RECORDS_PER_CALL = 20_000;
/** How our database of a cluster is named, and the store its rows are in; see `src/storage/schema.ts`. */
const databaseOf = (cluster: string): string => `tabstream/${cluster}/1`;
const ROWS = 'chunks';

/**
 * A browser started anew: from `new Kafka` to the first record of a log of some size, against a bare open and last row,
 * whose page has its code. So does ours that imports `tabstream/consumer`; the rows `-lazy` are of one that loads it then.
 */
export async function* measureColdOpen(browser: BenchBrowser, plan: Plan): AsyncGenerator<Round> {
  let name = '';
  let written = 0;
  for (const megabytes of plan.quick ? [10] : [10, 100, 1000]) {
    const id = `cold-open-${megabytes}`;
    if (!plan.wants(id)) continue;
    if (name === '') name = freshName('cold');
    const tab = await browser.tab();
    await tab.job('ours', 'open', { name });
    while (written < megabytes * 1e6) {
      await tab.job('ours', 'bulkWrite', { count: RECORDS_PER_CALL, size: PAYLOAD_BYTES });
      written += RECORDS_PER_CALL * PAYLOAD_BYTES;
    }
    await tab.job('ours', 'close', {});
    for (let round = 0; round < plan.rounds; round++) {
      await browser.restart();
      const ours = await (await browser.tab({ preloaded: true })).call('firstRecord', { name });
      await browser.restart();
      const lazy = await (await browser.tab()).call('firstRecord', { name });
      await browser.restart();
      const limit = await (await browser.tab()).call('bareOpen', { name: databaseOf(name), store: ROWS });
      const row = { payloadBytes: PAYLOAD_BYTES, unit: 'ms', round } as const;
      yield { id, ...row, figures: { ours, limit } };
      yield { id: `${id}-lazy`, ...row, figures: { ours: lazy, limit } };
    }
  }
}
