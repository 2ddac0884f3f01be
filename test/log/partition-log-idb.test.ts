import { enforceRetention } from '../../src/log/log-upkeep.js';
import 'fake-indexeddb/auto';
import { expect, test } from 'vitest';
import { GroupCommit } from '../../src/log/group-commit.js';
import { offsetForTimestamp } from '../../src/log/offset-for-timestamp.js';
import { PartitionLog } from '../../src/log/partition-log.js';
import { parseTopicConfig } from '../../src/protocol/topic-config.js';
import { newIdbFixture } from '../suites/idb-fixture.js';
import { batch, errorOf, LOG, manualClock, readAll, sequenced, transactions } from './harness.js';

const CONFIG = parseTopicConfig({
  'segment.bytes': '200000',
  'max.message.bytes': '100000',
  'retention.bytes': '300000',
});

test('a log in IndexedDB goes on under the next leader where the last one was', async () => {
  const { open } = await newIdbFixture();
  for (let term = 0; term < 3; term++) {
    const store = await open();
    const leaderEpoch = (await store.claimLeadership(term, `host-${term}`, 0)) ?? -1;
    const groupCommit = new GroupCommit({ store, leaderEpoch, onCommitted: () => {} });
    const clock = manualClock();
    const log = await PartitionLog.open({
      store,
      groupCommit,
      leaderEpoch,
      log: LOG,
      clock,
      config: () => CONFIG,
      name: 'orders-0',
      transactions,
    });
    expect(log.logEndOffset).toBe(term * 40);
    const value = 'x'.repeat(10_000);
    const append = (i: number) => log.append(sequenced(term * 20 + i, [value]), 'client');
    const sequencedAppends = Array.from({ length: 20 }, (_, i) => append(i));
    const plainAppends = Array.from({ length: 20 }, (_, i) =>
      log.append(batch([{ value, timestampMs: term * 20 + i }]), 'client'),
    );
    const results = await Promise.all([...sequencedAppends, ...plainAppends]);
    expect(results.map(({ baseOffset }) => baseOffset)).toEqual(Array.from({ length: 40 }, (_, i) => term * 40 + i));
    expect(await append(19)).toMatchObject({ baseOffset: term * 40 + 19, duplicate: true });
    expect(await errorOf(append(25))).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER');
    const lastMs = term * 20 + 19;
    const { logStartOffset, logEndOffset: endOffset } = log;
    const found = await offsetForTimestamp({ store, log: LOG, logStartOffset, endOffset, timestampMs: lastMs });
    expect(found).toEqual({ offset: term * 40 + 39, timestampMs: lastMs, leaderEpoch });
    await enforceRetention(log);
    expect(await readAll(store)).toHaveLength(log.logEndOffset - log.logStartOffset);
    await log.close();
    await groupCommit.close();
    await store.close();
  }
});
