import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ReadAhead } from '../../src/cluster/read-ahead.js';
import { LogGapError } from '../../src/log/log-gap.js';
import type { PartitionGap } from '../../src/protocol/requests.js';
import { batchesIn, lastOffsetOf } from '../../src/record/batch-header.js';
import { decodeRecords } from '../../src/record/record-batch-decoder.js';
import { SealedSegmentBuilder } from '../../src/storage/sealed-segment.js';
import { batch, type Leader, LOG, leader } from '../log/harness.js';

// Goal: what compaction left out is passed over, and what is damaged is told of, also where other readers have found the
// segment whole before, or one behind it. Method: sealed segments of one-record batches, of which some are left out; one
// reader goes over a part of the log; then a byte of one batch becomes another, and the log is read from its start. (A
// leader epoch is covered by no checksum.)
test('what is damaged after a log was read is a gap, and no hole of compaction', async () => {
  const layout = fc.record({
    segments: fc.array(fc.array(fc.boolean(), { minLength: 1, maxLength: 5 }), { minLength: 1, maxLength: 4 }),
    from: fc.nat(),
    hit: fc.nat(),
    byte: fc.nat(),
    bits: fc.integer({ min: 1, max: 255 }),
    maxBytes: fc.integer({ min: 1, max: 900 }),
  });
  await fc.assert(
    fc.asyncProperty(layout, async ({ segments, from, hit, byte, bits, maxBytes }) => {
      const { lead, kept } = await compactedLog(segments);
      const ahead = new ReadAhead(lead.store);
      const all = await readThrough(ahead, segments.flat().length + 1, maxBytes, from % (segments.flat().length + 1));
      expect(all.gaps).toEqual([]);
      const damaged = kept[hit % Math.max(1, kept.length)];
      if (damaged === undefined) return;
      const at = byte % damaged.byteCount;
      if (at >= 12 && at < 16) return;
      lead.disk.damageSealedByte(LOG, damaged.segment, damaged.position + at, damaged.bytes[at]! ^ bits);

      const { values, gaps } = await readThrough(ahead, segments.flat().length + 1, maxBytes, 0);
      const isTold = (offset: number): boolean =>
        gaps.some(({ fromOffset, nextOffset }) => fromOffset <= offset && offset < nextOffset);
      expect(isTold(damaged.offset)).toBe(true);
      // A batch that moved within a hole is read, elsewhere; of two that claim the same place, perhaps none.
      const others = values.filter((value) => value !== `${damaged.offset}`);
      const missing = kept.filter(({ offset }) => offset !== damaged.offset && !others.includes(`${offset}`));
      expect(missing.filter(({ offset }) => !isTold(offset))).toEqual([]);
      expect(missing.length).toBeLessThanOrEqual(at < 8 ? 1 : 0);
      const expected = kept.filter((batch) => batch !== damaged && !missing.includes(batch));
      expect(others).toEqual([...expected.map(({ offset }) => `${offset}`), 'last']);
    }),
    {
      numRuns: 400,
      examples: [
        // Its base offset becomes a lower one.
        [{ segments: [[true, false, true, true]], from: 0, hit: 1, byte: 7, bits: 3, maxBytes: 900 }],
        // One of its bytes.
        [{ segments: [[true, false, true, true]], from: 0, hit: 1, byte: 65, bits: 3, maxBytes: 1 }],
        // Of the segment that nobody has read, while the one behind was found whole.
        [
          {
            segments: [
              [true, true, true],
              [true, false],
            ],
            from: 3,
            hit: 1,
            byte: 65,
            bits: 3,
            maxBytes: 900,
          },
        ],
      ],
    },
  );
});

interface KeptBatch {
  readonly offset: number;
  readonly bytes: Uint8Array;
  readonly byteCount: number;
  /** The base offset of its segment, and where in it the batch begins. */
  readonly segment: number;
  readonly position: number;
}

/** Sealed segments, of each of whose offsets `segments` tell whether it is kept; behind them one row. */
async function compactedLog(segments: readonly (readonly boolean[])[]): Promise<{ lead: Leader; kept: KeptBatch[] }> {
  const lead = await leader();
  const { store, leaderEpoch } = lead;
  const log = await lead.open();
  for (const [offset] of segments.flat().entries()) await log.append(batch([`${offset}`]), 'client');
  await log.append(batch(['last']), 'client');
  const rows = await (await store.raw()).chunks(LOG, 0, 1000);
  const kept: KeptBatch[] = [];
  let baseOffset = 0;
  for (const part of segments) {
    const builder = new SealedSegmentBuilder(LOG, baseOffset);
    for (const [at, isKept] of part.entries()) {
      if (!isKept) continue;
      const { bytes, lastOffset: offset } = rows[baseOffset + at]!;
      kept.push({ offset, bytes, byteCount: bytes.byteLength, segment: baseOffset, position: builder.byteCount });
      builder.add(bytes);
    }
    const range = { log: LOG, baseOffset, nextOffset: baseOffset + part.length };
    const staged = await store.stageSealed(builder.finish(range.nextOffset), leaderEpoch);
    await store.publishSealed({ ...range, sealed: [staged], segments: [] }, leaderEpoch);
    baseOffset = range.nextOffset;
  }
  await store.sweepSealed(LOG, leaderEpoch);
  return { lead, kept };
}

async function readThrough(
  ahead: ReadAhead,
  endOffset: number,
  maxBytes: number,
  from: number,
): Promise<{ values: string[]; gaps: PartitionGap[] }> {
  const values: string[] = [];
  const gaps: PartitionGap[] = [];
  for (let offset = from; offset < endOffset; ) {
    try {
      const chunks = await ahead.read({ log: LOG, offset }, maxBytes, endOffset);
      if (chunks.length === 0) break;
      for (const chunk of chunks) {
        for (const { header, at } of batchesIn(chunk)) {
          const records = decodeRecords(chunk, at).filter((record) => record.offset >= offset);
          values.push(...records.map(({ value }) => new TextDecoder().decode(value ?? new Uint8Array())));
          offset = Math.max(offset, lastOffsetOf(header) + 1);
        }
      }
    } catch (error) {
      if (!(error instanceof LogGapError)) throw error;
      gaps.push(error.gap);
      offset = error.gap.nextOffset;
    }
  }
  return { values, gaps };
}
