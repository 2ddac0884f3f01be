import { expect, test } from 'vitest';
import { STATIC_CLIENT_PARTS } from '../../src/client/static-client-parts.js';
import { kafkaOn, logLevel } from '../../src/index.js';
import { KafkaError } from '../../src/protocol/errors.js';
import type { RequestChannel } from '../../src/protocol/request-channel.js';
import { inProcessRuntime } from '../../src/runtime/node-runtime.js';
import { InProcessCluster } from '../../src/testing/index.js';
import { deferred } from '../../src/util/signal.js';
import { readAll } from './read-all.js';
import { SkippingClock } from './skipping-clock.js';

const DAY_MS = 24 * 60 * 60 * 1000;

async function turns(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
}

// Goal: a producer that was silent for so long that the broker has forgotten it keeps the order of its records, though a log that
// knows nothing of a producer takes any first sequence. Method: after a night of the machine two batches are sent; the request of the
// first fails, but not before that of the second was carried out, if there is one.
test('a producer that the broker has forgotten meanwhile sends one batch first', async () => {
  const real = inProcessRuntime();
  let sleptMs = 0;
  const clock = new SkippingClock({
    wallMs: () => real.clock.wallMs() + sleptMs,
    monotonicMs: () => real.clock.monotonicMs(),
    sleep: (ms, signal) => real.clock.sleep(ms, signal),
  });
  const runtime = { ...real, clock };
  await using cluster = new InProcessCluster({ runtime, brokerConfig: { 'num.partitions': '1' } });
  const second = deferred();
  let requests = 0;
  const connect = async (): Promise<RequestChannel> => {
    const channel = await cluster.connect();
    const send: RequestChannel['send'] = async (api, request, options) => {
      const nth = api === 'Produce' ? ++requests : 0;
      if (nth === 2) {
        await Promise.race([second.promise, turns()]);
        throw new KafkaError('NOT_LEADER_OR_FOLLOWER', 'injected');
      }
      const answer = await channel.send(api, request, options);
      if (nth === 3) second.resolve();
      return answer;
    };
    return { send, close: () => channel.close() };
  };
  const kafka = new (kafkaOn({ runtime, parts: STATIC_CLIENT_PARTS, connect }))({ logLevel: logLevel.NOTHING });
  const producer = kafka.producer({ batchSize: 100 });
  const send = (value: string) => producer.send({ topic: 't', messages: [{ value: value.padEnd(100) }] });
  await send('0');
  sleptMs = 2 * DAY_MS;
  await clock.skip(310_000); // producers that were silent for a day are forgotten
  await Promise.all([send('1'), send('2'), send('3')]);
  expect((await readAll(kafka, 't')).map(({ value }) => Number(String(value)))).toEqual([0, 1, 2, 3]);
  await kafka.close();
});
