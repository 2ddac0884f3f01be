import { EARLIEST_TIMESTAMP, LATEST_TIMESTAMP } from '../../protocol/requests.js';
import type { TopicPartition } from '../../protocol/topic-partition.js';
import type { Connection } from '../connection.js';
import { type FoundOffset, listOffsets } from '../list-offsets.js';
import type { Position } from './arguments.js';

/** The offsets of those positions that are ends of logs, in one request. */
export function listEnds(
  connection: Connection,
  positions: readonly (TopicPartition & { readonly position: Position })[],
  options: Parameters<typeof listOffsets>[2],
): Promise<FoundOffset[]> {
  const queries = positions.flatMap(({ topic, partition, position }) =>
    typeof position === 'number'
      ? []
      : [{ topic, partition, timestamp: position === 'earliest' ? EARLIEST_TIMESTAMP : LATEST_TIMESTAMP }],
  );
  return listOffsets(connection, queries, options);
}
