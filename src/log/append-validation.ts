import { KafkaError, type KafkaErrorName } from '../protocol/errors.js';
import type { Checksums } from '../protocol/requests.js';
import type { TopicConfig } from '../protocol/topic-config.js';
import { openBatch } from '../record/batch-compression.js';
import {
  attributesAt,
  BATCH_HEADER_BYTES,
  type BatchAt,
  batchesIn,
  batchSizeAt,
  completeBatch,
  compressionOf,
  isControl,
  isTransactional,
  NO_PRODUCER_ID,
  verifyBatch,
} from '../record/batch-header.js';
import { ENCRYPTED } from '../record/batch-layout.js';
import type { BatchHeader } from '../record/record.js';
import { NULL_START } from '../record/record-cursor.js';
import type { BatchKeys } from './batch-keys.js';

/** Who appends: `client` is checked in full; `coordinator` is the broker itself, writing internal topics. */
export type AppendOrigin = 'client' | 'coordinator';

export interface AppendRules {
  /** For the texts of errors: `orders-3`. */
  readonly name: string;
  readonly config: TopicConfig;
  readonly origin: AppendOrigin;
  readonly checksums: Checksums;
  readonly nowMs: number;
}

const NO_TIMESTAMP = -1;

/**
 * The batches of an append, if all of them are acceptable. Heads and checksums are read, records never. Missing
 * checksums are written.
 * @throws KafkaError CORRUPT_MESSAGE; MESSAGE_TOO_LARGE: a batch is above `max.message.bytes`; RECORD_LIST_TOO_LARGE:
 *   together they are above `segment.bytes`; INVALID_RECORD; INVALID_TIMESTAMP.
 */
export function acceptableBatches(records: Uint8Array, rules: AppendRules): BatchAt[] {
  const { name, config, checksums } = rules;
  const batches: BatchAt[] = [];
  for (let at = 0; at < records.length; at += batches.at(-1)?.header.sizeInBytes ?? 0) {
    const sizeInBytes = batchSizeAt(records, at) ?? 0;
    if (sizeInBytes > config.maxMessageBytes) {
      throw refused('MESSAGE_TOO_LARGE', name, `a batch of at most ${config.maxMessageBytes} bytes`, `${sizeInBytes}`);
    }
    const header = checksums === 'given' ? verifyBatch(records, at) : completeBatch(records, at);
    checkHeader(header, rules);
    if (isTransactional(header) !== isTransactional(batches[0]?.header ?? header)) {
      throw refused('INVALID_RECORD', name, 'batches of a transaction or plain ones', 'both in one append');
    }
    batches.push({ header, at });
  }
  if (batches.length === 0) throw refused('INVALID_RECORD', name, 'at least one batch', 'none');
  if (records.length > config.segmentBytes) {
    const found = `${records.length}`;
    throw refused('RECORD_LIST_TOO_LARGE', name, `batches of at most ${config.segmentBytes} bytes together`, found);
  }
  return batches;
}

/** Whether the batches of an append, as far as the first tells, are those of a transaction. */
export function beginsTransactional(records: Uint8Array): boolean {
  return records.length >= BATCH_HEADER_BYTES && isTransactional({ attributes: attributesAt(records, 0) });
}

/** Whether heads do not tell enough of what a client sends: see `checkRecords`. */
export function looksAtRecords(config: TopicConfig): boolean {
  return config.cleanupPolicy.compact || Number.isFinite(earliestTimestamp(config, 0));
}

/**
 * Refuses records without a key, for compacted topics: compaction could not tell what they replace; and those that are too
 * old, for the head of their batch has the time of the first and of the youngest. The only checks that decode records.
 * Encrypted batches that `batchKeys` do not open are refused by compacted topics, others take them by their head.
 * @throws KafkaError INVALID_RECORD; INVALID_TIMESTAMP; UNSUPPORTED_COMPRESSION_TYPE: they cannot be looked at.
 */
export async function checkRecords(
  records: Uint8Array,
  { name, config, nowMs }: AppendRules,
  batchKeys: (() => Promise<BatchKeys | undefined>) | undefined,
): Promise<void> {
  const { compact } = config.cleanupPolicy;
  const earliestMs = earliestTimestamp(config, nowMs);
  for (const { at, header } of batchesIn(records)) {
    const isEncrypted = compressionOf(header) === ENCRYPTED;
    const opened = isEncrypted ? await (await batchKeys?.())?.open(records, at) : undefined;
    if (isEncrypted && opened === undefined) {
      if (!compact) continue;
      const expected = 'records whose keys can be read, for it is compacted';
      throw refused('INVALID_RECORD', name, expected, 'encrypted ones under a key that the leading tab has not');
    }
    const cursor = opened === undefined ? await openBatch(records, at) : await openBatch(opened.clear, 0);
    for (let index = 0; cursor.next(); index++) {
      checkAge(cursor.timestampMs, earliestMs, name);
      if (!compact || cursor.keyStart !== NULL_START) continue;
      throw refused('INVALID_RECORD', name, 'a key in every record, for it is compacted', `none in record ${index}`);
    }
  }
}

function checkHeader(header: BatchHeader, rules: AppendRules): void {
  const { name, origin } = rules;
  if (header.recordCount === 0 || header.lastOffsetDelta !== header.recordCount - 1) {
    const expected = 'records with the offset deltas 0, 1, 2 and so on';
    const found = `${header.recordCount} records up to delta ${header.lastOffsetDelta}`;
    throw refused('INVALID_RECORD', name, expected, found);
  }
  if (isControl(header)) {
    if (origin === 'coordinator') return;
    throw refused('INVALID_RECORD', name, 'a data batch', 'a control batch');
  }
  if (isTransactional(header) && header.producerId === NO_PRODUCER_ID) {
    throw refused('INVALID_RECORD', name, 'a producer id in a transactional batch', 'none');
  }
  if (header.producerId !== NO_PRODUCER_ID && (header.producerEpoch < 0 || header.baseSequence < 0)) {
    const found = `epoch ${header.producerEpoch}, sequence ${header.baseSequence}`;
    throw refused('INVALID_RECORD', name, `an epoch and a sequence from producer ${header.producerId}`, found);
  }
  if (origin === 'client') checkTimestamps(header, rules);
}

/** Of the first record and the youngest. With LogAppendTime they are overwritten and may be anything. */
function checkTimestamps({ baseTimestampMs, maxTimestampMs }: BatchHeader, { name, config, nowMs }: AppendRules): void {
  if (config.messageTimestampType === 'LogAppendTime') return;
  const latestMs = nowMs + config.messageTimestampAfterMaxMs;
  if (maxTimestampMs > latestMs) {
    throw refused('INVALID_TIMESTAMP', name, `timestamps of at most ${latestMs}`, `${maxTimestampMs}`);
  }
  checkAge(baseTimestampMs, earliestTimestamp(config, nowMs), name);
}

/** Of what is sent now. */
function earliestTimestamp({ messageTimestampType, messageTimestampBeforeMaxMs }: TopicConfig, nowMs: number): number {
  return nowMs - (messageTimestampType === 'LogAppendTime' ? Number.POSITIVE_INFINITY : messageTimestampBeforeMaxMs);
}

function checkAge(timestampMs: number, earliestMs: number, name: string): void {
  if (timestampMs >= earliestMs || timestampMs === NO_TIMESTAMP) return;
  throw refused('INVALID_TIMESTAMP', name, `timestamps of at least ${earliestMs}`, `${timestampMs}`);
}

function refused(type: KafkaErrorName, name: string, expected: string, found: string): KafkaError {
  return new KafkaError(type, `${name}: expected ${expected}, found ${found}`);
}
