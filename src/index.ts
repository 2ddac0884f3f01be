/** The public API: KafkaJS over a cluster that lives in the tabs of this origin. Importing it touches nothing. */
export type * from './client/api/admin.js';
export { ConfigResourceTypes, ConfigSource, ResourceTypes } from './client/api/admin.js';
export type * from './client/api/consumer.js';
export type * from './client/api/events.js';
export type * from './client/api/kafka.js';
export type * from './client/api/logger.js';
export { logLevel } from './client/api/logger.js';
export type * from './client/api/producer.js';
export { Kafka } from './client/browser-platform.js';
export { AssignerProtocol } from './client/consumer/assigner-protocol.js';
export { PartitionAssigners } from './client/consumer/assignors.js';
export * from './client/errors.js';
export { type ClientPlatform, type KafkaConstructor, kafkaOn } from './client/kafka.js';
export { Partitioners } from './client/producer/partitioner.js';
export { KafkaError, type KafkaErrorName } from './protocol/errors.js';
export {
  type CompressionCodec,
  CompressionCodecs,
  type CompressionType,
  CompressionTypes,
} from './record/compression.js';
export { RecordBytes } from './record/record-bytes.js';
export type { Serde, StandardSchema } from './record/serdes.js';
export * as serdes from './record/serdes.js';
