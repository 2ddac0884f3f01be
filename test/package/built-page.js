import { Kafka } from 'tabstream';

// `page.ts` of somebody who has the package and not its sources.
export const kafka = new Kafka({ clientId: 'page' });
