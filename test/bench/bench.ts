/**
 * `npm run bench`: tabstream beside the raw limit of the same work and beside its peers, in Chromium with a profile
 * on disk. Rounds alternate all contenders, and the ratios are medians over rounds: the machine may be noisy,
 * what happens to one happens to its neighbour.
 *
 *   npm run bench -- [--rounds 5] [--only produce,failover-kill] [--quick] [--json FILE]
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { BenchBrowser } from './browser.ts';
import { measureColdOpen } from './rows/cold-open.ts';
import { measureFailover } from './rows/failover.ts';
import { measureLargeLog } from './rows/large-log.ts';
import { measureLatency } from './rows/latency.ts';
import { measureManyPartitions } from './rows/many-partitions.ts';
import { measureSealed, measureSealedSingle } from './rows/sealed.ts';
import { measureThroughput } from './rows/throughput.ts';
import { measureUpkeep } from './rows/upkeep.ts';
import { type Round, rowsOf, tableOf } from './table.ts';

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    only: { type: 'string', default: '' },
    quick: { type: 'boolean', default: false },
    json: { type: 'string' },
  },
});

const only = options.only.split(',').filter(Boolean);
const wants = (...ids: string[]): boolean => only.length === 0 || ids.some((id) => only.some((o) => id.startsWith(o)));
const plan = { rounds: Number(options.rounds), quick: options.quick, wants };

const browser = await BenchBrowser.open();
const rounds: Round[] = [];
try {
  for (const measure of [
    measureThroughput,
    measureSealed,
    measureSealedSingle,
    measureLatency,
    measureUpkeep,
    measureManyPartitions,
    measureFailover,
    measureColdOpen,
    measureLargeLog,
  ]) {
    for await (const round of measure(browser, plan)) {
      rounds.push(round);
      process.stderr.write(
        `${round.id} ${round.payloadBytes} B round ${round.round}: ${JSON.stringify(round.figures)}\n`,
      );
    }
  }
} finally {
  await browser.close();
}
const rows = rowsOf(rounds);
console.log(tableOf(rows));
if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify({ rows }, null, 1)}\n`);
