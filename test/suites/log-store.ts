import { assert } from 'chai';
import { KafkaError, type KafkaErrorName } from '../../src/protocol/errors.js';
import type { JournalRules } from '../../src/storage/journal.js';
import {
  type Chunk,
  type Commit,
  type LogId,
  type LogStore,
  MAX_ROW_BYTES,
  type NewSealedSegment,
  type SegmentRow,
} from '../../src/storage/log-store.js';
import { SealedSegmentBuilder } from '../../src/storage/sealed-segment.js';
import { unreadableRangeOf } from '../../src/storage/unreadable-range.js';
import { concatBytes } from '../../src/util/bytes.js';

/** The data of one broker, empty at first. */
export interface LogStoreFixture {
  /** One more connection, as of one more tab. Without rules: those of the code. */
  open(journalRules?: JournalRules): Promise<LogStore>;
  /** Deletes the data under the open connections. */
  wipe(): Promise<void>;
  /** The bytes of a sealed segment are gone, and nothing else. */
  damageSealed(log: LogId, baseOffset: number): Promise<void>;
}

export interface TestApi {
  describe(name: string, body: () => void): void;
  it(name: string, body: () => Promise<void>): void;
}

const LOG = 7;
const OTHER_LOG = 8;

/** The contract that all implementations of `LogStore` pass, in Node (vitest) and in browsers (mocha). */
export function describeLogStore(name: string, newFixture: () => Promise<LogStoreFixture>, api: TestApi): void {
  const it = (promise: string, body: (store: LogStore, fixture: LogStoreFixture) => Promise<void>): void =>
    api.it(promise, async () => {
      const fixture = await newFixture();
      const store = await fixture.open();
      await body(store, fixture);
      await store.close();
    });

  api.describe(`${name}: the reserve`, () => {
    it('is taken and dropped by the leader alone, as often as one likes, and leaves all else as it is', async (store) => {
      await store.claimLeadership(0, 'a', 11);
      for (const act of ['takeReserve', 'takeReserve', 'dropReserve', 'dropReserve', 'takeReserve'] as const) {
        await store[act](1);
      }
      assert.deepEqual(await store.leadership(), { epoch: 1, hostId: 'a', heartbeatMs: 11 });
      for (const act of ['takeReserve', 'dropReserve'] as const) {
        await rejectsWith('FENCED_LEADER_EPOCH', store[act](2));
      }
    });
  });

  api.describe(`${name}: leadership`, () => {
    it('begins at epoch 0 with nobody', async (store) => {
      assert.deepEqual(await store.leadership(), { epoch: 0, hostId: '', heartbeatMs: 0 });
    });

    it('goes to one of those who claim the same epoch', async (store, fixture) => {
      const second = await fixture.open();
      const claims = await Promise.all([store.claimLeadership(0, 'a', 11), second.claimLeadership(0, 'b', 12)]);
      assert.sameMembers(claims, [1, undefined]);
      const winner = claims[0] === 1 ? { hostId: 'a', heartbeatMs: 11 } : { hostId: 'b', heartbeatMs: 12 };
      assert.deepEqual(await store.leadership(), { epoch: 1, ...winner });
      assert.strictEqual(await second.claimLeadership(1, 'b', 13), 2);
      await second.close();
    });

    it('is renewed by the holder of the epoch alone', async (store) => {
      await store.claimLeadership(0, 'a', 11);
      assert.isTrue(await store.renewLeadership(1, { heartbeatMs: 21 }));
      assert.isFalse(await store.renewLeadership(0, { heartbeatMs: 31 }));
      assert.isFalse(await store.renewLeadership(2, { heartbeatMs: 41 }));
      assert.deepEqual(await store.leadership(), { epoch: 1, hostId: 'a', heartbeatMs: 21 });
    });

    it('keeps what a leader told of its retention for those who come after', async (store) => {
      await store.claimLeadership(0, 'a', 11);
      assert.isTrue(await store.renewLeadership(1, { retainedMs: 15 }));
      assert.isTrue(await store.renewLeadership(1, { heartbeatMs: 21 }));
      assert.strictEqual(await store.claimLeadership(1, 'b', 22), 2);
      assert.deepEqual(await store.leadership(), { epoch: 2, hostId: 'b', heartbeatMs: 22, retainedMs: 15 });
    });
  });

  api.describe(`${name}: append`, () => {
    it('of a deposed leader writes nothing, even with two in flight', async (store, fixture) => {
      await store.claimLeadership(0, 'a', 1);
      await store.append(commit(1, chunk(LOG, 0, 4)), 'relaxed');
      const second = await fixture.open();
      const claim = second.claimLeadership(1, 'b', 2);
      await claim;
      const late = [
        store.append(commit(1, chunk(LOG, 5, 9)), 'relaxed'),
        store.append(commit(1, chunk(LOG, 10, 14)), 'strict'),
      ];
      await Promise.all(late.map((append) => rejectsWith('FENCED_LEADER_EPOCH', append)));
      assert.strictEqual((await second.ends(LOG)).lastOffset, 4);
      await second.append(commit(2, chunk(LOG, 5, 6)), 'relaxed');
      await second.close();
    });

    it('of an epoch that nobody has claimed yet is fenced too', async (store) => {
      await rejectsWith('FENCED_LEADER_EPOCH', store.append(commit(1, chunk(LOG, 0, 4)), 'relaxed'));
      assert.isUndefined((await store.ends(LOG)).lastOffset);
    });

    it('that races with a claim is either before it or writes nothing', async (store, fixture) => {
      await store.claimLeadership(0, 'a', 1);
      const second = await fixture.open();
      const appends = [0, 1, 2].map((at) => store.append(commit(1, chunk(LOG, at, at)), 'relaxed'));
      const claim = second.claimLeadership(1, 'b', 2);
      appends.push(...[3, 4, 5].map((at) => store.append(commit(1, chunk(LOG, at, at)), 'relaxed')));
      const outcomes = (await Promise.allSettled(appends)).map(({ status }) => status);
      assert.strictEqual(await claim, 2);
      const written = outcomes.filter((status) => status === 'fulfilled').length;
      assert.deepEqual(outcomes.slice(0, written), Array(written).fill('fulfilled'));
      assert.strictEqual((await second.ends(LOG)).lastOffset, written === 0 ? undefined : written - 1);
      await second.close();
    });

    it('fails with all that were begun before its failure was known, and leaves nothing of them', async (store) => {
      await store.claimLeadership(0, 'a', 1);
      const before = store.append(commit(1, chunk(LOG, 0, 4)), 'relaxed');
      const uncloneable = { checkpoints: [{ log: LOG, offset: 5, snapshot: () => 1 }] };
      const fails = store.append({ ...commit(1, chunk(LOG, 5, 9)), ...uncloneable }, 'relaxed');
      const behind = [
        store.append(commit(1, chunk(LOG, 10, 14), chunk(OTHER_LOG, 0, 1)), 'relaxed'),
        store.append(commit(1, chunk(LOG, 15, 19)), 'strict'),
      ];
      await Promise.all([before, ...[fails, ...behind].map((append) => rejectsWith('KAFKA_STORAGE_ERROR', append))]);
      assert.strictEqual((await store.ends(LOG)).lastOffset, 4);
      assert.isUndefined((await store.ends(OTHER_LOG)).lastOffset);
      await store.append(commit(1, chunk(LOG, 5, 5)), 'relaxed');
      assert.strictEqual((await store.ends(LOG)).lastOffset, 5);
    });

    it('settles in the order in which it was called', async (store) => {
      await store.claimLeadership(0, 'a', 1);
      const settled: number[] = [];
      const appends = [0, 1, 2, 3].map((at) =>
        store.append(commit(1, chunk(LOG, at, at)), at % 2 ? 'strict' : 'relaxed').then(() => settled.push(at)),
      );
      await Promise.all(appends);
      assert.deepEqual(settled, [0, 1, 2, 3]);
    });

    it('takes its bytes when called and stores no more of a buffer than the chunk', async (store) => {
      await store.claimLeadership(0, 'a', 1);
      const { bytes, ...rest } = chunk(LOG, 0, 4, 100);
      const buffer = new Uint8Array(5000).fill(9);
      buffer.set(bytes, 300);
      const appended = store.append(commit(1, { ...rest, bytes: buffer.subarray(300, 400) }), 'relaxed');
      buffer.fill(0);
      await appended;
      const [read] = await store.read(LOG, 0, 1000);
      assert.deepEqual(read, bytes);
      assert.strictEqual(read?.buffer.byteLength, 100);
      read?.fill(1);
      assert.deepEqual(await store.read(LOG, 0, 1000), [bytes]);
    });

    it('writes checkpoints and segments with the chunks or not at all', async (store) => {
      await store.claimLeadership(0, 'a', 1);
      const checkpoint = { log: LOG, offset: 3, snapshot: { producers: new Map([[5, [1, 2]]]) } };
      await store.append(
        { ...commit(1, chunk(LOG, 0, 4)), checkpoints: [checkpoint], segments: [segment(0, 5)] },
        'strict',
      );
      const later = { checkpoints: [{ ...checkpoint, offset: 9 }], segments: [segment(0, 10), segment(10, 11)] };
      await rejectsWith('FENCED_LEADER_EPOCH', store.append({ ...commit(0, chunk(LOG, 5, 9)), ...later }, 'relaxed'));
      assert.deepEqual(await store.ends(LOG), {
        logStartOffset: 0,
        lastOffset: 4,
        sealedEndOffset: 0,
        checkpoint,
        lastSegment: segment(0, 5),
      });
      await store.append({ ...commit(1), ...later }, 'relaxed');
      assert.deepEqual(await store.segments(LOG), later.segments);
      assert.deepEqual((await store.ends(LOG)).checkpoint, later.checkpoints[0]);
      assert.deepEqual((await store.ends(LOG)).lastSegment, segment(10, 11));
      assert.deepEqual(await store.segments(OTHER_LOG), []);
      assert.isUndefined((await store.ends(OTHER_LOG)).checkpoint);
    });

    it('is there for a connection that opens later', async (store, fixture) => {
      await store.claimLeadership(0, 'a', 1);
      const written = chunk(LOG, 0, 4);
      await store.append(commit(1, written), 'relaxed');
      await store.close();
      const reopened = await fixture.open();
      assert.strictEqual(reopened.incarnationId, store.incarnationId);
      assert.deepEqual(await reopened.read(LOG, 0, 1000), [written.bytes]);
      assert.strictEqual((await reopened.leadership()).epoch, 1);
      await reopened.close();
    });
  });

  api.describe(`${name}: read`, () => {
    it('begins with the chunk that holds the offset and goes on without a gap', async (store) => {
      const chunks = await filled(store, [3, 1, 5, 2, 1]);
      for (let offset = 0; offset <= 12; offset++) {
        const expected = chunks.filter(({ lastOffset }) => lastOffset >= offset).map(({ bytes }) => bytes);
        assert.deepEqual(await store.read(LOG, offset, 10_000), expected, `from offset ${offset}`);
      }
    });

    it('answers at most maxBytes, yet at least one chunk', async (store) => {
      const chunks = await filled(store, [1, 1, 1, 1], () => 100);
      for (const [maxBytes, count] of [
        [0, 1],
        [1, 1],
        [199, 1],
        [200, 2],
        [299, 2],
        [400, 4],
      ] as const) {
        const read = await store.read(LOG, 0, maxBytes);
        assert.isAtMost(read.length, count, `${maxBytes} bytes`);
        assert.isAtLeast(read.length, Math.ceil(count / 2), `${maxBytes} bytes`);
        assert.deepEqual(
          read,
          chunks.slice(0, read.length).map(({ bytes }) => bytes),
        );
      }
    });

    it('answers no chunk that lies wholly at or above endOffset, but the one across it', async (store) => {
      const chunks = await filled(store, [3, 1, 5, 2, 1]);
      for (let endOffset = 0; endOffset <= 13; endOffset++) {
        const expected = chunks.filter(({ baseOffset }) => baseOffset < endOffset).map(({ bytes }) => bytes);
        assert.deepEqual(await store.read(LOG, 0, 10_000, endOffset), expected, `below ${endOffset}`);
      }
      assert.deepEqual(await store.read(LOG, 5, 10_000, 6), [chunks[2]?.bytes]);
      assert.deepEqual(await store.read(LOG, 6, 10_000, 6), []);
    });

    it('of a log that is empty, unknown or read to its end answers nothing', async (store) => {
      await filled(store, [3]);
      assert.deepEqual(await store.read(LOG, 3, 1000), []);
      assert.deepEqual(await store.read(OTHER_LOG, 0, 1000), []);
    });

    it('gets through thousands of tiny rows in a few calls', async (store) => {
      const chunks = await filled(store, Array(3000).fill(1), () => 70);
      const calls = await readsAll(store, chunks, 128 * 1024);
      assert.isAtMost(calls, 8);
    });

    it('fills its answer with full rows and gives the whole of a row above the bound', async (store) => {
      const sizes = [...Array(20).fill(MAX_ROW_BYTES), 300_000, ...Array(20).fill(MAX_ROW_BYTES)] as number[];
      const chunks = await filled(store, Array(41).fill(600), (at) => sizes[at] ?? 0);
      assert.lengthOf(await store.read(LOG, 0, 1024 * 1024), 17);
      await readsAll(store, chunks, 1024 * 1024);
      await readsAll(store, chunks, 1000);
    });

    it('finds its way where tiny rows and full ones follow each other', async (store) => {
      const chunks = await filled(store, Array(300).fill(2), (at) => (at % 100 < 80 ? 60 : 20_000));
      for (const maxBytes of [1, 500, 30_000, 200_000]) await readsAll(store, chunks, maxBytes);
    });

    it('keeps logs apart', async (store) => {
      const [first] = await filled(store, [3]);
      const other = chunk(OTHER_LOG, 0, 9);
      const before = chunk(LOG - 1, 0, 9);
      await store.append(commit(1, other, before), 'relaxed');
      assert.deepEqual(await store.read(LOG, 0, 1000), [first?.bytes]);
      assert.deepEqual(await store.read(OTHER_LOG, 0, 1000), [other.bytes]);
      assert.strictEqual((await store.ends(LOG)).lastOffset, 2);
      assert.strictEqual((await store.ends(LOG - 1)).lastOffset, 9);
    });
  });

  api.describe(`${name}: delete`, () => {
    it('before an offset keeps the chunk that holds it and moves the log start, never back', async (store) => {
      const chunks = await filled(store, [3, 1, 5, 2, 1]);
      await store.append({ ...commit(1), segments: [segment(0, 4), segment(4, 11), segment(11, 12)] }, 'relaxed');
      await store.deleteBefore(LOG, 6, 1);
      assert.strictEqual((await store.ends(LOG)).logStartOffset, 6);
      assert.deepEqual(
        await store.read(LOG, 0, 10_000),
        chunks.slice(2).map(({ bytes }) => bytes),
      );
      assert.deepEqual(await store.segments(LOG), [segment(4, 11), segment(11, 12)]);
      await store.deleteBefore(LOG, 2, 1);
      assert.strictEqual((await store.ends(LOG)).logStartOffset, 6);
    });

    it('of everything leaves an empty log that goes on where it was', async (store) => {
      await filled(store, [3, 1, 5]);
      await store.deleteBefore(LOG, 9, 1);
      assert.deepEqual(await store.ends(LOG), {
        logStartOffset: 9,
        lastOffset: undefined,
        sealedEndOffset: 0,
        checkpoint: undefined,
        lastSegment: undefined,
      });
      await store.append(commit(1, chunk(LOG, 9, 9)), 'relaxed');
      assert.strictEqual((await store.ends(LOG)).lastOffset, 9);
    });

    it('of many chunks is done when it resolves', async (store) => {
      const chunks = await filled(store, Array(300).fill(1));
      await store.deleteBefore(LOG, 256, 1);
      assert.deepEqual(
        await store.read(LOG, 0, 100_000),
        chunks.slice(256).map(({ bytes }) => bytes),
      );
    });

    it('that is cut short by a deposition counts as done, and the next leader carries it through', async (store, fixture) => {
      await filled(store, Array(300).fill(1));
      await store.deleteBefore(LOG, 1, 1); // what deletes may be loaded now; the next begins at once
      const second = await fixture.open();
      const cutShort = rejectsWith('FENCED_LEADER_EPOCH', store.deleteBefore(LOG, 300, 1));
      assert.strictEqual(await second.claimLeadership(1, 'b', 2), 2);
      await cutShort;
      const { logStartOffset, lastOffset } = await second.ends(LOG);
      assert.deepEqual({ logStartOffset, lastOffset }, { logStartOffset: 300, lastOffset: undefined });
      await second.deleteBefore(LOG, 300, 2);
      assert.deepEqual(await second.read(LOG, 0, 1000), []);
      await second.close();
    });

    it('of a log removes all of it and nothing else', async (store) => {
      await filled(store, Array(130).fill(1));
      const other = chunk(OTHER_LOG, 0, 9);
      await store.append(
        {
          ...commit(1, other),
          checkpoints: [LOG, OTHER_LOG].map((log) => ({ log, offset: 1, snapshot: null })),
          segments: [segment(0, 130)],
        },
        'relaxed',
      );
      await store.deleteBefore(LOG, 2, 1);
      await store.deleteLog(LOG, 1);
      assert.deepEqual(await store.ends(LOG), {
        logStartOffset: 0,
        lastOffset: undefined,
        sealedEndOffset: 0,
        checkpoint: undefined,
        lastSegment: undefined,
      });
      assert.deepEqual(await store.segments(LOG), []);
      assert.deepEqual(await store.read(LOG, 0, 1000), []);
      assert.deepEqual(await store.read(OTHER_LOG, 0, 1000), [other.bytes]);
      assert.strictEqual((await store.ends(OTHER_LOG)).checkpoint?.offset, 1);
      await store.deleteLog(LOG, 1);
    });

    it('by a deposed leader deletes nothing', async (store) => {
      const chunks = await filled(store, [3, 1]);
      await store.claimLeadership(1, 'b', 2);
      await rejectsWith('FENCED_LEADER_EPOCH', store.deleteBefore(LOG, 3, 1));
      await rejectsWith('FENCED_LEADER_EPOCH', store.deleteLog(LOG, 1));
      assert.strictEqual((await store.ends(LOG)).logStartOffset, 0);
      assert.deepEqual(
        await store.read(LOG, 0, 1000),
        chunks.map(({ bytes }) => bytes),
      );
    });
  });

  describeSealed(name, it, api);

  api.describe(`${name}: connection`, () => {
    it('is lost when the data is wiped, and the next one finds a new incarnation', async (store, fixture) => {
      await filled(store, [3]);
      assert.isFalse(store.lost.aborted);
      await fixture.wipe();
      assert.isTrue(store.lost.aborted);
      await rejectsWith('KAFKA_STORAGE_ERROR', store.append(commit(1, chunk(LOG, 3, 3)), 'relaxed'));
      await rejectsWith('KAFKA_STORAGE_ERROR', store.read(LOG, 0, 1000));
      await rejectsWith('KAFKA_STORAGE_ERROR', store.leadership());
      const reopened = await fixture.open();
      assert.notStrictEqual(reopened.incarnationId, store.incarnationId);
      assert.strictEqual((await reopened.leadership()).epoch, 0);
      assert.isUndefined((await reopened.ends(LOG)).lastOffset);
      await reopened.close();
    });

    it('carries through what was begun when it is closed, and refuses the rest', async (store, fixture) => {
      await store.claimLeadership(0, 'a', 1);
      const begun = store.append(commit(1, chunk(LOG, 0, 4)), 'relaxed');
      await store.close();
      await begun;
      await rejectsWith('KAFKA_STORAGE_ERROR', store.append(commit(1, chunk(LOG, 5, 5)), 'relaxed'));
      await rejectsWith('KAFKA_STORAGE_ERROR', store.ends(LOG));
      assert.isFalse(store.lost.aborted);
      const reopened = await fixture.open();
      assert.strictEqual((await reopened.ends(LOG)).lastOffset, 4);
      await reopened.close();
    });
  });

  // Goal: whatever is done in whatever order, over two connections, the store answers as plain arrays would.
  api.describe(`${name}: against a model`, () => {
    for (let seed = 1; seed <= 10; seed++) {
      it(`any mixture of operations leaves what the model holds (seed ${seed})`, async (store, fixture) => {
        const second = await fixture.open();
        await modelRun(seed, [store, second]);
        await second.close();
      });
    }
  });
}

type It = (promise: string, body: (store: LogStore, fixture: LogStoreFixture) => Promise<void>) => void;

function describeSealed(name: string, it: It, api: TestApi): void {
  api.describe(`${name}: sealed segments`, () => {
    it('hold what the rows held: for every offset, and across both tiers', async (store, fixture) => {
      const chunks = await filled(store, Array(200).fill(3), (at) => (at % 50 === 7 ? 70_000 : 2000));
      const other = await fixture.open();
      assert.lengthOf(await other.read(LOG, 0, 1), 1);
      await seal(store, chunks.slice(0, 150));
      for (const reader of [store, other]) await readsAlike(reader, chunks);
      await store.sweepSealed(LOG, 1);
      for (const reader of [store, other, await fixture.open()]) await readsAlike(reader, chunks);
      assert.deepEqual(await other.read(LOG, 599, 10, 450), []);
      assert.lengthOf(await other.read(LOG, 0, 1_000_000, 1), 1);
      const { lastOffset, sealedEndOffset } = await other.ends(LOG);
      assert.deepEqual({ lastOffset, sealedEndOffset }, { lastOffset: 599, sealedEndOffset: 450 });
      await other.close();
    });

    it('are read in order, across their ends, by any who read at a time', async (store) => {
      const chunks = await filled(store, Array(60).fill(2), () => 50_000);
      await seal(store, chunks.slice(0, 35));
      await seal(store, chunks.slice(35, 60));
      await store.sweepSealed(LOG, 1);
      const whole = concatBytes(chunks.map(({ bytes }) => bytes));
      const readThrough = async (maxBytes: number): Promise<void> => {
        for (let at = 0; at < chunks.length; ) {
          const bytes = concatBytes(await store.read(LOG, 2 * at, maxBytes));
          assert.isAtLeast(bytes.byteLength, 50_000);
          assert.isTrue(sameBytes(bytes, whole.subarray(50_000 * at, 50_000 * at + bytes.byteLength)), `chunk ${at}`);
          at += bytes.byteLength / 50_000;
        }
      };
      await Promise.all([1_000_000, 1_000_000, 400_000, 150_000, 50_000].map(readThrough));
    });

    it('are read on across their ends, up to half of what is asked for', async (store, fixture) => {
      const chunks = await filled(store, Array(25).fill(1), () => 1000);
      for (const at of [0, 5, 10, 15]) await seal(store, chunks.slice(at, at + 5));
      await store.sweepSealed(LOG, 1);
      const read = async (offset: number, maxBytes: number, endOffset?: number): Promise<number[]> =>
        (await store.read(LOG, offset, maxBytes, endOffset)).map(({ byteLength }) => byteLength / 1000);
      assert.deepEqual(await read(0, 20_000), [5, 5]);
      assert.deepEqual(await read(3, 20_000), [2, 5, 5]);
      assert.deepEqual(await read(3, 6500), [2], 'the next one is read in steps of its index');
      assert.deepEqual(await read(4, 500), [1]);
      assert.deepEqual(await read(3, 20_000, 5), [2]);
      assert.deepEqual(await read(3, 20_000, 6), [2, 1]);
      assert.deepEqual(await read(17, 20_000), [3], 'the rows are another read');
      await fixture.damageSealed(LOG, 10);
      assert.deepEqual(await read(3, 20_000), [2, 5], 'what lies before damage is answered first');
      const lost = await store.read(LOG, 10, 20_000).catch((error: unknown) => error);
      assert.strictEqual(unreadableRangeOf(lost)?.baseOffset, 10);
    });

    // Goal: no read skips, repeats or reorders anything, however a log is cut into segments and whatever compaction has left
    // out, at any of their ends, too. Method: random layouts; reads from any offset, of any amount, up to any end; then a
    // segment is damaged. `test/log/sound-batches.test.ts` looks at readers above.
    it('answer the same in every layout', async (store, fixture) => {
      await store.claimLeadership(0, 'a', 1);
      for (let log = 10; log < 18; log++) await layoutRun(store, log, (at) => fixture.damageSealed(log, at));
    });

    it('follow each other from the beginning of the log, and take the rows of segments along', async (store) => {
      const chunks = await filled(store, Array(30).fill(2), () => 40_000);
      await store.append({ ...commit(1), segments: [segment(0, 20), segment(20, 40)] }, 'relaxed');
      await refusesToPublish(store, chunks.slice(10, 20));
      await seal(store, chunks.slice(0, 10), [segment(0, 20)]);
      await refusesToPublish(store, chunks.slice(20, 30));
      await refusesToPublish(store, chunks.slice(5, 15));
      await refusesToPublish(store, chunks.slice(0, 5));
      await seal(store, chunks.slice(10, 20), [{ ...segment(20, 40), byteCount: 77 }]);
      assert.deepEqual(await store.segments(LOG), [segment(0, 20), { ...segment(20, 40), byteCount: 77 }]);
      assert.deepEqual(
        (await store.sealedSegments(LOG)).map(({ baseOffset, nextOffset, byteCount }) => [
          baseOffset,
          nextOffset,
          byteCount,
        ]),
        [
          [0, 20, 400_000],
          [20, 40, 400_000],
        ],
      );
      await store.sweepSealed(LOG, 1);
      await readsAlike(store, chunks);
    });

    it('that is all of a log is where the log ends, and appends go on behind it', async (store, fixture) => {
      const chunks = await filled(store, [3, 4]);
      await seal(store, chunks);
      await store.sweepSealed(LOG, 1);
      const reopened = await fixture.open();
      assert.strictEqual((await reopened.ends(LOG)).lastOffset, 6);
      await store.append(commit(1, chunk(LOG, 7, 9)), 'relaxed');
      assert.strictEqual((await reopened.ends(LOG)).lastOffset, 9);
      await readsAlike(reopened, [...chunks, chunk(LOG, 7, 9)]);
      await reopened.close();
    });

    it('are replaced by fewer and smaller ones; readers go on over the gaps', async (store, fixture) => {
      const chunks = await filled(store, Array(60).fill(2), () => 30_000);
      for (const at of [0, 20, 40]) await seal(store, chunks.slice(at, at + 20));
      await store.sweepSealed(LOG, 1);
      const other = await fixture.open();
      await readsAlike(other, chunks);
      // Offsets 0 to 9, 40 to 79 and the end of the log are compacted away.
      const kept = chunks.filter(({ baseOffset }) => (baseOffset >= 10 && baseOffset < 40) || baseOffset >= 80);
      const left = kept.slice(0, -3);
      const staged = await store.stageSealed(sealedOf(left, 0, 120), 1);
      const change = { log: LOG, baseOffset: 0, nextOffset: 120, sealed: [staged], segments: [segment(0, 120)] };
      await store.publishSealed(change, 1);
      for (const reader of [store, other, await fixture.open()]) {
        for (let offset = 0; offset <= 120; offset += offset % 10 === 9 ? 1 : 9) {
          const [first] = await reader.read(LOG, offset, 1);
          const expected = left.find(({ lastOffset }) => lastOffset >= offset);
          assert.deepEqual(first, expected?.bytes, `from offset ${offset}`);
        }
      }
      assert.strictEqual((await other.ends(LOG)).lastOffset, 119);
      await store.append(commit(1, chunk(LOG, 120, 121)), 'relaxed');
      assert.deepEqual(await other.read(LOG, 115, 1000), [chunk(LOG, 120, 121).bytes]);
      await other.close();
    });

    it('may be empty where nothing of them is left', async (store) => {
      const chunks = await filled(store, Array(10).fill(1));
      await seal(store, chunks.slice(0, 5));
      const empty = await store.stageSealed(sealedOf([], 0, 5), 1);
      await store.publishSealed({ log: LOG, baseOffset: 0, nextOffset: 5, sealed: [empty], segments: [] }, 1);
      await store.sweepSealed(LOG, 1);
      assert.deepEqual(
        await store.read(LOG, 0, 10_000),
        chunks.slice(5).map(({ bytes }) => bytes),
      );
      assert.deepEqual(await store.read(LOG, 0, 10_000, 5), []);
    });

    it('that are not published change nothing, and go with the next sweep', async (store, fixture) => {
      const chunks = await filled(store, Array(10).fill(1));
      const orphan = await store.stageSealed(sealedOf(chunks.slice(0, 5)), 1);
      await store.close();
      const next = await fixture.open();
      assert.strictEqual(await next.claimLeadership(1, 'b', 2), 2);
      await readsAlike(next, chunks);
      assert.deepEqual(await next.sealedSegments(LOG), []);
      await next.sweepSealed(LOG, 2);
      await readsAlike(next, chunks);
      const late = next.publishSealed({ log: LOG, baseOffset: 0, nextOffset: 5, sealed: [orphan], segments: [] }, 2);
      await rejectsWith('KAFKA_STORAGE_ERROR', late);
      await seal(next, chunks.slice(0, 5), [], 2);
      await next.sweepSealed(LOG, 2);
      await readsAlike(next, chunks);
      await next.close();
    });

    it('that a dead leader published are swept by the next one', async (store, fixture) => {
      const chunks = await filled(store, Array(100).fill(1));
      await seal(store, chunks.slice(0, 90));
      await store.close();
      const next = await fixture.open();
      assert.strictEqual(await next.claimLeadership(1, 'b', 2), 2);
      await readsAlike(next, chunks);
      await next.sweepSealed(LOG, 2);
      await fixture.damageSealed(LOG, 0); // the rows are gone: nobody reads them any more
      await rejectsWith('CORRUPT_MESSAGE', next.read(LOG, 0, 1000));
      await next.close();
    });

    it('of a deposed leader are neither published nor swept', async (store, fixture) => {
      const chunks = await filled(store, Array(100).fill(1));
      await seal(store, chunks.slice(0, 10));
      const staged = await store.stageSealed(sealedOf(chunks.slice(10, 20)), 1);
      const next = await fixture.open();
      await next.claimLeadership(1, 'b', 2);
      const change = { log: LOG, baseOffset: 10, nextOffset: 20, sealed: [staged], segments: [] };
      await rejectsWith('FENCED_LEADER_EPOCH', store.publishSealed(change, 1));
      await rejectsWith('FENCED_LEADER_EPOCH', store.sweepSealed(LOG, 1));
      assert.lengthOf(await next.sealedSegments(LOG), 1);
      await readsAlike(next, chunks);
      await next.close();
    });

    it('whose bytes are not those that were written are refused, and leave nothing', async (store) => {
      const chunks = await filled(store, Array(10).fill(1));
      const wrong = { ...sealedOf(chunks.slice(0, 5)), crc32c: 4711 };
      await rejectsWith('KAFKA_STORAGE_ERROR', store.stageSealed(wrong, 1));
      await readsAlike(store, chunks);
      await seal(store, chunks.slice(0, 5));
      assert.deepEqual(
        (await store.sealedSegments(LOG)).map(({ version }) => version),
        [1_000_000],
      );
    });

    it('whose bytes are gone are answered from their rows, and then are a gap with a name', async (store, fixture) => {
      const chunks = await filled(store, Array(30).fill(1));
      await seal(store, chunks.slice(0, 10));
      await seal(store, chunks.slice(10, 20));
      const other = await fixture.open();
      await fixture.damageSealed(LOG, 0);
      await readsAlike(other, chunks);
      await store.sweepSealed(LOG, 1);
      for (const reader of [store, other]) {
        const lost = await reader.read(LOG, 3, 1000).catch((error: unknown) => error);
        const range = unreadableRangeOf(lost);
        assert.deepEqual([range?.log, range?.baseOffset, range?.nextOffset], [LOG, 0, 10]);
        assert.strictEqual((lost as KafkaError).type, 'CORRUPT_MESSAGE');
        assert.include((lost as KafkaError).message, `log ${LOG}, offsets 0 to 10`);
        const behind = await reader.read(LOG, range?.nextOffset ?? -1, 1);
        assert.deepEqual(behind, [chunks[10]?.bytes]);
      }
      await other.close();
    });

    it('are deleted with the log start, whole ones only', async (store, fixture) => {
      const chunks = await filled(store, Array(40).fill(1));
      await store.append({ ...commit(1), segments: [segment(0, 10), segment(10, 20), segment(20, 30)] }, 'relaxed');
      for (const at of [0, 10, 20]) await seal(store, chunks.slice(at, at + 10), [segment(at, at + 10)]);
      const other = await fixture.open();
      await readsAlike(other, chunks);
      await store.deleteBefore(LOG, 15, 1);
      assert.deepEqual(
        (await other.sealedSegments(LOG)).map(({ baseOffset }) => baseOffset),
        [10, 20],
      );
      assert.deepEqual(await other.segments(LOG), [segment(10, 20), segment(20, 30)]);
      assert.strictEqual((await other.ends(LOG)).logStartOffset, 15);
      const late = await store.stageSealed(sealedOf(chunks.slice(10, 20)), 1);
      await store.deleteBefore(LOG, 35, 1);
      assert.deepEqual(await store.sealedSegments(LOG), []);
      await store.publishSealed({ log: LOG, baseOffset: 10, nextOffset: 20, sealed: [late], segments: [] }, 1);
      assert.deepEqual(await store.sealedSegments(LOG), []);
      assert.deepEqual(await (await fixture.open()).read(LOG, 0, 1), [chunks[35]?.bytes]);
      await other.close();
    });

    it('go with their log', async (store) => {
      const chunks = await filled(store, Array(20).fill(1));
      await seal(store, chunks.slice(0, 10));
      const staged = await store.stageSealed(sealedOf(chunks.slice(10, 20)), 1);
      await store.sweepSealed(LOG, 1);
      await readsAlike(store, chunks);
      await store.deleteLog(LOG, 1);
      assert.deepEqual(await (await store.raw()).logs(), []);
      assert.deepEqual(await store.sealedSegments(LOG), []);
      assert.deepEqual(await store.read(LOG, 0, 1000), []);
      const change = { log: LOG, baseOffset: 10, nextOffset: 20, sealed: [staged], segments: [] };
      await rejectsWith('KAFKA_STORAGE_ERROR', store.publishSealed(change, 1));
      assert.strictEqual((await store.ends(LOG)).sealedEndOffset, 0);
    });
  });
}

/** The chunks as one segment; without bounds it covers what they cover. */
/** A log of sealed segments and some rows, made of random batches, of which some are compacted away. */
async function layoutRun(store: LogStore, log: LogId, damage: (baseOffset: number) => Promise<void>): Promise<void> {
  const random = mulberry32(log);
  const below = (n: number): number => Math.floor(random() * n);
  const kept: Chunk[] = [];
  const bounds = [0];
  const segmentCount = 1 + below(6);
  const hasHoles = below(2) === 0;
  let nextOffset = 0;
  const some = (count: number): Chunk[] =>
    Array.from({ length: count }, () => {
      const baseOffset = nextOffset;
      nextOffset += 1 + below(3);
      return chunk(log, baseOffset, nextOffset - 1, below(8) === 0 ? 30_000 + below(90_000) : 100 + below(3000));
    });
  for (let i = 0; i < segmentCount; i++) {
    const baseOffset = nextOffset;
    const chunks = some(1 + below(7));
    await store.append(commit(1, ...chunks), 'relaxed');
    const left = chunks.filter(() => !hasHoles || below(3) > 0);
    const staged = await store.stageSealed({ ...sealedOf(left, baseOffset, nextOffset), log }, 1);
    await store.publishSealed({ log, baseOffset, nextOffset, sealed: [staged], segments: [] }, 1);
    kept.push(...left);
    bounds.push(nextOffset);
  }
  await store.sweepSealed(log, 1);
  const rows = some(1 + below(3));
  await store.append(commit(1, ...rows), 'relaxed');
  kept.push(...rows);

  const readFrom = async (offset: number, unreadableFrom: number): Promise<number> => {
    const maxBytes = below(4) === 0 ? below(2000) : below(150_000);
    const endOffset = below(3) > 0 ? Infinity : offset + below(nextOffset + 2 - offset);
    const read = await store.read(log, offset, maxBytes, endOffset);
    const from = kept.findIndex(({ lastOffset }) => lastOffset >= offset);
    const wanted = kept.slice(from).filter(({ baseOffset }) => baseOffset < Math.min(endOffset, unreadableFrom));
    const expected = offset < endOffset ? wanted : [];
    const bytes = concatBytes(read);
    const what = `log ${log} from ${offset} to ${endOffset}, at most ${maxBytes} bytes`;
    let taken = 0;
    let takenBytes = 0;
    while (takenBytes < bytes.byteLength) takenBytes += expected[taken++]!.bytes.byteLength;
    assert.isTrue(sameBytes(bytes, concatBytes(expected.slice(0, taken).map((one) => one.bytes))), what);
    assert.isAtLeast(taken, Math.min(1, expected.length), what);
    assert.isTrue(taken <= 1 || bytes.byteLength <= maxBytes, what);
    return taken === 0 ? offset : expected[taken - 1]!.lastOffset + 1;
  };
  for (let i = 0; i < 20; i++) await readFrom(below(nextOffset), Infinity);
  for (let offset = 0; offset < nextOffset; ) {
    const next = await readFrom(offset, Infinity);
    offset = next > offset ? next : offset + below(2); // asked for too little
  }
  const at = below(segmentCount);
  const [from = 0, to = 0] = bounds.slice(at);
  await damage(from);
  const hasBytes = kept.some(({ baseOffset }) => baseOffset >= from && baseOffset < to);
  for (let i = 0; i < 10 && hasBytes && from > 0; i++) {
    const offset = below(from);
    if (kept.some(({ lastOffset }) => lastOffset >= offset && lastOffset < from)) await readFrom(offset, from);
  }
  const lost = await store.read(log, from, 1000).catch((error: unknown) => error);
  if (hasBytes) assert.strictEqual(unreadableRangeOf(lost)?.baseOffset, from);
}

export function sealedOf(
  chunks: readonly Chunk[],
  baseOffset = chunks[0]?.baseOffset ?? 0,
  nextOffset = (chunks.at(-1)?.lastOffset ?? 0) + 1,
): NewSealedSegment {
  const builder = new SealedSegmentBuilder(chunks[0]?.log ?? LOG, baseOffset);
  for (const { bytes } of chunks) builder.add(bytes);
  return builder.finish(nextOffset);
}

/** Stages and publishes; the rows stay. */
async function seal(
  store: LogStore,
  chunks: readonly Chunk[],
  segments: readonly SegmentRow[] = [],
  leaderEpoch = 1,
): Promise<void> {
  const { log, baseOffset, nextOffset } = sealedOf(chunks);
  const sealed = [await store.stageSealed(sealedOf(chunks), leaderEpoch)];
  await store.publishSealed({ log, baseOffset, nextOffset, sealed, segments }, leaderEpoch);
}

async function refusesToPublish(store: LogStore, chunks: readonly Chunk[]): Promise<void> {
  const before = await store.sealedSegments(LOG);
  await rejectsWith('KAFKA_STORAGE_ERROR', seal(store, chunks));
  assert.deepEqual(await store.sealedSegments(LOG), before);
}

/** Reads from offsets all over the log, with bounds of all sizes, and expects the bytes of `chunks`. */
async function readsAlike(store: LogStore, chunks: readonly Chunk[]): Promise<void> {
  const step = Math.max(1, Math.floor(chunks.length / 10));
  for (let at = 0; at < chunks.length; at += step) {
    for (const offset of [chunks[at]?.baseOffset ?? 0, chunks[at]?.lastOffset ?? 0]) {
      for (const maxBytes of [0, 5000, 200_000]) {
        const bytes = concatBytes(await store.read(LOG, offset, maxBytes));
        const expected = concatBytes(chunks.slice(at).map((chunk) => chunk.bytes)).subarray(0, bytes.byteLength);
        const size = chunks[at]?.bytes.byteLength ?? 0;
        assert.isAtLeast(bytes.byteLength, size);
        assert.isTrue(bytes.byteLength === size || bytes.byteLength <= maxBytes, 'within maxBytes');
        assert.isTrue(sameBytes(bytes, expected), `from offset ${offset}, at most ${maxBytes} bytes`);
      }
    }
  }
}

interface ModelLog {
  start: number;
  end: number;
  /** Where the sealed part ends. */
  sealedEnd: number;
  chunks: Chunk[];
}

async function modelRun(seed: number, stores: readonly LogStore[]): Promise<void> {
  const random = mulberry32(seed);
  const below = (n: number): number => Math.floor(random() * n);
  const model = new Map<LogId, ModelLog>();
  let epoch = 0;

  for (let step = 0; step < 80; step++) {
    const store = stores[below(stores.length)] as LogStore;
    const log = below(3);
    const state = model.get(log) ?? { start: 0, end: 0, sealedEnd: 0, chunks: [] };
    model.set(log, state);
    const stale = epoch === 0 || below(10) === 0;
    switch (below(11)) {
      case 0:
        assert.strictEqual(
          await store.claimLeadership(stale ? epoch + 1 : epoch, 'x', step),
          stale ? undefined : epoch + 1,
        );
        if (!stale) epoch++;
        else if (epoch === 0) epoch = (await store.claimLeadership(0, 'x', step)) ?? 0;
        break;
      case 1:
      case 2:
      case 3: {
        // Two commits in flight of one writer: dense offsets, or neither.
        const chunks = Array.from({ length: 1 + below(6) }, () => {
          const baseOffset = state.end;
          state.end += 1 + below(4);
          return chunk(log, baseOffset, state.end - 1, below(5) === 0 ? 5000 + below(50_000) : 61 + below(300));
        });
        const cut = below(chunks.length + 1);
        const writes = [chunks.slice(0, cut), chunks.slice(cut)].map((part) =>
          store.append(commit(stale ? epoch + 1 : epoch, ...part), below(2) ? 'relaxed' : 'strict'),
        );
        if (stale) {
          await Promise.all(writes.map((write) => rejectsWith('FENCED_LEADER_EPOCH', write)));
          state.end = chunks[0]?.baseOffset ?? state.end;
        } else {
          await Promise.all(writes);
          state.chunks.push(...chunks);
        }
        break;
      }
      case 4: {
        const offset = state.start + below(state.end - state.start + 1);
        const deletion = store.deleteBefore(log, offset, stale ? epoch + 1 : epoch);
        if (stale) await rejectsWith('FENCED_LEADER_EPOCH', deletion);
        else {
          await deletion;
          state.start = offset;
          state.chunks = state.chunks.filter(({ lastOffset }) => lastOffset >= offset);
        }
        break;
      }
      case 5:
        if (stale || below(4) > 0) break;
        await store.deleteLog(log, epoch);
        model.delete(log);
        break;
      case 6: {
        // Rows are sealed; or what is sealed already is compacted, perhaps to nothing.
        const compacts = below(3) === 0;
        const rows = state.chunks.filter(({ baseOffset }) => compacts === baseOffset < state.sealedEnd);
        const taken = compacts ? rows : rows.slice(0, below(rows.length + 1));
        const sealedBounds = (await store.sealedSegments(log)).flatMap(({ baseOffset, nextOffset }) => [
          baseOffset,
          nextOffset,
        ]);
        const first = compacts ? sealedBounds[0] : (sealedBounds.at(-1) ?? taken[0]?.baseOffset);
        const nextOffset = compacts ? sealedBounds.at(-1) : (taken.at(-1)?.lastOffset ?? -1) + 1;
        if (stale || first === undefined || nextOffset === undefined || nextOffset <= first) break;
        const kept = compacts ? taken.filter(() => below(3) > 0) : taken;
        const sealed = [await store.stageSealed({ ...sealedOf(kept, first, nextOffset), log }, epoch)];
        if (below(4) === 0) break; // the leader dies
        await store.publishSealed({ log, baseOffset: first, nextOffset, sealed, segments: [] }, epoch);
        state.sealedEnd = nextOffset;
        state.chunks = state.chunks.filter((chunk) => !taken.includes(chunk) || kept.includes(chunk));
        break;
      }
      case 7:
        if (stale) await rejectsWith('FENCED_LEADER_EPOCH', store.sweepSealed(log, epoch + 1));
        else await store.sweepSealed(log, epoch);
        break;
      default: {
        const from = state.start + below(state.end - state.start + 2);
        const endOffset = below(2) ? undefined : below(state.end + 3);
        const maxBytes = below(100_000);
        const read = await store.read(log, from, maxBytes, endOffset);
        const there = state.chunks.filter(
          ({ baseOffset, lastOffset }) => lastOffset >= from && baseOffset < (endOffset ?? Infinity),
        );
        const expected = from >= (endOffset ?? Infinity) ? [] : there;
        const bytes = concatBytes(read);
        const first = expected[0]?.bytes.byteLength ?? 0;
        const wanted = concatBytes(expected.map((chunk) => chunk.bytes)).subarray(0, bytes.byteLength);
        assert.isTrue(sameBytes(bytes, wanted), `log ${log} from ${from}`);
        assert.isAtLeast(bytes.byteLength, first);
        assert.isTrue(bytes.byteLength === first || bytes.byteLength <= maxBytes, `${bytes.byteLength} of ${maxBytes}`);
      }
    }
    const { logStartOffset, lastOffset } = await (stores[below(stores.length)] as LogStore).ends(log);
    const { start, sealedEnd, chunks } = model.get(log) ?? { start: 0, sealedEnd: 0, chunks: [] };
    const last = Math.max(chunks.at(-1)?.lastOffset ?? -1, sealedEnd - 1);
    assert.deepEqual(
      { logStartOffset, lastOffset },
      { logStartOffset: start, lastOffset: last < start ? undefined : last },
    );
  }
}

/** Claims epoch 1 and appends chunks with so many offsets each. */
async function filled(
  store: LogStore,
  offsetCounts: readonly number[],
  size?: (at: number) => number,
): Promise<Chunk[]> {
  await store.claimLeadership(0, 'a', 1);
  let next = 0;
  const chunks = offsetCounts.map((count, at) => {
    next += count;
    return chunk(LOG, next - count, next - 1, size?.(at));
  });
  await store.append(commit(1, ...chunks), 'relaxed');
  return chunks;
}

/** Reads the log from its start to its end, checks that every chunk comes once, and returns the number of reads. */
async function readsAll(store: LogStore, chunks: readonly Chunk[], maxBytes: number): Promise<number> {
  let calls = 0;
  let at = 0;
  while (at < chunks.length) {
    const read = await store.read(LOG, chunks[at]?.baseOffset ?? 0, maxBytes);
    calls++;
    assert.isAtLeast(read.length, 1);
    for (const bytes of read) assert.isTrue(sameBytes(bytes, chunks[at++]?.bytes), `chunk ${at - 1}`);
    const total = read.reduce((sum, { byteLength }) => sum + byteLength, 0);
    assert.isTrue(read.length === 1 || total <= maxBytes, `${total} of at most ${maxBytes} bytes`);
  }
  return calls;
}

export function commit(leaderEpoch: number, ...chunks: Chunk[]): Commit {
  return { leaderEpoch, chunks };
}

/** Bytes that begin as a batch does (baseOffset, batchLength) and go on with a pattern. */
export function chunk(log: LogId, baseOffset: number, lastOffset: number, size = 64): Chunk {
  const bytes = new Uint8Array(size);
  for (let i = 0; i < size; i++) bytes[i] = (baseOffset + i * 31 + log) & 0xff;
  const view = new DataView(bytes.buffer);
  view.setBigInt64(0, BigInt(baseOffset));
  view.setInt32(8, size - 12);
  if (size >= 27) view.setInt32(23, lastOffset - baseOffset);
  return { log, baseOffset, lastOffset, bytes };
}

function segment(baseOffset: number, nextOffset: number): SegmentRow {
  const timeIndex = [{ offset: baseOffset, maxTimestampMs: 5 }];
  return { log: LOG, baseOffset, nextOffset, byteCount: 100, startPosition: 0, maxTimestampMs: 9, timeIndex };
}

export function sameBytes(a: Uint8Array, b: Uint8Array | undefined): boolean {
  return a.byteLength === b?.byteLength && a.every((byte, at) => byte === b[at]);
}

export async function rejectsWith(type: KafkaErrorName, promise: Promise<unknown>): Promise<void> {
  const outcome = await promise.then(
    () => 'it resolved',
    (error: unknown) => error,
  );
  if (!(outcome instanceof KafkaError)) throw new Error(`expected a KafkaError ${type}`, { cause: outcome });
  assert.strictEqual(outcome.type, type);
}

/** A small generator of pseudo-random numbers in [0, 1), so that a seed names a run. */
export function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
