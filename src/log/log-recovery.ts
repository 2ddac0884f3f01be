import { batchesIn, isTransactional, lastOffsetOf } from '../record/batch-header.js';
import type { LogEnds, LogId, LogStore } from '../storage/log-store.js';
import type { KnownHoles } from './known-holes.js';
import { LogGapError } from './log-gap.js';
import { asLogSnapshot } from './log-snapshot.js';
import { LogState, type TransactionsPart } from './log-state.js';
import type { LogAdvance } from './log-view.js';
import type { ProducerStateConfig } from './producer-state.js';
import { readAgainWhereDeleted } from './read-again.js';
import { readSound } from './sound-batches.js';
import type { SoundRead, SoundStretch } from './sound-stretch.js';

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
 * What is damaged is left out, and nothing before or behind it. Its offsets are not given again: what was there may have
 * been read. Nor are those given again that only a checkpoint still knows of.
 * @throws KafkaError KAFKA_STORAGE_ERROR: the store does not answer. COORDINATOR_NOT_AVAILABLE: the part for transactions
 *   could not be loaded.
 */
export function recoverLog(store: LogStore, log: LogId, options: RecoveryOptions): Promise<RecoveredLog> {
  return readAgainWhereDeleted(() => recoverOnce(store, log, options));
}

async function recoverOnce(store: LogStore, log: LogId, options: RecoveryOptions): Promise<RecoveredLog> {
  const ends = await store.ends(log);
  const { logStartOffset } = ends;
  const { nowMs } = options;
  const state = await stateAtCheckpoint(ends, options);
  const endOffset = Math.max(logStartOffset, (ends.lastOffset ?? -1) + 1, state.nextOffset);
  const replayed = { bytes: 0, batches: 0 };
  const holes: KnownHoles = new Map();
  while (state.nextOffset < endOffset) {
    const read = { log, offset: state.nextOffset, maxBytes: READ_BYTES, endOffset, holes };
    const { chunks, nextOffset, isLost } = await readOrSkip(store, read);
    for (const chunk of chunks) {
      for (const { header, at } of batchesIn(chunk)) {
        if (lastOffsetOf(header) < state.nextOffset) continue;
        if (!state.takesTransactions && isTransactional(header)) state.takeTransactions(await options.transactions());
        const batch = state.read(chunk, { header, at });
        state.adopt([batch], state.stage([batch], 'replication', nowMs));
        replayed.bytes += header.sizeInBytes;
        replayed.batches++;
      }
    }
    if (isLost) state.brokenOff(nextOffset);
    else if (chunks.length === 0) state.skipTo(nextOffset > read.offset ? nextOffset : endOffset); // compacted away
  }
  const bounds = { logStartOffset, highWatermark: endOffset };
  const transactions = state.committed(state.segment.baseOffset, bounds);
  const aborted = state.transactions?.aborted() ?? [];
  const committed = { ...bounds, ...(transactions && { transactions: { ...transactions, aborted } }) };
  return { state, logStartOffset, committed, replayed };
}

async function readOrSkip(store: LogStore, read: SoundRead): Promise<SoundStretch & { readonly isLost: boolean }> {
  try {
    return { ...(await readSound(store, read)), isLost: false };
  } catch (error) {
    if (error instanceof LogGapError) return { chunks: [], nextOffset: error.gap.nextOffset, isLost: true };
    throw error;
  }
}

async function stateAtCheckpoint(
  ends: LogEnds,
  { nowMs, transactions, ...producerConfig }: RecoveryOptions,
): Promise<LogState> {
  const { checkpoint, lastSegment, logStartOffset } = ends;
  const snapshot = asLogSnapshot(checkpoint?.snapshot);
  const state = new LogState(logStartOffset, snapshot, nowMs, producerConfig);
  if (snapshot?.transactions !== undefined) state.takeTransactions(await transactions(), snapshot);
  const endOffset = Math.max((ends.lastOffset ?? -1) + 1, state.nextOffset);
  if (lastSegment !== undefined && lastSegment.nextOffset <= endOffset) state.segmentClosed(lastSegment);
  return state;
}
