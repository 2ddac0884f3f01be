import type { Consumer, EachBatchPayload, Kafka, Producer } from '../../src/index.js';
import { FLIGHTS, type Flight } from './datasets.js';
import { type FlightStatistics, merged, NO_FLIGHTS, withFlights } from './flight-statistics.js';
import { forever } from './forever.js';

export const GROUP_ID = 'flight-statistics';
export const RESULTS_TOPIC = 'flight-statistics';
const PUBLISH_EVERY_MS = 250;
/** A tab that closes cannot say goodbye; its partitions go to another after this. The least that a broker allows. */
const SESSION_TIMEOUT_MS = 6_000;

/** What is known of one partition of `flights`: a function of its first `nextOffset` records, whoever computed it. */
interface Snapshot {
  readonly partition: number;
  readonly nextOffset: number;
  readonly statistics: FlightStatistics;
}

/**
 * Live statistics of `flights`, computed once for all tabs.
 *
 * Every tab is a member of one consumer group, so each partition has one tab that counts it and writes what it found,
 * together with the offset up to which it counted, to a results topic. Every tab reads that topic and shows the
 * furthest snapshot of each partition. State and position lie in one record, so a tab that takes over a partition
 * counts no record twice and misses none, and a late snapshot of a tab that was replaced is simply not the furthest.
 */
export class StatisticsGroup {
  readonly #kafka: Kafka;
  readonly #onChange: () => void;
  readonly #counted = new Map<number, Snapshot>();
  readonly #unpublished = new Set<number>();
  readonly #furthest = new Map<number, Snapshot>();
  #member: Consumer | undefined;

  constructor(kafka: Kafka, onChange: () => void) {
    this.#kafka = kafka;
    this.#onChange = onChange;
  }

  get statistics(): FlightStatistics {
    return merged([...this.#furthest.values()].map((snapshot) => snapshot.statistics));
  }

  /** The partitions that this tab counts. */
  get ownPartitions(): readonly number[] {
    return this.#member?.assignment().map(({ partition }) => partition) ?? [];
  }

  async start(signal: AbortSignal): Promise<void> {
    await this.#followResults(signal);
    await this.#count(signal);
  }

  async #followResults(signal: AbortSignal): Promise<void> {
    const follower = this.#kafka.consumer();
    await follower.connect();
    await follower.assign([{ topic: RESULTS_TOPIC, partition: 0, offset: '-2' }]);
    await follower.run({
      signal,
      eachBatch: ({ batch }) => {
        for (const { value } of batch.messages) if (value) this.#take(JSON.parse(value.toString()) as Snapshot);
        this.#onChange();
      },
    });
  }

  #take(snapshot: Snapshot): void {
    const known = this.#furthest.get(snapshot.partition);
    if (!known || known.nextOffset < snapshot.nextOffset) this.#furthest.set(snapshot.partition, snapshot);
  }

  async #count(signal: AbortSignal): Promise<void> {
    const member = this.#kafka.consumer({
      groupId: GROUP_ID,
      sessionTimeout: SESSION_TIMEOUT_MS,
      heartbeatInterval: SESSION_TIMEOUT_MS / 3,
    });
    const producer = this.#kafka.producer();
    this.#member = member;
    await Promise.all([member.connect(), producer.connect()]);
    await member.subscribe({ topics: [FLIGHTS.topic], fromBeginning: true });
    await member.run({
      signal,
      autoCommit: false,
      eachBatch: (payload) => this.#countBatch(member, payload),
    });
    forever(signal, PUBLISH_EVERY_MS, () => this.#publish(member, producer));
  }

  #countBatch(member: Consumer, { batch }: EachBatchPayload): void {
    const { topic, partition } = batch;
    const before = this.#counted.get(partition) ??
      this.#furthest.get(partition) ?? { partition, nextOffset: 0, statistics: NO_FLIGHTS };
    if (Number(batch.firstOffset()) > before.nextOffset) {
      // The group's committed offset is ahead of what we know: count from where our snapshot ends.
      member.seek({ topic, partition, offset: String(before.nextOffset) });
      return;
    }
    const fresh = batch.messages.filter((message) => Number(message.offset) >= before.nextOffset);
    const flights = fresh.map((message) => JSON.parse(message.value?.toString() ?? '') as Flight);
    const nextOffset = Math.max(before.nextOffset, Number(batch.lastOffset()) + 1);
    this.#counted.set(partition, { partition, nextOffset, statistics: withFlights(before.statistics, flights) });
    this.#unpublished.add(partition);
  }

  async #publish(member: Consumer, producer: Producer): Promise<void> {
    const snapshots = [...this.#unpublished].flatMap((partition) => this.#counted.get(partition) ?? []);
    this.#unpublished.clear();
    if (snapshots.length === 0) return;
    const messages = snapshots.map((snapshot) => ({
      key: String(snapshot.partition),
      value: JSON.stringify(snapshot),
    }));
    await producer.send({ topic: RESULTS_TOPIC, messages });
    const offsets = snapshots.map(({ partition, nextOffset }) => ({
      topic: FLIGHTS.topic,
      partition,
      offset: String(nextOffset),
    }));
    // Refused if the partition has gone to another tab, which then counts on from the snapshot.
    await member.commitOffsets(offsets).catch(() => {});
  }
}
