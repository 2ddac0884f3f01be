import { KafkaError } from './errors.js';

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
  readonly uncleanLeaderElectionEnable: boolean;
}

/** How the text of one config is read. */
export interface ConfigDefinition<T> {
  /** Kafka's default, as text. */
  readonly default: string;
  readonly expected: string;
  /** undefined where the text is no legal value. */
  parse(text: string): T | undefined;
}

const LONG_MAX = '9223372036854775807';

export function integer(defaultText: string, least: number): ConfigDefinition<number> {
  return {
    default: defaultText,
    expected: `an integer of at least ${least}`,
    parse(text) {
      if (!/^-?\d+$/.test(text)) return undefined;
      const value = text === LONG_MAX ? Number.POSITIVE_INFINITY : Number(text);
      return value >= least ? value : undefined;
    },
  };
}

function oneOf<const T extends string>(defaultText: T, values: readonly T[]): ConfigDefinition<T> {
  return {
    default: defaultText,
    expected: `one of ${values.join(', ')}`,
    parse: (text) => values.find((value) => value === text),
  };
}

export const boolean: ConfigDefinition<boolean> = {
  default: 'false',
  expected: 'true or false',
  parse: (text) => (text === 'true' ? true : text === 'false' ? false : undefined),
};

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

type Definitions = { readonly [F in keyof TopicConfig]: { readonly name: string } & ConfigDefinition<TopicConfig[F]> };

/** Kafka's names, defaults and bounds ("Topic-Level Configs"). `segment.bytes` is ours: 8 MiB, a browser's measure. */
const DEFINITIONS: Definitions = {
  cleanupPolicy: { name: 'cleanup.policy', ...cleanupPolicy },
  compressionType: {
    name: 'compression.type',
    ...oneOf('producer', ['producer', 'uncompressed', 'gzip', 'snappy', 'lz4', 'zstd']),
  },
  deleteRetentionMs: { name: 'delete.retention.ms', ...integer('86400000', 0) },
  flushMessages: { name: 'flush.messages', ...integer(LONG_MAX, 1) },
  maxCompactionLagMs: { name: 'max.compaction.lag.ms', ...integer(LONG_MAX, 1) },
  maxMessageBytes: { name: 'max.message.bytes', ...integer('1048588', 0) },
  messageTimestampAfterMaxMs: { name: 'message.timestamp.after.max.ms', ...integer(LONG_MAX, 0) },
  messageTimestampBeforeMaxMs: { name: 'message.timestamp.before.max.ms', ...integer(LONG_MAX, 0) },
  messageTimestampType: { name: 'message.timestamp.type', ...oneOf('CreateTime', ['CreateTime', 'LogAppendTime']) },
  minCleanableDirtyRatio: { name: 'min.cleanable.dirty.ratio', ...ratio },
  minCompactionLagMs: { name: 'min.compaction.lag.ms', ...integer('0', 0) },
  minInsyncReplicas: { name: 'min.insync.replicas', ...integer('1', 1) },
  retentionBytes: { name: 'retention.bytes', ...integer('-1', -1) },
  retentionMs: { name: 'retention.ms', ...integer('604800000', -1) },
  segmentBytes: { name: 'segment.bytes', ...integer('8388608', 1024) },
  segmentMs: { name: 'segment.ms', ...integer('604800000', 1) },
  uncleanLeaderElectionEnable: { name: 'unclean.leader.election.enable', ...boolean },
};

const FIELD_OF: ReadonlyMap<string, keyof TopicConfig> = new Map(
  Object.entries(DEFINITIONS).map(([field, { name }]) => [name, field as keyof TopicConfig]),
);

/** All topic configs with their default as text, in Kafka's alphabetical order. */
export function topicConfigDefaults(): { readonly name: string; readonly default: string }[] {
  return Object.values(DEFINITIONS).map(({ name, default: text }) => ({ name, default: text }));
}

/**
 * The configuration that the set entries (dotted name → text) make together with the defaults.
 * @throws KafkaError INVALID_CONFIG for an unknown name or an illegal value.
 */
export function parseTopicConfig(entries: Readonly<Record<string, string | null>>): TopicConfig {
  const parsed: Partial<Record<keyof TopicConfig, unknown>> = {};
  for (const [field, definition] of Object.entries(DEFINITIONS)) {
    parsed[field as keyof TopicConfig] = definition.parse(definition.default);
  }
  for (const [name, text] of Object.entries(entries)) {
    const field = FIELD_OF.get(name);
    if (field === undefined) throw new KafkaError('INVALID_CONFIG', `unknown topic config ${JSON.stringify(name)}`);
    if (text === null) continue;
    const value = DEFINITIONS[field].parse(text);
    if (value === undefined) {
      const { expected } = DEFINITIONS[field];
      throw new KafkaError('INVALID_CONFIG', `${name}: expected ${expected}, found ${JSON.stringify(text)}`);
    }
    parsed[field] = value;
  }
  return parsed as unknown as TopicConfig; // each field was set above, from its own definition
}
