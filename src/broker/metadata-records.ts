import { batchesIn } from '../record/batch-header.js';
import { RecordCursor } from '../record/record-cursor.js';
import type { LogId } from '../storage/log-store.js';

/**
 * The records of the metadata log (log 0), named as in KRaft's; each is one JSON object, the value of a record without
 * key. Every state of the cluster's metadata is the fold of these records (metadata-image.ts).
 */
export type MetadataRecord =
  | { readonly type: 'TopicRecord'; readonly name: string; readonly topicId: string }
  /** `log` holds the partition's records; it is given once and never again. */
  | { readonly type: 'PartitionRecord'; readonly topicId: string; readonly partitionId: number; readonly log: LogId }
  /** The topic is gone; its logs wait for their deletion. */
  | { readonly type: 'RemoveTopicRecord'; readonly topicId: string }
  /** *Ours*: the data of these logs of removed topics is deleted. */
  | { readonly type: 'RemoveLogsRecord'; readonly logs: readonly LogId[] }
  /** `value` null: back to the default. The resource name of a topic is its name, that of the broker its number. */
  | {
      readonly type: 'ConfigRecord';
      readonly resourceType: number;
      readonly resourceName: string;
      readonly name: string;
      readonly value: string | null;
    }
  /** All producer ids below are given out. */
  | { readonly type: 'ProducerIdsRecord'; readonly nextProducerId: number };

export const METADATA_LOG: LogId = 0;

const UTF8 = new TextDecoder();

/** The records at or after `fromOffset` in a chunk of the metadata log, in order: how any host follows it. */
export function metadataRecordsIn(chunk: Uint8Array, fromOffset = 0): MetadataRecord[] {
  const records: MetadataRecord[] = [];
  for (const { at } of batchesIn(chunk)) {
    const cursor = new RecordCursor(chunk, at);
    while (cursor.next()) {
      const value = cursor.value();
      if (cursor.offset < fromOffset || value === null) continue;
      records.push(JSON.parse(UTF8.decode(value)) as MetadataRecord); // written by `metadataBatches`
    }
  }
  return records;
}
