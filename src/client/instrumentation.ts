import type { EventPayloads, InstrumentationEvent, On } from './api/events.js';
import type { Logger } from './api/logger.js';
import { KafkaJSNonRetriableError } from './errors.js';

/** Nothing to give where the payload is null. */
type Carried<P> = null extends P ? [payload?: null] : [payload: P];

/** The names of one client's events. */
export type EventNames = Readonly<Record<string, keyof EventPayloads>>;

/** The events of one client: who listens, and how a payload gets there. A listener that fails is logged, no more. */
export class Instrumentation<E extends EventNames> {
  readonly events: E;
  readonly on: On<E>;
  readonly #listeners = new Map<string, Set<(event: InstrumentationEvent) => unknown>>();
  readonly #wallMs: () => number;
  #nextId = 0;

  constructor({ events, client, wallMs, logger }: { events: E; client: string; wallMs: () => number; logger: Logger }) {
    this.events = events;
    this.#wallMs = wallMs;
    const names = Object.values(events);
    this.on = (eventName, listener) => {
      if (!names.includes(eventName)) {
        const expected = Object.keys(events).map((key) => `${client}.events.${key}`);
        throw new KafkaJSNonRetriableError(`Event name should be one of ${expected.join(', ')}`);
      }
      const guarded = async (event: InstrumentationEvent): Promise<void> => {
        try {
          await listener(event as Parameters<typeof listener>[0]);
        } catch (error) {
          logger.error(`Failed to execute listener: ${error instanceof Error ? error.message : error}`, { eventName });
        }
      };
      const listeners = this.#listeners.get(eventName) ?? new Set();
      this.#listeners.set(eventName, listeners.add(guarded));
      return () => void listeners.delete(guarded);
    };
  }

  /** Whether it is worth making a payload. */
  hears(eventName: E[keyof E]): boolean {
    return (this.#listeners.get(eventName)?.size ?? 0) > 0;
  }

  emit<N extends E[keyof E]>(eventName: N, ...[payload]: Carried<EventPayloads[N]>): void {
    const listeners = this.#listeners.get(eventName);
    if (listeners === undefined || listeners.size === 0) return;
    const event = { id: String(this.#nextId++), type: eventName, timestamp: this.#wallMs(), payload: payload ?? null };
    for (const listener of [...listeners]) void listener(event);
  }
}
