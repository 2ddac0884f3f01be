import { METADATA_LOG } from '../broker/metadata-records.js';
import type { FirstRead } from '../log/log-view.js';
import { readSound } from '../log/sound-batches.js';
import { takeChunks } from '../storage/chunk.js';
import type { LogId, LogStore } from '../storage/log-store.js';
import type { ClusterParts } from './cluster-parts.js';
import type { Place, ReadAhead, Reader } from './read-ahead.js';

/** A read under way before the end of its log is known. */
interface Begun extends Place {
  /** Empty also where it failed. */
  readonly rows: Promise<readonly Uint8Array[]>;
}

/** The first record; the metadata log does not count. */
const FIRST_READS = 1;

/**
 * The `ReadAhead` of a host, which is loaded beside its second read, so that the first one has the worker for itself, and
 * the third one finds it. Nobody waits: until it is there, nothing is read ahead.
 */
export class LazyReadAhead {
  readonly #store: LogStore;
  readonly #part: ClusterParts['readAhead'];
  #ahead: ReadAhead | undefined;
  #begun: Begun | undefined;
  /** Counts up to the one that loads it, and again to that one where this failed. */
  #reads = 0;

  constructor(store: LogStore, part: ClusterParts['readAhead']) {
    this.#store = store;
    this.#part = part;
  }

  /** Of the first reads: the store looks for the rows while it is asked how far the log reaches. One at a time. */
  begin(log: LogId, { fetchOffset: offset, maxBytes }: FirstRead): void {
    if (this.#ahead || this.#begun) return;
    this.#begun = { log, offset, rows: this.#store.read(log, offset, maxBytes).catch(() => []) };
  }

  /** See `ReadAhead.read`. */
  async read({ log, offset, signal }: Reader, maxBytes: number, endOffset: number): Promise<Uint8Array[]> {
    const begun = this.#begun;
    this.#begun = undefined;
    if (this.#ahead !== undefined) return this.#ahead.read({ log, offset, signal }, maxBytes, endOffset);
    if (log !== METADATA_LOG && ++this.#reads === FIRST_READS + 1) this.#load();
    const rows = begun?.log === log && begun.offset === offset ? await begun.rows : [];
    const first = takeChunks(rows, { takenBytes: 0, maxBytes, endOffset });
    const { chunks } = await readSound(this.#store, { log, offset, maxBytes, endOffset }, first);
    return [...chunks];
  }

  forget(place: Place): void {
    this.#ahead?.forget(place);
  }

  forgetLog(log: LogId): void {
    this.#ahead?.forgetLog(log);
  }

  #load(): void {
    this.#part().then(
      ({ ReadAhead }) => (this.#ahead = new ReadAhead(this.#store)),
      () => (this.#reads = FIRST_READS), // the next read asks again
    );
  }
}
