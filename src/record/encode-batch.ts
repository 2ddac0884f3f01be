import { concatBytes } from '../util/bytes.js';
import { writeVarint } from '../util/varint.js';
import {
  BATCH_HEADER_BYTES,
  NO_PARTITION_LEADER_EPOCH,
  NO_PRODUCER_EPOCH,
  NO_PRODUCER_ID,
  NO_SEQUENCE,
} from './batch-layout.js';
import type { NewRecord } from './record.js';
import { writeBatchHeader } from './write-batch-header.js';

const UTF8 = new TextEncoder();
const MAX_VARINT_BYTES = 5;
const NULL_SIZE = -1;

export interface FewRecords {
  readonly records: readonly Pick<NewRecord, 'key' | 'value'>[];
  /** Of all of them. */
  readonly timestampMs: number;
  readonly attributes?: number;
  readonly producerId?: number;
  readonly producerEpoch?: number;
}

/**
 * A batch of a few records of the broker's own, as a `RecordBatchBuilder` makes it. That one is quick and knows
 * headers; this one is short, so that a worker need not load it before it can serve.
 */
export function encodeBatch(few: FewRecords): Uint8Array<ArrayBuffer> {
  const { records, timestampMs, attributes = 0 } = few;
  const bytes = concatBytes([new Uint8Array(BATCH_HEADER_BYTES), ...records.flatMap(encodeRecord)]);
  writeBatchHeader(bytes, 0, bytes.length, {
    baseOffset: 0,
    partitionLeaderEpoch: NO_PARTITION_LEADER_EPOCH,
    attributes,
    lastOffsetDelta: records.length - 1,
    baseTimestampMs: timestampMs,
    maxTimestampMs: timestampMs,
    producerId: few.producerId ?? NO_PRODUCER_ID,
    producerEpoch: few.producerEpoch ?? NO_PRODUCER_EPOCH,
    baseSequence: NO_SEQUENCE,
    recordCount: records.length,
  });
  return bytes;
}

/** Length · attributes, timestamp delta, offset delta · key · value · no headers: see `RecordCursor`. */
function encodeRecord({ key, value }: Pick<NewRecord, 'key' | 'value'>, offsetDelta: number): Uint8Array[] {
  const body = concatBytes([varints(0, 0, offsetDelta), ...sized(key), ...sized(value), varints(0)]);
  return [varints(body.length), body];
}

function sized(field: Uint8Array | string | null): Uint8Array[] {
  if (field === null) return [varints(NULL_SIZE)];
  const bytes = typeof field === 'string' ? UTF8.encode(field) : field;
  return [varints(bytes.length), bytes];
}

function varints(...values: readonly number[]): Uint8Array {
  const out = new Uint8Array(MAX_VARINT_BYTES * values.length);
  return out.subarray(
    0,
    values.reduce((at, value) => writeVarint(out, at, value), 0),
  );
}
