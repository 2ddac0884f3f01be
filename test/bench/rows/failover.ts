import { type BenchBrowser, nowMs, type Tab } from '../browser.ts';
import type { Round } from '../table.ts';
import { freshName, type Plan } from './plan.ts';

/** By then the survivor is acknowledged again. */
const SETTLED_MS = 2000;

/** From the death of the leader's tab to the next acknowledgement in another; the limit is a bare lock of the same tab. */
export async function* measureFailover(browser: BenchBrowser, plan: Plan): AsyncGenerator<Round> {
  const ways: Record<string, (leader: Tab, pid: number | undefined) => void> = {
    'failover-kill': (_, pid) => {
      if (pid === undefined) throw new Error('the renderer of the leading tab was not found');
      process.kill(pid, 'SIGKILL');
    },
    'failover-close': (leader) => void leader.page.close().catch(() => {}),
    'failover-navigate': (leader) => void leader.page.goto('about:blank').catch(() => {}),
  };
  for (let round = 0; round < plan.rounds; round++) {
    for (const [id, end] of Object.entries(ways)) {
      if (plan.wants(id)) yield { id, payloadBytes: 100, unit: 'ms', round, figures: await once(browser, end) };
    }
  }
}

async function once(
  browser: BenchBrowser,
  end: (leader: Tab, pid: number | undefined) => void,
): Promise<Round['figures']> {
  const name = freshName('failover');
  const survivor = await browser.tab();
  const before = await browser.rendererIds();
  const leader = await browser.tab();
  const pid = (await browser.rendererIds()).find((candidate) => !before.includes(candidate));
  await leader.job('ours', 'open', { name });
  await leader.job('limit', 'holdLock', { name: `bare-${name}` });
  await survivor.call('startSending', { name });
  const granted = survivor.job<number>('limit', 'waitLock', { name: `bare-${name}` });
  const ready = performance.now() + 10_000;
  while ((await survivor.call('ackCount')) < 50) {
    if (performance.now() > ready) throw new Error('the second tab got no acknowledgements from the leader');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const skew = await survivor.clockSkewMs();
  const endedAt = nowMs() + skew;
  end(leader, pid);
  const limit = (await granted) - endedAt;
  await new Promise((resolve) => setTimeout(resolve, SETTLED_MS));
  const ours = (await survivor.call('resumedAt', { sinceMs: endedAt, withinMs: SETTLED_MS })) - endedAt;
  await survivor.call('stopSending');
  await survivor.page.close();
  await leader.page.close().catch(() => {});
  return { ours, limit };
}
