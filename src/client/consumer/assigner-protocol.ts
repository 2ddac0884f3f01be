import { FieldReader, FieldWriter } from '../../protocol/fields.js';
import { type RecordBytes, recordBytes } from '../../record/record-bytes.js';

/** Topics and partitions of one member. */
export interface Assignment {
  readonly [topic: string]: number[];
}

export interface MemberMetadata {
  readonly version: number;
  readonly topics: readonly string[];
  readonly userData?: Uint8Array;
}

export interface MemberAssignment {
  readonly version: number;
  readonly assignment: Assignment;
  readonly userData?: Uint8Array;
}

type Decoded<T> = Omit<T, 'userData'> & { readonly userData: RecordBytes };

/**
 * What members of a group tell each other through the broker, which does not look inside: Kafka's consumer protocol
 * (`ConsumerProtocolSubscription`, `ConsumerProtocolAssignment`), the part that all versions share. Big-endian:
 *
 *   subscription  version 2 · topics: count 4 (length 2 · UTF-8)* · user data: length 4 (-1 none) · bytes
 *   assignment    version 2 · topics: count 4 (length 2 · UTF-8 · partitions: count 4 (number 4)*)* · user data
 */
export const AssignerProtocol = {
  MemberMetadata: {
    encode({ version, topics, userData }: MemberMetadata): Uint8Array {
      const out = new FieldWriter();
      out.int16(version).int32(topics.length);
      for (const topic of topics) out.string(topic);
      return out.bytes(userData ?? new Uint8Array()).finish();
    },
    decode(bytes: Uint8Array): Decoded<MemberMetadata> | null {
      if (bytes.length === 0) return null;
      const input = new FieldReader(bytes, 'member data');
      const version = input.int16();
      const topics = input.list(() => input.string());
      return { version, topics, userData: userDataOf(input) };
    },
  },
  MemberAssignment: {
    encode({ version, assignment, userData }: MemberAssignment): Uint8Array {
      const topics = Object.entries(assignment);
      const out = new FieldWriter();
      out.int16(version).int32(topics.length);
      for (const [topic, partitions] of topics) {
        out.string(topic).int32(partitions.length);
        for (const partition of partitions) out.int32(partition);
      }
      return out.bytes(userData ?? new Uint8Array()).finish();
    },
    /** null for no bytes at all: the member was given nothing. */
    decode(bytes: Uint8Array): Decoded<MemberAssignment> | null {
      if (bytes.length === 0) return null;
      const input = new FieldReader(bytes, 'member data');
      const version = input.int16();
      const topics = input.list(() => [input.string(), input.list(() => input.int32())] as const);
      return { version, assignment: Object.fromEntries(topics), userData: userDataOf(input) };
    },
  },
};

/** Older versions end without it. Assignors of KafkaJS code read it as a Buffer. */
function userDataOf(input: FieldReader): RecordBytes {
  const bytes = input.isAtEnd ? new Uint8Array() : input.bytes();
  return recordBytes(bytes, 0, bytes.length);
}
