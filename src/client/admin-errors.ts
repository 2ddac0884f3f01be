import type { KafkaError, KafkaErrorName } from '../protocol/errors.js';
import { KafkaJSError, KafkaJSProtocolError } from './errors.js';

export class KafkaJSCreateTopicError extends KafkaJSProtocolError {
  override readonly name: string = 'KafkaJSCreateTopicError';
  readonly topic: string;

  constructor(error: KafkaError, topic: string, options: { readonly outcomeUnknown?: boolean }) {
    super(error, options);
    this.topic = topic;
  }
}

/** Several errors of one call, one for each topic or partition that failed. */
export class KafkaJSAggregateError extends Error {
  override readonly name: string = 'KafkaJSAggregateError';
  readonly errors: readonly Error[];
  /** Kafka's name, where all of them have the same. */
  readonly type: KafkaErrorName | undefined;

  /** Its text is `what`, and then theirs. */
  constructor(what: string, errors: readonly Error[]) {
    super(`${what}: ${errors.map(({ message }) => message).join('; ')}`);
    this.errors = errors;
    const types = new Set(errors.map((error) => (error as Partial<KafkaJSProtocolError>).type));
    this.type = types.size === 1 ? [...types][0] : undefined;
  }
}

export class KafkaJSDeleteGroupsError extends KafkaJSError {
  override readonly name: string = 'KafkaJSDeleteGroupsError';
  readonly groups: readonly { groupId: string; errorCode: number; error: KafkaJSProtocolError }[];

  constructor(message: string, groups: KafkaJSDeleteGroupsError['groups']) {
    super(message, { retriable: groups.every(({ error }) => error.retriable) });
    this.groups = groups;
  }
}

export class KafkaJSDeleteTopicRecordsError extends KafkaJSError {
  override readonly name: string = 'KafkaJSDeleteTopicRecordsError';
  readonly partitions: readonly { partition: number; offset: string; error: Error | null }[];
  /** As of `KafkaJSProtocolError`, of some of the partitions. */
  readonly outcomeUnknown: boolean;

  constructor(partitions: KafkaJSDeleteTopicRecordsError['partitions']) {
    const failed = partitions.flatMap(({ error }) => (error === null ? [] : [error]));
    super('Error while deleting records', {
      retriable: failed.every((error) => error instanceof KafkaJSError && error.retriable),
    });
    this.partitions = partitions;
    this.outcomeUnknown = failed.some((error) => error instanceof KafkaJSProtocolError && error.outcomeUnknown);
  }
}
