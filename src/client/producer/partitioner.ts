import { partitionFor } from '../../util/murmur2.js';
import type { ICustomPartitioner, PartitionerArgs } from '../api/producer.js';

/** Hash of a key to a partition, the same for all clients that share topics. */
export type KeyPartitioner = (key: Uint8Array, count: number) => number;

const UTF8 = new TextEncoder();
const KEY_PARTITIONERS = new WeakMap<ICustomPartitioner, KeyPartitioner>();

/** Kafka's own: murmur2 of the key. Records without a key stay with one partition for a batch, then go to another. */
const DefaultPartitioner = keyed(partitionFor);
/** The same; KafkaJS kept two names. */
const JavaCompatiblePartitioner = keyed(partitionFor);
/** That of KafkaJS 1, for topics whose keys were placed by it. */
const LegacyPartitioner = keyed((key, count) => (legacyMurmur2(key) & 0x7fffffff) % count);

export const Partitioners = { DefaultPartitioner, JavaCompatiblePartitioner, LegacyPartitioner };

/** How a built-in partitioner places keys; undefined for one of the user, which has to be asked for each message. */
export function keyPartitionerOf(createPartitioner: ICustomPartitioner): KeyPartitioner | undefined {
  return KEY_PARTITIONERS.get(createPartitioner);
}

/** Asked directly, without a producer and its batches, messages without a key go round robin. */
function keyed(place: KeyPartitioner): ICustomPartitioner {
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

/** KafkaJS 1 multiplied as floating point numbers and took the last, incomplete word twice. */
function legacyMurmur2(bytes: Uint8Array): number {
  const multiplier = 0x5bd1e995;
  const { length } = bytes;
  let hash = 0x9747b28c ^ length;
  const at = (i: number): number => bytes[i] ?? 0;
  for (let i = 0; i < length; i += 4) {
    let word = (at(i) | (at(i + 1) << 8) | (at(i + 2) << 16) | (at(i + 3) << 24)) * multiplier;
    word ^= word >>> 24;
    word *= multiplier;
    hash *= multiplier;
    hash ^= word;
  }
  const left = length & 3;
  if (left > 0) {
    for (let i = 0; i < left; i++) hash ^= at((length & ~3) + i) << (8 * i);
    hash *= multiplier;
  }
  hash ^= hash >>> 13;
  hash *= multiplier;
  return hash ^ (hash >>> 15);
}
