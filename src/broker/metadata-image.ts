import { ConfigResourceType, type PartitionGap } from '../protocol/requests.js';
import { storedTopicConfig, type TopicConfig } from '../protocol/topic-config.js';
import { isInternalTopic } from '../protocol/topic-partition.js';
import type { LogId } from '../storage/log-store.js';
import { unreachable } from '../util/assert.js';
import type { MetadataRecord } from './metadata-records.js';

export interface PartitionImage {
  readonly partitionId: number;
  readonly log: LogId;
}

export interface TopicImage {
  readonly name: string;
  readonly topicId: string;
  readonly isInternal: boolean;
  /** By partition id, without a gap. */
  readonly partitions: readonly PartitionImage[];
  /** What was set, by dotted name. */
  readonly configs: Readonly<Record<string, string>>;
  /** What is in force. */
  readonly config: TopicConfig;
}

/** The cluster's metadata after some record of the metadata log. Immutable: whoever keeps one keeps a moment. */
export interface MetadataImage {
  readonly topics: ReadonlyMap<string, TopicImage>;
  /** What was set on the broker while it ran, by dotted name. */
  readonly brokerConfigs: Readonly<Record<string, string>>;
  /** Logs of removed topics whose data is not yet deleted. */
  readonly removedLogs: ReadonlySet<LogId>;
  /** Greater than every log id ever given. */
  readonly nextLogId: LogId;
  readonly nextProducerId: number;
  /** The last that was met in the log. */
  readonly gap?: PartitionGap;
}

export const EMPTY_IMAGE: MetadataImage = {
  topics: new Map(),
  brokerConfigs: {},
  removedLogs: new Set(),
  nextLogId: 1,
  nextProducerId: 0,
};

/**
 * The image after `records`, in order. What speaks of a topic or a partition that was never heard of is passed over: the
 * record before it was lost to damage. Pure; costs one copy of the topic table however many records there are.
 */
export function applyMetadataRecords(image: MetadataImage, records: readonly MetadataRecord[]): MetadataImage {
  if (records.length === 0) return image;
  const draft: Draft = { ...image, topics: new Map(image.topics), removedLogs: new Set(image.removedLogs) };
  const names = new TopicNames(image);
  for (const record of records) applyTo(draft, names, record);
  return draft;
}

export function applyMetadataRecord(image: MetadataImage, record: MetadataRecord): MetadataImage {
  return applyMetadataRecords(image, [record]);
}

type Draft = { -readonly [F in keyof MetadataImage]: MetadataImage[F] } & {
  topics: Map<string, TopicImage>;
  removedLogs: Set<LogId>;
};

/** By topic id. Most records speak of a topic that came right before them: the others are gone through when first needed. */
class TopicNames {
  readonly #image: MetadataImage;
  readonly #names = new Map<string, string>();
  #isWhole = false;

  constructor(image: MetadataImage) {
    this.#image = image;
  }

  set(topicId: string, name: string): void {
    this.#names.set(topicId, name);
  }

  get(topicId: string): string | undefined {
    const known = this.#names.get(topicId);
    if (known !== undefined || this.#isWhole) return known;
    this.#isWhole = true;
    for (const topic of this.#image.topics.values()) this.#names.set(topic.topicId, topic.name);
    return this.#names.get(topicId);
  }
}

function applyTo(draft: Draft, names: TopicNames, record: MetadataRecord): void {
  switch (record.type) {
    case 'TopicRecord': {
      const { name, topicId } = record;
      names.set(topicId, name);
      if (draft.topics.get(name)?.topicId === topicId) return; // a snapshot repeats what is known (metadata-snapshot.ts)
      const isInternal = isInternalTopic(name);
      draft.topics.set(name, { name, topicId, isInternal, partitions: [], configs: {}, config: storedTopicConfig({}) });
      return;
    }
    case 'PartitionRecord': {
      const topic = topicOf(draft, names, record.topicId);
      const { partitionId, log } = record;
      draft.nextLogId = Math.max(draft.nextLogId, log + 1);
      if (topic?.partitions.length !== partitionId) return;
      draft.topics.set(topic.name, { ...topic, partitions: [...topic.partitions, { partitionId, log }] });
      return;
    }
    case 'RemoveTopicRecord': {
      const topic = topicOf(draft, names, record.topicId);
      if (topic === undefined) return;
      draft.topics.delete(topic.name);
      for (const { log } of topic.partitions) draft.removedLogs.add(log);
      return;
    }
    case 'RemoveLogsRecord':
      for (const log of record.logs) draft.removedLogs.delete(log);
      return;
    case 'ConfigRecord':
      if (record.resourceType === ConfigResourceType.BROKER) {
        draft.brokerConfigs = withConfig(draft.brokerConfigs, record);
      } else {
        const topic = draft.topics.get(record.resourceName);
        if (topic === undefined) return;
        const configs = withConfig(topic.configs, record);
        draft.topics.set(topic.name, { ...topic, configs, config: storedTopicConfig(configs) });
      }
      return;
    case 'ProducerIdsRecord':
      draft.nextProducerId = record.nextProducerId;
      return;
    default:
      unreachable(record);
  }
}

function topicOf(draft: Draft, names: TopicNames, topicId: string): TopicImage | undefined {
  return draft.topics.get(names.get(topicId) ?? '');
}

function withConfig(
  configs: Readonly<Record<string, string>>,
  { name, value }: { readonly name: string; readonly value: string | null },
): Readonly<Record<string, string>> {
  const { [name]: _, ...others } = configs;
  return value === null ? others : { ...others, [name]: value };
}

/** The log of a partition, undefined where the image knows none. */
export function logOf(image: MetadataImage, topic: string, partition: number): LogId | undefined {
  return image.topics.get(topic)?.partitions[partition]?.log;
}
