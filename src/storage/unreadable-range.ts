import { KafkaError } from '../protocol/errors.js';
import type { LogId } from './log-store.js';

export interface OffsetRange {
  readonly log: LogId;
  readonly baseOffset: number;
  /** Exclusive. */
  readonly nextOffset: number;
}

/** Names the offsets that a read cannot answer; `cause` of the KafkaError that tells of them. */
export class UnreadableRange extends Error {
  override readonly name: string = 'UnreadableRange';
  readonly log: LogId;
  readonly baseOffset: number;
  /** Exclusive: whoever goes on, goes on here. */
  readonly nextOffset: number;

  constructor({ log, baseOffset, nextOffset }: OffsetRange, options?: ErrorOptions) {
    super(`log ${log}, offsets ${baseOffset} to ${nextOffset} (exclusive)`, options);
    this.log = log;
    this.baseOffset = baseOffset;
    this.nextOffset = nextOffset;
  }
}

/** Which offsets are lost, where `error` is of a read that met damage. */
export function unreadableRangeOf(error: unknown): UnreadableRange | undefined {
  return error instanceof KafkaError && error.cause instanceof UnreadableRange ? error.cause : undefined;
}
