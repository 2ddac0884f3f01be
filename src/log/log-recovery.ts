import { KafkaError } from '../protocol/errors.js';
import { batchesIn, isTransactional, lastOffsetOf, wholeBatchesEnd } from '../record/batch-header.js';
import type { LogEnds, LogId, LogStore } from '../storage/log-store.js';
import { asLogSnapshot, LogState, type TransactionsPart } from './log-state.js';
import type { LogAdvance } from './log-view.js';
import type { ProducerStateConfig } from './producer-state.js';

const READ_BYTES = 1024 * 1024;

export interface RecoveredLog {
  readonly state: LogState;
  readonly logStartOffset: number;
  /** As a leader that comes to this state would tell it. */
  readonly committed: Pick<LogAdvance, 'logStartOffset' | 'highWatermark' | 'transactions'>;
  /** What lies behind the checkpoint: counts towards the next one. */
  readonly replayed: ReplayedPart;
}

export interface RecoveryOptions extends Partial<ProducerStateConfig> {
  readonly nowMs: number;
  /** Asked for where the log has transactions. */
  readonly transactions: () => Promise<TransactionsPart>;
}

export interface ReplayedPart {
  readonly bytes: number;
  readonly batches: number;
}

/**
 * The state of a log as the store has it: the last checkpoint, then the heads of the batches behind it. Checkpoints
 * ride in the commits (see CHECKPOINT_BYTES), so that the time this takes does not grow with the log.
 *
 * Where the last chunk breaks off, the batch that is not whole is left out, and nothing before it. Its offsets are not
 * given again: what was there may have been read.
 * @throws KafkaError KAFKA_STORAGE_ERROR: the store does not answer, or the log has a hole. COORDINATOR_NOT_AVAILABLE:
 *   the part for transactions could not be loaded.
 */
export async function recoverLog(store: LogStore, log: LogId, options: RecoveryOptions): Promise<RecoveredLog> {
  const ends = await store.ends(log);
  const { logStartOffset, sealedEndOffset } = ends;
  const endOffset = ends.lastOffset === undefined ? logStartOffset : ends.lastOffset + 1;
  const { nowMs } = options;
  const state = await stateAtCheckpoint(ends, endOffset, options);
  const replayed = { bytes: 0, batches: 0 };
  while (state.nextOffset < endOffset) {
    const before = state.nextOffset;
    const chunks = await store.read(log, before, READ_BYTES);
    let breaksOff = false;
    for (const chunk of chunks) {
      for (const { header, at } of batchesIn(chunk)) {
        if (lastOffsetOf(header) < state.nextOffset) continue;
        if (header.baseOffset > Math.max(state.nextOffset, sealedEndOffset)) {
          if (!breaksOff) throw holeError(log, state.nextOffset, `one at ${header.baseOffset}`);
          state.brokenOff(header.baseOffset);
        }
        if (!state.takesTransactions && isTransactional(header)) state.takeTransactions(await options.transactions());
        const batch = state.read(chunk, { header, at });
        state.adopt([batch], state.stage([batch], 'replication', nowMs));
        replayed.bytes += header.sizeInBytes;
        replayed.batches++;
      }
      breaksOff = wholeBatchesEnd(chunk) < chunk.length;
    }
    if (state.nextOffset > before) continue;
    if (before < sealedEndOffset) {
      state.skipTo(sealedEndOffset); // the rest of what is sealed was compacted away
      continue;
    }
    if (chunks.length !== 1) throw holeError(log, before, 'nothing');
    state.brokenOff(endOffset);
  }
  const bounds = { logStartOffset, highWatermark: endOffset };
  const transactions = state.committed(state.segment.baseOffset, bounds);
  const aborted = state.transactions?.aborted() ?? [];
  const committed = { ...bounds, ...(transactions && { transactions: { ...transactions, aborted } }) };
  return { state, logStartOffset, committed, replayed };
}

async function stateAtCheckpoint(
  ends: LogEnds,
  endOffset: number,
  { nowMs, transactions, ...producerConfig }: RecoveryOptions,
): Promise<LogState> {
  const { checkpoint, lastSegment, logStartOffset } = ends;
  const usable = checkpoint !== undefined && checkpoint.offset <= Math.max(endOffset, logStartOffset);
  const snapshot = usable ? asLogSnapshot(checkpoint.snapshot) : undefined;
  const state = new LogState(logStartOffset, snapshot, nowMs, producerConfig);
  if (snapshot?.transactions !== undefined) state.takeTransactions(await transactions(), snapshot);
  if (lastSegment !== undefined) state.segmentClosed(lastSegment);
  return state;
}

function holeError(log: LogId, offset: number, found: string): KafkaError {
  return new KafkaError('KAFKA_STORAGE_ERROR', `log ${log}: expected a batch at offset ${offset}, found ${found}`);
}
