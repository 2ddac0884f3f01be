import { ENCRYPTED } from './batch-layout.js';

/** The name of a compression as `compression.type` spells it; of unknown bits, their number. */
export function compressionName(type: number): string {
  return type === ENCRYPTED ? 'encrypted' : (['none', 'gzip', 'snappy', 'lz4', 'zstd'][type] ?? `type ${type}`);
}
