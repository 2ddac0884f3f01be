import { expect, test } from 'vitest';
import { type AbortedTransaction, unpackAborted } from '../../src/log/aborted-transactions.js';
import { type RecoveredLog, recoverLog } from '../../src/log/log-recovery.js';
import type { PartitionLog } from '../../src/log/partition-log.js';
import { KafkaError } from '../../src/protocol/errors.js';
import { batchesIn, isControl, isTransactional, lastOffsetOf } from '../../src/record/batch-header.js';
import { controlRecordType } from '../../src/record/control-record.js';
import { decodeRecords } from '../../src/record/record-batch-decoder.js';
import { wholeBatchesEnd } from '../../src/record/whole-batches.js';
import type { Random } from '../../src/runtime/runtime.js';
import { seededRandom } from '../../src/runtime/seeded-random.js';
import type { LogStore, SegmentRow } from '../../src/storage/log-store.js';
import { MemoryLogStore } from '../../src/storage/memory-log-store.js';
import type { RawChunk, RawLogStore } from '../../src/storage/raw-log-store.js';
import { batch, LOG, leader, MemoryDisk, sequenced, transactional, transactions } from './harness.js';

const OPTIONS = { nowMs: 1_000_000, transactions };
const SEEDS = Array.from({ length: 16 }, (_, seed) => seed);

// Goal: a checkpoint is nothing but a shortcut, and a torn tail costs nothing but itself (S4): wherever the last chunk
// breaks off, recovery with the checkpoint, a replay of the whole log and a dumb model of its whole batches agree on
// producers, epochs, open and aborted transactions, segments and the last stable offset.
// Method: random logs of plain, idempotent and transactional producers with changing epochs, markers and refused
// appends, under three leaders, with small segments; the last chunk, of several batches, is cut at every byte.
test.each(SEEDS)(
  'recovery equals a full replay wherever the last chunk is cut (seed %i)',
  { timeout: 120_000 },
  async (seed) => {
    const disk = new MemoryDisk();
    await writeRandomLog(disk, seededRandom(seed), seed % 3 === 0 ? 20_000 : 60);
    const store = await MemoryLogStore.open(disk, { newIncarnationId: 'test' });
    const chunks = await store.read(LOG, 0, Number.MAX_SAFE_INTEGER);
    const last = chunks.at(-1) ?? new Uint8Array();
    const stride = last.length > 4_000 ? 97 : 1; // bulky ones are there to have checkpoints in mid-log
    for (let cut = last.length; cut > 0; cut -= stride) {
      const torn = cutStore(store, chunks, cut);
      const recovered = await recoverLog(torn, LOG, OPTIONS);
      const replayed = await recoverLog(withoutCheckpoint(torn), LOG, OPTIONS);
      expect(plain(recovered)).toEqual(plain(replayed));
      const whole = [...chunks.slice(0, -1), last.subarray(0, wholeBatchesEnd(last.subarray(0, cut)))];
      await expectModel(torn, recovered, model(whole));
    }
  },
);

interface Model {
  readonly endOffset: number;
  /** First offset by producer. */
  readonly open: ReadonlyMap<number, number>;
  readonly aborted: readonly Omit<AbortedTransaction, 'lastStableOffset'>[];
  /** Epoch and last sequence by producer. */
  readonly producers: ReadonlyMap<number, readonly [epoch: number, lastSequence: number]>;
}

/** What a reader with pen and paper would say of whole batches. */
function model(chunks: readonly Uint8Array[]): Model {
  const open = new Map<number, number>();
  const aborted: Omit<AbortedTransaction, 'lastStableOffset'>[] = [];
  const producers = new Map<number, readonly [number, number]>();
  let endOffset = 0;
  for (const bytes of chunks) {
    for (const { header, at } of batchesIn(bytes)) {
      const { producerId, producerEpoch, baseOffset, baseSequence, lastOffsetDelta } = header;
      endOffset = lastOffsetOf(header) + 1;
      if (producerId < 0) continue;
      const [epoch, sequence] = producers.get(producerId) ?? [-1, -1];
      if (isControl(header)) {
        const [record] = [...decodeRecords(bytes, at)];
        const firstOffset = open.get(producerId);
        open.delete(producerId);
        const type = controlRecordType(record?.key ?? null);
        if (type === 'abort' && firstOffset !== undefined) {
          aborted.push({ producerId, firstOffset, lastOffset: baseOffset });
        }
        producers.set(producerId, [producerEpoch, epoch === producerEpoch ? sequence : -1]);
      } else {
        if (isTransactional(header) && !open.has(producerId)) open.set(producerId, baseOffset);
        producers.set(producerId, [producerEpoch, baseSequence + lastOffsetDelta]);
      }
    }
  }
  return { endOffset, open, aborted, producers };
}

async function expectModel(store: LogStore, { state, committed }: RecoveredLog, expected: Model): Promise<void> {
  const isTorn = expected.endOffset < state.nextOffset;
  const firstOpen = Math.min(...expected.open.values());
  const stable = committed.transactions?.lastStableOffset ?? committed.highWatermark;
  expect(stable).toBe(Math.min(firstOpen, state.nextOffset));
  if (!isTorn) expect(state.nextOffset).toBe(expected.endOffset);
  const rows = await store.segments(LOG);
  const indexed = [
    ...rows.flatMap(({ abortedTransactions }) => unpackAborted(abortedTransactions)),
    ...(state.transactions?.aborted() ?? []),
  ];
  expect(indexed).toEqual(expected.aborted.map((each) => expect.objectContaining(each)));
  for (const { firstOffset, lastOffset, lastStableOffset } of indexed) {
    expect(lastStableOffset).toBeLessThanOrEqual(lastOffset + 1);
    expect(firstOffset).toBeLessThan(lastOffset);
  }
  const producers = [...state.producers.producers().values()].map(
    ({ producerId, producerEpoch, batches }) =>
      [producerId, [producerEpoch, batches.at(-1)?.lastSequence ?? -1]] as const,
  );
  expect(new Map(producers)).toEqual(expected.producers);
  expect([...state.producers.producers().values()].filter(isOpen).length).toBe(expected.open.size);
}

function isOpen({ currentTxnFirstOffset }: { readonly currentTxnFirstOffset: number | undefined }): boolean {
  return currentTxnFirstOffset !== undefined;
}

/** Three leaders one after another; the last commit joins several appends into one chunk. */
async function writeRandomLog(disk: MemoryDisk, random: Random, maxValueBytes: number): Promise<void> {
  const producers = new Map([1, 2, 3, 4].map((id) => [id, { id, epoch: 0, next: 0 }]));
  const value = (): string => 'x'.repeat(random.below(maxValueBytes));
  const append = async (log: PartitionLog): Promise<unknown> => {
    const producer = producers.get(1 + random.below(4));
    if (producer === undefined || random.below(8) === 0) return log.append(batch([value()]), 'client');
    const { id } = producer;
    if (random.below(25) === 0) Object.assign(producer, { epoch: producer.epoch + 1, next: 0 });
    const transacts = id > 1;
    if (transacts && random.below(3) === 0) {
      const bump = random.below(4) === 0;
      if (bump) Object.assign(producer, { epoch: producer.epoch + 1, next: 0 });
      const type = random.below(2) === 0 ? 'commit' : 'abort';
      return log.appendEndMarker({ type, producerId: id, producerEpoch: producer.epoch, coordinatorEpoch: 0 });
    }
    const values = Array.from({ length: 1 + random.below(3) }, value);
    const sequence = producer.next;
    producer.next += values.length;
    return log.append((transacts ? transactional : sequenced)(sequence, values, producer), 'client');
  };
  for (let term = 0; term < 3; term++) {
    const { open } = await leader(disk);
    const size = String(maxValueBytes * 40);
    const log = await open({ topicConfig: { 'segment.bytes': size, 'max.message.bytes': size } });
    for (let i = 0; i < 25; i++) await append(log).catch(refused);
    if (term < 2) continue;
    await log.append(batch(['the last chunk begins behind this']), 'client');
    await Promise.allSettled(Array.from({ length: 6 }, () => append(log)));
  }
}

/** What a random producer may meet. */
function refused(error: unknown): void {
  if (!(error instanceof KafkaError) || error.type !== 'INVALID_TXN_STATE') throw error;
}

/** The last chunk ends after `cut` bytes. What came with it in one write, a checkpoint or a row, is not there either. */
function cutStore(store: LogStore, chunks: readonly Uint8Array[], cut: number): LogStore {
  const last = chunks.at(-1) ?? new Uint8Array();
  const lastBase = [...batchesIn(last)][0]?.header.baseOffset ?? 0;
  const segments = async (log: number): Promise<SegmentRow[]> =>
    (await store.segments(log)).filter(({ nextOffset }) => nextOffset <= lastBase);
  return Object.create(store, {
    ends: {
      value: async (log: number) => {
        const ends = await store.ends(log);
        const { checkpoint } = ends;
        const usable = checkpoint && checkpoint.offset <= lastBase ? checkpoint : undefined;
        return { ...ends, checkpoint: usable, lastSegment: (await segments(log)).at(-1) };
      },
    },
    read: {
      value: async (...args: Parameters<LogStore['read']>) =>
        (await store.read(...args)).map((chunk) => {
          const isLast = [...batchesIn(chunk)][0]?.header.baseOffset === lastBase;
          return isLast ? chunk.subarray(0, cut) : chunk;
        }),
    },
    segments: { value: segments },
    raw: {
      value: async () => {
        const raw = await store.raw();
        const cutLast = (row: RawChunk): RawChunk =>
          row.lastOffset >= lastBase ? { ...row, bytes: row.bytes.subarray(0, cut) } : row;
        return {
          ...raw,
          chunks: async (...args: Parameters<RawLogStore['chunks']>) => (await raw.chunks(...args)).map(cutLast),
        };
      },
    },
  });
}

function withoutCheckpoint(store: LogStore): LogStore {
  return Object.create(store, {
    ends: { value: async (log: number) => ({ ...(await store.ends(log)), checkpoint: undefined }) },
    raw: { value: () => store.raw() },
  });
}

/** Producers in order of their id. */
function plain({ state, committed, logStartOffset }: RecoveredLog): object {
  const snapshot = state.snapshot();
  const producers = [...snapshot.producers.producers].sort((a, b) => a.producerId - b.producerId);
  const { nextOffset } = state;
  return { ...snapshot, producers: { ...snapshot.producers, producers }, committed, logStartOffset, nextOffset };
}
