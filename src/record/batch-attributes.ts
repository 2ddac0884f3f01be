import type { TimestampType } from './batch-header.js';
import { CONTROL_BIT, DELETE_HORIZON_BIT, LOG_APPEND_TIME_BIT, TRANSACTIONAL_BIT } from './batch-layout.js';

export interface AttributeFlags {
  readonly compression?: number;
  readonly timestampType?: TimestampType;
  readonly isTransactional?: boolean;
  readonly isControl?: boolean;
  readonly hasDeleteHorizon?: boolean;
}

/** The attribute bits that stand for these flags; what is not given is off. */
export function attributesOf(flags: AttributeFlags): number {
  return (
    (flags.compression ?? 0) |
    (flags.timestampType === 'LogAppendTime' ? LOG_APPEND_TIME_BIT : 0) |
    (flags.isTransactional ? TRANSACTIONAL_BIT : 0) |
    (flags.isControl ? CONTROL_BIT : 0) |
    (flags.hasDeleteHorizon ? DELETE_HORIZON_BIT : 0)
  );
}
