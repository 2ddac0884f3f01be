import { expect, test } from 'vitest';
import { LogCleaner } from '../../../src/log/compaction/log-cleaner.js';
import { slotsWithin } from '../../../src/log/compaction/offset-map.js';
import { deleteRecordsBefore } from '../../../src/log/log-upkeep.js';
import { parseTopicConfig } from '../../../src/protocol/topic-config.js';
import { attributesOf } from '../../../src/record/batch-attributes.js';
import { decodeBatch } from '../../../src/record/batch-compression.js';
import { batchesIn, isControl, isTransactional, lastOffsetOf, verifyBatch } from '../../../src/record/batch-header.js';
import { controlRecordType } from '../../../src/record/control-record.js';
import { deleteHorizonMs } from '../../../src/record/delete-horizon.js';
import type { Random } from '../../../src/runtime/runtime.js';
import { seededRandom } from '../../../src/runtime/seeded-random.js';
import type { LogStore } from '../../../src/storage/log-store.js';
import { batch, type Leader, LOG, leader, MemoryDisk } from '../harness.js';
import { KafkaLog, type ModelBatch, type ModelRecord } from './kafka-log.js';

const NEVER = new AbortController().signal;
const DELETE_RETENTION_MS = 1000;
const TOPIC = {
  'cleanup.policy': 'compact',
  'segment.bytes': '1024',
  'min.cleanable.dirty.ratio': '0',
  'delete.retention.ms': String(DELETE_RETENTION_MS),
};
/** Of the offset map: from one key to all that there are. */
const MAP_BYTES = [48, 96, 192, 24_000];

// Goal: a log that is cleaned again and again keeps, batch by batch, what Kafka's cleaner would keep of it: records, empty
// batches, markers, delete horizons, and where the next pass begins. Method: plain, idempotent and transactional producers
// with changing epochs, transactions that span segments, open ones, markers without data, maps that are full; leaders follow
// each other, and the oldest segments are deleted. Beside it a model of Kafka's rules that is told where segments begin.
test.each(Array.from({ length: 40 }, (_, seed) => seed))('is left what Kafka leaves (seed %i)', async (seed) => {
  const random = seededRandom(seed);
  const model = new KafkaLog();
  const disk = new MemoryDisk();
  const mapBytes = MAP_BYTES[random.below(MAP_BYTES.length)]!;
  let led = await lead(disk, mapBytes);
  const producers = [1, 2, 3, 4].map((id) => ({ id, epoch: 0, sequence: 0, isOpen: false }));
  for (let step = 0; step < 80; step++) {
    led.clock.nowMs += random.below(60);
    const { nowMs } = led.clock;
    const producer = producers[random.below(producers.length)]!;
    const choice = random.below(100);
    if (choice < 12) {
      const records = randomRecords(random, nowMs);
      await led.log.append(batch(records), 'client');
      model.append(records, undefined);
    } else if (choice < 60) {
      const records = randomRecords(random, nowMs);
      const { id, epoch, sequence: baseSequence } = producer;
      const transacts = producer.isOpen || (id > 1 && random.below(6) > 0);
      const attributes = attributesOf({ isTransactional: transacts });
      const head = { producerId: id, producerEpoch: epoch, baseSequence, attributes };
      await led.log.append(batch(records, head), 'client');
      model.append(records, { id, epoch, isTransactional: transacts });
      Object.assign(producer, { sequence: baseSequence + records.length, isOpen: transacts });
    } else if (choice < 80) {
      if (producer.id === 1 || (!producer.isOpen && random.below(3) > 0)) continue;
      if (random.below(3) === 0) Object.assign(producer, { epoch: producer.epoch + 1, sequence: 0 });
      producer.isOpen = false;
      const { id, epoch } = producer;
      const type = random.below(2) === 0 ? 'commit' : 'abort';
      await led.log.appendEndMarker({ type, producerId: id, producerEpoch: epoch, coordinatorEpoch: 0 });
      model.end(type, { id, epoch, isTransactional: true }, nowMs);
    } else if (choice < 83) {
      led = await lead(disk, mapBytes);
      led.clock.nowMs = nowMs;
    } else if (choice < 87) led.clock.nowMs += DELETE_RETENTION_MS / (1 + random.below(2));
    else if (choice < 89) {
      const oldest = (await led.store.segments(LOG))[random.below(2)]?.nextOffset ?? 0;
      if (oldest <= led.log.logStartOffset) continue;
      await deleteRecordsBefore(led.log, oldest);
      model.startsAt(oldest);
    } else {
      const closed = (await led.store.segments(LOG)).filter(({ nextOffset }) => nextOffset > led.log.logStartOffset);
      const mapCapacity = Math.floor(slotsWithin(mapBytes) * 0.75);
      model.clean(closed, { nowMs, deleteRetentionMs: DELETE_RETENTION_MS, mapCapacity });
      await led.clean();
      await expectSame(led, model);
    }
  }
});

async function lead(disk: MemoryDisk, mapBytes: number) {
  const led = await leader(disk);
  const { store, leaderEpoch, clock } = led;
  const log = await led.open({ topicConfig: TOPIC });
  const cleaner = new LogCleaner({ store, leaderEpoch, clock, mapBytes });
  const config = parseTopicConfig(TOPIC);
  const logs = [{ log: LOG, config: () => config, open: async () => log }];
  return { ...led, log, clean: () => cleaner.cleanAll(logs, NEVER) };
}

function randomRecords(random: Random, nowMs: number): Omit<ModelRecord, 'offset'>[] {
  return Array.from({ length: 1 + random.below(4) }, () => ({
    key: `key-${random.below(random.below(2) === 0 ? 3 : 8)}`,
    value: random.below(4) === 0 ? null : 'x'.repeat(random.below(40)),
    timestampMs: nowMs - random.below(100),
  }));
}

async function expectSame(
  { store, log }: Pick<Leader, 'store'> & { readonly log: { readonly logStartOffset: number } },
  model: KafkaLog,
): Promise<void> {
  const expected = new Set(model.batches.map(({ baseOffset }) => baseOffset));
  // Of a segment of which nothing is left, ours keeps an empty batch.
  const left = (await batchesLeft(store)).filter((each) => each.records.length > 0 || expected.has(each.baseOffset));
  expect(left).toEqual(model.batches);
  const cleanedOffset = (await store.segments(LOG)).findLast((row) => row.cleanedOffset !== undefined)?.cleanedOffset;
  const { logStartOffset } = log;
  expect(Math.max(cleanedOffset ?? 0, logStartOffset)).toBe(Math.max(model.cleanedOffset ?? 0, logStartOffset));
}

async function batchesLeft(store: LogStore): Promise<ModelBatch[]> {
  const left: ModelBatch[] = [];
  const { logStartOffset, lastOffset = -1 } = await store.ends(LOG);
  for (let next = logStartOffset; next <= lastOffset; ) {
    for (const chunk of await store.read(LOG, next, 1 << 20)) {
      for (const { at } of batchesIn(chunk)) {
        const header = verifyBatch(chunk, at);
        if (header.baseOffset < next) continue;
        left.push(modelOf(header, await decodeBatch(chunk, at)));
        next = lastOffsetOf(header) + 1;
      }
    }
  }
  return left;
}

function modelOf(header: ReturnType<typeof verifyBatch>, decoded: Awaited<ReturnType<typeof decodeBatch>>): ModelBatch {
  const { baseOffset, producerId, producerEpoch } = header;
  const text = (bytes: Uint8Array | null): string | null => bytes && String(bytes);
  return {
    baseOffset,
    lastOffset: lastOffsetOf(header),
    producerId,
    producerEpoch,
    isTransactional: isTransactional(header),
    isControl: isControl(header),
    deleteHorizonMs: deleteHorizonMs(header),
    records: decoded.map(({ offset, timestampMs, ...record }) => {
      const [key, value] = isControl(header)
        ? [controlRecordType(record.key), controlRecordType(record.key)]
        : [text(record.key), text(record.value)];
      return { offset, key, value, timestampMs };
    }),
  };
}
