export const NO_COMPRESSION = 0;
/** The codecs that a batch's attributes can name, with KafkaJS's spelling. */
export const CompressionTypes = { None: NO_COMPRESSION, GZIP: 1, Snappy: 2, LZ4: 3, ZSTD: 4 } as const;
export type CompressionType = (typeof CompressionTypes)[keyof typeof CompressionTypes];

/** *Ours*, where Kafka has no codec: the records are encrypted; how they are compressed is inside (batch-encryption.ts). */
export const ENCRYPTED = 7;

/** The name of a compression as `compression.type` spells it; of unknown bits, their number. */
export function compressionName(type: number): string {
  return type === ENCRYPTED ? 'encrypted' : (['none', 'gzip', 'snappy', 'lz4', 'zstd'][type] ?? `type ${type}`);
}
