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

/** The records in chunks of the metadata log, in order: how any host follows it. */
export async function metadataRecordsIn(bytes: Uint8Array): Promise<MetadataRecord[]> {
  throw new Error('to come');
}
