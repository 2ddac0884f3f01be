import type { ApiName, ProduceRequest, Requests } from '../protocol/requests.js';
import { completeBatch } from '../record/batch-header.js';

/**
 * The request as another tab gets it: checksums that are missing are written, in place, so that the leader, of whatever
 * version, can check what came.
 * @throws KafkaError as `completeBatch`
 */
export function withChecksums<A extends ApiName>(api: A, request: Requests[A]): Requests[A] {
  const { checksums, ...given } = request as ProduceRequest;
  if (api !== 'Produce' || checksums !== 'missing') return request;
  for (const { partitionData } of given.topicData) {
    for (const { records } of partitionData) {
      for (let at = 0; at < records.length; ) at += completeBatch(records, at).sizeInBytes;
    }
  }
  return given as Requests[A];
}
