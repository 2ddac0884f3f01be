import { sealBatch } from './batch-checksum.js';
import type { BatchFields } from './batch-header.js';
import { writeUnsealedHeader } from './write-unsealed-header.js';

/** Writes the head of a batch of `size` bytes whose records are already in place behind it, checksum included. */
export function writeBatchHeader(bytes: Uint8Array, at: number, size: number, fields: BatchFields): void {
  writeUnsealedHeader(bytes, at, size, fields);
  sealBatch(bytes, at, size);
}
