import type { Admin, ConsumedMessage, Kafka } from '../index.js';

/** Where browsing begins. */
export type StartAt =
  | { readonly at: 'beginning' }
  | { readonly at: 'newest' }
  | { readonly at: 'offset'; readonly offset: number }
  | { readonly at: 'time'; readonly timestampMs: number };

export interface RecordPage {
  /** The first offset that exists. */
  readonly low: number;
  /** The end, exclusive. */
  readonly high: number;
  /** The first offset asked for, within the bounds. */
  readonly from: number;
  readonly records: readonly ConsumedMessage[];
}

export interface PageRequest {
  readonly topic: string;
  readonly partition: number;
  readonly start: StartAt;
  readonly count: number;
}

/** Up to `count` records of one partition from a place on; never waits for records that are not there yet. */
export async function readPage(
  kafka: Kafka,
  admin: Admin,
  { topic, partition, start, count }: PageRequest,
  signal: AbortSignal,
): Promise<RecordPage> {
  const ends = (await admin.fetchTopicOffsets(topic)).find((entry) => entry.partition === partition);
  if (ends === undefined) throw new Error(`topic ${topic} has no partition ${partition}`);
  const low = Number(ends.low);
  const high = Number(ends.high);
  const wanted = await startOffset(admin, { topic, partition, start, count }, high);
  const from = Math.min(Math.max(wanted, low), high);
  const records: ConsumedMessage[] = [];
  if (from < high) {
    for await (const message of readFrom(kafka, [{ topic, partition, offset: String(from) }], signal)) {
      records.push(message);
      if (records.length >= count || Number(message.offset) >= high - 1) break;
    }
  }
  return { low, high, from, records };
}

async function startOffset(
  admin: Admin,
  { topic, partition, start, count }: PageRequest,
  high: number,
): Promise<number> {
  switch (start.at) {
    case 'beginning':
      return 0;
    case 'newest':
      return high - count;
    case 'offset':
      return start.offset;
    case 'time': {
      const offsets = await admin.fetchTopicOffsetsByTimestamp(topic, start.timestampMs);
      return Number(offsets.find((entry) => entry.partition === partition)?.offset ?? high);
    }
  }
}

/** Records as they come, from the end of each partition of a topic; ends when aborted. */
export async function* tail(
  kafka: Kafka,
  admin: Admin,
  topic: string,
  signal: AbortSignal,
): AsyncGenerator<ConsumedMessage> {
  const offsets = await admin.fetchTopicOffsets(topic);
  const assigned = offsets.map(({ partition, high }) => ({ topic, partition, offset: high }));
  yield* readFrom(kafka, assigned, signal);
}

async function* readFrom(
  kafka: Kafka,
  assigned: readonly { topic: string; partition: number; offset: string }[],
  signal: AbortSignal,
): AsyncGenerator<ConsumedMessage> {
  const consumer = kafka.consumer();
  try {
    await consumer.connect();
    await consumer.assign(assigned);
    yield* consumer.messages({ signal });
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    await consumer.disconnect();
  }
}
