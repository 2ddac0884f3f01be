import type { DescribeStorageRequest, DescribeStorageResponse } from '../protocol/requests.js';
import type { StorageState } from '../protocol/storage-state.js';
import type { StorageWatchOptions } from './api/storage.js';
import type { ClientContext } from './client-context.js';
import { Connection } from './connection.js';

const NOTHING_KNOWN: DescribeStorageRequest = { host: '', version: -1 };

/** A watch has no events of its own. */
const SILENT = {
  events: { CONNECT: '', DISCONNECT: '', REQUEST: '', REQUEST_TIMEOUT: '' },
  hears: () => false,
  emit: () => {},
};

/** See `StorageWatch.state`. */
export async function storageState(context: ClientContext, options: StorageWatchOptions): Promise<StorageState> {
  for await (const state of storageChanges(context, options)) return state;
  options.signal?.throwIfAborted();
  throw new Error('a watch begins with the state now');
}

/** See `StorageWatch.changes`. */
export async function* storageChanges(
  context: ClientContext,
  { signal }: StorageWatchOptions,
): AsyncIterableIterator<StorageState> {
  const connection = new Connection({
    ...context,
    instrumentation: SILENT,
    ...context.track(() => connection.close()),
  });
  const { life } = connection;
  let known = NOTHING_KNOWN;
  try {
    while (!life.aborted && !signal?.aborted) {
      const asked = known;
      // Nobody knows how long it stays as it is: no time-out. The death of the worker ends the request.
      const options = { signal, timeoutMs: Number.POSITIVE_INFINITY };
      const attempt = (): Promise<DescribeStorageResponse> => connection.request('DescribeStorage', asked, options);
      const { host, version, changes } = await connection.retry({ options: context.retry, signal }, attempt);
      known = { host, version };
      for (const { state } of changes) yield state;
    }
  } catch (error) {
    if (!life.aborted && !signal?.aborted) throw error;
  } finally {
    const closed = connection.close();
    if (!signal?.aborted) await closed; // one that is being opened may take long
  }
}
