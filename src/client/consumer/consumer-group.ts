import type { Consumer, ConsumerConfig, GroupDescription } from '../api/consumer.js';
import { describeGroups } from '../describe-groups.js';
import { KafkaJSNonRetriableError } from '../errors.js';
import { PartitionAssigners } from './assignors.js';
import { GroupSession, type GroupSessionOptions, type NewGroupSession } from './group-session.js';

type GroupOptions<K, V> = Omit<
  GroupSessionOptions,
  'groupInstanceId' | 'assigners' | 'sessionTimeoutMs' | 'heartbeatIntervalMs' | 'topics' | 'refreshTopics'
> & { readonly config: ConsumerConfig<K, V> };

interface TopicSubscription {
  readonly topic: string | RegExp;
  readonly fromBeginning: boolean;
}

/** What a consumer with a `groupId` does more than one without. */
export interface ConsumerGroup {
  subscribe: Consumer['subscribe'];
  describe(): Promise<GroupDescription>;
  /** One stay in the group, with the topics that the subscriptions stand for now. */
  newSession(): Promise<NewGroupSession>;
}

/** The part of a consumer that those without a group do not load. */
export function consumerGroup<K, V>({ config, ...options }: GroupOptions<K, V>): ConsumerGroup {
  const { connection, metadata, groupId, logger, retry } = options;
  const { partitionAssigners = [PartitionAssigners.roundRobin] } = config;
  const cluster = { findTopicPartitionMetadata: (topic: string) => metadata.cached(topic) ?? [] };
  const assigners = partitionAssigners.map((create) => create({ cluster, groupId, logger }));
  let subscriptions: TopicSubscription[] = [];

  async function subscribe(subscription: Parameters<Consumer['subscribe']>[0]): Promise<void> {
    const {
      topic,
      topics,
      fromBeginning = false,
    } = (subscription ?? {}) as {
      topic?: string | RegExp;
      topics?: readonly (string | RegExp)[];
      fromBeginning?: boolean;
    };
    if (!topic && !topics) throw new KafkaJSNonRetriableError('Missing required argument "topics"');
    if (topics !== undefined && topics !== null && !Array.isArray(topics)) {
      throw new KafkaJSNonRetriableError('Argument "topics" must be an array');
    }
    const wanted = topics ?? [topic!];
    for (const entry of wanted) {
      if (typeof entry === 'string' || entry instanceof RegExp) continue;
      throw new KafkaJSNonRetriableError(
        `Invalid topic ${entry} (${typeof entry}), the topic name has to be a String or a RegExp`,
      );
    }
    const added = wanted.map((entry) => ({ topic: entry, fromBeginning }));
    subscriptions.push(...added); // at once: KafkaJS code runs the consumer without having waited for this
    const names = wanted.filter((entry) => typeof entry === 'string');
    try {
      if (names.length > 0) await metadata.load(names);
    } catch (error) {
      subscriptions = subscriptions.filter((entry) => !added.includes(entry));
      throw error;
    }
  }

  /** The topics of all subscriptions; a later one for the same topic counts. */
  async function subscribedTopics(): Promise<ReadonlyMap<string, boolean>> {
    const topics = new Map<string, boolean>();
    const hasPattern = subscriptions.some(({ topic }) => topic instanceof RegExp);
    const existing = hasPattern ? await allTopics() : [];
    for (const { topic, fromBeginning } of subscriptions) {
      if (typeof topic === 'string') topics.set(topic, fromBeginning);
      else for (const name of existing) if (matches(topic, name)) topics.set(name, fromBeginning);
    }
    return topics;
  }

  /** All topics that there are, internal ones left out. */
  async function allTopics(): Promise<string[]> {
    const { topics } = await connection.retry({ options: retry }, () =>
      connection.request('Metadata', { topics: null, allowAutoTopicCreation: false }),
    );
    return topics.filter(({ isInternal }) => !isInternal).map(({ name }) => name);
  }

  async function describe(): Promise<GroupDescription> {
    const [group] = await connection.retry({ options: retry }, () => describeGroups(connection, [groupId]));
    return group!;
  }

  async function newSession(): Promise<NewGroupSession> {
    const sessionOptions: GroupSessionOptions = {
      ...options,
      groupInstanceId: config.groupInstanceId ?? null,
      assigners,
      sessionTimeoutMs: config.sessionTimeout ?? 30_000,
      heartbeatIntervalMs: config.heartbeatInterval ?? 3_000,
      topics: await subscribedTopics(),
      refreshTopics: subscribedTopics,
    };
    return (host) => new GroupSession(sessionOptions, host);
  }

  return { subscribe, describe, newSession };
}

/** A pattern with state (`g`, `y`) must not remember where it was. */
function matches(pattern: RegExp, topic: string): boolean {
  pattern.lastIndex = 0;
  return pattern.test(topic);
}
