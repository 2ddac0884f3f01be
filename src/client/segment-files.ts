import { errorOf, KafkaError } from '../protocol/errors.js';
import type { FetchResponse } from '../protocol/requests.js';
import { BATCH_HEADER_BYTES, batchesIn, claimedSizeAt, lastOffsetOf } from '../record/batch-header.js';
import type { BatchHeader } from '../record/record.js';
import { wholeBatchesEnd } from '../record/whole-batches.js';
import type { ExportPartitionOptions, ImportPartitionOptions, SegmentFile } from './api/integrity.js';
import type { Connection } from './connection.js';
import { KafkaJSNonRetriableError, KafkaJSProtocolError } from './errors.js';

/** Kafka's `log.segment.bytes`. */
const SEGMENT_BYTES = 1024 * 1024 * 1024;
/** Kafka's `log.index.interval.bytes`. */
const INDEX_INTERVAL_BYTES = 4096;
const FETCH_BYTES = 4 * 1024 * 1024;
/** What one request of an import carries: becomes one sealed segment. */
const IMPORT_BYTES = 8 * 1024 * 1024;
/** Kafka's `socket.request.max.bytes`: what no request can carry is in no log. */
const MAX_BATCH_BYTES = 100 * 1024 * 1024;
const IMPORT_TIMEOUT_MS = 60_000;
const MAX_RELATIVE_OFFSET = 2 ** 31 - 1;

type Fetched = FetchResponse['responses'][number]['partitions'][number];

/** See `Admin.exportPartition`. */
export async function* exportPartition(
  connection: Connection,
  bounds: { readonly low: number; readonly high: number },
  { topic, partition, fromOffset, endOffset, segmentBytes = SEGMENT_BYTES, signal }: ExportPartitionOptions,
): AsyncGenerator<SegmentFile> {
  const { life } = connection;
  const end = Math.min(endOffset === undefined ? bounds.high : Number(endOffset), bounds.high);
  let offset = Math.max(fromOffset === undefined ? bounds.low : Number(fromOffset), bounds.low);
  let open: OpenSegment | undefined;
  while (offset < end) {
    life.throwIfAborted();
    const answer = await fetchOnce(connection, { topic, partition, offset }, signal);
    if (answer.gap !== undefined) {
      offset = answer.gap.nextOffset;
      continue;
    }
    const error = errorOf(answer);
    if (error !== undefined) throw new KafkaJSProtocolError(error);
    let next = offset;
    for (const chunk of answer.records) {
      for (const { header, at } of batchesIn(chunk)) {
        if (lastOffsetOf(header) < next || header.baseOffset >= end) continue;
        if (open !== undefined && !open.takes(header, segmentBytes)) {
          yield open.file();
          signal?.throwIfAborted();
          open = undefined;
        }
        open ??= new OpenSegment(header.baseOffset);
        open.add(header, chunk.slice(at, at + header.sizeInBytes));
        next = lastOffsetOf(header) + 1;
      }
    }
    if (next === offset) break; // compaction left nothing behind it
    offset = next;
  }
  if (open !== undefined) yield open.file();
}

async function fetchOnce(
  connection: Connection,
  { topic, partition, offset }: { readonly topic: string; readonly partition: number; readonly offset: number },
  signal: AbortSignal | undefined,
): Promise<Fetched> {
  const topics = [{ topic, partitions: [{ partition, fetchOffset: offset, partitionMaxBytes: FETCH_BYTES }] }];
  const request = { maxWaitMs: 0, minBytes: 1, maxBytes: FETCH_BYTES, isolationLevel: 0 as const, topics };
  const response = await connection.request('Fetch', request, { signal });
  const answer = response.responses[0]?.partitions[0];
  if (answer === undefined) throw new KafkaJSNonRetriableError(`No answer for partition ${partition} of ${topic}`);
  return answer;
}

/** A segment as Kafka writes it: its log, and the two sparse indexes beside it (Kafka's OffsetIndex and TimeIndex). */
class OpenSegment {
  readonly #baseOffset: number;
  readonly #parts: Uint8Array<ArrayBuffer>[] = [];
  readonly #offsets: [relativeOffset: number, position: number][] = [];
  readonly #times: [timestampMs: number, relativeOffset: number][] = [];
  #position = 0;
  #sinceIndexed = 0;
  #nextOffset: number;
  #maxTimestampMs = -1;
  #offsetOfMax = 0;

  constructor(baseOffset: number) {
    this.#baseOffset = baseOffset;
    this.#nextOffset = baseOffset;
  }

  takes(header: BatchHeader, segmentBytes: number): boolean {
    const isNear = lastOffsetOf(header) - this.#baseOffset <= MAX_RELATIVE_OFFSET;
    return isNear && this.#position + header.sizeInBytes <= segmentBytes;
  }

  add(header: BatchHeader, bytes: Uint8Array<ArrayBuffer>): void {
    const relativeOffset = lastOffsetOf(header) - this.#baseOffset;
    if (header.maxTimestampMs > this.#maxTimestampMs) {
      this.#maxTimestampMs = header.maxTimestampMs;
      this.#offsetOfMax = relativeOffset;
    }
    if (this.#sinceIndexed > INDEX_INTERVAL_BYTES) {
      this.#offsets.push([relativeOffset, this.#position]);
      this.#addTime();
      this.#sinceIndexed = 0;
    }
    this.#parts.push(bytes);
    this.#position += bytes.byteLength;
    this.#sinceIndexed += bytes.byteLength;
    this.#nextOffset = lastOffsetOf(header) + 1;
  }

  file(): SegmentFile {
    this.#addTime();
    const name = String(this.#baseOffset).padStart(20, '0');
    const offsets = new DataView(new ArrayBuffer(this.#offsets.length * 8));
    for (const [index, [relativeOffset, position]] of this.#offsets.entries()) {
      offsets.setInt32(index * 8, relativeOffset);
      offsets.setInt32(index * 8 + 4, position);
    }
    const times = new DataView(new ArrayBuffer(this.#times.length * 12));
    for (const [index, [timestampMs, relativeOffset]] of this.#times.entries()) {
      times.setBigInt64(index * 12, BigInt(timestampMs));
      times.setInt32(index * 12 + 8, relativeOffset);
    }
    return {
      name: `${name}.log`,
      baseOffset: String(this.#baseOffset),
      nextOffset: String(this.#nextOffset),
      log: new Blob(this.#parts),
      index: new Blob([offsets.buffer]),
      timeIndex: new Blob([times.buffer]),
    };
  }

  /** Times rise from entry to entry; a segment without timestamps has none. */
  #addTime(): void {
    const [lastMs] = this.#times.at(-1) ?? [-1];
    if (this.#maxTimestampMs > lastMs) this.#times.push([this.#maxTimestampMs, this.#offsetOfMax]);
  }
}

/** See `Admin.importPartition`. */
export async function importPartition(
  connection: Connection,
  { topic, partition, segments, signal }: ImportPartitionOptions,
): Promise<{ low: string; high: string }> {
  const { life } = connection;
  let answer = { logStartOffset: -1, logEndOffset: -1 };
  const send = async (records: Uint8Array, isFirst: boolean, isLast: boolean): Promise<void> => {
    const request = { name: topic, partitionIndex: partition, records, isFirst, isLast };
    life.throwIfAborted();
    const response = await connection.request('ImportLog', request, { signal, timeoutMs: IMPORT_TIMEOUT_MS });
    const error = errorOf(response);
    if (error !== undefined) throw error;
    answer = response;
  };
  for (const segment of segments) {
    let readBytes = IMPORT_BYTES;
    for (let at = 0; at < segment.size; ) {
      const bytes = new Uint8Array(await segment.slice(at, at + readBytes).arrayBuffer());
      const whole = wholeBatchesEnd(bytes);
      const left = segment.size - at - whole;
      // Of the batch behind them, of which the head may not be read yet; it is read whole with what comes next.
      const claimed = left === 0 ? 0 : (claimedSizeAt(bytes, whole) ?? BATCH_HEADER_BYTES);
      const most = Math.min(left, MAX_BATCH_BYTES);
      if (claimed > most) {
        const place = `${topic}-${partition}, byte ${at + whole} of the segment`;
        throw new KafkaError(
          'CORRUPT_MESSAGE',
          `${place}: expected a batch of at most ${most} bytes, found ${claimed}`,
        );
      }
      readBytes = Math.max(IMPORT_BYTES, claimed);
      if (whole === 0) continue;
      await send(whole < bytes.byteLength ? bytes.slice(0, whole) : bytes, at === 0, false);
      at += whole;
    }
  }
  await send(new Uint8Array(0), false, true);
  return { low: String(answer.logStartOffset), high: String(answer.logEndOffset) };
}
