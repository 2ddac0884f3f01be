import { expect, test } from 'vitest';
import { fetchHandler } from '../../src/broker/handle-fetch.js';
import { EMPTY_IMAGE, type MetadataImage } from '../../src/broker/metadata-image.js';
import { readMessages } from '../../src/client/consumer/message.js';
import { HostLogViews } from '../../src/cluster/log-views.js';
import { STATIC_CLUSTER_PARTS } from '../../src/cluster/static-cluster-parts.js';
import { type CompactedLog, LogCleaner } from '../../src/log/compaction/log-cleaner.js';
import { deleteRecordsBefore } from '../../src/log/log-upkeep.js';
import type { PartitionLog } from '../../src/log/partition-log.js';
import { sealClosedSegments } from '../../src/log/segment-sealer.js';
import { errorFields, errorName, KafkaError } from '../../src/protocol/errors.js';
import type { Requests } from '../../src/protocol/requests.js';
import { parseTopicConfig } from '../../src/protocol/topic-config.js';
import { batchesIn, lastOffsetOf } from '../../src/record/batch-header.js';
import { Simulation } from '../../src/runtime/simulation.js';
import type { LogStore } from '../../src/storage/log-store.js';
import { calling } from '../log/calling.js';
import { batch, type Leader, LOG, leader, MemoryDisk, transactional } from '../log/harness.js';

const NEVER = new AbortController().signal;
const CONFIG = { 'cleanup.policy': 'compact', 'segment.bytes': '1024', 'min.cleanable.dirty.ratio': '0.01' };

interface Written {
  readonly offset: number;
  readonly key: string;
  outcome: 'commit' | 'abort' | 'open';
}

interface Table extends Leader {
  readonly log: PartitionLog;
  readonly written: Written[];
  readonly put: (producerId: number, key: string) => Promise<void>;
  readonly end: (producerId: number, outcome: 'commit' | 'abort') => Promise<void>;
}

// Goal: whatever happens to a log while it is read, a read_committed consumer gets what was committed and is still there,
// in order, once, none of what was aborted, and no error but that the log was cut. Method: a log of transactions is
// read through in small fetches; at each of the calls that these make to the store, one by one, something happens to it.
test.each<{ what: string; change: (table: Table) => Promise<unknown>; isGone?: true }>([
  { what: 'sealed', change: ({ log }) => sealClosedSegments(log, NEVER) },
  { what: 'cleaned', change: clean },
  {
    what: 'sealed and cleaned',
    change: async (table) => [await sealClosedSegments(table.log, NEVER), await clean(table)],
  },
  { what: 'cut', change: ({ log }) => deleteRecordsBefore(log, 30) },
  { what: 'cut and cleaned', change: async (table) => [await deleteRecordsBefore(table.log, 20), await clean(table)] },
  { what: 'written to', change: writeMore },
  { what: 'written to and cleaned', change: async (table) => [await writeMore(table), await clean(table)] },
  { what: 'deleted', change: ({ store, leaderEpoch }) => store.deleteLog(LOG, leaderEpoch), isGone: true },
  { what: 'led by another', change: async ({ disk }) => (await leader(disk)).open({ topicConfig: CONFIG }) },
])('a log that is $what while it is fetched', async ({ change, isGone = false }) => {
  for (let calls = 1, isDone = false; !isDone; calls++) {
    const table = await newTable();
    const { log, written } = table;
    let left = calls;
    const store = calling(table.store, async () => void (--left === 0 && (await change(table))));
    const stableOffset = log.lastStableOffset;
    const seen = await readThrough(store, stableOffset, () => (isGone ? Infinity : log.logStartOffset));
    isDone = left > 0;
    expect(seen.map(({ offset }) => offset)).toEqual(
      [...new Set(seen.map(({ offset }) => offset))].sort((a, b) => a - b),
    );
    const committed = written.filter(({ outcome }) => outcome === 'commit');
    for (const record of seen) expect(committed).toContainEqual(expect.objectContaining(record));
    const offsets = new Set(seen.map(({ offset }) => offset));
    const readable = committed.filter(({ offset }) => !isGone && offset >= log.logStartOffset && offset < stableOffset);
    for (const { key, offset } of readable) {
      const isReplaced = committed.some((other) => other.key === key && other.offset > offset);
      expect({ offset, isThere: offsets.has(offset) || isReplaced }).toEqual({ offset, isThere: true });
    }
  }
});

// Goal: of a topic that is deleted nobody hears that its records are lost. Method: as above, with a host whose metadata lags: it
// knows of the deletion once it looks into the database.
test.each([
  { isolationLevel: 0, rowCount: 8 },
  { isolationLevel: 0, rowCount: Infinity },
  { isolationLevel: 1, rowCount: 8 },
  { isolationLevel: 1, rowCount: Infinity },
] as const)(
  'the $rowCount first rows of a log that go with its topic are no gap (level $isolationLevel)',
  async ({ isolationLevel, rowCount }) => {
    for (let calls = 1, isDone = false; !isDone; calls++) {
      const table = await newTable();
      let left = calls;
      const isGone = (): boolean => left <= 0;
      const store = calling(table.store, async () => {
        if (--left !== 0) return;
        if (rowCount === Infinity) return table.store.deleteLog(LOG, table.leaderEpoch);
        const raw = await table.store.raw();
        const deleteChunks = (await raw.chunks(LOG, 0, rowCount)).map(({ lastOffset }) => lastOffset);
        await raw.apply({ log: LOG, deleteChunks }, table.leaderEpoch);
      });
      const { fetch, views } = reader(store, { isGone });
      const errors = new Set<number>();
      for (let offset = 0; offset < table.log.lastStableOffset && errors.size === 0; ) {
        const partition = (await fetch(request(offset, isolationLevel))).responses[0]!.partitions[0]!;
        expect(partition.gap).toBeUndefined();
        if (partition.errorCode !== 0) errors.add(partition.errorCode);
        const last = partition.records.flatMap((bytes) => [...batchesIn(bytes)]).at(-1);
        if (last === undefined) break;
        offset = lastOffsetOf(last.header) + 1;
      }
      isDone = !isGone();
      for (const code of errors)
        expect(['UNKNOWN_TOPIC_OR_PARTITION', 'OFFSET_OUT_OF_RANGE']).toContain(errorName(code));
      views.close();
    }
  },
);

// It is damage, and no deletion of the topic: what is left can be read.
test('a log of transactions whose last row is gone is read up to there', async () => {
  const { log, store, leaderEpoch, written } = await newTable();
  await log.writeCheckpoint();
  const { lastOffset = 0 } = await store.ends(LOG);
  await (await store.raw()).apply({ log: LOG, deleteChunks: [lastOffset, lastOffset - 1] }, leaderEpoch);
  const seen = await readThrough(store, lastOffset - 1, () => 0);
  const committed = written.filter(({ outcome, offset }) => outcome === 'commit' && offset < lastOffset - 1);
  expect(seen.map(({ offset }) => offset)).toEqual(committed.map(({ offset }) => offset));
});

test('a log that was cleaned is read so also where it was kept in memory', async () => {
  const table = await newTable();
  const { log, store, advances } = table;
  const host = reader(store);
  const told = () => {
    for (const advance of advances.splice(0)) host.views.announce(advance);
  };
  told();
  const stableOffset = log.lastStableOffset;
  expect((await store.segments(LOG)).length).toBeGreaterThan(3);
  const view = await host.views.open(LOG);
  const kept = await view.read(0, 100);
  await clean(table);
  told();
  expect(await view.read(0, 100)).not.toEqual(kept);
  const start = () => log.logStartOffset;
  expect(await readThrough(store, stableOffset, start, host)).toEqual(await readThrough(store, stableOffset, start));
});

async function newTable(): Promise<Table> {
  const led = await leader(new MemoryDisk());
  const log = await led.open({ topicConfig: CONFIG });
  const written: Written[] = [];
  const sequences = [0, 0, 0, 0];
  const put: Table['put'] = async (producerId, key) => {
    const record = { key, value: `${log.logEndOffset}` };
    const bytes =
      producerId === 0
        ? batch([record])
        : transactional(sequences[producerId]!++, [record] as never, { id: producerId, epoch: 0 });
    const { baseOffset: offset } = await log.append(bytes, 'client');
    written.push({ offset, key, outcome: producerId === 0 ? 'commit' : 'open', producerId } as Written);
  };
  const end: Table['end'] = async (producerId, type) => {
    await log.appendEndMarker({ type, producerId, producerEpoch: 0, coordinatorEpoch: 0 });
    for (const record of written as (Written & { producerId: number })[])
      if (record.producerId === producerId && record.outcome === 'open') record.outcome = type;
  };
  const table = { ...led, log, written, put, end };
  for (let i = 0; i < 12; i++) {
    await put(1, `a${i % 3}`);
    await put(2, `b${i % 3}`);
    await put(0, `c${i % 2}`);
    await put(1, `a${i}`);
    if (i % 3 === 1) await end(2, i % 2 === 0 ? 'commit' : 'abort');
    await end(1, i % 2 === 0 ? 'abort' : 'commit');
  }
  await end(2, 'abort');
  await put(3, 'open');
  return table;
}

async function writeMore({ put, end }: Table): Promise<void> {
  await end(3, 'abort');
  for (let i = 0; i < 12; i++) {
    await put(1, `a${i % 3}`);
    await end(1, i % 2 === 0 ? 'abort' : 'commit');
  }
}

async function clean({ store, leaderEpoch, clock, log }: Table): Promise<void> {
  const config = parseTopicConfig(CONFIG);
  const logs: CompactedLog[] = [{ log: LOG, config: () => config, open: async () => log }];
  await new LogCleaner({ store, leaderEpoch, clock }).cleanAll(logs, NEVER);
}

function reader(store: LogStore, { isGone = (): boolean => false } = {}) {
  const { runtime } = new Simulation({ seed: 0 }).tab('reader');
  const { transactions, readAhead } = STATIC_CLUSTER_PARTS;
  const others = { isRead: () => false, onReads: () => {}, transactions, readAhead };
  const views = new HostLogViews({ clusterName: 'c', runtime, store, ...others });
  let known = image();
  const context = {
    clusterId: 'c',
    clock: runtime.clock,
    views,
    store,
    parts: STATIC_CLUSTER_PARTS,
    image: () => known,
    refreshImage: async () => {
      if (isGone()) known = EMPTY_IMAGE;
    },
    leaderEpoch: () => 1,
  };
  return { fetch: fetchHandler(context), views };
}

async function readThrough(
  store: LogStore,
  endOffset: number,
  logStartOffset: () => number,
  { fetch, views } = reader(store),
) {
  const seen: { offset: number; key: string }[] = [];
  for (let offset = 0; offset < endOffset; ) {
    const partition = (await fetch(request(offset))).responses[0]!.partitions[0]!;
    if (
      partition.errorCode === errorFields(new KafkaError('OFFSET_OUT_OF_RANGE', '')).errorCode &&
      offset < logStartOffset()
    ) {
      offset = logStartOffset();
      continue;
    }
    if (partition.errorCode !== 0 && logStartOffset() === Infinity) break;
    expect(partition).toMatchObject({ errorCode: 0, errorMessage: null });
    const { records, abortedTransactions } = partition;
    const decoding = { topic: 't', partition: 0, keySerde: undefined, valueSerde: undefined, encryption: undefined };
    const { messages, nextOffset } = await readMessages(records, offset, { ...decoding, abortedTransactions });
    for (const message of messages) seen.push({ offset: Number(message.offset), key: String(message.key) });
    if (nextOffset === offset) {
      if (logStartOffset() !== Infinity) expect(offset).toBe(endOffset);
      break;
    }
    offset = nextOffset;
  }
  views.close();
  return seen;
}

function request(fetchOffset: number, isolationLevel: 0 | 1 = 1): Requests['Fetch'] {
  const partitions = [{ partition: 0, fetchOffset, partitionMaxBytes: 500 }];
  return { maxWaitMs: 0, minBytes: 1, maxBytes: 100_000, isolationLevel, topics: [{ topic: 't', partitions }] };
}

function image(): MetadataImage {
  const config = parseTopicConfig(CONFIG);
  const topic = { name: 't', topicId: 't', isInternal: false, configs: {}, config };
  return { ...EMPTY_IMAGE, topics: new Map([['t', { ...topic, partitions: [{ partitionId: 0, log: LOG }] }]]) };
}
