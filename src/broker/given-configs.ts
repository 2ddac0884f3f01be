import type { ConfigEntries } from '../protocol/config-schema.js';
import { KafkaError } from '../protocol/errors.js';
import { parseTopicConfig } from '../protocol/topic-config.js';

/** A host cannot recompress to these; a producer whose page has a codec may send them. */
const UNAVAILABLE_CODEC = /^(snappy|lz4|zstd)$/;

/** Kafka keeps these as 32-bit integers. (A segment is held in memory while it is compacted.) */
const INT_CONFIGS = ['max.message.bytes', 'min.insync.replicas', 'segment.bytes'];
const INT_MAX = 2 ** 31 - 1;

interface GivenConfig {
  readonly name: string;
  readonly value: string | null;
}

/**
 * The configs of a request by name, whatever the name; the last of a name counts.
 * @throws KafkaError INVALID_CONFIG: one has no value.
 */
export function givenConfigs(configs: readonly GivenConfig[]): Readonly<Record<string, string>> {
  const entries = configs.map(({ name, value }) => {
    if (value === null) throw new KafkaError('INVALID_CONFIG', `${name}: expected a value, found null`);
    return [name, value] as const;
  });
  return Object.fromEntries(entries); // an assignment to __proto__ would leave nothing
}

/**
 * What is asked for, not what is stored: of stored configs one comes after the other.
 * @throws KafkaError INVALID_CONFIG: an unknown name, an illegal value, one that cannot be honoured, or two that contradict each other.
 */
export function checkTopicConfigs(entries: ConfigEntries): void {
  const { minCompactionLagMs, maxCompactionLagMs, compressionType } = parseTopicConfig(entries);
  for (const name of INT_CONFIGS) {
    if (Number(entries[name] ?? 0) <= INT_MAX) continue;
    throw new KafkaError('INVALID_CONFIG', `${name}: expected at most ${INT_MAX}, found ${entries[name]}`);
  }
  if (minCompactionLagMs > maxCompactionLagMs) {
    const expected = `expected at most max.compaction.lag.ms, ${maxCompactionLagMs}`;
    throw new KafkaError('INVALID_CONFIG', `min.compaction.lag.ms: ${expected}, found ${minCompactionLagMs}`);
  }
  if (UNAVAILABLE_CODEC.test(compressionType)) {
    const expected = 'expected producer, uncompressed or gzip, the only codec that browsers have';
    throw new KafkaError('INVALID_CONFIG', `compression.type: ${expected}, found ${compressionType}`);
  }
}
