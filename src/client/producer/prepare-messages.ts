import { KafkaError } from '../../protocol/errors.js';
import type { NewRecordHeader } from '../../record/record.js';
import type { Serde } from '../../record/serdes.js';
import { isBytes } from '../../util/bytes.js';
import type { IHeaders, Message, PartitionMetadata, RecordInput } from '../api/producer.js';
import { KafkaJSNonRetriableError, KafkaJSProtocolError } from '../errors.js';
import { shown } from '../shown.js';
import type { KeyPartitioner } from './partitioner.js';

/** Stands for "whichever partition is the sticky one when the record is appended". */
export const STICKY: number = -1;

/** Messages of one topic, all checked: nothing can go wrong with them any more before they are sent. */
export interface PreparedMessages {
  readonly messages: readonly { readonly timestamp?: string | number }[];
  readonly partitions: Int32Array;
  readonly partitionCount: number;
  keyAt(index: number): RecordInput | null;
  valueAt(index: number): RecordInput | null;
  readonly headers: readonly (readonly NewRecordHeader[] | undefined)[] | undefined;
}

export interface Preparation<K, V> {
  readonly keySerde: Serde<K> | undefined;
  readonly valueSerde: Serde<V> | undefined;
  /** Either places keys, or is asked for each message. */
  readonly placement: { readonly byKey: KeyPartitioner } | { readonly byMessage: (args: PartitionerCall) => number };
}

interface PartitionerCall {
  readonly topic: string;
  readonly partitionMetadata: PartitionMetadata[];
  readonly message: Message<RecordInput, RecordInput>;
}

const UTF8 = new TextEncoder();
const keyScratch = new Uint8Array(1024);

/**
 * Serialises and checks every message and finds its partition, before any of them is sent.
 * @throws KafkaJSNonRetriableError for what is no message; its `type` is Kafka's name where there is one.
 */
export function prepareMessages<K, V>(
  topic: string,
  messages: readonly Message<K, V>[],
  partitionMetadata: readonly PartitionMetadata[],
  { keySerde, valueSerde, placement }: Preparation<K, V>,
): PreparedMessages {
  const count = messages.length;
  const partitions = new Int32Array(count);
  const keys = keySerde === undefined ? undefined : new Array<RecordInput | null>(count);
  const values = valueSerde === undefined ? undefined : new Array<RecordInput | null>(count);
  let headers: (NewRecordHeader[] | undefined)[] | undefined;
  const choices: PartitionChoices = { topic, partitionMetadata, ...placement }; // once, not for each message

  for (let i = 0; i < count; i++) {
    const message = messages[i]!;
    if (typeof message !== 'object' || message === null || message.value === undefined) {
      throw new KafkaJSNonRetriableError(`Invalid message without value for topic "${topic}": ${shown(message)}`);
    }
    let key = (message.key ?? null) as RecordInput | null;
    if (keys !== undefined) keys[i] = key = serialized(keySerde!, message.key ?? null);
    let value = message.value as RecordInput | null;
    if (values !== undefined) values[i] = value = serialized(valueSerde!, message.value);
    if (!isField(key)) throw invalid(topic, i, 'key', key);
    if (!isField(value)) throw invalid(topic, i, 'value', value);
    if (message.timestamp !== undefined && message.timestamp !== null) checkTimestamp(topic, i, message.timestamp);
    if (message.headers !== undefined && message.headers !== null) {
      headers ??= new Array<NewRecordHeader[] | undefined>(count);
      headers[i] = newHeaders(topic, i, message.headers);
    }
    partitions[i] = partitionOf({ message, key, value }, choices);
  }

  return {
    messages,
    partitions,
    partitionCount: partitionMetadata.length,
    keyAt: keys === undefined ? (i) => (messages[i]!.key ?? null) as RecordInput | null : (i) => keys[i]!,
    valueAt: values === undefined ? (i) => messages[i]!.value as RecordInput | null : (i) => values[i]!,
    headers,
  };
}

function serialized<T>(serde: Serde<T>, value: T | null): RecordInput | null {
  if (value === null) return null;
  try {
    return serde.serialize(value);
  } catch (error) {
    if (error instanceof KafkaError) throw new KafkaJSNonRetriableError(error);
    throw error;
  }
}

function isField(field: unknown): boolean {
  return typeof field === 'string' || field === null || isBytes(field);
}

function invalid(topic: string, index: number, name: string, found: unknown): KafkaJSNonRetriableError {
  const kind = typeof found === 'object' && found !== null ? found.constructor?.name || 'an object' : typeof found;
  const text = `Invalid ${name} of message ${index} for topic "${topic}": expected a string, a Uint8Array or null, found ${kind}`;
  return new KafkaJSNonRetriableError(new KafkaError('INVALID_RECORD', text));
}

function checkTimestamp(topic: string, index: number, timestamp: string | number): void {
  const ms = Number(timestamp);
  if (Number.isSafeInteger(ms) && ms >= 0 && timestamp !== '') return;
  const text = `Invalid timestamp of message ${index} for topic "${topic}": expected milliseconds since the epoch, found ${shown(timestamp)}`;
  throw new KafkaJSNonRetriableError(new KafkaError('INVALID_TIMESTAMP', text));
}

function newHeaders(topic: string, index: number, headers: IHeaders): NewRecordHeader[] {
  const list: NewRecordHeader[] = [];
  for (const [key, entry] of Object.entries(headers)) {
    for (const value of Array.isArray(entry) ? entry : [entry ?? null]) {
      if (!isField(value)) throw invalid(topic, index, `header ${JSON.stringify(key)}`, value);
      list.push({ key, value });
    }
  }
  return list;
}

interface Placed<K, V> {
  readonly message: Message<K, V>;
  readonly key: RecordInput | null;
  readonly value: RecordInput | null;
}

interface PartitionChoices {
  readonly topic: string;
  readonly partitionMetadata: readonly PartitionMetadata[];
  readonly byKey?: KeyPartitioner;
  readonly byMessage?: (args: PartitionerCall) => number;
}

/** Whether its partition is where it was read, and nobody's wish. */
function tellsPlace(message: object): boolean {
  return 'headerEntries' in message && !Object.hasOwn(message, 'partition');
}

function partitionOf<K, V>({ message, key, value }: Placed<K, V>, choices: PartitionChoices): number {
  const { topic, byKey, byMessage, partitionMetadata } = choices;
  const count = partitionMetadata.length;
  // One that was read tells where it was, and is placed anew all the same, as in KafkaJS, whose do not tell.
  const { partition: wanted } = message;
  if (byMessage === undefined && (wanted === undefined || wanted === null || tellsPlace(message))) {
    return key === null ? STICKY : byKey!(keyBytes(key), count);
  }
  const chosen: unknown =
    byMessage === undefined
      ? wanted!
      : byMessage({
          topic,
          partitionMetadata: [...partitionMetadata],
          // By name, too: one that was read has nothing that `...` would find.
          message: {
            ...message,
            key,
            value,
            headers: message.headers,
            timestamp: message.timestamp,
          } as PartitionerCall['message'],
        });
  const partition = typeof chosen === 'string' && chosen !== '' ? Number(chosen) : (chosen as number); // text from a form, as in KafkaJS
  if (Number.isInteger(partition) && partition >= 0 && partition < count) return partition;
  const text = `partition ${chosen} of topic "${topic}" does not exist: expected 0 to ${count - 1}`;
  throw new KafkaJSProtocolError(new KafkaError('UNKNOWN_TOPIC_OR_PARTITION', text));
}

/** The bytes of a key, in a scratch buffer where they fit: good until the next call. */
function keyBytes(key: RecordInput): Uint8Array {
  if (typeof key !== 'string') return key;
  if (key.length * 3 > keyScratch.length) return UTF8.encode(key);
  return keyScratch.subarray(0, UTF8.encodeInto(key, keyScratch).written);
}
