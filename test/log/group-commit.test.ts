import { expect, test } from 'vitest';
import { GroupCommit } from '../../src/log/group-commit.js';
import type { LogAdvance } from '../../src/log/log-view.js';
import { PartitionLog } from '../../src/log/partition-log.js';
import { parseTopicConfig } from '../../src/protocol/topic-config.js';
import type { Commit, Durability, LogStore } from '../../src/storage/log-store.js';
import { MemoryLogStore } from '../../src/storage/memory-log-store.js';
import { deferred } from '../../src/util/signal.js';
import { batch, errorOf, MemoryDisk, manualClock, readAll, transactions } from './harness.js';

test('an append on an idle broker commits at once and alone', async () => {
  const { open, commits } = await gated();
  const log = await open(1);
  await log.append(batch(['a']), 'client');
  await log.append(batch(['b']), 'client');
  expect(commits.map(({ chunks }) => chunks.length)).toEqual([1, 1]);
});

test('what arrives while two commits are in flight shares the next one, over all logs', async () => {
  const { open, commits, hold, release } = await gated();
  const [one, two] = [await open(1), await open(2)];
  hold();
  const appends = [one.append(batch(['a']), 'client')];
  await settled();
  appends.push(one.append(batch(['b']), 'client'));
  await settled();
  for (let i = 0; i < 10; i++) appends.push(one.append(batch(['c']), 'client'), two.append(batch(['d']), 'client'));
  await settled();
  expect(commits).toHaveLength(2);
  release();
  await Promise.all(appends);
  expect(commits).toHaveLength(3);
  expect(commits[2]?.chunks.map(({ log, baseOffset, lastOffset }) => [log, baseOffset, lastOffset])).toEqual([
    [1, 2, 11],
    [2, 0, 9],
  ]);
});

test('a commit takes about a mebibyte', async () => {
  const { open, commits } = await gated();
  const log = await open(1);
  await Promise.all(Array.from({ length: 100 }, () => log.append(batch(['x'.repeat(50_000)]), 'client')));
  const sizes = commits.map(({ chunks }) => chunks.reduce((bytes, chunk) => bytes + chunk.bytes.byteLength, 0));
  expect(Math.max(...sizes)).toBeLessThan(1_200_000);
  expect(sizes.length).toBe(5);
});

test('a commit is strict where one of its topics asks for it', async () => {
  const { open, durabilities } = await gated();
  const [relaxed, strict] = [await open(1), await open(2, { 'flush.messages': '1' })];
  await relaxed.append(batch(['a']), 'client');
  await Promise.all([relaxed.append(batch(['b']), 'client'), strict.append(batch(['c']), 'client')]);
  expect(durabilities).toEqual(['relaxed', 'strict']);
});

test('the answers come after the announcement', async () => {
  const order: string[] = [];
  const { open } = await gated((advances) =>
    order.push(...advances.map(({ highWatermark }) => `announced ${highWatermark}`)),
  );
  const log = await open(1);
  await log.append(batch(['a']), 'client');
  order.push(`answered ${log.logEndOffset}`);
  expect(order).toEqual(['announced 1', 'answered 1']);
});

test('when a commit fails, all logs behind it fail, and all of them recover', async () => {
  const { open, disk, store, hold, release } = await gated();
  const [one, two, three] = [await open(1), await open(2), await open(3)];
  hold();
  disk.failNextAppend();
  const first = errorOf(one.append(batch(['lost']), 'client'));
  await settled();
  const second = errorOf(two.append(batch(['lost']), 'client'));
  await settled();
  const third = errorOf(three.append(batch(['lost']), 'client'));
  release();
  expect(await Promise.all([first, second, third])).toEqual(Array(3).fill('KAFKA_STORAGE_ERROR'));
  for (const [index, log] of [one, two, three].entries()) {
    expect(await log.append(batch(['kept']), 'client')).toMatchObject({ baseOffset: 0 });
    expect(await readAll(store, index + 1)).toMatchObject([{ offset: 0, value: 'kept' }]);
  }
});

test('a failure draws in what was there, and not, one after another, all that comes', async () => {
  const { open, disk } = await gated();
  const [one, two] = [await open(1), await open(2)];
  disk.failNextAppend();
  const first = errorOf(one.append(batch(['lost']), 'client'));
  const outcomes: Promise<string | undefined>[] = [];
  for (let turn = 0; turn < 300; turn++) {
    outcomes.push(errorOf(two.append(batch(['x']), 'client')));
    await Promise.resolve();
  }
  expect(await first).toBe('KAFKA_STORAGE_ERROR');
  const failed = (await Promise.all(outcomes)).map((name) => name !== undefined);
  expect(failed.lastIndexOf(true)).toBeLessThan(50);
});

test('checkpoints ride along every 256 KiB or 500 batches, segments when they close', async () => {
  const { open, commits } = await gated();
  const [large, small] = [await open(1, { 'segment.bytes': '1048576' }), await open(2)];
  for (let i = 0; i < 50; i++) await large.append(batch(['x'.repeat(50_000)]), 'client');
  for (let i = 0; i < 1001; i++) await small.append(batch(['x']), 'client');
  const checkpoints = commits.flatMap((commit) => commit.checkpoints ?? []);
  expect(checkpoints.filter(({ log }) => log === 1).map(({ offset }) => offset)).toEqual([
    6, 12, 18, 24, 30, 36, 42, 48,
  ]);
  expect(checkpoints.filter(({ log }) => log === 2).map(({ offset }) => offset)).toEqual([500, 1000]);
  const segments = commits.flatMap((commit) => commit.segments ?? []);
  expect(segments.map(({ baseOffset, nextOffset }) => [baseOffset, nextOffset])).toEqual([
    [0, 20],
    [20, 40],
  ]);
  expect(segments[1]?.startPosition).toBe(segments[0]?.byteCount);
});

test('close writes what is queued and takes no more', async () => {
  const { open, groupCommit } = await gated();
  const log = await open(1);
  const append = log.append(batch(['a']), 'client');
  await groupCommit.close();
  expect(log.logEndOffset).toBe(1);
  await append;
  expect(await errorOf(log.append(batch(['b']), 'client'))).toBe('KAFKA_STORAGE_ERROR');
});

/** A group commit over a store that notes what it is given and can be made to wait before it writes. */
async function gated(onCommitted: (advances: readonly LogAdvance[]) => void = () => {}) {
  const disk = new MemoryDisk();
  let gate = deferred();
  gate.resolve();
  const inner = await MemoryLogStore.open(disk, {
    newIncarnationId: 'test',
    delay: (step) => (step === 'write' ? gate.promise : Promise.resolve()),
  });
  const leaderEpoch = (await inner.claimLeadership(0, 'host', 0)) ?? -1;
  const commits: Commit[] = [];
  const durabilities: Durability[] = [];
  const store: LogStore = Object.assign(Object.create(inner), {
    append: (commit: Commit, durability: Durability) => {
      commits.push(commit);
      durabilities.push(durability);
      return inner.append(commit, durability);
    },
    ends: inner.ends.bind(inner),
    read: inner.read.bind(inner),
  });
  const groupCommit = new GroupCommit({ store, leaderEpoch, onCommitted });
  const clock = manualClock();
  return {
    disk,
    store: inner,
    groupCommit,
    commits,
    durabilities,
    hold: () => (gate = deferred()),
    release: () => gate.resolve(),
    open: (log: number, topicConfig: Readonly<Record<string, string>> = {}) => {
      const config = parseTopicConfig(topicConfig);
      const options = { store, groupCommit, leaderEpoch, clock, log, name: `t-${log}`, config: () => config };
      return PartitionLog.open({ ...options, transactions });
    },
  };
}

/** All that can happen without the gate has happened. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await Promise.resolve();
}
