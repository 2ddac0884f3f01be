import type { Admin, ConsumedMessage, Consumer, GapEventPayload, Kafka } from '../index.js';
import { PageEnd } from './page-end.js';

/** A page ends so long after its last record where it does not end with it. */
const PAGE_WAIT_MS = 100;

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
  /** What of the page is lost to damage. */
  readonly gaps: readonly GapEventPayload[];
}

export interface PageRequest {
  readonly topic: string;
  readonly partition: number;
  readonly start: StartAt;
  readonly count: number;
}

/**
 * Up to `count` records of one partition from a place on; never waits for records that are not there yet. What it opens
 * it closes.
 */
export async function readPage(kafka: Kafka, request: PageRequest, signal: AbortSignal): Promise<RecordPage> {
  const { topic, partition, count } = request;
  const { low, high, from } = await withAdmin(kafka, (admin) => locate(admin, request));
  const records: ConsumedMessage[] = [];
  const gaps: GapEventPayload[] = [];
  if (from >= high || signal.aborted) return { low, high, from, records, gaps };
  const end = new PageEnd({ from, high });
  const ended = new AbortController();
  const consumer = kafka.consumer({ maxWaitTimeInMs: PAGE_WAIT_MS });
  const { GAP, END_BATCH_PROCESS, PARTITION_EOF } = consumer.events;
  const endIfReached = (): void => {
    if (end.isReached) ended.abort();
  };
  consumer.on(GAP, ({ payload }) => {
    gaps.push(payload);
    end.lost(payload);
    endIfReached();
  });
  consumer.on(END_BATCH_PROCESS, ({ payload }) => {
    end.handled(Number(payload.lastOffset));
    endIfReached();
  });
  consumer.on(PARTITION_EOF, ({ payload }) => {
    end.nothingMore(payload);
    endIfReached();
  });
  const assigned = [{ topic, partition, offset: String(from) }];
  for await (const message of readFrom(consumer, assigned, AbortSignal.any([signal, ended.signal]))) {
    if (Number(message.offset) >= high) break; // came meanwhile
    records.push(message);
    if (records.length >= count) break;
  }
  return { low, high, from, records, gaps };
}

async function locate(
  admin: Admin,
  { topic, partition, start, count }: PageRequest,
): Promise<{ low: number; high: number; from: number }> {
  const ends = (await admin.fetchTopicOffsets(topic)).find((entry) => entry.partition === partition);
  if (ends === undefined) throw new Error(`topic ${topic} has no partition ${partition}`);
  const low = Number(ends.low);
  const high = Number(ends.high);
  const wanted = async (): Promise<number> => {
    switch (start.at) {
      case 'beginning':
        return low;
      case 'newest':
        return high - count;
      case 'offset':
        return start.offset;
      case 'time': {
        const offsets = await admin.fetchTopicOffsetsByTimestamp(topic, start.timestampMs);
        return Number(offsets.find((entry) => entry.partition === partition)?.offset ?? high);
      }
    }
  };
  return { low, high, from: Math.min(Math.max(await wanted(), low), high) };
}

/** Records as they come, from the end of each partition of a topic; ends when aborted. */
export async function* tail(kafka: Kafka, topic: string, signal: AbortSignal): AsyncGenerator<ConsumedMessage> {
  const offsets = await withAdmin(kafka, (admin) => admin.fetchTopicOffsets(topic));
  if (signal.aborted) return;
  const assigned = offsets.map(({ partition, high }) => ({ topic, partition, offset: high }));
  yield* readFrom(kafka.consumer(), assigned, signal);
}

async function withAdmin<T>(kafka: Kafka, ask: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = kafka.admin();
  try {
    return await ask(admin);
  } finally {
    await admin.disconnect();
  }
}

/** Records as they come; ends when aborted. The consumer is then disconnected. */
async function* readFrom(
  consumer: Consumer,
  assigned: readonly { topic: string; partition: number; offset: string }[],
  signal: AbortSignal,
): AsyncGenerator<ConsumedMessage> {
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
