import { KafkaError } from '../protocol/errors.js';
import { isBytes } from '../util/bytes.js';
import { textOf } from './record-bytes.js';

/**
 * Turns values into bytes and back. null stays null on both sides (a tombstone, a record without a key) and never
 * reaches a serde.
 */
export interface Serde<T> {
  /** A string is written as UTF-8. @throws KafkaError INVALID_RECORD: a value that is not of the type. */
  serialize(value: T): Uint8Array | string;
  /** @throws KafkaError INVALID_RECORD: bytes that are not of the type. */
  deserialize(bytes: Uint8Array): T;
}

const INT32_MIN = -(2 ** 31);
const INT32_MAX = 2 ** 31 - 1;

/** As they are. */
export const bytes: Serde<Uint8Array> = {
  serialize: (value) => (isBytes(value) ? value : refuse('a Uint8Array', value)),
  deserialize: (value) => value,
};

/** UTF-8. */
export const string: Serde<string> = {
  serialize: (value) => (typeof value === 'string' ? value : refuse('a string', value)),
  deserialize: textOf,
};

/** Four bytes, big-endian, as Kafka's IntegerSerializer. */
export const int32: Serde<number> = {
  serialize(value) {
    if (!Number.isInteger(value) || value < INT32_MIN || value > INT32_MAX) refuse('an integer of 32 bits', value);
    return fixedSize(4, (view) => view.setInt32(0, value));
  },
  deserialize: (value) => viewOf(value, 4, 'int32').getInt32(0),
};

/** Eight bytes, big-endian, as Kafka's LongSerializer. */
export const int64: Serde<bigint> = {
  serialize(value) {
    if (typeof value !== 'bigint' || BigInt.asIntN(64, value) !== value) refuse('a bigint of 64 bits', value);
    return fixedSize(8, (view) => view.setBigInt64(0, value));
  },
  deserialize: (value) => viewOf(value, 8, 'int64').getBigInt64(0),
};

/** Eight bytes, big-endian IEEE 754, as Kafka's DoubleSerializer. */
export const float64: Serde<number> = {
  serialize(value) {
    if (typeof value !== 'number') refuse('a number', value);
    return fixedSize(8, (view) => view.setFloat64(0, value));
  },
  deserialize: (value) => viewOf(value, 8, 'float64').getFloat64(0),
};

/** JSON text. What JSON cannot hold (undefined, functions, cycles, bigint) is refused. `T` is taken on trust. */
export function json<T = unknown>(): Serde<T> {
  return {
    serialize(value) {
      const text = attempt('a value that JSON can hold', () => JSON.stringify(value) as string | undefined);
      return text ?? refuse('a value that JSON can hold', value);
    },
    deserialize: (value) => attempt('JSON', () => JSON.parse(textOf(value)) as T),
  };
}

/** The part of Standard Schema (version 1, standardschema.dev) that is used here. */
export interface StandardSchema<Output> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => StandardResult<Output> | Promise<StandardResult<Output>>;
    readonly types?: { readonly input: unknown; readonly output: Output } | undefined;
  };
}

export type StandardResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly StandardIssue[] };

export interface StandardIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/**
 * Values that a schema of any library accepts, checked when written and again when read. What is written is the value
 * as it came, what is read is the schema's output. Only schemas that validate synchronously.
 */
export function standardSchema<Output>(schema: StandardSchema<Output>, inner: Serde<unknown> = json()): Serde<Output> {
  return {
    serialize(value) {
      validated(schema, value);
      return inner.serialize(value);
    },
    deserialize: (value) => validated(schema, inner.deserialize(value)),
  };
}

function validated<Output>(schema: StandardSchema<Output>, value: unknown): Output {
  const { vendor, validate } = schema['~standard'];
  const result = validate(value);
  if (result instanceof Promise) {
    throw new KafkaError(
      'INVALID_RECORD',
      `expected a schema of ${vendor} that validates at once, found an asynchronous one`,
    );
  }
  if (result.issues === undefined) return result.value;
  throw new KafkaError(
    'INVALID_RECORD',
    `the value does not fit its schema: ${result.issues.map(issueText).join('; ')}`,
  );
}

function issueText({ message, path = [] }: StandardIssue): string {
  const keys = path.map((segment) => String(typeof segment === 'object' ? segment.key : segment));
  return keys.length === 0 ? message : `${keys.join('.')}: ${message}`;
}

function fixedSize(size: number, write: (view: DataView) => void): Uint8Array {
  const view = new DataView(new ArrayBuffer(size));
  write(view);
  return new Uint8Array(view.buffer);
}

function viewOf(value: Uint8Array, size: number, name: string): DataView {
  if (value.length !== size) {
    throw new KafkaError('INVALID_RECORD', `${name}: expected ${size} bytes, found ${value.length}`);
  }
  return new DataView(value.buffer, value.byteOffset, size);
}

function attempt<T>(expected: string, action: () => T): T {
  try {
    return action();
  } catch (cause) {
    if (cause instanceof KafkaError) throw cause;
    throw new KafkaError('INVALID_RECORD', `expected ${expected}: ${String(cause)}`, { cause });
  }
}

function refuse(expected: string, value: unknown): never {
  const found = typeof value === 'number' || typeof value === 'bigint' ? `${value}` : typeof value;
  throw new KafkaError('INVALID_RECORD', `expected ${expected}, found ${found}`);
}
