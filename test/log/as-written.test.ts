import fc from 'fast-check';
import { expect, test } from 'vitest';
import { checkLog } from '../../src/log/check-log.js';
import { LogGapError } from '../../src/log/log-gap.js';
import { repairLog } from '../../src/log/repair-log.js';
import { readSound } from '../../src/log/sound-batches.js';
import { batchesIn } from '../../src/record/batch-header.js';
import { decodeRecords } from '../../src/record/record-batch-decoder.js';
import { SealedSegmentBuilder } from '../../src/storage/sealed-segment.js';
import { batch, type Leader, LOG, leader, transactions } from './harness.js';

const KEPT = [0, 1, 4, 9, 10, 15];
const END_OFFSET = 18;

// Goal: a batch whose base offset moved within what compaction left out, where nothing around it contradicts that, is not
// written there for good by a repair, but goes back to its place. Method: of
// a sealed segment with holes one batch is moved, anywhere that there is room for it.
test('a batch that moved within a hole of compaction goes back', async () => {
  let moved = 0;
  const move = fc.record({ index: fc.nat({ max: KEPT.length - 1 }), to: fc.nat({ max: END_OFFSET - 1 }) });
  await fc.assert(
    fc.asyncProperty(move, async ({ index, to }) => {
      const [before, own, behind] = [KEPT[index - 1] ?? -1, KEPT[index]!, KEPT[index + 1] ?? END_OFFSET];
      if (to <= before || to >= behind || to === own) return;
      moved++;
      const { lead, target, positions } = await compacted();
      lead.disk.damageSealedByte(LOG, 0, positions[index]! + 7, to);
      const expected = { kind: 'wrong-offset', fromOffset: own, nextOffset: own + 1 };
      expect((await checkLog(target)).findings).toEqual([expect.objectContaining(expected)]);
      expect((await repairLog(target)).findings).toEqual([]);
      expect(await readAll(lead)).toEqual({ offsets: KEPT, gaps: 0 });
    }),
    { numRuns: 100 },
  );
  expect(moved).toBeGreaterThan(5);
});

test('a leader epoch that changed in a sealed segment is put right', async () => {
  const { lead, target, positions } = await compacted();
  lead.disk.damageSealedByte(LOG, 0, positions[2]! + 12, 5);
  expect((await checkLog(target)).findings).toHaveLength(1);
  expect((await repairLog(target)).findings).toEqual([]);
  expect(await readAll(lead)).toEqual({ offsets: KEPT, gaps: 0 });
});

// What cannot be told from what else may have happened stays as it is: readers are told of the doubt, and so is who checks.
test('where two batches moved a repair leaves the segment alone, and says so', async () => {
  const { lead, target, positions } = await compacted();
  lead.disk.damageSealedByte(LOG, 0, positions[2]! + 7, 6);
  lead.disk.damageSealedByte(LOG, 0, positions[4]! + 7, 12);
  const bytes = await sealedBytes(lead);
  const expected = { kind: 'sealed-segment', detail: expect.stringContaining('left as it is') };
  expect((await checkLog(target)).findings).toEqual([expect.objectContaining(expected)]);
  expect((await repairLog(target)).findings).toEqual([expect.objectContaining(expected)]);
  expect(await sealedBytes(lead)).toEqual(bytes);
  expect((await readAll(lead)).gaps).toBeGreaterThan(0);
});

async function compacted() {
  const lead = await leader();
  const log = await lead.open();
  for (let i = 0; i < END_OFFSET + 2; i++) await log.append(batch([`${i}`]), 'client');
  const { store, leaderEpoch } = lead;
  const raw = await store.raw();
  const rows = await raw.chunks(LOG, 0, 100);
  const builder = new SealedSegmentBuilder(LOG, 0);
  for (const offset of KEPT) builder.add(rows[offset]!.bytes);
  const staged = await store.stageSealed(builder.finish(END_OFFSET), leaderEpoch);
  const range = { log: LOG, baseOffset: 0, nextOffset: END_OFFSET };
  await store.publishSealed({ ...range, sealed: [staged], segments: [] }, leaderEpoch);
  await store.sweepSealed(LOG, leaderEpoch);
  const target = { store, raw, log: LOG, recovery: { nowMs: 1_000_000, transactions }, signal: undefined, leaderEpoch };
  expect((await checkLog(target)).findings).toEqual([]);
  expect(await readAll(lead)).toEqual({ offsets: KEPT, gaps: 0 });
  return { lead, target, positions: [...batchesIn(await sealedBytes(lead))].map(({ at }) => at) };
}

async function sealedBytes({ store }: Leader): Promise<Uint8Array> {
  const [segment] = await store.sealedSegments(LOG);
  return new Uint8Array((await (await store.raw()).sealedBytes(segment!))!);
}

/** Of what the sealed segment covers; each record has its offset as its value. */
async function readAll({ store }: Leader): Promise<{ offsets: number[]; gaps: number }> {
  const offsets: number[] = [];
  let gaps = 0;
  const holes = new Map();
  for (let offset = 0; offset < END_OFFSET; ) {
    const read = { log: LOG, offset, maxBytes: 150, endOffset: END_OFFSET, holes };
    try {
      const { chunks, nextOffset } = await readSound(store, read);
      for (const bytes of chunks) {
        for (const { at } of batchesIn(bytes)) {
          for (const record of decodeRecords(bytes, at)) {
            offsets.push(record.offset);
            if (gaps === 0) expect(new TextDecoder().decode(record.value!)).toBe(`${record.offset}`);
          }
        }
      }
      offset = nextOffset;
    } catch (error) {
      if (!(error instanceof LogGapError)) throw error;
      gaps++;
      offset = error.gap.nextOffset;
    }
  }
  return { offsets, gaps };
}
