import { createRequire } from 'node:module';

/** A record as KafkaJS decodes it. */
export interface TheirRecord {
  readonly offset: string;
  readonly timestamp: string;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: Readonly<Record<string, Buffer | null | readonly (Buffer | null)[]>>;
}

/** A batch as KafkaJS decodes it: the rest of its head is in `firstOffset` and the like. */
export interface TheirBatch {
  readonly firstOffset: string;
  readonly lastOffsetDelta: number;
  readonly producerId: string;
  readonly producerEpoch: number;
  readonly firstSequence: number;
  readonly records: readonly TheirRecord[];
}

interface Encoded {
  readonly buffer: Buffer;
}

const require = createRequire(import.meta.url);
const Decoder = require('kafkajs/src/protocol/decoder') as new (bytes: Buffer) => { readonly offset: number };
const decodeBatch = require('kafkajs/src/protocol/recordBatch/v0/decoder') as (decoder: object) => Promise<TheirBatch>;
const { RecordBatch } = require('kafkajs/src/protocol/recordBatch/v0') as {
  RecordBatch(batch: object): Promise<Encoded>;
};
const Record = require('kafkajs/src/protocol/recordBatch/record/v0') as (record: object) => Encoded;
const crc32C = require('kafkajs/src/protocol/recordBatch/crc32C') as (bytes: Buffer) => number;

/** What another implementation of the format reads in these batches, of which it also computes the checksums. */
export async function batchesByKafkaJS(bytes: Uint8Array): Promise<TheirBatch[]> {
  const buffer = Buffer.from(bytes);
  const batches: TheirBatch[] = [];
  for (let at = 0; at < buffer.length; ) {
    const size = 12 + buffer.readInt32BE(at + 8);
    const [stored, computed] = [buffer.readUInt32BE(at + 17), crc32C(buffer.subarray(at + 21, at + size)) >>> 0];
    if (stored !== computed) throw new Error(`batch at ${at}: checksum ${stored}, KafkaJS computes ${computed}`);
    batches.push(await decodeBatch(new Decoder(buffer.subarray(at, at + size))));
    at += size;
  }
  return batches;
}

export interface RecordForKafkaJS {
  readonly timestampMs: number;
  readonly key: Uint8Array | string | null;
  readonly value: Uint8Array | string | null;
  readonly headers: Readonly<Record<string, Uint8Array | string>>;
}

/** A batch that another implementation writes. `compression` as in the attributes. */
export async function batchByKafkaJS(
  records: readonly RecordForKafkaJS[],
  { firstOffset = 0, compression = 0 }: { readonly firstOffset?: number; readonly compression?: number } = {},
): Promise<Buffer> {
  const timestamps = records.map(({ timestampMs }) => timestampMs);
  const firstTimestamp = timestamps[0]!;
  const { buffer } = await RecordBatch({
    compression,
    firstOffset,
    firstTimestamp,
    maxTimestamp: Math.max(...timestamps),
    lastOffsetDelta: records.length - 1,
    producerEpoch: -1,
    firstSequence: -1,
    records: records.map(({ timestampMs, key, value, headers }, offsetDelta) =>
      Record({
        offsetDelta,
        timestampDelta: timestampMs - firstTimestamp,
        key,
        value,
        headers,
      }),
    ),
  });
  return buffer;
}
