import { Kafka } from '../../../src/index.js';
import type { Variant } from './tab-api.js';

/** The client of the page, whose address says which: `?variant=newer`. */
export function kafkaOf(variant: Variant | undefined): Kafka {
  const clientId = 'tab-under-test';
  switch (variant) {
    case 'memory-if-denied':
      return new Kafka({ clientId, storage: 'memory-if-denied' });
    case 'newer':
      return new Kafka({ clientId, worker: newNewerWorker });
    case 'wedging':
      return new Kafka({ clientId, worker: newWedgingWorker });
    case undefined:
      return new Kafka({ clientId });
  }
}

// In the one form that bundlers follow, with a name that they can read.

function newNewerWorker(): Worker {
  return new Worker(new URL('./variant.worker.ts', import.meta.url), { type: 'module', name: 'newer' });
}

function newWedgingWorker(): Worker {
  return new Worker(new URL('./variant.worker.ts', import.meta.url), { type: 'module', name: 'wedging' });
}
