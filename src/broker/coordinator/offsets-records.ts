import { assert } from '../../util/assert.js';
import { int16At, int32At, int64At, setInt16, setInt32, setInt64 } from '../../util/bytes.js';

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

/** One record of __consumer_offsets; `value` null is its tombstone. */
export type OffsetsRecord =
  | {
      readonly type: 'OffsetCommit';
      readonly groupId: string;
      readonly topic: string;
      readonly partition: number;
      readonly value: CommittedOffset | null;
    }
  | { readonly type: 'GroupMetadata'; readonly groupId: string; readonly value: StoredGroup | null };

const OFFSET_COMMIT_KEY_VERSION = 1;
const OFFSET_COMMIT_VALUE_VERSION = 3;
const GROUP_METADATA_KEY_VERSION = 2;
const GROUP_METADATA_VALUE_VERSION = 3;

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

/** undefined for a record of a kind that this version does not know. */
export function decodeOffsetsRecord(keyBytes: Uint8Array | null, value: Uint8Array | null): OffsetsRecord | undefined {
  if (keyBytes === null) return undefined;
  const key = new FieldReader(keyBytes);
  const version = key.int16();
  if (version === 0 || version === OFFSET_COMMIT_KEY_VERSION) {
    const [groupId, topic, partition] = [key.string(), key.string(), key.int32()];
    return { type: 'OffsetCommit', groupId, topic, partition, value: value && decodeOffset(new FieldReader(value)) };
  }
  if (version !== GROUP_METADATA_KEY_VERSION) return undefined;
  return { type: 'GroupMetadata', groupId: key.string(), value: value && decodeGroup(new FieldReader(value)) };
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
    out.int32(member.rebalanceTimeoutMs).int32(member.sessionTimeoutMs);
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
    members: Array.from({ length: value.int32() }, () => ({
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

const ENCODER = new TextEncoder();
const DECODER = new TextDecoder();
const NULL_LENGTH = -1;

class FieldWriter {
  #bytes = new Uint8Array(128);
  #at = 0;

  int16(value: number): this {
    const at = this.#room(2);
    setInt16(this.#bytes, at, value);
    return this;
  }

  int32(value: number): this {
    const at = this.#room(4);
    setInt32(this.#bytes, at, value);
    return this;
  }

  int64(value: number): this {
    const at = this.#room(8);
    setInt64(this.#bytes, at, value);
    return this;
  }

  string(value: string | null): this {
    if (value === null) return this.int16(NULL_LENGTH);
    const text = ENCODER.encode(value);
    return this.int16(text.length).#raw(text);
  }

  bytes(value: Uint8Array): this {
    return this.int32(value.length).#raw(value);
  }

  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#at);
  }

  #raw(value: Uint8Array): this {
    const at = this.#room(value.length);
    this.#bytes.set(value, at);
    return this;
  }

  /** Where `size` more bytes go. To be asked before `#bytes` is, which it may replace. */
  #room(size: number): number {
    const at = this.#at;
    this.#at += size;
    if (this.#at > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(this.#at, 2 * this.#bytes.length));
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    return at;
  }
}

class FieldReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  int16(): number {
    return int16At(this.#bytes, this.#skip(2));
  }

  int32(): number {
    return int32At(this.#bytes, this.#skip(4));
  }

  int64(): number {
    return int64At(this.#bytes, this.#skip(8));
  }

  string(): string {
    return this.nullableString() ?? '';
  }

  nullableString(): string | null {
    const length = this.int16();
    if (length === NULL_LENGTH) return null;
    const start = this.#skip(length);
    return DECODER.decode(this.#bytes.subarray(start, start + length));
  }

  /** A copy. */
  bytes(): Uint8Array {
    const length = this.int32();
    const start = this.#skip(length);
    return new Uint8Array(this.#bytes.subarray(start, start + length));
  }

  #skip(size: number): number {
    const at = this.#at;
    this.#at += size;
    assert(size >= 0 && this.#at <= this.#bytes.length, 'a record of __consumer_offsets holds its fields');
    return at;
  }
}
