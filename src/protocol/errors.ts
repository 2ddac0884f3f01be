import type { StorageFigures } from './storage-state.js';

/**
 * Kafka's error table: names, wire codes and retriable flags as in Kafka's protocol guide ("Error Codes").
 * Only the errors that this broker can answer with are listed; codes are Kafka's own.
 */
export const ERRORS = {
  UNKNOWN_SERVER_ERROR: { code: -1, retriable: false },
  NONE: { code: 0, retriable: false },
  OFFSET_OUT_OF_RANGE: { code: 1, retriable: false },
  CORRUPT_MESSAGE: { code: 2, retriable: true },
  UNKNOWN_TOPIC_OR_PARTITION: { code: 3, retriable: true },
  LEADER_NOT_AVAILABLE: { code: 5, retriable: true },
  NOT_LEADER_OR_FOLLOWER: { code: 6, retriable: true },
  REQUEST_TIMED_OUT: { code: 7, retriable: true },
  BROKER_NOT_AVAILABLE: { code: 8, retriable: false },
  MESSAGE_TOO_LARGE: { code: 10, retriable: false },
  OFFSET_METADATA_TOO_LARGE: { code: 12, retriable: false },
  NETWORK_EXCEPTION: { code: 13, retriable: true },
  COORDINATOR_LOAD_IN_PROGRESS: { code: 14, retriable: true },
  COORDINATOR_NOT_AVAILABLE: { code: 15, retriable: true },
  NOT_COORDINATOR: { code: 16, retriable: true },
  INVALID_TOPIC_EXCEPTION: { code: 17, retriable: false },
  RECORD_LIST_TOO_LARGE: { code: 18, retriable: false },
  NOT_ENOUGH_REPLICAS: { code: 19, retriable: true },
  INVALID_REQUIRED_ACKS: { code: 21, retriable: false },
  ILLEGAL_GENERATION: { code: 22, retriable: false },
  INCONSISTENT_GROUP_PROTOCOL: { code: 23, retriable: false },
  INVALID_GROUP_ID: { code: 24, retriable: false },
  UNKNOWN_MEMBER_ID: { code: 25, retriable: false },
  INVALID_SESSION_TIMEOUT: { code: 26, retriable: false },
  REBALANCE_IN_PROGRESS: { code: 27, retriable: false },
  INVALID_COMMIT_OFFSET_SIZE: { code: 28, retriable: false },
  INVALID_TIMESTAMP: { code: 32, retriable: false },
  UNSUPPORTED_VERSION: { code: 35, retriable: false },
  TOPIC_ALREADY_EXISTS: { code: 36, retriable: false },
  INVALID_PARTITIONS: { code: 37, retriable: false },
  INVALID_REPLICATION_FACTOR: { code: 38, retriable: false },
  INVALID_REPLICA_ASSIGNMENT: { code: 39, retriable: false },
  INVALID_CONFIG: { code: 40, retriable: false },
  NOT_CONTROLLER: { code: 41, retriable: true },
  INVALID_REQUEST: { code: 42, retriable: false },
  POLICY_VIOLATION: { code: 44, retriable: false },
  OUT_OF_ORDER_SEQUENCE_NUMBER: { code: 45, retriable: false },
  DUPLICATE_SEQUENCE_NUMBER: { code: 46, retriable: false },
  INVALID_PRODUCER_EPOCH: { code: 47, retriable: false },
  INVALID_TXN_STATE: { code: 48, retriable: false },
  TRANSACTION_COORDINATOR_FENCED: { code: 52, retriable: false },
  KAFKA_STORAGE_ERROR: { code: 56, retriable: true },
  UNKNOWN_PRODUCER_ID: { code: 59, retriable: false },
  NON_EMPTY_GROUP: { code: 68, retriable: false },
  GROUP_ID_NOT_FOUND: { code: 69, retriable: false },
  FENCED_LEADER_EPOCH: { code: 74, retriable: true },
  UNKNOWN_LEADER_EPOCH: { code: 75, retriable: true },
  UNSUPPORTED_COMPRESSION_TYPE: { code: 76, retriable: false },
  MEMBER_ID_REQUIRED: { code: 79, retriable: false },
  GROUP_MAX_SIZE_REACHED: { code: 81, retriable: false },
  FENCED_INSTANCE_ID: { code: 82, retriable: false },
  INVALID_RECORD: { code: 87, retriable: false },
} as const satisfies Record<string, { code: number; retriable: boolean }>;

export type KafkaErrorName = keyof typeof ERRORS;

const NAMES: ReadonlyMap<number, KafkaErrorName> = new Map(
  Object.entries(ERRORS).map(([name, { code }]) => [code, name as KafkaErrorName]),
);

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
    this.code = ERRORS[type].code;
    this.retriable = ERRORS[type].retriable;
  }
}

/** Of work that nobody waits for: its expected failures are nobody's, a bug is thrown on. */
export function ignoreKafkaError(error: unknown): void {
  if (!(error instanceof KafkaError)) throw error;
}

/** The wire code of a named error. */
export function errorCode(type: KafkaErrorName): number {
  return ERRORS[type].code;
}

/** The name of a wire code; a code of a newer Kafka is `UNKNOWN_SERVER_ERROR`. */
export function errorName(code: number): KafkaErrorName {
  return NAMES.get(code) ?? 'UNKNOWN_SERVER_ERROR';
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
