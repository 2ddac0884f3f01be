import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type CompactedLog, LogCleaner } from '../../src/log/compaction/log-cleaner.js';
import { sealClosedSegments } from '../../src/log/segment-sealer.js';
import { KafkaError } from '../../src/protocol/errors.js';
import { parseTopicConfig } from '../../src/protocol/topic-config.js';
import { batchesIn, lastOffsetOf } from '../../src/record/batch-header.js';
import { SealedSegmentBuilder } from '../../src/storage/sealed-segment.js';
import { concatBytes } from '../../src/util/bytes.js';
import { batch, LOG, leader } from './harness.js';
import { readWhole } from './read-whole.js';

const NEVER = new AbortController().signal;
const CONFIG = { 'cleanup.policy': 'compact', 'segment.bytes': '1024', 'min.cleanable.dirty.ratio': '0.01' };

// Goal: sealing and compaction make no damage worse, and hide none: whoever reads afterwards gets every record outside of
// the damaged batch, and is told of a gap in its place. Method: a closed segment's batches of some records of keys of their
// own, in rows or sealed already; a byte of one of them becomes another (a leader epoch's is covered by no checksum), and
// the log is sealed or cleaned.
test.each(['sealed', 'cleaned', 'cleaned when sealed'])('a log with a damaged batch that is %s', async (what) => {
  const damage = fc.record({
    hit: fc.nat(),
    byte: fc.oneof(fc.nat(), fc.integer({ min: 0, max: 30 })),
    bits: fc.integer({ min: 1, max: 255 }),
    counts: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 8, maxLength: 12 }),
  });
  await fc.assert(
    fc.asyncProperty(damage, async ({ hit, byte, bits, counts }) => {
      const lead = await leader();
      const { store, leaderEpoch, clock, disk } = lead;
      const log = await lead.open({ topicConfig: CONFIG });
      const values: string[] = [];
      for (const count of [...counts, ...counts, 1]) {
        const records = Array.from({ length: count }, (_, at) => ({
          key: `${values.length + at}`,
          value: `${values.length + at}`.padEnd(40, '.'),
        }));
        await log.append(batch(records), 'client');
        values.push(...records.map(({ value }) => value));
      }
      const endOffset = log.logEndOffset;
      const raw = await store.raw();
      const closedOffset = (await store.segments(LOG)).at(-1)?.nextOffset ?? 0;
      const rows = (await raw.chunks(LOG, 0, 1000)).filter(({ lastOffset }) => lastOffset < closedOffset);
      if (what === 'cleaned when sealed') await sealClosedSegments(log, NEVER);
      const sealed = await store.sealedSegments(LOG);
      let lost: { fromOffset: number; nextOffset: number };
      if (sealed.length > 0) {
        const segment = sealed[hit % sealed.length]!;
        const bytes = (await raw.sealedBytes(segment))!;
        const at = byte % bytes.byteLength;
        if (at % bytes.byteLength >= 12 && at < 16) return;
        disk.damageSealedByte(LOG, segment.baseOffset, at, bytes[at]! ^ bits);
        lost = { fromOffset: segment.baseOffset, nextOffset: segment.nextOffset };
      } else {
        const row = rows[hit % rows.length]!;
        const bytes = new Uint8Array(row.bytes);
        const at = byte % bytes.byteLength;
        const { header } = [...batchesIn(row.bytes)].find((found) => found.at + found.header.sizeInBytes > at)!;
        if (at >= 12 && at < 16) return;
        bytes[at]! ^= bits;
        await raw.apply({ log: LOG, putChunks: [{ ...row, bytes }] }, leaderEpoch);
        lost = { fromOffset: header.baseOffset, nextOffset: lastOffsetOf(header) + 1 };
      }
      if (what === 'sealed') {
        await sealClosedSegments(log, NEVER).catch((error: unknown) => {
          if (!(error instanceof KafkaError)) throw error;
        });
      } else {
        const config = parseTopicConfig(CONFIG);
        const logs: CompactedLog[] = [{ log: LOG, config: () => config, open: async () => log }];
        await new LogCleaner({ store, leaderEpoch, clock }).cleanAll(logs, NEVER);
      }
      const found = await readWhole(store, { maxBytes: 1000, endOffset: endOffset });
      expect(found.values).toEqual(values.filter((_, at) => at < lost.fromOffset || at >= lost.nextOffset));
      expect(found.gaps.map(({ fromOffset, nextOffset }) => ({ fromOffset, nextOffset }))).toEqual([lost]);
    }),
    { numRuns: 200 },
  );
});

// Goal: what a pass left out stays out, and what is damaged afterwards is not taken for it by the next one. Method: some keys
// are written over and over, so that sealed segments have holes; then a byte of one of those becomes another, and there is
// more to clean.
test('a log that is damaged between two passes of compaction', async () => {
  const damage = fc.record({
    keys: fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 60, maxLength: 60 }),
    hit: fc.nat(),
    byte: fc.nat(),
    isHead: fc.boolean(),
    bits: fc.integer({ min: 1, max: 255 }),
  });
  await fc.assert(
    fc.asyncProperty(damage, async ({ keys, hit, byte, isHead, bits }) => {
      const { store, leaderEpoch, clock, disk, open } = await leader();
      const log = await open({ topicConfig: CONFIG });
      const config = parseTopicConfig(CONFIG);
      const logs: CompactedLog[] = [{ log: LOG, config: () => config, open: async () => log }];
      const clean = (): Promise<void> => new LogCleaner({ store, leaderEpoch, clock }).cleanAll(logs, NEVER);
      const put = async (key: string): Promise<void> => {
        await log.append(batch([{ key, value: `${log.logEndOffset}`.padEnd(40, '.') }]), 'client');
      };
      for (const [at, key] of keys.entries()) await put(key < 4 ? `${key}` : `at ${at}`);
      for (let i = 0; i < 20; i++) await put(`behind ${i}`); // so that the pass reaches all of the others
      await clean();
      const before = (await readWhole(store, { maxBytes: 1000, endOffset: log.logEndOffset })).values;
      const sealed = (await store.sealedSegments(LOG)).filter(({ byteCount }) => byteCount > 0);
      const segment = sealed[hit % sealed.length]!;
      const bytes = (await (await store.raw()).sealedBytes(segment))!;
      const batches = [...batchesIn(bytes)];
      const found = batches[byte % batches.length]!;
      const within = byte % (isHead ? 12 : found.header.sizeInBytes);
      if (within >= 12 && within < 16) return;
      disk.damageSealedByte(LOG, segment.baseOffset, found.at + within, bytes[found.at + within]! ^ bits);
      for (let i = 0; i < 20; i++) await put(`later ${i}`);
      await clean();

      const { values, gaps } = await readWhole(store, { maxBytes: 1000, endOffset: log.logEndOffset });
      const isTold = (offset: number): boolean =>
        gaps.some(({ fromOffset, nextOffset }) => fromOffset <= offset && offset < nextOffset);
      expect(isTold(found.header.baseOffset)).toBe(true);
      const lost = before.filter((value) => !values.includes(value)).map((value) => Number.parseInt(value, 10));
      const others = lost.filter((offset) => offset !== found.header.baseOffset);
      // Of two batches that claim the same place, perhaps none is taken.
      expect(others.length).toBeLessThanOrEqual(within < 8 ? 1 : 0);
      expect(others.filter((offset) => !isTold(offset))).toEqual([]);
    }),
    { numRuns: 150 },
  );
});

// Rows that the journal has joined do not end where segments do (table seed 32694).
test('a row that begins in a sealed segment, whose end was compacted away, and goes on behind it is cleaned and sealed', async () => {
  for (const work of ['sealed', 'cleaned'] as const) {
    const { store, leaderEpoch, clock, open } = await leader();
    const log = await open({ topicConfig: CONFIG });
    const put = (key: string): Promise<unknown> =>
      log.append(batch([{ key, value: `${key}`.padEnd(100, '.') }]), 'client');
    while ((await store.segments(LOG)).length < 3) await put(`key ${log.logEndOffset}`);
    const raw = await store.raw();
    const [segment, next] = await store.segments(LOG);
    const [last, first] = await raw.chunks(LOG, segment!.nextOffset - 1, 2);
    const joined = { lastOffset: first!.lastOffset, bytes: concatBytes([last!.bytes, first!.bytes]) };
    await raw.apply({ log: LOG, deleteChunks: [last!.lastOffset], putChunks: [joined] }, leaderEpoch);
    // As after compaction, which took out all but the first.
    const builder = new SealedSegmentBuilder(LOG, 0);
    builder.add((await raw.chunks(LOG, 0, 1))[0]!.bytes);
    const range = { log: LOG, baseOffset: 0, nextOffset: segment!.nextOffset };
    const staged = await store.stageSealed(builder.finish(range.nextOffset), leaderEpoch);
    await store.publishSealed({ ...range, sealed: [staged], segments: [segment!] }, leaderEpoch);
    await store.sweepSealed(LOG, leaderEpoch);

    if (work === 'sealed') await sealClosedSegments(log, NEVER);
    else {
      const config = parseTopicConfig(CONFIG);
      const logs: CompactedLog[] = [{ log: LOG, config: () => config, open: async () => log }];
      await new LogCleaner({ store, leaderEpoch, clock }).cleanAll(logs, NEVER);
    }
    const sealedEndOffset = (await store.sealedSegments(LOG)).at(-1)?.nextOffset;
    expect(sealedEndOffset).toBeGreaterThanOrEqual(next!.nextOffset);
    expect((await readWhole(store, { maxBytes: 1000, endOffset: log.logEndOffset })).gaps).toEqual([]);
  }
});
