import { partitionFor } from '../../util/murmur2.js';
import type { ICustomPartitioner, PartitionerArgs } from '../api/producer.js';

/** Hash of a key to a partition, the same for all clients that share topics. */
export type KeyPartitioner = (key: Uint8Array, count: number) => number;

const UTF8 = new TextEncoder();
const KEY_PARTITIONERS = new WeakMap<ICustomPartitioner, KeyPartitioner>();

/** Kafka's own: murmur2 of the key. Records without a key stay with one partition for a batch, then go to another. */
export const DefaultPartitioner: ICustomPartitioner = keyed(partitionFor);

/** How a built-in partitioner places keys; undefined for one of the user, which has to be asked for each message. */
export function keyPartitionerOf(createPartitioner: ICustomPartitioner): KeyPartitioner | undefined {
  return KEY_PARTITIONERS.get(createPartitioner);
}

/**
 * A partitioner that places keys so. Asked directly, without a producer and its batches, messages without a key go round
 * robin.
 */
export function keyed(place: KeyPartitioner): ICustomPartitioner {
  const create: ICustomPartitioner = () => {
    let next = 0;
    return ({ partitionMetadata, message }: PartitionerArgs) => {
      if (message.partition !== undefined && message.partition !== null) return message.partition;
      const count = partitionMetadata.length;
      if (message.key === undefined || message.key === null) return next++ % count;
      return place(typeof message.key === 'string' ? UTF8.encode(message.key) : message.key, count);
    };
  };
  KEY_PARTITIONERS.set(create, place);
  return create;
}
