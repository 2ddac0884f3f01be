import type { ApiName, FetchResponse, ProduceRequest, Requests, Responses } from '../protocol/requests.js';
import { assert } from '../util/assert.js';

/** The buffers of a request that go to the receiver whole, each once: the records of a Produce. */
export function requestBuffers<A extends ApiName>(api: A, request: Requests[A]): ArrayBuffer[] {
  if (api !== 'Produce') return [];
  const { topicData } = request as ProduceRequest;
  const records = topicData.flatMap(({ partitionData }) => partitionData.map((partition) => partition.records));
  for (const { byteLength } of records) assert(byteLength > 0, 'records to send were not given away before');
  return distinctBuffers(records);
}

/** The same of a response: the records of a Fetch. */
export function responseBuffers<A extends ApiName>(api: A, response: Responses[A]): ArrayBuffer[] {
  if (api !== 'Fetch') return [];
  const { responses } = response as FetchResponse;
  return distinctBuffers(responses.flatMap(({ partitions }) => partitions.flatMap(({ records }) => records)));
}

/** Views of one buffer share it, and a list to transfer must not name it twice. Shared memory is not transferred. */
function distinctBuffers(views: readonly Uint8Array[]): ArrayBuffer[] {
  const buffers = new Set<ArrayBuffer>();
  for (const { buffer } of views) if (buffer instanceof ArrayBuffer && buffer.byteLength > 0) buffers.add(buffer);
  return [...buffers];
}
