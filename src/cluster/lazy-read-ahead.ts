import { readSound } from '../log/sound-batches.js';
import type { LogId, LogStore } from '../storage/log-store.js';
import type { ClusterParts } from './cluster-parts.js';
import type { Place, ReadAhead } from './read-ahead.js';

/**
 * The `ReadAhead` of a host, which is loaded with the second read, so that the first has the worker for itself. Nobody
 * waits: until it is there, nothing is read ahead.
 */
export class LazyReadAhead {
  readonly #store: LogStore;
  readonly #part: ClusterParts['readAhead'];
  #ahead: ReadAhead | undefined;
  #hasRead = false;
  #isLoading = false;

  constructor(store: LogStore, part: ClusterParts['readAhead']) {
    this.#store = store;
    this.#part = part;
  }

  /** See `ReadAhead.read`. */
  async read({ log, offset }: Place, maxBytes: number, endOffset: number): Promise<Uint8Array[]> {
    if (this.#ahead !== undefined) return this.#ahead.read({ log, offset }, maxBytes, endOffset);
    if (this.#hasRead) this.#load();
    this.#hasRead = true;
    const { chunks } = await readSound(this.#store, { log, offset, maxBytes, endOffset, holesEndOffset: 0 });
    return [...chunks];
  }

  forget(place: Place): void {
    this.#ahead?.forget(place);
  }

  forgetLog(log: LogId): void {
    this.#ahead?.forgetLog(log);
  }

  #load(): void {
    if (this.#isLoading) return;
    this.#isLoading = true;
    this.#part().then(
      ({ ReadAhead }) => (this.#ahead = new ReadAhead(this.#store)),
      () => (this.#isLoading = false), // the next read asks again
    );
  }
}
