import { type ErrorFields, errorFields, KafkaError, NO_ERROR } from '../protocol/errors.js';
import { ConfigResourceType, type Requests, type Responses } from '../protocol/requests.js';
import { assertLegalTopicName } from '../protocol/topic-name.js';
import { GROUP_OFFSETS_TOPIC, isInternalTopic } from '../protocol/topic-partition.js';
import type { BrokerConfig } from './broker-config.js';
import type { MetadataImage } from './metadata-image.js';
import type { MetadataRecord } from './metadata-records.js';

/** What a request changes: the records to append, and the answer once they are committed. */
export interface Change<Answer> {
  readonly records: readonly MetadataRecord[];
  readonly answer: Answer;
}

/** A thousand partitions open in a blink; a typo should not make a million. */
export const MAX_PARTITIONS = 10_000;
export const DEFAULT = -1;

export type NewTopic = Requests['CreateTopics']['topics'][number];

export interface TopicCreation {
  readonly config: BrokerConfig;
  readonly newTopicId: () => string;
}

/**
 * What CreateTopics does to `image`. Each topic is created or refused for itself. `countOf` finds the number of
 * partitions, and refuses what else is wrong: topics that a person asks for say more than those that create themselves.
 */
export function createTopics(
  image: MetadataImage,
  request: Pick<Requests['CreateTopics'], 'topics' | 'validateOnly'>,
  { config, newTopicId }: TopicCreation,
  countOf = partitionCount,
): Change<Responses['CreateTopics']> {
  const records: MetadataRecord[] = [];
  const created = new Set<string>();
  let nextLog = image.nextLogId;
  const topics = withRepetitions(request.topics, ({ name }) => name).map(({ item, isRepeated }) => {
    const { name } = item;
    try {
      if (isRepeated) throw repeated(name);
      checkName(name, [image.topics, created]);
      if (isInternalTopic(name)) throw internal(name);
      const numPartitions = countOf(item, config);
      const topicId = newTopicId();
      created.add(name);
      if (!request.validateOnly) {
        records.push({ type: 'TopicRecord', name, topicId });
        records.push(...partitionRecords({ topicId, from: 0, to: numPartitions, nextLog }));
        records.push(...item.configs.map(({ name: config, value }) => topicConfigRecord(name, config, value)));
        nextLog += numPartitions;
      }
      return { ...NO_ERROR, name, topicId, numPartitions, replicationFactor: 1 };
    } catch (error) {
      return { ...errorFields(error), name, topicId: '', numPartitions: -1, replicationFactor: -1 };
    }
  });
  return { records, answer: { topics } };
}

/** Makes those of the topics that are not there, with the broker's defaults. Resolves to why some could not be made. */
export async function createMissing(
  names: readonly string[],
  creation: TopicCreation,
  change: (decide: (image: MetadataImage) => Change<Responses['CreateTopics']>) => Promise<Responses['CreateTopics']>,
): Promise<ReadonlyMap<string, ErrorFields>> {
  const { topics } = await change((image) => {
    const missing = [...new Set(names)].filter((name) => !image.topics.has(name)).map(withDefaults);
    return createTopics(image, { topics: missing, validateOnly: false }, creation);
  });
  const failed = topics.filter(({ errorCode }) => errorCode !== 0);
  return new Map(failed.map(({ name, errorCode, errorMessage }) => [name, { errorCode, errorMessage }]));
}

function withDefaults(name: string): NewTopic {
  return { name, numPartitions: -1, replicationFactor: -1, assignments: [], configs: [] };
}

/** The topic of group offsets, one partition; nothing where it exists. */
export function createOffsetsTopic(image: MetadataImage, newTopicId: () => string): Change<void> {
  if (image.topics.has(GROUP_OFFSETS_TOPIC)) return { records: [], answer: undefined };
  const topicId = newTopicId();
  const records: MetadataRecord[] = [
    { type: 'TopicRecord', name: GROUP_OFFSETS_TOPIC, topicId },
    ...partitionRecords({ topicId, from: 0, to: 1, nextLog: image.nextLogId }),
    topicConfigRecord(GROUP_OFFSETS_TOPIC, 'cleanup.policy', 'compact'),
  ];
  return { records, answer: undefined };
}

export function partitionRecords(range: {
  readonly topicId: string;
  readonly from: number;
  readonly to: number;
  readonly nextLog: number;
}): MetadataRecord[] {
  const { topicId, from, to, nextLog } = range;
  return Array.from({ length: to - from }, (_, i) => {
    return { type: 'PartitionRecord', topicId, partitionId: from + i, log: nextLog + i };
  });
}

function topicConfigRecord(resourceName: string, name: string, value: string | null): MetadataRecord {
  return { type: 'ConfigRecord', resourceType: ConfigResourceType.TOPIC, resourceName, name, value };
}

type Names = Pick<ReadonlySet<string>, 'has' | 'keys'>;

function checkName(name: string, taken: readonly Names[]): void {
  assertLegalTopicName(name);
  if (taken.some((names) => names.has(name))) throw new KafkaError('TOPIC_ALREADY_EXISTS', `topic ${name} exists`);
  const other = collidingName(name, taken);
  if (other === undefined) return;
  const text = `topic ${name} collides with ${other}: names that differ only in '.' and '_' are one name to metrics`;
  throw new KafkaError('INVALID_TOPIC_EXCEPTION', text);
}

/** Most names have neither '.' nor '_', and most others another length: thousands of topics are gone through in no time. */
function collidingName(name: string, taken: readonly Names[]): string | undefined {
  if (!/[._]/.test(name)) return undefined;
  const key = collisionKey(name);
  for (const names of taken) {
    for (const other of names.keys()) if (other.length === name.length && collisionKey(other) === key) return other;
  }
  return undefined;
}

function collisionKey(name: string): string {
  return name.replaceAll('.', '_');
}

/** As the request has them, or the broker's defaults. */
export function partitionCount({ name, numPartitions, replicationFactor }: NewTopic, config: BrokerConfig): number {
  const count = numPartitions === DEFAULT ? config.numPartitions : numPartitions;
  if (!Number.isSafeInteger(count) || count < 1 || count > MAX_PARTITIONS) {
    const text = `topic ${name}: expected 1 to ${MAX_PARTITIONS} partitions, or -1 for the default, found ${count}`;
    throw new KafkaError('INVALID_PARTITIONS', text);
  }
  const factor = replicationFactor === DEFAULT ? config.defaultReplicationFactor : replicationFactor;
  if (factor !== 1) {
    const text = `topic ${name}: expected a replication factor of 1 (there is one broker) or -1, found ${factor}`;
    throw new KafkaError('INVALID_REPLICATION_FACTOR', text);
  }
  return count;
}

export function internal(name: string): KafkaError {
  return new KafkaError('INVALID_TOPIC_EXCEPTION', `topic ${name} is internal: only the broker makes and changes it`);
}

/** The items, each with whether another has its key: what is asked for twice may contradict itself (and is refused by Kafka). */
export function withRepetitions<T>(
  items: readonly T[],
  keyOf: (item: T) => string,
): { readonly item: T; readonly isRepeated: boolean }[] {
  const seen = new Set<string>();
  const repeats = new Set<string>();
  for (const key of items.map(keyOf)) (seen.has(key) ? repeats : seen).add(key);
  return items.map((item) => ({ item, isRepeated: repeats.has(keyOf(item)) }));
}

export function repeated(name: string): KafkaError {
  return new KafkaError('INVALID_REQUEST', `${JSON.stringify(name)} is asked for more than once`);
}
