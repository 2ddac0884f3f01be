import type { StorageState } from '../../protocol/storage-state.js';

export type { StorageFigures, StorageState, StorageStatus } from '../../protocol/storage-state.js';

export interface StorageWatchOptions {
  readonly signal?: AbortSignal | undefined;
}

/** How this tab's storage is. Each call starts the host where it does not run yet. */
export interface StorageWatch {
  /** @throws KafkaJSConnectionError: the host cannot be started. The signal's reason. */
  state(options?: StorageWatchOptions): Promise<StorageState>;
  /**
   * The state now, then every later one, in order; whoever takes them slowly may miss some, but never the newest. Ends
   * when the signal aborts, or when the loop over it is left.
   */
  changes(options?: StorageWatchOptions): AsyncIterableIterator<StorageState>;
}
