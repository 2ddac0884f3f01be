import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { KnownHoles } from '../../src/log/known-holes.js';
import { readSound } from '../../src/log/sound-batches.js';
import { batchesIn, lastOffsetOf } from '../../src/record/batch-header.js';
import { decodeRecords } from '../../src/record/record-batch-decoder.js';
import { baseOffsetOf } from '../../src/storage/chunk.js';
import type { RawChange, RawChunk } from '../../src/storage/raw-log-store.js';
import { SealedSegmentBuilder } from '../../src/storage/sealed-segment.js';
import { calling } from './calling.js';
import { batch, type Leader, LOG, leader } from './harness.js';
import { readWhole } from './read-whole.js';

// Goal: whatever byte of a log is damaged, whoever reads it gets every record outside of the damaged batches, none of
// them changed, in order, and hears of every offset that is left out. Method: logs of random rows; one byte of one row or
// of one of some sealed segments becomes another; the log is read from its start by random amounts. (A leader epoch is
// covered by no checksum.)
test('a damaged byte costs its batch, and nothing else', async () => {
  const damage = fc.record({
    rows: fc.array(fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 }), {
      minLength: 1,
      maxLength: 6,
    }),
    segments: fc.integer({ min: 0, max: 4 }),
    row: fc.nat(),
    byte: fc.nat(),
    bits: fc.integer({ min: 1, max: 255 }),
    maxBytes: fc.integer({ min: 1, max: 600 }),
  });
  await fc.assert(
    fc.asyncProperty(damage, async ({ maxBytes, ...where }) => {
      const { lead, hit, all, isCovered } = await damagedLog(where);
      if (!isCovered) return;
      const { values, gaps } = await readAll(lead, maxBytes);
      const lost = { from: hit.header.baseOffset, to: lastOffsetOf(hit.header) + 1 };
      expect(values).toEqual(all.filter((_, offset) => offset < lost.from || offset >= lost.to));
      expect(gaps).toEqual([{ fromOffset: lost.from, nextOffset: lost.to, reason: 'corrupt' }]);
    }),
    {
      numRuns: 300,
      examples: [
        // A batch that says it begins where the next one does.
        [{ rows: [[4, 4], [1]], segments: 0, row: 0, byte: 7, bits: 4, maxBytes: 1 }],
        [{ rows: [[4, 4], [1]], segments: 1, row: 0, byte: 7, bits: 4, maxBytes: 1 }],
        [{ rows: [[4], [1]], segments: 1, row: 0, byte: 7, bits: 4, maxBytes: 1 }],
        [{ rows: [[4, 4, 4]], segments: 1, row: 0, byte: 7, bits: 4, maxBytes: 600 }],
        [{ rows: [[4, 4, 4]], segments: 0, row: 0, byte: 7, bits: 4, maxBytes: 600 }],
        // One that says it begins far below all others.
        [{ rows: [[4, 2, 4]], segments: 0, row: 0, byte: 2147483624, bits: 128, maxBytes: 1 }],
        [{ rows: [[1, 1], [1, 1], [1]], segments: 1, row: 2, byte: 0, bits: 128, maxBytes: 213 }],
      ],
    },
  );
});

test('a row that is gone is a gap with both ends', async () => {
  const { lead, chunks } = await logOf([[1], [2, 1], [3]]);
  await change(lead, { log: LOG, deleteChunks: [chunks[1]!.lastOffset] });
  const { values, gaps } = await readAll(lead, 100);
  expect(values).toEqual(['0.0', '3.0', '3.1', '3.2']);
  expect(gaps).toEqual([{ fromOffset: 1, nextOffset: 4, reason: 'missing' }]);
});

test('the last row cut at every byte: what lies before is read', async () => {
  const { lead, chunks } = await logOf([[1], [2, 1]]);
  const last = chunks.at(-1)!;
  const ends = [...batchesIn(last.bytes)].map(({ header, at }) => ({
    end: at + header.sizeInBytes,
    lastOffset: lastOffsetOf(header),
  }));
  for (let size = 0; size < last.bytes.byteLength; size++) {
    await change(lead, { log: LOG, putChunks: [{ ...last, bytes: last.bytes.subarray(0, size) }] });
    const whole = ends.findLast(({ end }) => end <= size)?.lastOffset ?? 0;
    const { values, gaps } = await readAll(lead, 1000);
    expect(values).toEqual(['0.0', '1.0', '1.1', '2.0'].slice(0, whole + 1));
    expect(gaps).toEqual([{ fromOffset: whole + 1, nextOffset: 4, reason: 'corrupt' }]);
    const reopened = await lead.open();
    expect(reopened.logEndOffset).toBe(4); // what was given once is not given again
  }
});

// Goal: a row that ends too early costs the batches that are not whole in it, from wherever it is read: also where it ends
// between two batches, so that each of its bytes is sound, and where the reader begins in the middle of a batch. Method: logs
// of random rows; one row is cut at any byte, or at the end of a batch; the log is read from any offset.
test('a row cut at any byte, read from any offset, loses what is cut off alone', async () => {
  const cut = fc.record({
    rows: fc.array(fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 }), {
      minLength: 1,
      maxLength: 5,
    }),
    row: fc.nat(),
    size: fc.nat(),
    isBetweenBatches: fc.boolean(),
    from: fc.nat(),
    maxBytes: fc.integer({ min: 1, max: 600 }),
  });
  await fc.assert(
    fc.asyncProperty(cut, async ({ rows, row, size, isBetweenBatches, from, maxBytes }) => {
      const { lead, chunks } = await logOf(rows);
      const chunk = chunks[row % chunks.length]!;
      const batches = [...batchesIn(chunk.bytes)];
      const end = isBetweenBatches ? batches[size % batches.length]!.at : size % chunk.bytes.byteLength;
      await change(lead, { log: LOG, putChunks: [{ ...chunk, bytes: chunk.bytes.subarray(0, end) }] });
      const first = batches.find(({ at, header }) => at + header.sizeInBytes > end)!;
      const all = rows.flat().flatMap((count, index) => Array.from({ length: count }, (_, i) => `${index}.${i}`));
      const seek = from % all.length;
      const lost = { from: Math.max(first.header.baseOffset, seek), to: chunk.lastOffset + 1 };
      const { values, gaps } = await readAll(lead, maxBytes, seek);
      expect(values).toEqual(all.filter((_, offset) => offset >= seek && (offset < lost.from || offset >= lost.to)));
      const gap = { fromOffset: lost.from, nextOffset: lost.to, reason: 'corrupt' };
      expect(gaps).toEqual(lost.from < lost.to ? [gap] : []);
    }),
    {
      numRuns: 300,
      examples: [
        [{ rows: [[1], [2, 1]], row: 1, size: 1, isBetweenBatches: true, from: 2, maxBytes: 1000 }],
        [{ rows: [[2, 1], [1]], row: 0, size: 1, isBetweenBatches: true, from: 1, maxBytes: 1 }],
      ],
    },
  );
});

// Goal: whoever seeks into a batch that is alone in its row, as most are, pays for a second read and not for a search: also
// in the last row, where nothing follows, and where it is sealed. Method: from each offset, with no way to the raw rows.
test.each([0, 1, 2])(
  'a record in the middle of a row is read without a search (%i sealed segments)',
  async (segments) => {
    const { lead, chunks } = await logOf([[4], [3], [5], [2], [4]]);
    for (const part of segments === 0 ? [] : inParts(chunks, segments)) await sealRows(lead, part);
    const { values: all } = await readAll(lead, 1);
    const { store } = lead;
    store.raw = () => Promise.reject(new Error('expected no search'));
    for (let seek = 0; seek < all.length; seek++) {
      expect(await readAll(lead, 1, seek)).toEqual({ values: all.slice(seek), gaps: [] });
    }
  },
);

// Goal: as for a reader from the start. A batch that is alone in its row is the hard one: what contradicts it lies elsewhere.
test('a damaged byte costs a reader that seeks its batch, and nothing else', async () => {
  const damage = fc.record({
    rows: fc.array(fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 2 }), {
      minLength: 1,
      maxLength: 6,
    }),
    segments: fc.integer({ min: 0, max: 3 }),
    row: fc.nat(),
    byte: fc.oneof(fc.constant(7), fc.nat()),
    bits: fc.integer({ min: 1, max: 255 }),
    from: fc.nat(),
    maxBytes: fc.integer({ min: 1, max: 600 }),
  });
  await fc.assert(
    fc.asyncProperty(damage, async ({ from, maxBytes, ...where }) => {
      const { lead, hit, at, damaged, all, isCovered } = await damagedLog(where);
      const seek = from % all.length;
      if (!isCovered) return;
      if (hit.at === 0 && at < 8 && baseOffsetOf(damaged) === seek) return; // nothing that was read contradicts it
      const lost = { from: Math.max(seek, hit.header.baseOffset), to: lastOffsetOf(hit.header) + 1 };
      const { values, gaps } = await readAll(lead, maxBytes, seek);
      expect(values).toEqual(all.filter((_, offset) => offset >= seek && (offset < lost.from || offset >= lost.to)));
      const gap = { fromOffset: lost.from, nextOffset: lost.to, reason: 'corrupt' };
      expect(gaps).toEqual(lost.from < lost.to ? [gap] : []);
    }),
    { numRuns: 600 },
  );
});

test('the row that the log begins with, cut between its batches, is read from the middle of one', async () => {
  const { lead, chunks } = await logOf([[1], [2, 1], [1]]);
  await lead.store.deleteBefore(LOG, 1, lead.leaderEpoch);
  const row = chunks[1]!;
  const [, second] = [...batchesIn(row.bytes)];
  await change(lead, { log: LOG, putChunks: [{ ...row, bytes: row.bytes.subarray(0, second!.at) }] });
  const { values, gaps } = await readAll(lead, 1000, 2);
  expect(values).toEqual(['1.1', '3.0']);
  expect(gaps).toEqual([{ fromOffset: 3, nextOffset: 4, reason: 'corrupt' }]);
});

// Rows are joined while somebody reads who has not heard yet of what came last: what that is, such as a transaction that is
// open, only a newer view knows.
test('a row is answered up to where the reader knows the log to end', async () => {
  const { lead } = await logOf([[2, 1, 3], [1]]);
  for (const [offset, endOffset, expected] of [
    [0, 2, ['0.0', '0.1']],
    [0, 3, ['0.0', '0.1', '1.0']],
    [2, 3, ['1.0']],
    [2, 7, ['1.0', '2.0', '2.1', '2.2', '3.0']],
  ] as const) {
    const read = { log: LOG, offset, maxBytes: 10_000, endOffset };
    const { chunks, nextOffset } = await readSound(lead.store, read);
    const records = chunks.flatMap((chunk) => [...batchesIn(chunk)].flatMap(({ at }) => decodeRecords(chunk, at)));
    const values = records.map(({ value }) => new TextDecoder().decode(value ?? new Uint8Array()));
    expect({ values, nextOffset }).toEqual({ values: expected, nextOffset: endOffset });
  }
});

// Goal: what is rewritten while it is looked at is not taken for lost. Method: a hole that compaction left makes a reader
// look closely; before each of the calls that it makes to the store, one by one, what it looks at is sealed anew, or what
// lies behind that is sealed.
test.each([
  { what: 'the segment with the hole', rows: [0], baseOffset: 0, nextOffset: 2 },
  { what: 'what lies behind it', rows: [2, 3], baseOffset: 2, nextOffset: 4 },
])('nothing is taken for lost while $what is sealed', async ({ rows, ...range }) => {
  for (let calls = 1, isDone = false; !isDone; calls++) {
    const { lead, chunks } = await logOf([[1], [1], [1], [1]]);
    const bytes = chunks.map((chunk) => chunk.bytes);
    await sealRange(lead, [bytes[0]!], { baseOffset: 0, nextOffset: 2 });
    let left = calls;
    const beforeCall = async (): Promise<void> => {
      const mine = rows.map((row) => bytes[row]!);
      if (--left === 0) await sealRange(lead, mine, range);
    };
    const store = calling(lead.store, beforeCall);
    const read = { log: LOG, offset: 1, maxBytes: 1000, endOffset: 4 };
    const { chunks: found, nextOffset } = await readSound(store, read);
    expect(found.flatMap((chunk) => [...batchesIn(chunk)].map(({ header }) => header.baseOffset))[0]).toBe(2);
    expect(nextOffset).toBeGreaterThan(2);
    isDone = left > 0;
    expect(calls > 4 || !isDone).toBe(true); // it did look closely
  }
});

test('a sealed segment whose bytes are gone is a gap', async () => {
  const { lead, chunks, disk } = await logOf([[2], [1], [1]]);
  await sealRows(lead, chunks.slice(0, 2));
  disk.damageSealed(LOG, 0);
  const { values, gaps } = await readAll(lead, 1000);
  expect(values).toEqual(['2.0']);
  expect(gaps).toEqual([{ fromOffset: 0, nextOffset: 3, reason: 'unreadable' }]);
  expect((await lead.open()).logEndOffset).toBe(4);
});

// Compaction may leave holes in a segment that is whole: a reader who has learned so may not take for one what is damaged
// later, when it reads on into the segment behind.
test('a sealed segment that is damaged after it was found whole is a gap, though the read reaches the next one', async () => {
  const { lead, chunks, disk } = await logOf([[2], [1], [3], [1]]);
  for (const chunk of chunks.slice(0, 3)) await sealRows(lead, [chunk]);
  const holes: KnownHoles = new Map();
  await readAll(lead, 1000, 0, holes);
  disk.damageSealedByte(LOG, 2, 70, 0xff);
  for (const known of [new Map(), holes]) {
    const { values, gaps } = await readAll(lead, 1000, 0, known);
    expect(values).toEqual(['0.0', '0.1', '2.0', '2.1', '2.2', '3.0']);
    expect(gaps).toEqual([{ fromOffset: 2, nextOffset: 3, reason: 'corrupt' }]);
  }
});

// Sealing passes on what it finds: the checksum of the segment then tells of no damage.
test('what was damaged before it was sealed is a gap behind it, and what compaction left out beside it is none', async () => {
  for (const [byte, bits] of [
    [70, 1],
    [26, 1],
    [62, 255],
  ] as const) {
    const { lead, chunks } = await logOf([[1], [2], [1], [1], [1], [1]]);
    const bytes = chunks.map((chunk) => new Uint8Array(chunk.bytes));
    bytes[1]![byte]! ^= bits;
    await change(lead, { log: LOG, putChunks: [{ ...chunks[1]!, bytes: bytes[1]! }] });
    const builder = new SealedSegmentBuilder(LOG, 0);
    for (const at of [0, 1, 2, 4]) builder.add(bytes[at]!);
    const staged = await lead.store.stageSealed(builder.finish(6), lead.leaderEpoch);
    const range = { log: LOG, baseOffset: 0, nextOffset: 6 };
    await lead.store.publishSealed({ ...range, sealed: [staged], segments: [] }, lead.leaderEpoch);
    await lead.store.sweepSealed(LOG, lead.leaderEpoch);
    const { values, gaps } = await readAll(lead, 1000);
    expect({ byte, values, gaps }).toEqual({
      byte,
      values: ['0.0', '2.0', '4.0', '5.0'],
      gaps: [{ fromOffset: 1, nextOffset: 3, reason: 'corrupt' }],
    });
  }
});

// Goal: a reader goes over the borders of segments without stumbling over what compaction left out, also where that is the
// end of one segment, the beginning of the next, or all of some. Method: sealed segments of one-record batches, of which
// some are left out; the log is read from any offset by any amount.
test('what compaction left out is passed over at every border', async () => {
  const layout = fc.record({
    segments: fc.array(fc.array(fc.boolean(), { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 6 }),
    maxBytes: fc.integer({ min: 1, max: 900 }),
    from: fc.nat(),
    knownFrom: fc.nat(),
  });
  await fc.assert(
    fc.asyncProperty(layout, async ({ segments, maxBytes, from, knownFrom }) => {
      const kept = segments.flat();
      const { lead, chunks } = await logOf([...kept.map(() => [1]), [1]]);
      let baseOffset = 0;
      for (const part of segments) {
        const builder = new SealedSegmentBuilder(LOG, baseOffset);
        for (const [at, isKept] of part.entries()) if (isKept) builder.add(chunks[baseOffset + at]!.bytes);
        const range = { log: LOG, baseOffset, nextOffset: baseOffset + part.length };
        const staged = await lead.store.stageSealed(builder.finish(range.nextOffset), lead.leaderEpoch);
        await lead.store.publishSealed({ ...range, sealed: [staged], segments: [] }, lead.leaderEpoch);
        baseOffset = range.nextOffset;
      }
      await lead.store.sweepSealed(LOG, lead.leaderEpoch);
      const seek = from % (kept.length + 1);
      const holes: KnownHoles = new Map();
      await readAll(lead, maxBytes, knownFrom % (kept.length + 1), holes);
      const { values, gaps } = await readAll(lead, maxBytes, seek, holes);
      const expected = [...kept, true].flatMap((isKept, offset) => (isKept && offset >= seek ? [`${offset}.0`] : []));
      expect({ values, gaps }).toEqual({ values: expected, gaps: [] });
    }),
    { numRuns: 300 },
  );
});

/** One row for each list, one batch for each number of records in it, whose values name batch and record. */
async function logOf(rows: readonly (readonly number[])[]) {
  const lead = await leader();
  const log = await lead.open();
  let index = 0;
  for (const row of rows) {
    const batches = row.map((count) => {
      const values = Array.from({ length: count }, (_, i) => `${index}.${i}`);
      index++;
      return batch(values);
    });
    await log.append(Uint8Array.from(batches.flatMap((bytes) => [...bytes])), 'client');
  }
  const chunks = await (await lead.store.raw()).chunks(LOG, 0, 1000);
  return { lead, chunks, disk: lead.disk };
}

/** Such a log, of which one byte of one row, or of one of some sealed segments, is another. */
async function damagedLog(where: {
  readonly rows: readonly (readonly number[])[];
  readonly segments: number;
  readonly row: number;
  readonly byte: number;
  readonly bits: number;
}) {
  const { rows, segments, row, byte, bits } = where;
  const { lead, chunks } = await logOf(rows);
  const chunk = chunks[row % chunks.length]!;
  const at = byte % chunk.bytes.byteLength;
  const hit = [...batchesIn(chunk.bytes)].findLast((found) => found.at <= at)!;
  const isCovered = at - hit.at < 12 || at - hit.at >= 16; // a checksum covers all but the leader epoch, or its place tells
  const damaged = new Uint8Array(chunk.bytes);
  damaged[at]! ^= bits;
  const sealed = segments === 0 ? [] : inParts(chunks, segments);
  for (const part of sealed) await sealRows(lead, part, chunk, damaged);
  if (sealed.length === 0) await change(lead, { log: LOG, putChunks: [{ ...chunk, bytes: damaged }] });
  const all = rows.flat().flatMap((count, index) => Array.from({ length: count }, (_, i) => `${index}.${i}`));
  return { lead, hit, at, damaged, all, isCovered };
}

async function change({ store, leaderEpoch }: Leader, what: RawChange): Promise<void> {
  await (await store.raw()).apply(what, leaderEpoch);
}

/** One sealed segment in the place of what is there. */
async function sealRange(
  { store, leaderEpoch }: Leader,
  rows: readonly Uint8Array[],
  range: { readonly baseOffset: number; readonly nextOffset: number },
): Promise<void> {
  const builder = new SealedSegmentBuilder(LOG, range.baseOffset);
  for (const bytes of rows) builder.add(bytes);
  const staged = await store.stageSealed(builder.finish(range.nextOffset), leaderEpoch);
  await store.publishSealed({ log: LOG, ...range, sealed: [staged], segments: [] }, leaderEpoch);
  await store.sweepSealed(LOG, leaderEpoch);
}

/** As many neighbouring parts, of about as many rows each. */
function inParts(chunks: readonly RawChunk[], count: number): RawChunk[][] {
  const size = Math.ceil(chunks.length / count);
  return Array.from({ length: Math.ceil(chunks.length / size) }, (_, at) => chunks.slice(at * size, (at + 1) * size));
}

/** Rows become one sealed segment; then the bytes of one of them, if it is there, are replaced. */
async function sealRows(
  lead: Leader,
  rows: readonly RawChunk[],
  sound?: RawChunk,
  damaged?: Uint8Array,
): Promise<void> {
  const { baseOffset } = [...batchesIn(rows[0]!.bytes)][0]!.header;
  const range = { baseOffset, nextOffset: rows.at(-1)!.lastOffset + 1 };
  await sealRange(
    lead,
    rows.map(({ bytes }) => bytes),
    range,
  );
  if (sound === undefined || damaged === undefined || !rows.includes(sound)) return;
  const before = rows.slice(0, rows.indexOf(sound)).reduce((size, { bytes }) => size + bytes.byteLength, 0);
  for (const [i, byte] of damaged.entries())
    if (byte !== sound.bytes[i]) lead.disk.damageSealedByte(LOG, baseOffset, before + i, byte);
}

/** The whole of the leader's log. */
async function readAll({ store }: Leader, maxBytes: number, fromOffset = 0, holes: KnownHoles = new Map()) {
  const { lastOffset = -1 } = await store.ends(LOG);
  return readWhole(store, { maxBytes, endOffset: lastOffset + 1, fromOffset, holes });
}
