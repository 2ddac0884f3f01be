import type { ListOffsetsRequest, ListOffsetsResponse } from '../protocol/requests.js';
import type { ReadContext } from './read-context.js';

/** Answers from the shared database, so that it never is behind the leader. */
export async function handleListOffsets(context: ReadContext, request: ListOffsetsRequest): Promise<ListOffsetsResponse> {
  throw new Error('to come');
}
