import type { Kafka, Producer } from '../../src/index.js';

export const CONTROL_TOPIC = 'demo-control';

/** What the visitor wants of one replay. */
export interface ReplayOrder {
  readonly running: boolean;
  readonly recordsPerSecond: number;
}

/** The visitor's wishes, as the last record of each topic's name: every tab, now and later, follows the same ones. */
export class ReplayControl {
  readonly #kafka: Kafka;
  readonly #onChange: () => void;
  readonly #orders = new Map<string, ReplayOrder>();
  readonly #producer: Producer;

  constructor(kafka: Kafka, onChange: () => void) {
    this.#kafka = kafka;
    this.#onChange = onChange;
    this.#producer = kafka.producer();
  }

  order(topic: string): ReplayOrder | undefined {
    return this.#orders.get(topic);
  }

  async give(topic: string, order: ReplayOrder): Promise<void> {
    await this.#producer.send({ topic: CONTROL_TOPIC, messages: [{ key: topic, value: JSON.stringify(order) }] });
  }

  async start(signal: AbortSignal): Promise<void> {
    await this.#producer.connect();
    const follower = this.#kafka.consumer();
    await follower.connect();
    await follower.assign([{ topic: CONTROL_TOPIC, partition: 0, offset: '-2' }]);
    await follower.run({
      signal,
      eachMessage: ({ message: { key, value } }) => {
        if (key && value) this.#orders.set(key.toString(), JSON.parse(value.toString()) as ReplayOrder);
        this.#onChange();
      },
    });
  }
}
