import type { BrokerParts } from '../broker/broker-parts.js';

/** The parts of a host: those of its broker, and what it does not need while it is alone or has read little. */
export interface ClusterParts extends BrokerParts {
  readonly readAhead: () => Promise<Pick<typeof import('./read-ahead.js'), 'ReadAhead'>>;
  readonly transport: () => Promise<Pick<typeof import('./transport.js'), 'Transport'>>;
}
