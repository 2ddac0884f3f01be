import { isBytes } from '../../util/bytes.js';
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
 * robin, in each topic for itself.
 */
export function keyed(place: KeyPartitioner): ICustomPartitioner {
  const create: ICustomPartitioner = () => {
    const turns = new Map<string, number>();
    return ({ topic, partitionMetadata, message: { partition, key } }: PartitionerArgs) => {
      if (partition !== undefined && partition !== null) return partition;
      if (key !== undefined && key !== null) {
        return place(isBytes(key) ? key : UTF8.encode(String(key)), partitionMetadata.length);
      }
      const led = partitionMetadata.filter(({ leader }) => leader >= 0);
      const choices = led.length > 0 ? led : partitionMetadata;
      const turn = turns.get(topic) ?? 0;
      turns.set(topic, turn + 1);
      return choices[turn % choices.length]!.partitionId;
    };
  };
  KEY_PARTITIONERS.set(create, place);
  return create;
}
