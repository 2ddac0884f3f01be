import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type CheckedLog, checkLog, checkLogInUse } from '../../src/log/check-log.js';
import { LogGapError } from '../../src/log/log-gap.js';
import { deleteRecordsBefore, enforceRetention } from '../../src/log/log-upkeep.js';
import type { PartitionLog } from '../../src/log/partition-log.js';
import { repairLog } from '../../src/log/repair-log.js';
import { sealClosedSegments } from '../../src/log/segment-sealer.js';
import { readSound } from '../../src/log/sound-batches.js';
import { KafkaError } from '../../src/protocol/errors.js';
import { batchesIn, isGap, lastOffsetOf } from '../../src/record/batch-header.js';
import { decodeRecords } from '../../src/record/record-batch-decoder.js';
import type { Random } from '../../src/runtime/runtime.js';
import { seededRandom } from '../../src/runtime/seeded-random.js';
import type { SegmentRow } from '../../src/storage/log-store.js';
import type { RawChunk, RawLogStore } from '../../src/storage/raw-log-store.js';
import { SealedSegmentBuilder } from '../../src/storage/sealed-segment.js';
import { calling } from './calling.js';
import { batch, errorOf, type Leader, LOG, leader, sequenced, transactions } from './harness.js';

const RECOVERY = { nowMs: 1_000_000, transactions };

interface Target {
  readonly lead: Leader;
  readonly raw: RawLogStore;
  /** By offset. */
  readonly values: ReadonlyMap<number, string>;
  /** The next sequence of each producer. */
  readonly sequences: ReadonlyMap<number, number>;
  readonly endOffset: number;
}

/** What was done, and which offsets it may cost. */
interface Damage {
  readonly what: string;
  readonly lost: readonly number[];
}

type Damager = (target: Target, random: Random) => Promise<Damage | undefined>;

const DAMAGERS: Readonly<Record<string, Damager>> = {
  async byte({ raw, lead }, random) {
    const row = await anyRow(raw, random);
    if (row === undefined) return undefined;
    const at = random.below(row.bytes.length);
    const hit = [...batchesIn(row.bytes)].findLast((found) => found.at <= at)!;
    if (at - hit.at >= 12 && at - hit.at < 16) return undefined; // the leader epoch: no checksum covers it
    const { sealedEndOffset } = await lead.store.ends(LOG);
    if (lastOffsetOf(hit.header) < sealedEndOffset) return undefined; // nobody reads it: it is sealed, too
    row.bytes[at]! ^= 1 + random.below(255);
    await raw.apply({ log: LOG, putChunks: [row] }, lead.leaderEpoch);
    return {
      what: `byte ${at} of the row up to ${row.lastOffset}`,
      lost: offsets(hit.header.baseOffset, lastOffsetOf(hit.header)),
    };
  },
  async cut({ raw, lead }, random) {
    const row = await anyRow(raw, random);
    if (row === undefined) return undefined;
    const size = random.below(row.bytes.length);
    const kept = [...batchesIn(row.bytes.subarray(0, size))].at(-1)?.header;
    const { baseOffset } = [...batchesIn(row.bytes)][0]!.header;
    await raw.apply({ log: LOG, putChunks: [{ ...row, bytes: row.bytes.subarray(0, size) }] }, lead.leaderEpoch);
    const from = kept === undefined ? baseOffset : lastOffsetOf(kept) + 1;
    return { what: `the row up to ${row.lastOffset} ends at byte ${size}`, lost: offsets(from, row.lastOffset) };
  },
  async row({ raw, lead, endOffset }, random) {
    const row = await anyRow(raw, random);
    // Where the last row goes, nobody can know that it was there, unless a checkpoint says so.
    if (row === undefined || row.lastOffset === endOffset - 1) return undefined;
    await raw.apply({ log: LOG, deleteChunks: [row.lastOffset] }, lead.leaderEpoch);
    const { baseOffset } = [...batchesIn(row.bytes)][0]!.header;
    return { what: `no row up to ${row.lastOffset}`, lost: offsets(baseOffset, row.lastOffset) };
  },
  async key({ raw, lead, endOffset }, random) {
    const rows = await raw.chunks(LOG, 0, 10_000);
    const row = rows[random.below(Math.max(1, rows.length))];
    if (row === undefined || row.lastOffset === endOffset - 1) return undefined;
    const lastOffset = random.below(endOffset);
    const { sealedEndOffset } = await lead.store.ends(LOG);
    if (rows.some((other) => other.lastOffset === lastOffset) || lastOffset < sealedEndOffset) return undefined;
    await raw.apply(
      { log: LOG, deleteChunks: [row.lastOffset], putChunks: [{ ...row, lastOffset }] },
      lead.leaderEpoch,
    );
    return { what: `the row up to ${row.lastOffset} has the key ${lastOffset}`, lost: [] };
  },
  async segment({ raw, lead }, random) {
    const rows = (await raw.segments(LOG)).map(({ row }) => row);
    const at = random.below(Math.max(1, rows.length));
    const row = rows[at];
    if (row === undefined) return undefined;
    const fields = ['byteCount', 'nextOffset', 'maxTimestampMs', 'startPosition'] as const;
    const field = fields[random.below(fields.length + 1)];
    const others = rows.filter((_, index) => index !== at);
    const wrong: SegmentRow[] =
      field === undefined
        ? []
        : [{ ...row, [field]: field === 'startPosition' ? -row.byteCount : row[field] + 1 + random.below(9) }];
    await raw.apply(
      { log: LOG, segments: [...others, ...wrong].sort((a, b) => a.baseOffset - b.baseOffset) },
      lead.leaderEpoch,
    );
    return { what: `segment ${row.baseOffset}: ${field ?? 'gone'}`, lost: [] };
  },
  async checkpoint({ raw, lead }, random) {
    const { checkpoint } = await lead.store.ends(LOG);
    if (checkpoint === undefined) return undefined;
    const offset = checkpoint.offset + 1 + random.below(100);
    await raw.apply({ log: LOG, checkpoint: { ...checkpoint, offset } }, lead.leaderEpoch);
    return { what: `a checkpoint of offset ${offset}`, lost: [] };
  },
  async sealed({ lead }, random) {
    const [segment] = await lead.store.sealedSegments(LOG);
    if (segment === undefined) return undefined;
    const bytes = (await (await lead.store.raw()).sealedBytes(segment))!;
    const at = random.below(bytes.length);
    const hit = [...batchesIn(bytes)].findLast((found) => found.at <= at)!;
    lead.disk.damageSealedByte(LOG, segment.baseOffset, at, bytes[at]! ^ (1 + random.below(255)));
    return { what: `byte ${at} of a sealed segment`, lost: offsets(hit.header.baseOffset, lastOffsetOf(hit.header)) };
  },
  async file({ lead }) {
    const [segment] = await lead.store.sealedSegments(LOG);
    if (segment === undefined) return undefined;
    lead.disk.damageSealed(LOG, segment.baseOffset);
    return { what: 'no file of a sealed segment', lost: offsets(segment.baseOffset, segment.nextOffset - 1) };
  },
};

// Goal: whatever is damaged is found, named and mended: a second check is clean, nothing sound is lost, and producers go on
// as if nothing had been. Method: random logs in both tiers; one thing is damaged under the open log, which is then
// checked, closed, repaired and opened again.
describe.each(Object.entries(DAMAGERS))('damage: %s', (_, damage) => {
  test('is found and repaired', async () => {
    let damaged = 0;
    await fc.assert(
      fc.asyncProperty(fc.nat(), async (seed) => {
        const random = seededRandom(seed);
        const target = await randomLog(random);
        const { lead, raw, values, sequences, endOffset } = target;
        expect((await check(target)).findings).toEqual([]);
        const done = await damage(target, random);
        if (done === undefined) return;
        damaged++;
        const { findings } = await check(target);
        expect(findings, done.what).not.toEqual([]);

        const after = await repairLog({
          store: lead.store,
          raw,
          log: LOG,
          recovery: RECOVERY,
          signal: undefined,
          leaderEpoch: lead.leaderEpoch,
        });
        expect(after.findings, done.what).toEqual([]);
        const { records, gaps } = await readWhole(lead, endOffset);
        const kept = [...values].filter(([offset]) => !gaps.includes(offset));
        expect(records, done.what).toEqual(kept);
        expect(
          gaps.filter((offset) => !done.lost.includes(offset)),
          done.what,
        ).toEqual([]);

        const log = await lead.open();
        expect(log.logEndOffset, done.what).toBe(endOffset);
        for (const [producer, sequence] of sequences) await expectProducer(log, producer, sequence);
        expect((await check(target)).findings, `${done.what}, then written to`).toEqual([]);
      }),
      { numRuns: Number(process.env['RUNS'] ?? 60) },
    );
    expect(damaged).toBeGreaterThan(5);
  });
});

// Goal: a repair that ends anywhere, as with its tab, costs nothing more, and the next one ends it. Method: of the calls that it
// makes to the store, one fails, before or after it took effect.
test.each(Object.keys(DAMAGERS))(
  'a repair of damage to a %s that is interrupted is ended by the next',
  async (kind) => {
    const damage = DAMAGERS[kind]!;
    let runs = 0;
    for (let seed = 0, isDone = false; !isDone; seed++) {
      const random = seededRandom(seed);
      const target = await randomLog(random);
      const { lead, values, endOffset } = target;
      const done = await damage(target, random);
      if (done === undefined) continue;
      let calls = Number.NEGATIVE_INFINITY;
      const afterwards = runs % 2 === 0;
      const stopAt = Math.floor(runs++ / 2);
      const store = calling(
        lead.store,
        async () => void (calls++ === stopAt && !afterwards && fail()),
        async () => void (calls === stopAt + 1 && afterwards && fail()),
      );
      const { leaderEpoch } = lead;
      const repair = { raw: await store.raw(), log: LOG, recovery: RECOVERY, signal: undefined, leaderEpoch };
      calls = 0;
      const outcome = await errorOf(repairLog({ ...repair, store }));
      isDone = outcome === undefined;
      // What has taken effect though it failed, has failed because its tab died.
      const next = afterwards ? await leader(lead.disk) : lead;
      const by = { store: next.store, raw: await next.store.raw(), leaderEpoch: next.leaderEpoch };
      const after = await repairLog({ ...repair, ...by });
      expect(after.findings, done.what).toEqual([]);
      const { records, gaps } = await readWhole(next, endOffset);
      expect(records, done.what).toEqual([...values].filter(([offset]) => !gaps.includes(offset)));
      expect(
        gaps.filter((offset) => !done.lost.includes(offset)),
        done.what,
      ).toEqual([]);
      expect((await next.open()).logEndOffset).toBe(endOffset);
    }
  },
);

function fail(): never {
  throw new KafkaError('KAFKA_STORAGE_ERROR', 'the tab died');
}

async function check({ lead, raw }: Target): Promise<CheckedLog> {
  return checkLog({ store: lead.store, raw, log: LOG, recovery: RECOVERY, signal: undefined });
}

/** The newest batch is known for what it is; the one behind it goes on. */
async function expectProducer(log: PartitionLog, producer: number, sequence: number): Promise<void> {
  const id = { id: producer, epoch: 0 };
  const repeated = await log.append(sequenced(sequence - 1, ['again'], id), 'client');
  expect(repeated.duplicate).toBe(true);
  const next = await log.append(sequenced(sequence, ['next'], id), 'client');
  expect(next.duplicate).toBe(false);
}

/** Rows of several batches, small segments, three producers, and perhaps a sealed beginning. Left with a checkpoint. */
async function randomLog(random: Random): Promise<Target> {
  const lead = await leader();
  const log = await lead.open({ topicConfig: { 'segment.bytes': '1024' } });
  const values = new Map<number, string>();
  const sequences = new Map<number, number>();
  for (let i = 0; i < 25 + random.below(15); i++) {
    const producer = random.below(4);
    const sequence = sequences.get(producer) ?? 0;
    const appended: Promise<unknown>[] = [];
    if (producer > 0) {
      for (let k = 0; k <= random.below(3); k++)
        appended.push(append(log, sequenced(sequence + k, [`${i}.${k}`], { id: producer, epoch: 0 }), values));
      sequences.set(producer, sequence + appended.length);
    } else {
      const many = Array.from({ length: 1 + random.below(4) }, (_, k) => ({ value: `${i}.${k}`, timestampMs: i * 10 }));
      appended.push(
        append(
          log,
          batch(many),
          values,
          many.map(({ value }) => value),
        ),
      );
    }
    await Promise.all(appended);
  }
  const segments = await lead.store.segments(LOG);
  if (random.below(2) === 0 && segments.length > 1)
    await seal(lead, segments.slice(0, 1 + random.below(segments.length - 1)));
  await log.writeCheckpoint();
  await log.close();
  const ordered = new Map([...values].sort(([a], [b]) => a - b));
  return { lead, raw: await lead.store.raw(), values: ordered, sequences, endOffset: log.logEndOffset };
}

async function append(
  log: PartitionLog,
  bytes: Uint8Array,
  values: Map<number, string>,
  written?: readonly string[],
): Promise<void> {
  const texts = written ?? decodeRecords(bytes, 0).map(({ value }) => text(value));
  const { baseOffset } = await log.append(bytes, 'client');
  for (const [index, value] of texts.entries()) values.set(baseOffset + index, value);
}

// What sealing rolls up has fewer bytes than its place among all that was ever written, and an index of what it was.
test('a log whose closed segments were sealed and rolled up is whole', async () => {
  const { open, store, leaderEpoch } = await leader();
  const log = await open({ topicConfig: { 'segment.bytes': '200000' } });
  for (let i = 0; (await store.segments(LOG)).length < 3; i++) {
    const records = Array.from({ length: 5 }, (_, record) => `value ${i} ${record} `.padEnd(600, '.'));
    await log.append(sequenced(5 * i, records), 'client');
  }
  expect((await store.segments(LOG)).some(({ timeIndex }) => timeIndex.length > 0)).toBe(true);
  await sealClosedSegments(log, new AbortController().signal);
  const raw = await store.raw();
  const target = { store, raw, log: LOG, leaderEpoch, recovery: RECOVERY, signal: undefined };
  expect((await checkLog(target)).findings).toEqual([]);
  const rows = await store.segments(LOG);
  const [first] = rows;
  const [entry] = first?.timeIndex ?? [];
  expect(entry).toBeDefined();
  const untrue = { ...first!, timeIndex: [{ ...entry!, maxTimestampMs: entry!.maxTimestampMs - 1 }] };
  await raw.apply({ log: LOG, segments: [untrue, ...rows.slice(1)] }, leaderEpoch);
  expect((await checkLog(target)).findings).toMatchObject([{ kind: 'segment-row' }]);
});

test('a log is whole though its active segment was deleted, which closes later: full, or too old', async () => {
  const lead = await leader();
  const { open, store, leaderEpoch, clock } = lead;
  const log = await open({ topicConfig: { 'segment.bytes': '1024', 'retention.ms': '1000' } });
  const target = { store, raw: await store.raw(), log: LOG, leaderEpoch, recovery: RECOVERY, signal: undefined };
  const large = batch(['x'.repeat(600)]);
  await log.append(large.slice(), 'client');
  await deleteRecordsBefore(log, -1);
  await log.append(large.slice(), 'client');
  expect((await checkLog(target)).findings).toEqual([]);
  await log.append(large.slice(), 'client');
  expect((await checkLog(target)).findings).toEqual([]);
  await deleteRecordsBefore(log, -1);
  clock.nowMs += 5_000;
  await enforceRetention(log);
  expect(await store.segments(LOG)).toEqual([]);
  expect((await checkLog(target)).findings).toEqual([]);
});

// Goal: a log that is in use is not said to be damaged. Method: at each of the calls that a check makes to the store, one by
// one, the log is sealed, or grows by a segment, or loses its beginning.
test.each<{ what: string; change: (log: PartitionLog) => Promise<unknown> }>([
  { what: 'sealed', change: (log) => sealClosedSegments(log, new AbortController().signal) },
  { what: 'written to', change: (log) => fillSegments(log, 2) },
  { what: 'cut', change: (log) => deleteRecordsBefore(log, 30) },
])('nothing is found in a log that is $what while it is checked', async ({ change }) => {
  for (let calls = 1, isDone = false; !isDone; calls++) {
    const { open, store: inner, leaderEpoch } = await leader();
    const log = await open({ topicConfig: { 'segment.bytes': '1024' } });
    await fillSegments(log, 4);
    let left = calls;
    const store = calling(inner, async () => void (--left === 0 && (await change(log))));
    const target = { store, raw: await store.raw(), log: LOG, leaderEpoch, recovery: RECOVERY, signal: undefined };
    expect((await checkLogInUse(target)).findings).toEqual([]);
    isDone = left > 0;
  }
});

async function fillSegments(log: PartitionLog, count: number): Promise<void> {
  const { store } = log.inside.options;
  const before = (await store.segments(LOG)).length;
  while ((await store.segments(LOG)).length < before + count) await log.append(batch(['a value', 'another']), 'client');
}

async function seal({ store, leaderEpoch }: Leader, segments: readonly SegmentRow[]): Promise<void> {
  const range = { log: LOG, baseOffset: segments[0]!.baseOffset, nextOffset: segments.at(-1)!.nextOffset };
  const builder = new SealedSegmentBuilder(LOG, range.baseOffset);
  for (const chunk of await store.read(LOG, range.baseOffset, 1 << 24, range.nextOffset)) {
    for (const { header, at } of batchesIn(chunk)) {
      if (header.baseOffset < range.nextOffset) builder.add(chunk.slice(at, at + header.sizeInBytes));
    }
  }
  const staged = await store.stageSealed(builder.finish(range.nextOffset), leaderEpoch);
  await store.publishSealed({ ...range, sealed: [staged], segments }, leaderEpoch);
  await store.sweepSealed(LOG, leaderEpoch);
}

async function anyRow(raw: RawLogStore, random: Random): Promise<RawChunk | undefined> {
  const rows = await raw.chunks(LOG, 0, 10_000);
  return rows[random.below(Math.max(1, rows.length))];
}

function offsets(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

function text(value: Uint8Array | null): string {
  return new TextDecoder().decode(value ?? new Uint8Array());
}

async function readWhole({ store }: Leader, endOffset: number) {
  const records: [number, string][] = [];
  const gaps: number[] = [];
  for (let offset = 0; offset < endOffset; ) {
    try {
      const { chunks, nextOffset } = await readSound(store, {
        log: LOG,
        offset,
        maxBytes: 1000,
        endOffset,
      });
      for (const chunk of chunks) {
        for (const { header, at } of batchesIn(chunk)) {
          expect(isGap(header)).toBe(false);
          for (const record of decodeRecords(chunk, at))
            if (record.offset >= offset) records.push([record.offset, text(record.value)]);
        }
      }
      expect(nextOffset).toBeGreaterThan(offset);
      offset = nextOffset;
    } catch (error) {
      if (!(error instanceof LogGapError)) throw error;
      expect(error.gap.reason).toBe('removed');
      gaps.push(...offsets(error.gap.fromOffset, error.gap.nextOffset - 1));
      offset = error.gap.nextOffset;
    }
  }
  return { records, gaps };
}
