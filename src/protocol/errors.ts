import type { StorageFigures } from './storage-state.js';

/*
 * Kafka's error table: names, wire codes and retriable flags as in Kafka's protocol guide ("Error Codes").
 * Only the errors that this broker can answer with are listed; codes are Kafka's own.
 */

/** What may go well when it is tried again. */
const RETRIABLE = {
  CORRUPT_MESSAGE: 2,
  UNKNOWN_TOPIC_OR_PARTITION: 3,
  LEADER_NOT_AVAILABLE: 5,
  NOT_LEADER_OR_FOLLOWER: 6,
  REQUEST_TIMED_OUT: 7,
  NETWORK_EXCEPTION: 13,
  COORDINATOR_LOAD_IN_PROGRESS: 14,
  COORDINATOR_NOT_AVAILABLE: 15,
  NOT_COORDINATOR: 16,
  NOT_ENOUGH_REPLICAS: 19,
  NOT_CONTROLLER: 41,
  KAFKA_STORAGE_ERROR: 56,
  FENCED_LEADER_EPOCH: 74,
  UNKNOWN_LEADER_EPOCH: 75,
  UNKNOWN_TOPIC_ID: 100,
} as const;

const FINAL = {
  UNKNOWN_SERVER_ERROR: -1,
  NONE: 0,
  OFFSET_OUT_OF_RANGE: 1,
  BROKER_NOT_AVAILABLE: 8,
  MESSAGE_TOO_LARGE: 10,
  OFFSET_METADATA_TOO_LARGE: 12,
  INVALID_TOPIC_EXCEPTION: 17,
  RECORD_LIST_TOO_LARGE: 18,
  INVALID_REQUIRED_ACKS: 21,
  ILLEGAL_GENERATION: 22,
  INCONSISTENT_GROUP_PROTOCOL: 23,
  INVALID_GROUP_ID: 24,
  UNKNOWN_MEMBER_ID: 25,
  INVALID_SESSION_TIMEOUT: 26,
  REBALANCE_IN_PROGRESS: 27,
  INVALID_COMMIT_OFFSET_SIZE: 28,
  INVALID_TIMESTAMP: 32,
  UNSUPPORTED_VERSION: 35,
  TOPIC_ALREADY_EXISTS: 36,
  INVALID_PARTITIONS: 37,
  INVALID_REPLICATION_FACTOR: 38,
  INVALID_REPLICA_ASSIGNMENT: 39,
  INVALID_CONFIG: 40,
  INVALID_REQUEST: 42,
  POLICY_VIOLATION: 44,
  OUT_OF_ORDER_SEQUENCE_NUMBER: 45,
  DUPLICATE_SEQUENCE_NUMBER: 46,
  INVALID_PRODUCER_EPOCH: 47,
  INVALID_TXN_STATE: 48,
  TRANSACTION_COORDINATOR_FENCED: 52,
  UNKNOWN_PRODUCER_ID: 59,
  NON_EMPTY_GROUP: 68,
  GROUP_ID_NOT_FOUND: 69,
  UNSUPPORTED_COMPRESSION_TYPE: 76,
  MEMBER_ID_REQUIRED: 79,
  GROUP_MAX_SIZE_REACHED: 81,
  FENCED_INSTANCE_ID: 82,
  GROUP_SUBSCRIBED_TO_TOPIC: 86,
  INVALID_RECORD: 87,
} as const;

const CODES = { ...RETRIABLE, ...FINAL };

export type KafkaErrorName = keyof typeof CODES;

/** An expected failure, with Kafka's name, code and retriable flag. The text says what was expected and found. */
export class KafkaError extends Error {
  override readonly name: string = 'KafkaError';
  /** Kafka's name of the error, such as `OFFSET_OUT_OF_RANGE`. */
  readonly type: KafkaErrorName;
  readonly code: number;
  readonly retriable: boolean;
  /** *Ours*: where it is for want of space, how much there is and how much of it is used. */
  readonly storage: StorageFigures | undefined;

  constructor(
    type: KafkaErrorName,
    message: string,
    options?: ErrorOptions & { storage?: StorageFigures | undefined },
  ) {
    super(message, options);
    this.storage = options?.storage;
    this.type = type;
    this.code = CODES[type];
    this.retriable = type in RETRIABLE;
  }
}

/** Of work that nobody waits for: its expected failures are nobody's, a bug is thrown on. */
export function ignoreKafkaError(error: unknown): void {
  if (!(error instanceof KafkaError)) throw error;
}

/** The wire code of a named error. */
export function errorCode(type: KafkaErrorName): number {
  return CODES[type];
}

/** The name of a wire code; a code of a newer Kafka is `UNKNOWN_SERVER_ERROR`. */
export function errorName(code: number): KafkaErrorName {
  const names = Object.keys(CODES) as KafkaErrorName[];
  return names.find((name) => CODES[name] === code) ?? 'UNKNOWN_SERVER_ERROR';
}

/** The name itself; one that only a newer version of this code knows is `UNKNOWN_SERVER_ERROR`. */
export function knownErrorName(name: string): KafkaErrorName {
  return Object.hasOwn(CODES, name) ? (name as KafkaErrorName) : 'UNKNOWN_SERVER_ERROR';
}

/** What a response carries for one item: Kafka's code and the text for a person. */
export interface ErrorFields {
  readonly errorCode: number;
  readonly errorMessage: string | null;
  /** *Ours*, see `KafkaError.storage`. */
  readonly storage?: StorageFigures | undefined;
}

export const NO_ERROR: ErrorFields = { errorCode: 0, errorMessage: null };

/** The response fields for a failure. What is no `KafkaError` is a bug or a platform fault and is thrown again. */
export function errorFields(error: unknown): ErrorFields {
  if (!(error instanceof KafkaError)) throw error;
  const { code: errorCode, message: errorMessage, storage } = error;
  return storage === undefined ? { errorCode, errorMessage } : { errorCode, errorMessage, storage };
}

/** The error that response fields stand for, or undefined where the code is 0. */
export function errorOf(fields: Partial<ErrorFields> & { errorCode: number }): KafkaError | undefined {
  if (fields.errorCode === 0) return undefined;
  const type = errorName(fields.errorCode);
  return new KafkaError(type, fields.errorMessage ?? type, { storage: fields.storage });
}
