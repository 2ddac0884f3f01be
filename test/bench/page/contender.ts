import { type Latency, latency, makeValues, numberOf, sleep } from './values.js';

/** What one contender (ours, the raw limit, a peer) can do; each row of the bench uses a part of it. */
export interface Contender {
  open(name: string): Promise<void>;
  /** All values, until every acknowledgement. */
  bulkWrite?(values: readonly string[]): Promise<void>;
  /** Everything from the start; as bytes, only views are made. Returns how many and the numbers of the first and last. */
  read?(as: 'bytes' | 'strings', expected: number): Promise<{ count: number; first: number; last: number }>;
  /** One value, until acknowledged. */
  writeOne?(value: string, id: number): Promise<void>;
  /** Calls back with the number of each value written from now on, in whichever tab. */
  watch?(onValue: (id: number) => void): Promise<void>;
  close(): Promise<void>;
}

export interface Jobs {
  open(args: { name: string }): Promise<void>;
  bulkWrite(args: { count: number; size: number }): Promise<{ perSecond: number }>;
  read(args: { as: 'bytes' | 'strings'; count: number }): Promise<{ perSecond: number }>;
  single(args: { count: number; size: number }): Promise<Latency>;
  concurrent(args: { senders: number; each: number; size: number }): Promise<{ perSecond: number }>;
  watch(args: { channel: string }): Promise<void>;
  crossTab(args: { channel: string; count: number; size: number }): Promise<Latency & { roundTrip: number }>;
  close(): Promise<void>;
}

const WARM_UP = 20;

/** The measurements, the same for all contenders, run where the contender lives (page or worker). */
export function jobsOf(make: () => Contender): Jobs {
  let contender = make();
  let nextId = 10_000_000;
  return {
    async open({ name }) {
      contender = make();
      await contender.open(name);
    },
    async bulkWrite({ count, size }) {
      const values = makeValues(count, size);
      await sleep(50);
      const start = performance.now();
      await contender.bulkWrite?.(values);
      return { perSecond: count / ((performance.now() - start) / 1000) };
    },
    async read({ as, count }) {
      await sleep(50);
      const start = performance.now();
      const seen = await contender.read?.(as, count);
      const perSecond = count / ((performance.now() - start) / 1000);
      if (seen?.count !== count || seen.first !== 0 || seen.last !== count - 1) {
        throw new Error(`expected ${count} values in order, found ${JSON.stringify(seen)}`);
      }
      return { perSecond };
    },
    async single({ count, size }) {
      const values = makeValues(count + WARM_UP, size);
      const samples: number[] = [];
      for (const [i, value] of values.entries()) {
        const start = performance.now();
        await contender.writeOne?.(value, nextId++);
        if (i >= WARM_UP) samples.push(performance.now() - start);
      }
      return latency(samples);
    },
    async concurrent({ senders, each, size }) {
      const [value = ''] = makeValues(1, size);
      const start = performance.now();
      const run = async (): Promise<void> => {
        for (let i = 0; i < each; i++) await contender.writeOne?.(value, nextId++);
      };
      await Promise.all(Array.from({ length: senders }, run));
      return { perSecond: (senders * each) / ((performance.now() - start) / 1000) };
    },
    async watch({ channel }) {
      const answers = new BroadcastChannel(channel);
      answers.onmessage = (event) => {
        if (event.data === 'ping') answers.postMessage('pong');
      };
      await contender.watch?.((id) => answers.postMessage(id));
    },
    async crossTab({ channel, count, size }) {
      const answers = new BroadcastChannel(channel);
      const answer = (expected: unknown): Promise<void> =>
        new Promise((resolve) => {
          answers.onmessage = (event) => {
            if (event.data === expected) resolve();
          };
        });
      const trips: number[] = [];
      for (let i = 0; i < 40; i++) {
        await sleep(10);
        const start = performance.now();
        const pong = answer('pong');
        answers.postMessage('ping');
        await pong;
        trips.push(performance.now() - start);
      }
      const roundTrip = latency(trips).p50;
      const [tail = ''] = makeValues(1, size);
      const samples: number[] = [];
      for (let i = 0; i < count + 5; i++) {
        await sleep(30);
        const id = nextId++;
        const value = `${id}${tail.slice(8)}`;
        const seen = answer(id);
        const start = performance.now();
        const written = contender.writeOne?.(value, id);
        await Promise.race([
          seen,
          sleep(10_000).then(() => {
            throw new Error('the other tab never saw the value');
          }),
        ]);
        if (i >= 5) samples.push(performance.now() - start - roundTrip / 2);
        await written;
      }
      answers.close();
      return { ...latency(samples), roundTrip };
    },
    close: () => contender.close(),
  };
}

/** Collects values in order. */
export class Tally {
  #count = 0;
  #first = -1;
  #last = '';

  add(value: string): void {
    if (this.#count++ === 0) this.#first = numberOf(value);
    this.#last = value;
  }

  end(): { count: number; first: number; last: number } {
    return { count: this.#count, first: this.#first, last: numberOf(this.#last) };
  }
}

/** The same for bytes: only the first and the last become text. */
export class ByteTally {
  #count = 0;
  #first: Uint8Array | undefined;
  #last: Uint8Array | undefined;

  add(value: Uint8Array): void {
    this.#count++;
    this.#first ??= value;
    this.#last = value;
  }

  end(): { count: number; first: number; last: number } {
    const text = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes?.subarray(0, 8));
    return { count: this.#count, first: Number(text(this.#first)), last: Number(text(this.#last)) };
  }
}
