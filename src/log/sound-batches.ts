import { KafkaError } from '../protocol/errors.js';
import type { PartitionGap } from '../protocol/requests.js';
import { bytesOf, takeChunks } from '../storage/chunk.js';
import { type LogStore, MAX_ROW_BYTES } from '../storage/log-store.js';
import { unreadableRangeOf } from '../storage/unreadable-range.js';
import { endOffsetOf } from './end-offset.js';
import { LogGapError } from './log-gap.js';
import { type SoundRead, type SoundStretch, soundStretch } from './sound-stretch.js';

/** A read of so many, half of which a store may leave out, has the row behind the first. */
const ROWS_OF_PROOF = 4;

/**
 * As `LogStore.read`, but of sound batches alone, from the one that holds `offset` on: checksums hold, and no offset is
 * left out. What lies before damage is answered first. `rows` are what the store has answered already, if anything.
 * @throws LogGapError: damage at `offset` itself. KafkaError KAFKA_STORAGE_ERROR, OFFSET_OUT_OF_RANGE
 */
export async function readSound(
  store: LogStore,
  read: SoundRead,
  rows: readonly Uint8Array[] = [],
): Promise<SoundStretch> {
  const { log, offset, maxBytes, endOffset } = read;
  if (offset >= endOffset) return { chunks: [], nextOffset: offset };
  try {
    const found = rows.length > 0 ? rows : await store.read(log, offset, maxBytes, endOffset);
    const stretch = soundStretch(found, read);
    if (stretch.chunks.length > 0) return stretch;
    const proved = await provedStretch(store, read, found);
    if (proved.chunks.length > 0) return proved;
  } catch (error) {
    if (unreadableRangeOf(error) === undefined) throw error;
  }
  return (await salvagePart()).salvage(store, read);
}

/** The same with what proves a batch that begins before the offset, where it is alone in its row, as most are. */
async function provedStretch(store: LogStore, read: SoundRead, found: readonly Uint8Array[]): Promise<SoundStretch> {
  const { log, offset, maxBytes, endOffset } = read;
  const wantedBytes = ROWS_OF_PROOF * Math.max(MAX_ROW_BYTES, found[0]?.byteLength ?? 0);
  const rows = await store.read(log, offset, wantedBytes, endOffset);
  const isEnd = bytesOf(rows) < wantedBytes / 2; // else the store may have answered less than there is
  const stretch = soundStretch(rows, read, { isEnd });
  const chunks = takeChunks(stretch.chunks, { takenBytes: 0, maxBytes, endOffset });
  const last = chunks.at(-1);
  return { chunks, nextOffset: last ? endOffsetOf(last) : offset };
}

/**
 * The sound chunks of a log from `offset` to `endOffset` (exclusive), or to where it ends. Gaps are left out; `onGap` hears
 * of each.
 */
export async function* soundChunks(
  store: LogStore,
  from: SoundRead,
  onGap: (gap: PartitionGap) => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  for (let read = { holes: new Map(), ...from }; read.offset < read.endOffset; ) {
    try {
      const { chunks, nextOffset } = await readSound(store, read);
      yield* chunks;
      if (nextOffset === read.offset) return;
      read = { ...read, offset: nextOffset };
    } catch (error) {
      if (!(error instanceof LogGapError)) throw error;
      onGap(error.gap);
      read = { ...read, offset: error.gap.nextOffset };
    }
  }
}

/** Damage is rare: what deals with it is loaded then. */
function salvagePart(): Promise<typeof import('./salvage.js')> {
  return import('./salvage.js').catch((cause: unknown) => {
    throw new KafkaError('KAFKA_STORAGE_ERROR', `a part of the worker could not be loaded: ${cause}`, { cause });
  });
}
