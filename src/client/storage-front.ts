import type { StorageWatch } from './api/storage.js';
import type { ClientContext } from './client-context.js';
import type { ClientParts } from './client-parts.js';

/** A watch whose code is loaded when it is first used. */
export function storageFront(context: ClientContext, load: ClientParts['storage']): StorageWatch {
  return {
    state: async (options = {}) => (await load()).storageState(context, options),
    async *changes(options = {}) {
      yield* (await load()).storageChanges(context, options);
    },
  };
}
