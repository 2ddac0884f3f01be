import { STICKY } from './prepare-messages.js';

/** With fewer records a partition, on the average, there are no runs of texts to be encoded together. */
const MIN_RECORDS = 8;

/**
 * Indexes of records, those of a partition one after the other in the order they had; undefined where the order stays as it
 * is: there is little to gain, or a record goes to whichever partition is the sticky one when its turn comes.
 */
export function orderByPartition(partitions: Int32Array, partitionCount: number): Int32Array | undefined {
  if (partitionCount === 1 || partitions.length < MIN_RECORDS * partitionCount) return undefined;
  if (partitions.includes(STICKY)) return undefined;
  const placeOf = new Int32Array(partitionCount + 1);
  for (const partition of partitions) placeOf[partition + 1]!++;
  for (let i = 1; i < partitionCount; i++) placeOf[i]! += placeOf[i - 1]!;
  const order = new Int32Array(partitions.length);
  for (let i = 0; i < order.length; i++) order[placeOf[partitions[i]!]!++] = i;
  return order;
}
