import { FieldReader, FieldWriter } from '../../protocol/fields.js';
import { assert } from '../../util/assert.js';

/** A committed offset, as OffsetFetch answers it. */
export interface CommittedOffset {
  readonly offset: number;
  /** -1: unknown. */
  readonly leaderEpoch: number;
  readonly metadata: string;
  /** Wall clock. */
  readonly commitTimestampMs: number;
}

/** What outlives the coordinator of a group that has been in a generation. */
export interface StoredGroup {
  readonly protocolType: string;
  readonly generationId: number;
  readonly protocolName: string | null;
  readonly leaderId: string | null;
  /** Wall clock: since when the group is in its state. */
  readonly currentStateTimestampMs: number;
  readonly members: readonly {
    readonly memberId: string;
    readonly groupInstanceId: string | null;
    readonly clientId: string;
    readonly clientHost: string;
    readonly rebalanceTimeoutMs: number;
    readonly sessionTimeoutMs: number;
    readonly subscription: Uint8Array;
    readonly assignment: Uint8Array;
  }[];
}

export interface OffsetCommitRecord {
  readonly type: 'OffsetCommit';
  readonly groupId: string;
  readonly topic: string;
  readonly partition: number;
  readonly value: CommittedOffset | null;
}

/** One record of __consumer_offsets; `value` null is its tombstone. */
export type OffsetsRecord =
  | OffsetCommitRecord
  | { readonly type: 'GroupMetadata'; readonly groupId: string; readonly value: StoredGroup | null };

const OFFSET_COMMIT_KEY_VERSION = 1;
const OFFSET_COMMIT_VALUE_VERSION = 3;
const GROUP_METADATA_KEY_VERSION = 2;
const GROUP_METADATA_VALUE_VERSION = 3;
/** 24 days; a consumer may be told to wait longer, or for ever. */
const MAX_INT32 = 2 ** 31 - 1;

/**
 * Kafka's own schemas (OffsetCommitKey 1, OffsetCommitValue 3, GroupMetadataKey 2, GroupMetadataValue 3), so that
 * Kafka's tools can read the topic. Strings and bytes are led by their length (int16, int32), -1 for null:
 *
 *   offset key     version 2 · group · topic · partition 4
 *   offset value   version 2 · offset 8 · leaderEpoch 4 · metadata · commitTimestamp 8
 *   group key      version 2 · group
 *   group value    version 2 · protocolType · generation 4 · protocol? · leader? · currentStateTimestamp 8 ·
 *                  count 4 · (memberId · groupInstanceId? · clientId · clientHost · rebalanceTimeout 4 ·
 *                  sessionTimeout 4 · subscription · assignment)*
 */
export function encodeOffsetsRecord(record: OffsetsRecord): {
  readonly key: Uint8Array;
  readonly value: Uint8Array | null;
} {
  const key = new FieldWriter();
  switch (record.type) {
    case 'OffsetCommit': {
      key.int16(OFFSET_COMMIT_KEY_VERSION).string(record.groupId).string(record.topic).int32(record.partition);
      return { key: key.finish(), value: record.value === null ? null : encodeOffset(record.value) };
    }
    case 'GroupMetadata': {
      key.int16(GROUP_METADATA_KEY_VERSION).string(record.groupId);
      return { key: key.finish(), value: record.value === null ? null : encodeGroup(record.value) };
    }
  }
}

/** @throws KafkaError INVALID_REQUEST: one is longer than a record may have it. */
export function assertStorable(texts: readonly (string | null)[]): void {
  const fields = new FieldWriter();
  for (const text of texts) fields.string(text);
}

/** undefined for a record of a kind that this version does not know. */
export function decodeOffsetsRecord(keyBytes: Uint8Array | null, value: Uint8Array | null): OffsetsRecord | undefined {
  if (keyBytes === null) return undefined;
  const key = fieldsOf(keyBytes);
  const version = key.int16();
  if (version === 0 || version === OFFSET_COMMIT_KEY_VERSION) {
    const [groupId, topic, partition] = [key.string(), key.string(), key.int32()];
    return {
      type: 'OffsetCommit',
      groupId,
      topic,
      partition,
      value: value && decodeOffset(fieldsOf(value)),
    };
  }
  if (version !== GROUP_METADATA_KEY_VERSION) return undefined;
  return {
    type: 'GroupMetadata',
    groupId: key.string(),
    value: value && decodeGroup(fieldsOf(value)),
  };
}

function encodeOffset({ offset, leaderEpoch, metadata, commitTimestampMs }: CommittedOffset): Uint8Array {
  const out = new FieldWriter();
  out.int16(OFFSET_COMMIT_VALUE_VERSION).int64(offset).int32(leaderEpoch).string(metadata).int64(commitTimestampMs);
  return out.finish();
}

function decodeOffset(value: FieldReader): CommittedOffset {
  assert(value.int16() === OFFSET_COMMIT_VALUE_VERSION, 'offsets are written at version 3');
  return {
    offset: value.int64(),
    leaderEpoch: value.int32(),
    metadata: value.string(),
    commitTimestampMs: value.int64(),
  };
}

function encodeGroup(group: StoredGroup): Uint8Array {
  const out = new FieldWriter();
  out.int16(GROUP_METADATA_VALUE_VERSION).string(group.protocolType).int32(group.generationId);
  out.string(group.protocolName).string(group.leaderId).int64(group.currentStateTimestampMs);
  out.int32(group.members.length);
  for (const member of group.members) {
    out.string(member.memberId).string(member.groupInstanceId).string(member.clientId).string(member.clientHost);
    for (const ms of [member.rebalanceTimeoutMs, member.sessionTimeoutMs]) out.int32(Math.min(ms, MAX_INT32));
    out.bytes(member.subscription).bytes(member.assignment);
  }
  return out.finish();
}

function decodeGroup(value: FieldReader): StoredGroup {
  assert(value.int16() === GROUP_METADATA_VALUE_VERSION, 'groups are written at version 3');
  return {
    protocolType: value.string(),
    generationId: value.int32(),
    protocolName: value.nullableString(),
    leaderId: value.nullableString(),
    currentStateTimestampMs: value.int64(),
    members: value.list(() => ({
      memberId: value.string(),
      groupInstanceId: value.nullableString(),
      clientId: value.string(),
      clientHost: value.string(),
      rebalanceTimeoutMs: value.int32(),
      sessionTimeoutMs: value.int32(),
      subscription: value.bytes(),
      assignment: value.bytes(),
    })),
  };
}

function fieldsOf(bytes: Uint8Array): FieldReader {
  return new FieldReader(bytes, 'a record of __consumer_offsets');
}
