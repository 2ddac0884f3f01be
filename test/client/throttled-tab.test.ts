import { expect, test } from 'vitest';
import { kafkaOn } from '../../src/client/kafka.js';
import { STATIC_CLIENT_PARTS } from '../../src/client/static-client-parts.js';
import { logLevel } from '../../src/index.js';
import { inProcessRuntime } from '../../src/runtime/node-runtime.js';
import type { Clock } from '../../src/runtime/runtime.js';
import { InProcessCluster } from '../../src/testing/index.js';
import { SkippingClock } from './skipping-clock.js';

/** Of a page that has been hidden for long: its timers fire once a minute. Those of its worker do as ever. */
function throttled(clock: Clock): Clock {
  return {
    wallMs: () => clock.wallMs(),
    monotonicMs: () => clock.monotonicMs(),
    sleep: (ms, signal) => clock.sleep(Math.max(ms, 60_000), signal),
  };
}

test('members in hidden pages stay in their group, also where they have nothing to fetch', async () => {
  const real = inProcessRuntime();
  const clock = new SkippingClock(real.clock);
  const brokerConfig = { 'group.initial.rebalance.delay.ms': '0' };
  await using cluster = new InProcessCluster({ runtime: { ...real, clock }, brokerConfig });
  const Kafka = kafkaOn({
    runtime: { ...real, clock: throttled(clock) },
    parts: STATIC_CLIENT_PARTS,
    connect: () => cluster.connect(),
  });
  const kafka = new Kafka({ logLevel: logLevel.NOTHING });
  const admin = kafka.admin();
  await admin.createTopics({ topics: [{ topic: 't', numPartitions: 1 }] });
  const members = [1, 2].map(() => kafka.consumer({ groupId: 'g' })); // one gets nothing
  const rebalances: string[] = [];
  for (const member of members) {
    await member.subscribe({ topic: 't' });
    await member.run();
  }
  for (const member of members)
    member.on(member.events.REBALANCING, ({ payload }) => rebalances.push(payload.memberId));
  await clock.skip(300_000);
  expect(rebalances).toEqual([]);
  const { groups } = await admin.describeGroups(['g']);
  expect(groups[0]?.members).toHaveLength(2);
  await kafka.close();
});
