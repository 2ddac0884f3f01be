import type { Kafka } from '../../src/index.js';
import { BRIEF_FLIGHTS, FLIGHTS } from './datasets.js';
import { CONTROL_TOPIC } from './replay-control.js';
import { RESULTS_TOPIC } from './statistics-group.js';
import { VISITOR_TOPIC } from './visitor-events.js';

const KEEP = [{ name: 'retention.ms', value: '-1' }];

const TOPICS = [
  ...[FLIGHTS, BRIEF_FLIGHTS].map(({ topic, partitionCount }) => ({ topic, numPartitions: partitionCount })),
  ...[CONTROL_TOPIC, RESULTS_TOPIC, VISITOR_TOPIC].map((topic) => ({ topic, numPartitions: 1 })),
];

/** Makes the demo's topics where they are missing. Flights of 2001 must not fall to retention by time. */
export async function createTopics(kafka: Kafka): Promise<void> {
  const admin = kafka.admin();
  const existing = new Set(await admin.listTopics());
  for (const topic of TOPICS.filter((one) => !existing.has(one.topic))) {
    // False when another tab was quicker.
    await admin.createTopics({ topics: [{ ...topic, configEntries: KEEP }] });
  }
}

export async function deleteTopics(kafka: Kafka): Promise<void> {
  await kafka.admin().deleteTopics({ topics: TOPICS.map(({ topic }) => topic) });
}
