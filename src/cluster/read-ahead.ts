import { endOffsetOf } from '../log/end-offset.js';
import { firstBatches } from '../log/first-batches.js';
import type { KnownHoles } from '../log/known-holes.js';
import { readSound } from '../log/sound-batches.js';
import { KafkaError } from '../protocol/errors.js';
import { bytesOf, takeChunks } from '../storage/chunk.js';
import type { LogId, LogStore } from '../storage/log-store.js';
import { onAbort } from '../util/signal.js';

/** What is read ahead of one reader at a time, from the first to the largest: so that the store is never idle. */
const MIN_WINDOW_BYTES = 1024 * 1024;
const MAX_WINDOW_BYTES = 2 * 1024 * 1024;
/** How much is read ahead of all readers of a host together; beyond, the one that was silent longest goes without. */
export const MAX_AHEAD_BYTES: number = 16 * 1024 * 1024;
/** Of more readers, none has the store asked for more while its rows are checked: there are the others' to read. */
const FEW_READERS = 2;
/** Less is not read ahead: a row is no smaller. */
const LEAST_WINDOW_BYTES = 64 * 1024;
/** A reader that was silent for so many turns of all of them has gone elsewhere. */
const SILENT_TURNS = 4;

/** Where a reader goes on. */
export interface Place {
  readonly log: LogId;
  readonly offset: number;
}

/** Who reads from there. Once the signal is aborted, nobody does. */
export interface Reader extends Place {
  readonly signal?: AbortSignal | undefined;
}

/** Rows that the store is asked for while those before them are being checked. */
interface Asked {
  readonly offset: number;
  /** What is held for them. */
  readonly bytes: number;
  /** Empty also where it failed. */
  readonly rows: Promise<readonly Uint8Array[]>;
}

/** What was read before anybody asks, because whoever read up to there will go on. */
interface Stream {
  readonly log: LogId;
  /** Of the first record that the reader does not have. */
  offset: number;
  /** From `offset` on. */
  readonly ready: Uint8Array[];
  /** What follows `ready`, while it is being read. Never rejects. */
  coming?: Promise<void> | undefined;
  /** What follows `coming`, as the rows say that are not checked yet. */
  asked?: Asked | undefined;
  failure?: { readonly error: unknown } | undefined;
  /** One past the last offset of `ready`. */
  endOffset: number;
  /** Up to where the log is committed, as its reader last knew. */
  limitOffset: number;
  /** How much is read next, once no more than half of it is left, and its share allows that. */
  windowBytes: number;
  /** As many reads as there had been at its last. */
  lastRead: number;
  /** Of `ready`, of what is coming, and of what is asked for. */
  heldBytes: number;
  /** Nobody will ask for it any more: it counts for nothing. */
  dropped?: true;
}

/**
 * Reads the logs of one host from its store, ahead of those who read in order: the store works while they do, in larger
 * reads the longer they go on. Readers are known by where they go on, so that several may read one log.
 */
export class ReadAhead {
  readonly #store: LogStore;
  /** By place; the order is that of last use. Whose reader waits for it is not here. */
  readonly #streams = new Map<string, Stream>();
  /** What compaction took out of a log, as reads have learned it. */
  readonly #holes = new Map<LogId, KnownHoles>();
  #heldBytes = 0;
  /** Streams, and first reads. */
  #readers = 0;
  /** Reads that somebody waits for before anything is read ahead: the first ones of many partitions come together. */
  #firstReads = 0;
  #reads = 0;

  constructor(store: LogStore) {
    this.#store = store;
  }

  /**
   * As `LogStore.read`, but of a first chunk that is larger than `maxBytes` no more batches than fit; like that of IndexedDB, it may answer less than there is once it has half of `maxBytes`. The bytes
   * are sound.
   * @throws LogGapError: what lies at `offset` is lost. Or the signal's reason.
   */
  async read({ log, offset, signal }: Reader, maxBytes: number, limitOffset: number): Promise<Uint8Array[]> {
    this.#reads++;
    this.#forgetSilent();
    const stream = this.#take({ log, offset });
    if (stream === undefined) return this.#begin({ log, offset, signal }, maxBytes, limitOffset);
    stream.limitOffset = limitOffset;
    stream.windowBytes = Math.min(2 * stream.windowBytes, MAX_WINDOW_BYTES);
    const forget = onAbort(signal, () => this.#drop(stream));
    const chunks = this.#cut(stream, await this.#takeReady(stream, maxBytes).finally(forget), maxBytes);
    signal?.throwIfAborted();
    if (chunks.length === 0) {
      this.#drop(stream);
      if (stream.failure !== undefined) throw stream.failure.error;
      return this.#sound({ log, offset }, maxBytes, limitOffset);
    }
    stream.offset = endOf(chunks);
    this.#keep(stream);
    return chunks;
  }

  async #takeReady(stream: Stream, maxBytes: number): Promise<Uint8Array[]> {
    const taken: Uint8Array[] = [];
    for (let takenBytes = 0; takenBytes < maxBytes / 2; takenBytes = bytesOf(taken)) {
      this.#fill(stream);
      if (stream.ready.length === 0) await stream.coming;
      const more = takeChunks(stream.ready, { takenBytes, maxBytes, endOffset: Infinity });
      if (more.length === 0) break;
      stream.ready.splice(0, more.length);
      this.#hold(stream, -bytesOf(more));
      taken.push(...more);
    }
    return taken;
  }

  /** Nobody reads on from there: what follows is kept elsewhere. */
  forget(place: Place): void {
    const stream = this.#take(place);
    if (stream !== undefined) this.#drop(stream);
  }

  /** The log is not read any more. */
  forgetLog(log: LogId): void {
    for (const stream of this.#streams.values()) if (stream.log === log) this.forget(stream);
    this.#holes.delete(log);
  }

  async #begin({ log, offset, signal }: Reader, maxBytes: number, limitOffset: number): Promise<Uint8Array[]> {
    const stream: Stream = {
      log,
      offset,
      ready: [],
      endOffset: offset,
      limitOffset,
      windowBytes: MIN_WINDOW_BYTES,
      heldBytes: 0,
      lastRead: 0,
    };
    this.#readers++; // many that begin together know of each other
    this.#firstReads++;
    try {
      const chunks = await this.#sound({ log, offset }, maxBytes, limitOffset);
      signal?.throwIfAborted();
      if (chunks.length === 0) return chunks;
      stream.endOffset = endOf(chunks);
      const taken = this.#cut(stream, chunks, maxBytes);
      stream.offset = endOf(taken);
      this.#keep(stream);
      return taken;
    } finally {
      if (this.#streams.get(keyOf(stream)) !== stream) this.#drop(stream);
      if (--this.#firstReads === 0) for (const kept of this.#streams.values()) this.#fill(kept);
    }
  }

  /** What of the first chunk is more than may be answered is ready for the next read. */
  #cut(stream: Stream, chunks: Uint8Array[], maxBytes: number): Uint8Array[] {
    const [first] = chunks;
    if (first === undefined || first.byteLength <= maxBytes) return chunks;
    const { from, to } = firstBatches(first, { offset: stream.offset, maxBytes });
    const rest = first.subarray(to);
    if (rest.byteLength === 0) return chunks;
    stream.ready.unshift(rest);
    this.#hold(stream, rest.byteLength);
    return [first.slice(from, to)];
  }

  /** Until its reader comes again. */
  #keep(stream: Stream): void {
    if (stream.offset >= stream.limitOffset) return this.#drop(stream);
    stream.lastRead = this.#reads;
    this.forget(stream); // two readers at one place go on as one
    this.#streams.set(keyOf(stream), stream);
    if (this.#firstReads === 0) this.#fill(stream);
  }

  /** Reads on where half of the window is empty, and again as long as it is. */
  #fill(stream: Stream): void {
    const { heldBytes, endOffset, limitOffset, coming, asked, dropped } = stream;
    const windowBytes = this.#windowOf(stream);
    const readyBytes = heldBytes - (asked?.bytes ?? 0);
    if (dropped || coming !== undefined || endOffset >= limitOffset || readyBytes > windowBytes / 2) return;
    if (windowBytes < LEAST_WINDOW_BYTES) return;
    this.#hold(stream, windowBytes);
    stream.coming = this.#readOn(stream, windowBytes).then((chunks) => {
      stream.coming = undefined;
      this.#hold(stream, bytesOf(chunks) - windowBytes);
      if (chunks.length === 0) return;
      stream.ready.push(...chunks);
      stream.endOffset = endOf(chunks);
      this.#fill(stream);
    });
  }

  async #readOn(stream: Stream, maxBytes: number): Promise<readonly Uint8Array[]> {
    const { log, endOffset: offset, limitOffset, asked } = stream;
    stream.failure = stream.asked = undefined;
    this.#hold(stream, -(asked?.bytes ?? 0));
    try {
      // The check may have found an end elsewhere.
      const rows = await (asked?.offset === offset ? asked.rows : this.#rows({ log, offset }, maxBytes, limitOffset));
      this.#askBehind(stream, rows, maxBytes);
      return await this.#sound({ log, offset }, maxBytes, limitOffset, rows);
    } catch (error) {
      stream.failure = { error };
      return [];
    }
  }

  /** The store goes on while what it has answered is being checked; of what is coming, `comingBytes` are held. */
  #askBehind(stream: Stream, rows: readonly Uint8Array[], comingBytes: number): void {
    const { log, limitOffset, windowBytes, heldBytes } = stream;
    if (stream.dropped || this.#readers > FEW_READERS || heldBytes - comingBytes > windowBytes / 2) return;
    const offset = endBeforeCheck(rows);
    if (offset >= limitOffset) return;
    this.#hold(stream, windowBytes);
    stream.asked = { offset, bytes: windowBytes, rows: this.#rows({ log, offset }, windowBytes, limitOffset) };
  }

  /** As the store has them. Where it fails, whoever checks them asks again and hears why. */
  #rows({ log, offset }: Place, maxBytes: number, endOffset: number): Promise<readonly Uint8Array[]> {
    return this.#store.read(log, offset, maxBytes, endOffset).catch(() => []);
  }

  async #sound(
    { log, offset }: Place,
    maxBytes: number,
    endOffset: number,
    rows?: readonly Uint8Array[],
  ): Promise<Uint8Array[]> {
    const holes = this.#holes.get(log) ?? new Map();
    this.#holes.set(log, holes);
    const { chunks } = await readSound(this.#store, { log, offset, maxBytes, endOffset, holes }, rows);
    return [...chunks];
  }

  #take(place: Place): Stream | undefined {
    const key = keyOf(place);
    const stream = this.#streams.get(key);
    this.#streams.delete(key);
    return stream;
  }

  #drop(stream: Stream): void {
    if (stream.dropped) return;
    this.#hold(stream, -stream.heldBytes);
    stream.dropped = true;
    this.#readers--;
  }

  /** Each has its share: where one took another's, that would be read again, and take the next one's. */
  #windowOf({ windowBytes }: Stream): number {
    if (this.#readers <= FEW_READERS) return windowBytes;
    return Math.min(windowBytes, Math.floor(MAX_AHEAD_BYTES / (2 * this.#readers)));
  }

  #forgetSilent(): void {
    const [oldest] = this.#streams.values();
    if (oldest && this.#reads - oldest.lastRead > SILENT_TURNS * this.#readers) this.forget(oldest);
  }

  #hold(stream: Stream, bytes: number): void {
    if (stream.dropped) return;
    stream.heldBytes += bytes;
    this.#heldBytes += bytes;
    for (const silent of this.#streams.values()) {
      if (this.#heldBytes <= MAX_AHEAD_BYTES) break;
      if (silent !== stream) this.forget(silent);
    }
  }
}

function keyOf({ log, offset }: Place): string {
  return `${log}/${offset}`;
}

/** Where rows end if they are sound; Infinity where they are not, or there are none. */
function endBeforeCheck(rows: readonly Uint8Array[]): number {
  try {
    return rows.length > 0 ? endOf(rows) : Infinity;
  } catch (error) {
    if (error instanceof KafkaError) return Infinity;
    throw error;
  }
}

function endOf(chunks: readonly Uint8Array[]): number {
  return endOffsetOf(chunks[chunks.length - 1] as Uint8Array);
}
