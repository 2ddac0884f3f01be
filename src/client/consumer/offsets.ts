import { type TopicPartition, topicPartitionText } from '../../protocol/topic-partition.js';
import type { ClientRuntime } from '../../runtime/runtime.js';
import { Serial } from '../../util/serial.js';
import type { Offsets, TopicPartitionOffsetAndMetadata } from '../api/consumer.js';
import { KafkaJSNonRetriableError } from '../errors.js';
import { assertTopicPartition, offsetNumber } from './arguments.js';

interface Entry extends TopicPartition {
  /** Next offset to process. */
  resolved: number;
  /** -1: none. */
  committed: number;
  /** In which both are; undefined: not known yet. */
  log: number | undefined;
}

export interface OffsetToCommit extends TopicPartition {
  readonly offset: number;
  readonly metadata?: string | null;
  readonly log?: number | undefined;
}

interface OffsetStoreOptions {
  readonly runtime: ClientRuntime;
  readonly autoCommitIntervalMs: number | null;
  readonly autoCommitThreshold: number | null;
  /** Sends a commit for the present generation. Rejects where it is refused. */
  readonly commit: (offsets: readonly OffsetToCommit[]) => Promise<void>;
}

/** How far each assigned partition is processed, and what of that is committed. Offsets are "next to read". */
export class OffsetStore {
  readonly #options: OffsetStoreOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #commits = new Serial();
  #lastCommitMs: number;
  #resolvedCount = 0;
  /** It waits for its turn. */
  #nextCommit: Promise<void> | undefined;
  #assignmentId = 0;

  constructor(options: OffsetStoreOptions) {
    this.#options = options;
    this.#lastCommitMs = options.runtime.clock.monotonicMs();
  }

  /** Begins anew; what is resolved for another assignment counts no more. */
  assign(
    assignmentId: number,
    partitions: readonly (TopicPartition & Pick<Entry, 'committed'> & Partial<Pick<Entry, 'log'>>)[],
  ): void {
    this.#assignmentId = assignmentId;
    this.#entries.clear();
    this.#resolvedCount = 0;
    for (const { topic, partition, committed, log } of partitions) {
      this.#entries.set(topicPartitionText({ topic, partition }), { topic, partition, committed, log, resolved: -1 });
    }
  }

  /** `nextOffset` is the first that is not processed. `count` records came with it. */
  resolve(
    slot: TopicPartition & Pick<Entry, 'log'> & { readonly assignmentId: number },
    nextOffset: number,
    count: number,
  ): void {
    const entry = this.#entries.get(topicPartitionText(slot));
    if (entry === undefined || slot.assignmentId !== this.#assignmentId) return;
    entry.resolved = nextOffset;
    entry.log = slot.log;
    this.#resolvedCount += count;
  }

  /** How far a partition is processed, by `topicPartitionText`; undefined: nothing of it is. */
  processed(key: string): Pick<Entry, 'resolved' | 'log'> | undefined {
    const entry = this.#entries.get(key);
    return entry === undefined || entry.resolved < 0 ? undefined : entry;
  }

  /** Forgets how far a partition was processed (a seek); what is committed stays. */
  forget(partition: TopicPartition): void {
    const entry = this.#entries.get(topicPartitionText(partition));
    if (entry !== undefined) entry.resolved = -1;
  }

  /** The topic was made anew: neither what was processed nor what was committed is of this log. */
  forgetLog({ topic, partition, log }: TopicPartition & Pick<Entry, 'log'>): void {
    const key = topicPartitionText({ topic, partition });
    if (this.#entries.has(key)) this.#entries.set(key, { topic, partition, log, resolved: -1, committed: -1 });
  }

  /** Whether interval or threshold ask for a commit now. */
  isCommitDue(): boolean {
    const { autoCommitIntervalMs, autoCommitThreshold, runtime } = this.#options;
    if (autoCommitThreshold !== null && this.#resolvedCount >= autoCommitThreshold) return true;
    if (autoCommitIntervalMs === null) return false;
    return runtime.clock.monotonicMs() - this.#lastCommitMs >= autoCommitIntervalMs;
  }

  uncommitted(): OffsetToCommit[] {
    return [...this.#entries.values()]
      .filter(({ resolved, committed }) => resolved >= 0 && resolved !== committed)
      .map(({ topic, partition, resolved }) => ({ topic, partition, offset: resolved }));
  }

  /** Commits what is processed, after commits under way; all who ask meanwhile share the next one, and how it ends. */
  commit(): Promise<void> {
    this.#nextCommit ??= this.#commits.run(() => {
      this.#nextCommit = undefined;
      return this.#commitNow(this.uncommitted());
    });
    return this.#nextCommit;
  }

  /** Commits exactly these. */
  async commitOffsets(offsets: readonly OffsetToCommit[]): Promise<void> {
    await this.#commits.run(() => this.#commitNow(offsets));
  }

  /** Resolves once no commit is under way. */
  idle(): Promise<void> {
    return this.#commits.idle();
  }

  async #commitNow(offsets: readonly OffsetToCommit[]): Promise<void> {
    this.#resolvedCount = 0;
    this.#lastCommitMs = this.#options.runtime.clock.monotonicMs();
    if (offsets.length === 0) return;
    const entryOf = (place: TopicPartition): Entry | undefined => this.#entries.get(topicPartitionText(place));
    const placed = offsets.map((place) => ({ ...place, log: entryOf(place)?.log }));
    await this.#options.commit(placed);
    for (const { offset, log, ...partition } of placed) {
      const entry = entryOf(partition);
      if (entry !== undefined && entry.log === log) entry.committed = offset;
    }
  }
}

/** In KafkaJS's form. */
export function toOffsets(offsets: readonly OffsetToCommit[]): Offsets {
  const topics = new Map<string, { partition: number; offset: string }[]>();
  for (const { topic, partition, offset } of offsets) {
    const partitions = topics.get(topic) ?? [];
    partitions.push({ partition, offset: String(offset) });
    topics.set(topic, partitions);
  }
  return { topics: Array.from(topics, ([topic, partitions]) => ({ topic, partitions })) };
}

/** What a user wants committed. */
export function offsetToCommit(entry: TopicPartitionOffsetAndMetadata): OffsetToCommit {
  const { topic, partition, metadata = null, offset: given } = entry ?? {};
  assertTopicPartition(topic, partition);
  const offset = offsetNumber(given);
  if (offset < 0) throw new KafkaJSNonRetriableError('Offset must not be a negative number');
  if (metadata !== null && typeof metadata !== 'string') {
    throw new KafkaJSNonRetriableError(`Invalid offset metadata, expected string or null, received ${metadata}`);
  }
  return { topic, partition: Number(partition), offset, metadata };
}
