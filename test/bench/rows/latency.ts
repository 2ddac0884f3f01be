import type { BenchBrowser } from '../browser.ts';
import type { Latency } from '../page/values.ts';
import type { ContenderId, Round } from '../table.ts';
import { freshName, inTurn, type Plan } from './plan.ts';

const SINGLE: readonly ContenderId[] = ['limit', 'ours', 'dexie', 'idb', 'sqlite'];
const CROSS_TAB: readonly ContenderId[] = ['limit', 'ours', 'dexie'];
const PAYLOADS = [100, 1024] as const;
const SENDERS = 64;

/** One record at a time, 64 senders of one record each, and from one tab into the handler of another. */
export async function* measureLatency(browser: BenchBrowser, plan: Plan): AsyncGenerator<Round> {
  for (let round = 0; round < plan.rounds; round++) {
    for (const payloadBytes of PAYLOADS) {
      if (plan.wants('send-acked')) yield* sendAcked(browser, plan, round, payloadBytes);
      if (plan.wants('send-concurrent')) yield await sendConcurrent(browser, plan, round, payloadBytes);
      if (plan.wants('cross-tab')) yield* crossTab(browser, plan, round, payloadBytes);
    }
  }
}

function both(id: string, payloadBytes: number, round: number, seen: Partial<Record<ContenderId, Latency>>): Round[] {
  const pick = (p: keyof Latency): Round['figures'] =>
    Object.fromEntries(Object.entries(seen).map(([contender, latency]) => [contender, latency[p]]));
  return [
    { id, payloadBytes, unit: 'ms', round, figures: pick('p50') },
    { id, payloadBytes, unit: 'ms p99', round, figures: pick('p99') },
  ];
}

async function* sendAcked(
  browser: BenchBrowser,
  plan: Plan,
  round: number,
  payloadBytes: number,
): AsyncGenerator<Round> {
  const seen: Partial<Record<ContenderId, Latency>> = {};
  for (const id of inTurn(SINGLE, round)) {
    const tab = await browser.tab();
    await tab.job(id, 'open', { name: freshName(id) });
    seen[id] = await tab.job<Latency>(id, 'single', { count: plan.quick ? 50 : 300, size: payloadBytes });
    await tab.job(id, 'close', {});
    await tab.page.close();
  }
  yield* both('send-acked', payloadBytes, round, seen);
}

/** The limit here is what the transport alone carries: calls of the same size to a worker that only answers. */
async function sendConcurrent(browser: BenchBrowser, plan: Plan, round: number, payloadBytes: number): Promise<Round> {
  const each = plan.quick ? 20 : 200;
  const figures: Round['figures'] = {};
  for (const id of inTurn(['limit', 'ours', 'dexie', 'idb', 'sqlite'] as const, round)) {
    const tab = await browser.tab();
    if (id === 'limit') figures.limit = await tab.call('callRate', { inFlight: SENDERS, each, size: payloadBytes });
    else {
      await tab.job(id, 'open', { name: freshName(id) });
      const args = { senders: SENDERS, each: id === 'ours' ? each : Math.ceil(each / 10), size: payloadBytes };
      figures[id] = (await tab.job<{ perSecond: number }>(id, 'concurrent', args)).perSecond;
      await tab.job(id, 'close', {});
    }
    await tab.page.close();
  }
  return { id: 'send-concurrent', payloadBytes, unit: 'records/s', round, figures };
}

async function* crossTab(
  browser: BenchBrowser,
  plan: Plan,
  round: number,
  payloadBytes: number,
): AsyncGenerator<Round> {
  const seen: Partial<Record<ContenderId, Latency>> = {};
  for (const id of inTurn(CROSS_TAB, round)) {
    const where = id === 'limit' ? 'limit-in-page' : id; // from page to page, as all the others
    const name = freshName(id);
    const channel = `${name}-answers`;
    const watcher = await browser.tab();
    await watcher.job(where, 'open', { name });
    const writer = await browser.tab();
    await writer.job(where, 'open', { name });
    await watcher.job(where, 'watch', { channel });
    seen[id] = await writer.job<Latency>(where, 'crossTab', {
      channel,
      count: plan.quick ? 20 : 60,
      size: payloadBytes,
    });
    await writer.page.close();
    await watcher.page.close();
  }
  yield* both('cross-tab', payloadBytes, round, seen);
}
