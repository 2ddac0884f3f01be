import { describe, expect, test } from 'vitest';
import { applyOffsetsRecords, newGroup, recordsOf } from '../../../src/broker/coordinator/group-records.js';
import {
  decodeOffsetsRecord,
  encodeOffsetsRecord,
  type OffsetsRecord,
} from '../../../src/broker/coordinator/offsets-records.js';
import { AssignerProtocol } from '../../../src/client/consumer/assigner-protocol.js';
import { errorCode, errorName, type KafkaErrorName } from '../../../src/protocol/errors.js';
import type { Requests, Responses } from '../../../src/protocol/requests.js';
import { batchesIn } from '../../../src/record/batch-header.js';
import { decodeRecords } from '../../../src/record/record-batch-decoder.js';
import type { Locks } from '../../../src/runtime/runtime.js';
import { seededRandom } from '../../../src/runtime/seeded-random.js';
import { abortable, type Deferred, deferred, onAbort } from '../../../src/util/signal.js';
import { calling } from '../../log/calling.js';
import { createTopic, settled, startBroker, type TestBroker } from '../harness.js';
import { bytes, joinRequest, text } from './group-driver.js';

function commitRequest(
  offset: number,
  changes: Partial<Requests['OffsetCommit']> = {},
  partition = 0,
): Requests['OffsetCommit'] {
  const partitions = [
    { partitionIndex: partition, committedOffset: offset, committedLeaderEpoch: -1, committedMetadata: 'note' },
  ];
  const topics = [{ name: 'orders', partitions }];
  return { groupId: 'g', generationIdOrMemberEpoch: -1, memberId: '', groupInstanceId: null, topics, ...changes };
}

async function commit(
  broker: TestBroker,
  offset: number,
  changes: Partial<Requests['OffsetCommit']> = {},
): Promise<KafkaErrorName> {
  const { topics } = await broker.send('OffsetCommit', commitRequest(offset, changes));
  return errorName(topics[0]?.partitions[0]?.errorCode ?? 0);
}

async function committed(broker: TestBroker, groupId = 'g'): Promise<Record<string, number>> {
  const { topics } = await broker.send('OffsetFetch', { groupId, topics: null });
  const offsets = topics.flatMap(({ name, partitions }) =>
    partitions.map(({ partitionIndex, committedOffset }) => [`${name}-${partitionIndex}`, committedOffset] as const),
  );
  return Object.fromEntries(offsets);
}

async function join(broker: TestBroker, changes: Partial<Requests['JoinGroup']> = {}): Promise<Responses['JoinGroup']> {
  const { memberId } = await broker.send('JoinGroup', joinRequest(changes));
  return broker.send('JoinGroup', joinRequest({ ...changes, memberId }));
}

/** A group of one, stable; `topics` are what it subscribes to. */
async function stableMember(
  broker: TestBroker,
  topics?: readonly string[],
): Promise<{ memberId: string; generationId: number }> {
  const metadata = topics && AssignerProtocol.MemberMetadata.encode({ version: 1, topics });
  const { memberId, generationId } = await join(broker, metadata && { protocols: [{ name: 'range', metadata }] });
  const assignments = [{ memberId, assignment: bytes('all') }];
  await broker.send('SyncGroup', { groupId: 'g', generationId, memberId, groupInstanceId: null, assignments });
  return { memberId, generationId };
}

async function beat(broker: TestBroker, member: { memberId: string; generationId: number }): Promise<KafkaErrorName> {
  const { errorCode } = await broker.send('Heartbeat', { groupId: 'g', groupInstanceId: null, ...member });
  return errorName(errorCode);
}

/** Locks that are granted when `free` resolves. */
function locksOf(free: (name: string, signal: AbortSignal) => Promise<void>): Locks {
  return {
    hold: async (name, { signal = new AbortController().signal } = {}) => {
      await free(name, signal);
      return { lost: new AbortController().signal, release: () => {} };
    },
    held: async () => [],
  };
}

async function started(configs: Record<string, string> = {}, locks?: Locks): Promise<TestBroker> {
  const broker = await startBroker({ configs, ...(locks && { locks }) });
  await createTopic(broker, 'orders', { numPartitions: 4 });
  return broker;
}

/** The next leader on the same disk. */
async function failover({ broker, disk, clock }: TestBroker, locks?: Locks): Promise<TestBroker> {
  await broker.close();
  return startBroker({ disk, clock, ...(locks && { locks }) });
}

/** All that the log says of the groups, folded by a second, independent reader. */
async function storedRecords({ broker, store }: TestBroker): Promise<OffsetsRecord[]> {
  const log = broker.image.topics.get('__consumer_offsets')?.partitions[0]?.log ?? -1;
  const { logStartOffset } = await store.ends(log);
  const records: OffsetsRecord[] = [];
  for (const chunk of await store.read(log, logStartOffset, 1 << 30)) {
    for (const { at } of batchesIn(chunk)) {
      for (const { key, value } of decodeRecords(chunk, at)) records.push(decodeOffsetsRecord(key, value)!);
    }
  }
  return records;
}

describe('offsets', () => {
  test('a commit survives the coordinator, with its metadata', async () => {
    const broker = await started();
    expect(await commit(broker, 7)).toBe('NONE');
    expect(await commit(broker, 9)).toBe('NONE');
    const next = await failover(broker);
    const { topics } = await next.send('OffsetFetch', {
      groupId: 'g',
      topics: [{ name: 'orders', partitionIndexes: [0, 1] }],
    });
    expect(topics[0]?.partitions).toMatchObject([
      { partitionIndex: 0, committedOffset: 9, metadata: 'note', errorCode: 0 },
      { partitionIndex: 1, committedOffset: -1, metadata: '', errorCode: 0 },
    ]);
  });

  test('a bad commit is refused for its partition, and the one beside it is taken', async () => {
    const broker = await started({ 'offset.metadata.max.bytes': '10' });
    const partition = { committedLeaderEpoch: -1, committedMetadata: null };
    const { topics } = await broker.send('OffsetCommit', {
      ...commitRequest(0),
      topics: [
        {
          name: 'orders',
          partitions: [
            { ...partition, partitionIndex: 0, committedOffset: -1 },
            { ...partition, partitionIndex: 1, committedOffset: 5 },
            { ...partition, partitionIndex: 2, committedOffset: 5, committedMetadata: 'far too long' },
            { ...partition, partitionIndex: 9, committedOffset: 5 },
          ],
        },
      ],
    });
    const names = topics[0]?.partitions.map((p) => errorName(p.errorCode));
    expect(names).toEqual(['INVALID_REQUEST', 'NONE', 'OFFSET_METADATA_TOO_LARGE', 'UNKNOWN_TOPIC_OR_PARTITION']);
    expect(await committed(broker)).toEqual({ 'orders-1': 5 });
  });

  test('a commit that could not be stored did not happen', async () => {
    const broker = await started();
    await commit(broker, 7);
    broker.disk.failNextAppend();
    expect(await commit(broker, 8)).toBe('COORDINATOR_NOT_AVAILABLE');
    expect(await committed(broker)).toEqual({ 'orders-0': 7 });
    expect(await commit(broker, 9)).toBe('NONE');
  });

  test.each([
    ['group id', { groupId: 'g'.repeat(2 ** 15) }],
    ['client id', { clientId: 'c'.repeat(2 ** 15 - 20) }],
    ['group instance id', { groupInstanceId: '☕'.repeat(2 ** 13 + 2 ** 12) }],
    ['protocol name', { protocols: [{ name: 'p'.repeat(2 ** 15), metadata: bytes('topic') }] }],
  ])(
    'a member whose %s is too long to be stored is refused, and the next leader reads the groups',
    async (_, changes) => {
      const broker = await started();
      await commit(broker, 7);
      const joining = await broker.send('JoinGroup', joinRequest(changes));
      expect(errorName(joining.errorCode)).toBe('INVALID_REQUEST');
      expect(await commit(broker, 8, { groupId: 'g'.repeat(2 ** 15) })).toBe('INVALID_REQUEST');
      expect(await committed(await failover(broker))).toEqual({ 'orders-0': 7 });
    },
  );

  test('a deposed coordinator takes no commit and gives no old offset', async () => {
    const old = await started();
    await commit(old, 7);
    const next = await startBroker({ disk: old.disk, clock: old.clock });
    await commit(next, 8);
    const { errorCode } = await old.send('OffsetFetch', { groupId: 'g', topics: null });
    expect(errorName(errorCode)).toBe('NOT_COORDINATOR');
    await expect(commit(old, 9)).rejects.toMatchObject({ type: 'NOT_CONTROLLER' });
    expect(await committed(next)).toEqual({ 'orders-0': 8 });
  });

  test('nor does it refuse a commit for a topic that it has not heard of', async () => {
    const old = await started();
    await commit(old, 7);
    const next = await startBroker({ disk: old.disk, clock: old.clock });
    await createTopic(next, 'new');
    const partition = { partitionIndex: 0, committedOffset: 1, committedLeaderEpoch: -1, committedMetadata: null };
    const member = { groupId: 'g', generationIdOrMemberEpoch: -1, memberId: '', groupInstanceId: null };
    const answer = await old.send('OffsetCommit', { ...member, topics: [{ name: 'new', partitions: [partition] }] });
    expect(errorName(answer.topics[0]!.partitions[0]!.errorCode)).toBe('NOT_COORDINATOR');
  });

  test('an offset of a log that is not the partition’s any more is not stored', async () => {
    const broker = await started();
    const commitIn = (log: number | undefined, offset: number): Promise<KafkaErrorName> => {
      const topics = commitRequest(offset).topics.map(({ name, partitions }) => ({
        name,
        partitions: partitions.map((partition) => ({ ...partition, log })),
      }));
      return commit(broker, offset, { topics });
    };
    const fetched = async (): Promise<{ committedOffset: number; log?: number | undefined }> => {
      const topics = [{ name: 'orders', partitionIndexes: [0] }];
      return (await broker.send('OffsetFetch', { groupId: 'g', topics })).topics[0]!.partitions[0]!;
    };
    const { log } = await fetched();
    expect(await commitIn(log, 7)).toBe('NONE');
    await broker.send('DeleteTopics', { timeoutMs: 1, topicNames: ['orders'] });
    await createTopic(broker, 'orders');
    expect(await commitIn(log, 8)).toBe('UNKNOWN_TOPIC_ID');
    const now = await fetched();
    expect(now.committedOffset).toBe(-1);
    expect(now.log).not.toBe(log);
    expect(await commitIn(now.log, 9)).toBe('NONE');
    expect(await committed(broker)).toEqual({ 'orders-0': 9 });
  });

  test('offsets expire once a group was empty for the retention, and the group with them', async () => {
    const broker = await started({ 'offsets.retention.minutes': '60', 'offsets.retention.check.interval.ms': '60000' });
    await commit(broker, 7);
    await broker.clock.advance(50 * 60_000);
    await commit(broker, 8);
    await broker.clock.advance(50 * 60_000);
    expect(await committed(broker)).toEqual({ 'orders-0': 8 });
    await broker.clock.advance(12 * 60_000);
    expect(await committed(broker)).toEqual({});
    expect((await broker.send('ListGroups', { statesFilter: [] })).groups).toEqual([]);
    expect(await committed(await failover(broker))).toEqual({});
  });

  test('all of them at once, also of groups that never had a member, or that are deleted meanwhile', async () => {
    let meanwhile: (() => Promise<unknown>) | undefined;
    const broker: TestBroker = await startBroker({
      configs: { 'offsets.retention.minutes': '60', 'offsets.retention.check.interval.ms': '60000' },
      tamper: (store) => calling(store, async () => void meanwhile?.()),
    });
    await createTopic(broker, 'orders');
    for (const groupId of ['e', 'f', 'g', 'h']) await commit(broker, 7, { groupId });
    await broker.clock.advance(60 * 60_000 - 30_000);
    meanwhile = () => {
      meanwhile = undefined;
      return broker.send('DeleteGroups', { groupsNames: ['g'] });
    };
    await broker.clock.advance(60_000);
    expect((await broker.send('ListGroups', { statesFilter: [] })).groups).toEqual([]);
  });

  // Each page load is a leader of a minute.
  test('also under leaders that live shortly, and not before those who come back late had the time to', async () => {
    const first = await started();
    await commit(first, 7);
    await first.broker.close();
    const visit = async (before: TestBroker, ms: number): Promise<TestBroker> => {
      const next = await failover(before);
      await next.clock.advance(ms);
      return next;
    };
    await first.clock.advance(8 * 24 * 60 * 60_000); // longer than the retention of 7 days; the cluster did not run
    const back = await visit(first, 60_000);
    expect(await committed(back)).toEqual({ 'orders-0': 7 });
    expect(await committed(await visit(back, 60_000))).toEqual({});
  });

  test('and in a group that lives, those of topics that nobody subscribes to any more', async () => {
    const broker = await started({ 'offsets.retention.minutes': '60', 'offsets.retention.check.interval.ms': '60000' });
    await createTopic(broker, 'others');
    const member = await stableMember(broker, ['orders']);
    const beats = async (minutes: number): Promise<void> => {
      for (let minute = 0; minute < minutes; minute += 0.25) {
        await broker.clock.advance(15_000);
        expect(await beat(broker, member)).toBe('NONE');
      }
    };
    const claim = { memberId: member.memberId, generationIdOrMemberEpoch: member.generationId };
    await commit(broker, 7, claim);
    const topics = [{ ...commitRequest(8).topics[0]!, name: 'others' }];
    await commit(broker, 8, { ...claim, topics });
    await beats(58);
    expect(await committed(broker)).toEqual({ 'orders-0': 7, 'others-0': 8 });
    await beats(4);
    expect(await committed(broker)).toEqual({ 'orders-0': 7 });
    expect(await committed(await failover(broker))).toEqual({ 'orders-0': 7 });
  });

  test('offsets of a deleted topic are forgotten', async () => {
    const broker = await started();
    await commit(broker, 7);
    await broker.send('DeleteTopics', { timeoutMs: 1, topicNames: ['orders'] });
    expect(await committed(broker)).toEqual({});
    expect(await committed(await failover(broker))).toEqual({});
  });

  test('what is committed right behind the deletion of its group is kept', async () => {
    const broker = await started();
    await commit(broker, 7);
    const deleting = broker.send('DeleteGroups', { groupsNames: ['g'] });
    expect(await commit(broker, 8)).toBe('NONE');
    expect(errorName((await deleting).results[0]!.errorCode)).toBe('NONE');
    expect(await committed(broker)).toEqual({ 'orders-0': 8 });
    expect(await committed(await failover(broker))).toEqual({ 'orders-0': 8 });
  });

  test('a topic that is made anew begins without offsets, though its predecessor could not be rid of them', async () => {
    const broker = await started();
    await commit(broker, 7);
    const deleting = broker.send('DeleteTopics', { timeoutMs: 1, topicNames: ['orders'] });
    while (broker.broker.image.topics.has('orders')) await Promise.resolve();
    broker.disk.failNextAppend(); // that of the tombstones
    await deleting;
    expect(await committed(broker)).toEqual({});
    await createTopic(broker, 'orders');
    expect(await committed(broker)).toEqual({});
    expect(await committed(await failover(broker))).toEqual({});
  });

  test('nor do offsets survive where the broker dies between the deletion of the topic and theirs', async () => {
    const old = await started();
    await commit(old, 7);
    const deleting = old.send('DeleteTopics', { timeoutMs: 1, topicNames: ['orders'] }).catch(() => {});
    while (old.broker.image.topics.has('orders')) await Promise.resolve();
    old.store.kill();
    void deleting;
    const next = await startBroker({ disk: old.disk, clock: old.clock });
    await createTopic(next, 'orders');
    expect(await committed(next)).toEqual({});
    expect(await commit(next, 3)).toBe('NONE');
    await createTopic(next, 'other');
    expect(await committed(next)).toEqual({ 'orders-0': 3 });
  });

  async function deleteOffset(broker: TestBroker, topic = 'orders'): Promise<KafkaErrorName> {
    const topics = [{ name: topic, partitions: [{ partitionIndex: 0 }] }];
    const response = await broker.send('OffsetDelete', { groupId: 'g', topics });
    return errorName(response.errorCode || (response.topics[0]?.partitions[0]?.errorCode ?? 0));
  }

  test('offsets are deleted on request while the group is empty', async () => {
    const broker = await started();
    expect(await deleteOffset(broker)).toBe('GROUP_ID_NOT_FOUND');
    await commit(broker, 7);
    expect(await deleteOffset(broker)).toBe('NONE');
    expect(await committed(broker)).toEqual({});
  });

  test('and while it lives, those of topics that none of its consumers subscribes to', async () => {
    const broker = await started();
    await createTopic(broker, 'others');
    await commit(broker, 7);
    const topics = [{ ...commitRequest(8).topics[0]!, name: 'others' }];
    await commit(broker, 8, { topics });
    await stableMember(broker, ['orders']);
    expect(await deleteOffset(broker, 'orders')).toBe('GROUP_SUBSCRIBED_TO_TOPIC');
    expect(await deleteOffset(broker, 'others')).toBe('NONE');
    expect(await committed(broker)).toEqual({ 'orders-0': 7 });
  });

  test('those of a partition that does not exist are none', async () => {
    const broker = await started();
    await commit(broker, 7);
    expect(await deleteOffset(broker, 'order')).toBe('UNKNOWN_TOPIC_OR_PARTITION');
    const partitions = [{ partitionIndex: 0 }, { partitionIndex: 4 }];
    const { topics } = await broker.send('OffsetDelete', { groupId: 'g', topics: [{ name: 'orders', partitions }] });
    expect(topics[0]?.partitions.map(({ errorCode }) => errorName(errorCode))).toEqual([
      'NONE',
      'UNKNOWN_TOPIC_OR_PARTITION',
    ]);
    expect(await committed(broker)).toEqual({});
  });

  test('a coordinator that was deposed in its sleep tells nothing of groups, and deletes and refuses nothing', async () => {
    const asks: readonly ((old: TestBroker) => Promise<unknown>)[] = [
      async (old) => [(await old.send('ListGroups', { statesFilter: [] })).errorCode],
      async (old) => (await old.send('DescribeGroups', { groups: ['g'] })).groups.map((group) => group.errorCode),
      async (old) => (await old.send('DeleteGroups', { groupsNames: ['g'] })).results.map((group) => group.errorCode),
      async (old) => {
        const topics = [{ name: 'orders', partitions: [{ partitionIndex: 1 }] }];
        return [(await old.send('OffsetDelete', { groupId: 'h', topics })).errorCode];
      },
      async (old) => [errorCode(await commit(old, 9, { memberId: 'm', generationIdOrMemberEpoch: 1 }))],
    ];
    for (const ask of asks) {
      const old = await started();
      await commit(old, 7, { groupId: 'h' });
      const next = await startBroker({ disk: old.disk, clock: old.clock });
      await commit(next, 7);
      await next.send('OffsetCommit', { ...commitRequest(8, {}, 1), groupId: 'h' });
      expect(await ask(old)).toEqual([errorCode('NOT_COORDINATOR')]);
      expect(await committed(next)).toEqual({ 'orders-0': 7 });
    }
  });

  test('but none where the members do not say what they subscribe to, or are no consumers', async () => {
    const broker = await started();
    await commit(broker, 7);
    const { memberId } = await stableMember(broker); // its metadata is no subscription
    expect(await deleteOffset(broker)).toBe('GROUP_SUBSCRIBED_TO_TOPIC');
    await broker.send('LeaveGroup', { groupId: 'g', members: [{ memberId, groupInstanceId: null }] });
    await join(broker, { protocolType: 'connect' });
    expect(await deleteOffset(broker)).toBe('NON_EMPTY_GROUP');
    expect(await committed(broker)).toEqual({ 'orders-0': 7 });
  });

  // Goal: what commits leave behind is bounded at every moment, not only in the end. Method: after every 400 of 100,000
  // commits the disk is measured; the roll-up stands in for compaction of __consumer_offsets.
  test('a hundred thousand commits keep the log within twelve thousand records and two megabytes', async () => {
    let broker = await started();
    let most = { bytes: 0, records: 0 };
    const ofFourPartitions = (offset: number): Requests['OffsetCommit'] => {
      const partitions = [0, 1, 2, 3].flatMap(
        (partition) => commitRequest(offset, {}, partition).topics[0]!.partitions,
      );
      return { ...commitRequest(offset), topics: [{ name: 'orders', partitions }] };
    };
    for (let i = 0; i < 25_000; i += 100) {
      const offsets = Array.from({ length: 100 }, (_, j) => i + j + 1);
      await Promise.all(offsets.map((offset) => broker.send('OffsetCommit', ofFourPartitions(offset))));
      if (i === 12_000) broker = await failover(broker); // which counts what it finds
      const log = broker.broker.image.topics.get('__consumer_offsets')?.partitions[0]?.log ?? -1;
      const { logStartOffset, lastOffset = -1 } = await broker.store.ends(log);
      const records = lastOffset + 1 - logStartOffset;
      most = { bytes: Math.max(most.bytes, broker.disk.sizeInBytes), records: Math.max(most.records, records) };
    }
    expect(most.records).toBeGreaterThan(1000); // it was measured
    expect(most.records).toBeLessThan(12_000);
    expect(most.bytes).toBeLessThan(2 * 1024 * 1024);
    const next = await failover(broker);
    const all = [0, 1, 2, 3].map((partition) => [`orders-${partition}`, 25_000]);
    expect(await committed(next)).toEqual(Object.fromEntries(all));
    expect((await storedRecords(next)).length).toBeLessThan(12_000);
  }, 60_000);

  test('the log of a busy group stays short, and says the same', async () => {
    const broker = await started();
    const member = await stableMember(broker);
    const changes = { memberId: member.memberId, generationIdOrMemberEpoch: member.generationId };
    for (let i = 0; i < 10_050; i += 50) {
      await Promise.all(
        Array.from({ length: 50 }, (_, j) => broker.send('OffsetCommit', commitRequest(i + j, changes))),
      );
    }
    await settled();
    expect((await storedRecords(broker)).length).toBeLessThan(200);
    const next = await failover(broker);
    expect(await committed(next)).toEqual({ 'orders-0': 10_049 });
    expect(await beat(next, member)).toBe('NONE');
  });
});

describe('groups', () => {
  test('members go on over a failover: same generation, same assignment, a whole session left', async () => {
    const broker = await started();
    const member = await stableMember(broker);
    await broker.clock.advance(20_000);
    const next = await failover(broker);
    await next.clock.advance(20_000);
    expect(await beat(next, member)).toBe('NONE');
    const request = { groupId: 'g', groupInstanceId: null, assignments: [], ...member };
    expect(text((await next.send('SyncGroup', request)).assignment)).toBe('all');
    await next.clock.advance(31_000);
    expect(await beat(next, member)).toBe('UNKNOWN_MEMBER_ID');
  });

  test('nor is a rebalance timeout that no record can hold any shorter behind it', async () => {
    const broker = await started();
    const changes = { rebalanceTimeoutMs: Number.POSITIVE_INFINITY };
    const { memberId, generationId } = await join(broker, changes);
    const assignments = [{ memberId, assignment: bytes('all') }];
    await broker.send('SyncGroup', { groupId: 'g', generationId, memberId, groupInstanceId: null, assignments });
    const next = await failover(broker);
    const other = join(next, { rebalanceTimeoutMs: 1 });
    await next.clock.advance(20_000);
    await next.send('JoinGroup', joinRequest({ ...changes, memberId }));
    expect(await other).toMatchObject({ errorCode: 0, generationId: generationId + 1, leader: memberId });
  });

  test('what waits is answered when the coordinator closes', async () => {
    const broker = await started();
    await stableMember(broker);
    const joining = join(broker);
    await settled();
    await broker.broker.close();
    expect(errorName((await joining).errorCode)).toBe('NOT_COORDINATOR');
  });

  test('a silent member is removed by the clock alone, and the group is then deletable', async () => {
    const broker = await started();
    const member = await stableMember(broker);
    const remove = async () => {
      const { results } = await broker.send('DeleteGroups', { groupsNames: ['g', 'other'] });
      return results.map(({ errorCode }) => errorName(errorCode));
    };
    await commit(broker, 3, { memberId: member.memberId, generationIdOrMemberEpoch: member.generationId });
    expect(await remove()).toEqual(['NON_EMPTY_GROUP', 'GROUP_ID_NOT_FOUND']);
    await broker.clock.advance(31_000);
    expect((await broker.send('ListGroups', { statesFilter: ['Empty'] })).groups).toEqual([
      { groupId: 'g', protocolType: 'consumer', groupState: 'Empty' },
    ]);
    expect(await remove()).toEqual(['NONE', 'GROUP_ID_NOT_FOUND']);
    const { groups } = await (await failover(broker)).send('DescribeGroups', { groups: ['g'] });
    expect(groups[0]).toMatchObject({ errorCode: 0, groupState: 'Dead', members: [] });
  });

  test('members whose host dies are out at once, also of those that died with the coordinator; static ones are not', async () => {
    const deaths = new Map<string, Deferred<void>>();
    const waited: string[] = [];
    const locks = locksOf((name, signal) => {
      waited.push(name);
      if (!deaths.has(name)) deaths.set(name, deferred());
      return abortable(deaths.get(name)!.promise, signal);
    });
    const broker = await started({}, locks);
    const members = async ({ send }: TestBroker): Promise<string[]> => {
      const { groups } = await send('DescribeGroups', { groups: ['dynamic', 'static'] });
      return groups.map(({ groupState, members: all }) => [groupState, ...all.map((m) => m.clientHost)].join(' '));
    };
    await join(broker, { groupId: 'dynamic', clientHost: '/tabstream/one' });
    const stays = { groupId: 'static', groupInstanceId: 'stays', clientHost: '/tabstream/one' };
    const { memberId, generationId } = await broker.send('JoinGroup', joinRequest(stays));
    await broker.send('SyncGroup', { ...stays, generationId, memberId, assignments: [] });
    expect(waited).toEqual(['tabstream/one']);
    deaths.get('tabstream/one')!.resolve();
    await settled();
    expect(await members(broker)).toEqual(['Empty', 'Stable /tabstream/one']);

    const { memberId: two, generationId: generation } = await join(broker, {
      groupId: 'dynamic',
      clientHost: '/tabstream/two',
    });
    const sync = { groupId: 'dynamic', groupInstanceId: null, generationId: generation, memberId: two };
    await broker.send('SyncGroup', { ...sync, assignments: [] });
    expect(await members(broker)).toEqual(['Stable /tabstream/two', 'Stable /tabstream/one']);
    deaths.set('tabstream/two', deferred()); // the next leader is told
    const successor = await failover(broker, locks);
    expect(await members(successor)).toEqual(['Stable /tabstream/two', 'Stable /tabstream/one']);
    deaths.get('tabstream/two')!.resolve();
    await settled();
    expect(await members(successor)).toEqual(['Empty', 'Stable /tabstream/one']);
    expect(waited).toEqual(['tabstream/one', 'tabstream/two', 'tabstream/two']);
  });

  test('nobody waits for the death of a host without members, nor behind the end', async () => {
    const watched = new Set<string>();
    const locks = locksOf((name, signal) => {
      watched.add(name);
      onAbort(signal, () => watched.delete(name));
      return new Promise(() => {});
    });
    const broker = await started({}, locks);
    await join(broker, { groupId: 'of-old-code', clientHost: '/tab' });
    const { memberId } = await join(broker, { clientHost: '/tabstream/one' });
    await join(broker, { groupId: 'h', clientHost: '/tabstream/two' });
    expect([...watched]).toEqual(['tabstream/one', 'tabstream/two']);
    await broker.send('LeaveGroup', { groupId: 'g', members: [{ memberId, groupInstanceId: null }] });
    expect([...watched]).toEqual(['tabstream/two']);
    await broker.broker.close();
    expect([...watched]).toEqual([]);
  });

  test('a group tells its state, protocol and members', async () => {
    const broker = await started();
    const { memberId } = await stableMember(broker);
    const { groups } = await broker.send('DescribeGroups', { groups: ['g'] });
    expect(groups[0]).toMatchObject({ groupState: 'Stable', protocolType: 'consumer', protocolData: 'range' });
    expect(groups[0]?.members[0]).toMatchObject({ memberId, clientId: 'client', clientHost: 'tab' });
    expect(text(groups[0]?.members[0]?.memberAssignment)).toBe('all');
    expect(text(groups[0]?.members[0]?.memberMetadata)).toBe('topic');
  });

  test('bad group ids and session timeouts are refused', async () => {
    const broker = await started();
    const { errorCode } = await broker.send('JoinGroup', joinRequest({ groupId: '' }));
    expect(errorName(errorCode)).toBe('INVALID_GROUP_ID');
    const short = await broker.send('JoinGroup', joinRequest({ sessionTimeoutMs: 10 }));
    expect(errorName(short.errorCode)).toBe('INVALID_SESSION_TIMEOUT');
    expect(errorName((await broker.send('FindCoordinator', { key: '', keyType: 0 })).errorCode)).toBe(
      'INVALID_GROUP_ID',
    );
    expect(await broker.send('FindCoordinator', { key: 'g', keyType: 0 })).toMatchObject({ errorCode: 0, nodeId: 1 });
    expect(await beat(broker, { memberId: 'nobody', generationId: 1 })).toBe('UNKNOWN_MEMBER_ID');
    expect((await broker.send('ListGroups', { statesFilter: [] })).groups).toEqual([]);
  });

  test('an assignment that could not be stored was not given: the leader tries again', async () => {
    const broker = await started();
    const { memberId, generationId } = await join(broker);
    const request = {
      groupId: 'g',
      groupInstanceId: null,
      memberId,
      generationId,
      assignments: [{ memberId, assignment: bytes('all') }],
    };
    await commit(broker, 1, { groupId: 'other' }); // makes the topic
    broker.disk.failNextAppend();
    expect(errorName((await broker.send('SyncGroup', request)).errorCode)).toBe('COORDINATOR_NOT_AVAILABLE');
    expect((await broker.send('DescribeGroups', { groups: ['g'] })).groups[0]?.groupState).toBe('CompletingRebalance');
    expect(text((await broker.send('SyncGroup', request)).assignment)).toBe('all');
  });

  test('an aborted join rejects with its reason, and its member goes when it is not heard of again', async () => {
    const broker = await started();
    const first = await stableMember(broker);
    const abort = new AbortController();
    const { memberId } = await broker.send('JoinGroup', joinRequest({}));
    const joining = broker.send('JoinGroup', joinRequest({ memberId }), abort.signal);
    await settled();
    abort.abort(new Error('tab closed'));
    await expect(joining).rejects.toThrow('tab closed');
    const again = broker.send('JoinGroup', joinRequest({ memberId: first.memberId }));
    await broker.clock.advance(61_000);
    expect((await again).members.map((member) => member.memberId)).toEqual([first.memberId]);
  });
});

describe('the log of groups', () => {
  test('records are Kafka’s, byte for byte', () => {
    const hex = (value: Uint8Array | null) => (value === null ? null : Buffer.from(value).toString('hex'));
    const commitTimestampMs = 0x0102;
    const value = { offset: 5, leaderEpoch: -1, metadata: 'm', commitTimestampMs };
    const offset = encodeOffsetsRecord({ type: 'OffsetCommit', groupId: 'g', topic: 't', partition: 3, value });
    expect(hex(offset.key)).toBe('0001' + '000167' + '000174' + '00000003');
    expect(hex(offset.value)).toBe('0003' + '0000000000000005' + 'ffffffff' + '00016d' + '0000000000000102');
    const group = encodeOffsetsRecord({
      type: 'GroupMetadata',
      groupId: 'g',
      value: {
        protocolType: 'c',
        generationId: 2,
        protocolName: null,
        leaderId: null,
        currentStateTimestampMs: 1,
        members: [],
      },
    });
    expect(hex(group.key)).toBe('0002' + '000167');
    expect(hex(group.value)).toBe('0003' + '000163' + '00000002' + 'ffff' + 'ffff' + '0000000000000001' + '00000000');
    expect(hex(encodeOffsetsRecord({ type: 'GroupMetadata', groupId: 'g', value: null }).value)).toBeNull();
  });

  // Goal: there is one path to every state. Method: random members of two groups against one coordinator; now and then
  // the log is folded by itself and compared with what the coordinator answers, and a successor takes over.
  test.each(Array.from({ length: 20 }, (_, seed) => seed))('replay equals the live state (seed %i)', async (seed) => {
    const random = seededRandom(seed);
    let broker = await started();
    const members = new Map<string, { memberId: string; generationId: number }>();
    for (let i = 0; i < 60; i++) {
      const groupId = random.below(2) === 0 ? 'g' : 'h';
      const member = members.get(groupId);
      switch (random.below(7)) {
        case 0:
        case 1: {
          if (member !== undefined) break;
          const { memberId, generationId, errorCode } = await join(broker, { groupId });
          if (errorCode !== 0) break;
          const assignments = [{ memberId, assignment: bytes(`all ${i}`) }];
          await broker.send('SyncGroup', { groupId, generationId, memberId, groupInstanceId: null, assignments });
          members.set(groupId, { memberId, generationId });
          break;
        }
        case 2:
        case 3:
        case 4: {
          if (random.below(10) === 0) broker.disk.failNextAppend();
          const claim = { memberId: member?.memberId ?? '', generationIdOrMemberEpoch: member?.generationId ?? -1 };
          await broker.send('OffsetCommit', { ...commitRequest(i, claim, random.below(4)), groupId });
          break;
        }
        case 5:
          if (random.below(2) === 0) await broker.clock.advance(random.below(40_000));
          else if (member !== undefined) {
            const left = [{ memberId: member.memberId, groupInstanceId: null }];
            await broker.send('LeaveGroup', { groupId, members: left });
          }
          if (!(await isMember(broker, groupId, member?.memberId))) members.delete(groupId);
          break;
        default:
          if (random.below(3) === 0) broker = await failover(broker);
      }
      for (const [id, known] of members) if (!(await isMember(broker, id, known.memberId))) members.delete(id);
      await expectReplayEqualsLive(broker);
    }
  });
});

async function isMember(broker: TestBroker, groupId: string, memberId: string | undefined): Promise<boolean> {
  const { groups } = await broker.send('DescribeGroups', { groups: [groupId] });
  return groups[0]?.members.some((member) => member.memberId === memberId) ?? false;
}

async function expectReplayEqualsLive(broker: TestBroker): Promise<void> {
  if (!broker.broker.image.topics.has('__consumer_offsets')) return;
  const records = await storedRecords(broker as TestBroker);
  for (const groupId of ['g', 'h']) {
    const ofGroup = records.filter((record) => record.groupId === groupId);
    const group = applyOffsetsRecords(newGroup(groupId), ofGroup, 0);
    const offsets = recordsOf(group).flatMap((record) =>
      record.type === 'OffsetCommit' && record.value !== null
        ? [[`${record.topic}-${record.partition}`, record.value.offset]]
        : [],
    );
    expect(await committed(broker, groupId)).toEqual(Object.fromEntries(offsets));
    const live = (await broker.send('DescribeGroups', { groups: [groupId] })).groups[0];
    if (live?.groupState !== 'Stable') continue;
    const { state } = group;
    expect([state.phase.name, state.protocolName]).toEqual([live.groupState, live.protocolData]);
    expect([...state.members.values()].map((m) => [m.memberId, text(m.assignment)])).toEqual(
      live.members.map((m) => [m.memberId, text(m.memberAssignment)]),
    );
  }
}

// Goal: a coordinator that is loading has all that was committed, whatever becomes of its log meanwhile, and takes nothing back
// later. Method: at each of the calls that a new leader makes to the store until its groups answer, one by one, something
// else is committed, the log is looked at for damage and mended, or yet another leader takes over.
test.each<{ what: string; change: (broker: TestBroker, at: number) => Promise<unknown> }>([
  { what: 'another group commits', change: (broker) => commit(broker, 5, { groupId: 'h' }) },
  {
    what: 'its log is mended',
    change: ({ send }) =>
      send('CheckLogs', { topics: [{ name: '__consumer_offsets', partitions: [0] }], repair: true }),
  },
  { what: 'another leader takes over', change: ({ disk, clock }) => startBroker({ disk, clock }) },
])('groups are loaded while $what', async ({ what, change }) => {
  for (let calls = 1, isDone = false; !isDone; calls++) {
    const first = await started();
    for (let i = 1; i <= 12; i++) {
      await commit(first, i, { groupId: i % 2 ? 'g' : 'other' });
      await first.send('OffsetCommit', commitRequest(i, {}, 1 + (i % 3)));
    }
    const before = { g: await committed(first), other: await committed(first, 'other') };
    const { disk, clock } = first;
    if (what === 'its log is mended') await damageFirstRow(first);
    await first.broker.close();
    let left = Number.POSITIVE_INFINITY;
    let changed: Promise<unknown> | undefined;
    const next: TestBroker = await startBroker({
      disk,
      clock,
      tamper: (store) =>
        calling(store, async () => {
          if (--left !== 0) return;
          changed = change(next, calls);
          await Promise.race([changed, settled()]);
        }),
    });
    left = calls;
    const asked = await next.send('OffsetFetch', { groupId: 'g', topics: null });
    isDone = left > 0;
    left = Number.POSITIVE_INFINITY;
    expect(isDone && calls < 3).toBe(false); // it did read
    const other = await changed;
    if (what === 'another leader takes over' && other !== undefined) {
      const last = other as TestBroker;
      expect({ g: await committed(last), other: await committed(last, 'other') }).toEqual(before);
      if (asked.errorCode === 0) expect(asked.topics).not.toEqual([]);
      await last.broker.close();
    } else {
      expect(errorName(asked.errorCode)).toBe('NONE');
      expect({ g: await committed(next), other: await committed(next, 'other') }).toEqual(before);
      if (other === 'NONE') expect(await committed(next, 'h')).toEqual({ 'orders-0': 5 });
    }
    await next.broker.close();
  }
});

// Goal: a group is told where commits of it may be lost, for as long as that may be, and then no more. Method: of five commits
// the third is damaged, or all its row is gone, before the next leader reads them.
test.each(['corrupt', 'missing'] as const)('commits that are %s are told of where they may matter', async (reason) => {
  const first = await started();
  for (const [offset, partition] of [
    [1, 0],
    [1, 1],
    [2, 0],
    [1, 2],
    [3, 3],
  ] as const) {
    expect(
      errorName(
        (await first.send('OffsetCommit', commitRequest(offset, {}, partition))).topics[0]!.partitions[0]!.errorCode,
      ),
    ).toBe('NONE');
  }
  await (reason === 'corrupt' ? damageRow(first, 2) : deleteRow(first, 2));
  const next = await failover(first);
  const gapOf = async (partitionIndexes: number[], groupId = 'g'): Promise<unknown> => {
    const topics = [{ name: 'orders', partitionIndexes }];
    return (await next.send('OffsetFetch', { groupId, topics })).gap;
  };
  const gap = { topic: '__consumer_offsets', partition: 0, fromOffset: 2, nextOffset: 3, reason };
  expect(await committed(next)).toEqual({ 'orders-0': 1, 'orders-1': 1, 'orders-2': 1, 'orders-3': 3 });
  expect((await next.send('OffsetFetch', { groupId: 'g', topics: null })).gap).toEqual(gap);
  expect(await gapOf([0])).toEqual(gap);
  expect(await gapOf([2, 3])).toBeUndefined();
  expect(await gapOf([2], 'new')).toEqual(gap); // it may have been lost as a whole
  await commit(next, 3);
  expect(await gapOf([0])).toBeUndefined();
  expect(await gapOf([0, 1])).toEqual(gap);
  await next.broker.close();
});

/** Of what is committed again behind it. */
function damageFirstRow(broker: TestBroker): Promise<void> {
  return damageRow(broker, 0);
}

async function deleteRow({ broker, store }: TestBroker, lastOffset: number): Promise<void> {
  const log = broker.image.topics.get('__consumer_offsets')?.partitions[0]?.log ?? -1;
  await (await store.raw()).apply({ log, deleteChunks: [lastOffset] }, 1);
}

async function damageRow({ broker, store }: TestBroker, offset: number): Promise<void> {
  const log = broker.image.topics.get('__consumer_offsets')?.partitions[0]?.log ?? -1;
  const raw = await store.raw();
  const [row] = await raw.chunks(log, offset, 1);
  const bytes = new Uint8Array(row!.bytes);
  bytes[bytes.length - 1]! ^= 1;
  await raw.apply({ log, putChunks: [{ ...row!, bytes }] }, 1);
}
