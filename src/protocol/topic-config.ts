import {
  boolean,
  type ConfigDefault,
  type ConfigDefinition,
  type ConfigEntries,
  configSchema,
  integer,
  LONG_MAX,
} from './config-schema.js';

export interface CleanupPolicy {
  readonly compact: boolean;
  readonly delete: boolean;
}

/**
 * A topic's configuration, parsed. Field names are Kafka's dotted names in camel case; -1 means "no limit" where
 * Kafka says so, and Kafka's "for ever" (the greatest long) is Infinity.
 */
export interface TopicConfig {
  readonly cleanupPolicy: CleanupPolicy;
  readonly compressionType: string;
  readonly deleteRetentionMs: number;
  readonly flushMessages: number;
  readonly maxCompactionLagMs: number;
  readonly maxMessageBytes: number;
  readonly messageTimestampAfterMaxMs: number;
  readonly messageTimestampBeforeMaxMs: number;
  readonly messageTimestampType: 'CreateTime' | 'LogAppendTime';
  readonly minCleanableDirtyRatio: number;
  readonly minCompactionLagMs: number;
  readonly minInsyncReplicas: number;
  readonly retentionBytes: number;
  readonly retentionMs: number;
  readonly segmentBytes: number;
  readonly segmentMs: number;
  readonly storageFullPolicy: 'block' | 'reject' | 'drop-oldest';
  readonly uncleanLeaderElectionEnable: boolean;
}

function oneOf<const T extends string>(defaultText: T, values: readonly T[]): ConfigDefinition<T> {
  return {
    default: defaultText,
    expected: `one of ${values.join(', ')}`,
    parse: (text) => values.find((value) => value === text),
  };
}

const ratio: ConfigDefinition<number> = {
  default: '0.5',
  expected: 'a number between 0 and 1',
  parse(text) {
    const value = text.trim() === '' ? Number.NaN : Number(text);
    return value >= 0 && value <= 1 ? value : undefined;
  },
};

const cleanupPolicy: ConfigDefinition<CleanupPolicy> = {
  default: 'delete',
  expected: 'a list of delete and compact',
  parse(text) {
    const words = text.split(',').map((word) => word.trim());
    if (!words.every((word) => word === 'delete' || word === 'compact')) return undefined;
    return { compact: words.includes('compact'), delete: words.includes('delete') };
  },
};

/**
 * Kafka's defaults and bounds ("Topic-Level Configs"). Ours are the default of `segment.bytes`, 8 MiB, a browser's measure,
 * that of `message.timestamp.after.max.ms`, which Kafka had before its version 4 (a clock that is set back would have sends
 * refused that were stamped before), and `storage.full.policy`, what becomes of sends while the origin's storage is full:
 *
 * - `block`: they wait for space, as long as their producer's delivery timeout allows, and fail then. Kafka's producers
 *   meet a full disk so, and nothing is lost that could still be stored; hence the default.
 * - `reject`: they fail at once, for applications that would rather tell the user, or keep the record elsewhere.
 * - `drop-oldest`: the topic's oldest records make way, for logs of which the newest matter.
 */
const SCHEMA = configSchema<TopicConfig>('topic', {
  cleanupPolicy,
  compressionType: oneOf('producer', ['producer', 'uncompressed', 'gzip', 'snappy', 'lz4', 'zstd']),
  deleteRetentionMs: integer('86400000', 0),
  flushMessages: integer(LONG_MAX, 1),
  maxCompactionLagMs: integer(LONG_MAX, 1),
  maxMessageBytes: integer('1048588', 0),
  messageTimestampAfterMaxMs: integer(LONG_MAX, 0),
  messageTimestampBeforeMaxMs: integer(LONG_MAX, 0),
  messageTimestampType: oneOf('CreateTime', ['CreateTime', 'LogAppendTime']),
  minCleanableDirtyRatio: ratio,
  minCompactionLagMs: integer('0', 0),
  minInsyncReplicas: integer('1', 1),
  retentionBytes: integer('-1', -1),
  retentionMs: integer('604800000', -1),
  segmentBytes: integer('8388608', 1024),
  segmentMs: integer('604800000', 1),
  storageFullPolicy: oneOf('block', ['block', 'reject', 'drop-oldest']),
  uncleanLeaderElectionEnable: boolean,
});

/** All topic configs with their default as text, in Kafka's alphabetical order. */
export function topicConfigDefaults(): readonly ConfigDefault[] {
  return SCHEMA.defaults;
}

/**
 * The configuration that the set entries (dotted name → text) make together with the defaults.
 * @throws KafkaError INVALID_CONFIG for an unknown name or an illegal value.
 */
export function parseTopicConfig(entries: ConfigEntries): TopicConfig {
  return SCHEMA.parse(entries);
}

/** The same of what is stored: see `ConfigSchema.parseStored`. */
export function storedTopicConfig(entries: ConfigEntries): TopicConfig {
  return SCHEMA.parseStored(entries);
}
