/**
 * Our broker's parts as the conformance runner of `broker` wants them (see the README beside the runner). Nothing of the
 * behaviour is here: only Kafka's names of operations, errors and fields, and the snapshot files that Kafka's
 * ProducerStateManager keeps itself, while our log has one checkpoint in the store.
 */
import { assignRange, assignRoundRobin, type Member } from '../../../src/client/consumer/assignors.js';
import {
  type EpochEntry,
  endOffsetFor,
  epochEntry,
  epochForOffset,
  type LeaderEpochs,
  nextEntry,
  previousEntry,
  truncatedFromEnd,
  truncatedFromStart,
  withEpoch,
} from '../../../src/log/leader-epochs.js';
import {
  emptyEntry,
  firstOffsetOfBatch,
  firstSequenceOf,
  lastSequence,
  type ProducerAppend,
  type ProducerEntry,
  type ProducerOrigin,
  type ProducerSnapshot,
  type ProducerStateConfig,
} from '../../../src/log/producer-state.js';
import {
  appendEndMarker,
  type CompletedTransaction,
  type EndTransactionMarker,
  TransactionalProducers,
  type TransactionConfig,
} from '../../../src/log/transactional-producers.js';
import { KafkaError, type KafkaErrorName } from '../../../src/protocol/errors.js';
import { compactedLog } from './compacted-log.js';

export function createBrokerDriver(): object {
  return { leaderEpochCache, producerState: producerStates(), assign, compactedLog };
}

const ASSIGNORS = new Map([
  ['range', assignRange],
  ['roundrobin', assignRoundRobin],
]);

interface AssignorCase {
  readonly topics: Readonly<Record<string, number>>;
  readonly members: Readonly<
    Record<string, { readonly topics: readonly string[]; readonly instanceId: string | null }>
  >;
}

function assign(kind: string, { topics, members }: AssignorCase): object | null {
  const assignor = ASSIGNORS.get(kind);
  if (assignor === undefined) return null;
  const list = Object.entries(members).map(
    ([memberId, member]): Member => ({ memberId, groupInstanceId: member.instanceId, topics: member.topics }),
  );
  const assignments = assignor(list, new Map(Object.entries(topics)));
  return Object.fromEntries(
    Array.from(assignments, ([memberId, partitions]) => [memberId, partitions.map((at) => [at.topic, at.partition])]),
  );
}

function leaderEpochCache(): object {
  let cache: LeaderEpochs = [];
  const pair = (entry: EpochEntry | undefined): number[] | null => (entry ? [entry.epoch, entry.startOffset] : null);
  const becomes = (next: LeaderEpochs): void => {
    cache = next;
  };
  return {
    assign: (epoch: number, startOffset: number) => becomes(withEpoch(cache, epoch, startOffset)),
    endOffsetFor: (epoch: number, logEndOffset: number) => Object.values(endOffsetFor(cache, epoch, logEndOffset)),
    latestEpoch: () => cache.at(-1)?.epoch ?? null,
    epochEntries: () => cache.map(pair),
    previousEpoch: (epoch = cache.at(-1)?.epoch ?? 0) => previousEntry(cache, epoch)?.epoch ?? null,
    nextEpoch: (epoch: number) => nextEntry(cache, epoch)?.epoch ?? null,
    epochEntry: (epoch: number) => pair(epochEntry(cache, epoch)),
    previousEntry: (epoch: number) => pair(previousEntry(cache, epoch)),
    epochForOffset: (offset: number) => epochForOffset(cache, offset) ?? null,
    truncateFromEnd: (offset: number) => becomes(truncatedFromEnd(cache, offset)),
    truncateFromStart: (offset: number) => becomes(truncatedFromStart(cache, offset)),
    clear: () => becomes([]),
  };
}

interface Step {
  readonly op: string;
  readonly args?: readonly never[];
  readonly [field: string]: unknown;
}

/** Kafka's snapshot files of one log: shared by all instances of a case. */
type Snapshots = Map<number, ProducerSnapshot>;

type StateConfig = ProducerStateConfig & TransactionConfig;

/** A case is over when an instance number comes up again. */
function producerStates(): (config: StateConfig & { readonly instance: number }) => object {
  let snapshots: Snapshots = new Map();
  const seen = new Set<number>();
  return (config) => {
    if (seen.has(config.instance) || config.instance === 0) {
      seen.clear();
      snapshots = new Map();
    }
    seen.add(config.instance);
    return producerState(config, snapshots);
  };
}

function producerState(config: StateConfig, snapshots: Snapshots): object {
  const state = new TransactionalProducers(config);
  const { producers } = state;
  const handles = new Map<number, { readonly append: ProducerAppend; readonly before: ProducerEntry }>();
  let lastSnapshotOffset = 0;

  const newest = (): number | undefined => [...snapshots.keys()].sort((a, b) => b - a)[0];
  const handle = (step: Step) => {
    const found = handles.get(step['handle'] as number);
    if (found === undefined) throw new Error(`no handle ${step['handle']}`);
    return found;
  };

  const operations: Record<string, (step: Step, ...args: never[]) => unknown> = {
    append(step) {
      const append = producers.prepare(step['pid'] as number, step['origin'] as ProducerOrigin);
      const [sequence, offset] = [step['seq'] as number, step['offset'] as number];
      append.appendBatch(batchOf({ ...step, firstSeq: sequence, lastSeq: sequence, lastOffset: offset }));
      state.update(append);
      producers.advanceTo(offset + 1);
    },
    endTxn(step) {
      const append = producers.prepare(step['pid'] as number, 'coordinator');
      const completed = appendEndMarker(append, markerOf(step));
      state.update(append);
      if (completed) state.completeTransaction(completed);
      producers.advanceTo((step['offset'] as number) + 1);
      return completed && { ...completed, isAborted: completed.aborted };
    },
    prepare(step) {
      const append = producers.prepare(step['pid'] as number, step['origin'] as ProducerOrigin);
      handles.set(step['handle'] as number, { append, before: append.entry });
    },
    appendDataBatch(step) {
      handle(step).append.appendBatch(batchOf(step));
      return appended(handle(step));
    },
    appendEndTxnMarker(step) {
      const completed = appendEndMarker(handle(step).append, markerOf(step));
      return completed && { ...completed, isAborted: completed.aborted };
    },
    toEntry: (step) => appended(handle(step)),
    startedTransactions: (step) => handle(step).append.startedTransactions,
    completeTxn: (_step, completed: CompletedTransaction) => state.completeTransaction(completed),
    lastStableOffset: (_step, completed: CompletedTransaction) => state.lastStableOffsetAfter(completed),
    update: (step) => state.update(handle(step).append),
    lastEntry: (step) => fieldsOf(producers.entry(step['pid'] as number)),

    truncateAndReload(_step, logStartOffset: number, logEndOffset: number, nowMs: number) {
      for (const offset of snapshots.keys()) {
        if (offset > logEndOffset || offset <= logStartOffset) snapshots.delete(offset);
      }
      state.truncateAndReload({ logStartOffset, logEndOffset }, snapshots.get(newest() ?? -1), nowMs);
      lastSnapshotOffset = newest() ?? logStartOffset;
    },
    truncateFullyAndStartAt(_step, offset: number) {
      snapshots.clear();
      state.reset(offset);
      lastSnapshotOffset = 0;
    },
    takeSnapshot() {
      if (producers.mapEndOffset <= lastSnapshotOffset) return;
      snapshots.set(producers.mapEndOffset, asKafkaFile(producers.snapshot()));
      lastSnapshotOffset = producers.mapEndOffset;
    },
    latestSnapshotOffset: () => newest(),
    currentSnapshotOffsets: () => [...snapshots.keys()].sort((a, b) => a - b),
    oldestSnapshotOffset: () => [...snapshots.keys()].sort((a, b) => a - b)[0],
    fetchSnapshot: (_step, offset: number) => (snapshots.has(offset) ? offset : null),
    snapshotFileForOffset: (_step, offset: number) => (snapshots.has(offset) ? offset : null),
    removeAndMarkSnapshotForDeletion: (_step, offset: number) => (snapshots.delete(offset) ? offset : null),
    deleteSnapshotsBefore(_step, offset: number) {
      for (const at of snapshots.keys()) if (at < offset) snapshots.delete(at);
    },
    onLogStartOffsetIncremented(_step, offset: number) {
      state.logStartAdvanced(offset);
      lastSnapshotOffset = newest() ?? offset;
    },
    onHighWatermarkUpdated: (_step, offset: number) => state.highWatermarkAdvanced(offset),
    removeExpiredProducers: (_step, nowMs: number) => producers.removeExpired(nowMs),
    updateMapEndOffset: (_step, offset: number) => producers.advanceTo(offset),
    firstUnstableOffset: () => offsetMetadata(state.firstUnstableOffset()),
    firstUndecidedOffset: () => state.firstUndecidedOffset(),
    hasLateTransaction: (_step, nowMs: number) => state.hasLateTransaction(nowMs),
    mapEndOffset: () => producers.mapEndOffset,
    isEmpty: () => state.isEmpty,
    producerIdCount: () => producers.producers().size,
    activeProducers: () => ActiveProducers.from(producers.producers().values()),
  };

  return {
    apply(step: Step): unknown {
      const operation = operations[step.op];
      if (operation === undefined) throw new Error(`unknown operation ${step.op}`);
      return withKafkaNames(() => operation(step, ...(step.args ?? [])));
    },
  };
}

/**
 * Kafka's map of all producers. The cases leave out which key they ask for: they ask for its size, or for the fields of the
 * one producer that there is, perhaps as the next of its values.
 */
class ActiveProducers extends Array<ProducerEntry> {
  get containsKey(): boolean {
    return this.length > 0;
  }

  get keySet(): readonly number[] {
    return Array.from(this, ({ producerId }) => producerId);
  }

  static {
    for (const way of ['values', 'iterator', 'next']) {
      Object.defineProperty(ActiveProducers.prototype, way, {
        get(this: ActiveProducers): ActiveProducers {
          return this;
        },
      });
    }
    for (const field of Object.keys(fieldsOf(emptyEntry(0)) ?? {})) {
      Object.defineProperty(ActiveProducers.prototype, field, {
        get(this: ActiveProducers): unknown {
          return (fieldsOf(this[0]) as Record<string, unknown> | null)?.[field] ?? null;
        },
      });
    }
  }
}

/** Kafka's LogOffsetMetadata: the cases may ask for it as a whole, which is its offset, or for that by name. */
function offsetMetadata(messageOffset: number | undefined): object | null {
  return messageOffset === undefined ? null : { messageOffset, toJSON: () => messageOffset };
}

/** Kafka's snapshot file has room for a producer's last batch only; ours keeps all that are remembered. */
function asKafkaFile(snapshot: ProducerSnapshot): ProducerSnapshot {
  return {
    ...snapshot,
    producers: snapshot.producers.map((entry) => ({ ...entry, batches: entry.batches.slice(-1) })),
  };
}

/** The entry with the batches of this append alone, as Kafka's ProducerAppendInfo shows it. */
function appended({
  append,
  before,
}: {
  readonly append: ProducerAppend;
  readonly before: ProducerEntry;
}): object | null {
  const old = new Set(before.batches);
  return fieldsOf({ ...append.entry, batches: append.entry.batches.filter((batch) => !old.has(batch)) });
}

function fieldsOf(entry: ProducerEntry | undefined): object | null {
  if (entry === undefined) return null;
  const [first, last] = [entry.batches[0], entry.batches.at(-1)];
  return {
    producerId: entry.producerId,
    producerEpoch: entry.producerEpoch,
    firstSeq: first ? firstSequenceOf(first) : -1,
    lastSeq: lastSequence(entry),
    firstDataOffset: first ? firstOffsetOfBatch(first) : -1,
    lastDataOffset: last?.lastOffset ?? -1,
    lastOffsetDelta: last?.offsetDelta ?? 0,
    lastTimestamp: entry.lastTimestampMs,
    coordinatorEpoch: entry.coordinatorEpoch,
    currentTxnFirstOffset: entry.currentTxnFirstOffset ?? null,
    isEmpty: entry.batches.length === 0,
  };
}

function batchOf(step: Readonly<Record<string, unknown>>): Parameters<ProducerAppend['appendBatch']>[0] {
  return {
    producerEpoch: step['epoch'] as number,
    firstSequence: step['firstSeq'] as number,
    lastSequence: step['lastSeq'] as number,
    firstOffset: step['offset'] as number,
    lastOffset: step['lastOffset'] as number,
    maxTimestampMs: step['ts'] as number,
    transactional: step['txn'] as boolean,
  };
}

function markerOf(step: Step): EndTransactionMarker {
  return {
    type: step['type'] as 'commit' | 'abort',
    producerEpoch: step['epoch'] as number,
    coordinatorEpoch: step['coordinatorEpoch'] as number,
    offset: step['offset'] as number,
    timestampMs: step['ts'] as number,
  };
}

const EXCEPTION_NAMES: Partial<Record<KafkaErrorName, string>> = {
  OUT_OF_ORDER_SEQUENCE_NUMBER: 'OutOfOrderSequenceException',
  INVALID_PRODUCER_EPOCH: 'InvalidProducerEpochException',
  INVALID_TXN_STATE: 'InvalidTxnStateException',
  TRANSACTION_COORDINATOR_FENCED: 'TransactionCoordinatorFencedException',
};

/** Kafka's Java client calls its errors by other names than the protocol. */
function withKafkaNames<T>(operation: () => T): T {
  try {
    return operation();
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error;
    throw Object.assign(new Error(error.message, { cause: error }), {
      name: EXCEPTION_NAMES[error.type] ?? error.type,
    });
  }
}
