import type { Kafka, Producer } from '../../src/index.js';

export const VISITOR_TOPIC = 'visitor-events';
const SHOWN = 12;

export type VisitorEvent =
  | { readonly type: 'click'; readonly on: string; readonly x: number; readonly y: number }
  | { readonly type: 'key'; readonly code: string };

export interface StoredEvent {
  readonly offset: number;
  readonly timestampMs: number;
  readonly event: VisitorEvent;
}

/** The visitor's own clicks, and the keys pressed inside one marked box, as records that stay in this browser. */
export class VisitorEvents {
  readonly #kafka: Kafka;
  readonly #onChange: () => void;
  readonly #producer: Producer;
  #latest: readonly StoredEvent[] = [];

  constructor(kafka: Kafka, onChange: () => void) {
    this.#kafka = kafka;
    this.#onChange = onChange;
    this.#producer = kafka.producer();
  }

  /** The last ones of all tabs, newest first, as read back from the log. */
  get latest(): readonly StoredEvent[] {
    return this.#latest;
  }

  async start(signal: AbortSignal): Promise<void> {
    await this.#producer.connect();
    await this.#follow(signal);
    addEventListener('click', (event) => this.#record(clicked(event)), { capture: true, signal });
    addEventListener(
      'keydown',
      (event) => {
        const isMarked = event.target instanceof Element && event.target.closest('[data-records-keys]');
        if (isMarked && !event.repeat) this.#record({ type: 'key', code: event.code });
      },
      { capture: true, signal },
    );
  }

  #record(event: VisitorEvent): void {
    const messages = [{ key: event.type, value: JSON.stringify(event) }];
    this.#producer.send({ topic: VISITOR_TOPIC, messages }).catch(console.warn);
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const [partition] = await this.#kafka.admin().fetchTopicOffsets(VISITOR_TOPIC);
    const from = Math.max(Number(partition?.low ?? 0), Number(partition?.high ?? 0) - SHOWN);
    const follower = this.#kafka.consumer();
    await follower.connect();
    await follower.assign([{ topic: VISITOR_TOPIC, partition: 0, offset: String(from) }]);
    await follower.run({
      signal,
      eachBatch: ({ batch }) => {
        const events = batch.messages.map(({ offset, timestamp, value }) => ({
          offset: Number(offset),
          timestampMs: Number(timestamp),
          event: JSON.parse(value?.toString() ?? '') as VisitorEvent,
        }));
        this.#latest = [...events.reverse(), ...this.#latest].slice(0, SHOWN);
        this.#onChange();
      },
    });
  }
}

function clicked(event: MouseEvent): VisitorEvent {
  const target = event.target instanceof Element ? event.target.closest('button, a, input, section, header') : null;
  const on = target?.getAttribute('data-name') ?? target?.tagName.toLowerCase() ?? 'page';
  return { type: 'click', on, x: Math.round(event.clientX), y: Math.round(event.clientY) };
}
