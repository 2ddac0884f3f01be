import { KafkaError } from '../protocol/errors.js';
import type { PartitionGap } from '../protocol/requests.js';
import type { LogId } from '../storage/log-store.js';

/** The record asked for lies in a gap: its bytes are lost. */
export class LogGapError extends KafkaError {
  readonly gap: PartitionGap;

  constructor(log: LogId, gap: PartitionGap) {
    const { fromOffset, nextOffset, reason } = gap;
    const text = `log ${log}: expected records from offset ${fromOffset} on, found them lost up to ${nextOffset}, ${reason}`;
    super('CORRUPT_MESSAGE', text);
    this.gap = gap;
  }
}
