import type { Batch, KafkaMessage } from '../api/consumer.js';
import type { FetchedBatch } from './fetcher.js';

/** What `eachBatch` sees of a fetched batch. */
export class ConsumerBatch<K, V> implements Batch<K, V> {
  readonly topic: string;
  readonly partition: number;
  readonly highWatermark: string;
  readonly messages: KafkaMessage<K, V>[];
  readonly #fetched: FetchedBatch<K, V>;

  constructor(fetched: FetchedBatch<K, V>) {
    this.topic = fetched.slot.topic;
    this.partition = fetched.slot.partition;
    this.highWatermark = String(fetched.highWatermark);
    this.messages = fetched.messages.slice(); // the handler's own: it may take them out one by one
    this.#fetched = fetched;
  }

  isEmpty(): boolean {
    return this.messages.length === 0;
  }

  firstOffset(): string | null {
    return this.messages[0]?.offset ?? null;
  }

  lastOffset(): string {
    return String(this.#fetched.nextOffset - 1);
  }

  offsetLag(): string {
    return String(Math.max(0, this.#fetched.highWatermark - this.#fetched.nextOffset));
  }

  offsetLagLow(): string {
    const first = this.#fetched.messages[0];
    return first === undefined ? '0' : String(Math.max(0, this.#fetched.highWatermark - 1 - first.offsetNumber));
  }
}
