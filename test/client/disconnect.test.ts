import { expect, test } from 'vitest';
import { type ClientPlatform, type Kafka, kafkaOn, logLevel } from '../../src/index.js';
import type { RequestChannel } from '../../src/protocol/request-channel.js';
import type { Clock } from '../../src/runtime/runtime.js';
import { InProcessCluster } from '../../src/testing/index.js';

/** So much quicker than ours is the time of the clients here. */
const SPEED = 50;

function quickClock(clock: Clock): Clock {
  return {
    wallMs: () => clock.wallMs(),
    monotonicMs: () => clock.monotonicMs() * SPEED,
    sleep: (ms, signal) => clock.sleep(ms / SPEED, signal),
  };
}

/** A client to whose Produce requests the host answers when `answer` has run. */
function client(cluster: InProcessCluster, clock: Clock, answer: () => Promise<void>): Kafka {
  const platform: ClientPlatform = {
    runtime: { ...cluster.runtime, clock },
    async connect() {
      const channel = await cluster.connect();
      const send: RequestChannel['send'] = async (api, request, options) => {
        const response = await channel.send(api, request, options);
        if (api === 'Produce') await answer();
        return response;
      };
      return { send, close: () => channel.close() };
    },
  };
  return new (kafkaOn(platform))({ logLevel: logLevel.NOTHING });
}

test('disconnecting from a silent host takes some seconds, not the request timeout', async () => {
  await using cluster = new InProcessCluster();
  const clock = quickClock(cluster.runtime.clock);
  const producer = client(cluster, clock, () => new Promise(() => {})).producer();
  await producer.connect();
  const sending = producer.send({ topic: 't', messages: [{ value: 'v' }] });
  sending.catch(() => {});
  await cluster.runtime.clock.sleep(10); // the topic is made, the record on its way
  const beforeMs = clock.monotonicMs();
  await producer.disconnect();
  const tookMs = clock.monotonicMs() - beforeMs;
  expect(tookMs).toBeGreaterThan(4_000); // a dead leader would have been replaced
  expect(tookMs).toBeLessThan(25_000);
  await expect(sending).rejects.toMatchObject({ name: 'KafkaJSConnectionError' });
});

test('disconnecting waits for as long as answers come, however slowly', async () => {
  await using cluster = new InProcessCluster();
  const clock = quickClock(cluster.runtime.clock);
  const producer = client(cluster, clock, () => clock.sleep(4_000)).producer({
    idempotent: false,
    maxInFlightRequests: 1,
  });
  await producer.connect();
  // Batches of unlike acks do not share a request.
  const sends = Array.from({ length: 6 }, (_, i) =>
    producer.send({ topic: 't', acks: i % 2 === 0 ? -1 : 1, messages: [{ value: `${i}` }] }),
  );
  const beforeMs = clock.monotonicMs();
  await producer.disconnect();
  expect(clock.monotonicMs() - beforeMs).toBeGreaterThan(20_000);
  const offsets = (await Promise.all(sends)).map(([result]) => result?.baseOffset);
  expect(offsets).toEqual(['0', '1', '2', '3', '4', '5']);
});
