import type { BrokerParts } from '../broker/broker-parts.js';

/** The parts of a host: its broker and the parts of that, and what it does not need while it is alone or has read little. */
export interface ClusterParts extends BrokerParts {
  /** All that only who leads needs: a host that reads, or waits to lead, answers without it. */
  readonly broker: () => Promise<Pick<typeof import('../broker/broker.js'), 'Broker'>>;
  readonly readAhead: () => Promise<Pick<typeof import('./read-ahead.js'), 'ReadAhead'>>;
  readonly transport: () => Promise<Pick<typeof import('./transport.js'), 'Transport'>>;
}
