import { expect, test } from 'vitest';
import { ignoreKafkaError } from '../../src/protocol/errors.js';
import { batchesIn, lastOffsetOf } from '../../src/record/batch-header.js';
import { decodeRecords } from '../../src/record/record-batch-decoder.js';
import type { LogStore } from '../../src/storage/log-store.js';
import { calling } from '../log/calling.js';
import { batch, createTopic, produce, settled, startBroker, type TestBroker } from './harness.js';

const VALUE = '.'.repeat(20_000);
/** The first that is made after the metadata log. */
const ORDERS_LOG = 1;
const NO_ENDS = { logStartOffset: 0, lastOffset: undefined };

/** A broker whose disk is full; what was acknowledged of its topic, in order. */
interface Full {
  readonly broker: TestBroker;
  readonly acknowledged: string[];
  readonly send: (value: string) => Promise<void>;
}

// Goal: while a full disk is made room on, nothing that was acknowledged and not deleted is lost or doubled, each producer has an
// answer in time, and once there is room all is as before. Method: something happens at each of the calls to the store that
// three appends to a full disk make, one by one.
test.each<{ what: string; change: (full: Full) => Promise<unknown> }>([
  { what: 'there is room again', change: async ({ broker }) => broker.disk.setQuota(Number.POSITIVE_INFINITY) },
  { what: 'another record is sent', change: ({ send }) => send('meanwhile') },
  {
    what: 'the log is cut',
    change: ({ broker }) =>
      broker.send('DeleteRecords', {
        timeoutMs: 1000,
        topics: [{ name: 'orders', partitions: [{ partitionIndex: 0, offset: 4 }] }],
      }),
  },
  {
    what: 'the topic is deleted',
    change: ({ broker }) =>
      // The metadata log may find no room either.
      broker.send('DeleteTopics', { topicNames: ['orders'], timeoutMs: 1000 }).catch(ignoreKafkaError),
  },
  {
    what: 'another leader takes over',
    change: ({ broker }) => startBroker({ disk: broker.disk, clock: broker.clock }),
  },
])('a full disk: $what at any step of making room', async ({ what, change }) => {
  for (const policy of ['drop-oldest', 'block', 'reject']) {
    for (let calls = 1, isDone = false; !isDone; calls++) {
      let left = Number.POSITIVE_INFINITY;
      let changed: Promise<unknown> | undefined;
      const acknowledged: string[] = [];
      const broker: TestBroker = await startBroker({
        tamper: (store) =>
          calling(store, async () => {
            if (--left !== 0) return;
            changed = change({ broker, acknowledged, send });
            await Promise.race([changed, settled()]);
          }),
      });
      const send = async (value: string): Promise<void> => {
        const outcome = await produce(broker, 'orders', batch([value + VALUE]));
        if (outcome?.errorCode === 0) acknowledged[outcome.baseOffset] = value;
      };
      await createTopic(broker, 'orders', {
        configs: [
          { name: 'storage.full.policy', value: policy },
          { name: 'segment.bytes', value: '60000' },
        ],
      });
      for (let i = 0; i < 10; i++) await send(`v${i}`);
      await broker.clock.advance(60_000); // the reserve is taken
      broker.disk.setQuota(broker.disk.sizeInBytes + 1_000);
      left = calls;
      const sending = Promise.all(['a', 'b', 'c'].map((value) => send(value)));
      let isAnswered = false;
      void sending.finally(() => (isAnswered = true));
      for (let i = 0; i < 60 && !isAnswered; i++) await broker.clock.advance(250);
      expect({ policy, calls, isAnswered }).toEqual({ policy, calls, isAnswered: true });
      isDone = left > 0;
      left = Number.POSITIVE_INFINITY;
      broker.disk.setQuota(Number.POSITIVE_INFINITY);
      for (let i = 0; i < 40; i++) await broker.clock.advance(250);
      const next = await changed;
      if (what !== 'the topic is deleted' && what !== 'another leader takes over') {
        const before = acknowledged.length;
        const last = send('the last');
        await broker.clock.advance(2_000);
        await last;
        expect(acknowledged.length).toBeGreaterThan(before);
      }
      await expectAcknowledged(broker.store, acknowledged, policy);
      if (!broker.broker.image.topics.has('orders')) {
        expect({ policy, calls, ends: broker.disk.ends(ORDERS_LOG) }).toMatchObject({ policy, calls, ends: NO_ENDS });
      }
      await broker.broker.close();
      if (what === 'another leader takes over' && next !== undefined) await (next as TestBroker).broker.close();
    }
  }
});

async function expectAcknowledged(store: LogStore, acknowledged: readonly string[], policy: string): Promise<void> {
  const { logStartOffset, lastOffset = -1 } = await store.ends(ORDERS_LOG);
  const found: string[] = [];
  for (let offset = logStartOffset; offset <= lastOffset; ) {
    const before = offset;
    for (const chunk of await store.read(ORDERS_LOG, offset, 100_000)) {
      for (const { header, at } of batchesIn(chunk)) {
        for (const record of decodeRecords(chunk, at))
          found[record.offset] = new TextDecoder().decode(record.value ?? new Uint8Array()).replaceAll('.', '');
        offset = lastOffsetOf(header) + 1;
      }
    }
    expect(offset).toBeGreaterThan(before);
  }
  for (const [offset, value] of acknowledged.entries()) {
    if (value === undefined || offset < logStartOffset || lastOffset < 0) continue;
    expect({ policy, offset, value: found[offset] }).toEqual({ policy, offset, value });
  }
}
