import { deleteRecordsBefore } from '../log/log-upkeep.js';
import { BROKER_ID } from '../protocol/broker-node.js';
import { ConfigResourceType } from '../protocol/requests.js';
import type { Clock } from '../runtime/runtime.js';
import type { Controller } from './controller.js';
import { metadataBatches } from './metadata-batches.js';
import type { MetadataImage } from './metadata-image.js';
import type { MetadataRecord } from './metadata-records.js';

/** The log is written anew once it holds that many records, and that many times as many as the image needs. */
export const SNAPSHOT_RECORDS = 10_000;
const SNAPSHOT_FACTOR = 4;

/** Stands for what is gone: no topic can have this name. */
const GONE = { name: '/', topicId: '/' } as const;

/**
 * The shortest records that replay to `image`: on an empty one, and on every one that an earlier part of the same log
 * replays to, so that whoever has followed the log so far goes on.
 */
export function snapshotRecords(image: MetadataImage): MetadataRecord[] {
  const topics = [...image.topics.values()];
  const records = [...goneRecords(image)];
  for (const [name, value] of Object.entries(image.brokerConfigs)) {
    const resource = { resourceType: ConfigResourceType.BROKER, resourceName: String(BROKER_ID) };
    records.push({ type: 'ConfigRecord', ...resource, name, value });
  }
  for (const { name, topicId, partitions, configs } of topics) {
    records.push({ type: 'TopicRecord', name, topicId });
    for (const { partitionId, log } of partitions) records.push({ type: 'PartitionRecord', topicId, partitionId, log });
    const resource = { resourceType: ConfigResourceType.TOPIC, resourceName: name };
    for (const [config, value] of Object.entries(configs)) {
      records.push({ type: 'ConfigRecord', ...resource, name: config, value });
    }
  }
  records.push({ type: 'ProducerIdsRecord', nextProducerId: image.nextProducerId });
  return records;
}

/** Logs that wait for their deletion, and the greatest id that was ever given, belong to no topic that is there. */
function goneRecords({ topics, removedLogs, nextLogId }: MetadataImage): MetadataRecord[] {
  const last = nextLogId - 1;
  const isLastHeld =
    last < 1 ||
    removedLogs.has(last) ||
    [...topics.values()].some((topic) => topic.partitions.some(({ log }) => log === last));
  const logs = isLastHeld ? [...removedLogs] : [...removedLogs, last];
  if (logs.length === 0) return [];
  const { topicId } = GONE;
  return [
    { type: 'TopicRecord', ...GONE },
    ...logs.map((log, partitionId) => ({ type: 'PartitionRecord', topicId, partitionId, log }) as const),
    { type: 'RemoveTopicRecord', topicId },
    ...(isLastHeld ? [] : [{ type: 'RemoveLogsRecord', logs: [last] } as const]),
  ];
}

/**
 * Writes the metadata log anew where it has grown to many times what the image needs (KRaft's snapshots): the snapshot goes
 * behind the rest in one commit, then the rest is deleted. A death in between costs nothing but its space.
 * @throws KafkaError: nothing is lost, and it may be tried again.
 */
export async function keepMetadataShort(controller: Controller, clock: Clock): Promise<void> {
  await controller.exclusively(async (log) => {
    const recordCount = log.logEndOffset - log.logStartOffset;
    if (recordCount < SNAPSHOT_RECORDS) return;
    const records = snapshotRecords(controller.image);
    if (recordCount < SNAPSHOT_FACTOR * records.length) return;
    const { baseOffset } = await log.append(metadataBatches(records, clock.wallMs()), 'coordinator');
    await deleteRecordsBefore(log, baseOffset);
  });
}
