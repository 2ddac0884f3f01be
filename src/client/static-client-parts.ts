import { makeAdmin } from './admin.js';
import type { ClientParts } from './client-parts.js';
import { makeConsumer } from './consumer/consumer.js';
import { consumerGroup } from './consumer/consumer-group.js';
import { iterateMessages } from './consumer/message-iteration.js';
import { batchRecovery } from './producer/batch-recovery.js';
import { makeProducer } from './producer/producer.js';
import { storageChanges, storageState } from './storage-watch.js';

/** The clients as one module graph: in Node and in the simulation, where nothing may load. */
export const STATIC_CLIENT_PARTS: Required<ClientParts> = {
  producer: async () => ({ makeProducer }),
  recovery: async () => ({ batchRecovery }),
  consumer: async () => ({ makeConsumer }),
  group: async () => ({ consumerGroup }),
  iteration: async () => ({ iterateMessages }),
  admin: async () => ({ makeAdmin }),
  storage: async () => ({ storageState, storageChanges }),
};
