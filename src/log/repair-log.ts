import { batchSpanAt } from '../record/batch-header.js';
import { gapBatches } from '../record/gap-batch.js';
import { MAX_ROW_BYTES, type SegmentRow } from '../storage/log-store.js';
import type { RawChunk } from '../storage/raw-log-store.js';
import { publishStaged, SealedSegmentBuilder } from '../storage/sealed-segment.js';
import { concatBytes } from '../util/bytes.js';
import { type CheckedLog, type CheckedPiece, checkLog, type LogToCheck } from './check-log.js';
import type { RowPart } from './check-row.js';

export interface LogToRepair extends LogToCheck {
  readonly leaderEpoch: number;
}

/**
 * Puts right what can be put right: rows get their keys and batches their offsets back, what is lost is replaced by a note
 * of the gap, and what is kept of the batches is made anew from them. Nothing sound is touched, no offset moves, and the
 * log ends where it ended. Answers what a check finds afterwards. Nobody may append to the log or delete from it meanwhile.
 * @throws KafkaError FENCED_LEADER_EPOCH, KAFKA_STORAGE_ERROR: a part of it may be done; it may be called again.
 */
export async function repairLog(target: LogToRepair): Promise<CheckedLog> {
  const { store, raw, log, leaderEpoch } = target;
  await store.drain(log, leaderEpoch);
  const { misplaced } = await checkLog(target);
  for (const { row, lastOffset } of misplaced) {
    const [there] = await raw.chunks(log, lastOffset, 1);
    if (there?.lastOffset === lastOffset) continue;
    const moved = { lastOffset, bytes: row.bytes };
    await raw.apply({ log, deleteChunks: [row.lastOffset], putChunks: [moved] }, leaderEpoch);
  }
  await checkLog(target, (piece) => repairPiece(target, piece));
  await store.deleteBefore(log, (await store.ends(log)).logStartOffset, leaderEpoch); // ends what was cut short
  await store.sweepSealed(log, leaderEpoch);
  await repairKept(target, await checkLog(target));
  return checkLog(target);
}

async function repairPiece(target: LogToRepair, piece: CheckedPiece): Promise<void> {
  if (piece.isDoubtful) return;
  if (piece.sealed !== undefined) return repairSealed(target, piece);
  const { raw, log, leaderEpoch } = target;
  const rows = rowsOf(piece, leaderEpoch);
  const isGone = rows.every(({ lastOffset }) => lastOffset !== piece.row.lastOffset);
  await raw.apply({ log, putChunks: rows, ...(isGone && { deleteChunks: [piece.row.lastOffset] }) }, leaderEpoch);
}

/** As a rule one row in the place of one; a note of a gap may make it too large. */
function rowsOf({ parts }: CheckedPiece, leaderEpoch: number): RawChunk[] {
  const rows: { lastOffset: number; bytes: Uint8Array[]; size: number }[] = [];
  for (const { batches, nextOffset } of parts.map((part) => written(part, leaderEpoch))) {
    for (const batch of batches) {
      const row = rows.at(-1);
      const lastOffset = Math.min(batchSpanAt(batch, 0).lastOffset, nextOffset - 1);
      if (row !== undefined && row.size + batch.byteLength <= MAX_ROW_BYTES) {
        row.bytes.push(batch);
        row.size += batch.byteLength;
        row.lastOffset = lastOffset;
      } else rows.push({ lastOffset, bytes: [batch], size: batch.byteLength });
    }
  }
  return rows.map(({ lastOffset, bytes }) => ({ lastOffset, bytes: concatBytes(bytes) }));
}

/** The bytes of a part, or the note that stands in its place. */
function written(
  { fromOffset, nextOffset, bytes }: RowPart,
  leaderEpoch: number,
): { readonly batches: readonly Uint8Array[]; readonly nextOffset: number } {
  return { batches: bytes === undefined ? gapBatches(fromOffset, nextOffset, leaderEpoch) : [bytes], nextOffset };
}

/** Writes a sealed segment anew, from what of it is sound. */
async function repairSealed({ store, log, leaderEpoch }: LogToRepair, { sealed, parts }: CheckedPiece): Promise<void> {
  if (sealed === undefined) return;
  const { baseOffset, nextOffset } = sealed;
  const builder = new SealedSegmentBuilder(log, baseOffset);
  for (const part of parts) for (const batch of written(part, leaderEpoch).batches) builder.add(batch);
  const isWithin = (row: SegmentRow): boolean => row.baseOffset >= baseOffset && row.nextOffset <= nextOffset;
  const segments = (await store.segments(log)).filter(isWithin);
  const staged = await store.stageSealed(builder.finish(nextOffset), leaderEpoch);
  await publishStaged(store, { log, baseOffset, nextOffset, sealed: [staged], segments }, leaderEpoch);
}

/** Rows of segments and the checkpoint, from the batches; producers that only the old checkpoint knows stay known. */
export async function repairKept({ raw, log, leaderEpoch, recovery }: LogToRepair, checked: CheckedLog): Promise<void> {
  const { state, segments, otherProducers, findings } = checked;
  if (findings.some(({ kind }) => kind === 'leftover')) return; // it is not whole yet: another check is due
  const ids = new Set(otherProducers.map(({ producerId }) => producerId));
  const { offset, producers } = state.producers.snapshot();
  const all = [...producers.filter(({ producerId }) => !ids.has(producerId)), ...otherProducers];
  state.producers.load({ offset, producers: all }, recovery.nowMs);
  const last = segments.at(-1);
  const startPosition = last === undefined ? state.segment.startPosition : last.startPosition + last.byteCount;
  const segment = { ...state.segment, startPosition };
  const checkpoint = { log, offset: state.nextOffset, snapshot: { ...state.snapshot(), segment } };
  await raw.apply({ log, segments, checkpoint }, leaderEpoch);
}
