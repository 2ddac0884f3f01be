import type { BenchBrowser } from '../browser.ts';
import type { Round } from '../table.ts';
import { freshName, type Plan } from './plan.ts';

const PAYLOAD_BYTES = 100;

/**
 * The slowest sends of one record while another log of the broker is sealed and compacted, then while its records are
 * deleted. Their limit is what they may wait for: a send while nothing else is done, behind the write of one chunk.
 */
export async function* measureUpkeep(browser: BenchBrowser, plan: Plan): AsyncGenerator<Round> {
  if (!plan.wants('send-beside-upkeep')) return;
  for (let round = 0; round < plan.rounds; round++) {
    const tab = await browser.tab();
    const args = { name: freshName('upkeep'), size: PAYLOAD_BYTES, chunks: plan.quick ? 12 : 64 };
    const { sealing, deleting, quiet, chunkMs } = await tab.call('sendBesideUpkeep', args);
    await tab.page.close();
    const row = { payloadBytes: PAYLOAD_BYTES, round } as const;
    const limit = { 'ms p99': quiet.p50 + chunkMs, ms: quiet.p50 } as const;
    for (const [what, seen] of Object.entries({ sealing, deleting })) {
      const id = `send-beside-upkeep-${what}`;
      yield { id, ...row, unit: 'ms', figures: { ours: seen.p50, limit: limit.ms } };
      yield { id, ...row, unit: 'ms p99', figures: { ours: seen.p99, limit: limit['ms p99'] } };
    }
  }
}
