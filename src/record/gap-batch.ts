import { BATCH_HEADER_BYTES, GAP_BIT, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE } from './batch-header.js';
import { writeBatchHeader } from './write-batch-header.js';

const NO_TIMESTAMP = -1;
const MAX_DELTA = 2 ** 31 - 1;

/**
 * What stands in a log in place of records that are lost: empty batches, as compaction leaves them, which any Kafka
 * client skips, with a bit that Kafka does not use, so that ours report the gap. One batch, unless the gap is above 2^31.
 */
export function gapBatches(
  fromOffset: number,
  nextOffset: number,
  partitionLeaderEpoch: number,
): readonly Uint8Array<ArrayBuffer>[] {
  const batches: Uint8Array<ArrayBuffer>[] = [];
  for (let baseOffset = fromOffset; baseOffset < nextOffset; ) {
    const lastOffsetDelta = Math.min(nextOffset - 1 - baseOffset, MAX_DELTA);
    const bytes = new Uint8Array(BATCH_HEADER_BYTES);
    writeBatchHeader(bytes, 0, BATCH_HEADER_BYTES, {
      baseOffset,
      partitionLeaderEpoch,
      attributes: GAP_BIT,
      lastOffsetDelta,
      baseTimestampMs: NO_TIMESTAMP,
      maxTimestampMs: NO_TIMESTAMP,
      producerId: NO_PRODUCER_ID,
      producerEpoch: NO_PRODUCER_EPOCH,
      baseSequence: NO_SEQUENCE,
      recordCount: 0,
    });
    batches.push(bytes);
    baseOffset += lastOffsetDelta + 1;
  }
  return batches;
}
