const SEED = 0x9747b28c;
const MULTIPLIER = 0x5bd1e995;
const SHIFT = 24;

/** MurmurHash2 (32 bit, Kafka's seed) of `bytes` as a signed integer, as Kafka's `Utils.murmur2`. */
export function murmur2(bytes: Uint8Array): number {
  const { length } = bytes;
  let hash = SEED ^ length;
  const end = length & ~3;
  for (let i = 0; i < end; i += 4) {
    let word = bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24);
    word = Math.imul(word, MULTIPLIER);
    word = Math.imul(word ^ (word >>> SHIFT), MULTIPLIER);
    hash = Math.imul(hash, MULTIPLIER) ^ word;
  }
  const left = length - end;
  if (left > 0) {
    for (let i = 0; i < left; i++) hash ^= bytes[end + i]! << (8 * i);
    hash = Math.imul(hash, MULTIPLIER);
  }
  hash = Math.imul(hash ^ (hash >>> 13), MULTIPLIER);
  return hash ^ (hash >>> 15);
}

/** The partition of a record with this key among `count`, as Kafka's default partitioner finds it. */
export function partitionFor(key: Uint8Array, count: number): number {
  return (murmur2(key) & 0x7fffffff) % count;
}
