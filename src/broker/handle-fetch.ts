import { withinBytes } from '../log/first-batches.js';
import { LogGapError } from '../log/log-gap.js';
import type { LogView } from '../log/log-view.js';
import { errorFields, KafkaError, NO_ERROR } from '../protocol/errors.js';
import type { FetchRequest, FetchResponse } from '../protocol/requests.js';
import type { LogId } from '../storage/log-store.js';
import { linkedController, OVER } from '../util/signal.js';
import { unknownPartition } from './handle-metadata.js';
import { logOf } from './metadata-image.js';
import type { ReadContext } from './read-context.js';

export type FetchHandler = (request: FetchRequest, signal?: AbortSignal) => Promise<FetchResponse>;

/** A partition with data gets no less than this of a response: beyond maxBytes / MIN_SHARE_BYTES they take turns. */
const MIN_SHARE_BYTES = 64 * 1024;

/** One partition of the request, as it stands at one moment of the wait. */
interface Position extends Pick<FetchRequest, 'isolationLevel'> {
  readonly topic: string;
  readonly partition: number;
  readonly fetchOffset: number;
  readonly maxBytes: number;
  /** undefined: it has an error. */
  readonly view: LogView | undefined;
  readonly error: KafkaError | undefined;
  readonly log: LogId;
  /** Of the view before the read: the high watermark, or the last stable offset. */
  readonly endOffset: number;
  readonly abortedTransactions: Partition['abortedTransactions'];
  readonly records: readonly Uint8Array[];
}

/**
 * Makes the handler that answers Fetch from this host's views, leader or not: one for each host, since it remembers
 * whose turn it is when there is more data than one response may carry.
 *
 * It answers once there are `minBytes`, or an error, or another log (a topic was made anew), or `maxWaitMs` have passed. At most `maxBytes` of records, of a
 * partition at most `partitionMaxBytes`, but the first batch that is there whatever its size. Nothing is decoded.
 * The bytes belong to the caller. Rejects with the signal's reason.
 */
export function fetchHandler(context: ReadContext): FetchHandler {
  let turn = 0;
  return async (request, signal) => {
    const deadlineMs = context.clock.monotonicMs() + request.maxWaitMs;
    for (let before: readonly Position[] = []; ; ) {
      signal?.throwIfAborted();
      const located = await Promise.all(positionsOf(request).map((position) => locate(context, position)));
      const positions = await readShares(context, located, { maxBytes: request.maxBytes, turn: turn++, signal });
      const waitMs = deadlineMs - context.clock.monotonicMs();
      const isMadeAnew = before.some(({ log }, index) => log !== positions[index]?.log);
      if (waitMs <= 0 || isMadeAnew || isEnough(positions, request.minBytes))
        return respond(context, request, positions);
      before = positions;
      await anyAdvance(context, positions, waitMs, signal);
    }
  };
}

function positionsOf({ topics, isolationLevel }: FetchRequest): Position[] {
  return topics.flatMap(({ topic, partitions }) =>
    partitions.map(({ partition, fetchOffset, partitionMaxBytes: maxBytes }) => {
      return {
        topic,
        partition,
        fetchOffset,
        maxBytes,
        isolationLevel,
        view: undefined,
        error: undefined,
        log: -1,
        endOffset: -1,
        abortedTransactions: [],
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
    const view = await context.views.open(log, position);
    const { highWatermark, lastStableOffset } = view;
    let endOffset = highWatermark;
    // A view may lag behind the leader that gave the reader its offset; the database never does.
    if (fetchOffset > endOffset) endOffset = ((await context.store.ends(log)).lastOffset ?? -1) + 1;
    const inRange = fetchOffset >= view.logStartOffset && fetchOffset <= Math.max(endOffset, view.logStartOffset);
    if (!inRange) throw outOfRange(position, view.logStartOffset, endOffset);
    return { ...position, log, view, endOffset: position.isolationLevel === 0 ? highWatermark : lastStableOffset };
  } catch (error) {
    return { ...position, error: asKafkaError(error) };
  }
}

/**
 * Reads what may go into one response: at the same time from as many partitions as get a fair share of it, beginning
 * with another one each turn. What then is too much is left out again, save the first.
 */
async function readShares(
  context: ReadContext,
  positions: readonly Position[],
  {
    maxBytes,
    turn,
    signal,
  }: { readonly maxBytes: number; readonly turn: number; readonly signal: AbortSignal | undefined },
): Promise<readonly Position[]> {
  const ready = positions.filter(({ endOffset, fetchOffset }) => endOffset > fetchOffset);
  if (ready.length === 0) return positions;
  const first = turn % ready.length;
  const count = Math.max(1, Math.min(ready.length, Math.floor(maxBytes / MIN_SHARE_BYTES)));
  const chosen = [...ready.slice(first), ...ready.slice(0, first)].slice(0, count);
  const read = new Map<Position, Position>();
  const shareBytes = Math.floor(maxBytes / count);
  await Promise.all(
    chosen.map(async (position) => {
      read.set(position, await readOne(context, position, shareBytes, signal));
    }),
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

async function readOne(
  context: ReadContext,
  position: Position,
  shareBytes: number,
  signal: AbortSignal | undefined,
): Promise<Position> {
  const { view, log, fetchOffset, maxBytes, isolationLevel } = position;
  if (view === undefined) return position;
  try {
    const limit = { offset: fetchOffset, maxBytes: Math.min(maxBytes, shareBytes) };
    const records = withinBytes(await view.read(fetchOffset, limit.maxBytes, signal), limit);
    const isUndecided = isolationLevel === 1 && view.aborted !== undefined;
    const read = isUndecided
      ? await (await context.parts.transactions()).committedPart(context, { log, view, fetchOffset, records })
      : { records };
    if (view.logStartOffset <= fetchOffset) return { ...position, ...read };
    return { ...position, error: outOfRange(position, view.logStartOffset, view.highWatermark) };
  } catch (error) {
    return { ...position, error: await failureOf(context, position, error, signal).catch(asKafkaError) };
  }
}

/** What is missing of a log whose topic is gone was deleted with it, whether or not this host has heard of that. */
async function failureOf(
  context: ReadContext,
  { topic, partition, log }: Position,
  error: unknown,
  signal: AbortSignal | undefined,
): Promise<KafkaError> {
  if (!(error instanceof LogGapError)) return asKafkaError(error);
  await context.refreshImage(signal);
  return logOf(context.image(), topic, partition) === log ? error : unknownPartition(undefined, topic, partition);
}

function isEnough(positions: readonly Position[], minBytes: number): boolean {
  let bytes = 0;
  for (const position of positions) {
    if (position.error !== undefined) return true;
    bytes += byteCount(position);
  }
  return bytes >= minBytes;
}

/** Waits until one of the partitions has more than it had or is no more, or the time is over. Leaves no listener and no timer. */
async function anyAdvance(
  { clock }: ReadContext,
  positions: readonly Position[],
  waitMs: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const wait = linkedController(signal);
  const advances = positions.map(({ view, fetchOffset, endOffset, isolationLevel }) => {
    return view?.advancedBeyond(Math.max(fetchOffset, endOffset), wait.signal, isolationLevel) ?? NEVER;
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

function partitionResponse({ partition, view, error, records, abortedTransactions, log }: Position): Partition {
  return {
    partitionIndex: partition,
    ...(error === undefined ? NO_ERROR : errorFields(error)),
    highWatermark: view?.highWatermark ?? -1,
    lastStableOffset: view?.lastStableOffset ?? -1,
    logStartOffset: view?.logStartOffset ?? -1,
    abortedTransactions,
    records,
    ...(view && { log }),
    ...(error instanceof LogGapError && { gap: error.gap }),
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
