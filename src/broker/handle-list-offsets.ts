import { hasTransactions } from '../log/log-snapshot.js';
import { errorFields, KafkaError, NO_ERROR } from '../protocol/errors.js';
import {
  EARLIEST_TIMESTAMP,
  LATEST_TIMESTAMP,
  type ListOffsetsRequest,
  type ListOffsetsResponse,
  MAX_TIMESTAMP,
} from '../protocol/requests.js';
import type { LogId } from '../storage/log-store.js';
import { unknownPartition } from './handle-metadata.js';
import { logOf } from './metadata-image.js';
import type { ReadContext } from './read-context.js';

type Partition = ListOffsetsResponse['topics'][number]['partitions'][number];
type Answer = Pick<Partition, 'timestamp' | 'offset' | 'leaderEpoch'>;

const NOT_FOUND: Answer = { timestamp: -1, offset: -1, leaderEpoch: -1 };

type Context = Pick<ReadContext, 'store' | 'clock' | 'image' | 'leaderEpoch' | 'parts'>;

interface Query extends Pick<ListOffsetsRequest, 'isolationLevel'> {
  readonly partitionIndex: number;
  readonly timestamp: number;
}

/** Answers from the shared database, leader or not, so that the answer is never behind what was acknowledged. */
export async function handleListOffsets(context: Context, request: ListOffsetsRequest): Promise<ListOffsetsResponse> {
  const topics = request.topics.map(async ({ name, partitions }) => ({
    name,
    partitions: await Promise.all(
      partitions.map((query) => answer(context, name, { ...query, isolationLevel: request.isolationLevel })),
    ),
  }));
  return { topics: await Promise.all(topics) };
}

async function answer(context: Context, topic: string, { partitionIndex, ...query }: Query): Promise<Partition> {
  const log = logOf(context.image(), topic, partitionIndex);
  try {
    if (log === undefined) throw unknownPartition(context.image().topics.get(topic), topic, partitionIndex);
    return { partitionIndex, ...NO_ERROR, ...(await find(context, log, query)) };
  } catch (error) {
    return { partitionIndex, ...errorFields(error), ...NOT_FOUND };
  }
}

async function find(
  context: Context,
  log: LogId,
  { timestamp, isolationLevel }: Omit<Query, 'partitionIndex'>,
): Promise<Answer> {
  const { store, leaderEpoch, parts } = context;
  const { logStartOffset, lastOffset, checkpoint } = await store.ends(log);
  let endOffset = lastOffset === undefined ? logStartOffset : lastOffset + 1;
  if (isolationLevel === 1 && hasTransactions(checkpoint)) {
    const { storedLastStableOffset } = await parts.transactions();
    endOffset = await storedLastStableOffset(context, log);
  }
  switch (timestamp) {
    case LATEST_TIMESTAMP:
      return { timestamp: -1, offset: endOffset, leaderEpoch: leaderEpoch() };
    case EARLIEST_TIMESTAMP:
      return { timestamp: -1, offset: logStartOffset, leaderEpoch: leaderEpoch() };
    default: {
      if (timestamp < MAX_TIMESTAMP || !Number.isSafeInteger(timestamp)) {
        const expected = `milliseconds since the epoch, ${LATEST_TIMESTAMP}, ${EARLIEST_TIMESTAMP} or ${MAX_TIMESTAMP}`;
        throw new KafkaError('INVALID_REQUEST', `timestamp: expected ${expected}, found ${timestamp}`);
      }
      const { offsetForTimestamp } = await parts.timestamps();
      const found = await offsetForTimestamp({ store, log, logStartOffset, endOffset, timestampMs: timestamp });
      if (found === undefined) return NOT_FOUND;
      return { timestamp: found.timestampMs, offset: found.offset, leaderEpoch: found.leaderEpoch };
    }
  }
}
