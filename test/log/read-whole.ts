import { expect } from 'vitest';
import type { KnownHoles } from '../../src/log/known-holes.js';
import { LogGapError } from '../../src/log/log-gap.js';
import { readSound } from '../../src/log/sound-batches.js';
import type { PartitionGap } from '../../src/protocol/requests.js';
import { batchesIn } from '../../src/record/batch-header.js';
import { decodeRecords } from '../../src/record/record-batch-decoder.js';
import type { LogStore } from '../../src/storage/log-store.js';
import { LOG } from './harness.js';

interface WholeRead {
  readonly maxBytes: number;
  readonly endOffset: number;
  readonly fromOffset?: number;
  readonly holes?: KnownHoles;
}

/** The values of all records that a reader gets, as texts, and the gaps that it is told of: one read behind the other. */
export async function readWhole(
  store: LogStore,
  { maxBytes, endOffset, fromOffset = 0, holes = new Map() }: WholeRead,
): Promise<{ values: string[]; gaps: PartitionGap[] }> {
  const values: string[] = [];
  const gaps: PartitionGap[] = [];
  for (let offset = fromOffset; offset < endOffset; ) {
    try {
      const { chunks, nextOffset } = await readSound(store, { log: LOG, offset, maxBytes, endOffset, holes });
      for (const chunk of chunks) {
        for (const { at } of batchesIn(chunk)) {
          const records = decodeRecords(chunk, at).filter((record) => record.offset >= offset);
          values.push(...records.map(({ value }) => new TextDecoder().decode(value ?? new Uint8Array())));
        }
      }
      expect(nextOffset).toBeGreaterThan(offset);
      offset = nextOffset;
    } catch (error) {
      if (!(error instanceof LogGapError)) throw error;
      expect(error.gap.fromOffset).toBe(offset);
      gaps.push(error.gap);
      offset = error.gap.nextOffset;
    }
  }
  return { values, gaps };
}
