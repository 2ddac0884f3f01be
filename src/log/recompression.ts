import type { TopicConfig } from '../protocol/topic-config.js';
import { compressBatch, decompressBatch } from '../record/batch-compression.js';
import { compressionOf } from '../record/batch-header.js';
import { ENCRYPTED, NO_COMPRESSION } from '../record/batch-layout.js';
import { CompressionTypes } from '../record/compression-types.js';
import { concatBytes } from '../util/bytes.js';
import { type AppendRules, acceptableBatches } from './append-validation.js';

/** What batches are stored with, whatever they come with; undefined: with what the producer chose. */
export function storedCompression({
  compressionType,
}: TopicConfig): typeof CompressionTypes.None | typeof CompressionTypes.GZIP | undefined {
  if (compressionType === 'uncompressed') return NO_COMPRESSION;
  return compressionType === 'gzip' ? CompressionTypes.GZIP : undefined;
}

/**
 * The batches as the topic's `compression.type` has them stored. Encrypted ones stay as they are: what is encrypted cannot be
 * compressed, and only their readers can open them.
 * @throws KafkaError as `acceptableBatches`; UNSUPPORTED_COMPRESSION_TYPE: they come with a codec that the host has not.
 */
export async function recompressed(records: Uint8Array, rules: AppendRules): Promise<Uint8Array> {
  const wanted = storedCompression(rules.config);
  const batches = acceptableBatches(records, rules).map(async ({ header, at }) => {
    const found = compressionOf(header);
    const asIs = records.subarray(at, at + header.sizeInBytes);
    if (found === wanted || found === ENCRYPTED || wanted === undefined) return asIs;
    const clear = found === NO_COMPRESSION ? asIs : await decompressBatch(asIs);
    return wanted === NO_COMPRESSION ? clear : compressBatch(clear, 0, wanted);
  });
  return concatBytes(await Promise.all(batches));
}
