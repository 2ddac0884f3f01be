import { boolean, type ConfigDefault, type ConfigEntries, configSchema, integer } from '../protocol/config-schema.js';

/** The broker's configuration, parsed; Kafka's dotted names in camel case. */
export interface BrokerConfig {
  readonly autoCreateTopicsEnable: boolean;
  readonly defaultReplicationFactor: number;
  readonly groupInitialRebalanceDelayMs: number;
  readonly groupMaxSessionTimeoutMs: number;
  readonly groupMinSessionTimeoutMs: number;
  readonly logInitialTaskDelayMs: number;
  readonly logRetentionCheckIntervalMs: number;
  readonly numPartitions: number;
  readonly offsetMetadataMaxBytes: number;
  readonly offsetsRetentionCheckIntervalMs: number;
  readonly offsetsRetentionMinutes: number;
  readonly producerIdExpirationMs: number;
}

/** Kafka's defaults ("Broker Configs"), save one: nobody waits three seconds for a first member in a tab. */
const SCHEMA = configSchema<BrokerConfig>('broker', {
  autoCreateTopicsEnable: { ...boolean, default: 'true' },
  defaultReplicationFactor: integer('1', 1),
  groupInitialRebalanceDelayMs: integer('0', 0),
  groupMaxSessionTimeoutMs: integer('1800000', 1),
  groupMinSessionTimeoutMs: integer('6000', 1),
  logInitialTaskDelayMs: integer('30000', 0),
  logRetentionCheckIntervalMs: integer('300000', 1),
  numPartitions: integer('1', 1),
  offsetMetadataMaxBytes: integer('4096', 0),
  offsetsRetentionCheckIntervalMs: integer('600000', 1),
  offsetsRetentionMinutes: integer('10080', 1),
  producerIdExpirationMs: integer('86400000', 1),
});

/** All broker configs with their default as text, in alphabetical order. */
export function brokerConfigDefaults(): readonly ConfigDefault[] {
  return SCHEMA.defaults;
}

/**
 * The configuration that the set entries (dotted name → text) make together with the defaults.
 * @throws KafkaError INVALID_CONFIG for an unknown name or an illegal value.
 */
export function parseBrokerConfig(entries: ConfigEntries): BrokerConfig {
  return SCHEMA.parse(entries);
}

/** The same of what is stored: see `ConfigSchema.parseStored`. */
export function storedBrokerConfig(entries: ConfigEntries): BrokerConfig {
  return SCHEMA.parseStored(entries);
}
