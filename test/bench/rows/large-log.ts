import type { BenchBrowser, Tab } from '../browser.ts';
import type { Round } from '../table.ts';
import { freshName, type Plan } from './plan.ts';

const PAYLOAD_BYTES = 1024;
const RECORDS_PER_CALL = 20_000;
/** About 1 MB: what is appended and fetched again to see what it costs at the end and in the middle of a log. */
const STRETCH_RECORDS = 1000;
const SAMPLE_MS = 100;
const MB = 1e6;
/** What a worker may take above its start. */
const MEMORY_BOUND_MB = 64;

/**
 * A log of a gigabyte: the most that its worker's memory stands above the start while it is written, and while it is
 * read; and what a megabyte costs there to append and to fetch, in place of the limit what it costs in a log of one.
 */
export async function* measureLargeLog(browser: BenchBrowser, plan: Plan): AsyncGenerator<Round> {
  if (!plan.wants('memory', 'scale')) return;
  const count = (plan.quick ? 50 : 1000) * 1000;
  const large = freshName('large');
  const writer = await browser.tab();
  await writer.job('ours', 'open', { name: large });
  const row = { payloadBytes: PAYLOAD_BYTES, round: 0 } as const;
  const memory = { ...row, unit: 'MB' } as const;
  const written = await peakMegabytes(writer, async () => {
    for (let i = 0; i < count; i += RECORDS_PER_CALL) {
      await writer.job('ours', 'bulkWrite', { count: Math.min(RECORDS_PER_CALL, count - i), size: PAYLOAD_BYTES });
    }
  });
  yield { id: 'memory-write', ...memory, figures: { ours: written, limit: MEMORY_BOUND_MB } };
  await writer.page.close();
  const reader = await browser.tab();
  await reader.job('ours', 'open', { name: large });
  const read = await peakMegabytes(reader, () => reader.call('readThrough', { name: large, count }));
  yield { id: 'memory-read', ...memory, figures: { ours: read, limit: MEMORY_BOUND_MB } };
  await reader.page.close();

  if (!plan.wants('scale')) return;
  for (let round = 0; round < plan.rounds; round++) {
    const small = freshName('small');
    const costs: Record<string, { append: number; fetch: number }> = {};
    for (const name of round % 2 === 0 ? [large, small] : [small, large]) {
      const tab = await browser.tab();
      costs[name] = await tab.call('stretchCost', { name, count: STRETCH_RECORDS, size: PAYLOAD_BYTES });
      await tab.page.close();
    }
    for (const what of ['append', 'fetch'] as const) {
      const figures = { ours: costs[large]?.[what] ?? Number.NaN, limit: costs[small]?.[what] ?? Number.NaN };
      yield { id: `scale-${what}`, ...row, round, unit: 'ms', figures };
    }
  }
}

/** The most that heap and buffers of the tab's worker stand above where they began, garbage included, in MB. */
async function peakMegabytes(tab: Tab, work: () => Promise<unknown>): Promise<number> {
  const start = await tab.workerBytes();
  let peak = 0;
  let over = false;
  const sample = async (): Promise<void> => {
    while (!over) {
      peak = Math.max(peak, (await tab.workerBytes()) - start);
      await new Promise((resolve) => setTimeout(resolve, SAMPLE_MS));
    }
  };
  const sampling = sample();
  try {
    await work();
  } finally {
    over = true;
    await sampling;
  }
  return peak / MB;
}
