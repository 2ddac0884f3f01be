import type { Kafka } from '../../src/index.js';
import type { Dataset } from './datasets.js';
import { forever } from './forever.js';
import { endOffset } from './replay.js';

const LOOK_EVERY_MS = 250;
const RATE_OVER_MS = 2_000;

/** How far the log of a dataset has come, and how fast, as any tab sees it: by its end offsets. */
export class Progress {
  readonly #kafka: Kafka;
  readonly #dataset: Dataset;
  readonly #onChange: () => void;
  #samples: readonly { readonly atMs: number; readonly records: number }[] = [];

  constructor(kafka: Kafka, dataset: Dataset, onChange: () => void) {
    this.#kafka = kafka;
    this.#dataset = dataset;
    this.#onChange = onChange;
  }

  /** Records in the log, all of them acknowledged. */
  get records(): number {
    return this.#samples.at(-1)?.records ?? 0;
  }

  get recordsPerSecond(): number {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    if (!first || !last || last.atMs === first.atMs) return 0;
    return ((last.records - first.records) / (last.atMs - first.atMs)) * 1000;
  }

  start(signal: AbortSignal): void {
    const admin = this.#kafka.admin();
    forever(signal, LOOK_EVERY_MS, async () => {
      const records = await endOffset(admin, this.#dataset.topic);
      const atMs = performance.now();
      this.#samples = [...this.#samples.filter((sample) => atMs - sample.atMs < RATE_OVER_MS), { atMs, records }];
      this.#onChange();
    });
  }
}
