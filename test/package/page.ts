import { Kafka } from '../../src/index.js';

// A page as the quick start has it: what it does not name is not bundled.
export const kafka = new Kafka({ clientId: 'page' });
