import { KafkaError, type KafkaErrorName } from '../protocol/errors.js';
import type { StorageFigures } from '../protocol/storage-state.js';

/**
 * KafkaJS's error classes ("Error handling" and `types/index.d.ts` of KafkaJS 2): what code written for KafkaJS catches
 * with `instanceof` or by `name`. Those of connections and SASL exist for that alone and are never thrown here.
 */
export class KafkaJSError extends Error {
  override readonly name: string = 'KafkaJSError';
  readonly retriable: boolean;
  readonly helpUrl: string | undefined;
  /** Kafka's name of the error, where it has one. */
  readonly type: KafkaErrorName | undefined;
  readonly code: number | undefined;
  /** *Ours*: where it is for want of space, the bytes that are used of the quota, as the browser estimates them. */
  readonly storage: StorageFigures | undefined;

  constructor(error: Error | string, options: { retriable?: boolean; cause?: unknown } = {}) {
    const cause = options.cause ?? (error instanceof KafkaError ? error : undefined);
    super(typeof error === 'string' ? error : error.message, cause === undefined ? undefined : { cause });
    this.retriable = options.retriable ?? true;
    const named = cause instanceof KafkaError || cause instanceof KafkaJSError ? cause : undefined;
    this.type = named?.type;
    this.code = named?.code;
    this.storage = named?.storage;
  }
}

export class KafkaJSNonRetriableError extends KafkaJSError {
  override readonly name: string = 'KafkaJSNonRetriableError';

  constructor(error: Error | string, options: { cause?: unknown } = {}) {
    super(error, { ...options, retriable: false });
  }
}

/** An error that the broker answered with. `type` and `code` are Kafka's. */
export class KafkaJSProtocolError extends KafkaJSError {
  override readonly name: string = 'KafkaJSProtocolError';
  declare readonly type: KafkaErrorName;
  declare readonly code: number;
  /** True where what was asked may have been done all the same, by this attempt or by one before it. */
  readonly outcomeUnknown: boolean;

  constructor(error: KafkaError, options: { readonly outcomeUnknown?: boolean } = {}) {
    super(error, { retriable: error.retriable, cause: error });
    this.outcomeUnknown =
      options.outcomeUnknown ?? (error.type === 'NETWORK_EXCEPTION' || error.type === 'REQUEST_TIMED_OUT');
  }
}

export class KafkaJSOffsetOutOfRange extends KafkaJSProtocolError {
  override readonly name: string = 'KafkaJSOffsetOutOfRange';
  readonly topic: string;
  readonly partition: number;

  constructor(error: KafkaError, { topic, partition }: { topic: string; partition: number }) {
    super(error);
    this.topic = topic;
    this.partition = partition;
  }
}

export class KafkaJSMemberIdRequired extends KafkaJSProtocolError {
  override readonly name: string = 'KafkaJSMemberIdRequired';
  readonly memberId: string;

  constructor(error: KafkaError, { memberId }: { memberId: string }) {
    super(error);
    this.memberId = memberId;
  }
}

/** The last error is the `cause`. */
export class KafkaJSNumberOfRetriesExceeded extends KafkaJSNonRetriableError {
  override readonly name: string = 'KafkaJSNumberOfRetriesExceeded';
  readonly retryCount: number;
  /** Milliseconds of the last wait. */
  readonly retryTime: number;
  readonly outcomeUnknown: boolean;

  constructor(error: Error, { retryCount, retryTime }: { retryCount: number; retryTime: number }) {
    super(error, { cause: error });
    this.retryCount = retryCount;
    this.retryTime = retryTime;
    this.outcomeUnknown = (error as { outcomeUnknown?: boolean }).outcomeUnknown === true;
  }
}

export class KafkaJSConnectionError extends KafkaJSError {
  override readonly name: string = 'KafkaJSConnectionError';
  /** There is no address; as the other fields below that are only declared, it is here for code that looks at it. */
  declare readonly broker: string | undefined;
}
export class KafkaJSConnectionClosedError extends KafkaJSConnectionError {
  override readonly name: string = 'KafkaJSConnectionClosedError';
}
/** No answer within the request timeout. Whether the request was carried out is unknown. */
export class KafkaJSRequestTimeoutError extends KafkaJSProtocolError {
  override readonly name: string = 'KafkaJSRequestTimeoutError';
  declare readonly broker: string;
  declare readonly correlationId: number;
  declare readonly createdAt: number;
  declare readonly sentAt: number;
  declare readonly pendingDuration: number;
}
export class KafkaJSMetadataNotLoaded extends KafkaJSError {
  override readonly name: string = 'KafkaJSMetadataNotLoaded';
}
export class KafkaJSTopicMetadataNotLoaded extends KafkaJSMetadataNotLoaded {
  override readonly name: string = 'KafkaJSTopicMetadataNotLoaded';
  declare readonly topic: string | undefined;
}
export class KafkaJSStaleTopicMetadataAssignment extends KafkaJSError {
  override readonly name: string = 'KafkaJSStaleTopicMetadataAssignment';
  declare readonly topic: string | undefined;
  declare readonly unknownPartitions: number | undefined;
}
export class KafkaJSBrokerNotFound extends KafkaJSError {
  override readonly name: string = 'KafkaJSBrokerNotFound';
}
export class KafkaJSPartialMessageError extends KafkaJSNonRetriableError {
  override readonly name: string = 'KafkaJSPartialMessageError';
}
export class KafkaJSSASLAuthenticationError extends KafkaJSNonRetriableError {
  override readonly name: string = 'KafkaJSSASLAuthenticationError';
}
export class KafkaJSGroupCoordinatorNotFound extends KafkaJSNonRetriableError {
  override readonly name: string = 'KafkaJSGroupCoordinatorNotFound';
}
export class KafkaJSNotImplemented extends KafkaJSNonRetriableError {
  override readonly name: string = 'KafkaJSNotImplemented';
}
export class KafkaJSTimeout extends KafkaJSNonRetriableError {
  override readonly name: string = 'KafkaJSTimeout';
}
export class KafkaJSLockTimeout extends KafkaJSTimeout {
  override readonly name: string = 'KafkaJSLockTimeout';
}
export class KafkaJSUnsupportedMagicByteInMessageSet extends KafkaJSNonRetriableError {
  override readonly name: string = 'KafkaJSUnsupportedMagicByteInMessageSet';
}
export class KafkaJSServerDoesNotSupportApiKey extends KafkaJSNonRetriableError {
  override readonly name: string = 'KafkaJSServerDoesNotSupportApiKey';
  declare readonly apiKey: number | undefined;
  declare readonly apiName: string | undefined;
}

/** What the public API throws for what came up from below: a `KafkaError` in KafkaJS's clothes, all else as it is. */
export function toKafkaJSError(error: unknown): unknown {
  return error instanceof KafkaError ? new KafkaJSProtocolError(error) : error;
}
