import { KafkaError } from '../protocol/errors.js';
import { boolean, type ConfigDefinition, integer } from '../protocol/topic-config.js';

/** The broker's configuration, parsed; Kafka's dotted names in camel case. */
export interface BrokerConfig {
  readonly autoCreateTopicsEnable: boolean;
  readonly defaultReplicationFactor: number;
  readonly groupInitialRebalanceDelayMs: number;
  readonly groupMaxSessionTimeoutMs: number;
  readonly groupMinSessionTimeoutMs: number;
  readonly logRetentionCheckIntervalMs: number;
  readonly numPartitions: number;
  readonly offsetMetadataMaxBytes: number;
  readonly offsetsRetentionCheckIntervalMs: number;
  readonly offsetsRetentionMinutes: number;
}

type Definitions = {
  readonly [F in keyof BrokerConfig]: { readonly name: string } & ConfigDefinition<BrokerConfig[F]>;
};

/** Kafka's names and defaults ("Broker Configs"), save one: nobody waits three seconds for a first member in a tab. */
const DEFINITIONS: Definitions = {
  autoCreateTopicsEnable: { name: 'auto.create.topics.enable', ...boolean, default: 'true' },
  defaultReplicationFactor: { name: 'default.replication.factor', ...integer('1', 1) },
  groupInitialRebalanceDelayMs: { name: 'group.initial.rebalance.delay.ms', ...integer('0', 0) },
  groupMaxSessionTimeoutMs: { name: 'group.max.session.timeout.ms', ...integer('1800000', 1) },
  groupMinSessionTimeoutMs: { name: 'group.min.session.timeout.ms', ...integer('6000', 1) },
  logRetentionCheckIntervalMs: { name: 'log.retention.check.interval.ms', ...integer('300000', 1) },
  numPartitions: { name: 'num.partitions', ...integer('1', 1) },
  offsetMetadataMaxBytes: { name: 'offset.metadata.max.bytes', ...integer('4096', 0) },
  offsetsRetentionCheckIntervalMs: { name: 'offsets.retention.check.interval.ms', ...integer('600000', 1) },
  offsetsRetentionMinutes: { name: 'offsets.retention.minutes', ...integer('10080', 1) },
};

const FIELD_OF: ReadonlyMap<string, keyof BrokerConfig> = new Map(
  Object.entries(DEFINITIONS).map(([field, { name }]) => [name, field as keyof BrokerConfig]),
);

/** All broker configs with their default as text, in alphabetical order. */
export function brokerConfigDefaults(): { readonly name: string; readonly default: string }[] {
  return Object.values(DEFINITIONS).map(({ name, default: text }) => ({ name, default: text }));
}

/**
 * The configuration that the set entries (dotted name → text) make together with the defaults.
 * @throws KafkaError INVALID_CONFIG for an unknown name or an illegal value.
 */
export function parseBrokerConfig(entries: Readonly<Record<string, string | null>>): BrokerConfig {
  const parsed: Partial<Record<keyof BrokerConfig, unknown>> = {};
  for (const [field, definition] of Object.entries(DEFINITIONS)) {
    parsed[field as keyof BrokerConfig] = definition.parse(definition.default);
  }
  for (const [name, text] of Object.entries(entries)) {
    const field = FIELD_OF.get(name);
    if (field === undefined) throw new KafkaError('INVALID_CONFIG', `unknown broker config ${JSON.stringify(name)}`);
    if (text === null) continue;
    const value = DEFINITIONS[field].parse(text);
    if (value === undefined) {
      const { expected } = DEFINITIONS[field];
      throw new KafkaError('INVALID_CONFIG', `${name}: expected ${expected}, found ${JSON.stringify(text)}`);
    }
    parsed[field] = value;
  }
  return parsed as unknown as BrokerConfig; // each field was set above, from its own definition
}
