import type { LogView } from '../log/log-view.js';
import { errorFields, KafkaError, NO_ERROR } from '../protocol/errors.js';
import type { FetchRequest, FetchResponse } from '../protocol/requests.js';
import { linkedController, OVER } from '../util/signal.js';
import { unknownPartition } from './handle-metadata.js';
import { logOf } from './metadata-image.js';
import type { ReadContext } from './read-context.js';

export type FetchHandler = (request: FetchRequest, signal?: AbortSignal) => Promise<FetchResponse>;

/** A partition with data gets no less than this of a response: beyond maxBytes / MIN_SHARE_BYTES they take turns. */
const MIN_SHARE_BYTES = 64 * 1024;

/** One partition of the request, as it stands at one moment of the wait. */
interface Position {
  readonly topic: string;
  readonly partition: number;
  readonly fetchOffset: number;
  readonly maxBytes: number;
  /** undefined: it has an error. */
  readonly view: LogView | undefined;
  readonly error: KafkaError | undefined;
  /** Of the view before the read. */
  readonly highWatermark: number;
  readonly records: readonly Uint8Array[];
}

/**
 * Makes the handler that answers Fetch from this host's views, leader or not: one for each host, since it remembers
 * whose turn it is when there is more data than one response may carry.
 *
 * It answers once there are `minBytes`, or an error, or `maxWaitMs` have passed. At most `maxBytes` of records, of a
 * partition at most `partitionMaxBytes`, but the first chunk that is there whatever its size. Nothing is decoded.
 * The bytes belong to the caller. Rejects with the signal's reason.
 */
export function fetchHandler(context: ReadContext): FetchHandler {
  let turn = 0;
  return async (request, signal) => {
    const deadlineMs = context.clock.monotonicMs() + request.maxWaitMs;
    for (;;) {
      signal?.throwIfAborted();
      const located = await Promise.all(positionsOf(request).map((position) => locate(context, position)));
      const positions = await readShares(located, request.maxBytes, turn++);
      const waitMs = deadlineMs - context.clock.monotonicMs();
      if (waitMs <= 0 || isEnough(positions, request.minBytes)) return respond(context, request, positions);
      await anyAdvance(context, positions, waitMs, signal);
    }
  };
}

function positionsOf({ topics }: FetchRequest): Position[] {
  return topics.flatMap(({ topic, partitions }) =>
    partitions.map(({ partition, fetchOffset, partitionMaxBytes: maxBytes }) => {
      return {
        topic,
        partition,
        fetchOffset,
        maxBytes,
        view: undefined,
        error: undefined,
        highWatermark: -1,
        records: [],
      };
    }),
  );
}

async function locate(context: ReadContext, position: Position): Promise<Position> {
  const { topic, partition, fetchOffset } = position;
  const log = logOf(context.image(), topic, partition);
  if (log === undefined) {
    return { ...position, error: unknownPartition(context.image().topics.get(topic), topic, partition) };
  }
  try {
    const view = await context.views.open(log);
    const { highWatermark } = view;
    let endOffset = highWatermark;
    // A view may lag behind the leader that gave the reader its offset; the database never does.
    if (fetchOffset > endOffset) endOffset = ((await context.store.ends(log)).lastOffset ?? -1) + 1;
    const inRange = fetchOffset >= view.logStartOffset && fetchOffset <= Math.max(endOffset, view.logStartOffset);
    if (!inRange) throw outOfRange(position, view.logStartOffset, endOffset);
    return { ...position, view, highWatermark };
  } catch (error) {
    return { ...position, error: asKafkaError(error) };
  }
}

/**
 * Reads what may go into one response: at the same time from as many partitions as get a fair share of it, beginning
 * with another one each turn. What then is too much is left out again, save the first.
 */
async function readShares(
  positions: readonly Position[],
  maxBytes: number,
  turn: number,
): Promise<readonly Position[]> {
  const ready = positions.filter(({ highWatermark, fetchOffset }) => highWatermark > fetchOffset);
  if (ready.length === 0) return positions;
  const first = turn % ready.length;
  const count = Math.max(1, Math.min(ready.length, Math.floor(maxBytes / MIN_SHARE_BYTES)));
  const chosen = [...ready.slice(first), ...ready.slice(0, first)].slice(0, count);
  const read = new Map<Position, Position>();
  await Promise.all(
    chosen.map(async (position) => read.set(position, await readOne(position, Math.floor(maxBytes / count)))),
  );
  let remaining = maxBytes;
  for (const position of chosen) {
    const after = read.get(position) ?? position;
    const bytes = byteCount(after);
    if (bytes > remaining && remaining < maxBytes) read.delete(position);
    else remaining -= bytes;
  }
  return positions.map((position) => read.get(position) ?? position);
}

async function readOne(position: Position, shareBytes: number): Promise<Position> {
  const { view, fetchOffset, maxBytes } = position;
  if (view === undefined) return position;
  try {
    const records = await view.read(fetchOffset, Math.min(maxBytes, shareBytes));
    if (view.logStartOffset <= fetchOffset) return { ...position, records };
    return { ...position, error: outOfRange(position, view.logStartOffset, view.highWatermark) };
  } catch (error) {
    return { ...position, error: asKafkaError(error) };
  }
}

function isEnough(positions: readonly Position[], minBytes: number): boolean {
  let bytes = 0;
  for (const position of positions) {
    if (position.error !== undefined) return true;
    bytes += byteCount(position);
  }
  return bytes >= minBytes;
}

/** Waits until one of the partitions has more than it had, or the time is over. Leaves no listener and no timer. */
async function anyAdvance(
  { clock }: ReadContext,
  positions: readonly Position[],
  waitMs: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const wait = linkedController(signal);
  const advances = positions.map(({ view, fetchOffset, highWatermark }) => {
    return view === undefined ? NEVER : view.advancedBeyond(Math.max(fetchOffset, highWatermark), wait.signal);
  });
  try {
    await Promise.race([...advances, clock.sleep(waitMs, wait.signal)]);
  } finally {
    wait.abort(OVER);
  }
}

const NEVER: Promise<void> = new Promise(() => {});

function respond({ store }: ReadContext, request: FetchRequest, positions: readonly Position[]): FetchResponse {
  let at = 0;
  const responses = request.topics.map(({ topic, partitions }) => ({
    topic,
    partitions: partitions.map(() => partitionResponse(positions[at++] as Position)),
  }));
  return { incarnationId: store.incarnationId, responses };
}

function partitionResponse({ partition, view, error, records }: Position): Partition {
  return {
    partitionIndex: partition,
    ...(error === undefined ? NO_ERROR : errorFields(error)),
    highWatermark: view?.highWatermark ?? -1,
    lastStableOffset: view?.highWatermark ?? -1,
    logStartOffset: view?.logStartOffset ?? -1,
    abortedTransactions: [],
    records,
  };
}

type Partition = FetchResponse['responses'][number]['partitions'][number];

function byteCount({ records }: Position): number {
  let bytes = 0;
  for (const chunk of records) bytes += chunk.byteLength;
  return bytes;
}

function outOfRange(
  { topic, partition, fetchOffset }: Position,
  logStartOffset: number,
  highWatermark: number,
): KafkaError {
  const text = `${topic}-${partition} holds offsets ${logStartOffset} to ${highWatermark} (exclusive), found ${fetchOffset}`;
  return new KafkaError('OFFSET_OUT_OF_RANGE', text);
}

/** A failure of one partition is its own; what is no KafkaError is a bug and fails the request. */
function asKafkaError(error: unknown): KafkaError {
  if (error instanceof KafkaError) return error;
  throw error;
}
