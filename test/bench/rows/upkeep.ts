import type { BenchBrowser } from '../browser.ts';
import type { UpkeepFigures } from '../page/upkeep.ts';
import type { ContenderId, Round } from '../table.ts';
import { freshName, inTurn, type Plan } from './plan.ts';

const PAYLOAD_BYTES = 100;

/**
 * Sends of one record after a log of the same broker was written, while it is sealed and compacted, and while its records
 * are deleted. Their limit: a log of the same bytes that nothing is done to, and at the 99th percentile the write of one
 * chunk besides, which is what an append may wait for.
 */
export async function* measureUpkeep(browser: BenchBrowser, plan: Plan): AsyncGenerator<Round> {
  if (!plan.wants('send-beside-sealing', 'send-beside-deleting')) return;
  const row = { payloadBytes: PAYLOAD_BYTES } as const;
  for (let round = 0; round < plan.rounds; round++) {
    const seen: Partial<Record<ContenderId, UpkeepFigures>> = {};
    for (const id of inTurn(['limit', 'ours'] as const, round)) {
      const tab = await browser.tab();
      const args = { name: freshName('upkeep'), size: PAYLOAD_BYTES, chunks: plan.quick ? 12 : 64 };
      seen[id] = await tab.call('sendBesideUpkeep', { ...args, keeps: id === 'limit' });
      await tab.page.close();
    }
    const { ours, limit } = seen;
    if (ours === undefined || limit === undefined) throw new Error('expected figures of both');
    for (const what of ['sealing', 'deleting'] as const) {
      const of = { id: `send-beside-${what}`, ...row, round };
      yield { ...of, unit: 'ms', figures: { ours: ours[what].p50, limit: limit.sealing.p50 } };
      const limitP99 = limit.sealing.p99 + limit.chunkMs;
      yield { ...of, unit: 'ms p99', figures: { ours: ours[what].p99, limit: limitP99 } };
    }
  }
}
