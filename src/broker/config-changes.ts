import { BROKER_ID } from '../protocol/broker-node.js';
import { ConfigSource } from '../protocol/config-source.js';
import { errorFields, KafkaError, NO_ERROR } from '../protocol/errors.js';
import { ConfigResourceType, type Requests, type Responses } from '../protocol/requests.js';
import { topicConfigDefaults } from '../protocol/topic-config.js';
import { brokerConfigDefaults, parseBrokerConfig } from './broker-config.js';
import { type Change, repeated, withRepetitions } from './create-topics.js';
import { checkTopicConfigs, givenConfigs } from './given-configs.js';
import { reasonOfAbsence } from './handle-metadata.js';
import type { MetadataImage } from './metadata-image.js';
import type { MetadataRecord } from './metadata-records.js';

type Entries = Readonly<Record<string, string>>;
type Synonym = Responses['DescribeConfigs']['results'][number]['configs'][number]['synonyms'][number];

/** The configs of topics and of the broker, each with where its value comes from. */
export function describeConfigs(
  image: MetadataImage,
  staticConfigs: Entries,
  { resources, includeSynonyms }: Requests['DescribeConfigs'],
): Responses['DescribeConfigs'] {
  const results = resources.map(({ resourceType, resourceName, configurationKeys }) => {
    try {
      const configs = layersOf(image, staticConfigs, resourceType, resourceName)
        .filter(({ name }) => configurationKeys === null || configurationKeys.includes(name))
        .map(({ name, layers }) => {
          const [first] = layers as [Synonym];
          return {
            name,
            value: first.value,
            readOnly: false,
            isDefault: first.source === ConfigSource.DEFAULT_CONFIG,
            configSource: first.source,
            isSensitive: false,
            synonyms: includeSynonyms ? layers : [],
          };
        });
      return { ...NO_ERROR, resourceType, resourceName, configs };
    } catch (error) {
      return { ...errorFields(error), resourceType, resourceName, configs: [] };
    }
  });
  return { results };
}

/** What AlterConfigs does: the given configs replace all that are set; what is not given is back at its default. */
export function alterConfigs(
  image: MetadataImage,
  { resources, validateOnly }: Requests['AlterConfigs'],
): Change<Responses['AlterConfigs']> {
  const records: MetadataRecord[] = [];
  const keyOf = ({ resourceType, resourceName }: (typeof resources)[number]) => `${resourceType} ${resourceName}`;
  const responses = withRepetitions(resources, keyOf).map(({ item, isRepeated }) => {
    const { resourceType, resourceName, configs } = item;
    try {
      if (isRepeated) throw repeated(resourceName);
      const before = setConfigs(image, resourceType, resourceName);
      const after = givenConfigs(configs);
      if (resourceType === ConfigResourceType.TOPIC) checkTopicConfigs(after);
      else parseBrokerConfig(after);
      for (const name of new Set([...Object.keys(before), ...Object.keys(after)])) {
        const value = after[name] ?? null;
        if (before[name] === after[name] || validateOnly) continue;
        records.push({ type: 'ConfigRecord', resourceType, resourceName, name, value });
      }
      return { ...NO_ERROR, resourceType, resourceName };
    } catch (error) {
      return { ...errorFields(error), resourceType, resourceName };
    }
  });
  return { records, answer: { responses } };
}

function layersOf(
  image: MetadataImage,
  staticConfigs: Entries,
  resourceType: number,
  resourceName: string,
): { readonly name: string; readonly layers: readonly Synonym[] }[] {
  const set = setConfigs(image, resourceType, resourceName);
  if (resourceType === ConfigResourceType.TOPIC) {
    return topicConfigDefaults().map(({ name, default: text }) => ({
      name,
      layers: [
        ...layer(name, set[name], ConfigSource.TOPIC_CONFIG),
        ...layer(brokerName(name), text, ConfigSource.DEFAULT_CONFIG),
      ],
    }));
  }
  return brokerConfigDefaults().map(({ name, default: text }) => ({
    name,
    layers: [
      ...layer(name, set[name], ConfigSource.DYNAMIC_BROKER_CONFIG),
      ...layer(name, staticConfigs[name], ConfigSource.STATIC_BROKER_CONFIG),
      ...layer(name, text, ConfigSource.DEFAULT_CONFIG),
    ],
  }));
}

function layer(name: string, value: string | undefined, source: number): Synonym[] {
  return value === undefined ? [] : [{ name, value, source }];
}

/** @throws KafkaError UNKNOWN_TOPIC_OR_PARTITION, INVALID_TOPIC_EXCEPTION, INVALID_REQUEST: no such resource. */
function setConfigs(image: MetadataImage, resourceType: number, resourceName: string): Entries {
  switch (resourceType) {
    case ConfigResourceType.TOPIC: {
      const topic = image.topics.get(resourceName);
      if (topic === undefined) throw reasonOfAbsence(resourceName);
      return topic.configs;
    }
    case ConfigResourceType.BROKER:
      if (resourceName === String(BROKER_ID)) return image.brokerConfigs;
      throw new KafkaError('INVALID_REQUEST', `expected broker id ${BROKER_ID}, found ${JSON.stringify(resourceName)}`);
    default:
      throw new KafkaError('INVALID_REQUEST', `expected resource type 2 (topic) or 4 (broker), found ${resourceType}`);
  }
}

/** Kafka's broker-wide names of topic configs, where they are not simply `log.` and the name. */
const BROKER_NAMES: Entries = {
  'compression.type': 'compression.type',
  'delete.retention.ms': 'log.cleaner.delete.retention.ms',
  'flush.messages': 'log.flush.interval.messages',
  'max.compaction.lag.ms': 'log.cleaner.max.compaction.lag.ms',
  'max.message.bytes': 'message.max.bytes',
  'min.cleanable.dirty.ratio': 'log.cleaner.min.cleanable.ratio',
  'min.compaction.lag.ms': 'log.cleaner.min.compaction.lag.ms',
  'min.insync.replicas': 'min.insync.replicas',
  'segment.ms': 'log.roll.ms',
  'unclean.leader.election.enable': 'unclean.leader.election.enable',
};

function brokerName(topicConfig: string): string {
  return BROKER_NAMES[topicConfig] ?? `log.${topicConfig}`;
}
