import { offsetForTimestamp } from '../log/offset-for-timestamp.js';
import { adminHandlers } from './admin-handlers.js';
import type { BrokerParts } from './broker-parts.js';
import { GroupCoordinator } from './coordinator/group-coordinator.js';
import { createMissing, createOffsetsTopic, createTopics } from './create-topics.js';
import { integrityHandlers } from './integrity-handlers.js';
import { keepSealed } from './keep-sealed.js';
import { Maintenance } from './maintenance.js';
import { RoomKeeper } from './room-keeper.js';
// Damage asks for it by `import()`, which must then have nothing to load.
import '../log/salvage.js';
import * as transactionsPart from './transactions-part.js';

/** The parts of a broker that is one module graph: in tests, in Node, and in the simulation, where nothing may load. */
export const STATIC_PARTS: BrokerParts = {
  groups: async () => ({ GroupCoordinator }),
  topics: async () => ({ createMissing, createOffsetsTopic, createTopics }),
  maintenance: async () => ({ Maintenance }),
  admin: async () => ({ adminHandlers }),
  transactions: async () => transactionsPart,
  sealing: async () => ({ keepSealed }),
  integrity: async () => ({ integrityHandlers }),
  room: async () => ({ RoomKeeper }),
  timestamps: async () => ({ offsetForTimestamp }),
};
