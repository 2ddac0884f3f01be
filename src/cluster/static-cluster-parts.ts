import { Broker } from '../broker/broker.js';
import { STATIC_PARTS } from '../broker/static-parts.js';
import type { ClusterParts } from './cluster-parts.js';
import { ReadAhead } from './read-ahead.js';
import { Transport } from './transport.js';

/** The parts of a host that is one module graph: see `STATIC_PARTS`. */
export const STATIC_CLUSTER_PARTS: ClusterParts = {
  ...STATIC_PARTS,
  broker: async () => ({ Broker }),
  readAhead: async () => ({ ReadAhead }),
  transport: async () => ({ Transport }),
};
