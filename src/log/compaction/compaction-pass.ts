import { KafkaError } from '../../protocol/errors.js';
import type { TopicConfig } from '../../protocol/topic-config.js';
import { type BatchAt, batchesIn, lastOffsetOf, readBatchHeader, verifyBatch } from '../../record/batch-header.js';
import type { BatchHeader } from '../../record/record.js';
import type { LogId, SegmentRow } from '../../storage/log-store.js';
import type { AbortedTransaction } from '../aborted-transactions.js';
import { type ActiveSegmentState, addBatch, closedRow, emptySegment } from '../active-segment.js';
import type { BatchKeys } from '../batch-keys.js';
import type { LogLayout } from '../log-layout.js';
import { WholeStretch } from '../whole-stretch.js';
import type { RetentionRules } from './batch-retention.js';
import { type Cleaning, cleanBatch } from './clean-batch.js';
import type { CleanablePart } from './cleanable-part.js';
import { CleanedTransactions } from './cleaned-transactions.js';
import { OffsetMap } from './offset-map.js';
import { OffsetMapBuilder } from './offset-map-builder.js';
import { segmentGroups } from './segment-groups.js';

const READ_BYTES = 256 * 1024;

/** A log as a pass sees it: what lies below the end of its part does not change but for the pass itself. */
export interface LogToClean {
  readonly log: LogId;
  /** Closed, oldest first. */
  readonly segments: readonly SegmentRow[];
  /** In any order. */
  readonly abortedTransactions: readonly AbortedTransaction[];
  readonly producer: RetentionRules['producer'];
  /** With it the pass finds out whether what it reads is all that there is. */
  readonly layout?: Pick<LogLayout, 'logStartOffset' | 'sealed'>;
  /** Whole batches from the one that holds `offset` on, none that lies wholly at or above `endOffset`. */
  read(offset: number, maxBytes: number, endOffset: number): Promise<readonly Uint8Array[]>;
}

export interface PassRules extends Pick<TopicConfig, 'deleteRetentionMs' | 'segmentBytes'> {
  readonly nowMs: number;
  /** Of the offset map: see `slotsWithin`. */
  readonly mapSlots: number;
  /** For what is encrypted; undefined: that is kept whole. */
  readonly batchKeys?: BatchKeys | undefined;
}

/** What is to take the place of neighbouring segments, all at once. */
export interface CleanedSegments {
  readonly replaced: readonly [SegmentRow, ...SegmentRow[]];
  /** Whole batches, back to back as they are; perhaps none. */
  readonly batches: readonly Uint8Array[];
  /** The one segment that they make. */
  readonly row: SegmentRow;
  /** False where everything stays as it is, in the one segment that it was. */
  readonly isChanged: boolean;
  /** Of the last batch that was there before. */
  readonly lastBatch: BatchHeader | undefined;
  /** Of the aborted transactions with a marker in `replaced`, those that had data left (Kafka's index). */
  readonly abortedTransactions: readonly AbortedTransaction[];
}

/**
 * One pass of compaction over `part` of a log (Kafka's Cleaner.doClean): reads the dirty end and notes the last offset of
 * each key, as far as the map goes; then reads the log from its start and leaves out of each batch what is not needed any
 * more. Yields what is to be replaced, oldest first; the caller replaces each before it asks for the next, and may stop
 * at any time: a pass that begins anew comes to the same log. Returns where the next pass's dirty part begins.
 *
 * In memory are the map and one group of segments, of at most about `segment.bytes`.
 * @throws KafkaError CORRUPT_MESSAGE: a damaged batch; what was yielded before is sound. KAFKA_STORAGE_ERROR
 */
export async function* compactionPass(
  log: LogToClean,
  part: CleanablePart,
  rules: PassRules,
): AsyncGenerator<CleanedSegments, number, undefined> {
  const { nowMs, deleteRetentionMs, batchKeys } = rules;
  const { endOffset } = part;
  const dirty = await readDirtyPart(log, part, rules);
  const passEnd = dirty.latestOffset + 1;
  const segments = log.segments.filter(({ baseOffset }) => baseOffset < passEnd);
  const transactions = new CleanedTransactions(log.abortedTransactions);
  const { producer } = log;
  const cleaning: Cleaning = { nowMs, deleteRetentionMs, endOffset, producer, dirty, transactions, batchKeys };
  for (const group of segmentGroups(segments, rules.segmentBytes)) yield await cleanSegments(log, group, cleaning);
  return passEnd;
}

async function readDirtyPart(
  log: LogToClean,
  { firstDirtyOffset, endOffset }: CleanablePart,
  { mapSlots, batchKeys }: PassRules,
): Promise<OffsetMapBuilder['dirty']> {
  const inPart = log.abortedTransactions.filter((transaction) => {
    return transaction.lastOffset >= firstDirtyOffset && transaction.firstOffset < endOffset;
  });
  const transactions = new CleanedTransactions(inPart);
  const builder = new OffsetMapBuilder(new OffsetMap(mapSlots), { transactions, firstDirtyOffset, batchKeys });
  const segments = log.segments.values();
  let segment = segments.next().value;
  for await (const { bytes, batch } of batchesBetween(log, firstDirtyOffset, endOffset)) {
    // What the segments before are missing at their ends is a gap: a map that is full does not hold up the pass there.
    for (; segment && segment.baseOffset <= batch.header.baseOffset; segment = segments.next().value) {
      builder.reached(segment.baseOffset);
    }
    if (!(await builder.add(bytes, batch))) return builder.dirty;
  }
  builder.reached(endOffset);
  return builder.dirty;
}

async function cleanSegments(
  log: LogToClean,
  replaced: readonly [SegmentRow, ...SegmentRow[]],
  cleaning: Cleaning,
): Promise<CleanedSegments> {
  const [first] = replaced;
  const { nextOffset } = replaced.at(-1) ?? first;
  const retainedBefore = cleaning.transactions.retained.length;
  const batches: Uint8Array[] = [];
  let segment: ActiveSegmentState = emptySegment(first.baseOffset, first.startPosition);
  let isChanged = replaced.length > 1;
  let lastBatch: BatchHeader | undefined;
  for await (const { bytes, batch } of batchesBetween(log, first.baseOffset, nextOffset)) {
    lastBatch = batch.header;
    const cleaned = await cleanBatch(bytes, batch, cleaning);
    isChanged ||= cleaned === undefined || cleaned.buffer !== bytes.buffer;
    if (cleaned === undefined) continue;
    batches.push(cleaned);
    segment = addBatch(segment, readBatchHeader(cleaned));
  }
  const abortedTransactions = cleaning.transactions.retained.slice(retainedBefore);
  const row = { ...closedRow(log.log, segment, nextOffset), ...inheritedBy(replaced, segment.byteCount) };
  return { replaced, batches, row, isChanged, lastBatch, abortedTransactions };
}

/** What follows still begins where it did; what earlier passes have done stays known. */
function inheritedBy(
  replaced: readonly [SegmentRow, ...SegmentRow[]],
  byteCount: number,
): Pick<SegmentRow, 'startPosition' | 'cleanedOffset'> {
  const last = replaced.at(-1) ?? replaced[0];
  const cleanedOffset = replaced.findLast((row) => row.cleanedOffset !== undefined)?.cleanedOffset;
  const startPosition = last.startPosition + last.byteCount - byteCount;
  return cleanedOffset === undefined ? { startPosition } : { startPosition, cleanedOffset };
}

/** The batches with an offset in [from, to), where a segment ends, in order, their checksums looked at. */
async function* batchesBetween(
  log: LogToClean,
  from: number,
  to: number,
): AsyncGenerator<{ readonly bytes: Uint8Array; readonly batch: BatchAt }, void, undefined> {
  const segmentOffset = log.segments.findLast(({ baseOffset }) => baseOffset <= from)?.baseOffset ?? 0;
  const whole = log.layout && new WholeStretch({ ...log.layout, log: log.log, fromOffset: from, segmentOffset });
  for (let next = from; next < to; ) {
    const before = next;
    const chunks = await log.read(next, READ_BYTES, to);
    if (chunks.length === 0) break; // a gap up to the end
    for (const bytes of chunks) {
      for (const { header, at } of batchesIn(bytes)) {
        // A row may begin before what is asked for; behind that, nothing is passed over.
        if (lastOffsetOf(header) < (next === before ? next : from)) continue;
        if (header.baseOffset >= to) return whole?.end(to);
        const isPart = whole?.take(header, bytes, at) ?? true;
        if (isPart) yield { bytes, batch: { header: verifyBatch(bytes, at), at } };
        next = lastOffsetOf(header) + 1;
      }
    }
    if (next === before)
      throw new KafkaError('CORRUPT_MESSAGE', `log ${log.log}: no whole batch from offset ${next} on`);
  }
  whole?.end(to);
}
