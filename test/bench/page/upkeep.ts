import { Kafka } from '../../../src/index.js';
import { allSealed } from './sealed.js';
import { type Latency, latency, makeValues, percentile } from './values.js';

const BUSY = 'busy';
const LIVE = 'live';
const SEGMENT_BYTES = 4 << 20;
const VALUE_BYTES = 1024;
/** A chunk: what one commit writes. */
const CHUNK_VALUES = 1000;
const CHUNKS = 40;
const KEYS = 10_000;
const BESIDE_MS = 4_000;

export interface UpkeepFigures {
  /** A send of one record in the seconds after another log was written, whose segments are sealed and compacted, ms. */
  readonly sealing: Latency;
  /** The same while the other log's records are deleted. */
  readonly deleting: Latency;
  /** A send of a chunk's bytes, ms: median. */
  readonly chunkMs: number;
}

/**
 * What an append waits for while the broker looks after another log: sealing, compaction, then deletion. `keeps`: nothing
 * of that log closes, so that there is nothing to look after, and only the platform has what was written to work on.
 */
export async function sendBesideUpkeep(args: {
  readonly name: string;
  readonly size: number;
  readonly chunks: number;
  readonly keeps: boolean;
}): Promise<UpkeepFigures> {
  const { name, size, keeps } = args;
  const [value = ''] = makeValues(1, size);
  const kafka = new Kafka({ clientId: 'bench', cluster: name });
  const admin = kafka.admin();
  const producer = kafka.producer();
  await Promise.all([admin.connect(), producer.connect()]);
  const configEntries = [
    { name: 'segment.bytes', value: String(SEGMENT_BYTES) },
    { name: 'cleanup.policy', value: 'compact,delete' },
    { name: 'min.cleanable.dirty.ratio', value: '0' },
  ];
  const busy = keeps ? { topic: BUSY } : { topic: BUSY, configEntries };
  await admin.createTopics({ topics: [busy, { topic: LIVE }] });
  const chunkOf = (from: number): { key: string; value: string }[] =>
    makeValues(CHUNK_VALUES, VALUE_BYTES).map((each, i) => ({ key: `key ${(from + i) % KEYS}`, value: each }));
  const send = async (topic: string, messages: { key?: string; value: string }[]): Promise<number> => {
    const start = performance.now();
    await producer.send({ topic, messages });
    return performance.now() - start;
  };
  const sendUntil = async (isOver: () => boolean): Promise<Latency> => {
    const samples: number[] = [];
    while (!isOver()) samples.push(await send(LIVE, [{ value }]));
    return latency(samples);
  };

  for (let i = 0; i < args.chunks; i++) await send(BUSY, chunkOf(i * CHUNK_VALUES));
  const endMs = performance.now() + BESIDE_MS;
  const sealing = await sendUntil(() => performance.now() > endMs);
  if (!keeps) await allSealed(name);
  const chunks: number[] = [];
  for (let i = 0; i < CHUNKS; i++) chunks.push(await send(LIVE, chunkOf(0)));
  let isDeleted = false;
  const partitions = [{ partition: 0, offset: '-1' }];
  const deletion = admin.deleteTopicRecords({ topic: BUSY, partitions }).finally(() => (isDeleted = true));
  const deleting = await sendUntil(() => isDeleted);
  await deletion;
  await kafka.close();
  return { sealing, deleting, chunkMs: percentile(chunks, 0.5) };
}
