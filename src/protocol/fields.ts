import { KafkaError } from './errors.js';

const NULL_LENGTH = -1;
/** Lengths of strings are signed. */
const MAX_STRING_BYTES = 2 ** 15 - 1;
const ENCODER = new TextEncoder();
const DECODER = new TextDecoder();

/**
 * Writes the primitive types of Kafka's protocol guide: big-endian integers, and strings and bytes led by their length
 * (int16, int32; -1 is null). A string that is too long for that throws KafkaError INVALID_REQUEST.
 */
export class FieldWriter {
  #bytes = new Uint8Array(128);
  #view = new DataView(this.#bytes.buffer);
  #at = 0;

  int16(value: number): this {
    const at = this.#room(2);
    this.#view.setInt16(at, value);
    return this;
  }

  int32(value: number): this {
    const at = this.#room(4);
    this.#view.setInt32(at, value);
    return this;
  }

  int64(value: number): this {
    const at = this.#room(8);
    this.#view.setBigInt64(at, BigInt(value));
    return this;
  }

  string(value: string | null): this {
    if (value === null) return this.int16(NULL_LENGTH);
    const text = ENCODER.encode(value);
    if (text.length > MAX_STRING_BYTES) {
      const found = `${text.length} that begin with ${JSON.stringify(value.slice(0, 20))}`;
      throw new KafkaError('INVALID_REQUEST', `a text: expected at most ${MAX_STRING_BYTES} bytes, found ${found}`);
    }
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

  /** Where `size` more bytes go. To be asked before `#bytes` and `#view` are, which it may replace. */
  #room(size: number): number {
    const at = this.#at;
    this.#at += size;
    if (this.#at > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(this.#at, 2 * this.#bytes.length));
      larger.set(this.#bytes);
      this.#bytes = larger;
      this.#view = new DataView(larger.buffer);
    }
    return at;
  }
}

/** Reads what a `FieldWriter` wrote. @throws KafkaError INVALID_REQUEST where the bytes end too soon. */
export class FieldReader {
  readonly #bytes: Uint8Array;
  readonly #numbers: DataView;
  readonly #what: string;
  #at = 0;

  /** `what` names the bytes in errors. */
  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = bytes;
    this.#numbers = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#what = what;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  int16(): number {
    return this.#numbers.getInt16(this.#skip(2));
  }

  int32(): number {
    return this.#numbers.getInt32(this.#skip(4));
  }

  int64(): number {
    return Number(this.#numbers.getBigInt64(this.#skip(8)));
  }

  /** '' for null. */
  string(): string {
    return this.nullableString() ?? '';
  }

  nullableString(): string | null {
    const length = this.int16();
    return length === NULL_LENGTH ? null : DECODER.decode(this.#view(length));
  }

  /** A copy; empty for null. */
  bytes(): Uint8Array {
    const length = this.int32();
    return length === NULL_LENGTH ? new Uint8Array() : new Uint8Array(this.#view(length));
  }

  /** Led by its count (int32). */
  list<T>(item: () => T): T[] {
    const items: T[] = [];
    for (let left = this.int32(); left > 0; left--) items.push(item());
    return items;
  }

  #view(length: number): Uint8Array {
    const start = this.#skip(length);
    return this.#bytes.subarray(start, start + length);
  }

  #skip(size: number): number {
    const at = this.#at;
    if (size < 0 || at + size > this.#bytes.length) {
      const found = `${this.#bytes.length} bytes, ${size} wanted at ${at}`;
      throw new KafkaError('INVALID_REQUEST', `${this.#what}: expected whole fields, found ${found}`);
    }
    this.#at += size;
    return at;
  }
}
