import { Kafka } from '../../../src/index.js';
import { allSealed } from './sealed.js';
import { type Latency, latency, makeValues, percentile } from './values.js';

const BUSY = 'busy';
const LIVE = 'live';
const SEGMENT_BYTES = 4 << 20;
const VALUE_BYTES = 1024;
/** A chunk: what one commit writes. */
const CHUNK_VALUES = 1000;
const CHUNKS_BEHIND = 40;
const KEYS = 10_000;
const QUIET_SENDS = 200;

export interface UpkeepFigures {
  /** A send of one record while another log is sealed and compacted, ms. */
  readonly sealing: Latency;
  /** The same while the other log's records are deleted. */
  readonly deleting: Latency;
  /** The same while nothing else is done. */
  readonly quiet: Latency;
  /** A send of a chunk's bytes while nothing else is done, ms: median. */
  readonly chunkMs: number;
}

/** What an append waits for while the broker looks after another log: sealing, compaction, then deletion. */
export async function sendBesideUpkeep(args: {
  readonly name: string;
  readonly size: number;
  readonly chunks: number;
}): Promise<UpkeepFigures> {
  const [value = ''] = makeValues(1, args.size);
  const kafka = new Kafka({ clientId: 'bench', cluster: args.name });
  const admin = kafka.admin();
  const producer = kafka.producer();
  await Promise.all([admin.connect(), producer.connect()]);
  const configEntries = [
    { name: 'segment.bytes', value: String(SEGMENT_BYTES) },
    { name: 'cleanup.policy', value: 'compact,delete' },
    { name: 'min.cleanable.dirty.ratio', value: '0' },
  ];
  await admin.createTopics({ topics: [{ topic: BUSY, configEntries }, { topic: LIVE }] });
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
  const sendWhile = (work: Promise<unknown>): Promise<Latency> => {
    let isOver = false;
    void work.finally(() => (isOver = true)).catch(() => {});
    return sendUntil(() => isOver).then(async (seen) => {
      await work;
      return seen;
    });
  };

  for (let i = 0; i < args.chunks; i++) await send(BUSY, chunkOf(i * CHUNK_VALUES));
  const sealing = await sendWhile(allSealed(args.name));
  let left = QUIET_SENDS;
  const quiet = await sendUntil(() => left-- === 0);
  const chunks: number[] = [];
  for (let i = 0; i < CHUNKS_BEHIND; i++) chunks.push(await send(LIVE, chunkOf(0)));
  const deleting = await sendWhile(
    admin.deleteTopicRecords({ topic: BUSY, partitions: [{ partition: 0, offset: '-1' }] }),
  );
  await kafka.close();
  return { sealing, deleting, quiet, chunkMs: percentile(chunks, 0.5) };
}
