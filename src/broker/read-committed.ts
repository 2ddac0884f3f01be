import { type AbortedTransaction, type AbortedWindow, unpackAborted } from '../log/aborted-transactions.js';
import { recoverLog } from '../log/log-recovery.js';
import type { LogView } from '../log/log-view.js';
import { KafkaError } from '../protocol/errors.js';
import { batchesIn, isControl } from '../record/batch-header.js';
import type { LogId } from '../storage/log-store.js';
import type { ReadContext } from './read-context.js';

/** Aborted transactions of one log that are remembered for readers of its past; about a megabyte. */
const MAX_WINDOW = 16 * 1024;

export interface CommittedRead {
  /** Chunks of whole batches, all below the last stable offset; what is aborted is among them. */
  readonly records: readonly Uint8Array[];
  /** Those that overlap what is read, by first offset: a reader drops their records. */
  readonly abortedTransactions: readonly { readonly producerId: number; readonly firstOffset: number }[];
}

export interface CommittedReadRequest {
  readonly log: LogId;
  readonly view: LogView;
  readonly fetchOffset: number;
  /** Read from there. */
  readonly records: readonly Uint8Array[];
}

/** Of logs whose past somebody reads. */
const pasts = new WeakMap<LogView, AbortedWindow>();

/**
 * What read_committed may see of what was read from a log with transactions: Kafka's collectAbortedTransactions over our
 * segments.
 */
export async function committedPart(
  context: Pick<ReadContext, 'store' | 'clock' | 'parts'>,
  request: CommittedReadRequest,
): Promise<CommittedRead> {
  const { chunks, endOffset, markers } = below(request.records, request.view.lastStableOffset);
  if (chunks.length === 0) return { records: [], abortedTransactions: [] };
  const aborted = await abortedBetween(context, request, endOffset);
  // A window may remember one that compaction has removed with its marker: nothing would tell the reader that it ended.
  const known = aborted.filter(({ lastOffset }) => lastOffset >= endOffset || markers.has(lastOffset));
  return { records: chunks, abortedTransactions: inOrder(known) };
}

/** The last stable offset by what the database holds now. */
export async function storedLastStableOffset(
  { store, clock, parts }: Pick<ReadContext, 'store' | 'clock' | 'parts'>,
  log: LogId,
): Promise<number> {
  const { committed } = await recoverLog(store, log, { nowMs: clock.wallMs(), transactions: parts.transactions });
  return committed.transactions?.lastStableOffset ?? committed.highWatermark;
}

interface StablePart {
  readonly chunks: Uint8Array[];
  readonly endOffset: number;
  /** The offsets of all markers in it. */
  readonly markers: ReadonlySet<number>;
}

/** The batches below `stableOffset`, and where they end. */
function below(records: readonly Uint8Array[], stableOffset: number): StablePart {
  const chunks: Uint8Array[] = [];
  const markers = new Set<number>();
  let endOffset = 0;
  for (const chunk of records) {
    let size = 0;
    for (const { header, at } of batchesIn(chunk)) {
      if (header.baseOffset >= stableOffset) break;
      size = at + header.sizeInBytes;
      endOffset = header.baseOffset + header.lastOffsetDelta + 1;
      if (isControl(header) && header.recordCount > 0) markers.add(header.baseOffset);
    }
    if (size > 0) chunks.push(size === chunk.length ? chunk : chunk.slice(0, size));
    if (size < chunk.length) break;
  }
  return { chunks, endOffset, markers };
}

/** Those that have a part in [fetchOffset, endOffset): their marker is not before it, their first record not behind. */
async function abortedBetween(
  context: Pick<ReadContext, 'store' | 'clock' | 'parts'>,
  { log, view, fetchOffset }: CommittedReadRequest,
  endOffset: number,
): Promise<AbortedTransaction[]> {
  const found: AbortedTransaction[] = [];
  for (let from = fetchOffset; ; ) {
    const window = await windowFrom(context, { log, view, fromOffset: from });
    for (const each of window.aborted) {
      if (each.lastOffset < from) continue;
      if (each.firstOffset < endOffset) found.push(each);
      if (each.lastStableOffset >= endOffset) return found;
    }
    // All that begins below the last stable offset, which endOffset does not pass, had ended at the view's end.
    if (window.endOffset <= from || window.endOffset >= view.highWatermark) return found;
    from = window.endOffset;
  }
}

async function windowFrom(
  context: Pick<ReadContext, 'store' | 'clock' | 'parts'>,
  { log, view, fromOffset }: { readonly log: LogId; readonly view: LogView; readonly fromOffset: number },
): Promise<AbortedWindow> {
  const holds = (window: AbortedWindow | undefined): window is AbortedWindow =>
    window !== undefined && window.fromOffset <= fromOffset && fromOffset < window.endOffset;
  const past = pasts.get(view);
  if (holds(view.aborted)) return view.aborted;
  if (holds(past)) return past;
  const read = await storedWindow(context, log, view, fromOffset);
  pasts.set(view, read);
  return read;
}

/**
 * All from `fromOffset` on that the database knows, or as many as may be remembered.
 * @throws KafkaError OFFSET_OUT_OF_RANGE, UNKNOWN_TOPIC_OR_PARTITION: what is there was deleted, and the rows that told of it.
 */
async function storedWindow(
  { store, clock, parts }: Pick<ReadContext, 'store' | 'clock' | 'parts'>,
  log: LogId,
  view: LogView,
  fromOffset: number,
): Promise<AbortedWindow> {
  const options = { nowMs: clock.wallMs(), transactions: parts.transactions };
  const { committed, state } = await recoverLog(store, log, options); // before the rows: none is then missing between them
  const active = committed.transactions?.aborted ?? [];
  const rows = await store.segments(log);
  const { logStartOffset, sealedEndOffset, lastOffset = -1 } = await store.ends(log);
  const isLess = (rows[0]?.baseOffset ?? state.segment.baseOffset) > logStartOffset;
  // With a topic, the rows of its segments go behind all others; damage alone takes not all of those.
  if (lastOffset < sealedEndOffset && (isLess || committed.highWatermark < view.highWatermark)) {
    throw new KafkaError('UNKNOWN_TOPIC_OR_PARTITION', `log ${log} is being deleted with its topic`);
  }
  if (logStartOffset > fromOffset) {
    throw new KafkaError('OFFSET_OUT_OF_RANGE', `log ${log} begins at offset ${logStartOffset}, found ${fromOffset}`);
  }
  const closed = rows.flatMap(({ abortedTransactions }) => unpackAborted(abortedTransactions));
  const isClosed = new Set(closed.map(({ lastOffset }) => lastOffset));
  const all = [...closed, ...active.filter(({ lastOffset }) => !isClosed.has(lastOffset))];
  const aborted = all.filter(({ lastOffset }) => lastOffset >= fromOffset && lastOffset < committed.highWatermark);
  if (aborted.length <= MAX_WINDOW) return { fromOffset, endOffset: committed.highWatermark, aborted };
  const kept = aborted.slice(0, MAX_WINDOW);
  return { fromOffset, endOffset: (kept.at(-1)?.lastOffset ?? fromOffset) + 1, aborted: kept };
}

function inOrder(aborted: readonly AbortedTransaction[]): CommittedRead['abortedTransactions'] {
  return aborted
    .map(({ producerId, firstOffset }) => ({ producerId, firstOffset }))
    .sort((a, b) => a.firstOffset - b.firstOffset);
}
