import type { TopicPartition } from '../../protocol/topic-partition.js';
import type { Assigner, AssignerCluster, GroupMember, PartitionAssigner } from '../api/consumer.js';
import { AssignerProtocol } from './assigner-protocol.js';

/** A member as an assignor sees it. */
export interface Member {
  readonly memberId: string;
  readonly groupInstanceId?: string | null | undefined;
  readonly topics: readonly string[];
}

/** Partition counts of the topics that exist. */
export type PartitionCounts = ReadonlyMap<string, number>;

/** Who gets what; every member has an entry. */
export type Assignments = Map<string, TopicPartition[]>;

/**
 * Kafka's RangeAssignor: topic by topic, the members in order get runs of neighbouring partitions, the first ones one
 * more where it does not come out even.
 */
export function assignRange(members: readonly Member[], counts: PartitionCounts): Assignments {
  const assignments = emptyAssignments(members);
  for (const [topic, count] of [...counts].sort(byName)) {
    const subscribed = inOrder(members).filter(({ topics }) => topics.includes(topic));
    const share = Math.floor(count / subscribed.length);
    const rest = count % subscribed.length;
    let partition = 0;
    subscribed.forEach(({ memberId }, index) => {
      const end = partition + share + (index < rest ? 1 : 0);
      while (partition < end) assignments.get(memberId)!.push({ topic, partition: partition++ });
    });
  }
  return assignments;
}

/** Kafka's RoundRobinAssignor: all partitions in order, dealt out in turn, passing over who does not subscribe. */
export function assignRoundRobin(members: readonly Member[], counts: PartitionCounts): Assignments {
  const assignments = emptyAssignments(members);
  const circle = inOrder(members);
  let turn = 0;
  for (const [topic, count] of [...counts].sort(byName)) {
    if (!circle.some(({ topics }) => topics.includes(topic))) continue;
    for (let partition = 0; partition < count; partition++) {
      while (!circle[turn % circle.length]!.topics.includes(topic)) turn++;
      assignments.get(circle[turn++ % circle.length]!.memberId)!.push({ topic, partition });
    }
  }
  return assignments;
}

/** Static members come first, by their own name, so that a new member id moves nothing (KIP-345). */
function inOrder(members: readonly Member[]): Member[] {
  return [...members].sort((a, b) => {
    const [staticA, staticB] = [a.groupInstanceId ?? '', b.groupInstanceId ?? ''];
    if (staticA !== '' && staticB !== '') return compare(staticA, staticB);
    if (staticA !== '') return -1;
    return staticB !== '' ? 1 : compare(a.memberId, b.memberId);
  });
}

function emptyAssignments(members: readonly Member[]): Assignments {
  return new Map(members.map(({ memberId }) => [memberId, []]));
}

function byName(a: readonly [string, number], b: readonly [string, number]): number {
  return compare(a[0], b[0]);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The built-in assignors, in the form of KafkaJS's own. */
export const PartitionAssigners: { readonly roundRobin: PartitionAssigner; readonly range: PartitionAssigner } = {
  roundRobin: ({ cluster }) => assigner('RoundRobinAssigner', assignRoundRobin, cluster),
  range: ({ cluster }) => assigner('RangeAssigner', assignRange, cluster),
};

const PROTOCOL_VERSION = 1;

function assigner(
  name: string,
  assignPartitions: (members: readonly Member[], counts: PartitionCounts) => Assignments,
  cluster: AssignerCluster,
): Assigner {
  return {
    name,
    version: PROTOCOL_VERSION,
    assign({ members, topics }) {
      const counts = new Map(topics.map((topic) => [topic, cluster.findTopicPartitionMetadata(topic).length]));
      const assignments = assignPartitions(
        members.map((member) => memberOf(member, topics)),
        counts,
      );
      return Array.from(assignments, ([memberId, partitions]) => ({
        memberId,
        memberAssignment: AssignerProtocol.MemberAssignment.encode({
          version: PROTOCOL_VERSION,
          assignment: toAssignment(partitions),
        }),
      }));
    },
    protocol({ topics }) {
      return { name, metadata: AssignerProtocol.MemberMetadata.encode({ version: PROTOCOL_VERSION, topics }) };
    },
  };
}

function memberOf({ memberId, memberMetadata, groupInstanceId }: GroupMember, topics: readonly string[]): Member {
  return {
    memberId,
    groupInstanceId,
    topics: AssignerProtocol.MemberMetadata.decode(memberMetadata)?.topics ?? topics,
  };
}

function toAssignment(partitions: readonly TopicPartition[]): Record<string, number[]> {
  const assignment = new Map<string, number[]>(); // an object has properties that are no topics
  for (const { topic, partition } of partitions) {
    const known = assignment.get(topic);
    if (known === undefined) assignment.set(topic, [partition]);
    else known.push(partition);
  }
  return Object.fromEntries(assignment);
}
