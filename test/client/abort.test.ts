import { getEventListeners } from 'node:events';
import { expect, test } from 'vitest';
import { type ClientPlatform, type Kafka, kafkaOn, logLevel } from '../../src/index.js';
import type { RequestChannel } from '../../src/protocol/request-channel.js';
import { countingRuntime } from '../../src/runtime/counting-runtime.js';
import { inProcessRuntime } from '../../src/runtime/node-runtime.js';
import { InProcessCluster } from '../../src/testing/index.js';
import { type Deferred, deferred } from '../../src/util/signal.js';

// Goal: whoever gives a signal is obeyed at once, wherever the call is, and nothing of the call is left. Method: every
// method that takes one, over a host that never starts, one that never answers, and a real cluster.

const ENOUGH = new Error('enough');

interface Call {
  readonly name: string;
  /** What an aborted one does: a loop that watches ends, a task that is not done fails. */
  readonly ends?: true;
  /** A producer that is closed waits so long for answers. */
  readonly requestTimeout?: number;
  readonly run: (kafka: Kafka, signal: AbortSignal) => Promise<unknown>;
}

async function drained(items: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of items);
}

const assignment = [{ topic: 't', partition: 0, offset: '0' }];

const CALLS: readonly Call[] = [
  {
    name: 'producer.send',
    requestTimeout: 100,
    run: (kafka, signal) => kafka.producer().send({ topic: 't', messages: [{ value: 'v' }], signal }),
  },
  {
    name: 'producer.sendBatch',
    requestTimeout: 100,
    run: (kafka, signal) =>
      kafka.producer().sendBatch({ topicMessages: [{ topic: 't', messages: [{ value: 'v' }] }], signal }),
  },
  {
    name: 'consumer.run',
    run: async (kafka, signal) => {
      const consumer = kafka.consumer();
      await consumer.assign(assignment);
      await consumer.run({ eachMessage: async () => {}, signal });
    },
  },
  {
    name: 'consumer.messages',
    ends: true,
    run: async (kafka, signal) => {
      const consumer = kafka.consumer();
      await consumer.assign(assignment);
      await drained(consumer.messages({ signal }));
    },
  },
  { name: 'storage.state', run: (kafka, signal) => kafka.storage.state({ signal }) },
  { name: 'storage.changes', ends: true, run: (kafka, signal) => drained(kafka.storage.changes({ signal })) },
  { name: 'admin.checkLogs', run: (kafka, signal) => kafka.admin().checkLogs({ signal }) },
  { name: 'admin.checkLogs of no topic', run: (kafka, signal) => kafka.admin().checkLogs({ topics: [], signal }) },
  {
    name: 'admin.exportPartition',
    run: (kafka, signal) => drained(kafka.admin().exportPartition({ topic: 't', partition: 0, signal })),
  },
  {
    name: 'admin.importPartition',
    run: (kafka, signal) => kafka.admin().importPartition({ topic: 't', partition: 0, segments: [], signal }),
  },
];

/** A client whose host is as told, and what it holds. */
function clientOver(
  { requestTimeout = 30_000 }: Call,
  channel: () => Promise<RequestChannel> | RequestChannel,
): {
  readonly kafka: Kafka;
  readonly figures: () => { connects: number; closes: number; timers: number };
} {
  const { runtime, open } = countingRuntime(inProcessRuntime());
  let [connects, closes] = [0, 0];
  const connect: ClientPlatform['connect'] = async () => {
    connects++;
    const { send } = await channel();
    return { send, close: async () => void closes++ };
  };
  const Kafka = kafkaOn({ runtime, connect });
  const kafka = new Kafka({ logLevel: logLevel.NOTHING, requestTimeout, retry: { retries: 0 } });
  return { kafka, figures: () => ({ connects, closes, timers: open().timers }) };
}

function silent(onSend = (): void => {}): RequestChannel {
  const send = (): Promise<never> => {
    onSend();
    return new Promise(() => {});
  };
  return { send, close: async () => {} };
}

async function expectObeyed({ ends }: Call, called: Promise<unknown>, signal: AbortSignal): Promise<void> {
  if (ends) await called;
  else await expect(called).rejects.toBe(ENOUGH);
  expect(getEventListeners(signal, 'abort')).toEqual([]);
}

test.each(CALLS)('$name with a signal that has aborted touches nothing', async (call) => {
  let sends = 0;
  const { kafka, figures } = clientOver(call, () => silent(() => sends++));
  const signal = AbortSignal.abort(ENOUGH);
  await expectObeyed(call, call.run(kafka, signal), signal);
  expect({ ...figures(), sends }).toEqual({ connects: 0, closes: 0, timers: 0, sends: 0 });
});

test.each(CALLS.filter(({ name }) => name !== 'admin.checkLogs of no topic'))(
  '$name is aborted while the host starts, and what starts then is closed',
  async (call) => {
    const started: Deferred<RequestChannel> = deferred();
    const connecting = deferred();
    const { kafka, figures } = clientOver(call, () => {
      connecting.resolve();
      return started.promise;
    });
    const controller = new AbortController();
    const called = call.run(kafka, controller.signal);
    await connecting.promise;
    controller.abort(ENOUGH);
    await expectObeyed(call, called, controller.signal);
    const closed = kafka.close();
    started.resolve(silent());
    await closed;
    await new Promise((resolve) => setImmediate(resolve));
    expect(figures()).toEqual({ connects: 1, closes: 1, timers: 0 });
  },
);

test.each(CALLS.filter(({ name }) => !/no topic|\.run/.test(name)))(
  '$name is aborted while no answer comes',
  async (call) => {
    const asked = deferred();
    const { kafka, figures } = clientOver(call, () => silent(asked.resolve));
    const controller = new AbortController();
    const called = call.run(kafka, controller.signal);
    await asked.promise;
    controller.abort(ENOUGH);
    await expectObeyed(call, called, controller.signal);
    await kafka.close();
    expect(figures()).toEqual({ connects: 1, closes: 1, timers: 0 });
  },
);

test('a consumer that is aborted while it starts stops, without a crash', async () => {
  const asked = deferred();
  const call = CALLS.find(({ name }) => name === 'consumer.run')!;
  const { kafka, figures } = clientOver(call, () => silent(asked.resolve));
  const consumer = kafka.consumer();
  await consumer.assign([{ topic: 't', partition: 0 }]);
  let crashes = 0;
  consumer.on(consumer.events.CRASH, () => crashes++);
  const controller = new AbortController();
  const running = consumer.run({ signal: controller.signal });
  await asked.promise;
  controller.abort(ENOUGH);
  await expect(running).rejects.toBe(ENOUGH);
  await kafka.close();
  expect({ ...figures(), crashes }).toEqual({ connects: 1, closes: 1, timers: 0, crashes: 0 });
});

// Over a real cluster from here on.

async function withCluster(body: (kafka: Kafka, kafkaThat: KafkaThat) => Promise<void>): Promise<void> {
  const { runtime, open } = countingRuntime(inProcessRuntime());
  const cluster = new InProcessCluster({ runtime, brokerConfig: { 'group.initial.rebalance.delay.ms': '0' } });
  const kafka = new cluster.Kafka({ logLevel: logLevel.NOTHING });
  const opened: Kafka[] = [kafka];
  const kafkaThat: KafkaThat = (answered) => {
    const connect = async (): Promise<RequestChannel> => {
      const channel = await cluster.connect();
      const send: RequestChannel['send'] = async (api, request, options) => {
        const response = await channel.send(api, request, options);
        answered(api);
        return response;
      };
      return { send, close: () => channel.close() };
    };
    const Kafka = kafkaOn({ runtime, connect });
    opened.push(new Kafka({ logLevel: logLevel.NOTHING }));
    return opened.at(-1)!;
  };
  await body(kafka, kafkaThat);
  await Promise.all(opened.map((each) => each.close()));
  await cluster.close();
  await new Promise((resolve) => setImmediate(resolve));
  expect(open()).toEqual({ timers: 0, locks: 0, channels: 0 });
}

/** A client that is told when an answer has come. */
type KafkaThat = (answered: (api: string) => void) => Kafka;

async function fill(kafka: Kafka, count = 20): Promise<void> {
  const producer = kafka.producer();
  for (let i = 0; i < count; i++)
    await producer.send({ topic: 't', messages: [{ partition: 0, value: `v${i}`.padEnd(1000) }] });
}

test('a send is aborted while it waits for one before it, which what comes behind it goes on to wait for', async () => {
  const { runtime } = countingRuntime(inProcessRuntime());
  await using cluster = new InProcessCluster({ runtime });
  const answered = deferred();
  const connect = async (): Promise<RequestChannel> => {
    const channel = await cluster.connect();
    const send: RequestChannel['send'] = async (api, request, options) => {
      if (api === 'Metadata') await answered.promise;
      return channel.send(api, request, options);
    };
    return { send, close: () => channel.close() };
  };
  const Kafka = kafkaOn({ runtime, connect });
  const kafka = new Kafka({ logLevel: logLevel.NOTHING });
  const producer = kafka.producer();
  await producer.connect();
  const controller = new AbortController();
  const { signal } = controller;
  const first = producer.send({ topic: 't', messages: [{ value: 'first' }] });
  const aborted = producer.send({ topic: 't', messages: [{ value: 'aborted' }], signal });
  const last = producer.send({ topic: 't', messages: [{ value: 'last' }] });
  controller.abort(ENOUGH);
  await expect(aborted).rejects.toBe(ENOUGH);
  expect(getEventListeners(signal, 'abort')).toEqual([]);
  answered.resolve();
  const offsets = (await Promise.all([first, last])).map(([metadata]) => metadata?.baseOffset);
  expect(offsets).toEqual(['0', '1']);
  await kafka.close();
});

test('an export that is aborted between two files fails, and leaves nothing', async () => {
  await withCluster(async (kafka) => {
    await fill(kafka);
    const controller = new AbortController();
    const { signal } = controller;
    const exporting = kafka.admin().exportPartition({ topic: 't', partition: 0, segmentBytes: 3000, signal });
    const files = exporting[Symbol.asyncIterator]();
    expect((await files.next()).value?.baseOffset).toBe('0');
    controller.abort(ENOUGH);
    await expect(files.next()).rejects.toBe(ENOUGH);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });
});

test('an export that is left half-way leaves nothing', async () => {
  await withCluster(async (kafka) => {
    await fill(kafka);
    const { signal } = new AbortController();
    for await (const _ of kafka.admin().exportPartition({ topic: 't', partition: 0, segmentBytes: 3000, signal }))
      break;
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });
});

test('an import that is aborted half-way fails, leaves nothing, and can be gone on with', async () => {
  await withCluster(async (kafka, kafkaThat) => {
    await fill(kafka);
    const segments: Blob[] = [];
    for await (const { log } of kafka.admin().exportPartition({ topic: 't', partition: 0, segmentBytes: 5000 })) {
      segments.push(log);
    }
    expect(segments.length).toBeGreaterThan(3);
    await kafka.admin().createTopics({ topics: [{ topic: 'copy' }] });
    const controller = new AbortController();
    let imported = 0;
    const aborting = kafkaThat((api) => {
      if (api === 'ImportLog' && ++imported === 2) controller.abort(ENOUGH);
    });
    const into = { topic: 'copy', partition: 0 };
    const { signal } = controller;
    await expect(aborting.admin().importPartition({ ...into, segments, signal })).rejects.toBe(ENOUGH);
    expect(imported).toBe(2);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
    const { high } = await kafka.admin().importPartition({ ...into, segments: segments.slice(2) });
    expect(high).toBe('20');
    expect((await kafka.admin().checkLogs()).findings).toEqual([]);
  });
});

test('a check that is aborted half-way fails, and leaves nothing', async () => {
  await withCluster(async (kafka) => {
    await fill(kafka);
    const controller = new AbortController();
    const { signal } = controller;
    const seen: number[] = [];
    const onProgress = ({ checkedLogs }: { readonly checkedLogs: number }): void => {
      seen.push(checkedLogs);
      if (checkedLogs === 1) controller.abort(ENOUGH);
    };
    await expect(kafka.admin().checkLogs({ signal, onProgress })).rejects.toBe(ENOUGH);
    expect(seen).toEqual([0, 1]);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });
});

test('the signal of one run is not listened to by the next', async () => {
  await withCluster(async (kafka) => {
    await fill(kafka, 1);
    const consumer = kafka.consumer();
    await consumer.assign(assignment);
    const [first, second] = [new AbortController(), new AbortController()];
    await consumer.run({ signal: first.signal });
    expect(getEventListeners(first.signal, 'abort')).toHaveLength(1);
    await consumer.stop();
    expect(getEventListeners(first.signal, 'abort')).toEqual([]);
    const received = deferred();
    await consumer.run({ signal: second.signal, eachMessage: async () => received.resolve() });
    first.abort();
    await received.promise;
    expect(consumer.assignment()).toEqual([{ topic: 't', partition: 0 }]);
    const stopped = new Promise<void>((resolve) => consumer.on(consumer.events.STOP, () => resolve()));
    second.abort();
    await stopped;
    expect(consumer.assignment()).toEqual([]);
  });
});

test.each(['break', 'abort'])('a loop over a consumer that ends by %s leaves no listener', async (end) => {
  await withCluster(async (kafka) => {
    await fill(kafka, 5);
    const consumer = kafka.consumer();
    await consumer.assign(assignment);
    const controller = new AbortController();
    let count = 0;
    for await (const _ of consumer.messages({ signal: controller.signal })) {
      if (++count < 3) continue;
      if (end === 'break') break;
      controller.abort();
    }
    expect(count).toBe(3);
    expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
    expect(consumer.assignment()).toEqual([]);
  });
});
