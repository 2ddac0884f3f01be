import { offsetForTimestamp } from '../log/offset-for-timestamp.js';
import { adminHandlers } from './admin-handlers.js';
import type { BrokerParts } from './broker-parts.js';
import { GroupCoordinator } from './coordinator/group-coordinator.js';
import { RoomKeeper } from './room-keeper.js';

/** The parts of a broker that is one module graph: in tests, in Node, and in the simulation, where nothing may load. */
export const STATIC_PARTS: BrokerParts = {
  groups: async () => ({ GroupCoordinator }),
  admin: async () => ({ adminHandlers }),
  room: async () => ({ RoomKeeper }),
  timestamps: async () => ({ offsetForTimestamp }),
};
