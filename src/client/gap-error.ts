import type { KafkaError } from '../protocol/errors.js';
import { KafkaJSNonRetriableError } from './errors.js';

/** *Ours*: records of a partition are lost to damage, and the consumer was told to fail then (`onGap`). */
export class KafkaJSGapError extends KafkaJSNonRetriableError {
  override readonly name: string = 'KafkaJSGapError';
  readonly topic: string;
  readonly partition: number;
  readonly fromOffset: string;
  /** Exclusive. */
  readonly nextOffset: string;

  constructor(error: KafkaError, gap: { topic: string; partition: number; fromOffset: string; nextOffset: string }) {
    super(error);
    this.topic = gap.topic;
    this.partition = gap.partition;
    this.fromOffset = gap.fromOffset;
    this.nextOffset = gap.nextOffset;
  }
}
