import { DELETE_HORIZON_BIT } from './batch-layout.js';
import type { BatchHeader } from './record.js';

/** When compaction may drop the tombstones of this batch; undefined where no pass has set it yet (KIP-534). */
export function deleteHorizonMs(header: Pick<BatchHeader, 'attributes' | 'baseTimestampMs'>): number | undefined {
  return header.attributes & DELETE_HORIZON_BIT ? header.baseTimestampMs : undefined;
}
