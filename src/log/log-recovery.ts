import { KafkaError } from '../protocol/errors.js';
import { batchesIn, lastOffsetOf } from '../record/batch-header.js';
import type { LogEnds, LogId, LogStore } from '../storage/log-store.js';
import { asLogSnapshot, LogState } from './log-state.js';

const READ_BYTES = 1024 * 1024;

export interface RecoveredLog {
  readonly state: LogState;
  readonly logStartOffset: number;
  /** What lies behind the checkpoint: counts towards the next one. */
  readonly replayed: ReplayedPart;
}

export interface ReplayedPart {
  readonly bytes: number;
  readonly batches: number;
}

/**
 * The state of a log as the store has it: the last checkpoint, then the heads of the batches behind it. Checkpoints
 * ride in the commits (see CHECKPOINT_BYTES), so that the time this takes does not grow with the log.
 * @throws KafkaError KAFKA_STORAGE_ERROR: the store does not answer, or the log has a hole.
 */
export async function recoverLog(store: LogStore, log: LogId, nowMs: number): Promise<RecoveredLog> {
  const ends = await store.ends(log);
  const { logStartOffset, sealedEndOffset } = ends;
  const endOffset = ends.lastOffset === undefined ? logStartOffset : ends.lastOffset + 1;
  const state = stateAtCheckpoint(ends, endOffset, nowMs);
  const replayed = { bytes: 0, batches: 0 };
  while (state.nextOffset < endOffset) {
    const before = state.nextOffset;
    for (const chunk of await store.read(log, before, READ_BYTES)) {
      for (const { header } of batchesIn(chunk)) {
        if (lastOffsetOf(header) < state.nextOffset) continue;
        if (header.baseOffset > Math.max(state.nextOffset, sealedEndOffset))
          throw holeError(log, state.nextOffset, `one at ${header.baseOffset}`);
        state.adopt([header], state.stage([header], 'replication', nowMs));
        replayed.bytes += header.sizeInBytes;
        replayed.batches++;
      }
    }
    if (state.nextOffset > before) continue;
    if (before >= sealedEndOffset) throw holeError(log, before, 'nothing');
    state.skipTo(sealedEndOffset); // the rest of what is sealed was compacted away
  }
  return { state, logStartOffset, replayed };
}

function stateAtCheckpoint(ends: LogEnds, endOffset: number, nowMs: number): LogState {
  const { checkpoint, lastSegment, logStartOffset } = ends;
  const usable = checkpoint !== undefined && checkpoint.offset <= Math.max(endOffset, logStartOffset);
  const state = new LogState(logStartOffset, usable ? asLogSnapshot(checkpoint.snapshot) : undefined, nowMs);
  if (lastSegment !== undefined) state.segmentClosed(lastSegment);
  return state;
}

function holeError(log: LogId, offset: number, found: string): KafkaError {
  return new KafkaError('KAFKA_STORAGE_ERROR', `log ${log}: expected a batch at offset ${offset}, found ${found}`);
}
