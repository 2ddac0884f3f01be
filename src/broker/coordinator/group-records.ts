import { present } from '../../util/assert.js';
import { emptyGroup, type GroupState } from './group-state.js';
import type { CommittedOffset, OffsetCommitRecord, OffsetsRecord, StoredGroup } from './offsets-records.js';

/** All that the log tells of one group. */
export interface Group {
  readonly state: GroupState;
  /** What the log holds of its state; undefined where it never had a generation. */
  readonly stored: StoredGroup | undefined;
  /** By topic, then partition. */
  readonly offsets: ReadonlyMap<string, ReadonlyMap<number, CommittedOffset>>;
}

const NO_BYTES = new Uint8Array();

export function newGroup(groupId: string): Group {
  return { state: emptyGroup(groupId), stored: undefined, offsets: new Map() };
}

/** What is stored of a group's state; of its members what they gave for the protocol that was chosen. */
export function storedGroup(state: GroupState, currentStateTimestampMs: number): StoredGroup {
  const { generationId, protocolName, leaderId } = state;
  return {
    protocolType: state.protocolType ?? '',
    generationId,
    protocolName,
    leaderId,
    currentStateTimestampMs,
    members: [...state.members.values()].map((member) => ({
      memberId: member.memberId,
      groupInstanceId: member.groupInstanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      rebalanceTimeoutMs: member.rebalanceTimeoutMs,
      sessionTimeoutMs: member.sessionTimeoutMs,
      subscription: member.protocols.find(({ name }) => name === protocolName)?.metadata ?? NO_BYTES,
      assignment: member.assignment,
    })),
  };
}

/** All records that the log needs to hold for this group. */
export function recordsOf({ state: { groupId }, stored, offsets }: Group): OffsetsRecord[] {
  const records: OffsetsRecord[] = stored === undefined ? [] : [{ type: 'GroupMetadata', groupId, value: stored }];
  for (const [topic, partitions] of offsets) {
    for (const [partition, value] of partitions)
      records.push({ type: 'OffsetCommit', groupId, topic, partition, value });
  }
  return records;
}

/** Nothing is known of the group: as if it had never been. */
export function isNothing({ state, stored, offsets }: Group): boolean {
  const { phase, pendingMembers } = state;
  return stored === undefined && phase.name === 'Empty' && pendingMembers.size === 0 && offsets.size === 0;
}

/**
 * The group after these records of its log, in their order, as a coordinator that takes over sees it.
 * `nowMs` is monotonic: sessions start anew when a coordinator takes over.
 */
export function applyOffsetsRecords(group: Group, records: readonly OffsetsRecord[], nowMs: number): Group {
  let { state, stored } = group;
  for (const record of records) {
    if (record.type !== 'GroupMetadata') continue;
    stored = record.value ?? undefined;
    state = stored ? restored(record.groupId, stored, nowMs) : newGroup(record.groupId).state;
  }
  return withOffsets(
    { ...group, state, stored },
    records.filter((record) => record.type === 'OffsetCommit'),
  );
}

/** The group with these offsets committed, or with `value` null deleted. Costs a copy however many there are. */
export function withOffsets(group: Group, records: readonly OffsetCommitRecord[]): Group {
  const offsets = new Map(group.offsets);
  const changed = new Map<string, Map<number, CommittedOffset>>();
  for (const { topic, partition, value } of records) {
    const ofTopic = changed.get(topic) ?? new Map(group.offsets.get(topic));
    changed.set(topic, ofTopic);
    if (value === null) ofTopic.delete(partition);
    else ofTopic.set(partition, value);
  }
  for (const [topic, ofTopic] of changed) {
    if (ofTopic.size === 0) offsets.delete(topic);
    else offsets.set(topic, ofTopic);
  }
  return { ...group, offsets };
}

function restored(groupId: string, stored: StoredGroup, nowMs: number): GroupState {
  const { generationId, protocolName, leaderId } = stored;
  const members = stored.members.map((member) => ({
    memberId: member.memberId,
    groupInstanceId: member.groupInstanceId,
    clientId: member.clientId,
    clientHost: member.clientHost,
    sessionTimeoutMs: member.sessionTimeoutMs,
    rebalanceTimeoutMs: member.rebalanceTimeoutMs,
    protocols: [{ name: present(protocolName, 'a group with members has a protocol'), metadata: member.subscription }],
    assignment: member.assignment,
    sessionDeadlineMs: nowMs + member.sessionTimeoutMs,
    isNew: false,
    owesSync: false,
    joinCall: undefined,
    syncCall: undefined,
    newsCall: undefined,
    newsDueMs: 0,
  }));
  return {
    ...emptyGroup(groupId),
    phase: members.length === 0 ? { name: 'Empty' } : { name: 'Stable', deadlineMs: nowMs },
    generationId,
    protocolType: stored.protocolType === '' ? null : stored.protocolType,
    protocolName,
    leaderId,
    members: new Map(members.map((member) => [member.memberId, member])),
  };
}
