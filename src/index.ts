/** The public API: KafkaJS over a cluster that lives in the tabs of this origin. Importing it touches nothing. */
export * from './client/admin-errors.js';
export type * from './client/api/admin.js';
export { ConfigResourceTypes, ConfigSource, ResourceTypes } from './client/api/admin.js';
export type * from './client/api/consumer.js';
export type * from './client/api/events.js';
export type * from './client/api/integrity.js';
export type * from './client/api/kafka.js';
export type * from './client/api/logger.js';
export { logLevel } from './client/api/logger.js';
export type * from './client/api/producer.js';
export type * from './client/api/storage.js';
export { Kafka } from './client/browser-platform.js';
export {
  AssignerProtocol,
  type Assignment,
  type MemberAssignment,
  type MemberMetadata,
} from './client/consumer/assigner-protocol.js';
export { PartitionAssigners } from './client/consumer/assignors.js';
export { KafkaJSEncryptionError } from './client/encryption-error.js';
export * from './client/errors.js';
export { KafkaJSGapError } from './client/gap-error.js';
export { type ClientPlatform, type KafkaConstructor, kafkaOn } from './client/kafka.js';
export { Partitioners } from './client/producer/partitioners.js';
export { KafkaError, type KafkaErrorName } from './protocol/errors.js';
export type { TopicPartition } from './protocol/topic-partition.js';
export { type CompressionCodec, CompressionCodecs } from './record/compression.js';
export { type CompressionType, CompressionTypes } from './record/compression-types.js';
export { RecordBytes } from './record/record-bytes.js';
export type { Serde, StandardSchema } from './record/serdes.js';
export * as serdes from './record/serdes.js';
