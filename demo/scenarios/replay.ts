import type { Admin, Kafka, Producer } from '../../src/index.js';
import type { Dataset } from './datasets.js';
import { forever, pause } from './forever.js';
import type { ReplayControl } from './replay-control.js';
import { scan } from './scan.js';

const TICK_MS = 50;
const MOST_ROWS_A_SEND = 1_000;
const MOST_SENDS_IN_FLIGHT = 8;
const ACK_SAMPLES = 512;
/** How long the log must stand still before we trust that nothing of a replay before ours is still on its way. */
const SETTLE_MS = 400;

export interface AckTimes {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly longestMs: number;
}

/**
 * Sends the rows of a dataset in order, in whichever tab holds the Web Lock of the replay. When that tab dies the lock
 * passes to the next, which first reads from the log which rows are there and sends only the others. So every row
 * comes to lie in the log once, however often tabs are closed.
 */
export class Replay<Row> {
  readonly dataset: Dataset<Row>;
  readonly #kafka: Kafka;
  readonly #control: ReplayControl;
  readonly #onChange: () => void;
  readonly #ackMs: number[] = [];
  #stage: 'idle' | 'reading the log' | 'sending' = 'idle';

  constructor(dataset: Dataset<Row>, kafka: Kafka, control: ReplayControl, onChange: () => void) {
    this.dataset = dataset;
    this.#kafka = kafka;
    this.#control = control;
    this.#onChange = onChange;
  }

  /** What this tab does for the replay; `idle` if another tab has it, or none. */
  get stage(): 'idle' | 'reading the log' | 'sending' {
    return this.#stage;
  }

  /** From `send` to acknowledgement, over the last sends of this tab; undefined before the first. */
  get ackTimes(): AckTimes | undefined {
    if (this.#ackMs.length === 0) return undefined;
    const sorted = this.#ackMs.toSorted((a, b) => a - b);
    const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
    return { p50Ms: at(0.5), p99Ms: at(0.99), longestMs: at(1) };
  }

  start(signal: AbortSignal): void {
    forever(signal, 100, async () => {
      if (!this.#isWanted) return;
      await navigator.locks.request(`demo replay of ${this.dataset.topic}`, { signal }, () => this.#replay(signal));
    });
  }

  get #isWanted(): boolean {
    return this.#control.order(this.dataset.topic)?.running === true;
  }

  async #replay(signal: AbortSignal): Promise<void> {
    if (!this.#isWanted) return;
    const producer = this.#kafka.producer();
    const admin = this.#kafka.admin();
    try {
      this.#enter('reading the log');
      const [rows, present] = await Promise.all([this.dataset.load(), this.#presentRows(admin, signal)]);
      const missing = rows.keys().filter((row) => !present.has(row));
      this.#enter('sending');
      await producer.connect();
      const isComplete = await this.#send(producer, rows, missing, signal);
      if (isComplete && !signal.aborted) await this.#giveOrder({ running: false });
    } finally {
      await Promise.allSettled([producer.disconnect(), admin.disconnect()]);
      this.#enter('idle');
    }
  }

  /** The numbers of the rows that lie in the log, once it stands still. */
  async #presentRows(admin: Admin, signal: AbortSignal): Promise<ReadonlySet<number>> {
    for (;;) {
      const present = new Set<number>();
      const count = await scan(this.#kafka, this.dataset.topic, ({ headers }) => {
        present.add(Number(headers['row']?.toString()));
      });
      await pause(SETTLE_MS, signal);
      if (signal.aborted || count === (await endOffset(admin, this.dataset.topic))) return present;
    }
  }

  /** Sends until done (true), or until nobody wants it any more (false). A failed send ends it: then we read again. */
  async #send(
    producer: Producer,
    rows: readonly Row[],
    numbers: IterableIterator<number>,
    signal: AbortSignal,
  ): Promise<boolean> {
    const inFlight = new Set<Promise<void>>();
    const failures: unknown[] = [];
    const startedMs = performance.now();
    let sent = 0;
    let due = 0;
    let lastMs = startedMs;
    for (;;) {
      if (failures.length > 0) throw failures[0];
      const order = this.#control.order(this.dataset.topic);
      if (signal.aborted || !order?.running) break;
      const nowMs = performance.now();
      due = Math.min(due + ((nowMs - lastMs) / 1000) * order.recordsPerSecond, sent + 5 * MOST_ROWS_A_SEND);
      lastMs = nowMs;
      const chunk = take(numbers, Math.min(MOST_ROWS_A_SEND, Math.floor(due - sent)));
      if (chunk === undefined) {
        await Promise.all(inFlight);
        if (failures.length > 0) throw failures[0];
        return true;
      }
      if (chunk.length === 0) {
        await pause(TICK_MS, signal);
        continue;
      }
      sent += chunk.length;
      const sending: Promise<void> = this.#sendRows(producer, rows, chunk)
        .catch((error: unknown) => void failures.push(error))
        .finally(() => inFlight.delete(sending));
      inFlight.add(sending);
      while (inFlight.size >= MOST_SENDS_IN_FLIGHT) await Promise.race(inFlight);
    }
    await Promise.all(inFlight);
    return false;
  }

  async #sendRows(producer: Producer, rows: readonly Row[], numbers: readonly number[]): Promise<void> {
    const messages = numbers.map((number) => {
      const row = rows[number] as Row;
      const timestamp = this.dataset.timestampOf(row);
      const headers = { row: String(number) };
      const value = JSON.stringify(row);
      return { key: this.dataset.keyOf(row), value, headers, ...(timestamp === undefined ? {} : { timestamp }) };
    });
    const sentMs = performance.now();
    await producer.send({ topic: this.dataset.topic, messages });
    this.#ackMs.push(performance.now() - sentMs);
    if (this.#ackMs.length > ACK_SAMPLES) this.#ackMs.shift();
    this.#onChange();
  }

  async #giveOrder(change: { running: boolean }): Promise<void> {
    const order = this.#control.order(this.dataset.topic);
    if (order) await this.#control.give(this.dataset.topic, { ...order, ...change });
  }

  #enter(stage: 'idle' | 'reading the log' | 'sending'): void {
    this.#stage = stage;
    this.#onChange();
  }
}

/** How many records a topic has held, which is how many it holds as long as nothing is deleted. */
export async function endOffset(admin: Admin, topic: string): Promise<number> {
  const offsets = await admin.fetchTopicOffsets(topic);
  return offsets.reduce((sum, { high }) => sum + Number(high), 0);
}

/** At most `count` of what is left; undefined when nothing is. */
function take(numbers: IterableIterator<number>, count: number): number[] | undefined {
  const taken: number[] = [];
  while (taken.length < count) {
    const { value, done } = numbers.next();
    if (done) return taken.length > 0 ? taken : undefined;
    taken.push(value);
  }
  return taken;
}
