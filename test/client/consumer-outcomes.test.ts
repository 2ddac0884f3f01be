import { expect, test } from 'vitest';
import { STATIC_CLIENT_PARTS } from '../../src/client/static-client-parts.js';
import {
  type Consumer,
  type ConsumerRunConfig,
  type EachBatchPayload,
  type EachMessagePayload,
  KafkaJSError,
  kafkaOn,
  logLevel,
} from '../../src/index.js';
import { KafkaError } from '../../src/protocol/errors.js';
import type { RequestChannel } from '../../src/protocol/request-channel.js';
import type {
  HeartbeatResponse,
  JoinGroupResponse,
  OffsetCommitRequest,
  OffsetCommitResponse,
  OffsetFetchResponse,
  SyncGroupRequest,
} from '../../src/protocol/requests.js';
import { type TopicPartition, topicPartitionText } from '../../src/protocol/topic-partition.js';
import { countingRuntime } from '../../src/runtime/counting-runtime.js';
import { inProcessRuntime } from '../../src/runtime/node-runtime.js';
import type { Random } from '../../src/runtime/runtime.js';
import { seededRandom } from '../../src/runtime/seeded-random.js';
import { InProcessCluster } from '../../src/testing/index.js';

const GROUP_APIS: ReadonlySet<string> = new Set(['OffsetCommit', 'OffsetFetch', 'Heartbeat', 'JoinGroup', 'SyncGroup']);
const RETRY = { initialRetryTime: 1, maxRetryTime: 2 };
const BROKER = { 'group.initial.rebalance.delay.ms': '0', 'group.min.session.timeout.ms': '10' };
/** How often a request or its answer is lost. */
const FAULTS = [0, 0.1, 0.3];
/** So long a group waits for members whose answers were lost. */
const REBALANCE_TIMEOUT_MS = 80;
const STEPS = 80;

/** What a member was given at one time, and how far it is. */
interface Assignment {
  readonly generationId: number;
  /** Where the next record of a partition may be. */
  readonly expected: Map<string, readonly number[]>;
  /** What the member has to commit. */
  readonly resolved: Map<string, number>;
  readonly committed: Map<string, number>;
  /** How often it was sought in a partition. */
  readonly seeks: Map<string, number>;
  /** The last commit did not come through. */
  isCommitInDoubt: boolean;
  /** The coordinator has said that it is somebody else's. */
  isLost: boolean;
}

/** What became of all records, whoever had them. */
class Ledger {
  readonly problems: string[] = [];
  /** By `topicPartitionText`: where the log ends. */
  readonly ends = new Map<string, number>();
  readonly #processed = new Map<string, Set<number>>();
  readonly #passed = new Map<string, Set<number>>();
  readonly #owners = new Map<string, unknown>();

  process(key: string, offset: number): void {
    setOf(this.#processed, key).add(offset);
  }

  /** Somebody goes on there, without what is before. */
  passTo(key: string, position: number): void {
    for (const offset of this.missing(key, position)) setOf(this.#passed, key).add(offset);
  }

  /** What before that is neither processed nor passed over. */
  missing(key: string, end = this.ends.get(key)!): number[] {
    const processed = setOf(this.#processed, key);
    const passed = setOf(this.#passed, key);
    return Array.from({ length: end }, (_, i) => i).filter((offset) => !processed.has(offset) && !passed.has(offset));
  }

  own(key: string, generationId: number, owner: unknown): void {
    const known = this.#owners.get(`${generationId} ${key}`) ?? owner;
    this.#owners.set(`${generationId} ${key}`, known);
    if (known !== owner) this.problems.push(`${key} has two owners in generation ${generationId}`);
  }
}

function setOf(map: Map<string, Set<number>>, key: string): Set<number> {
  const known = map.get(key) ?? new Set();
  map.set(key, known);
  return known;
}

/** Between two turns of what a test does, others get some, or none. */
async function turns(random: Random): Promise<void> {
  if (random.next() < 0.6) return;
  for (let turn = random.below(4); turn > 0; turn--) await new Promise(setImmediate);
}

interface MemberOptions {
  readonly cluster: InProcessCluster;
  readonly random: Random;
  readonly ledger: Ledger;
  readonly instanceId: string | undefined;
  readonly topics: readonly string[];
  /** Nothing fails, and every record is processed. */
  readonly isCalm: boolean;
}

/** A consumer that does random things to itself, and what it must see meanwhile. */
class Member {
  readonly #options: MemberOptions;
  readonly #consumer: Consumer;
  readonly #config: ConsumerRunConfig;
  readonly #fetched = new Map<string, number>();
  readonly #sought = new Map<string, number>();
  readonly #paused = new Set<string>();
  readonly #honours: boolean;
  readonly #mayThrow: boolean;
  #isStopping = false;
  #generationId = -1;
  #assignment: Assignment | undefined;
  readonly #subscribed: Set<string>;

  constructor(options: MemberOptions) {
    this.#options = options;
    const { cluster, random, isCalm, instanceId, ledger } = options;
    this.#subscribed = new Set(options.topics);
    const faults = isCalm ? 0 : FAULTS[random.below(FAULTS.length)]!;
    const retries = isCalm ? 5 : 1 + random.below(5);
    const Kafka = kafkaOn({
      runtime: cluster.runtime,
      parts: STATIC_CLIENT_PARTS,
      connect: async () => this.#watched(await cluster.connect(), faults),
    });
    this.#consumer = new Kafka({ logLevel: logLevel.NOTHING, retry: { ...RETRY, retries } }).consumer({
      groupId: 'g',
      heartbeatInterval: 10 + random.below(20),
      rebalanceTimeout: REBALANCE_TIMEOUT_MS,
      ...(!isCalm && random.next() < 0.3 && { sessionTimeout: 30 + random.below(100) }),
      maxWaitTimeInMs: 5 + random.below(20),
      ...(random.next() < 0.4 && { maxBytes: 200 + random.below(500) }),
      ...(random.next() < 0.4 && { maxBytesPerPartition: 100 + random.below(500) }),
      ...(instanceId !== undefined && { groupInstanceId: instanceId }),
    });
    const { events } = this.#consumer;
    this.#consumer.on(events.GROUP_JOIN, ({ payload }) => this.#joined(payload.memberAssignment));
    this.#consumer.on(events.CRASH, ({ payload: { error, restart } }) => {
      if (!restart && !this.#isStopping && !(error.cause instanceof TypeError))
        ledger.problems.push(`crashed for good: ${error.stack}`);
    });
    this.#honours = random.next() < 0.7;
    this.#mayThrow = !isCalm && random.next() < 0.6;
    const isBatch = random.next() < 0.5;
    this.#config = {
      autoCommit: isCalm || random.next() < 0.7,
      partitionsConsumedConcurrently: 1 + random.below(3),
      ...(random.next() < 0.3 && { autoCommitThreshold: 1 + random.below(4) }),
      ...(random.next() < 0.3 && { autoCommitInterval: 1 + random.below(5) }),
      ...(isBatch
        ? {
            eachBatchAutoResolve: random.next() < 0.6,
            eachBatch: (payload: EachBatchPayload) => this.#eachBatch(payload),
          }
        : { eachMessage: (payload: EachMessagePayload) => this.#eachMessage(payload) }),
    };
  }

  async start(): Promise<void> {
    await this.subscribe([...this.#subscribed]);
    await this.run();
  }

  async subscribe(topics: readonly string[]): Promise<void> {
    for (const topic of topics) this.#subscribed.add(topic);
    await this.#consumer.subscribe({ topics, fromBeginning: true });
  }

  run(): Promise<void> {
    this.#isStopping = false;
    return this.#consumer.run(this.#config);
  }

  async stop(): Promise<void> {
    await this.#end(() => this.#consumer.stop());
  }

  async disconnect(): Promise<void> {
    await this.#end(() => this.#consumer.disconnect());
  }

  async #end(end: () => Promise<void>): Promise<void> {
    this.#isStopping = true;
    const startedMs = performance.now();
    await end();
    // On a slow machine handlers may have been given up.
    if (performance.now() - startedMs < REBALANCE_TIMEOUT_MS) this.#checkCommitted();
    this.#assignment = undefined;
  }

  pause(partition: TopicPartition): void {
    this.#consumer.pause([{ topic: partition.topic, partitions: [partition.partition] }]);
    this.#paused.add(topicPartitionText(partition));
  }

  resume(partition: TopicPartition): void {
    this.#paused.delete(topicPartitionText(partition));
    this.#consumer.resume([{ topic: partition.topic, partitions: [partition.partition] }]);
  }

  /** Mostly back: what is passed over tells nothing. */
  seek(partition: TopicPartition): void {
    const key = topicPartitionText(partition);
    const { ledger, random } = this.#options;
    const [at = 0] = this.#assignment?.expected.get(key) ?? [];
    const position = Math.min(Math.max(0, at + 2 - random.below(10)), ledger.ends.get(key)!);
    ledger.passTo(key, position);
    const isOurs = this.#consumer.assignment().some((each) => topicPartitionText(each) === key);
    this.#consumer.seek({ ...partition, offset: String(position) });
    const own = this.#assignment;
    if (!isOurs || own === undefined) {
      this.#sought.set(key, position);
      return;
    }
    own.seeks.set(key, (own.seeks.get(key) ?? 0) + 1);
    own.expected.set(key, [position]);
    own.resolved.set(key, position);
  }

  /** A finished consumer has committed what it resolved, where its commits come through. */
  #checkCommitted(): void {
    const own = this.#assignment;
    if (this.#config.autoCommit !== true || own === undefined || own.isCommitInDoubt || own.isLost) return;
    for (const [key, resolved] of own.resolved) {
      const committed = own.committed.get(key);
      if (committed !== resolved) this.#problem(`${key} ends at ${resolved}, committed is ${committed}`);
    }
  }

  #problem(text: string): void {
    this.#options.ledger.problems.push(text);
  }

  #joined(given: Readonly<Record<string, readonly number[]>>): void {
    const own: Assignment = {
      generationId: this.#generationId,
      expected: new Map(),
      resolved: new Map(),
      committed: new Map(),
      seeks: new Map(),
      isCommitInDoubt: false,
      isLost: false,
    };
    for (const [topic, partitions] of Object.entries(given)) {
      for (const partition of partitions) {
        const key = topicPartitionText({ topic, partition });
        const begin = Math.max(0, this.#fetched.get(key)!);
        const sought = this.#sought.get(key);
        own.expected.set(key, sought === undefined ? [begin] : [begin, sought]);
        own.committed.set(key, begin);
        // A static member that is back has what it had.
        this.#options.ledger.own(key, own.generationId, this.#options.instanceId ?? this);
      }
    }
    this.#sought.clear();
    this.#assignment = own;
  }

  /** What a handler gets first: where it goes on. Returns what it then has finished, as long as that counts. */
  #begin(partition: TopicPartition, offset: number): (nextOffset: number) => void {
    const key = topicPartitionText(partition);
    const own = this.#assignment;
    if (own === undefined) {
      this.#problem(`${key}: ${offset} comes without an assignment`);
      return () => {};
    }
    const expected = own.expected.get(key) ?? [];
    if (!expected.includes(offset)) this.#problem(`${key}: ${offset} comes in place of ${expected}`);
    if (this.#paused.has(key)) this.#problem(`${key}: ${offset} comes while it is paused`);
    own.expected.set(key, [offset]);
    const seeks = own.seeks.get(key);
    return (nextOffset) => {
      if (own.seeks.get(key) !== seeks) return;
      own.expected.set(key, [nextOffset]);
      own.resolved.set(key, nextOffset);
    };
  }

  async #eachMessage({ topic, partition, message, heartbeat, pause }: EachMessagePayload): Promise<void> {
    const { random, ledger } = this.#options;
    const offset = Number(message.offset);
    const key = topicPartitionText({ topic, partition });
    const finish = this.#begin({ topic, partition }, offset);
    await turns(random);
    this.#mayFail();
    await this.#mayBeat(heartbeat);
    this.#mayPause({ topic, partition }, pause);
    ledger.process(key, offset);
    await this.#mayCommit({ topic, partition }, offset + 1);
    await turns(random);
    finish(offset + 1);
  }

  async #eachBatch(payload: EachBatchPayload): Promise<void> {
    const { batch, heartbeat, isRunning, isStale, pause, resolveOffset, commitOffsetsIfNecessary } = payload;
    const { random, ledger } = this.#options;
    const { topic, partition } = batch;
    const key = topicPartitionText({ topic, partition });
    const finish = this.#begin({ topic, partition }, Number(batch.firstOffset()));
    let next = Number(batch.firstOffset());
    for (const { offset } of batch.messages) {
      if (this.#honours && (!isRunning() || isStale())) return;
      if (Number(offset) !== next) this.#problem(`${key}: ${offset} comes in a batch in place of ${next}`);
      next = Number(offset) + 1;
      await turns(random);
      this.#mayFail();
      ledger.process(key, Number(offset));
      if (random.next() < 0.4) {
        resolveOffset(offset);
        finish(next);
      }
      if (random.next() < 0.1) await commitOffsetsIfNecessary();
      await this.#mayCommit({ topic, partition }, next);
      await this.#mayBeat(heartbeat);
      this.#mayPause({ topic, partition }, pause);
      if (this.#config.eachBatchAutoResolve === false && random.next() < 0.05) return;
    }
    if (this.#config.eachBatchAutoResolve === true) finish(next);
  }

  #mayFail(): void {
    const fate = this.#mayThrow ? this.#options.random.next() : 1;
    if (fate < 0.004) throw new TypeError('injected: the consumer ends');
    if (fate < 0.08) throw new Error('injected');
  }

  async #mayBeat(heartbeat: () => Promise<void>): Promise<void> {
    if (this.#options.random.next() < 0.2) await heartbeat();
  }

  #mayPause(partition: TopicPartition, pause: () => () => void): void {
    const { isCalm, random } = this.#options;
    if (isCalm || random.next() > 0.04) return;
    const resume = pause();
    const key = topicPartitionText(partition);
    this.#paused.add(key);
    const later = async (): Promise<void> => {
      for (let i = random.below(5); i > 0; i--) await new Promise(setImmediate);
      this.#paused.delete(key);
      resume();
    };
    void later();
  }

  async #mayCommit({ topic, partition }: TopicPartition, offset: number): Promise<void> {
    if (this.#config.autoCommit === true || this.#options.random.next() > 0.5) return;
    const committed = this.#consumer.commitOffsets([{ topic, partition, offset: String(offset) }]);
    await committed.catch((error: unknown) => {
      if (this.#mayThrow) throw error;
    });
  }

  #watched(channel: RequestChannel, faults: number): RequestChannel {
    const { random } = this.#options;
    const send: RequestChannel['send'] = async (api, request, options) => {
      if (api === 'OffsetCommit') this.#committing(request as OffsetCommitRequest);
      const own = this.#assignment;
      const mayFail = faults > 0 && (GROUP_APIS.has(api) || api === 'Fetch' || api === 'ListOffsets');
      const fate = mayFail ? random.next() / faults : 1;
      if (mayFail) await turns(random);
      if (mayFail && random.next() < 0.03) await new Promise((resolve) => setTimeout(resolve, random.below(60)));
      if (fate < 1 && api === 'OffsetCommit' && own) own.isCommitInDoubt = true;
      if (fate < 0.3)
        throw new KafkaError(GROUP_APIS.has(api) ? 'NOT_COORDINATOR' : 'NOT_LEADER_OR_FOLLOWER', 'injected');
      if (fate < 0.6) throw new KafkaError('NETWORK_EXCEPTION', 'injected');
      const answered = channel.send(api, request, options);
      answered.catch(() => {
        if (api === 'OffsetCommit' && own) own.isCommitInDoubt = true;
      });
      const response = await answered;
      if (mayFail) await turns(random);
      if (fate < 1) throw new KafkaError('NETWORK_EXCEPTION', 'injected');
      this.#answered(api, request, response, own);
      return response;
    };
    return { send, close: () => channel.close() };
  }

  #committing({ topics }: OffsetCommitRequest): void {
    for (const { name, partitions } of topics) {
      for (const { partitionIndex, committedOffset } of partitions) {
        const key = topicPartitionText({ topic: name, partition: partitionIndex });
        const missing = this.#options.ledger.missing(key, committedOffset);
        if (missing.length > 0) this.#problem(`${key}: ${committedOffset} is committed without ${missing}`);
      }
    }
  }

  #answered(api: string, request: unknown, response: unknown, own: Assignment | undefined): void {
    switch (api) {
      case 'SyncGroup':
        this.#generationId = (request as SyncGroupRequest).generationId;
        break;
      case 'Heartbeat':
      case 'JoinGroup': {
        const { errorCode } = response as HeartbeatResponse | JoinGroupResponse;
        if (own && (errorCode === 22 || errorCode === 25)) own.isLost = true;
        break;
      }
      case 'OffsetFetch':
        for (const { name, partitions } of (response as OffsetFetchResponse).topics) {
          for (const { partitionIndex, committedOffset } of partitions) {
            this.#fetched.set(topicPartitionText({ topic: name, partition: partitionIndex }), committedOffset);
          }
        }
        break;
      case 'OffsetCommit': {
        if (own === undefined) return;
        const errors = (response as OffsetCommitResponse).topics.flatMap((topic) => topic.partitions);
        own.isCommitInDoubt = errors.some(({ errorCode }) => errorCode !== 0);
        if (own.isCommitInDoubt) return;
        for (const { name, partitions } of (request as OffsetCommitRequest).topics) {
          for (const { partitionIndex, committedOffset } of partitions) {
            own.committed.set(topicPartitionText({ topic: name, partition: partitionIndex }), committedOffset);
          }
        }
      }
    }
  }
}

// Goal: whatever members of a group do, each record is processed, in the order of its partition, and nothing is committed before;
// no partition has two owners, and who ends leaves its commits and nothing else. Method: members with all kinds of handlers and
// commits, whose requests and answers are late or lost, pause, seek, stop, end and are replaced, while records and partitions come.
// In the end all have successors for which nothing fails.
test.each(Array.from({ length: 24 }, (_, seed) => seed))('a group processes all records (seed %i)', async (seed) => {
  const { runtime, open } = countingRuntime(inProcessRuntime());
  const cluster = new InProcessCluster({ runtime, brokerConfig: BROKER });
  const random = seededRandom(seed);
  const ledger = new Ledger();
  // Another tab is the broker at first: when it closes, its groups are read from the log.
  const first = seed % 3 === 0 ? await cluster.addHost() : undefined;
  const plain = new cluster.Kafka({ logLevel: logLevel.NOTHING });
  const admin = plain.admin();
  const producer = plain.producer();
  await admin.createTopics({ topics: [{ topic: 't', numPartitions: 2 }, { topic: 'u' }] });
  const partitions: TopicPartition[] = [];
  const add = (topic: string, partition: number): void => {
    partitions.push({ topic, partition });
    ledger.ends.set(topicPartitionText({ topic, partition }), 0);
  };
  add('t', 0);
  add('t', 1);
  add('u', 0);
  const any = (): TopicPartition => partitions[random.below(partitions.length)]!;

  const newMember = (index: number, isCalm = false): Member => {
    const topics = isCalm || random.next() < 0.6 ? ['t', 'u'] : ['t'];
    const instanceId = index % 2 === seed % 2 ? `static ${index}` : undefined;
    return new Member({ cluster, random, ledger, instanceId, topics, isCalm });
  };
  const members = Array.from({ length: 2 + random.below(3) }, (_, index) => newMember(index));
  /** What each does with its life now. */
  const changes: Promise<void>[] = members.map((member) => member.start());
  const isChanging = members.map(() => false);
  const change = (index: number, work: () => Promise<void>): void => {
    if (isChanging[index] === true) return;
    isChanging[index] = true;
    changes[index] = changes[index]!.then(work).finally(() => {
      isChanging[index] = false;
    });
  };

  const produce = async (): Promise<void> => {
    const { topic, partition } = any();
    const key = topicPartitionText({ topic, partition });
    const messages = Array.from({ length: 1 + random.below(12) }, () => ({
      value: 'x'.repeat(random.below(100)),
      partition,
    }));
    const [answer] = await producer.send({ topic, messages });
    ledger.ends.set(key, Math.max(ledger.ends.get(key)!, Number(answer!.baseOffset) + messages.length));
  };
  for (let i = 0; i < 8; i++) await produce();
  for (let step = 0; step < STEPS; step++) {
    const index = random.below(members.length);
    const member = members[index]!;
    const what = random.next();
    if (step === STEPS / 2) await first?.close();
    if (what < 0.4) await produce();
    else if (what < 0.5) {
      const partition = any();
      whileRunning(() => member.seek(partition));
    } else if (what < 0.6) {
      const partition = any();
      whileRunning(() => member.pause(partition));
      await turns(random);
      whileRunning(() => member.resume(partition));
    } else if (what < 0.7) {
      change(index, async () => {
        await member.stop();
        if (random.next() < 0.3) await member.subscribe(['u']);
        while (random.next() < 0.4) {
          const running = member.run();
          await turns(random);
          await member.stop();
          await running;
        }
        await member.run();
      });
    } else if (what < 0.8) {
      change(index, async () => {
        await member.disconnect();
        // Some end before they have begun.
        while (random.next() < 0.4) {
          const brief = newMember(index);
          const starting = brief.start().catch((error: unknown) => expect(error).toBeInstanceOf(KafkaJSError));
          await turns(random);
          await brief.disconnect();
          await starting;
        }
        members[index] = newMember(index);
        await members[index].start();
      });
    } else if (what < 0.82 && partitions.length < 5) {
      const count = partitions.filter(({ topic }) => topic === 't').length + 1;
      await admin.createPartitions({ topicPartitions: [{ topic: 't', count }] });
      add('t', count - 1);
    } else await new Promise((resolve) => setTimeout(resolve, random.below(15)));
  }
  for (const index of members.keys()) {
    await changes[index];
    await members[index]!.disconnect();
    members[index] = newMember(index, true);
    changes[index] = members[index].start();
  }
  await Promise.all(changes);
  const isOver = (): boolean =>
    partitions.every((partition) => ledger.missing(topicPartitionText(partition)).length === 0);
  const deadline = performance.now() + 3000;
  while (!isOver() && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 2));
  await Promise.all(members.map((member) => member.disconnect()));
  await plain.close();
  const missing = partitions.flatMap((partition) =>
    ledger.missing(topicPartitionText(partition)).map((offset) => `${topicPartitionText(partition)}: ${offset}`),
  );
  expect(ledger.problems).toEqual([]);
  expect(missing).toEqual([]);
  await new Promise(setImmediate);
  expect(open()).toEqual({ timers: 0, locks: 0, channels: 0 });
});

/** A consumer that is not running says so. */
function whileRunning(work: () => void): void {
  try {
    work();
  } catch (error) {
    expect(error).toMatchObject({ message: expect.stringContaining('run') });
  }
}
