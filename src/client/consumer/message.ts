import { decompressBatch } from '../../record/batch-compression.js';
import { batchesIn, compressionOf, isControl, isTransactional, lastOffsetOf } from '../../record/batch-header.js';
import { ENCRYPTED } from '../../record/batch-layout.js';
import { controlRecordType } from '../../record/control-record.js';
import type { BatchHeader, RecordHeader } from '../../record/record.js';
import { headersOf } from '../../record/record-batch-decoder.js';
import { type RecordBytes, recordBytes } from '../../record/record-bytes.js';
import { NULL_START, RecordCursor } from '../../record/record-cursor.js';
import type { Serde } from '../../record/serdes.js';
import { notePlaces, PLACES, type RecordPlaces, ValueTexts } from '../../record/value-texts.js';
import type { ConsumedMessage, MessageHeaders } from '../api/consumer.js';
import type { EncryptionConfig } from '../api/kafka.js';
import { encryptionPart } from '../encryption-part.js';

/** What all messages of one record batch have in common. */
interface MessageSource<K, V> {
  readonly topic: string;
  readonly partition: number;
  readonly bytes: Uint8Array;
  readonly texts: ValueTexts;
  readonly attributes: number;
  readonly keySerde: Serde<K> | undefined;
  readonly valueSerde: Serde<V> | undefined;
  /** By record. */
  readonly timestampsMs: Float64Array;
  /** See `RecordPlaces`. */
  readonly places: RecordPlaces;
  /** By record. */
  readonly headers: readonly (readonly RecordHeader[])[];
}

/**
 * A message for whoever gets it alone, as KafkaJS makes it: an object of its own fields, which can be spread and changed.
 * They are made at once, which costs more than a handler of batches may pay for each.
 */
class OwnMessage<K, V> implements ConsumedMessage<K, V> {
  readonly magicByte: number;
  readonly attributes: number;
  readonly timestamp: string;
  readonly offset: string;
  readonly size: number;
  readonly key: K | null;
  readonly value: V | null;
  readonly headers: MessageHeaders;
  readonly #stored: StoredMessage<K, V>;

  constructor(stored: StoredMessage<K, V>) {
    this.magicByte = stored.magicByte;
    this.attributes = stored.attributes;
    this.timestamp = stored.timestamp;
    this.offset = stored.offset;
    this.size = stored.size;
    this.key = stored.key;
    this.value = stored.value;
    this.headers = stored.headers;
    this.#stored = stored;
  }

  // KafkaJS's have none of these: what is spread has none, and who sets them gets a field.
  get topic(): string {
    return this.#stored.topic;
  }

  set topic(value: string) {
    setField(this, 'topic', value);
  }

  get partition(): number {
    return this.#stored.partition;
  }

  set partition(value: number) {
    setField(this, 'partition', value);
  }

  get headerEntries(): (readonly [string, RecordBytes | null])[] {
    return this.#stored.headerEntries;
  }

  toJSON(): object {
    return { topic: this.topic, partition: this.partition, ...(this as object) };
  }
}

function setField(message: object, name: string, value: unknown): void {
  Object.defineProperty(message, name, { value, writable: true, enumerable: true, configurable: true });
}

/**
 * One record, as its number in its batch: nothing is made of it before somebody looks. Handlers hold thousands of them for
 * some milliseconds, so that each field costs the garbage collector a copy.
 */
export class StoredMessage<K, V> implements ConsumedMessage<K, V> {
  readonly offsetNumber: number;
  readonly #source: MessageSource<K, V>;
  readonly #index: number;

  constructor(source: MessageSource<K, V>, index: number, offset: number) {
    this.offsetNumber = offset;
    this.#source = source;
    this.#index = index;
  }

  get topic(): string {
    return this.#source.topic;
  }

  get partition(): number {
    return this.#source.partition;
  }

  get key(): K | null {
    return this.#read(0, this.#source.keySerde);
  }

  get value(): V | null {
    const { valueSerde, texts } = this.#source;
    return this.#read(2, valueSerde, texts);
  }

  get offset(): string {
    return String(this.offsetNumber);
  }

  get timestamp(): string {
    return String(this.#source.timestampsMs[this.#index]);
  }

  get attributes(): number {
    return this.#source.attributes;
  }

  /** Not in KafkaJS's types, but in its messages: that of record batches. */
  get magicByte(): number {
    return 2;
  }

  get size(): number {
    return this.#place(1) - this.#place(0) + this.#place(3) - this.#place(2);
  }

  get headerEntries(): (readonly [string, RecordBytes | null])[] {
    return this.#source.headers[this.#index]!.map(({ key, value }) => [key, value as RecordBytes | null] as const);
  }

  get headers(): MessageHeaders {
    if (this.#source.headers[this.#index]!.length === 0) return {};
    const headers = new Map<string, MessageHeaders[string]>(); // an object has properties that no header gave it
    for (const [key, value] of this.headerEntries) {
      const known = headers.get(key);
      if (Array.isArray(known)) known.push(value);
      else headers.set(key, known === undefined ? value : [known, value]);
    }
    return Object.fromEntries(headers);
  }

  toJSON(): object {
    const { topic, partition, offset, timestamp, key, value, headers } = this;
    return { topic, partition, offset, timestamp, key, value, headers };
  }

  /** For a handler of its own. With a serde, which may refuse its bytes, it stays for the handler to look, and to skip it. */
  alone(): ConsumedMessage<K, V> {
    const { keySerde, valueSerde } = this.#source;
    return keySerde === undefined && valueSerde === undefined ? new OwnMessage(this) : this;
  }

  /** Without a serde T is RecordBytes: the generic defaults of the public API say so. */
  #read<T>(which: number, serde: Serde<T> | undefined, texts?: ValueTexts): T | null {
    const start = this.#place(which);
    if (start === NULL_START) return null;
    const view = recordBytes(this.#source.bytes, start, this.#place(which + 1), texts);
    return serde === undefined ? (view as T) : serde.deserialize(view);
  }

  #place(which: number): number {
    return this.#source.places[PLACES * this.#index + which]!;
  }
}

export interface FetchedRecords<K, V> {
  readonly messages: StoredMessage<K, V>[];
  /** Where to fetch next: behind the last batch, of which compaction may have removed the end. */
  readonly nextOffset: number;
}

interface MessageContext<K, V> {
  readonly topic: string;
  readonly partition: number;
  readonly keySerde: Serde<K> | undefined;
  readonly valueSerde: Serde<V> | undefined;
  readonly encryption: EncryptionConfig | undefined;
  /** As a read_committed fetch answered them; none otherwise. */
  readonly abortedTransactions: readonly AbortedTransaction[];
}

interface AbortedTransaction {
  readonly producerId: number;
  readonly firstOffset: number;
}

/**
 * The messages of fetched chunks from `fetchOffset` on, each once: chunks overlap where the log was merged into other batches
 * while the host read it. Control batches and what was aborted are left out. Checksums were
 * verified by the host, on append or on the way from the store: here nobody waits for them again.
 * @throws KafkaError CORRUPT_MESSAGE, UNSUPPORTED_COMPRESSION_TYPE. KafkaJSEncryptionError: the first batch needs another
 *   key; where others come before it, they are the answer.
 */
export async function readMessages<K, V>(
  chunks: readonly Uint8Array[],
  fetchOffset: number,
  context: MessageContext<K, V>,
): Promise<FetchedRecords<K, V>> {
  const messages: StoredMessage<K, V>[] = [];
  const isAborted = abortedBatches(context.abortedTransactions);
  let nextOffset = fetchOffset;
  for (const chunk of chunks) {
    for (const { header, at } of batchesIn(chunk)) {
      if (lastOffsetOf(header) < nextOffset) continue;
      const before = nextOffset;
      nextOffset = lastOffsetOf(header) + 1;
      if (isAborted(header, chunk, at) || isControl(header)) continue;
      const isPlain = compressionOf(header) === 0;
      const count = messages.length;
      try {
        const cursor = isPlain
          ? new RecordCursor(chunk, at, header)
          : new RecordCursor(await unpacked(chunk, at, header, context.encryption));
        const { bytes } = cursor;
        const { recordCount } = cursor.header;
        const places: RecordPlaces = new Int32Array(PLACES * recordCount);
        const texts = new ValueTexts(bytes, isPlain ? at : 0, cursor.header, places);
        const timestampsMs = new Float64Array(recordCount);
        const headers: (readonly RecordHeader[])[] = [];
        const { attributes } = header;
        const source: MessageSource<K, V> = { ...context, bytes, texts, attributes, timestampsMs, places, headers };
        for (let index = 0; cursor.next(); index++) {
          notePlaces(places, index, cursor);
          timestampsMs[index] = cursor.timestampMs;
          headers.push(headersOf(cursor));
          if (cursor.offset >= before) messages.push(new StoredMessage(source, index, cursor.offset));
        }
      } catch (error) {
        if (before <= fetchOffset) throw error;
        messages.length = count; // what is readable comes first
        return { messages, nextOffset: before };
      }
    }
  }
  return { messages, nextOffset };
}

/** The batch at `at` decrypted and decompressed. */
async function unpacked(
  bytes: Uint8Array,
  at: number,
  header: BatchHeader,
  encryption: EncryptionConfig | undefined,
): Promise<Uint8Array> {
  if (compressionOf(header) !== ENCRYPTED) return decompressBatch(bytes, at);
  return (await encryptionPart()).decryptFetched(bytes, at, encryption);
}

/**
 * Tells, of batch after batch in their order, which belong to an aborted transaction: that of a producer begins where
 * the list says and ends with an abort marker (Kafka's CompletedFetch).
 */
function abortedBatches(
  transactions: readonly AbortedTransaction[],
): (header: BatchHeader, bytes: Uint8Array, at: number) => boolean {
  if (transactions.length === 0) return () => false;
  const waiting = [...transactions].sort((a, b) => a.firstOffset - b.firstOffset);
  const producers = new Set<number>();
  return (header, bytes, at) => {
    while (waiting[0] !== undefined && waiting[0].firstOffset <= lastOffsetOf(header)) {
      producers.add(waiting[0].producerId);
      waiting.shift();
    }
    if (!isControl(header)) return isTransactional(header) && producers.has(header.producerId);
    const cursor = new RecordCursor(bytes, at, header);
    if (cursor.next() && controlRecordType(cursor.key()) === 'abort') producers.delete(header.producerId);
    return false;
  };
}
