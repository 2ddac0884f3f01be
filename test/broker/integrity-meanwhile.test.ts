import { expect, test } from 'vitest';
import { errorName, KafkaError } from '../../src/protocol/errors.js';
import { batchesIn } from '../../src/record/batch-header.js';
import { deferred } from '../../src/util/signal.js';
import { calling } from '../log/calling.js';
import {
  batch,
  createTopic,
  fetchRequest,
  produce,
  settled,
  startBroker,
  type TestBroker,
  valuesIn,
} from './harness.js';

/** What happens once, at a call to the store. */
interface Meanwhile {
  readonly what: string;
  readonly change: (broker: TestBroker) => Promise<unknown>;
}

const CREATED: Meanwhile = {
  what: 'a topic is made and written to',
  change: async (broker) => [await createTopic(broker, 'new'), await produce(broker, 'new', batch(['n']))],
};
const DELETED: Meanwhile = { what: 'a topic is deleted', change: (broker) => deleteTopic(broker, 'other') };
const WRITTEN: Meanwhile = { what: 'it is written to', change: (broker) => write(broker, ['more']) };
const CUT: Meanwhile = {
  what: 'it is cut',
  change: (broker) =>
    broker.send('DeleteRecords', {
      timeoutMs: 1000,
      topics: [{ name: 'orders', partitions: [{ partitionIndex: 0, offset: 3 }] }],
    }),
};
const GONE: Meanwhile = { what: 'it is deleted', change: (broker) => deleteTopic(broker, 'orders') };

/** Values that were acknowledged. */
const acknowledged = new WeakMap<TestBroker, string[]>();

const MADE_ANEW: Meanwhile = {
  what: 'it is deleted, and another of its name is made',
  change: async (broker) => {
    await deleteTopic(broker, 'orders');
    await createTopic(broker, 'orders');
    acknowledged.set(broker, []);
  },
};

/**
 * Does `work` again and again, on new brokers, until there was no more call to the store during it before which something
 * could happen. `takenOver`: by one that took over behind the beginning, and has opened nothing.
 */
async function atEachCall(
  { change }: Meanwhile,
  begin: (broker: TestBroker) => Promise<void>,
  work: (broker: TestBroker) => Promise<void>,
  { takenOver = false }: { readonly takenOver?: boolean } = {},
): Promise<void> {
  const begun = async (broker: TestBroker): Promise<void> => {
    acknowledged.set(broker, []);
    await begin(broker);
  };
  for (let calls = 1, isDone = false; !isDone; calls++) {
    let left = Number.POSITIVE_INFINITY;
    let changed: Promise<unknown> | undefined;
    const before = takenOver ? await startBroker() : undefined;
    if (before) await begun(before);
    const broker: TestBroker = await startBroker({
      ...(before && { disk: before.disk, clock: before.clock }),
      tamper: (store) =>
        calling(store, async () => {
          if (--left !== 0) return;
          if (change === FAILED.change) return change(broker) as Promise<void>;
          changed = change(broker);
          await Promise.race([changed, settled()]); // it may have to wait until the work is done
        }),
    });
    if (before) acknowledged.set(broker, acknowledged.get(before) ?? []);
    else await begun(broker);
    left = calls;
    await work(broker);
    isDone = left > 0;
    left = Number.POSITIVE_INFINITY;
    await changed;
    await expectAcknowledged(broker);
    await broker.broker.close();
  }
}

async function begin(broker: TestBroker): Promise<void> {
  for (const topic of ['orders', 'other']) await createTopic(broker, topic);
  for (let i = 0; i < 5; i++) await write(broker, [`v${i}`]);
  await produce(broker, 'other', batch(['o']));
}

// Goal: a check of a cluster that is in use finds nothing that is not so, and loses nothing. Method: something happens at each
// of the calls that it makes to the store, one by one.
const CHECKED = [CREATED, DELETED, WRITTEN, CUT, GONE, MADE_ANEW];

test.each(
  CHECKED.flatMap((meanwhile) => [
    { ...meanwhile, takenOver: false },
    { ...meanwhile, takenOver: true },
  ]),
)('a check and repair while $what, of logs that are opened anew: $takenOver', async ({ takenOver, ...meanwhile }) => {
  await atEachCall(
    meanwhile,
    begin,
    async ({ send }) => {
      const topics = [
        { name: '', partitions: [0, -1] },
        { name: 'orders', partitions: [0] },
        { name: 'other', partitions: [0] },
      ];
      const checked = (await send('CheckLogs', { topics, repair: true })).topics.flatMap(
        ({ partitions }) => partitions,
      );
      expect(checked.flatMap(({ findings, gaps }) => [...findings, ...gaps])).toEqual([]);
    },
    { takenOver },
  );
});

test('a log whose rows go with its topic is not said to be damaged where another topic has its name', async () => {
  const held = deferred();
  let change: (() => Promise<void>) | undefined;
  const broker = await startBroker({
    tamper: (store) => {
      const { drain, deleteLog } = store;
      return Object.assign(store, {
        drain: async (...args: Parameters<typeof drain>) => {
          const meanwhile = change;
          change = undefined;
          await meanwhile?.();
          return drain.apply(store, args);
        },
        deleteLog: async (log: number, leaderEpoch: number) => {
          const raw = await store.raw();
          const rows = await raw.chunks(log, 0, 100);
          await raw.apply({ log, deleteChunks: rows.map(({ lastOffset }) => lastOffset) }, leaderEpoch);
          await held.promise; // what else there is of the log stays for a while
          return deleteLog.call(store, log, leaderEpoch);
        },
      });
    },
  });
  await begin(broker);
  await CUT.change(broker); // leaves a checkpoint, which knows where the log ends
  change = () => MADE_ANEW.change(broker).then(settled);
  const { topics } = await broker.send('CheckLogs', { topics: [{ name: 'orders', partitions: [0] }], repair: false });
  expect(topics[0]?.partitions).toMatchObject([{ errorCode: 0, findings: [], checkedBytes: 0 }]);
  held.resolve();
  await broker.broker.close();
});

test.each([CREATED, WRITTEN, CUT])('a repair of a damaged log while $what', async (meanwhile) => {
  await atEachCall(
    meanwhile,
    async (broker) => {
      await begin(broker);
      const raw = await broker.store.raw();
      const [row] = await raw.chunks(1, 4, 1);
      const bytes = new Uint8Array(row!.bytes);
      bytes[65]! ^= 8;
      await raw.apply({ log: 1, putChunks: [{ ...row!, bytes }] }, 1);
      acknowledged.set(broker, ['v0', 'v1', 'v2', 'v3']);
    },
    async ({ send }) => {
      const repair = async () => send('CheckLogs', { topics: [{ name: 'orders', partitions: [0] }], repair: true });
      await repair();
      const left = (await repair()).topics.flatMap(({ partitions }) => partitions.flatMap(({ findings }) => findings));
      expect(left).toEqual([]);
    },
  );
});

const FAILED: Meanwhile = {
  what: 'the store fails once',
  change: () => Promise.reject(new KafkaError('KAFKA_STORAGE_ERROR', 'once')),
};

test.each([CREATED, WRITTEN, CUT, GONE, FAILED])('an import while $what', async (meanwhile) => {
  await atEachCall(
    meanwhile,
    async (broker) => {
      await createTopic(broker, 'source');
      for (let i = 0; i < 5; i++) await produce(broker, 'source', batch([`v${i}`]));
      await createTopic(broker, 'orders');
    },
    async (broker) => {
      const source = valuesIn(await broker.fetch(fetchRequest({ source: [[0, 0]] })));
      const records = (await broker.fetch(fetchRequest({ source: [[0, 0]] }))).responses[0]!.partitions[0]!.records;
      const bytes = Uint8Array.from(records.flatMap((chunk) => [...chunk]));
      expect([...batchesIn(bytes)]).toHaveLength(5);
      const request = { name: 'orders', partitionIndex: 0, records: bytes, isFirst: true, isLast: true };
      let { errorCode, logEndOffset } = await broker.send('ImportLog', request);
      if (errorCode !== 0 && meanwhile === FAILED) {
        const check = { topics: [{ name: 'orders', partitions: [0] }], repair: false };
        const [checked] = (await broker.send('CheckLogs', check)).topics[0]!.partitions;
        expect(checked?.findings.filter(({ kind }) => kind === 'leftover')).toEqual([]);
        // What failed behind the publishing is there.
        const isThere = (await broker.store.sealedSegments(2)).length > 0;
        if (isThere) [errorCode, logEndOffset] = [0, 5];
        else ({ errorCode, logEndOffset } = await broker.send('ImportLog', request));
      }
      if (errorCode !== 0) return;
      expect(logEndOffset).toBeGreaterThanOrEqual(5);
      acknowledged.get(broker)?.unshift(...(source['source-0'] ?? []));
    },
  );
});

async function write(broker: TestBroker, values: readonly string[]): Promise<void> {
  const outcome = await produce(broker, 'orders', batch(values));
  if (outcome?.errorCode === 0) acknowledged.get(broker)?.push(...values);
}

async function deleteTopic({ send }: TestBroker, name: string): Promise<void> {
  await send('DeleteTopics', { topicNames: [name], timeoutMs: 1000 });
}

/** All that was acknowledged is there, in order, as far as it was not deleted. */
async function expectAcknowledged(broker: TestBroker): Promise<void> {
  const topic = broker.broker.image.topics.get('orders');
  if (topic === undefined) return;
  const { logStartOffset, lastOffset = -1 } = await broker.store.ends(topic.partitions[0]!.log);
  const found: string[] = [];
  for (let offset = logStartOffset; offset <= lastOffset; ) {
    const { partitions } = (await broker.fetch(fetchRequest({ orders: [[0, offset]] }))).responses[0]!;
    const { errorCode, records, gap } = partitions[0]! as (typeof partitions)[number] & {
      gap?: { nextOffset: number };
    };
    if (gap !== undefined) {
      offset = gap.nextOffset;
      continue;
    }
    expect(errorName(errorCode)).toBe('NONE');
    for (const chunk of records)
      for (const { header } of batchesIn(chunk)) offset = header.baseOffset + header.lastOffsetDelta + 1;
    found.push(...(valuesIn({ incarnationId: '', responses: [{ topic: 'orders', partitions }] })['orders-0'] ?? []));
    if (records.length === 0) break;
  }
  expect(found.filter((value) => value !== '')).toEqual(acknowledged.get(broker)!.slice(logStartOffset));
}
