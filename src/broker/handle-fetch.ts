import type { FetchRequest, FetchResponse } from '../protocol/requests.js';
import type { ReadContext } from './read-context.js';

export type FetchHandler = (request: FetchRequest, signal?: AbortSignal) => Promise<FetchResponse>;

/**
 * Makes the handler that answers Fetch from this host's views, without a leader: one a host.
 */
export function fetchHandler(context: ReadContext): FetchHandler {
  throw new Error('to come');
}
