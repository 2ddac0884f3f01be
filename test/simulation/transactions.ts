import { errorName, KafkaError, type KafkaErrorName } from '../../src/protocol/errors.js';
import { attributesOf } from '../../src/record/batch-attributes.js';
import type { NewRecord } from '../../src/record/record.js';
import { RecordBatchBuilder } from '../../src/record/record-batch-builder.js';
import { finishBatch } from '../record/finish-batch.js';
import type { ClusterSimulation, Tab } from './cluster-simulation.js';
import { logText, type Outcome, type Transaction } from './history.js';

/** An open transaction is given up after this long. */
const TRANSACTION_TIMEOUT_MS = 3_000;
const RETRY_MS = 100;

/** Whose record it is, and where it goes. */
export interface RecordOrder {
  readonly producer: string;
  /** Of this producer: 0, 1, 2, … */
  readonly order: number;
  readonly log: string;
  readonly transaction: Transaction;
}

/** One record of a transaction, and where what becomes of it is written down. */
export interface TransactionalRecord {
  readonly record: Pick<NewRecord, 'key' | 'value' | 'headers'>;
  readonly noted: { outcome: Outcome; offset: number | undefined; endMs: number | undefined };
}

/** What the coordinator knows of a transaction. */
interface Entry extends Transaction {
  readonly owner: Tab;
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly beganMs: number;
  /** To which it wrote, or tried to. */
  readonly partitions: Set<number>;
  /** Where the marker is durable. */
  readonly ended: Set<number>;
}

/**
 * Transactional producers through the log's own door, Produce and WriteTxnMarkers, with what a coordinator keeps of them:
 * which partitions belong to a transaction, how it was decided, and that the markers are written whoever dies. Each
 * transaction has an epoch of its own, so that late messages of one never touch the next (KIP-890).
 */
export class Transactions {
  readonly #cluster: ClusterSimulation;
  readonly #topic: string;
  readonly #newRecord: (order: RecordOrder) => TransactionalRecord;
  readonly #entries: Entry[] = [];

  constructor(cluster: ClusterSimulation, topic: string, newRecord: (order: RecordOrder) => TransactionalRecord) {
    this.#cluster = cluster;
    this.#topic = topic;
    this.#newRecord = newRecord;
  }

  /** Whether every transaction has its markers. */
  get allEnded(): boolean {
    return this.#entries.every(isOver);
  }

  /** Writes transactions, some to be aborted, while `isProducing`. */
  async produce(tab: Tab, partitions: number, isProducing: () => boolean): Promise<void> {
    const { clock, random } = tab.platform.runtime;
    const name = `transactional@${tab.name}`;
    const producerId = await this.#newProducerId(tab);
    let order = 0;
    for (let producerEpoch = 0; isProducing() && !tab.stopping.signal.aborted; producerEpoch += 2) {
      const entry: Entry = {
        ...{ outcome: 'open', decidedMs: undefined },
        ...{ owner: tab, producerId, producerEpoch, beganMs: this.#cluster.nowMs },
        partitions: new Set(),
        ended: new Set(),
      };
      this.#entries.push(entry);
      const sequences = new Map<number, number>();
      for (let count = 1 + random.below(4); count > 0 && entry.outcome === 'open'; count--) {
        const partition = random.below(partitions);
        const log = logText(this.#topic, partition);
        const records = Array.from({ length: 1 + random.below(3) }, () => {
          return this.#newRecord({ producer: name, order: order++, log, transaction: entry });
        });
        entry.partitions.add(partition);
        const sequence = sequences.get(partition) ?? 0;
        sequences.set(partition, sequence + records.length);
        await this.#send(tab, entry, { partition, sequence, records });
        await clock.sleep(random.below(200), tab.stopping.signal);
      }
      if (entry.outcome === 'open') this.#decide(entry, random.next() < 0.6 ? 'commit' : 'abort');
      while (!isOver(entry)) {
        await this.#writeMarkers(tab, entry);
        if (!isOver(entry)) await clock.sleep(RETRY_MS, tab.stopping.signal);
      }
    }
  }

  /** Ends what was decided, and gives up what is open for too long or whose tab is gone. */
  async coordinate(tab: Tab): Promise<void> {
    const { clock } = tab.platform.runtime;
    while (!tab.stopping.signal.aborted) {
      for (const entry of this.#entries) {
        const isDead = this.#cluster.tabs.get(entry.owner.name) !== entry.owner;
        const isLate = this.#cluster.nowMs - entry.beganMs > TRANSACTION_TIMEOUT_MS;
        if (isOver(entry) || !(isDead || isLate)) continue;
        if (entry.outcome === 'open') this.#decide(entry, 'abort');
        await this.#writeMarkers(tab, entry);
      }
      await clock.sleep(500, tab.stopping.signal);
    }
  }

  #decide(entry: Entry, outcome: 'commit' | 'abort'): void {
    entry.outcome = outcome;
    entry.decidedMs = this.#cluster.nowMs;
  }

  async #newProducerId(tab: Tab): Promise<number> {
    const request = { transactionalId: null, transactionTimeoutMs: 0, producerId: -1, producerEpoch: -1 };
    for (;;) {
      const { clock } = tab.platform.runtime;
      const answer = await (await tab.host).send('InitProducerId', request).catch(() => undefined);
      if (answer?.errorCode === 0) return answer.producerId;
      await clock.sleep(RETRY_MS, tab.stopping.signal);
    }
  }

  /** The same batch again until it is in the log, or the transaction is over. */
  async #send(
    tab: Tab,
    entry: Entry,
    { partition, sequence, records }: { partition: number; sequence: number; records: TransactionalRecord[] },
  ): Promise<void> {
    const { clock } = tab.platform.runtime;
    const { producerId, producerEpoch } = entry;
    const isOpen = (): boolean => entry.outcome === 'open';
    let [error, baseOffset]: readonly [KafkaErrorName | undefined, number] = [undefined, -1];
    while (isOpen() && !tab.stopping.signal.aborted) {
      const timestampMs = clock.wallMs(); // or retention would take them first when the disk is full
      const builder = new RecordBatchBuilder();
      for (const { record } of records) builder.append({ ...record, timestampMs });
      const attributes = attributesOf({ isTransactional: true });
      const batch = finishBatch(builder, { producerId, producerEpoch, baseSequence: sequence, attributes });
      const topicData = [{ name: this.#topic, partitionData: [{ index: partition, records: batch }] }];
      const request = { transactionalId: 'transactional', acks: -1, timeoutMs: 5_000, topicData } as const;
      [error, baseOffset] = await (await tab.host).send('Produce', request).then(
        ({ responses }) => {
          const answer = responses[0]?.partitionResponses[0];
          return [errorName(answer?.errorCode ?? -1), answer?.baseOffset ?? -1] as const;
        },
        (failure: unknown) => {
          if (failure instanceof KafkaError) return [failure.type, -1] as const;
          throw failure;
        },
      );
      if (error === 'NONE' || error === 'INVALID_PRODUCER_EPOCH') break;
      await clock.sleep(RETRY_MS, tab.stopping.signal);
    }
    for (const [i, { noted }] of records.entries()) {
      if (error === 'NONE') Object.assign(noted, { outcome: 'ok', offset: baseOffset + i });
      noted.endMs = this.#cluster.nowMs;
    }
  }

  /** Whom the coordinator gives up is fenced by the next epoch. Failures are for the next attempt. */
  async #writeMarkers(tab: Tab, entry: Entry): Promise<void> {
    const partitionIndexes = [...entry.partitions].filter((partition) => !entry.ended.has(partition));
    const marker = {
      producerId: entry.producerId,
      producerEpoch: entry.producerEpoch + (entry.outcome === 'abort' ? 1 : 0),
      transactionResult: entry.outcome === 'commit',
      coordinatorEpoch: 0,
      topics: [{ name: this.#topic, partitionIndexes }],
    };
    const answer = await (await tab.host).send('WriteTxnMarkers', { markers: [marker] }).catch((error: unknown) => {
      if (!(error instanceof KafkaError)) throw error;
      return undefined;
    });
    for (const { partitionIndex, errorCode } of answer?.markers[0]?.topics[0]?.partitions ?? []) {
      // A later transaction of this producer has begun there: this one's marker was written before.
      if (['NONE', 'INVALID_PRODUCER_EPOCH'].includes(errorName(errorCode))) entry.ended.add(partitionIndex);
    }
  }
}

function isOver({ outcome, partitions, ended }: Entry): boolean {
  return outcome !== 'open' && partitions.size === ended.size;
}
