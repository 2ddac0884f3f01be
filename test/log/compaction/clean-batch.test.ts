import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { RetentionRules } from '../../../src/log/compaction/batch-retention.js';
import { type Cleaning, cleanBatch } from '../../../src/log/compaction/clean-batch.js';
import { CleanedTransactions } from '../../../src/log/compaction/cleaned-transactions.js';
import { OffsetMap } from '../../../src/log/compaction/offset-map.js';
import { OffsetMapBuilder } from '../../../src/log/compaction/offset-map-builder.js';
import { attributesOf } from '../../../src/record/batch-attributes.js';
import { compressBatch, decodeBatch } from '../../../src/record/batch-compression.js';
import {
  compressionOf,
  isControl,
  lastOffsetOf,
  timestampType,
  verifyBatch,
} from '../../../src/record/batch-header.js';
import { CompressionTypes } from '../../../src/record/compression-types.js';
import { encodeMarker } from '../../../src/record/control-record.js';
import { deleteHorizonMs } from '../../../src/record/delete-horizon.js';
import { gapBatches } from '../../../src/record/gap-batch.js';
import type { NewRecord } from '../../../src/record/record.js';
import { type BatchEnding, RecordBatchBuilder } from '../../../src/record/record-batch-builder.js';
import { replaceRecords } from '../../../src/record/rewritten-batch.js';
import { finishBatch } from '../../record/finish-batch.js';
import { newRecord } from '../../record/record-arbitraries.js';

const NOW_MS = 1_000_000;
const DELETE_RETENTION_MS = 5000;

function batchOf(records: readonly NewRecord[], ending: BatchEnding = {}): Uint8Array {
  const builder = new RecordBatchBuilder();
  for (const record of records) builder.append(record);
  return finishBatch(builder, ending);
}

function record(key: string, value: string | null, timestampMs = 100): NewRecord {
  return { key, value, timestampMs };
}

/** A pass in which the dirty part is `dirty`, and all is known of it. */
async function cleaningOf(dirty: readonly Uint8Array[], rules: Partial<RetentionRules> = {}): Promise<Cleaning> {
  const builder = new OffsetMapBuilder(new OffsetMap(100), {
    transactions: new CleanedTransactions([]),
    firstDirtyOffset: 0,
    batchKeys: undefined,
  });
  for (const bytes of dirty) await builder.add(bytes, { header: verifyBatch(bytes), at: 0 });
  builder.reached(1000);
  return {
    dirty: builder.dirty,
    transactions: new CleanedTransactions([]),
    batchKeys: undefined,
    nowMs: NOW_MS,
    deleteRetentionMs: DELETE_RETENTION_MS,
    endOffset: 1000,
    producer: () => undefined,
    ...rules,
  };
}

async function clean(bytes: Uint8Array, cleaning: Cleaning): Promise<Uint8Array | undefined> {
  return cleanBatch(bytes, { header: verifyBatch(bytes), at: 0 }, cleaning);
}

test('what is kept of a batch keeps its head, its offsets and its bytes', async () => {
  const ending = { producerId: 7, producerEpoch: 1, baseSequence: 40, baseOffset: 10, partitionLeaderEpoch: 3 };
  const batch = batchOf([record('a', '1', 120), record('b', '2', 90), record('c', '3', 80)], ending);
  const cleaned = await clean(batch, await cleaningOf([batch, batchOf([record('a', '4')], { baseOffset: 20 })]));
  const header = verifyBatch(cleaned!);
  const { crc: _, sizeInBytes: __, ...kept } = verifyBatch(batch);
  expect(header).toMatchObject({ ...kept, recordCount: 2, lastOffsetDelta: 2, maxTimestampMs: 90 });
  expect(await decodeBatch(cleaned!)).toEqual((await decodeBatch(batch)).slice(1));
});

test('a batch of which all is kept is the same bytes', async () => {
  const batch = batchOf([record('a', '1'), record('b', '2')]);
  expect(await clean(batch, await cleaningOf([batch]))).toBe(batch);
});

test('what stands for lost records stays, so that readers hear of them', async () => {
  const [gap] = gapBatches(10, 20, 3);
  expect(await clean(gap!, await cleaningOf([gap!]))).toEqual(gap);
});

test('a batch that loses all its records is gone, unless its producer or the end of the log needs it', async () => {
  const batch = batchOf([record('a', '1'), record('a', '2')], { producerId: 7, producerEpoch: 1, baseSequence: 40 });
  const later = batchOf([record('a', '3')], { baseOffset: 20 });
  expect(await clean(batch, await cleaningOf([batch, later]))).toBe(undefined);

  const last = { lastSequence: 41, lastOffset: 1, offsetDelta: 1, timestampMs: 100 };
  const producer: RetentionRules['producer'] = (id) => (id === 7 ? { producerEpoch: 1, batches: [last] } : undefined);
  for (const needed of [{ producer }, { endOffset: 2 }]) {
    const empty = await clean(batch, await cleaningOf([batch, later], needed));
    expect(verifyBatch(empty!)).toMatchObject({ recordCount: 0, producerId: 7, baseSequence: 40, lastOffsetDelta: 1 });
    expect(await decodeBatch(empty!)).toEqual([]);
    expect(await clean(empty!, await cleaningOf([batch, later], needed))).toBe(empty); // nothing to write again
  }
});

// Goal: setting the horizon moves the base of all timestamps. Method: any records, beside one tombstone.
test('a batch with tombstones gets a delete horizon; its records stay as they are, their times too', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(newRecord, { maxLength: 5 }), fc.boolean(), async (records, logAppendTime) => {
      const keyed = records.map((each, index) => ({ ...each, key: `key-${index}` }));
      const attributes = attributesOf({ timestampType: logAppendTime ? 'LogAppendTime' : 'CreateTime' });
      const batch = batchOf([...keyed, record('gone', null)], { attributes });
      const cleaned = (await clean(batch, await cleaningOf([batch])))!;
      const header = verifyBatch(cleaned);
      expect(deleteHorizonMs(header)).toBe(NOW_MS + DELETE_RETENTION_MS);
      expect(timestampType(header)).toBe(timestampType({ attributes }));
      expect(await decodeBatch(cleaned)).toEqual(await decodeBatch(batch));
      expect(header.maxTimestampMs).toBe(verifyBatch(batch).maxTimestampMs);

      const again = await cleaningOf([cleaned], { nowMs: NOW_MS + DELETE_RETENTION_MS - 1 });
      expect(await clean(cleaned, again)).toBe(cleaned);
      const after = await cleaningOf([cleaned], { nowMs: NOW_MS + DELETE_RETENTION_MS });
      const left = await clean(cleaned, after);
      expect(left === undefined ? [] : await decodeBatch(left)).toEqual(
        (await decodeBatch(batch)).filter(({ value }) => value !== null),
      );
    }),
  );
});

test('a delete.retention.ms without end keeps tombstones for ever', async () => {
  const batch = batchOf([record('gone', null)]);
  const endless = { ...(await cleaningOf([batch])), deleteRetentionMs: Number.POSITIVE_INFINITY };
  expect(await clean(batch, endless)).toBe(batch);
});

test('a compressed batch is compressed again', async () => {
  const plain = batchOf([record('a', '1'), record('b', '2'.repeat(500))]);
  const batch = await compressBatch(plain, 0, CompressionTypes.GZIP);
  expect(await clean(batch, await cleaningOf([batch]))).toBe(batch);
  const cleaned = (await clean(batch, await cleaningOf([batch, batchOf([record('a', '3')], { baseOffset: 5 })])))!;
  expect(compressionOf(verifyBatch(cleaned))).toBe(CompressionTypes.GZIP);
  expect(await decodeBatch(cleaned)).toEqual((await decodeBatch(plain)).slice(1));
  expect(cleaned.length).toBeLessThan(200);
});

test('a batch of a codec that is not there is kept whole and replaces nothing', async () => {
  const old = batchOf([record('a', '1')]);
  const unreadable = replaceRecords(batchOf([record('a', '2')], { baseOffset: 1 }), 0, new Uint8Array(9), 3);
  const cleaning = await cleaningOf([old, unreadable, batchOf([record('b', '3')], { baseOffset: 2 })]);
  expect(await clean(old, cleaning)).toBe(old);
  expect(await clean(unreadable, cleaning)).toBe(unreadable);
});

test('records without a key are dropped', async () => {
  const batch = batchOf([record('a', '1'), { ...record('', '2'), key: null }]);
  const cleaned = (await clean(batch, await cleaningOf([batch])))!;
  expect((await decodeBatch(cleaned)).map(({ offset }) => offset)).toEqual([0]);
});

test('a marker without data of its transaction gets a horizon, then goes; its producer keeps an empty batch', async () => {
  const attributes = attributesOf({ isTransactional: true, isControl: true });
  const marker = { ...encodeMarker({ type: 'commit', coordinatorEpoch: 4 }), timestampMs: 50 };
  const batch = batchOf([marker], { attributes, producerId: 7, producerEpoch: 2 });
  const marked = (await clean(batch, await cleaningOf([])))!;
  expect(deleteHorizonMs(verifyBatch(marked))).toBe(NOW_MS + DELETE_RETENTION_MS);
  expect(await decodeBatch(marked)).toEqual(await decodeBatch(batch));

  const after = { nowMs: NOW_MS + DELETE_RETENTION_MS };
  expect(await clean(marked, await cleaningOf([], after))).toBe(undefined);
  const producer: RetentionRules['producer'] = () => ({ producerEpoch: 2, batches: [] });
  const empty = (await clean(marked, await cleaningOf([], { ...after, producer })))!;
  const header = verifyBatch(empty);
  expect(header).toMatchObject({ recordCount: 0, producerId: 7, producerEpoch: 2 });
  expect([isControl(header), deleteHorizonMs(header), lastOffsetOf(header)]).toEqual([true, undefined, 0]);
  expect(await clean(empty, await cleaningOf([]))).toBe(undefined);
});
