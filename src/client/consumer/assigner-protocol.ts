import { KafkaError } from '../../protocol/errors.js';
import { int16At, int32At, setInt16, setInt32 } from '../../util/bytes.js';

/** Topics and partitions of one member. */
export interface Assignment {
  readonly [topic: string]: readonly number[];
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
      const out = new Writer();
      out.int16(version).int32(topics.length);
      for (const topic of topics) out.text(topic);
      return out.bytes(userData ?? new Uint8Array()).finish();
    },
    decode(bytes: Uint8Array): Required<MemberMetadata> | null {
      if (bytes.length === 0) return null;
      const input = new Reader(bytes);
      const version = input.int16();
      const topics = input.list(() => input.text());
      return { version, topics, userData: input.bytes() };
    },
  },
  MemberAssignment: {
    encode({ version, assignment, userData }: MemberAssignment): Uint8Array {
      const topics = Object.entries(assignment);
      const out = new Writer();
      out.int16(version).int32(topics.length);
      for (const [topic, partitions] of topics) {
        out.text(topic).int32(partitions.length);
        for (const partition of partitions) out.int32(partition);
      }
      return out.bytes(userData ?? new Uint8Array()).finish();
    },
    /** null for no bytes at all: the member was given nothing. */
    decode(bytes: Uint8Array): Required<MemberAssignment> | null {
      if (bytes.length === 0) return null;
      const input = new Reader(bytes);
      const version = input.int16();
      const topics = input.list(() => [input.text(), input.list(() => input.int32())] as const);
      return { version, assignment: Object.fromEntries(topics), userData: input.bytes() };
    },
  },
};

const UTF8_ENCODER = new TextEncoder();
const UTF8_DECODER = new TextDecoder();

class Writer {
  #bytes = new Uint8Array(256);
  #at = 0;

  int16(value: number): this {
    setInt16(this.#room(2), this.#at, value);
    this.#at += 2;
    return this;
  }

  int32(value: number): this {
    setInt32(this.#room(4), this.#at, value);
    this.#at += 4;
    return this;
  }

  text(text: string): this {
    const bytes = UTF8_ENCODER.encode(text);
    return this.int16(bytes.length).#raw(bytes);
  }

  bytes(bytes: Uint8Array): this {
    return this.int32(bytes.length).#raw(bytes);
  }

  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#at);
  }

  #raw(bytes: Uint8Array): this {
    this.#room(bytes.length).set(bytes, this.#at);
    this.#at += bytes.length;
    return this;
  }

  #room(size: number): Uint8Array {
    if (this.#at + size > this.#bytes.length) {
      const larger = new Uint8Array(2 * (this.#at + size));
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    return this.#bytes;
  }
}

class Reader {
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

  text(): string {
    const size = this.int16();
    const at = this.#skip(size);
    return UTF8_DECODER.decode(this.#bytes.subarray(at, at + size));
  }

  /** Empty where there is none. */
  bytes(): Uint8Array {
    const size = this.#at === this.#bytes.length ? -1 : this.int32();
    const at = this.#skip(Math.max(0, size));
    return this.#bytes.subarray(at, this.#at);
  }

  list<T>(item: () => T): T[] {
    const count = this.int32();
    const items: T[] = [];
    for (let i = 0; i < count; i++) items.push(item());
    return items;
  }

  #skip(size: number): number {
    const at = this.#at;
    if (size < 0 || at + size > this.#bytes.length) {
      throw new KafkaError('INVALID_REQUEST', `member data: expected ${size} bytes at ${at} of ${this.#bytes.length}`);
    }
    this.#at += size;
    return at;
  }
}
