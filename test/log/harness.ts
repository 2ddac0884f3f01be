import { GroupCommit } from '../../src/log/group-commit.js';
import * as logTransactions from '../../src/log/log-transactions.js';
import type { LogAdvance } from '../../src/log/log-view.js';
import { PartitionLog, type PartitionLogOptions } from '../../src/log/partition-log.js';
import { KafkaError, type KafkaErrorName } from '../../src/protocol/errors.js';
import { parseTopicConfig } from '../../src/protocol/topic-config.js';
import { attributesOf } from '../../src/record/batch-attributes.js';
import { decodeBatch } from '../../src/record/batch-compression.js';
import { batchesIn } from '../../src/record/batch-header.js';
import { BASE_OFFSET_AT } from '../../src/record/batch-layout.js';
import type { NewRecord } from '../../src/record/record.js';
import { type BatchEnding, RecordBatchBuilder } from '../../src/record/record-batch-builder.js';
import type { Clock } from '../../src/runtime/runtime.js';
import type { LogStore } from '../../src/storage/log-store.js';
import { MemoryDisk } from '../../src/storage/memory-disk.js';
import { MemoryLogStore } from '../../src/storage/memory-log-store.js';
import { setInt64 } from '../../src/util/bytes.js';
import { finishBatch } from '../record/finish-batch.js';

export const LOG = 7;

export const transactions = async (): Promise<typeof logTransactions> => logTransactions;

/** A clock that goes where the test puts it. */
export interface ManualClock extends Clock {
  nowMs: number;
}

export function manualClock(nowMs = 1_000_000): ManualClock {
  const clock = {
    nowMs,
    wallMs: () => clock.nowMs,
    monotonicMs: () => clock.nowMs,
    sleep: () => Promise.reject(new Error('nothing in a log sleeps')),
  };
  return clock;
}

/** One elected leader over a disk; several may live on one disk, one after another. */
export interface Leader {
  readonly disk: MemoryDisk;
  readonly store: LogStore;
  readonly groupCommit: GroupCommit;
  readonly leaderEpoch: number;
  readonly clock: ManualClock;
  readonly advances: LogAdvance[];
  readonly open: (changes?: Partial<PartitionLogOptions> & Config) => Promise<PartitionLog>;
}

export interface Config {
  readonly topicConfig?: Readonly<Record<string, string>>;
}

export async function leader(disk: MemoryDisk = new MemoryDisk(), clock = manualClock()): Promise<Leader> {
  const store = await MemoryLogStore.open(disk, { newIncarnationId: 'test' });
  const { epoch } = await store.leadership();
  const leaderEpoch = (await store.claimLeadership(epoch, 'host', 0)) ?? -1;
  const advances: LogAdvance[] = [];
  const groupCommit = new GroupCommit({ store, leaderEpoch, onCommitted: (all) => advances.push(...all) });
  return {
    disk,
    store,
    groupCommit,
    leaderEpoch,
    clock,
    advances,
    open: ({ topicConfig = {}, ...changes } = {}) => {
      const config = parseTopicConfig(topicConfig);
      const options = { store, groupCommit, leaderEpoch, clock, log: LOG, name: 'orders-3', config: () => config };
      const fixed = { ...options, transactions };
      return PartitionLog.open({ ...fixed, ...changes });
    },
  };
}

/** Records with these values, at time 0 unless they say otherwise. */
export function batch(
  values: readonly (string | Partial<NewRecord>)[],
  ending: BatchEnding = {},
): Uint8Array<ArrayBuffer> {
  const builder = new RecordBatchBuilder();
  for (const value of values) {
    const record = typeof value === 'string' ? { value } : value;
    builder.append({ key: null, value: null, timestampMs: 0, ...record });
  }
  return finishBatch(builder, ending);
}

/** A copy of a batch that begins at `baseOffset`. */
export function withBaseOffset(bytes: Uint8Array, baseOffset: number): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(bytes);
  setInt64(copy, BASE_OFFSET_AT, baseOffset);
  return copy;
}

/** A batch of an idempotent producer. */
export function sequenced(
  sequence: number,
  values: readonly string[],
  producer = { id: 1, epoch: 0 },
): Uint8Array<ArrayBuffer> {
  return batch(values, { producerId: producer.id, producerEpoch: producer.epoch, baseSequence: sequence });
}

/** A batch inside a transaction. */
export function transactional(
  sequence: number,
  values: readonly string[],
  producer = { id: 1, epoch: 0 },
): Uint8Array<ArrayBuffer> {
  const attributes = attributesOf({ isTransactional: true });
  const { id: producerId, epoch: producerEpoch } = producer;
  return batch(values, { producerId, producerEpoch, baseSequence: sequence, attributes });
}

export interface ReadRecord {
  readonly offset: number;
  readonly value: string;
  readonly timestampMs: number;
}

/** All records of a log as the store has them, each batch being checked to begin where the last one ended. */
export async function readAll(store: LogStore, log = LOG): Promise<ReadRecord[]> {
  const records: ReadRecord[] = [];
  const { logStartOffset, lastOffset } = await store.ends(log);
  for (let at = logStartOffset; at <= (lastOffset ?? -1); ) {
    for (const chunk of await store.read(log, at, 1 << 20)) {
      for (const { at: position } of batchesIn(chunk)) {
        for (const { offset, value, timestampMs } of await decodeBatch(chunk, position)) {
          if (offset < at) continue;
          if (offset !== at) throw new Error(`expected offset ${at}, found ${offset}`);
          records.push({ offset, value: new TextDecoder().decode(value ?? new Uint8Array()), timestampMs });
          at++;
        }
      }
    }
  }
  return records;
}

/** The Kafka name of the error that `promise` rejects with; undefined where it does not. */
export async function errorOf(promise: Promise<unknown>): Promise<KafkaErrorName | undefined> {
  try {
    await promise;
    return undefined;
  } catch (error) {
    if (error instanceof KafkaError) return error.type;
    throw error;
  }
}

export { MemoryDisk };
