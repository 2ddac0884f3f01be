import { expect, test } from 'vitest';
import { rewriteClosed } from '../../src/log/log-upkeep.js';
import { batch, leader } from './harness.js';

// Goal: a log without transactions never asks for their code, and stays one that code without it opens. Method: a rewrite
// that needs a checkpoint comes at every turn of the recovery that an append behind a failed commit begins.
test.each(Array.from({ length: 40 }, (_, turns) => turns))(
  'a rewrite that waits for a recovered log leaves it as it is (%i turns behind)',
  async (turns) => {
    const { open, disk } = await leader();
    let asked = 0;
    const log = await open({
      topicConfig: { 'segment.bytes': '1024' },
      transactions: () => Promise.reject(new Error(`asked ${++asked} times`)),
    });
    for (let i = 0; i < 3; i++) await log.append(batch(['x'.repeat(900)]), 'client');
    disk.failNextAppend();
    await log.append(batch(['lost']), 'client').catch(() => {});
    const appended = log.append(batch(['kept']), 'client');
    for (let turn = 0; turn < turns; turn++) await Promise.resolve();
    expect(await rewriteClosed(log, async ({ rows }) => rows.length)).toBeGreaterThan(0);
    expect(await appended).toMatchObject({ baseOffset: 3 });
    expect(asked).toBe(0);
  },
);
