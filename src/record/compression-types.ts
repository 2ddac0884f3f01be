import { NO_COMPRESSION } from './batch-layout.js';

/** The codecs that a batch's attributes can name, with KafkaJS's spelling. */
export const CompressionTypes = { None: NO_COMPRESSION, GZIP: 1, Snappy: 2, LZ4: 3, ZSTD: 4 } as const;
export type CompressionType = (typeof CompressionTypes)[keyof typeof CompressionTypes];
/** As KafkaJS's enum is also its type. */
export type CompressionTypes = CompressionType;
