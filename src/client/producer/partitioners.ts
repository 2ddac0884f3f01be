import { partitionFor } from '../../util/murmur2.js';
import { DefaultPartitioner, keyed } from './partitioner.js';

/** The same as the default; KafkaJS kept two names. */
const JavaCompatiblePartitioner = keyed(partitionFor);
/** That of KafkaJS 1, for topics whose keys were placed by it. */
const LegacyPartitioner = keyed((key, count) => (legacyMurmur2(key) & 0x7fffffff) % count);

export const Partitioners = { DefaultPartitioner, JavaCompatiblePartitioner, LegacyPartitioner };

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
