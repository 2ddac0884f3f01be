import type { KafkaError } from '../protocol/errors.js';
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

  constructor(message: string, errors: readonly Error[]) {
    super(message);
    this.errors = errors;
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
