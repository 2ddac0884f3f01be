import { errorOf, KafkaError } from '../../protocol/errors.js';
import type { OffsetCommitRequest, PartitionGap } from '../../protocol/requests.js';
import type { TopicPartition } from '../../protocol/topic-partition.js';
import type { Assigner, GroupMember, GroupMemberAssignment, Offsets } from '../api/consumer.js';
import { CONSUMER_EVENTS, type ConsumerEvents } from '../api/events.js';
import type { RetryOptions } from '../api/kafka.js';
import type { Logger } from '../api/logger.js';
import type { ClusterMetadata } from '../cluster-metadata.js';
import type { Connection } from '../connection.js';
import { describeGroups } from '../describe-groups.js';
import { KafkaJSProtocolError } from '../errors.js';
import type { Instrumentation } from '../instrumentation.js';
import { isRetriable, LATE_NEWS_WAITS_MS } from '../retry.js';
import type { Position } from './arguments.js';
import { AssignerProtocol } from './assigner-protocol.js';
import { GroupMembership, isRefusal, type JoinedGroup } from './membership.js';
import type { OffsetToCommit } from './offsets.js';
import type { AssignedPosition } from './session.js';

/** -1: nothing is. */
export interface Committed {
  readonly committed: number;
  /** In which it is. */
  readonly log?: number | undefined;
  /** The group begins where the partition ends now. */
  readonly beginsAtEnd?: boolean;
}

/** What a group does with the session that it belongs to. */
export interface GroupHost {
  /** Ends with the session. */
  readonly signal: AbortSignal;
  readonly isRunning: () => boolean;
  /** Offsets in place of the ends of logs; 0 for a partition that is not there. */
  readonly lookUp: <P extends AssignedPosition>(partitions: readonly P[]) => Promise<P[]>;
  /** Which data there is: to be asked together with positions in it. */
  readonly incarnation: () => Promise<string>;
  /** Reads exactly these from now on, positions in the data of that incarnation. */
  readonly adopt: (partitions: readonly (AssignedPosition & Committed)[], incarnationId: string) => void;
  /** Lets handlers finish the record they are at, and commits that where it is still ours. Reads nothing more. */
  readonly giveUp: (commits: boolean) => Promise<void>;
  /** A heartbeat was answered: what else is due? */
  readonly tick: () => void;
  /** Committed offsets of the group may be lost. */
  readonly onGap: (partition: TopicPartition, gap: PartitionGap, error: KafkaError) => void;
  /** The group cannot go on. */
  readonly onFailure: (error: unknown) => void;
}

export interface GroupSessionOptions {
  readonly connection: Connection;
  readonly metadata: ClusterMetadata;
  readonly retry: Required<RetryOptions>;
  readonly logger: Logger;
  readonly instrumentation: Instrumentation<ConsumerEvents>;
  readonly groupId: string;
  readonly groupInstanceId: string | null;
  readonly assigners: readonly Assigner[];
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  readonly heartbeatIntervalMs: number;
  readonly metadataMaxAgeMs: number;
  /** Topic → whether to begin at its beginning where nothing is committed. */
  readonly topics: ReadonlyMap<string, boolean>;
  /** What the patterns stand for now. */
  readonly refreshTopics: () => Promise<ReadonlyMap<string, boolean>>;
}

export type NewGroupSession = (host: GroupHost) => GroupSession;

/** What a session in a group does more than one with an assignment of its own: membership, sharing out, commits. */
export class GroupSession {
  readonly #options: GroupSessionOptions;
  readonly #host: GroupHost;
  readonly #membership: GroupMembership;
  #topics: ReadonlyMap<string, boolean>;
  #metadataCheckedMs: number;
  /** How far the topics were looked at. */
  #metadataOffset: number | undefined;
  /** Since when there is no assignment. */
  #joiningSinceMs: number;
  /** A static member whose first assignment may be an old one. */
  #mayBeBack: boolean;
  /** As leader: the partition counts that the assignment was made from. */
  #assignedCounts = new Map<string, number>();

  constructor(options: GroupSessionOptions, host: GroupHost) {
    this.#options = options;
    this.#host = host;
    this.#topics = options.topics;
    this.#mayBeBack = options.groupInstanceId !== null;
    this.#joiningSinceMs = this.#metadataCheckedMs = options.connection.runtime.clock.monotonicMs();
    const { groupId, assigners, instrumentation } = options;
    this.#membership = new GroupMembership({
      ...options,
      protocols: async () => {
        // All join with the topics of now, or those who hear of a new one later would have the group rebalance again.
        this.#topics = await options.refreshTopics().catch(() => this.#topics);
        return assigners.map((assigner) => assigner.protocol({ topics: [...this.#topics.keys()] }));
      },
      assign: (protocol, members) => this.#assignAsLeader(protocol, members),
      onAssigned: (assignment, group) => this.#onAssigned(assignment, group),
      onRevoked: ({ lost }) => this.#onRevoked(lost),
      onHeartbeat: ({ memberId, generationId }, { metadataOffset }) => {
        instrumentation.emit(CONSUMER_EVENTS.HEARTBEAT, { groupId, memberId, groupGenerationId: generationId });
        host.tick();
        if (metadataOffset === this.#metadataOffset) return;
        this.#metadataOffset = metadataOffset;
        this.checkTopics();
      },
      onFailure: host.onFailure,
    });
  }

  /** Resolves once there is an assignment, rejects where joining failed for good. */
  join(): Promise<void> {
    return this.#membership.join();
  }

  /** Gives up what is assigned, then leaves. Never rejects. */
  leave(): Promise<void> {
    return this.#membership.leave();
  }

  heartbeatIfDue(): Promise<void> {
    return this.#membership.heartbeatIfDue();
  }

  /** The coordinator knows nothing of this member any more. */
  forgotten(): void {
    this.#membership.refused('UNKNOWN_MEMBER_ID');
  }

  /** Whether a commit failed for a reason for which the group joins anew: it was refused, or a topic is gone. */
  isRefused(error: unknown): boolean {
    return isUnknownTopic(error) || (error instanceof KafkaJSProtocolError && isRefusal(error.type));
  }

  /** Where to begin where nothing is committed, or what was is gone. */
  resetPosition(topic: string): Position {
    return (this.#topics.get(topic) ?? true) ? 'earliest' : 'latest';
  }

  /** Sends a commit for the present generation; `topics` are the same offsets in KafkaJS's form. */
  async commit(offsets: readonly OffsetToCommit[], { topics }: Offsets): Promise<void> {
    const { connection, retry, groupId, groupInstanceId, instrumentation } = this.#options;
    const { member } = this.#membership;
    const { memberId, generationId } = member;
    const request = {
      groupId,
      memberId,
      groupInstanceId,
      generationIdOrMemberEpoch: generationId,
      topics: topicsToCommit(offsets),
    };
    try {
      const { signal } = this.#host; // a stopped consumer does not try again
      await connection.retry({ options: retry, signal, retriable: isWorthARetry }, async () => {
        const error = firstError((await connection.request('OffsetCommit', request, { signal })).topics);
        if (error !== undefined) throw error;
      });
    } catch (error) {
      if (isUnknownTopic(error)) this.checkTopics();
      if (error instanceof KafkaJSProtocolError) this.#membership.refused(error.type, member);
      throw error;
    }
    const payload = { groupId, memberId, groupGenerationId: generationId, topics };
    instrumentation.emit(CONSUMER_EVENTS.COMMIT_OFFSETS, payload);
  }

  checkTopicsIfDue(): void {
    const { connection, metadataMaxAgeMs } = this.#options;
    if (connection.runtime.clock.monotonicMs() - this.#metadataCheckedMs >= metadataMaxAgeMs) this.checkTopics();
  }

  /** Topics may have come to match a pattern, or have got partitions: then the group has to share out anew. */
  checkTopics(): void {
    const { connection, logger, refreshTopics } = this.#options;
    if (!this.#host.isRunning()) return;
    this.#metadataCheckedMs = connection.runtime.clock.monotonicMs();
    const check = async (): Promise<void> => {
      const topics = await refreshTopics();
      const counts = await this.#partitionCounts([...this.#assignedCounts.keys()]);
      if (!this.#membership.isStable) {
        this.#metadataOffset = undefined; // what it joins with may be older: once more then
        return;
      }
      const changed =
        topics.size !== this.#topics.size ||
        [...topics.keys()].some((topic) => !this.#topics.has(topic)) ||
        [...this.#assignedCounts].some(([topic, count]) => counts.get(topic) !== count);
      this.#topics = topics;
      if (changed && this.#host.isRunning()) this.#membership.rejoin();
    };
    check().catch((error) => {
      this.#metadataOffset = undefined; // with the next heartbeat
      logger.debug('Topics could not be looked up', { error: String(error) });
    });
  }

  async #assignAsLeader(protocol: string, members: GroupMember[]): Promise<readonly GroupMemberAssignment[]> {
    const assigner = this.#options.assigners.find(({ name }) => name === protocol);
    if (assigner === undefined) {
      const text = `expected one of our assignors, found ${JSON.stringify(protocol)}`;
      throw new KafkaJSProtocolError(new KafkaError('INCONSISTENT_GROUP_PROTOCOL', text));
    }
    const topics = new Set(this.#topics.keys());
    for (const { memberMetadata } of members) {
      for (const topic of AssignerProtocol.MemberMetadata.decode(memberMetadata)?.topics ?? []) topics.add(topic);
    }
    this.#assignedCounts = await this.#partitionCounts([...topics]);
    const existing = [...this.#assignedCounts].filter(([, count]) => count > 0).map(([topic]) => topic);
    return assigner.assign({ members, topics: existing.sort() });
  }

  /** 0 for a topic that does not exist: it may come. They are mostly all there, and then one request says so. */
  async #partitionCounts(topics: readonly string[]): Promise<Map<string, number>> {
    if (topics.length === 0) return new Map();
    const known = await this.#knownCounts(topics);
    if (known !== undefined) return known;
    return new Map(await Promise.all(topics.map(async (topic) => [topic, await this.#partitionCount(topic)] as const)));
  }

  async #partitionCount(topic: string): Promise<number> {
    const { connection, metadata } = this.#options;
    for (const ms of LATE_NEWS_WAITS_MS) {
      if (ms > 0) await connection.runtime.clock.sleep(ms, this.#host.signal); // even none at all is long in a hidden page
      const known = await this.#knownCounts([topic]);
      if (known !== undefined) return known.get(topic)!;
    }
    metadata.forget(topic);
    return 0;
  }

  /** undefined where one of the topics does not exist. */
  async #knownCounts(topics: readonly string[]): Promise<Map<string, number> | undefined> {
    try {
      const loaded = await this.#options.metadata.load(topics, this.#host.signal, isWorthARetry);
      return new Map(Array.from(loaded, ([topic, partitions]) => [topic, partitions.length]));
    } catch (error) {
      if (!isUnknownTopic(error)) throw error;
      return undefined;
    }
  }

  async #onAssigned(bytes: Uint8Array, group: JoinedGroup): Promise<void> {
    const { connection, groupId, groupInstanceId, instrumentation, logger } = this.#options;
    if (group.memberId !== group.leaderId) {
      // A static leader that is back is not told that it leads (KIP-345), and nobody else looks out for new partitions.
      const looksOut = groupInstanceId === null ? [] : [...this.#topics.keys()];
      this.#assignedCounts = await this.#partitionCounts(looksOut);
    }
    const given = AssignerProtocol.MemberAssignment.decode(bytes)?.assignment ?? {};
    const unsubscribed = Object.keys(given).filter((topic) => !this.#topics.has(topic));
    const memberAssignment = Object.fromEntries(Object.entries(given).filter(([topic]) => this.#topics.has(topic)));
    if (unsubscribed.length > 0) {
      const payload = {
        groupId,
        generationId: this.#membership.member.generationId,
        memberId: group.memberId,
        assignedTopics: Object.keys(given),
        topicsSubscribed: [...this.#topics.keys()],
        topicsNotSubscribed: unsubscribed,
      };
      instrumentation.emit(CONSUMER_EVENTS.RECEIVED_UNSUBSCRIBED_TOPICS, payload);
      logger.warn('Consumer group received unsubscribed topics', payload);
    }
    const partitions = Object.entries(memberAssignment).flatMap(([topic, numbers]) =>
      numbers.map((partition) => ({ topic, partition })),
    );
    if (this.#mayBeBack) this.#assertThere(partitions);
    if (this.#mayBeBack && group.memberId !== group.leaderId) await this.#countShared();
    this.#mayBeBack = false;
    const [incarnationId, committed] = await Promise.all([this.#host.incarnation(), this.#fetchCommitted(partitions)]);
    const positioned = await this.#host.lookUp(
      committed.map((entry) => {
        const position = entry.committed >= 0 ? entry.committed : this.resetPosition(entry.topic);
        return { ...entry, position, beginsAtEnd: position === 'latest' };
      }),
    );
    if (!this.#host.isRunning()) return;
    this.#host.adopt(positioned, incarnationId);
    const payload = {
      groupId,
      memberId: group.memberId,
      leaderId: group.leaderId,
      isLeader: group.memberId === group.leaderId,
      memberAssignment,
      groupProtocol: group.groupProtocol,
      duration: connection.runtime.clock.monotonicMs() - this.#joiningSinceMs,
    };
    instrumentation.emit(CONSUMER_EVENTS.GROUP_JOIN, payload);
    logger.info('Consumer has joined the group', payload);
  }

  /** Nobody has shared out anew for a static member that is back: it has what it had, be it gone, and must say so. */
  #assertThere(partitions: readonly TopicPartition[]): void {
    for (const { topic, partition } of partitions) {
      const count = this.#assignedCounts.get(topic) ?? 0;
      if (partition < count) continue;
      const text = `topic ${topic} has ${count} partitions, partition ${partition} was assigned`;
      throw new KafkaJSProtocolError(new KafkaError('UNKNOWN_TOPIC_OR_PARTITION', text));
    }
  }

  /** Partitions that came while a static leader was away are nobody's: the next look at the topics is to find them new. */
  async #countShared(): Promise<void> {
    const { connection, retry, groupId } = this.#options;
    const { signal } = this.#host;
    const [group] = await connection.retry({ options: retry, signal }, () => describeGroups(connection, [groupId]));
    for (const topic of this.#assignedCounts.keys()) this.#assignedCounts.set(topic, 0);
    for (const { memberAssignment } of group!.members) {
      const given = AssignerProtocol.MemberAssignment.decode(memberAssignment)?.assignment ?? {};
      for (const [topic, count] of this.#assignedCounts)
        this.#assignedCounts.set(topic, count + (given[topic]?.length ?? 0));
    }
  }

  async #fetchCommitted(partitions: readonly TopicPartition[]): Promise<(TopicPartition & Committed)[]> {
    if (partitions.length === 0) return [];
    const { connection, retry, groupId } = this.#options;
    const topics = [...new Set(partitions.map(({ topic }) => topic))].map((name) => ({
      name,
      partitionIndexes: partitions.filter(({ topic }) => topic === name).map(({ partition }) => partition),
    }));
    const { signal } = this.#host;
    const response = await connection.retry({ options: retry, signal }, async () => {
      const answer = await connection.request('OffsetFetch', { groupId, topics });
      const error = errorOf(answer) ?? firstError(answer.topics);
      if (error !== undefined) throw error;
      return answer;
    });
    const { gap } = response;
    if (gap !== undefined) {
      const text = `commits of group ${groupId} may be lost: admin.setOffsets sets them`;
      this.#host.onGap(gap, gap, new KafkaError('CORRUPT_MESSAGE', text));
    }
    return response.topics.flatMap(({ name, partitions: answers }) =>
      answers.map(({ partitionIndex, committedOffset, log }) => ({
        topic: name,
        partition: partitionIndex,
        committed: committedOffset,
        log,
      })),
    );
  }

  async #onRevoked(lost: boolean): Promise<void> {
    const { connection, groupId, instrumentation } = this.#options;
    if (this.#host.isRunning()) {
      instrumentation.emit(CONSUMER_EVENTS.REBALANCING, { groupId, memberId: this.#membership.member.memberId });
    }
    await this.#host.giveUp(!lost);
    this.#joiningSinceMs = connection.runtime.clock.monotonicMs();
  }
}

function topicsToCommit(offsets: readonly OffsetToCommit[]): OffsetCommitRequest['topics'] {
  const topics = new Map<string, OffsetCommitRequest['topics'][number]['partitions'][number][]>();
  for (const { topic, partition, offset, metadata = null, log } of offsets) {
    const partitions = topics.get(topic) ?? [];
    topics.set(topic, partitions);
    partitions.push({
      partitionIndex: partition,
      committedOffset: offset,
      committedLeaderEpoch: -1,
      committedMetadata: metadata,
      log,
    });
  }
  return Array.from(topics, ([name, partitions]) => ({ name, partitions }));
}

/** Who coordinates the group knows all topics. */
function isWorthARetry(error: unknown): boolean {
  return isRetriable(error) && !isUnknownTopic(error);
}

function isUnknownTopic(error: unknown): boolean {
  return error instanceof KafkaJSProtocolError && error.type === 'UNKNOWN_TOPIC_OR_PARTITION';
}

/** What was committed for a topic that was made anew since is nobody's any more. */
function firstError(
  topics: readonly { readonly partitions: readonly { errorCode: number; errorMessage: string | null }[] }[],
): KafkaError | undefined {
  const errors = topics.flatMap(({ partitions }) => partitions.map(errorOf));
  return errors.find((error) => error !== undefined && error.type !== 'UNKNOWN_TOPIC_ID');
}
