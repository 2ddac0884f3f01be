import { setInt32 } from '../util/bytes.js';
import { crc32c } from '../util/crc32c.js';
import { ATTRIBUTES_AT, CRC_AT } from './batch-layout.js';

/** The checksum of the batch of `size` bytes at `at`: of all that follows it. */
export function batchChecksum(bytes: Uint8Array, at: number, size: number): number {
  return crc32c(bytes, at + ATTRIBUTES_AT, at + size);
}

/** Writes the checksum, once everything else is written. */
export function sealBatch(bytes: Uint8Array, at: number, size: number): void {
  setInt32(bytes, at + CRC_AT, batchChecksum(bytes, at, size));
}
