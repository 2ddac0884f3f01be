import { deleteRecordsBefore } from '../../log/log-upkeep.js';
import type { PartitionLog } from '../../log/partition-log.js';
import { type ErrorFields, errorFields, ignoreKafkaError, KafkaError, NO_ERROR } from '../../protocol/errors.js';
import type { PartitionGap, Requests, Responses } from '../../protocol/requests.js';
import { GROUP_OFFSETS_TOPIC } from '../../protocol/topic-partition.js';
import { batchesIn } from '../../record/batch-header.js';
import { RecordCursor } from '../../record/record-cursor.js';
import type { Clock, Locks, Random } from '../../runtime/runtime.js';
import type { LogId } from '../../storage/log-store.js';
import { Serial } from '../../util/serial.js';
import { type Deferred, deferred, linkedController, OVER, onAbort } from '../../util/signal.js';
import type { BrokerConfig } from '../broker-config.js';
import { internalBatches } from '../internal-batches.js';
import { FAILED_RESPONSE, type GroupApi } from './group-failures.js';
import {
  applyOffsetsRecords,
  type Group,
  isNothing,
  newGroup,
  recordsOf,
  storedGroup,
  withOffsets,
} from './group-records.js';
import { type CallId, commitError, type GroupEvent, nextDeadlineMs, stepGroup } from './group-state.js';
import {
  assertStorable,
  type CommittedOffset,
  decodeOffsetsRecord,
  encodeOffsetsRecord,
  type OffsetCommitRecord,
  type OffsetsRecord,
} from './offsets-records.js';
import { subscribedTopics } from './subscribed-topics.js';

export interface GroupCoordinatorOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly config: () => BrokerConfig;
  /** The chunks of __consumer_offsets, none where the topic does not exist. Damage is left out; `onGap` hears of it. */
  readonly stored: (onGap: (gap: PartitionGap) => void) => AsyncIterable<Uint8Array>;
  /** The open log of __consumer_offsets, made on first need. */
  readonly openLog: () => Promise<PartitionLog>;
  /** Rejects where a newer leader is in office: what is in memory may be old. */
  readonly verifyLeading: () => Promise<void>;
  /** undefined: there is no such partition. */
  readonly logOf: (topic: string, partition: number) => LogId | undefined;
  /** See `BrokerOptions`. */
  readonly locks?: Locks | undefined;
}

/** A request that comes while the groups are loaded waits that long before it hears COORDINATOR_LOAD_IN_PROGRESS. */
const LOAD_PATIENCE_MS = 1000;
/** If we wake so much too late for a deadline, we were frozen: what lies in our inbox is heard first. */
const FROZEN_MS = 1000;
/** With what a `clientHost` begins that is a slash and a worker's lock. */
const LOCK_HOST = '/tabstream/';
/** After a failed append, before its deadline is tried again. */
const RETRY_MS = 1000;
/** The log is written anew once it holds that many records, and that many times as many as it needs. */
const ROLL_UP_RECORDS = 10_000;
const ROLL_UP_FACTOR = 4;

/** A sleeper that wakes must not send readers back. */
const READS: ReadonlySet<GroupApi> = new Set<GroupApi>(['OffsetFetch', 'ListGroups', 'DescribeGroups']);

interface Entry {
  group: Group;
  /** All changes of the group, in order. */
  readonly serial: Serial;
  /** Given to the serial and not yet done. */
  jobCount: number;
  /** No Tick before that: the last one failed. */
  notBeforeMs: number;
}

type Answer = Deferred<Responses[keyof Responses]>;

/**
 * The groups and their committed offsets. Decide → append to __consumer_offsets → apply → answer, one change at a time
 * for each group; to take over is to apply the log. One loop sleeps until the nearest deadline of all groups.
 *
 * Errors are Kafka's, in the responses. A change whose append failed did not happen.
 */
export class GroupCoordinator {
  readonly #options: GroupCoordinatorOptions;
  readonly #entries: Map<string, Entry> = new Map();
  readonly #calls: Map<CallId, Answer> = new Map();
  readonly #closing: AbortController = new AbortController();
  #lastCall: CallId = 0;
  #loading: Promise<void> | undefined;
  /** Runs from when the groups are loaded. */
  #loop: Promise<void> | undefined;
  #wake: AbortController = new AbortController();
  #wakeAtMs = 0;
  /** Whose death is waited for: members live there. */
  readonly #watched: Map<string, AbortController> = new Map();
  /** The last that was met while the groups were read, and what had been committed before it: newer commits may be lost. */
  #gap: Responses['OffsetFetch']['gap'];
  readonly #beforeGap: WeakSet<CommittedOffset> = new WeakSet();
  /** Records in the log since it was last rolled up. */
  #recordCount = 0;
  #rollUpAtCount = ROLL_UP_RECORDS;
  #rollingUp: Promise<void> | undefined;

  constructor(options: GroupCoordinatorOptions) {
    this.#options = options;
  }

  /** Reads the groups, if that has not begun; rejects where it failed, and then the next call begins anew. */
  load(): Promise<void> {
    this.#loading ??= this.#load().catch((error: unknown) => {
      this.#loading = undefined;
      throw error;
    });
    return this.#loading;
  }

  /** Answers one request. Rejects only with the signal's reason. */
  async handle<A extends GroupApi>(api: A, request: Requests[A], signal?: AbortSignal): Promise<Responses[A]> {
    try {
      await this.#loaded(signal);
      if (READS.has(api)) await this.#options.verifyLeading();
      return await (this.#handlers[api] as Handler<A>)(request, signal);
    } catch (error) {
      if (!(error instanceof KafkaError)) throw error;
      return FAILED_RESPONSE[api](request, errorFields(asCoordinatorError(error)));
    }
  }

  /** Forgets what was committed for those of the topics that are gone, and by then not made anew. */
  async topicsDeleted(topics: ReadonlySet<string>): Promise<void> {
    await this.load();
    const isGone = (topic: string): boolean => topics.has(topic) && !this.#exists(topic);
    const affected = [...this.#entries.values()].filter(({ group }) => [...group.offsets.keys()].some(isGone));
    await Promise.all(
      affected.map(({ group }) =>
        this.#inTurn(group.state.groupId, (entry) => this.#deleteOffsets(entry, ({ topic }) => isGone(topic))),
      ),
    );
  }

  /**
   * Drops offsets that nobody has used for `offsets.retention.minutes`, and groups of which nothing is left. A group that
   * lives uses those of the topics that it subscribes to.
   */
  async expireOffsets(): Promise<void> {
    await this.load();
    const retentionMs = this.#options.config().offsetsRetentionMinutes * 60_000;
    for (const groupId of [...this.#entries.keys()]) {
      await this.#inTurn(groupId, async (entry) => {
        const { state, stored } = entry.group;
        const expiredMs = this.#options.clock.wallMs() - retentionMs;
        if (state.phase.name === 'Stable' && state.protocolType === 'consumer') {
          const used = subscribedTopics(state);
          const isUnused = (topic: string): boolean => used?.has(topic) === false;
          await this.#deleteOffsets(
            entry,
            ({ topic, value }) => isUnused(topic) && value.commitTimestampMs <= expiredMs,
          );
        }
        if (state.phase.name !== 'Empty' || state.pendingMembers.size > 0) return;
        const emptySinceMs = stored?.currentStateTimestampMs ?? 0;
        await this.#deleteOffsets(entry, ({ value }) => Math.max(value.commitTimestampMs, emptySinceMs) <= expiredMs);
        if (isNothing(entry.group)) return; // all there was, or deleted meanwhile
        if (entry.group.offsets.size === 0 && emptySinceMs <= expiredMs) await this.#deleteGroup(entry);
      });
    }
  }

  /** All that waits is answered NOT_COORDINATOR; resolves once nothing is in flight. */
  async close(): Promise<void> {
    const reason = new KafkaError('NOT_COORDINATOR', 'the coordinator of this host was closed');
    this.#closing.abort(reason);
    for (const answer of this.#calls.values()) answer.reject(reason);
    await this.#loading?.catch(ignore);
    await this.#loop;
    await Promise.all([...this.#entries.values()].map(({ serial }) => serial.idle()));
    await this.#rollingUp;
  }

  // ---------------------------------------------------------------- membership

  readonly #handlers: { readonly [A in GroupApi]: Handler<A> } = {
    JoinGroup: (request, signal) => {
      const { groupMinSessionTimeoutMs: least, groupMaxSessionTimeoutMs: most } = this.#options.config();
      const { sessionTimeoutMs, groupInstanceId, clientId } = request;
      if (!(sessionTimeoutMs >= least && sessionTimeoutMs <= most)) {
        const text = `session timeout: expected ${least} to ${most} ms, found ${sessionTimeoutMs}`;
        throw new KafkaError('INVALID_SESSION_TIMEOUT', text);
      }
      const newMemberId = `${groupInstanceId ?? clientId}-${this.#options.random.uuid()}`;
      // Before others join as well: a generation that cannot be stored is none.
      const protocols = request.protocols.map(({ name }) => name);
      assertStorable([request.groupId, clientId, newMemberId, request.protocolType, ...protocols]);
      return this.#ask<'JoinGroup'>(request, signal, (call) => ({ type: 'JoinGroup', call, request, newMemberId }));
    },
    SyncGroup: (request, signal) =>
      this.#ask<'SyncGroup'>(request, signal, (call) => ({ type: 'SyncGroup', call, request })),
    Heartbeat: (request, signal) =>
      this.#ask<'Heartbeat'>(request, signal, (call) => ({ type: 'Heartbeat', call, request })),
    LeaveGroup: (request, signal) =>
      this.#ask<'LeaveGroup'>(request, signal, (call) => ({ type: 'LeaveGroup', call, request })),
    OffsetCommit: (request) => this.#commit(request),
    OffsetFetch: async (request) => this.#fetch(request),
    OffsetDelete: (request) => this.#deleteRequested(request),
    ListGroups: async ({ statesFilter }) => {
      const groups = this.#known().map(({ state: { groupId, protocolType, phase } }) => {
        return { groupId, protocolType: protocolType ?? '', groupState: phase.name };
      });
      const wanted = groups.filter(({ groupState }) => statesFilter.length === 0 || statesFilter.includes(groupState));
      return { ...NO_ERROR, groups: wanted };
    },
    DescribeGroups: async ({ groups }) => ({ groups: groups.map((groupId) => this.#describe(groupId)) }),
    DeleteGroups: async ({ groupsNames }) => {
      const results = [...new Set(groupsNames)].map(async (groupId) => {
        try {
          await this.#inTurn(groupId, async (entry) => {
            await this.#options.verifyLeading(); // it may refuse
            await this.#deleteGroup(entry);
          });
          return { groupId, ...NO_ERROR };
        } catch (error) {
          return { groupId, ...errorFields(asCoordinatorError(error)) };
        }
      });
      return { results: await Promise.all(results) };
    },
  };

  /** Puts a request to the group's machine and waits for its answer, which may come with a later event. */
  async #ask<A extends GroupApi>(
    { groupId }: { readonly groupId: string },
    signal: AbortSignal | undefined,
    eventOf: (call: CallId) => GroupEvent,
  ): Promise<Responses[A]> {
    assertGroupId(groupId);
    const call = ++this.#lastCall;
    const answer: Answer = deferred();
    this.#calls.set(call, answer);
    this.#inTurn(groupId, (entry) => this.#step(entry, eventOf(call))).catch(answer.reject);
    const drop = onAbort(signal, () => {
      answer.reject(signal?.reason);
      this.#inTurn(groupId, (entry) => this.#step(entry, { type: 'CallEnded', call })).catch(ignore);
    });
    try {
      return (await answer.promise) as Responses[A]; // the machine answers a call with its own API's response
    } finally {
      drop();
      this.#calls.delete(call);
    }
  }

  async #step(entry: Entry, event: GroupEvent): Promise<void> {
    const { clock, config } = this.#options;
    const { groupInitialRebalanceDelayMs: initialRebalanceDelayMs } = config();
    const { state, effects } = stepGroup(entry.group.state, event, {
      nowMs: clock.monotonicMs(),
      initialRebalanceDelayMs,
    });
    let { stored } = entry.group;
    if (effects.some(({ type }) => type === 'Store')) {
      stored = storedGroup(state, clock.wallMs());
      await this.#append([{ type: 'GroupMetadata', groupId: state.groupId, value: stored }]);
    }
    entry.group = { ...entry.group, state, stored };
    for (const effect of effects) if (effect.type === 'Reply') this.#calls.get(effect.call)?.resolve(effect.response);
    this.#wakeBefore(tickTimeMs(entry));
    if (event.type !== 'Heartbeat' && event.type !== 'MemberCommitted') this.#watchHosts();
  }

  #describe(groupId: string): Responses['DescribeGroups']['groups'][number] {
    const group = this.#entries.get(groupId)?.group;
    if (group === undefined || isNothing(group)) {
      return { ...NO_ERROR, groupId, groupState: 'Dead', protocolType: '', protocolData: '', members: [] };
    }
    const { phase, protocolType, protocolName, members } = group.state;
    const stable = phase.name === 'Stable';
    return {
      ...NO_ERROR,
      groupId,
      groupState: phase.name,
      protocolType: protocolType ?? '',
      protocolData: (stable && protocolName) || '',
      members: [...members.values()].map(
        ({ memberId, groupInstanceId, clientId, clientHost, protocols, assignment }) => {
          const metadata = protocols.find(({ name }) => name === protocolName)?.metadata;
          return {
            ...{ memberId, groupInstanceId, clientId, clientHost },
            memberMetadata: (stable && metadata) || NO_BYTES,
            memberAssignment: stable ? assignment : NO_BYTES,
          };
        },
      ),
    };
  }

  // ---------------------------------------------------------------- offsets

  async #commit(request: Requests['OffsetCommit']): Promise<Responses['OffsetCommit']> {
    assertGroupId(request.groupId);
    return this.#inTurn(request.groupId, async (entry) => {
      const refused = commitError(isNothing(entry.group) ? undefined : entry.group.state, request);
      const commitTimestampMs = this.#options.clock.wallMs();
      const records: OffsetCommitRecord[] = [];
      const topics = request.topics.map(({ name, partitions }) => ({
        name,
        partitions: partitions.map((partition) => {
          const error = this.#offsetError(name, partition);
          if (error !== undefined) return { partitionIndex: partition.partitionIndex, ...errorFields(error) };
          records.push(commitRecord(request.groupId, name, partition, commitTimestampMs));
          return { partitionIndex: partition.partitionIndex, ...NO_ERROR };
        }),
      }));
      // Nor must it refuse what it has slept through.
      if (refused !== undefined || records.length === 0) await this.#options.verifyLeading();
      if (refused !== undefined) throw refused;
      await this.#appendOffsets(entry, records);
      await this.#step(entry, { type: 'MemberCommitted', memberId: request.memberId });
      return { topics };
    });
  }

  #offsetError(topic: string, partition: CommitPartition): KafkaError | undefined {
    const { partitionIndex, committedOffset, committedMetadata, log } = partition;
    const name = `${topic}-${partitionIndex}`;
    const found = this.#options.logOf(topic, partitionIndex);
    if (found === undefined) return noPartition(topic, partitionIndex);
    if (log !== undefined && log !== found) {
      return new KafkaError(
        'UNKNOWN_TOPIC_ID',
        `${name} was made anew: expected an offset of log ${found}, found ${log}`,
      );
    }
    if (!Number.isSafeInteger(committedOffset) || committedOffset < 0) {
      return new KafkaError('INVALID_REQUEST', `${name}: expected an offset of at least 0, found ${committedOffset}`);
    }
    const { offsetMetadataMaxBytes: most } = this.#options.config();
    const length = committedMetadata?.length ?? 0;
    if (length <= most) return undefined;
    const text = `${name}: expected offset metadata of at most ${most} characters, found ${length}`;
    return new KafkaError('OFFSET_METADATA_TOO_LARGE', text);
  }

  #fetch({ groupId, topics }: Requests['OffsetFetch']): Responses['OffsetFetch'] {
    assertGroupId(groupId);
    const committed = this.#entries.get(groupId)?.group.offsets ?? (new Map() as Group['offsets']);
    // Those of a deleted topic are forgotten a little later.
    const offsets = new Map([...committed].filter(([name]) => this.#exists(name)));
    const wanted = topics ?? [...offsets].map(([name, ofTopic]) => ({ name, partitionIndexes: [...ofTopic.keys()] }));
    let gap: Responses['OffsetFetch']['gap'];
    const answered = wanted.map(({ name, partitionIndexes }) => ({
      name,
      partitions: partitionIndexes.map((partitionIndex) => {
        const found = offsets.get(name)?.get(partitionIndex);
        if (found === undefined || this.#beforeGap.has(found)) gap = this.#gap;
        return {
          partitionIndex,
          ...NO_ERROR,
          committedOffset: found?.offset ?? -1,
          committedLeaderEpoch: found?.leaderEpoch ?? -1,
          metadata: found?.metadata ?? '',
          log: this.#options.logOf(name, partitionIndex),
        };
      }),
    }));
    return { ...NO_ERROR, gap: topics === null ? this.#gap : gap, topics: answered };
  }

  #exists(topic: string): boolean {
    return this.#options.logOf(topic, 0) !== undefined;
  }

  #deleteRequested({ groupId, topics }: Requests['OffsetDelete']): Promise<Responses['OffsetDelete']> {
    assertGroupId(groupId);
    return this.#inTurn(groupId, async (entry) => {
      await this.#options.verifyLeading(); // there may be nothing to write
      const { state } = entry.group;
      const lives = state.phase.name !== 'Empty' && state.protocolType === 'consumer';
      if (!lives) assertDeletable(entry.group);
      const used = lives ? subscribedTopics(state) : new Set<string>();
      const isUsed = (topic: string): boolean => used?.has(topic) ?? true;
      const wanted = new Map(
        topics.map(({ name, partitions }) => [name, new Set(partitions.map((p) => p.partitionIndex))]),
      );
      await this.#deleteOffsets(
        entry,
        ({ topic, partition }) => !isUsed(topic) && (wanted.get(topic)?.has(partition) ?? false),
      );
      const outcome = (name: string, partition: number): ErrorFields => {
        if (this.#options.logOf(name, partition) === undefined) return errorFields(noPartition(name, partition));
        if (!isUsed(name)) return NO_ERROR;
        const text = `group ${groupId} is ${state.phase.name}, and subscribes to topic ${name} as far as is known`;
        return errorFields(new KafkaError('GROUP_SUBSCRIBED_TO_TOPIC', text));
      };
      return {
        ...NO_ERROR,
        topics: topics.map(({ name, partitions }) => ({
          name,
          partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, ...outcome(name, partitionIndex) })),
        })),
      };
    });
  }

  async #deleteOffsets(entry: Entry, doomed: (record: LiveOffset) => boolean): Promise<void> {
    const records = recordsOf(entry.group).filter((record): record is LiveOffset => record.type === 'OffsetCommit');
    await this.#appendOffsets(
      entry,
      records.filter(doomed).map((record) => ({ ...record, value: null })),
    );
  }

  /** In turn: appends, then applies. */
  async #appendOffsets(entry: Entry, records: readonly OffsetCommitRecord[]): Promise<void> {
    if (records.length === 0) return;
    await this.#append(records);
    entry.group = withOffsets(entry.group, records);
  }

  /** In turn. @throws KafkaError NON_EMPTY_GROUP, GROUP_ID_NOT_FOUND */
  async #deleteGroup(entry: Entry): Promise<void> {
    assertDeletable(entry.group);
    await this.#append(recordsOf(entry.group).map((record) => ({ ...record, value: null })));
    entry.group = newGroup(entry.group.state.groupId); // whoever waits for its turn begins another
  }

  // ---------------------------------------------------------------- the log

  async #append(records: readonly OffsetsRecord[]): Promise<void> {
    if (records.length === 0) return;
    this.#closing.signal.throwIfAborted();
    const timestampMs = this.#options.clock.wallMs();
    const batches = internalBatches(records.map((record) => ({ ...encodeOffsetsRecord(record), timestampMs })));
    await (await this.#options.openLog()).append(batches, 'coordinator');
    this.#recordCount += records.length;
    if (this.#recordCount < this.#rollUpAtCount) return;
    this.#rollingUp ??= this.#rollUp().finally(() => (this.#rollingUp = undefined));
  }

  /**
   * Keeps the log short, until compaction does: every group is written anew, each in its turn, behind where the log
   * ends now; then what is before goes.
   */
  async #rollUp(): Promise<void> {
    let needed = 0;
    for (const { group } of this.#entries.values()) needed += recordsOf(group).length;
    const countBefore = this.#recordCount;
    this.#rollUpAtCount = Math.max(ROLL_UP_RECORDS, ROLL_UP_FACTOR * needed);
    if (countBefore < this.#rollUpAtCount) return;
    try {
      const log = await this.#options.openLog();
      const { logEndOffset } = log;
      for (const groupId of [...this.#entries.keys()]) {
        await this.#inTurn(groupId, (entry) => this.#append(recordsOf(entry.group)));
      }
      await deleteRecordsBefore(log, logEndOffset);
      this.#recordCount -= countBefore;
    } catch (error) {
      if (!(error instanceof KafkaError)) throw error; // else nothing is lost, and a later append tries again
      this.#rollUpAtCount = 2 * countBefore;
    }
  }

  async #load(): Promise<void> {
    const nowMs = this.#options.clock.monotonicMs();
    const groups = new Map<string, Group>();
    let count = 0;
    const onGap = (gap: PartitionGap): void => {
      this.#gap = { topic: GROUP_OFFSETS_TOPIC, partition: 0, ...gap };
      for (const { offsets } of groups.values())
        for (const ofTopic of offsets.values()) for (const offset of ofTopic.values()) this.#beforeGap.add(offset);
    };
    for await (const chunk of this.#options.stored(onGap)) {
      this.#closing.signal.throwIfAborted();
      const byGroup = new Map<string, OffsetsRecord[]>();
      for (const { at } of batchesIn(chunk)) {
        const cursor = new RecordCursor(chunk, at);
        while (cursor.next()) {
          count++;
          const record = decodeOffsetsRecord(cursor.key(), cursor.value());
          if (record === undefined) continue;
          const records = byGroup.get(record.groupId) ?? [];
          byGroup.set(record.groupId, records);
          records.push(record);
        }
      }
      for (const [groupId, records] of byGroup)
        groups.set(groupId, applyOffsetsRecords(groups.get(groupId) ?? newGroup(groupId), records, nowMs));
    }
    for (const [groupId, group] of groups) if (!isNothing(group)) this.#entries.set(groupId, newEntry(group));
    this.#recordCount = count;
    this.#loop = this.#keepDeadlines();
    this.#watchHosts();
  }

  async #loaded(signal: AbortSignal | undefined): Promise<void> {
    this.#closing.signal.throwIfAborted();
    if (this.#loop !== undefined) return;
    const patience = linkedController(signal, this.#closing.signal);
    try {
      const tooLong = this.#options.clock.sleep(LOAD_PATIENCE_MS, patience.signal).then(() => {
        throw new KafkaError('COORDINATOR_LOAD_IN_PROGRESS', 'the groups are being read from __consumer_offsets');
      });
      await Promise.race([this.load(), tooLong]);
    } finally {
      patience.abort();
    }
    this.#closing.signal.throwIfAborted();
  }

  // ---------------------------------------------------------------- turns and deadlines

  /** Runs a job on a group after all earlier ones; a group of which nothing is left is forgotten with the last. */
  async #inTurn<T>(groupId: string, job: (entry: Entry) => Promise<T>): Promise<T> {
    let entry = this.#entries.get(groupId);
    if (entry === undefined) {
      entry = newEntry(newGroup(groupId));
      this.#entries.set(groupId, entry);
    }
    const own = entry;
    own.jobCount++;
    try {
      return await own.serial.run(() => job(own));
    } finally {
      own.jobCount--;
      if (own.jobCount === 0 && isNothing(own.group)) this.#entries.delete(groupId);
    }
  }

  async #keepDeadlines(): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#closing;
    while (!signal.aborted) {
      this.#wakeAtMs = Math.min(...[...this.#entries.values()].map(tickTimeMs));
      this.#wake = linkedController(signal);
      const waitMs = Math.min(this.#wakeAtMs - clock.monotonicMs(), LONGEST_SLEEP_MS);
      if (waitMs > 0 && !(await slept(clock, waitMs, this.#wake))) continue;
      if (clock.monotonicMs() - this.#wakeAtMs > FROZEN_MS) await slept(clock, FROZEN_MS, linkedController(signal));
      const nowMs = clock.monotonicMs();
      const due = [...this.#entries.values()].filter((entry) => tickTimeMs(entry) <= nowMs);
      await Promise.all(due.map((entry) => this.#tick(entry)));
    }
  }

  /** Waits for the lock of each worker in which a member lives, and of no other: a frozen one holds it. */
  #watchHosts(): void {
    const { locks } = this.#options;
    if (locks === undefined || this.#closing.signal.aborted) return;
    const hosts = new Set([...this.#entries.values()].flatMap(({ group }) => [...hostsOf(group)]));
    for (const [host, watch] of this.#watched) if (!hosts.has(host)) watch.abort(OVER);
    for (const host of hosts) {
      if (this.#watched.has(host)) continue;
      const watch = linkedController(this.#closing.signal);
      this.#watched.set(host, watch);
      onAbort(watch.signal, () => this.#watched.delete(host));
      locks.hold(host.slice(1), { signal: watch.signal, shared: true }).then(
        (lock) => {
          lock.release();
          return this.#hostDied(host).finally(() => watch.abort(OVER)); // to be watched again, should that fail
        },
        () => watch.abort(OVER),
      );
    }
  }

  async #hostDied(clientHost: string): Promise<void> {
    const affected = [...this.#entries.values()].filter(({ group }) => hostsOf(group).has(clientHost));
    const removed = affected.map(({ group }) =>
      this.#inTurn(group.state.groupId, (entry) => this.#step(entry, { type: 'HostDied', clientHost })),
    );
    await Promise.all(removed).catch(ignoreKafkaError); // else their sessions end by themselves
  }

  async #tick({ group }: Entry): Promise<void> {
    await this.#inTurn(group.state.groupId, async (entry) => {
      try {
        await this.#step(entry, { type: 'Tick' });
      } catch (error) {
        if (!(error instanceof KafkaError)) throw error;
        entry.notBeforeMs = this.#options.clock.monotonicMs() + RETRY_MS;
      }
    });
  }

  #wakeBefore(timeMs: number): void {
    if (timeMs < this.#wakeAtMs) this.#wake.abort();
  }

  #known(): Group[] {
    return [...this.#entries.values()].map(({ group }) => group).filter((group) => !isNothing(group));
  }
}

type Handler<A extends GroupApi> = (request: Requests[A], signal?: AbortSignal) => Promise<Responses[A]>;
type LiveOffset = OffsetCommitRecord & { readonly value: CommittedOffset };
type CommitPartition = Requests['OffsetCommit']['topics'][number]['partitions'][number];

const NO_BYTES = new Uint8Array();
/** Timers take 31 bits of milliseconds. */
const LONGEST_SLEEP_MS = 2 ** 31 - 1;

function newEntry(group: Group): Entry {
  return { group, serial: new Serial(), jobCount: 0, notBeforeMs: 0 };
}

/** In which somebody lives who is removed when it dies. Members of before workers were named live anywhere. */
function hostsOf({ state: { members, pendingMembers } }: Group): Set<string> {
  const dynamic = [...members.values()].filter(({ groupInstanceId }) => groupInstanceId === null);
  const hosts = [...dynamic, ...pendingMembers.values()].map(({ clientHost }) => clientHost);
  return new Set(hosts.filter((host) => host.startsWith(LOCK_HOST)));
}

function tickTimeMs({ group, notBeforeMs }: Entry): number {
  return Math.max(notBeforeMs, nextDeadlineMs(group.state) ?? Number.POSITIVE_INFINITY);
}

/** False where it was woken before. */
async function slept(clock: Clock, ms: number, wake: AbortController): Promise<boolean> {
  try {
    await clock.sleep(ms, wake.signal);
    return true;
  } catch {
    return false;
  } finally {
    wake.abort(); // drops its listener on the closing signal
  }
}

function commitRecord(
  groupId: string,
  topic: string,
  { partitionIndex, committedOffset, committedLeaderEpoch, committedMetadata }: CommitPartition,
  commitTimestampMs: number,
): OffsetCommitRecord {
  const metadata = committedMetadata ?? '';
  const value = { offset: committedOffset, leaderEpoch: committedLeaderEpoch, metadata, commitTimestampMs };
  return { type: 'OffsetCommit', groupId, topic, partition: partitionIndex, value };
}

function noPartition(topic: string, partition: number): KafkaError {
  return new KafkaError('UNKNOWN_TOPIC_OR_PARTITION', `partition ${topic}-${partition} does not exist`);
}

function assertGroupId(groupId: string): void {
  if (typeof groupId === 'string' && groupId !== '') return;
  throw new KafkaError(
    'INVALID_GROUP_ID',
    `group id: expected a text that is not empty, found ${JSON.stringify(groupId)}`,
  );
}

function assertDeletable(group: Group): void {
  const { groupId, phase } = group.state;
  if (isNothing(group)) throw new KafkaError('GROUP_ID_NOT_FOUND', `group ${JSON.stringify(groupId)} does not exist`);
  if (phase.name === 'Empty') return;
  throw new KafkaError('NON_EMPTY_GROUP', `group ${groupId} is ${phase.name}, expected one without members`);
}

/** What a client should make of a failed append: look for the coordinator again, or wait. */
function asCoordinatorError(error: unknown): unknown {
  if (!(error instanceof KafkaError)) return error;
  switch (error.type) {
    case 'NOT_LEADER_OR_FOLLOWER':
    case 'FENCED_LEADER_EPOCH':
      return new KafkaError('NOT_COORDINATOR', `this host no longer leads: ${error.message}`, { cause: error });
    case 'KAFKA_STORAGE_ERROR':
      return new KafkaError('COORDINATOR_NOT_AVAILABLE', error.message, { cause: error });
    default:
      return error;
  }
}

function ignore(): void {}
